//! The header that stands before each entry of a pack (git: `gitformat-pack`).

use gt_vfs::{ObjectFormat, ObjectId};

use crate::kind::Kind;

/// What an entry's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An object as it is.
    Whole(Kind),
    /// A delta on the entry that begins this many bytes before.
    OfsDelta(u64),
    /// A delta on the object of this name.
    RefDelta(ObjectId),
}

/// The header of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// What the inflated bytes are.
    pub kind: EntryKind,
    /// How many inflated bytes follow: of the object, or of the delta itself.
    pub size: u64,
}

/// The longest header: ten bytes of size, and a SHA-256 id or ten bytes of
/// distance.
pub const MAX_ENTRY_HEADER: usize = 10 + 32;

impl EntryHeader {
    /// Reads a header from the start of `bytes`, and says how long it is;
    /// `None` where `bytes` end before it does.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(bytes: &[u8], format: ObjectFormat) -> Result<Option<(Self, usize)>, Error> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let mut size = u64::from(first & 15);
        let mut shift = 4;
        let mut at = 1;
        let mut more = first & 0x80 != 0;
        while more {
            let Some(&byte) = bytes.get(at) else {
                return Ok(None);
            };
            let part = u64::from(byte & 0x7f);
            if shift >= 64 || (part << shift) >> shift != part {
                return Err(Error::Size);
            }
            size |= part << shift;
            shift += 7;
            at += 1;
            more = byte & 0x80 != 0;
        }
        let kind = match first >> 4 & 7 {
            1 => EntryKind::Whole(Kind::Commit),
            2 => EntryKind::Whole(Kind::Tree),
            3 => EntryKind::Whole(Kind::Blob),
            4 => EntryKind::Whole(Kind::Tag),
            6 => {
                let Some((distance, length)) = read_distance(&bytes[at..])? else {
                    return Ok(None);
                };
                at += length;
                EntryKind::OfsDelta(distance)
            }
            7 => {
                let Some(raw) = bytes.get(at..at + format.raw_len()) else {
                    return Ok(None);
                };
                at += raw.len();
                match ObjectId::from_bytes(raw) {
                    Some(oid) => EntryKind::RefDelta(oid),
                    None => return Ok(None),
                }
            }
            other => return Err(Error::Type(other)),
        };
        Ok(Some((Self { kind, size }, at)))
    }

    /// Writes the header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let code = match self.kind {
            EntryKind::Whole(kind) => kind.pack_type(),
            EntryKind::OfsDelta(_) => 6,
            EntryKind::RefDelta(_) => 7,
        };
        let mut rest = self.size >> 4;
        let mut byte = code << 4 | (self.size & 15) as u8;
        while rest > 0 {
            out.push(byte | 0x80);
            byte = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        out.push(byte);
        match self.kind {
            EntryKind::Whole(_) => {}
            EntryKind::OfsDelta(distance) => write_distance(distance, out),
            EntryKind::RefDelta(oid) => out.extend_from_slice(oid.as_bytes()),
        }
    }
}

/// Reads the distance of an offset delta: big-endian groups of seven bits,
/// where each further byte also adds one so that no number has two forms.
fn read_distance(bytes: &[u8]) -> Result<Option<(u64, usize)>, Error> {
    let mut distance = 0_u64;
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 {
            distance = distance
                .checked_add(1)
                .filter(|d| d >> 57 == 0)
                .ok_or(Error::Distance)?
                << 7;
        }
        distance |= u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(Some((distance, n + 1)));
        }
    }
    Ok(None)
}

fn write_distance(distance: u64, out: &mut Vec<u8>) {
    let mut groups = [0; 10];
    let mut at = groups.len() - 1;
    groups[at] = (distance & 0x7f) as u8;
    let mut rest = distance >> 7;
    while rest > 0 {
        rest -= 1;
        at -= 1;
        groups[at] = 0x80 | (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.extend_from_slice(&groups[at..]);
}

/// Why bytes are no entry header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Types 0 and 5 are not in use.
    #[error("expected an entry of type 1 to 4, 6 or 7, got {0}")]
    Type(u8),
    /// The size does not fit into 64 bits.
    #[error("expected a size below 2^64, got a longer number")]
    Size,
    /// The distance does not fit into 64 bits.
    #[error("expected a distance below 2^64, got a longer number")]
    Distance,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unused_types_are_refused() {
        for code in [0, 5] {
            assert_eq!(
                EntryHeader::read(&[code << 4], ObjectFormat::Sha1),
                Err(Error::Type(code))
            );
        }
    }

    #[test]
    fn endless_numbers_are_refused() {
        let sizes = [0xbf; 40];
        assert_eq!(
            EntryHeader::read(&sizes, ObjectFormat::Sha1),
            Err(Error::Size)
        );
        let mut distance = vec![0x60];
        distance.extend([0xff; 40]);
        assert_eq!(
            EntryHeader::read(&distance, ObjectFormat::Sha1),
            Err(Error::Distance)
        );
    }

    fn kinds() -> impl Strategy<Value = EntryKind> {
        prop_oneof![
            Just(EntryKind::Whole(Kind::Commit)),
            Just(EntryKind::Whole(Kind::Tree)),
            Just(EntryKind::Whole(Kind::Blob)),
            Just(EntryKind::Whole(Kind::Tag)),
            (0..1_u64 << 60).prop_map(EntryKind::OfsDelta),
            any::<[u8; 20]>().prop_map(|raw| EntryKind::RefDelta(ObjectId::Sha1(raw))),
        ]
    }

    proptest! {
        #[test]
        fn header_round_trip(kind in kinds(), size in any::<u64>()) {
            let header = EntryHeader { kind, size };
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(EntryHeader::read(&bytes[..cut], ObjectFormat::Sha1), Ok(None));
            }
            let read = EntryHeader::read(&bytes, ObjectFormat::Sha1);
            prop_assert_eq!(read, Ok(Some((header, bytes.len()))));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = EntryHeader::read(&bytes, ObjectFormat::Sha256);
        }
    }
}
