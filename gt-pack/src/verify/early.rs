//! Entries found in the middle of a pack, before its turn comes.
//!
//! Where an entry begins is known when the one before it has been inflated, so
//! one thread reads a pack in order. But where a zlib stream ends whose sum is
//! right, an entry begins, unless somebody made it look so. Others read from
//! there; what they found counts only where the front arrives at one of these
//! entries itself: from there on the same bytes mean the same to both. Nothing
//! that was found is refused here: the front finds it again and says why.

use std::ops::Range;
use std::sync::Arc;

use gt_vfs::ObjectFormat;

use super::Error;
use super::front::Front;
use super::pieces::{Bytes, Memory, Shared};
use super::raw::{Content, RawEntry};
use crate::inflate::{Inflater, SCRATCH};
use crate::kind::Kind;
use crate::limits::Limits;

/// Entries that follow one another.
pub(super) struct Early {
    entries: Vec<Entry>,
    /// Bytes of objects and deltas, one after the other.
    bytes: Arc<Shared>,
}

struct Entry {
    raw: RawEntry,
    content: What,
}

enum What {
    /// An object.
    Whole(Kind, Range<usize>),
    /// A delta, where it is short.
    Delta(Option<Range<usize>>),
}

impl Early {
    /// Returns the entries from the one at `offset` on; none where none begins
    /// there.
    pub(super) fn from(&self, offset: u64) -> impl Iterator<Item = (RawEntry, Content<'_>)> + '_ {
        let is_at = |entry: &Entry| entry.raw.offset.cmp(&offset);
        let at = match self.entries.first() {
            Some(first) if first.raw.offset <= offset => self.entries.binary_search_by(is_at),
            _ => Err(0),
        };
        self.entries[at.unwrap_or(self.entries.len())..]
            .iter()
            .map(|entry| {
                let bytes = |range: &Range<usize>| Bytes::Shared(&self.bytes, range.clone());
                let content = match &entry.content {
                    What::Whole(kind, range) => Content::Whole(*kind, bytes(range)),
                    What::Delta(range) => Content::Delta(range.as_ref().map(bytes)),
                };
                (entry.raw, content)
            })
    }
}

/// Entries that are being found.
struct Finding {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Finding {
    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        begin..self.bytes.len()
    }
}

/// Inflated bytes that are kept of one part of a pack.
const HELD: usize = 1 << 20;
/// The largest object that is read early.
const LARGEST: u64 = 1 << 20;
/// Streams that are tried before a part is given up: a pack can be made of
/// what looks like them.
const TRIES: usize = 64;
/// Entries that must follow for a stream not to be part of a file.
const ENOUGH: usize = 2;

/// Looks for entries.
pub(super) struct Scout {
    front: Front,
}

impl Scout {
    pub(super) fn new(format: ObjectFormat, limits: &Limits) -> Self {
        let limits = Limits {
            object: limits.object.min(LARGEST),
            ..limits.clone()
        };
        Self {
            front: Front::part(format, &limits),
        }
    }

    /// Returns the entries that lie in `bytes`, the part of a pack that begins
    /// at `offset`: all from the first that it is sure of.
    pub(super) fn look(&mut self, bytes: &[u8], offset: u64, memory: &Memory) -> Early {
        let mut found = Finding {
            entries: Vec::new(),
            bytes: memory.take(HELD + SCRATCH),
        };
        self.find(bytes, offset, &mut found);
        Early {
            entries: found.entries,
            bytes: memory.share(found.bytes),
        }
    }

    fn find(&mut self, bytes: &[u8], offset: u64, found: &mut Finding) {
        let mut from = 0;
        for _ in 0..TRIES {
            let begin = bytes[from..].windows(2).position(begins_stream);
            let Some(begin) = begin.map(|n| from + n) else {
                return;
            };
            from = begin + 1;
            let Some(length) = stream(self.front.inflater(), &bytes[begin..]) else {
                continue;
            };
            let first = begin + length;
            if self.read(&bytes[first..], offset + first as u64, found) {
                return;
            }
        }
        found.clear();
    }

    /// Reads entries from where one seems to begin, and tells whether one does.
    fn read(&mut self, bytes: &[u8], offset: u64, found: &mut Finding) -> bool {
        found.clear();
        self.front.restart(offset);
        let read = self.front.push(bytes, None, &mut |raw, content| {
            let content = match content {
                Content::Whole(kind, bytes) => What::Whole(kind, found.keep(&bytes)),
                Content::Delta(bytes) => What::Delta(bytes.map(|bytes| found.keep(&bytes))),
                Content::Streamed(..) => return Err(Error::Stopped),
            };
            found.entries.push(Entry { raw, content });
            match found.bytes.len() < HELD {
                true => Ok(()),
                false => Err(Error::Stopped),
            }
        });
        read.is_ok() || found.entries.len() >= ENOUGH
    }
}

/// Tells whether these may be the first bytes of a zlib stream (RFC 1950) with
/// a window of 32 KiB, as all that write packs make it, and no dictionary.
fn begins_stream(bytes: &[u8]) -> bool {
    matches!(bytes, [0x78, flags] if flags & 0x20 == 0 && (0x7800 | u16::from(*flags)) % 31 == 0)
}

/// Returns the length of the short stream that `bytes` begin with; `None`
/// where none does.
fn stream(inflater: &mut Inflater, bytes: &[u8]) -> Option<usize> {
    inflater.reset();
    let (used, _, ended) = inflater.fill(bytes, 0).ok()?;
    ended.then_some(used)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{EntryHeader, EntryKind};
    use crate::hash::FileHasher;

    fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn entry(bytes: &[u8], distance: Option<u64>, level: u32, out: &mut Vec<u8>) {
        let kind = distance.map_or(EntryKind::Whole(Kind::Blob), EntryKind::OfsDelta);
        let size = bytes.len() as u64;
        EntryHeader { kind, size }.write(out);
        out.extend_from_slice(&zlib(bytes, level));
    }

    /// What entries hold: random bytes, or other entries, which stand in the
    /// pack as they are where they are only stored.
    fn content() -> impl Strategy<Value = (Vec<u8>, u32)> {
        let bytes = proptest::collection::vec(0_u8..20, 0..60);
        bytes
            .prop_flat_map(|bytes| (Just(bytes), 0..3_u32, 0..4_usize, any::<bool>()))
            .prop_map(|(bytes, level, inner, is_delta)| {
                let mut content = bytes.clone();
                for _ in 0..inner {
                    entry(&bytes, is_delta.then_some(7), 1, &mut content);
                }
                (content, level)
            })
    }

    fn pack(contents: &[(Vec<u8>, u32)], count: u32) -> Vec<u8> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend_from_slice(&count.to_be_bytes());
        for (n, (content, level)) in contents.iter().enumerate() {
            let distance = (n % 3 == 2).then_some(n as u64 + 1);
            entry(content, distance, *level, &mut pack);
        }
        let mut sum = FileHasher::new(ObjectFormat::Sha1);
        sum.update(&pack);
        pack.extend_from_slice(sum.finish().as_bytes());
        pack
    }

    /// What a front finds, and how many entries it did not find itself.
    fn read(pack: &[u8], parts: usize, is_early: bool) -> (Vec<String>, usize) {
        let limits = Limits::default();
        let format = ObjectFormat::Sha1;
        let mut front = Front::new(format, &limits, Some(pack.len() as u64));
        let mut scout = Scout::new(format, &limits);
        let memory = Memory::default();
        let (mut seen, mut found) = (Vec::new(), 0);
        for (n, part) in pack.chunks(parts).enumerate() {
            let early = scout.look(part, (n * parts) as u64, &memory);
            let from = early.entries.first().map(|entry| entry.raw.offset);
            let pushed = front.push(part, is_early.then_some(&early), &mut |raw, content| {
                let content = match content {
                    Content::Whole(kind, bytes) => format!("{kind} {:?}", &bytes[..]),
                    Content::Delta(bytes) => format!("delta {:?}", bytes.as_deref()),
                    Content::Streamed(..) => return Err(Error::Stopped),
                };
                found += usize::from(from == Some(raw.offset));
                seen.push(format!("{raw:?} {content}"));
                Ok(())
            });
            if let Err(fault) = pushed {
                seen.push(fault.to_string());
                return (seen, found);
            }
        }
        seen.push(format!("{:?}", front.finish().map_err(|e| e.to_string())));
        (seen, found)
    }

    proptest! {
        #[test]
        fn what_is_found_early_changes_nothing(
            contents in proptest::collection::vec(content(), 1..30),
            parts in 20_usize..600,
            more in -1_i32..2,
            alter in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            // The count is a lie now and then.
            let count = contents.len() as i32 + if parts % 3 == 0 { more } else { 0 };
            let mut pack = pack(&contents, count as u32);
            if let Some((at, to)) = alter {
                let at = at.index(pack.len());
                pack[at] = to;
            }
            let (plain, _) = read(&pack, parts, false);
            let (helped, _) = read(&pack, parts, true);
            prop_assert_eq!(plain, helped);
        }
    }

    #[test]
    fn much_is_found_early() {
        let content = |n: u8| (vec![n; usize::from(n)], 6);
        let contents: Vec<_> = (0..200).map(content).collect();
        let pack = pack(&contents, 200);
        let (_, found) = read(&pack, 300, true);
        // One for each part in which more than one entry ends.
        assert!(found >= 5, "{found} of {}", pack.len() / 300);
    }

    #[test]
    fn what_lies_in_a_file_is_not_believed() {
        // Entries that stand in a file as they are.
        let mut file = vec![b'.'; 500];
        (0..50).for_each(|n| entry(&[n; 9], None, 1, &mut file));
        let contents = vec![(vec![1, 2, 3], 6), (file, 0), (vec![4, 5, 6], 6)];
        let pack = pack(&contents, 3);
        let mut scout = Scout::new(ObjectFormat::Sha1, &Limits::default());
        let early = scout.look(&pack[300..], 300, &Memory::default());
        assert!(early.entries.len() > 40);
        assert_eq!(read(&pack, 300, false).0, read(&pack, 300, true).0);
    }
}
