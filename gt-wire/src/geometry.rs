//! Which bytes of which files make up a piece: arithmetic, no bytes.
//!
//! In v1 (BEP 3) the files lie end to end and pieces are cut from the whole;
//! in v2 (BEP 52) every file begins a piece of its own and its last piece is
//! short. A hybrid is laid out as v1, with padding files (BEP 47) that push
//! each file to the start of a piece, so that both views count alike.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use gt_vfs::content::{self, BLOCK, Hash};
use gt_vfs::{Root, VPath};

use crate::limits;

/// The number of a piece, from 0, as messages carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(pub u32);

/// The number of a file in its torrent, from 0, padding files counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIndex(pub u32);

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of a piece, as `request` and `piece` messages name it (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The piece.
    pub piece: PieceIndex,
    /// Where the part begins in the piece, in bytes.
    pub offset: u32,
    /// Its length in bytes.
    pub length: u32,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSpan {
    /// The file.
    pub file: FileIndex,
    /// Where the part begins in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// What the bytes of a piece are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceHash {
    /// The SHA-1 of the piece (BEP 3).
    V1([u8; 20]),
    /// The node of the file's tree above the piece (BEP 52).
    V2(Layer),
    /// Both, and both must hold: a torrent whose halves differ is refused.
    Hybrid {
        /// The SHA-1 of the piece with its padding.
        sha1: [u8; 20],
        /// The node above the part that is no padding.
        layer: Layer,
    },
}

/// A node of a piece layer (BEP 52).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Known: from `piece layers`, or the root itself where the file is no
    /// longer than a piece.
    Known(Hash),
    /// To be asked of peers by hash requests, and checked against the root.
    Unknown,
}

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// Its name below the torrent's folder. For a torrent of a single file
    /// the one component is the torrent's name. A padding file's name means
    /// nothing.
    pub path: VPath,
    /// Its length in bytes.
    pub length: u64,
    /// The root of its tree, for v2 and hybrid; [`Root::EMPTY`] for an empty
    /// file.
    pub root: Option<Root>,
    /// Whether it is padding (BEP 47): zeros that are stored nowhere.
    pub padding: bool,
    /// Whether it may be run (BEP 47).
    pub executable: bool,
    /// Whether it is hidden (BEP 47).
    pub hidden: bool,
}

impl File {
    /// Returns a plain file, as v1 knows it.
    pub fn new(path: VPath, length: u64) -> Self {
        Self {
            path,
            length,
            root: None,
            padding: false,
            executable: false,
            hidden: false,
        }
    }

    /// Returns the file with the root of its tree, as v2 knows it.
    #[must_use]
    pub fn with_root(mut self, root: Root) -> Self {
        self.root = Some(root);
        self
    }

    /// Returns the file as padding.
    #[must_use]
    pub fn as_padding(mut self) -> Self {
        self.padding = true;
        self
    }
}

/// The mapping between the pieces, blocks and files of one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    piece_length: u64,
    /// Shared by copies: the swarm and the driver each hold a layout of every
    /// torrent.
    files: Arc<[File]>,
    /// Where each file begins, in bytes from the start of piece 0.
    starts: Arc<[u64]>,
    /// Where the last file ends, likewise.
    end: u64,
    pieces: u32,
    /// One for each piece; none for v2.
    sha1: Arc<[[u8; 20]]>,
    /// For each file its piece layer, where known; none for v1.
    layers: Vec<Option<Vec<Hash>>>,
}

impl Geometry {
    /// Lays out a v1 torrent: `sha1` has one hash for each piece.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn v1(piece_length: u64, files: Vec<File>, sha1: Vec<[u8; 20]>) -> Result<Self, Error> {
        Self::new(piece_length, files, sha1, None)
    }

    /// Lays out a v2 torrent. Every file has its root; `layers` has, for each
    /// file, its piece layer where it is known (it is not needed for files of
    /// one piece or less).
    ///
    /// # Errors
    /// See [`Error`]; a layer that does not lead to its root is one.
    pub fn v2(
        piece_length: u64,
        files: Vec<File>,
        layers: Vec<Option<Vec<Hash>>>,
    ) -> Result<Self, Error> {
        Self::new(piece_length, files, Vec::new(), Some(layers))
    }

    /// Lays out a hybrid: as v1, with roots for the files that are no padding.
    ///
    /// # Errors
    /// See [`Error`]; a file that begins inside a piece is one.
    pub fn hybrid(
        piece_length: u64,
        files: Vec<File>,
        sha1: Vec<[u8; 20]>,
        layers: Vec<Option<Vec<Hash>>>,
    ) -> Result<Self, Error> {
        Self::new(piece_length, files, sha1, Some(layers))
    }

    fn new(
        piece_length: u64,
        files: Vec<File>,
        sha1: Vec<[u8; 20]>,
        layers: Option<Vec<Option<Vec<Hash>>>>,
    ) -> Result<Self, Error> {
        let v2 = layers.is_some();
        // A torrent of empty files has no pieces in either version.
        let v1 = !v2 || !sha1.is_empty();
        if piece_length == 0
            || piece_length > limits::PIECE_LENGTH
            || (v2 && !(piece_length.is_power_of_two() && piece_length >= BLOCK as u64))
        {
            return Err(Error::PieceLength(piece_length));
        }
        if files.len() > limits::METAINFO_FILES {
            return Err(Error::Files(files.len()));
        }
        let mut starts = Vec::with_capacity(files.len());
        let mut end = 0_u64;
        for (n, file) in files.iter().enumerate() {
            let aligned = end.div_ceil(piece_length) * piece_length;
            if v2 && !v1 && file.length > 0 {
                end = aligned;
            } else if v2 && !file.padding && file.length > 0 && aligned != end {
                return Err(Error::Misaligned(FileIndex(n as u32)));
            }
            starts.push(end);
            let next = end.saturating_add(file.length);
            if next.div_ceil(piece_length) > limits::PIECES {
                return Err(Error::Pieces(next.div_ceil(piece_length)));
            }
            end = next;
        }
        let pieces = end.div_ceil(piece_length) as u32;
        if v1 && sha1.len() as u64 != u64::from(pieces) {
            return Err(Error::Hashes {
                expected: pieces,
                got: sha1.len(),
            });
        }
        let mut geometry = Self {
            piece_length,
            files: files.into(),
            starts: starts.into(),
            end,
            pieces,
            sha1: sha1.into(),
            layers: Vec::new(),
        };
        if let Some(layers) = layers {
            geometry.check_layers(&layers)?;
            geometry.layers = layers;
        }
        Ok(geometry)
    }

    fn check_layers(&self, layers: &[Option<Vec<Hash>>]) -> Result<(), Error> {
        if layers.len() != self.files.len() {
            return Err(Error::Roots);
        }
        for (n, (file, layer)) in self.files.iter().zip(layers).enumerate() {
            let root = match file.root {
                _ if file.padding => continue,
                Some(root) if (root == Root::EMPTY) == (file.length == 0) => root,
                _ => return Err(Error::Roots),
            };
            if let Some(layer) = layer
                && file.length > self.piece_length
                && !self.layer_fits(FileIndex(n as u32), layer, root)
            {
                return Err(Error::Layer(FileIndex(n as u32)));
            }
        }
        Ok(())
    }

    /// Tells whether `layer` is the piece layer of a file longer than a piece
    /// whose root is `root`.
    fn layer_fits(&self, file: FileIndex, layer: &[Hash], root: Root) -> bool {
        let length = self.files[file.0 as usize].length;
        layer.len() as u64 == length.div_ceil(self.piece_length)
            && content::merkle(
                layer,
                layer.len().next_power_of_two(),
                content::padding((self.piece_length / BLOCK as u64).trailing_zeros()),
            ) == root.0
    }

    /// Returns the nominal length of a piece in bytes.
    pub fn piece_length(&self) -> u64 {
        self.piece_length
    }

    /// Returns how many pieces there are.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Returns the files in order, padding among them.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Returns a file.
    pub fn file(&self, file: FileIndex) -> Option<&File> {
        self.files.get(file.0 as usize)
    }

    /// Returns how many bytes of content there are, padding left out.
    pub fn content_length(&self) -> u64 {
        let content = self.files.iter().filter(|f| !f.padding);
        content.map(|f| f.length).sum()
    }

    /// Tells whether pieces have SHA-1 hashes.
    pub fn has_v1(&self) -> bool {
        self.layers.is_empty() || !self.sha1.is_empty()
    }

    /// Tells whether files have roots.
    pub fn has_v2(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Returns the length of a piece in bytes, padding of a hybrid counted;
    /// 0 for a number past the end.
    pub fn piece_len(&self, piece: PieceIndex) -> u32 {
        if piece.0 >= self.pieces {
            return 0;
        }
        let start = u64::from(piece.0) * self.piece_length;
        let end = if self.has_v1() {
            self.end
        } else {
            let file = self.file_at(start);
            self.starts[file] + self.files[file].length
        };
        // At most a piece, which fits by the limit on its length.
        (end - start).min(self.piece_length) as u32
    }

    /// Returns the bytes of a piece without the padding of a hybrid.
    pub fn content_len(&self, piece: PieceIndex) -> u32 {
        let spans = self.spans(self.whole(piece));
        let content = spans
            .iter()
            .filter(|s| !self.files[s.file.0 as usize].padding);
        content.map(|s| s.length as u32).sum()
    }

    /// Returns the part of a piece that is asked of peers: blocks at its end
    /// that are nothing but padding are known by everybody (BEP 47). The last
    /// block is asked for as a whole: some peers answer nothing else.
    pub fn asked(&self, piece: PieceIndex) -> Block {
        let whole = self.whole(piece);
        let start = u64::from(piece.0) * self.piece_length;
        let mut content = u64::from(whole.length);
        while content > 0 {
            let file = self.file_at(start + content - 1);
            if !self.files[file].padding {
                break;
            }
            content = self.starts[file].saturating_sub(start);
        }
        let content = content as u32;
        let blocks = content.div_ceil(BLOCK as u32).max(1);
        Block {
            length: whole.length.min(blocks * BLOCK as u32),
            ..whole
        }
    }

    /// Returns how many blocks of 16 KiB are asked for of a piece.
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.asked(piece).length.div_ceil(BLOCK as u32)
    }

    /// Returns the blocks of a piece, in order, as they are requested: 16 KiB
    /// each but the last.
    pub fn blocks(&self, piece: PieceIndex) -> impl ExactSizeIterator<Item = Block> + use<> {
        let length = self.asked(piece).length;
        (0..length.div_ceil(BLOCK as u32)).map(move |n| {
            let offset = n * BLOCK as u32;
            Block {
                piece,
                offset,
                length: (length - offset).min(BLOCK as u32),
            }
        })
    }

    /// Returns the whole of a piece as one part.
    pub fn whole(&self, piece: PieceIndex) -> Block {
        Block {
            piece,
            offset: 0,
            length: self.piece_len(piece),
        }
    }

    /// Tells whether a part lies inside its piece and is not empty.
    pub fn contains(&self, block: Block) -> bool {
        block.length > 0
            && block
                .offset
                .checked_add(block.length)
                .is_some_and(|end| end <= self.piece_len(block.piece))
    }

    /// Tells whether a part may be asked for: as [`contains`](Self::contains),
    /// and for v2 also where it runs past the end of a short piece, up to the
    /// nominal length. libtorrent asks for whole blocks there; the answer has
    /// zeros after the end, as the padding of a hybrid.
    pub fn serves(&self, block: Block) -> bool {
        let reach = if self.has_v1() {
            u64::from(self.piece_len(block.piece))
        } else {
            self.piece_length
        };
        let end = u64::from(block.offset) + u64::from(block.length);
        block.length > 0 && block.offset < self.piece_len(block.piece) && end <= reach
    }

    /// Returns the parts of files that a part of a piece covers, in order,
    /// padding among them; none where [`contains`](Self::contains) is false.
    pub fn spans(&self, block: Block) -> Vec<FileSpan> {
        let mut spans = Vec::new();
        if !self.contains(block) {
            return spans;
        }
        let mut at = u64::from(block.piece.0) * self.piece_length + u64::from(block.offset);
        let mut left = u64::from(block.length);
        let mut file = self.file_at(at);
        while left > 0 && file < self.files.len() {
            let offset = at - self.starts[file];
            let length = left.min(self.files[file].length.saturating_sub(offset));
            if length > 0 {
                spans.push(FileSpan {
                    file: FileIndex(file as u32),
                    offset,
                    length,
                });
            }
            at += length;
            left -= length;
            file += 1;
        }
        spans
    }

    /// Returns the number of the file whose bytes lie at `at`, which is less
    /// than the end; the last of those that begin there, which are empty but
    /// for it.
    fn file_at(&self, at: u64) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    /// Returns the numbers of the pieces that hold bytes of a file; an empty
    /// range for an empty file or a number past the end.
    pub fn pieces_of(&self, file: FileIndex) -> Range<u32> {
        let n = file.0 as usize;
        match self.files.get(n) {
            Some(f) if f.length > 0 => {
                let start = self.starts[n];
                let end = (start + f.length).div_ceil(self.piece_length);
                (start / self.piece_length) as u32..end as u32
            }
            _ => 0..0,
        }
    }

    /// Returns the file whose tree covers a piece, and the number of the
    /// piece in that file: v2 and hybrid only.
    pub fn tree_of(&self, piece: PieceIndex) -> Option<(FileIndex, u32)> {
        if !self.has_v2() || piece.0 >= self.pieces {
            return None;
        }
        let file = FileIndex(self.file_at(u64::from(piece.0) * self.piece_length) as u32);
        Some((file, piece.0 - self.pieces_of(file).start))
    }

    /// Returns how many leaves the tree above a piece has, missing ones
    /// counted: a power of two, the width for [`content::merkle`]. A file of
    /// one piece or less has a tree of its own height.
    pub fn tree_width(&self, piece: PieceIndex) -> usize {
        let length = self
            .tree_of(piece)
            .map_or(0, |(file, _)| self.files[file.0 as usize].length);
        let width = length.min(self.piece_length).div_ceil(BLOCK as u64);
        (width as usize).next_power_of_two()
    }

    /// Returns what a piece is checked against, as far as the torrent tells;
    /// `None` for a number past the end.
    pub fn piece_hash(&self, piece: PieceIndex) -> Option<PieceHash> {
        if piece.0 >= self.pieces {
            return None;
        }
        let sha1 = self.sha1.get(piece.0 as usize).copied();
        let layer = self.tree_of(piece).map(|(file, n)| {
            let n_file = file.0 as usize;
            let known = match &self.layers[n_file] {
                _ if self.files[n_file].length <= self.piece_length => {
                    self.files[n_file].root.map(|root| root.0)
                }
                Some(layer) => layer.get(n as usize).copied(),
                None => None,
            };
            known.map_or(Layer::Unknown, Layer::Known)
        });
        match (sha1, layer) {
            (Some(sha1), Some(layer)) => Some(PieceHash::Hybrid { sha1, layer }),
            (Some(sha1), None) => Some(PieceHash::V1(sha1)),
            (None, Some(layer)) => Some(PieceHash::V2(layer)),
            (None, None) => None,
        }
    }

    /// Returns the piece layer of a file, where known and the file is longer
    /// than a piece.
    pub fn layer(&self, file: FileIndex) -> Option<&[Hash]> {
        self.layers.get(file.0 as usize)?.as_deref()
    }

    /// Takes in the piece layer of a file that peers or the disk gave, if it
    /// leads to the file's root; tells whether it does.
    pub fn learn_layer(&mut self, file: FileIndex, layer: Vec<Hash>) -> bool {
        let n = file.0 as usize;
        let root = self.files.get(n).and_then(|f| f.root);
        match root {
            Some(root)
                if n < self.layers.len()
                    && self.files[n].length > self.piece_length
                    && self.layer_fits(file, &layer, root) =>
            {
                self.layers[n] = Some(layer);
                true
            }
            _ => false,
        }
    }
}

/// Why files and hashes do not make a torrent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Zero, too long, or for v2 no power of two from 16 KiB.
    #[error("expected a piece length from 1 (v2: a power of two from 16384) to {max}, got {0}", max = limits::PIECE_LENGTH)]
    PieceLength(u64),
    /// Too many files.
    #[error("expected at most {max} files, got {0}", max = limits::METAINFO_FILES)]
    Files(usize),
    /// Too many pieces, or lengths that overflow.
    #[error("expected at most {max} pieces, got at least {0}", max = limits::PIECES)]
    Pieces(u64),
    /// The SHA-1 hashes are not one for each piece.
    #[error("expected {expected} piece hashes, got {got}")]
    Hashes {
        /// How many pieces there are.
        expected: u32,
        /// How many hashes came.
        got: usize,
    },
    /// A root lacks, or an empty file has one, or a full one none.
    #[error("expected a root for every file that is not empty, and for no other")]
    Roots,
    /// A piece layer has the wrong length or does not lead to the root.
    #[error("expected the piece layer of file {0} to lead to its root, got another")]
    Layer(FileIndex),
    /// In a hybrid every file begins a piece.
    #[error("expected file {0} of a hybrid torrent at the start of a piece, got it inside one")]
    Misaligned(FileIndex),
}

#[cfg(test)]
mod tests;
