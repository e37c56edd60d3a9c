//! BEP 52's hash requests: how a peer that knows only a file's root learns
//! the hashes below it, and proves each answer against the root.
//!
//! ```text
//!            root                     layer 3 = height
//!        x           u₁               a request for c d with all proofs
//!     p     u₀    .     .             answers c d u₀' … : the hashes, then
//!    a b   c d   e f   g pad          one uncle for each row up to the root
//! ```

mod layer;

use bytes::{Buf, BufMut};
use gt_vfs::Root;
use gt_vfs::content::{Hash, pair};

pub use layer::{LayerFetch, Served, Tree};

/// The most hashes in one answer (BEP 52).
pub const MAX_HASHES: u32 = 512;

/// A row of hashes of a file's tree: what `hash request`, `hashes` and
/// `hash reject` begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashSpan {
    /// The file, by its root.
    pub root: Root,
    /// The row, counted upwards; 0 has the leaves.
    pub base: u32,
    /// The first hash, counted in that row; a multiple of `length`.
    pub index: u32,
    /// How many hashes: a power of two, at least 2.
    pub length: u32,
    /// How many rows above `base` the uncles shall come from; those that
    /// follow from the hashes themselves are left out of the answer.
    pub proofs: u32,
}

impl HashSpan {
    /// Bytes on the wire.
    pub const LENGTH: usize = 48;

    /// Writes the 48 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_slice(&self.root.0);
        out.put_u32(self.base);
        out.put_u32(self.index);
        out.put_u32(self.length);
        out.put_u32(self.proofs);
    }

    /// Reads 48 bytes, which must be there.
    pub(crate) fn decode(raw: &mut impl Buf) -> Self {
        let mut root = [0; 32];
        raw.copy_to_slice(&mut root);
        Self {
            root: Root(root),
            base: raw.get_u32(),
            index: raw.get_u32(),
            length: raw.get_u32(),
            proofs: raw.get_u32(),
        }
    }

    /// Tells whether the span lies in a tree whose root stands `height` rows
    /// above the leaves, and is one that an answer may be given to.
    pub fn fits(&self, height: u32) -> bool {
        height < 32
            && self.base < height
            && (2..=MAX_HASHES).contains(&self.length)
            && self.length.is_power_of_two()
            && self.index.is_multiple_of(self.length)
            && u64::from(self.index) + u64::from(self.length) <= 1 << (height - self.base)
            && self.proofs < height - self.base
    }

    /// Returns how many uncles an answer carries after the hashes: a span of
    /// 2ⁿ hashes makes n rows above it known, so that the first n-1 of the
    /// rows asked for need none.
    pub fn uncles(&self) -> u32 {
        self.proofs
            .saturating_add(1)
            .saturating_sub(self.length.trailing_zeros())
    }

    /// Checks an answer to this request in a tree of `height` rows whose
    /// proof reaches up to the root, and returns the hashes of the row.
    ///
    /// # Errors
    /// Where the answer is not as long as it must be or does not lead to the
    /// root: proof that its sender lies.
    pub fn check(&self, height: u32, answer: &[u8]) -> Result<Vec<Hash>, Error> {
        let expected = (u64::from(self.length) + u64::from(self.uncles())) as usize * 32;
        if !self.fits(height) || answer.len() != expected {
            return Err(Error::Length {
                expected,
                got: answer.len(),
            });
        }
        let all: Vec<Hash> = answer
            .chunks_exact(32)
            .map(|hash| hash.try_into().expect("chunks of 32 bytes"))
            .collect();
        let (hashes, uncles) = all.split_at(self.length as usize);
        let mut node = gt_vfs::content::merkle(hashes, hashes.len(), [0; 32]);
        let mut place = self.index / self.length;
        for uncle in uncles {
            node = if place.is_multiple_of(2) {
                pair(&node, uncle)
            } else {
                pair(uncle, &node)
            };
            place /= 2;
        }
        if node == self.root.0 {
            Ok(hashes.to_vec())
        } else {
            Err(Error::Proof { root: self.root })
        }
    }
}

/// Why an answer is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not the bytes that the request asked for.
    #[error("expected {expected} bytes of hashes, got {got}")]
    Length {
        /// Bytes asked for.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// The hashes and their uncles do not lead to the root.
    #[error("expected hashes that lead to root {root}, got others")]
    Proof {
        /// The file.
        root: Root,
    },
}
