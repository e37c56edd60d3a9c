//! What a file is, whatever it is called: the merkle tree of BEP 52.
//!
//! A file is cut into blocks of 16 KiB; a leaf is the SHA-256 of a block (the
//! last block as short as it is), and leaves of zeros fill the tree up to a
//! power of two. The root names the content; it does not depend on the piece
//! length.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::oid::ObjectId;

/// Bytes in a block, the unit of hashing and of requests (BEP 3, BEP 52).
pub const BLOCK: usize = 16 * 1024;

/// A SHA-256 digest inside a tree.
pub type Hash = [u8; 32];

/// An identity of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ContentId {
    /// The id of a git object.
    Git(ObjectId),
    /// The SHA-256 of all bytes.
    Sha256([u8; 32]),
    /// The merkle root of BEP 52.
    Root(Root),
}

/// The merkle root of a file (`pieces root` in BEP 52). An empty file has the
/// root [`Root::EMPTY`], which torrents leave out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root(pub Hash);

impl Root {
    /// The root of a file without bytes: no leaf at all.
    pub const EMPTY: Self = Self([0; 32]);

    /// Returns the root of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = TreeHasher::new();
        hasher.update(bytes);
        hasher.finish().root()
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root(")?;
        self.0[..5].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

impl FromStr for Root {
    type Err = crate::oid::ParseError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match ObjectId::from_hex(s.as_bytes())? {
            ObjectId::Sha256(hash) => Ok(Self(hash)),
            ObjectId::Sha1(_) => Err(crate::oid::ParseError::Hex(s.len())),
        }
    }
}

/// Hashes a file block by block as its bytes come, in order.
#[derive(Clone, Debug, Default)]
pub struct TreeHasher {
    leaves: Vec<Hash>,
    block: Sha256,
    filled: usize,
    size: u64,
}

impl TreeHasher {
    /// Returns a hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        self.leaves.push(self.block.finalize_reset().into());
        self.filled = 0;
    }

    /// Ends the file.
    pub fn finish(mut self) -> Tree {
        if self.filled > 0 {
            self.end_block();
        }
        Tree {
            leaves: self.leaves,
            size: self.size,
        }
    }
}

/// The leaves of a file's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    leaves: Vec<Hash>,
    size: u64,
}

impl Tree {
    /// Returns the length of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns one hash for each block.
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    /// Returns the root.
    pub fn root(&self) -> Root {
        if self.leaves.is_empty() {
            return Root::EMPTY;
        }
        Root(merkle(
            &self.leaves,
            self.leaves.len().next_power_of_two(),
            [0; 32],
        ))
    }

    /// Returns one hash for each piece: the layer of the tree that BEP 52
    /// calls `piece layers`. A file of one piece or less has no such layer in
    /// a torrent; here it is the root alone.
    ///
    /// # Panics
    /// If `piece_length` is no power of two of at least [`BLOCK`]: a caller's
    /// mistake, since metainfo is checked when it is read.
    pub fn piece_layer(&self, piece_length: u64) -> Vec<Hash> {
        assert!(
            piece_length.is_power_of_two() && piece_length >= BLOCK as u64,
            "piece length {piece_length} is no power of two from 16 KiB"
        );
        if self.size <= piece_length {
            return vec![self.root().0];
        }
        let width = usize::try_from(piece_length / BLOCK as u64).unwrap_or(usize::MAX);
        self.leaves
            .chunks(width)
            .map(|leaves| merkle(leaves, width, [0; 32]))
            .collect()
    }
}

/// Returns the root of a perfect tree of `width` leaves (a power of two), the
/// missing ones of which are `pad`.
pub fn merkle(leaves: &[Hash], width: usize, pad: Hash) -> Hash {
    debug_assert!(width.is_power_of_two() && leaves.len() <= width);
    let mut row = leaves.to_vec();
    let mut pad = pad;
    let mut width = width;
    while width > 1 {
        if row.len() % 2 == 1 {
            row.push(pad);
        }
        row = row
            .chunks_exact(2)
            .map(|two| pair(&two[0], &two[1]))
            .collect();
        pad = pair(&pad, &pad);
        width /= 2;
    }
    row.first().copied().unwrap_or(pad)
}

/// Returns the hash of a node above `left` and `right`.
pub fn pair(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Returns the hash of a subtree of 2^`level` leaves of zeros: what fills up
/// a layer `level` rows above the leaves.
pub fn padding(level: u32) -> Hash {
    (0..level).fold([0; 32], |hash, _| pair(&hash, &hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn one_block_is_its_own_root() {
        let bytes = sample(100);
        assert_eq!(Root::of(&bytes).0, <Hash>::from(Sha256::digest(&bytes)));
        assert_eq!(Root::of(b""), Root::EMPTY);
    }

    #[test]
    fn piece_layers_lead_to_the_root() {
        for length in [
            1,
            BLOCK,
            BLOCK + 1,
            5 * BLOCK,
            16 * BLOCK - 3,
            37 * BLOCK + 7,
        ] {
            let mut hasher = TreeHasher::new();
            sample(length).chunks(1000).for_each(|c| hasher.update(c));
            let tree = hasher.finish();
            assert_eq!(tree.root(), Root::of(&sample(length)));
            for level in 0..4 {
                let piece = (BLOCK as u64) << level;
                let layer = tree.piece_layer(piece);
                if tree.size() > piece {
                    assert_eq!(layer.len() as u64, tree.size().div_ceil(piece));
                    let width = layer.len().next_power_of_two();
                    assert_eq!(merkle(&layer, width, padding(level)), tree.root().0);
                }
            }
        }
    }
}
