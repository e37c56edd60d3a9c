//! Reads indexes that somebody else wrote.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::trailer;

/// An open `.idx` of version 1 or 2. Its tables are read as they are needed; no
/// number in it is trusted before it was compared with the file's length and
/// the pack's.
pub struct Index {
    source: Arc<dyn ReadAt>,
    format: ObjectFormat,
    fan: Box<[u32; 256]>,
    /// Bytes before the fan-out table: none in version 1.
    head: u64,
    large: u64,
    pack_length: u64,
}

impl Index {
    /// Opens the index of a pack of `pack_length` bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(
        source: Arc<dyn ReadAt>,
        format: ObjectFormat,
        pack_length: u64,
    ) -> Result<Self, Error> {
        let tail = 2 * format.raw_len() as u64;
        let mut start = [0; 8];
        if source.size() < 1024 + tail {
            return Err(Error::Length {
                expected: 1024 + tail,
                got: source.size(),
            });
        }
        source.read_exact_at(0, &mut start)?;
        // Version 1 has no head: it begins with a count, which is small.
        let head = match &start {
            [0xff, b't', b'O', b'c', 0, 0, 0, 2] => 8,
            [0xff, b't', b'O', b'c', ..] => return Err(Error::Version),
            _ => 0,
        };
        let fixed = head + 1024 + tail;
        if source.size() < fixed {
            return Err(Error::Length {
                expected: fixed,
                got: source.size(),
            });
        }
        let mut raw = [0; 1024];
        source.read_exact_at(head, &mut raw)?;
        let mut fan = Box::new([0_u32; 256]);
        let mut before = 0;
        for (slot, raw) in fan.iter_mut().zip(raw.chunks_exact(4)) {
            *slot = u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]);
            if *slot < before {
                return Err(Error::Fan);
            }
            before = *slot;
        }
        let beside = if head == 0 { 4 } else { 8 };
        let tables = u64::from(before) * (format.raw_len() as u64 + beside);
        let rest = source.size() - fixed;
        let large = rest.checked_sub(tables).filter(|large| large % 8 == 0);
        let large = large.ok_or(Error::Length {
            expected: fixed + tables,
            got: source.size(),
        })? / 8;
        // Git leaves the first offset out of the long table at the least.
        if large > u64::from(before) || head == 0 && large > 0 {
            return Err(Error::Length {
                expected: fixed + tables,
                got: source.size(),
            });
        }
        Ok(Self {
            source,
            format,
            fan,
            head,
            large,
            pack_length,
        })
    }

    /// Returns the number of objects.
    pub fn len(&self) -> u32 {
        self.fan[255]
    }

    /// Tells whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the place of an object in the order of names.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn find(&self, oid: &ObjectId) -> Result<Option<u32>, Error> {
        if oid.format() != self.format {
            return Ok(None);
        }
        let first = usize::from(oid.as_bytes()[0]);
        let mut low = if first == 0 { 0 } else { self.fan[first - 1] };
        let mut high = self.fan[first];
        while high - low > AT_ONCE {
            let middle = low + (high - low) / 2;
            match self.oid_at(middle)?.cmp(oid) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(middle)),
            }
        }
        // One read of a few kilobytes costs less than five of one name.
        let (width, stride) = (self.format.raw_len(), self.stride());
        let mut names = [0; AT_ONCE as usize * 36];
        let names = &mut names[..(high - low) as usize * stride];
        let at = self.names() + u64::from(low) * stride as u64;
        self.source.read_exact_at(at, names)?;
        let (mut from, mut to) = (0, (high - low) as usize);
        while from < to {
            let middle = from + (to - from) / 2;
            match names[middle * stride + stride - width..][..width].cmp(oid.as_bytes()) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Ok(Some(low + middle as u32)),
            }
        }
        Ok(None)
    }

    /// Returns the name of the object at `place`.
    ///
    /// # Errors
    /// [`Error::Place`] from [`len`](Self::len) on.
    pub fn oid_at(&self, place: u32) -> Result<ObjectId, Error> {
        self.check(place)?;
        let mut raw = [0; 32];
        let raw = &mut raw[..self.format.raw_len()];
        let skip = (self.stride() - raw.len()) as u64;
        let at = self.names() + u64::from(place) * self.stride() as u64 + skip;
        self.source.read_exact_at(at, raw)?;
        ObjectId::from_bytes(raw).ok_or(Error::Version)
    }

    /// Returns the CRC-32 of the entry at `place`, which version 1 does not
    /// tell.
    ///
    /// # Errors
    /// [`Error::Place`] from [`len`](Self::len) on, [`Error::Version`] in an
    /// index of version 1.
    pub fn crc32_at(&self, place: u32) -> Result<u32, Error> {
        self.check(place)?;
        if self.head == 0 {
            return Err(Error::Version);
        }
        let at = self.after_oids() + 4 * u64::from(place);
        self.read_u32(at)
    }

    /// Returns where the entry at `place` begins in the pack: behind the
    /// pack's header and before its trailer.
    ///
    /// # Errors
    /// [`Error::Offset`] where the index says otherwise.
    pub fn offset_at(&self, place: u32) -> Result<u64, Error> {
        self.check(place)?;
        let table = self.after_oids() + 4 * u64::from(self.len());
        let short = match self.head {
            0 => self.read_u32(self.names() + u64::from(place) * self.stride() as u64)?,
            _ => self.read_u32(table + 4 * u64::from(place))?,
        };
        let offset = if self.head == 0 || short >> 31 == 0 {
            u64::from(short)
        } else {
            let n = u64::from(short & !(1 << 31));
            if n >= self.large {
                return Err(Error::Offset(u64::from(short)));
            }
            let mut raw = [0; 8];
            let longs = table + 4 * u64::from(self.len());
            self.source.read_exact_at(longs + 8 * n, &mut raw)?;
            u64::from_be_bytes(raw)
        };
        let end = self
            .pack_length
            .saturating_sub(self.format.raw_len() as u64);
        if offset < 12 || offset >= end {
            return Err(Error::Offset(offset));
        }
        Ok(offset)
    }

    /// Returns the trailer of the pack that the index says it is of.
    ///
    /// # Errors
    /// What the source meets.
    pub fn pack_checksum(&self) -> Result<ObjectId, Error> {
        Ok(trailer::sum_at(
            &*self.source,
            self.format,
            self.source.size() - 2 * self.format.raw_len() as u64,
        )?)
    }

    /// Compares the index with its own trailer, and its names with their
    /// order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_whole(&self) -> Result<(), Error> {
        let (expected, got) = trailer::sums(&*self.source, self.format)?;
        if expected != got {
            return Err(Error::Checksum { expected, got });
        }
        let mut before = None;
        for place in 0..self.len() {
            let oid = self.oid_at(place)?;
            let bucket = usize::from(oid.as_bytes()[0]);
            let low = if bucket == 0 { 0 } else { self.fan[bucket - 1] };
            if before >= Some(oid) || place < low || place >= self.fan[bucket] {
                return Err(Error::Order(oid));
            }
            before = Some(oid);
        }
        Ok(())
    }

    fn check(&self, place: u32) -> Result<(), Error> {
        if place < self.len() {
            Ok(())
        } else {
            Err(Error::Place {
                limit: self.len(),
                got: place,
            })
        }
    }

    /// Where the names begin: in version 1 each stands behind its offset.
    fn names(&self) -> u64 {
        self.head + 1024
    }

    /// Bytes from one name to the next.
    fn stride(&self) -> usize {
        self.format.raw_len() + if self.head == 0 { 4 } else { 0 }
    }

    fn after_oids(&self) -> u64 {
        self.names() + u64::from(self.len()) * self.stride() as u64
    }

    fn read_u32(&self, at: u64) -> Result<u32, Error> {
        let mut raw = [0; 4];
        self.source.read_exact_at(at, &mut raw)?;
        Ok(u32::from_be_bytes(raw))
    }
}

/// Names that are read together at the end of a search.
const AT_ONCE: u32 = 64;

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is none, or of another version.
    #[error("expected an index of version 1 or 2, and for checksums 2, got another")]
    Version,
    /// Its length does not fit its tables.
    #[error("expected an index of {expected} bytes and whole long offsets, got {got}")]
    Length {
        /// Without long offsets.
        expected: u64,
        /// What it has.
        got: u64,
    },
    /// The first table goes down.
    #[error("expected a fan-out table that grows, got one that does not")]
    Fan,
    /// The names are not in order.
    #[error("expected sorted names in their buckets, got {0} out of order")]
    Order(ObjectId),
    /// There is no such object.
    #[error("expected a place below {limit}, got {got}")]
    Place {
        /// The number of objects.
        limit: u32,
        /// What was asked.
        got: u32,
    },
    /// An offset leads out of the pack.
    #[error("expected an offset inside the pack, got {0}")]
    Offset(u64),
    /// The trailer is not the sum of the bytes before it.
    #[error("expected index trailer {expected}, got {got}")]
    Checksum {
        /// The sum of the bytes.
        expected: ObjectId,
        /// What the trailer says.
        got: ObjectId,
    },
    /// The source broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use gt_vfs::{Memory, VPath, Vfs};
    use proptest::prelude::*;

    use super::*;
    use crate::index::write_idx;
    use crate::kind::Kind;
    use crate::verify::{Entries, Entry, Verified};

    fn file(bytes: Vec<u8>) -> Arc<dyn ReadAt> {
        let memory = Memory::new();
        let path = VPath::parse(b"idx").unwrap();
        memory.insert(path.clone(), bytes);
        Arc::from(memory.open(&path).unwrap())
    }

    fn verified(raws: impl IntoIterator<Item = ([u8; 20], u64, u32)>) -> Verified {
        let mut raws: Vec<_> = raws.into_iter().collect();
        raws.sort();
        raws.dedup_by_key(|raw| raw.0);
        let mut entries = Entries::new(ObjectFormat::Sha1);
        for (raw, offset, crc32) in raws {
            entries.push(&Entry {
                oid: ObjectId::Sha1(raw),
                offset,
                crc32,
                kind: Kind::Blob,
                size: 0,
                base: None,
                depth: 0,
            });
        }
        assert_eq!(entries.sort(), None);
        Verified {
            format: ObjectFormat::Sha1,
            length: u64::MAX,
            checksum: ObjectId::Sha1([5; 20]),
            entries,
            external: Vec::new(),
            inflated: 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_written_is_read(raws in proptest::collection::vec((any::<[u8; 20]>(), 12..1_u64 << 62, any::<u32>()), 0..200)) {
            let verified = verified(raws);
            let index = Index::open(file(write_idx(&verified)), ObjectFormat::Sha1, u64::MAX).unwrap();
            index.check_whole().unwrap();
            prop_assert_eq!(index.pack_checksum().unwrap(), verified.checksum);
            for (n, entry) in verified.entries.iter().enumerate() {
                let place = index.find(&entry.oid).unwrap();
                prop_assert_eq!(place, Some(n as u32));
                prop_assert_eq!(index.offset_at(n as u32).unwrap(), entry.offset);
                prop_assert_eq!(index.crc32_at(n as u32).unwrap(), entry.crc32);
            }
            prop_assert_eq!(index.find(&ObjectId::Sha1([0xab; 20])).unwrap(), None);
        }

        #[test]
        fn any_change_is_refused_or_stays_inside(at in any::<prop::sample::Index>(), byte in 1_u8.., cut in any::<prop::sample::Index>()) {
            let raws = (0..100_u8).map(|n| ([n.wrapping_mul(37); 20], 12 + u64::from(n) * 50, 0));
            let verified = verified(raws);
            let mut bytes = write_idx(&verified);
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
            let length = 6000;
            for bytes in [bytes.clone(), bytes[..cut.index(bytes.len())].to_vec()] {
                let Ok(index) = Index::open(file(bytes), ObjectFormat::Sha1, length) else {
                    continue;
                };
                prop_assert!(index.check_whole().is_err());
                for place in 0..index.len() + 1 {
                    if let Ok(offset) = index.offset_at(place) {
                        prop_assert!((12..length - 20).contains(&offset));
                    }
                }
                for entry in verified.entries.iter() {
                    let _ = index.find(&entry.oid);
                }
            }
        }
    }

    #[test]
    fn a_count_out_of_thin_air_is_refused() {
        let mut bytes = write_idx(&verified([([1; 20], 12, 0)]));
        bytes[8 + 1020..8 + 1024].fill(0xff);
        let refused = Index::open(file(bytes), ObjectFormat::Sha1, 100);
        assert!(matches!(refused, Err(Error::Length { .. })));
    }
}
