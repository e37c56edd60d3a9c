//! Content made of tokens, and the oracle that stands for hashing.

use bytes::Bytes;
use gt_vfs::VPath;
use gt_vfs::content::{BLOCK, Hash, Root, merkle, padding};

use crate::geometry::{Block, File, Geometry, PieceIndex};
use crate::swarm::Digests;

/// Bytes at the beginning of a block that say which it is.
const MARK: usize = 8;

/// The content of a simulated torrent. Each block begins with its number; the
/// rest is zeros, which cost no memory.
#[derive(Clone, Debug)]
pub struct Matter {
    data: Bytes,
    /// Where each piece begins in the data.
    starts: Vec<usize>,
    /// As a publisher knows it, piece layers and all.
    pub known: Geometry,
    /// As a newcomer knows it who has only the roots.
    pub roots: Geometry,
}

/// The oracle's SHA-256 of block `n` of piece `piece`.
fn leaf(piece: PieceIndex, n: usize, right: bool) -> Hash {
    let mut hash = [0x5a; 32];
    hash[..4].copy_from_slice(&piece.0.to_be_bytes());
    hash[4..12].copy_from_slice(&(n as u64).to_be_bytes());
    hash[31] = u8::from(right);
    hash
}

/// The oracle's SHA-1 of a piece.
fn sha1(piece: PieceIndex, right: bool) -> [u8; 20] {
    let mut hash = [0xa5; 20];
    hash[..4].copy_from_slice(&piece.0.to_be_bytes());
    hash[19] = u8::from(right);
    hash
}

impl Matter {
    /// Makes a v1 torrent of one file.
    ///
    /// # Panics
    /// Where the lengths make no torrent.
    pub fn v1(length: usize, piece: usize) -> Self {
        let path = VPath::parse(b"f").expect("a plain name");
        let pieces = length.div_ceil(piece) as u32;
        let hashes = (0..pieces).map(|n| sha1(PieceIndex(n), true)).collect();
        let files = vec![File::new(path, length as u64)];
        let known = Geometry::v1(piece as u64, files, hashes).expect("lengths of a torrent");
        Self::new(known.clone(), known)
    }

    /// Makes a v2 torrent of files of these lengths.
    ///
    /// # Panics
    /// Where the lengths make no torrent.
    pub fn v2(lengths: &[usize], piece: usize) -> Self {
        let (mut files, mut layers, mut first) = (Vec::new(), Vec::new(), 0);
        let per_piece = piece / BLOCK;
        for (n, length) in lengths.iter().enumerate() {
            let path = VPath::parse(format!("f{n}").as_bytes()).expect("a plain name");
            let pieces = length.div_ceil(piece);
            let mut layer = Vec::new();
            for at in 0..pieces {
                let bytes = (length - at * piece).min(piece);
                let number = PieceIndex(first + at as u32);
                let row: Vec<Hash> = (0..bytes.div_ceil(BLOCK))
                    .map(|n| leaf(number, n, true))
                    .collect();
                let width = match pieces {
                    1 => row.len().next_power_of_two(),
                    _ => per_piece,
                };
                layer.push(merkle(&row, width, [0; 32]));
            }
            first += pieces as u32;
            let root = match &layer[..] {
                [] => Root::EMPTY,
                [one] => Root(*one),
                many => Root(merkle(
                    many,
                    many.len().next_power_of_two(),
                    padding(per_piece.trailing_zeros()),
                )),
            };
            files.push(File::new(path, *length as u64).with_root(root));
            layers.push((layer.len() > 1).then_some(layer));
        }
        let unknown = vec![None; files.len()];
        let known = Geometry::v2(piece as u64, files.clone(), layers);
        let roots = Geometry::v2(piece as u64, files, unknown);
        Self::new(
            known.expect("lengths of a torrent"),
            roots.expect("lengths of a torrent"),
        )
    }

    fn new(known: Geometry, roots: Geometry) -> Self {
        let mut starts = Vec::new();
        let mut end = 0;
        for n in 0..known.pieces() {
            starts.push(end);
            end += known.piece_len(PieceIndex(n)) as usize;
        }
        let mut data = vec![0; end];
        for (n, start) in (0..known.pieces()).zip(&starts) {
            for block in known.blocks(PieceIndex(n)) {
                let at = start + block.offset as usize;
                let mark = mark(block);
                let length = MARK.min(block.length as usize);
                data[at..at + length].copy_from_slice(&mark[..length]);
            }
        }
        Self {
            data: data.into(),
            starts,
            known,
            roots,
        }
    }

    /// Returns how many bytes of content there are.
    pub fn length(&self) -> u64 {
        self.data.len() as u64
    }

    /// Returns the bytes of a block.
    ///
    /// # Panics
    /// Where there is no such block.
    pub fn read(&self, block: Block) -> Bytes {
        let at = self.starts[block.piece.0 as usize] + block.offset as usize;
        self.data.slice(at..at + block.length as usize)
    }

    /// Tells whether bytes are those of a block.
    pub(super) fn is_right(&self, block: Block, bytes: &[u8]) -> bool {
        let mark = mark(block);
        let length = MARK.min(block.length as usize);
        bytes.len() == block.length as usize && bytes[..length] == mark[..length]
    }

    /// Says what hashing a block on the way would give, right or not; `None`
    /// in a v1 torrent.
    pub fn leaf(&self, block: Block, right: bool) -> Option<Hash> {
        let n = block.offset as usize / BLOCK;
        let v2 = self.known.has_v2();
        v2.then(|| leaf(block.piece, n, right))
    }

    /// Says what hashing would say of a piece, of whose blocks, by their
    /// number in it, `right` tells which are.
    pub fn digests(
        &self,
        piece: PieceIndex,
        wants_sha1: bool,
        leaves: bool,
        right: impl Fn(u32) -> bool,
    ) -> Digests {
        let blocks = self.known.block_count(piece);
        let all = (0..blocks).all(&right);
        Digests {
            sha1: wants_sha1.then(|| sha1(piece, all)),
            leaves: (0..blocks)
                .filter(|_| leaves)
                .map(|n| leaf(piece, n as usize, right(n)))
                .collect(),
        }
    }
}

fn mark(block: Block) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark[..4].copy_from_slice(&(block.piece.0 + 1).to_be_bytes());
    mark[4..].copy_from_slice(&(block.offset + 1).to_be_bytes());
    mark
}
