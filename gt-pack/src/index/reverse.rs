//! Reads `.rev` files: the objects of a pack in the order in which they lie.

use std::io;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::trailer;

/// An open `.rev` of version 1.
pub struct Reverse {
    source: Arc<dyn ReadAt>,
    format: ObjectFormat,
    count: u32,
}

const HEAD: u64 = 12;

impl Reverse {
    /// Opens the reverse index of a pack of `count` objects.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(source: Arc<dyn ReadAt>, format: ObjectFormat, count: u32) -> Result<Self, Error> {
        let tail = 2 * format.raw_len() as u64;
        let expected = HEAD + 4 * u64::from(count) + tail;
        if source.size() != expected {
            return Err(Error::Length {
                expected,
                got: source.size(),
            });
        }
        let mut head = [0; HEAD as usize];
        source.read_exact_at(0, &mut head)?;
        let number: u32 = match format {
            ObjectFormat::Sha256 => 2,
            _ => 1,
        };
        let [a, b, c, d] = number.to_be_bytes();
        if head != [b'R', b'I', b'D', b'X', 0, 0, 0, 1, a, b, c, d] {
            return Err(Error::Head);
        }
        Ok(Self {
            source,
            format,
            count,
        })
    }

    /// Returns the number of objects.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Tells whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the place in the index of the object that is the `nth` in the
    /// pack, from 0.
    ///
    /// # Errors
    /// [`Error::Place`] where there is none, or the file names none.
    pub fn place_at(&self, nth: u32) -> Result<u32, Error> {
        if nth >= self.count {
            return Err(Error::Place(nth));
        }
        let mut raw = [0; 4];
        self.source
            .read_exact_at(HEAD + 4 * u64::from(nth), &mut raw)?;
        let place = u32::from_be_bytes(raw);
        match place < self.count {
            true => Ok(place),
            false => Err(Error::Place(place)),
        }
    }

    /// Returns the trailer of the pack that the file says it is of.
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

    /// Compares the file with its own trailer, and looks whether every place
    /// stands in it once.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_whole(&self) -> Result<(), Error> {
        let (expected, got) = trailer::sums(&*self.source, self.format)?;
        if expected != got {
            return Err(Error::Checksum { expected, got });
        }
        // The file has four bytes for each of these bits.
        let mut seen = vec![0_u64; self.count.div_ceil(64) as usize];
        for nth in 0..self.count {
            let place = self.place_at(nth)?;
            let (word, bit) = (&mut seen[place as usize / 64], 1 << (place % 64));
            if *word & bit != 0 {
                return Err(Error::Place(place));
            }
            *word |= bit;
        }
        Ok(())
    }
}

/// Why a reverse index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is none, of another version, or of another hash.
    #[error("expected a reverse index of version 1 and the pack's hash, got other bytes")]
    Head,
    /// Its length does not fit the number of objects.
    #[error("expected a reverse index of {expected} bytes, got {got}")]
    Length {
        /// For the objects of the pack.
        expected: u64,
        /// What it has.
        got: u64,
    },
    /// There is no such object, or one stands twice.
    #[error("expected the place of an object, each once, got {0}")]
    Place(u32),
    /// The trailer is not the sum of the bytes before it.
    #[error("expected reverse index trailer {expected}, got {got}")]
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
