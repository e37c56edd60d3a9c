//! A set of pieces, as BEP 3's `bitfield` message carries it.

use std::fmt;

use bytes::Bytes;

/// Which of a fixed number of things are there; the first is the highest bit
/// of the first byte.
///
/// The number set is kept beside the bits, so asking for it costs nothing.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    bits: Vec<u8>,
    len: u32,
    ones: u32,
}

impl Bitfield {
    /// Returns a set of `len` places with none taken.
    pub fn empty(len: u32) -> Self {
        Self {
            bits: vec![0; bytes_for(len)],
            len,
            ones: 0,
        }
    }

    /// Returns a set of `len` places, all taken.
    pub fn full(len: u32) -> Self {
        let mut bits = vec![0xff; bytes_for(len)];
        if let (Some(last), spare @ 1..) = (bits.last_mut(), spare_bits(len)) {
            *last <<= spare;
        }
        Self {
            bits,
            len,
            ones: len,
        }
    }

    /// Reads the payload of a `bitfield` message.
    ///
    /// # Errors
    /// Where the length is wrong or a spare bit is set: BEP 3 lets such a
    /// connection be dropped.
    pub fn read(raw: &[u8], len: u32) -> Result<Self, Error> {
        if raw.len() != bytes_for(len) {
            return Err(Error::Length {
                expected: bytes_for(len),
                got: raw.len(),
            });
        }
        let spare = spare_bits(len);
        if raw
            .last()
            .is_some_and(|last| last & ((1 << spare) - 1) != 0)
        {
            return Err(Error::SpareBits { len });
        }
        Ok(Self {
            bits: raw.to_vec(),
            len,
            ones: raw.iter().map(|b| b.count_ones()).sum(),
        })
    }

    /// Returns the payload of a `bitfield` message.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bits)
    }

    /// Returns the number of places.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Tells whether no place is taken.
    pub fn is_empty(&self) -> bool {
        self.ones == 0
    }

    /// Tells whether every place is taken.
    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Returns how many places are taken.
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// Tells whether place `n` is taken; `false` beyond the end.
    pub fn has(&self, n: u32) -> bool {
        n < self.len && self.bits[n as usize / 8] & (0x80 >> (n % 8)) != 0
    }

    /// Takes place `n` and tells whether it was free; nothing happens beyond
    /// the end.
    pub fn insert(&mut self, n: u32) -> bool {
        let free = n < self.len && !self.has(n);
        if free {
            self.bits[n as usize / 8] |= 0x80 >> (n % 8);
            self.ones += 1;
        }
        free
    }

    /// Frees place `n` and tells whether it was taken.
    pub fn remove(&mut self, n: u32) -> bool {
        let taken = self.has(n);
        if taken {
            self.bits[n as usize / 8] &= !(0x80 >> (n % 8));
            self.ones -= 1;
        }
        taken
    }

    /// Goes through the taken places in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits
            .iter()
            .zip(0u32..)
            .filter(|(byte, _)| **byte != 0)
            .flat_map(|(byte, n)| {
                (0..8u32)
                    .filter(move |bit| byte & (0x80 >> bit) != 0)
                    .map(move |bit| n * 8 + bit)
            })
    }

    /// Goes through the free places in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|n| !self.has(*n))
    }

    /// Tells whether some place is taken here and free in `other`.
    pub fn has_more_than(&self, other: &Self) -> bool {
        // Of more things one at least is another, and the bits need not be fetched.
        (self.ones > other.ones && self.len == other.len)
            || self
                .bits
                .iter()
                .zip(&other.bits)
                .any(|(ours, theirs)| ours & !theirs != 0)
    }
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({}/{})", self.ones, self.len)
    }
}

/// Why a payload is no bitfield of this torrent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The number of pieces asks for another length.
    #[error("expected a bitfield of {expected} bytes, got {got}")]
    Length {
        /// Bytes for the pieces there are.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A bit behind the last piece is set.
    #[error("expected zero bits after piece {len}, got ones")]
    SpareBits {
        /// The number of pieces.
        len: u32,
    },
}

fn bytes_for(len: u32) -> usize {
    len.div_ceil(8) as usize
}

fn spare_bits(len: u32) -> u32 {
    (8 - len % 8) % 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn full_has_no_spare_bits() {
        for len in 0..40 {
            let full = Bitfield::full(len);
            assert_eq!(Bitfield::read(&full.to_bytes(), len).unwrap(), full);
            assert!(full.is_full());
            assert_eq!(full.iter().count() as u32, len);
        }
    }

    #[test]
    fn wrong_length_and_spare_bits_are_refused() {
        assert_eq!(
            Bitfield::read(&[0], 9),
            Err(Error::Length {
                expected: 2,
                got: 1
            })
        );
        assert_eq!(
            Bitfield::read(&[0, 0x40], 9),
            Err(Error::SpareBits { len: 9 })
        );
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(len in 1u32..200, steps in prop::collection::vec((any::<bool>(), 0u32..220), 0..300)) {
            let mut field = Bitfield::empty(len);
            let mut set = std::collections::BTreeSet::new();
            for (put, n) in steps {
                if put {
                    prop_assert_eq!(field.insert(n), n < len && set.insert(n));
                } else {
                    prop_assert_eq!(field.remove(n), set.remove(&n));
                }
            }
            prop_assert_eq!(field.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(field.missing().count() + set.len(), len as usize);
            prop_assert_eq!(field.count() as usize, set.len());
            prop_assert_eq!(Bitfield::read(&field.to_bytes(), len).unwrap(), field);
        }
    }
}
