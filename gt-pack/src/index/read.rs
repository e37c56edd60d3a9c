//! Reads indexes that somebody else wrote.

use std::io;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use crate::hash::FileHasher;

/// An open `.idx` of version 2. Its tables are read as they are needed; no
/// number in it is trusted before it was compared with the file's length and
/// the pack's.
pub struct Index {
    source: Arc<dyn ReadAt>,
    format: ObjectFormat,
    fan: Box<[u32; 256]>,
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
        let mut head = [0; 8 + 1024];
        let tail = 2 * format.raw_len() as u64;
        let fixed = head.len() as u64 + tail;
        if source.size() < fixed {
            return Err(Error::Length {
                expected: fixed,
                got: source.size(),
            });
        }
        source.read_exact_at(0, &mut head)?;
        if &head[..4] != b"\xfftOc" || head[4..8] != 2_u32.to_be_bytes() {
            return Err(Error::Version);
        }
        let mut fan = Box::new([0_u32; 256]);
        let mut before = 0;
        for (slot, raw) in fan.iter_mut().zip(head[8..].chunks_exact(4)) {
            *slot = u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]);
            if *slot < before {
                return Err(Error::Fan);
            }
            before = *slot;
        }
        let tables = u64::from(before) * (format.raw_len() as u64 + 8);
        let rest = source.size() - fixed;
        let large = rest.checked_sub(tables).filter(|large| large % 8 == 0);
        let large = large.ok_or(Error::Length {
            expected: fixed + tables,
            got: source.size(),
        })? / 8;
        // Git leaves the first offset out of the long table at the least.
        if large > u64::from(before) {
            return Err(Error::Length {
                expected: fixed + tables,
                got: source.size(),
            });
        }
        Ok(Self {
            source,
            format,
            fan,
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
        while low < high {
            let middle = low + (high - low) / 2;
            match self.oid_at(middle)?.cmp(oid) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
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
        let at = 8 + 1024 + u64::from(place) * raw.len() as u64;
        self.source.read_exact_at(at, raw)?;
        ObjectId::from_bytes(raw).ok_or(Error::Version)
    }

    /// Returns the CRC-32 of the entry at `place`.
    ///
    /// # Errors
    /// [`Error::Place`] from [`len`](Self::len) on.
    pub fn crc32_at(&self, place: u32) -> Result<u32, Error> {
        self.check(place)?;
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
        let short = self.read_u32(table + 4 * u64::from(place))?;
        let offset = if short >> 31 == 0 {
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
        self.sum_at(self.source.size() - 2 * self.format.raw_len() as u64)
    }

    /// Compares the index with its own trailer, and its names with their
    /// order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_whole(&self) -> Result<(), Error> {
        let end = self.source.size() - self.format.raw_len() as u64;
        let mut hasher = FileHasher::new(self.format);
        let mut buffer = vec![0; 1 << 16];
        let mut at = 0;
        while at < end {
            let want = buffer.len().min((end - at) as usize);
            self.source.read_exact_at(at, &mut buffer[..want])?;
            hasher.update(&buffer[..want]);
            at += want as u64;
        }
        let (expected, got) = (hasher.finish(), self.sum_at(end)?);
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

    fn after_oids(&self) -> u64 {
        8 + 1024 + u64::from(self.len()) * self.format.raw_len() as u64
    }

    fn read_u32(&self, at: u64) -> Result<u32, Error> {
        let mut raw = [0; 4];
        self.source.read_exact_at(at, &mut raw)?;
        Ok(u32::from_be_bytes(raw))
    }

    fn sum_at(&self, at: u64) -> Result<ObjectId, Error> {
        let mut raw = [0; 32];
        let raw = &mut raw[..self.format.raw_len()];
        self.source.read_exact_at(at, raw)?;
        ObjectId::from_bytes(raw).ok_or(Error::Version)
    }
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is none, or of another version.
    #[error("expected an index of version 2, got other bytes")]
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
