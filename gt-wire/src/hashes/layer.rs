//! Fetching a whole piece layer, and answering requests from what is known.

use bytes::{BufMut, Bytes, BytesMut};
use gt_vfs::Root;
use gt_vfs::content::{Hash, padding, pair};

use super::{Error, HashSpan, MAX_HASHES};

/// The shape of one file's tree, seen from its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The root.
    pub root: Root,
    /// Blocks of 16 KiB in the file.
    pub blocks: u64,
    /// The row of the piece layer: log₂ of the blocks in a piece.
    pub piece_row: u32,
}

impl Tree {
    /// Returns how many rows the root stands above the leaves.
    pub fn height(&self) -> u32 {
        self.blocks.next_power_of_two().trailing_zeros()
    }

    /// Returns how many hashes the piece layer has, padding left out; at most
    /// one where the file is no longer than a piece.
    pub fn pieces(&self) -> u64 {
        self.blocks.div_ceil(1 << self.piece_row)
    }

    /// Returns the requests that together bring the piece layer, each proved
    /// up to the root; none for a file of one piece, whose layer is its root.
    pub fn requests(&self) -> Vec<HashSpan> {
        let Some(rows) = self
            .height()
            .checked_sub(self.piece_row)
            .filter(|rows| (1..=31).contains(rows))
        else {
            return Vec::new();
        };
        let length = MAX_HASHES.min(1 << rows);
        (0..self.pieces().div_ceil(u64::from(length)))
            .map(|n| HashSpan {
                root: self.root,
                base: self.piece_row,
                index: u32::try_from(n).unwrap_or(u32::MAX) * length,
                length,
                proofs: rows - 1,
            })
            .collect()
    }
}

/// A piece layer that is being learnt.
#[derive(Clone, Debug)]
pub struct LayerFetch {
    tree: Tree,
    spans: Vec<HashSpan>,
    parts: Vec<Option<Vec<Hash>>>,
}

impl LayerFetch {
    /// Begins with nothing known.
    pub fn new(tree: Tree) -> Self {
        let spans = tree.requests();
        Self {
            tree,
            parts: vec![None; spans.len()],
            spans,
        }
    }

    /// Returns the requests that have no answer yet.
    pub fn missing(&self) -> impl Iterator<Item = HashSpan> + '_ {
        self.spans
            .iter()
            .zip(&self.parts)
            .filter(|(_, part)| part.is_none())
            .map(|(span, _)| *span)
    }

    /// Takes an answer; `false` where nobody asked for it here.
    ///
    /// # Errors
    /// Where it is not what its root commits to.
    pub fn take(&mut self, span: &HashSpan, answer: &[u8]) -> Result<bool, Error> {
        let Some(n) = self.spans.iter().position(|asked| asked == span) else {
            return Ok(false);
        };
        let hashes = span.check(self.tree.height(), answer)?;
        self.parts[n] = Some(hashes);
        Ok(true)
    }

    /// Returns the layer once every part is there, padding left out.
    pub fn finish(&self) -> Option<Vec<Hash>> {
        if self.parts.iter().any(Option::is_none) {
            return None;
        }
        let mut layer: Vec<Hash> = self.parts.iter().flatten().flatten().copied().collect();
        layer.truncate(usize::try_from(self.tree.pieces()).ok()?);
        Some(layer)
    }
}

/// Rows of a tree from a known layer up to the root, kept to answer requests.
///
/// Costs twice the layer in memory; built when the first request comes.
#[derive(Clone, Debug)]
pub struct Served {
    tree: Tree,
    /// The row that `rows[0]` is.
    base: u32,
    rows: Vec<Vec<Hash>>,
}

impl Served {
    /// Builds the rows above a piece layer that leads to the root.
    pub fn from_layer(tree: Tree, layer: &[Hash]) -> Self {
        Self::from_row(tree, tree.piece_row, layer)
    }

    /// Builds the rows above the leaves of the whole file.
    pub fn from_leaves(tree: Tree, leaves: &[Hash]) -> Self {
        Self::from_row(tree, 0, leaves)
    }

    fn from_row(tree: Tree, base: u32, row: &[Hash]) -> Self {
        let mut rows = vec![row.to_vec()];
        for level in base..tree.height() {
            let below = &rows[rows.len() - 1];
            let pad = padding(level);
            let above = below
                .chunks(2)
                .map(|two| pair(&two[0], two.get(1).unwrap_or(&pad)))
                .collect();
            rows.push(above);
        }
        Self { tree, base, rows }
    }

    /// Returns the answer to a request, or `None` where it must be rejected:
    /// outside the tree, or below the row that is known.
    pub fn answer(&self, span: &HashSpan) -> Option<Bytes> {
        if span.root != self.tree.root || !span.fits(self.tree.height()) {
            return None;
        }
        let row = span.base.checked_sub(self.base)?;
        let mut out = BytesMut::with_capacity((span.length + span.uncles()) as usize * 32);
        for index in span.index..span.index + span.length {
            out.put_slice(&self.node(row, index));
        }
        let known = span.length.trailing_zeros();
        for n in 0..span.uncles() {
            let place = (span.index >> (known + n)) ^ 1;
            out.put_slice(&self.node(row + known + n, place));
        }
        Some(out.freeze())
    }

    /// Returns the answer to a request for leaves of one piece, all of whose
    /// leaves are given (padding may be left out), in rows that begin at the
    /// piece layer; `None` where the leaves do not lead to the layer's hash.
    pub fn answer_leaves(&self, span: &HashSpan, leaves: &[Hash]) -> Option<Bytes> {
        let row = self.tree.piece_row;
        let fits = span.root == self.tree.root && span.fits(self.tree.height());
        let inside = self.base == row && row > 0 && span.base == 0 && span.length <= 1 << row;
        if !fits || !inside || leaves.is_empty() || leaves.len() > 1 << row {
            return None;
        }
        let mut below = vec![leaves.to_vec()];
        for level in 0..row {
            let pad = padding(level);
            let under = &below[level as usize];
            let above = under
                .chunks(2)
                .map(|two| pair(&two[0], two.get(1).unwrap_or(&pad)))
                .collect();
            below.push(above);
        }
        let piece = span.index >> row;
        if below[row as usize][0] != self.node(0, piece) {
            return None;
        }
        let hash = |level: u32, place: u32| {
            if level >= row {
                return self.node(level - row, place);
            }
            let local = place & ((1 << (row - level)) - 1);
            let known = below[level as usize].get(local as usize);
            known.copied().unwrap_or_else(|| padding(level))
        };
        let mut out = BytesMut::with_capacity((span.length + span.uncles()) as usize * 32);
        for index in span.index..span.index + span.length {
            out.put_slice(&hash(0, index));
        }
        let known = span.length.trailing_zeros();
        for n in 0..span.uncles() {
            let level = known + n;
            out.put_slice(&hash(level, (span.index >> level) ^ 1));
        }
        Some(out.freeze())
    }

    /// Returns the hashes below one node of the piece layer, if the leaves
    /// are known.
    pub fn subtree(&self, piece: u32) -> Option<Hash> {
        let row = self.tree.piece_row.checked_sub(self.base)?;
        Some(self.node(row, piece))
    }

    fn node(&self, row: u32, index: u32) -> Hash {
        self.rows
            .get(row as usize)
            .and_then(|hashes| hashes.get(index as usize))
            .copied()
            .unwrap_or_else(|| padding(self.base + row))
    }
}

#[cfg(test)]
mod tests {
    use gt_vfs::content::{BLOCK, TreeHasher, merkle};
    use proptest::prelude::*;

    use super::*;

    fn tree(blocks: usize, piece_row: u32) -> (Tree, Vec<Hash>, Vec<Hash>) {
        let mut hasher = TreeHasher::new();
        // Short last block; contents that differ from block to block.
        for n in 0..blocks {
            let length = if n + 1 == blocks { 9 } else { BLOCK };
            hasher.update(&vec![(n % 251) as u8; length]);
        }
        let whole = hasher.finish();
        let shape = Tree {
            root: whole.root(),
            blocks: blocks as u64,
            piece_row,
        };
        let layer = whole.piece_layer((BLOCK as u64) << piece_row);
        (shape, layer, whole.leaves().to_vec())
    }

    #[test]
    fn a_layer_is_learnt_from_the_root_alone() {
        for (blocks, row) in [(1, 0), (2, 0), (3, 0), (5, 1), (37, 2), (600, 0), (1025, 0)] {
            let (shape, layer, leaves) = tree(blocks, row);
            let served = Served::from_layer(shape, &layer);
            let from_leaves = Served::from_leaves(shape, &leaves);
            let mut fetch = LayerFetch::new(shape);
            for span in fetch.missing().collect::<Vec<_>>() {
                let answer = served.answer(&span).unwrap();
                assert_eq!(from_leaves.answer(&span).unwrap(), answer);
                assert!(fetch.take(&span, &answer).unwrap());
            }
            if shape.pieces() > 1 {
                assert_eq!(fetch.finish().unwrap(), layer, "{blocks} blocks, row {row}");
            } else {
                assert_eq!(fetch.missing().count(), 0);
            }
        }
    }

    #[test]
    fn leaves_of_one_piece_are_proved() {
        let (shape, _, leaves) = tree(37, 2);
        let served = Served::from_leaves(shape, &leaves);
        for piece in 0..9 {
            let span = HashSpan {
                root: shape.root,
                base: 0,
                index: piece * 4,
                length: 4,
                proofs: shape.height() - 1,
            };
            let hashes = span
                .check(shape.height(), &served.answer(&span).unwrap())
                .unwrap();
            assert_eq!(merkle(&hashes, 4, [0; 32]), served.subtree(piece).unwrap());
        }
    }

    #[test]
    fn leaves_of_a_piece_are_answered_from_the_layer_and_the_piece() {
        for (blocks, row) in [(37, 2), (9, 3), (64, 3), (5, 1)] {
            let (shape, layer, leaves) = tree(blocks, row);
            let whole = Served::from_leaves(shape, &leaves);
            let served = Served::from_layer(shape, &layer);
            let width = 1_u32 << row;
            for piece in 0..layer.len() as u32 {
                let from = (piece * width) as usize;
                let own = &leaves[from..leaves.len().min(from + width as usize)];
                let span = HashSpan {
                    root: shape.root,
                    base: 0,
                    index: piece * width,
                    length: width,
                    proofs: shape.height() - 1,
                };
                let answer = served.answer_leaves(&span, own).unwrap();
                assert_eq!(whole.answer(&span), Some(answer));
                let mut wrong = own.to_vec();
                wrong[0][3] ^= 1;
                assert_eq!(served.answer_leaves(&span, &wrong), None);
            }
        }
    }

    #[test]
    fn spans_outside_the_tree_are_rejected() {
        let (shape, layer, _) = tree(37, 2);
        let served = Served::from_layer(shape, &layer);
        let good = shape.requests()[0];
        assert!(served.answer(&good).is_some());
        let wrong = [
            HashSpan { base: 0, ..good },
            HashSpan { base: 60, ..good },
            HashSpan { length: 3, ..good },
            HashSpan { length: 0, ..good },
            HashSpan { length: 1, ..good },
            HashSpan {
                length: 1024,
                ..good
            },
            HashSpan { index: 1, ..good },
            HashSpan {
                index: u32::MAX - 15,
                ..good
            },
            HashSpan {
                proofs: good.proofs + 1,
                ..good
            },
            HashSpan {
                proofs: u32::MAX,
                ..good
            },
            HashSpan {
                root: Root([9; 32]),
                ..good
            },
        ];
        for span in wrong {
            assert_eq!(served.answer(&span), None, "{span:?}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_bit_is_a_lie(blocks in 2usize..70, bit: prop::sample::Index) {
            let (shape, layer, _) = tree(blocks, 0);
            let span = shape.requests()[0];
            let mut answer = Served::from_layer(shape, &layer).answer(&span).unwrap().to_vec();
            prop_assert!(span.check(shape.height(), &answer).is_ok());
            let at = bit.index(answer.len() * 8);
            answer[at / 8] ^= 1 << (at % 8);
            prop_assert!(span.check(shape.height(), &answer).is_err());
            answer.pop();
            prop_assert!(span.check(shape.height(), &answer).is_err());
        }
    }
}
