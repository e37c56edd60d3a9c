//! Making a torrent of files: one pass over their bytes, on every core.

use std::collections::BTreeSet;
use std::io;

use gt_vfs::content::{self, BLOCK, Hash};
use gt_vfs::{Root, VPath, Vfs};

use super::{Error, Info, Metainfo, Version, build, parse};
use crate::digest::{self, Reader, Scratch, Wanted};
use crate::geometry::{self, File, Geometry, PieceIndex};
use crate::limits;

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
    /// Files that may be run (BEP 47).
    pub executable: BTreeSet<VPath>,
    /// How many threads hash; by default one for each core.
    pub threads: Option<usize>,
}

impl Create {
    /// Returns the plan for a hybrid torrent.
    pub fn new(name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            version: Version::Hybrid,
            piece_length: None,
            private: false,
            executable: BTreeSet::new(),
            threads: None,
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
        self.hash_telling(vfs, &mut |_, _| {})
    }

    /// As [`hash`](Self::hash); `tell` hears how many pieces of how many are
    /// through.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn hash_telling(
        &self,
        vfs: &dyn Vfs,
        tell: &mut dyn FnMut(u32, u32),
    ) -> Result<Metainfo, Failed> {
        let plan = self.plan(vfs)?;
        let geometry = &plan;
        let wanted = Wanted {
            sha1: self.version != Version::V2,
            leaves: self.version != Version::V1,
        };
        for file in geometry.files().iter().filter(|f| !f.padding) {
            // Somebody may be writing: what grew meanwhile is not its own past.
            if vfs.open(&file.path)?.size() != file.length {
                return Err(Failed::Changed(file.path.clone()));
            }
        }
        let pieces: Vec<u32> = (0..geometry.pieces()).collect();
        let hashes = digest::each(
            geometry,
            &pieces,
            self.threads.unwrap_or_else(digest::cores),
            || (Reader::new(vfs, geometry), Scratch::new()),
            |piece, (reader, scratch)| {
                let digests = digest::piece(geometry, piece, wanted, scratch, |file, at, buf| {
                    reader.read(file, at, buf)
                });
                let digests = digests.map_err(|e| self.failed(geometry, piece, e))?;
                let node = match wanted.leaves {
                    true => digest::node(geometry, piece, &digests.leaves),
                    false => [0; 32],
                };
                Ok::<_, Failed>((digests.sha1.unwrap_or_default(), node))
            },
            &mut |done| tell(done as u32, geometry.pieces()),
        )?;
        let (sha1, nodes): (Vec<_>, Vec<_>) = hashes.into_iter().unzip();
        let geometry = self.lay_out(&plan, sha1, &nodes)?;
        let info: Info = build::info(&self.name, self.private, self.version, geometry)?;
        Ok(Metainfo::new(info))
    }

    /// Lays out the files as they are listed, with hashes that mean nothing.
    fn plan(&self, vfs: &dyn Vfs) -> Result<Geometry, Failed> {
        let entries = vfs.list()?.into_iter();
        let mut files: Vec<File> = entries
            .map(|entry| File::new(entry.path, entry.size))
            .collect();
        if files.is_empty() {
            return Err(Failed::Nothing("file"));
        }
        build::sort(&mut files);
        for file in &mut files {
            file.executable = self.executable.contains(&file.path);
        }
        let total = files.iter().map(|f| f.length).sum();
        if total == 0 {
            return Err(Failed::Nothing("byte"));
        }
        let piece_length = self.piece_length.unwrap_or_else(|| piece_length_for(total));
        if piece_length == 0 {
            return Err(Error::from(geometry::Error::PieceLength(piece_length)).into());
        }
        if self.version != Version::V1 {
            for file in &mut files {
                let root = if file.length == 0 { [0; 32] } else { [1; 32] };
                file.root = Some(Root(root));
            }
        }
        if self.version == Version::Hybrid {
            files = padded(files, piece_length);
        }
        let end: u64 = files.iter().map(|f| f.length).sum();
        let pieces = end.div_ceil(piece_length);
        if pieces > limits::PIECES {
            return Err(Error::from(geometry::Error::Pieces(pieces)).into());
        }
        let sha1 = vec![[0; 20]; pieces as usize];
        let layers = vec![None; files.len()];
        let plan = match self.version {
            Version::V1 => Geometry::v1(piece_length, files, sha1),
            Version::V2 => Geometry::v2(piece_length, files, layers),
            Version::Hybrid => Geometry::hybrid(piece_length, files, sha1, layers),
        };
        Ok(plan.map_err(Error::from)?)
    }

    /// Gives a plan its hashes: `nodes` has what stands above each piece.
    fn lay_out(
        &self,
        plan: &Geometry,
        sha1: Vec<[u8; 20]>,
        nodes: &[Hash],
    ) -> Result<Geometry, Error> {
        let piece_length = plan.piece_length();
        let mut files = plan.files().to_vec();
        if self.version == Version::V1 {
            return Ok(Geometry::v1(piece_length, files, sha1)?);
        }
        let mut layers = vec![None; files.len()];
        for (n, file) in files.iter_mut().enumerate() {
            let own = plan.pieces_of(geometry::FileIndex(n as u32));
            let own = &nodes[own.start as usize..own.end as usize];
            match own {
                [] => {}
                _ if file.padding => {}
                [only] => file.root = Some(Root(*only)),
                _ => {
                    let blocks = piece_length / BLOCK as u64;
                    let pad = content::padding(blocks.trailing_zeros());
                    let root = content::merkle(own, own.len().next_power_of_two(), pad);
                    file.root = Some(Root(root));
                    layers[n] = Some(own.to_vec());
                }
            }
        }
        Ok(match self.version {
            Version::V2 => Geometry::v2(piece_length, files, layers)?,
            _ => Geometry::hybrid(piece_length, files, sha1, layers)?,
        })
    }

    /// Says which file could not be read, or has shrunk.
    fn failed(&self, geometry: &Geometry, piece: PieceIndex, e: io::Error) -> Failed {
        let spans = geometry.spans(geometry.whole(piece));
        let mut files = spans.iter().filter_map(|span| geometry.file(span.file));
        match files.find(|file| !file.padding) {
            Some(file) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Failed::Changed(file.path.clone())
            }
            _ => Failed::Io(e),
        }
    }
}

/// Puts padding after each file but the last that holds anything (BEP 47).
fn padded(files: Vec<File>, piece_length: u64) -> Vec<File> {
    let last = files.iter().rposition(|f| f.length > 0).unwrap_or(0);
    let mut padded = Vec::with_capacity(2 * files.len());
    for (n, file) in files.into_iter().enumerate() {
        let pad = file.length.next_multiple_of(piece_length) - file.length;
        padded.push(file);
        if n < last && pad > 0 {
            padded.push(parse::padding(pad));
        }
    }
    padded
}

/// Returns the piece length that lets a swarm share `total` bytes fastest:
/// the largest power of two that is at most a 512th, from 16 KiB to 1 MiB.
pub fn piece_length_for(total: u64) -> u64 {
    let wish = (total / 512).clamp(BLOCK as u64, 1 << 20);
    1 << wish.ilog2()
}

/// Why no torrent was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// A file cannot be read.
    #[error("cannot read the files: {0}")]
    Io(#[from] io::Error),
    /// No file, or none that holds anything: other clients refuse such a
    /// torrent.
    #[error("expected at least one {0} to share, got none")]
    Nothing(&'static str),
    /// A file grew or shrank.
    #[error("{0} changed while it was read")]
    Changed(VPath),
    /// The files make no torrent.
    #[error(transparent)]
    Metainfo(#[from] Error),
}
