//! The hashes of blocks of v2 torrents, made as the blocks are written: the
//! swarm gives a block on as soon as it knows it for right, and the hashes of
//! all blocks make that of the piece, so that nothing is hashed twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gt_vfs::content::{BLOCK, Hash};
use sha2::{Digest, Sha256};

use crate::geometry::{Block, Geometry, PieceIndex};

/// Pieces whose blocks are remembered at a time; those of others are read
/// again.
const PIECES: usize = 256;

/// Blocks of pieces as they lie on the disk, as far as they were hashed.
#[derive(Default)]
pub(super) struct Blocks {
    pieces: Mutex<BTreeMap<PieceIndex, Vec<Option<Hash>>>>,
}

/// Returns the leaf that a block is in its file's tree.
pub(super) fn leaf(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

impl Blocks {
    /// Hashes a block that was written, or could not be; returns its hash
    /// where it is one of the tree.
    pub(super) fn wrote(
        &self,
        geometry: &Geometry,
        block: Block,
        bytes: &[u8],
        written: bool,
    ) -> Option<Hash> {
        let n = block.offset as usize / BLOCK;
        let own = geometry.blocks(block.piece).nth(n) == Some(block);
        let hash = (own && written).then(|| leaf(bytes));
        let mut pieces = self.lock();
        if pieces.len() < PIECES || pieces.contains_key(&block.piece) {
            let blocks = pieces.entry(block.piece).or_default();
            blocks.resize(geometry.block_count(block.piece) as usize, None);
            // What is written across others leaves nothing known of them.
            let end = (block.offset as usize + block.length as usize).div_ceil(BLOCK);
            let end = end.min(blocks.len());
            blocks[n.min(end)..end].fill(hash);
        }
        hash
    }

    /// Takes what is known of a piece: nothing, or a hash or none for each
    /// block.
    pub(super) fn take(&self, piece: PieceIndex) -> Vec<Option<Hash>> {
        self.lock().remove(&piece).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PieceIndex, Vec<Option<Hash>>>> {
        // Each change is one assignment.
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use gt_vfs::VPath;
    use gt_vfs::content::TreeHasher;

    use super::*;
    use crate::geometry::File;

    #[test]
    fn blocks_are_known_in_any_order_and_forgotten_when_written_over() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 5).map(|n| (n / 7) as u8).collect();
        let mut hasher = TreeHasher::new();
        hasher.update(&bytes);
        let tree = hasher.finish();
        let path = VPath::parse(b"f").unwrap();
        let file = File::new(path, bytes.len() as u64).with_root(tree.root());
        let geometry = Geometry::v2(4 * BLOCK as u64, vec![file], vec![None]).unwrap();
        let piece = PieceIndex(0);
        let all: Vec<Block> = geometry.blocks(piece).collect();
        let part = |block: Block| {
            let from = block.offset as usize;
            &bytes[from..from + block.length as usize]
        };
        let blocks = Blocks::default();
        for n in [3, 0, 2] {
            let hash = blocks.wrote(&geometry, all[n], part(all[n]), true);
            assert_eq!(hash, Some(tree.leaves()[n]));
        }
        assert_eq!(
            blocks.wrote(&geometry, all[2], part(all[2]), false),
            None,
            "the disk may hold anything"
        );
        let odd = Block {
            offset: 9,
            length: 20,
            ..all[0]
        };
        assert_eq!(blocks.wrote(&geometry, odd, &bytes[9..29], true), None);
        let known = blocks.take(piece);
        assert_eq!(known, [None, None, None, Some(tree.leaves()[3])]);
        assert!(blocks.take(piece).is_empty());
    }
}
