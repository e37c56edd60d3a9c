//! Reads a multi-pack-index: where each object of many packs begins
//! (git: `gitformat-pack`, "multi-pack-index").

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::trailer;

/// An open multi-pack-index of version 1. Tables are read as they are needed.
pub struct Multi {
    source: Arc<dyn ReadAt>,
    format: ObjectFormat,
    fan: Box<[u32; 256]>,
    packs: Vec<String>,
    names: u64,
    offsets: u64,
    /// Long offsets: where they begin, and how many there are.
    large: (u64, u64),
}

const HEAD: u64 = 12;
/// Names of packs in all, in bytes: more than any repository has, and read
/// into memory at once.
const PACK_NAMES: u64 = 64 << 20;

impl Multi {
    /// Opens the index.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(source: Arc<dyn ReadAt>, format: ObjectFormat) -> Result<Self, Error> {
        let mut head = [0; HEAD as usize];
        let width = format.raw_len() as u64;
        if source.size() < HEAD + 12 + width {
            return Err(Error::Head("an end before its tables"));
        }
        source.read_exact_at(0, &mut head)?;
        let number = match format {
            ObjectFormat::Sha256 => 2,
            _ => 1,
        };
        let [
            b'M',
            b'I',
            b'D',
            b'X',
            1,
            hash,
            chunks,
            base,
            p0,
            p1,
            p2,
            p3,
        ] = head
        else {
            return Err(Error::Head("another signature or version"));
        };
        if hash != number {
            return Err(Error::Head("another hash"));
        }
        if base != 0 {
            return Err(Error::Head("a base"));
        }
        let end = source.size() - width;
        let mut found = Chunks::default();
        found.read(&*source, chunks, end)?;
        let (at, length) = found.fan.ok_or(Error::Chunk("OIDF"))?;
        if length != 1024 {
            return Err(Error::Chunk("OIDF"));
        }
        let mut raw = [0; 1024];
        source.read_exact_at(at, &mut raw)?;
        let mut fan = Box::new([0_u32; 256]);
        let mut before = 0;
        for (slot, raw) in fan.iter_mut().zip(raw.chunks_exact(4)) {
            *slot = u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]);
            if *slot < before {
                return Err(Error::Chunk("OIDF"));
            }
            before = *slot;
        }
        let count = u64::from(before);
        let of_length = |chunk: Option<(u64, u64)>, each: u64, name| {
            let (at, length) = chunk.ok_or(Error::Chunk(name))?;
            match length == count * each {
                true => Ok(at),
                false => Err(Error::Chunk(name)),
            }
        };
        let names = of_length(found.names, width, "OIDL")?;
        let offsets = of_length(found.offsets, 8, "OOFF")?;
        let (at, length) = found.large.unwrap_or((0, 0));
        if length % 8 != 0 {
            return Err(Error::Chunk("LOFF"));
        }
        let count = u32::from_be_bytes([p0, p1, p2, p3]);
        Ok(Self {
            packs: pack_names(&*source, found.packs, count)?,
            source,
            format,
            fan,
            names,
            offsets,
            large: (at, length / 8),
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

    /// Returns the packs: names of their `.idx` files, without a folder.
    pub fn packs(&self) -> &[String] {
        &self.packs
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
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(middle)),
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
        let at = self.names + u64::from(place) * raw.len() as u64;
        self.source.read_exact_at(at, raw)?;
        ObjectId::from_bytes(raw).ok_or(Error::Place(place))
    }

    /// Returns which of the [packs](Self::packs) holds the object at `place`,
    /// and where its entry begins there. That this lies inside of the pack is
    /// for the caller to see, who knows its length.
    ///
    /// # Errors
    /// [`Error::Place`] from [`len`](Self::len) on, [`Error::Offset`] where
    /// the index names no pack or no offset.
    pub fn offset_at(&self, place: u32) -> Result<(u32, u64), Error> {
        self.check(place)?;
        let mut raw = [0; 8];
        self.source
            .read_exact_at(self.offsets + 8 * u64::from(place), &mut raw)?;
        let pack = u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]);
        let short = u32::from_be_bytes([raw[4], raw[5], raw[6], raw[7]]);
        if pack as usize >= self.packs.len() {
            return Err(Error::Offset(u64::from(pack)));
        }
        let (at, count) = self.large;
        // Without long offsets all 32 bits are an offset.
        let offset = if count == 0 || short >> 31 == 0 {
            u64::from(short)
        } else {
            let n = u64::from(short & !(1 << 31));
            if n >= count {
                return Err(Error::Offset(u64::from(short)));
            }
            self.source.read_exact_at(at + 8 * n, &mut raw)?;
            u64::from_be_bytes(raw)
        };
        if offset < 12 {
            return Err(Error::Offset(offset));
        }
        Ok((pack, offset))
    }

    /// Compares the index with its own trailer, its names with their order,
    /// and looks at every offset.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_whole(&self) -> Result<(), Error> {
        let (expected, got) = trailer::sums(&*self.source, self.format)?;
        if expected != got {
            return Err(Error::Checksum { expected });
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
            self.offset_at(place)?;
        }
        Ok(())
    }

    fn check(&self, place: u32) -> Result<(), Error> {
        match place < self.len() {
            true => Ok(()),
            false => Err(Error::Place(place)),
        }
    }
}

/// Where the tables lie: offset and length.
#[derive(Default)]
struct Chunks {
    packs: Option<(u64, u64)>,
    fan: Option<(u64, u64)>,
    names: Option<(u64, u64)>,
    offsets: Option<(u64, u64)>,
    large: Option<(u64, u64)>,
}

impl Chunks {
    /// Reads the table of contents, which ends with a chunk of no name.
    fn read(&mut self, source: &dyn ReadAt, count: u8, end: u64) -> Result<(), Error> {
        let mut raw = vec![0; 12 * (usize::from(count) + 1)];
        let first = HEAD + raw.len() as u64;
        if first > end {
            return Err(Error::Head("an end before its tables"));
        }
        source.read_exact_at(HEAD, &mut raw)?;
        let mut rows = raw.chunks_exact(12).map(|row| {
            let offset = [
                row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11],
            ];
            ([row[0], row[1], row[2], row[3]], u64::from_be_bytes(offset))
        });
        let Some((mut id, mut at)) = rows.next() else {
            return Ok(());
        };
        for (next_id, next) in rows {
            if at < first || next < at || next > end || id == [0; 4] {
                return Err(Error::Head("tables out of place"));
            }
            let slot = match &id {
                b"PNAM" => Some(&mut self.packs),
                b"OIDF" => Some(&mut self.fan),
                b"OIDL" => Some(&mut self.names),
                b"OOFF" => Some(&mut self.offsets),
                b"LOFF" => Some(&mut self.large),
                // Bitmaps and whatever comes: not needed to find an object.
                _ => None,
            };
            if slot.is_some_and(|slot| slot.replace((at, next - at)).is_some()) {
                return Err(Error::Head("a table twice"));
            }
            (id, at) = (next_id, next);
        }
        match id == [0; 4] && at <= end {
            true => Ok(()),
            false => Err(Error::Head("no end of its tables")),
        }
    }
}

fn pack_names(
    source: &dyn ReadAt,
    chunk: Option<(u64, u64)>,
    count: u32,
) -> Result<Vec<String>, Error> {
    let (at, length) = chunk.ok_or(Error::Chunk("PNAM"))?;
    if length > PACK_NAMES || u64::from(count) > length {
        return Err(Error::Chunk("PNAM"));
    }
    let mut raw = vec![0; length as usize];
    source.read_exact_at(at, &mut raw)?;
    let mut rest = &raw[..];
    let mut names: Vec<String> = Vec::new();
    for _ in 0..count {
        let end = rest.iter().position(|b| *b == 0);
        let (name, behind) = rest.split_at(end.ok_or(Error::Chunk("PNAM"))?);
        rest = &behind[1..];
        let name = std::str::from_utf8(name).map_err(|_| Error::Chunk("PNAM"))?;
        // A name that leads out of the folder names no pack.
        let is_name = name.ends_with(".idx") || name.ends_with(".pack");
        if !is_name || name.contains('/') || name.starts_with('.') {
            return Err(Error::Pack(name.chars().take(80).collect()));
        }
        if names.last().is_some_and(|before| before.as_str() >= name) {
            return Err(Error::Chunk("PNAM"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Why a multi-pack-index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is none, of another version or hash, or its contents are amiss.
    #[error("expected a multi-pack-index of version 1, got {0}")]
    Head(&'static str),
    /// A table is missing, or of a length that does not fit.
    #[error("expected a table {0} that fits the others, got none")]
    Chunk(&'static str),
    /// A pack's name is none.
    #[error("expected the name of a pack's index, got {0:?}")]
    Pack(String),
    /// The names are not in order.
    #[error("expected sorted names in their buckets, got {0} out of order")]
    Order(ObjectId),
    /// There is no such object.
    #[error("expected the place of an object, got {0}")]
    Place(u32),
    /// A pack or an offset is none.
    #[error("expected a pack and an offset in it, got {0}")]
    Offset(u64),
    /// The trailer is not the sum of the bytes before it.
    #[error("expected multi-pack-index trailer {expected}, got another")]
    Checksum {
        /// The sum of the bytes.
        expected: ObjectId,
    },
    /// The source broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}
