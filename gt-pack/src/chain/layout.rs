//! How an accepted reel lies on the disk, as one text file.
//!
//! `gt/reels/<root>` holds a few lines, an empty one, and then the reel's
//! bundle header as it is. The rest of the reel is in the packs that the
//! lines name.

use std::fmt::Write as _;
use std::str::FromStr;

use gt_vfs::{ObjectFormat, ObjectId};

use super::Reel;

const MAGIC: &str = "gt reel 1";

/// Where the bytes of a reel lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) reel: Reel,
    pub(crate) format: ObjectFormat,
    /// Entries in the reel's pack.
    pub(crate) entries: u32,
    /// The version that the reel's pack says.
    pub(crate) version: u32,
    /// Its entries, in order.
    pub(crate) ranges: Vec<Range>,
    /// The trailer of the reel's pack, which is not that of a completed one.
    pub(crate) trailer: ObjectId,
    /// The bundle header.
    pub(crate) header: Vec<u8>,
}

/// Entries inside of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The name of the pack, `pack-…`, without extension.
    pub(crate) pack: String,
    pub(crate) begin: u64,
    pub(crate) length: u64,
}

impl Layout {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut text = format!("{MAGIC}\n");
        let reel = &self.reel;
        // The name comes from a statement; one that is no word is not kept.
        let recipe = reel.recipe.as_deref().filter(|name| is_word(name));
        let recipe = recipe.unwrap_or("-");
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "Object-Format: {}\nFirst: {}\nLast: {}\nLength: {}\nRoot: {}\nRecipe: {recipe}\nVersion: {}\nEntries: {}\n",
            self.format, reel.first, reel.last, reel.length, reel.root, self.version, self.entries
        );
        for range in &self.ranges {
            let _ = writeln!(
                text,
                "Range: {} {} {}",
                range.pack, range.begin, range.length
            );
        }
        let _ = write!(text, "Trailer: {}\n\n", self.trailer);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.header);
        bytes
    }

    /// Reads what [`write`](Self::write) wrote; `None` for anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let blank = bytes.windows(2).position(|two| two == b"\n\n")?;
        let text = std::str::from_utf8(&bytes[..blank]).ok()?;
        let mut lines = text.lines().peekable();
        if lines.next()? != MAGIC {
            return None;
        }
        let format = value(lines.next(), "Object-Format")?;
        let (first, last) = (value(lines.next(), "First")?, value(lines.next(), "Last")?);
        let length = value(lines.next(), "Length")?;
        let root = value(lines.next(), "Root")?;
        let recipe: String = value(lines.next(), "Recipe")?;
        let version = value(lines.next(), "Version")?;
        let entries = value(lines.next(), "Entries")?;
        let mut ranges = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("Range: ")) {
            let mut words = line.split(' ').skip(1);
            ranges.push(Range {
                pack: pack_name(words.next()?)?,
                begin: words.next()?.parse().ok()?,
                length: words.next()?.parse().ok()?,
            });
        }
        let layout = Self {
            reel: Reel {
                first,
                last,
                length,
                root,
                recipe: (recipe != "-").then_some(recipe),
            },
            format,
            entries,
            version,
            ranges,
            trailer: value(lines.next(), "Trailer")?,
            header: bytes[blank + 2..].to_vec(),
        };
        (layout.write() == bytes && layout.adds_up()).then_some(layout)
    }

    /// Tells whether the parts are as long as the reel.
    fn adds_up(&self) -> bool {
        let fixed = (self.header.len() + 12 + self.trailer.as_bytes().len()) as u64;
        self.ranges
            .iter()
            .try_fold(fixed, |sum, range| sum.checked_add(range.length))
            == Some(self.reel.length)
    }

    /// Returns the header of the reel's pack.
    pub(crate) fn pack_header(&self) -> [u8; 12] {
        let mut head = *b"PACK\0\0\0\0\0\0\0\0";
        head[4..8].copy_from_slice(&self.version.to_be_bytes());
        head[8..].copy_from_slice(&self.entries.to_be_bytes());
        head
    }
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())
}

fn value<T: FromStr>(line: Option<&str>, key: &str) -> Option<T> {
    line?.strip_prefix(key)?.strip_prefix(": ")?.parse().ok()
}

/// The state is a file like others: a name in it must not lead elsewhere.
fn pack_name(name: &str) -> Option<String> {
    let hex = name.strip_prefix("pack-")?;
    ObjectId::from_hex(hex.as_bytes()).ok()?;
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use gt_vfs::Root;

    use super::*;

    fn layout() -> Layout {
        Layout {
            reel: Reel {
                first: 3,
                last: 5,
                length: 10 + 12 + 20 + 100,
                root: Root([7; 32]),
                recipe: None,
            },
            format: ObjectFormat::Sha1,
            entries: 9,
            version: 2,
            ranges: vec![
                Range {
                    pack: format!("pack-{}", "0".repeat(40)),
                    begin: 12,
                    length: 60,
                },
                Range {
                    pack: format!("pack-{}", "a".repeat(40)),
                    begin: 500,
                    length: 40,
                },
            ],
            trailer: ObjectId::Sha1([1; 20]),
            header: b"head\n\nline".to_vec(),
        }
    }

    #[test]
    fn round_trip() {
        let layout = layout();
        assert_eq!(Layout::read(&layout.write()), Some(layout));
    }

    #[test]
    fn a_recipe_adds_no_lines() {
        let mut layout = layout();
        layout.reel.recipe = Some("x\nFirst: 9".into());
        let read = Layout::read(&layout.write()).unwrap();
        assert_eq!(read.reel.recipe, None);
        assert_eq!(read.reel.first, 3);
    }

    #[test]
    fn another_text_is_no_layout() {
        let good = layout().write();
        for at in 0..good.len() {
            assert_eq!(Layout::read(&good[..at]), None, "cut at {at}");
        }
        let text = String::from_utf8(good).unwrap();
        for (from, to) in [
            ("First: 3", "First: 03"),
            ("Length: 142", "Length: 143"),
            ("Range: pack-0", "Range: ../pack-0"),
            ("Range: pack-0", "Range: pack-0/"),
            ("Recipe: -", "Recipe:  -"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text);
            assert_eq!(Layout::read(bad.as_bytes()), None, "{to}");
        }
    }
}
