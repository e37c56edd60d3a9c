//! Making a torrent of files: one pass over their bytes.

use std::io;

use gt_vfs::content::{BLOCK, Hash, TreeHasher};
use gt_vfs::{VPath, Vfs};
use sha1::{Digest, Sha1};

use super::{Error, Info, Metainfo, Version, build, parse};
use crate::geometry::{File, Geometry};

/// How to make a torrent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Create {
    /// The name of the torrent. Where the files are one, and its path is this
    /// name, the torrent is that file; otherwise the name is a folder's.
    pub name: Vec<u8>,
    /// Which hashes it has.
    pub version: Version,
    /// The length of a piece; by default [`piece_length_for`] all bytes.
    pub piece_length: Option<u64>,
    /// Whether peers may be learnt from trackers only (BEP 27).
    pub private: bool,
}

impl Create {
    /// Returns the plan for a hybrid torrent.
    pub fn new(name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            version: Version::Hybrid,
            piece_length: None,
            private: false,
        }
    }

    /// Returns the plan with other hashes.
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Returns the plan with a length of pieces in bytes.
    #[must_use]
    pub fn piece_length(self, bytes: u64) -> Self {
        Self {
            piece_length: Some(bytes),
            ..self
        }
    }

    /// Reads every whole file of `vfs` once and makes the torrent of them.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn hash(&self, vfs: &dyn Vfs) -> Result<Metainfo, Failed> {
        let mut files: Vec<File> = vfs
            .list()?
            .into_iter()
            .map(|entry| File::new(entry.path, entry.size))
            .collect();
        if files.is_empty() {
            return Err(Error::Field("files", "at least one file").into());
        }
        build::sort(&mut files);
        let total = files.iter().map(|f| f.length).sum();
        let piece_length = self.piece_length.unwrap_or_else(|| piece_length_for(total));
        // Checked before a long pass, by laying out the same files unhashed.
        let roots_need = self.version != Version::V1;
        if piece_length == 0 || (roots_need && !fits_v2(piece_length)) {
            return Err(Error::from(crate::geometry::Error::PieceLength(piece_length)).into());
        }
        let mut pass = Pass {
            piece_length,
            version: self.version,
            sha1: Sha1::new(),
            filled: 0,
            hashes: Vec::new(),
        };
        let mut laid = Vec::new();
        let mut layers = Vec::new();
        let last = files.iter().rposition(|f| f.length > 0);
        for (n, file) in files.into_iter().enumerate() {
            let (mut file, layer) = pass.file(vfs, file)?;
            let pad = match self.version {
                Version::Hybrid if last.is_some_and(|last| n < last) => pass.pad(),
                _ => 0,
            };
            if self.version == Version::V1 {
                file.root = None;
            }
            laid.push(file);
            layers.push(layer);
            if pad > 0 {
                laid.push(parse::padding(pad));
                layers.push(None);
            }
        }
        let hashes = pass.finish();
        let geometry = match self.version {
            Version::V1 => Geometry::v1(piece_length, laid, hashes),
            Version::V2 => Geometry::v2(piece_length, laid, layers),
            Version::Hybrid => Geometry::hybrid(piece_length, laid, hashes, layers),
        };
        let geometry = geometry.map_err(Error::from)?;
        let info: Info = build::info(&self.name, self.private, self.version, geometry)?;
        Ok(Metainfo::new(info))
    }
}

fn fits_v2(piece_length: u64) -> bool {
    piece_length.is_power_of_two() && piece_length >= BLOCK as u64
}

/// Returns the piece length that lets a swarm share `total` bytes fastest:
/// the largest power of two that is at most a 512th, from 16 KiB to 1 MiB.
pub fn piece_length_for(total: u64) -> u64 {
    let wish = (total / 512).clamp(BLOCK as u64, 1 << 20);
    1 << wish.ilog2()
}

/// The hashes of one pass.
struct Pass {
    piece_length: u64,
    version: Version,
    sha1: Sha1,
    filled: u64,
    hashes: Vec<[u8; 20]>,
}

impl Pass {
    /// Reads a file to its end; returns it with its root, and its layer.
    fn file(&mut self, vfs: &dyn Vfs, file: File) -> Result<(File, Option<Vec<Hash>>), Failed> {
        let reader = vfs.open(&file.path)?;
        if reader.size() != file.length {
            return Err(Failed::Changed(file.path));
        }
        let mut tree = TreeHasher::new();
        let mut buffer = vec![0; 64 * BLOCK];
        let mut at = 0;
        while at < file.length {
            let want = (file.length - at).min(buffer.len() as u64) as usize;
            reader.read_exact_at(at, &mut buffer[..want])?;
            at += want as u64;
            self.feed(&buffer[..want]);
            if self.version != Version::V1 {
                tree.update(&buffer[..want]);
            }
        }
        if self.version == Version::V1 {
            return Ok((file, None));
        }
        let tree = tree.finish();
        let long = file.length > self.piece_length;
        let layer = long.then(|| tree.piece_layer(self.piece_length));
        Ok((file.with_root(tree.root()), layer))
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        if self.version == Version::V2 {
            return;
        }
        while !bytes.is_empty() {
            let room = (self.piece_length - self.filled).min(bytes.len() as u64);
            let (now, later) = bytes.split_at(room as usize);
            self.sha1.update(now);
            self.filled += room;
            bytes = later;
            if self.filled == self.piece_length {
                self.end_piece();
            }
        }
    }

    /// Fills the piece up with zeros; returns how many it took.
    fn pad(&mut self) -> u64 {
        let pad = (self.piece_length - self.filled) % self.piece_length;
        let mut left = pad;
        while left > 0 {
            let now = left.min(BLOCK as u64);
            self.feed(&[0; BLOCK][..now as usize]);
            left -= now;
        }
        pad
    }

    fn end_piece(&mut self) {
        self.hashes.push(self.sha1.finalize_reset().into());
        self.filled = 0;
    }

    fn finish(mut self) -> Vec<[u8; 20]> {
        if self.filled > 0 {
            self.end_piece();
        }
        self.hashes
    }
}

/// Why no torrent was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// A file cannot be read.
    #[error("cannot read the files: {0}")]
    Io(#[from] io::Error),
    /// A file grew or shrank.
    #[error("{0} changed while it was read")]
    Changed(VPath),
    /// The files make no torrent.
    #[error(transparent)]
    Metainfo(#[from] Error),
}
