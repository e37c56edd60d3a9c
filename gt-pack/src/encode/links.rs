//! What commits, tags and trees name.

use std::ops::Range;

use bytes::Bytes;
use gt_vfs::{ObjectFormat, ObjectId};

use crate::Kind;

/// Returns a commit's tree and its parents in their order.
pub(super) fn commit(text: &[u8], format: ObjectFormat) -> Option<(ObjectId, Vec<ObjectId>)> {
    let (tree, mut rest) = field(text, b"tree ", format)?;
    let mut parents = Vec::new();
    while let Some((parent, after)) = field(rest, b"parent ", format) {
        parents.push(parent);
        rest = after;
    }
    Some((tree, parents))
}

/// Returns the bytes that say who wrote and who committed a commit, without the
/// times; what is not where git puts it is left out.
pub(super) fn people(text: &[u8]) -> Vec<u8> {
    let mut people = Vec::new();
    for line in text.split(|b| *b == b'\n').take_while(|l| !l.is_empty()) {
        if line.starts_with(b"author ") || line.starts_with(b"committer ") {
            let end = line.iter().rposition(|b| *b == b'>').unwrap_or(0);
            people.extend_from_slice(&line[..end]);
            people.push(b'\n');
        }
    }
    people
}

/// Returns what a tag points at.
pub(super) fn tag(text: &[u8], format: ObjectFormat) -> Option<(ObjectId, Kind)> {
    let (object, rest) = field(text, b"object ", format)?;
    let rest = rest.strip_prefix(b"type ")?;
    let end = rest.iter().position(|b| *b == b'\n')?;
    Some((object, Kind::from_name(&rest[..end])?))
}

fn field<'a>(text: &'a [u8], word: &[u8], format: ObjectFormat) -> Option<(ObjectId, &'a [u8])> {
    let (hex, rest) = text
        .strip_prefix(word)?
        .split_at_checked(format.hex_len())?;
    Some((ObjectId::from_hex(hex).ok()?, rest.strip_prefix(b"\n")?))
}

/// A tree, parsed. Gitlinks (commits of other repositories) are left out.
pub(super) struct Tree {
    bytes: Bytes,
    entries: Vec<Entry>,
    id_len: usize,
}

/// One entry: its kind, its name, and where its id lies.
struct Entry {
    kind: Kind,
    name: Range<u32>,
}

impl Tree {
    pub(super) fn parse(bytes: Bytes, format: ObjectFormat) -> Option<Self> {
        let id_len = format.raw_len();
        let mut entries = Vec::new();
        let mut at = 0;
        u32::try_from(bytes.len()).ok()?;
        while at < bytes.len() {
            let mode = until(&bytes, at, b' ')?;
            let name = until(&bytes, mode.end + 1, 0)?;
            at = name.end + 1 + id_len;
            if at > bytes.len() || name.is_empty() {
                return None;
            }
            let Some(kind) = kind(&bytes[mode])? else {
                continue;
            };
            let name = name.start as u32..name.end as u32;
            entries.push(Entry { kind, name });
        }
        Some(Self {
            bytes,
            entries,
            id_len,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns about how many bytes of memory the tree takes.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.entries.capacity() * size_of::<Entry>()
    }

    pub(super) fn kind(&self, entry: usize) -> Kind {
        self.entries[entry].kind
    }

    pub(super) fn name(&self, entry: usize) -> &[u8] {
        let name = &self.entries[entry].name;
        &self.bytes[name.start as usize..name.end as usize]
    }

    pub(super) fn id(&self, entry: usize) -> ObjectId {
        let start = self.entries[entry].name.end as usize + 1;
        let mut raw = [0; 32];
        raw[..self.id_len].copy_from_slice(&self.bytes[start..start + self.id_len]);
        match self.id_len {
            32 => ObjectId::Sha256(raw),
            _ => ObjectId::from_bytes(&raw[..20]).unwrap_or(ObjectId::null(ObjectFormat::Sha1)),
        }
    }
}

/// Returns the kind that a mode stands for; `Some(None)` for a gitlink.
fn kind(mode: &[u8]) -> Option<Option<Kind>> {
    let mut bits = 0_u32;
    for digit in mode {
        bits = bits.checked_mul(8)? + u32::from(digit.checked_sub(b'0').filter(|d| *d < 8)?);
    }
    match bits & 0o170_000 {
        0o040_000 => Some(Some(Kind::Tree)),
        0o160_000 => Some(None),
        0o100_000 | 0o120_000 => Some(Some(Kind::Blob)),
        _ => None,
    }
}

fn until(bytes: &[u8], from: usize, end: u8) -> Option<Range<usize>> {
    let length = bytes.get(from..)?.iter().position(|b| *b == end)?;
    Some(from..from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_merge_has_its_parents_in_order() {
        let other = HEX.replace('0', "f");
        let text = format!("tree {HEX}\nparent {other}\nparent {HEX}\nauthor x\n\nparent {HEX}\n");
        let (tree, parents) = commit(text.as_bytes(), ObjectFormat::Sha1).unwrap();
        assert_eq!(tree.to_string(), HEX);
        assert_eq!(parents.len(), 2);
        assert_eq!(parents[0].to_string(), other);
        assert!(commit(&text.as_bytes()[..44], ObjectFormat::Sha1).is_none());
        assert!(commit(text.as_bytes(), ObjectFormat::Sha256).is_none());
    }

    #[test]
    fn a_tag_names_its_kind() {
        let text = format!("object {HEX}\ntype tree\ntag x\n");
        let (id, kind) = tag(text.as_bytes(), ObjectFormat::Sha1).unwrap();
        assert_eq!((id.to_string().as_str(), kind), (HEX, Kind::Tree));
        let text = format!("object {HEX}\ntype folder\n");
        assert!(tag(text.as_bytes(), ObjectFormat::Sha1).is_none());
    }

    #[test]
    fn trees_leave_gitlinks_out() {
        let mut bytes = Vec::new();
        for (mode, name) in [
            ("100644", "a"),
            ("160000", "b"),
            ("40000", "c"),
            ("120000", "d"),
        ] {
            bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            bytes.extend_from_slice(&[name.as_bytes()[0]; 20]);
        }
        for cut in 1..bytes.len() {
            let part = Tree::parse(bytes[..cut].to_vec().into(), ObjectFormat::Sha1);
            // An entry here has 29 bytes, the folder's one less.
            assert_eq!(part.is_some(), [29, 58, 86].contains(&cut), "{cut}");
        }
        let tree = Tree::parse(bytes.into(), ObjectFormat::Sha1).unwrap();
        let names: Vec<_> = (0..tree.len()).map(|n| tree.name(n)).collect();
        assert_eq!(names, [b"a", b"c", b"d"]);
        assert_eq!(tree.id(1).as_bytes(), [b'c'; 20]);
    }

    #[test]
    fn odd_modes_are_refused() {
        for mode in ["", "9", "10064x", "777777777777", "0", "20000"] {
            let mut bytes = format!("{mode} a\0").into_bytes();
            bytes.extend_from_slice(&[1; 20]);
            assert!(
                Tree::parse(bytes.into(), ObjectFormat::Sha1).is_none(),
                "{mode}"
            );
        }
    }
}
