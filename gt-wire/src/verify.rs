//! Whether the files that lie somewhere are those of a torrent.

use std::collections::BTreeMap;
use std::io;

use gt_vfs::{VPath, Vfs};

use crate::bitfield::Bitfield;
use crate::digest::{self, Expected, Reader, Scratch, Wanted};
use crate::geometry::{FileIndex, Geometry, PieceIndex};

/// Hashes what lies in a store, on every core, and writes nothing.
pub struct Verify<'a> {
    geometry: Geometry,
    vfs: &'a dyn Vfs,
    threads: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The pieces that are right.
    pub have: Bitfield,
    /// One state for each file of the geometry.
    pub files: Vec<FileState>,
}

/// What lies where a file should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// The file, whole and right.
    Whole,
    /// Nothing that is whole.
    Missing,
    /// A file of another length.
    Length {
        /// Its length in bytes.
        got: u64,
    },
    /// A file of the right length with wrong bytes, or that shares a piece
    /// with wrong bytes.
    Wrong {
        /// How many of its pieces are not right.
        pieces: u32,
    },
}

impl Report {
    /// Tells whether everything is there and right.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|file| *file == FileState::Whole)
    }
}

impl<'a> Verify<'a> {
    /// Returns the plan to hash all of `geometry` as it lies in `vfs`.
    pub fn new(geometry: &Geometry, vfs: &'a dyn Vfs) -> Self {
        Self {
            geometry: geometry.clone(),
            vfs,
            threads: digest::cores(),
        }
    }

    /// Returns the plan with another number of threads than there are cores.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Hashes; `tell` hears how many pieces are through.
    ///
    /// # Errors
    /// Where the store cannot be listed. What cannot be read counts as wrong.
    pub fn run(mut self, tell: &mut dyn FnMut(u32)) -> io::Result<Report> {
        let sizes: BTreeMap<VPath, u64> = self
            .vfs
            .list()?
            .into_iter()
            .map(|entry| (entry.path, entry.size))
            .collect();
        let here: Vec<FileState> = self
            .geometry
            .files()
            .iter()
            .map(|file| match sizes.get(&file.path) {
                _ if file.padding => FileState::Whole,
                Some(size) if *size == file.length => FileState::Whole,
                Some(size) => FileState::Length { got: *size },
                // An empty file needs no bytes, but it needs to be.
                None => FileState::Missing,
            })
            .collect();
        self.learn(&here);
        let readable = |n: &u32| {
            let spans = self.geometry.spans(self.geometry.whole(PieceIndex(*n)));
            let mut files = spans.iter().map(|span| span.file.0 as usize);
            files.all(|file| here[file] == FileState::Whole)
        };
        let pieces: Vec<u32> = (0..self.geometry.pieces()).filter(readable).collect();
        let geometry = &self.geometry;
        let right = digest::each(
            geometry,
            &pieces,
            self.threads,
            || (Reader::new(self.vfs, geometry), Scratch::new()),
            |piece, (reader, scratch)| {
                let Some(expected) = Expected::of(geometry, piece) else {
                    return Ok::<_, io::Error>(false);
                };
                let wanted = expected.wanted();
                let digests = digest::piece(geometry, piece, wanted, scratch, |file, at, buf| {
                    reader.read(file, at, buf)
                });
                Ok(digests.is_ok_and(|digests| expected.fits(geometry, piece, &digests)))
            },
            &mut |done| tell(done as u32),
        )?;
        let mut have = Bitfield::empty(geometry.pieces());
        for (n, _) in pieces.iter().zip(right).filter(|(_, right)| *right) {
            have.insert(*n);
        }
        let files = here.iter().enumerate().map(|(n, state)| {
            let mut own = geometry.pieces_of(FileIndex(n as u32));
            let wrong = match geometry.files()[n].padding {
                true => 0,
                false => own.by_ref().filter(|n| !have.has(*n)).count() as u32,
            };
            match *state {
                FileState::Whole if wrong > 0 => FileState::Wrong { pieces: wrong },
                state => state,
            }
        });
        Ok(Report {
            files: files.collect(),
            have,
        })
    }

    /// Makes the piece layers that the torrent does not tell of files that
    /// may be whole: where they lead to the root, so do the bytes.
    fn learn(&mut self, here: &[FileState]) {
        for (n, state) in here.iter().enumerate() {
            let file = FileIndex(n as u32);
            if *state == FileState::Whole && lacks_layer(&self.geometry, file) {
                let geometry = &self.geometry;
                let layer = layer(geometry, file, self.threads, || {
                    let mut reader = Reader::new(self.vfs, geometry);
                    move |file, at, buf: &mut [u8]| reader.read(file, at, buf)
                });
                if let Ok(layer) = layer {
                    self.geometry.learn_layer(file, layer);
                }
            }
        }
    }
}

/// Tells whether a file's pieces cannot be checked for want of a layer.
pub(crate) fn lacks_layer(geometry: &Geometry, file: FileIndex) -> bool {
    let long = |f: &crate::geometry::File| f.length > geometry.piece_length() && !f.padding;
    geometry.has_v2() && geometry.file(file).is_some_and(long) && geometry.layer(file).is_none()
}

/// Makes the piece layer of a file by hashing it.
pub(crate) fn layer<R>(
    geometry: &Geometry,
    file: FileIndex,
    threads: usize,
    reader: impl Fn() -> R + Sync,
) -> io::Result<Vec<[u8; 32]>>
where
    R: FnMut(FileIndex, u64, &mut [u8]) -> io::Result<()>,
{
    const LEAVES: Wanted = Wanted {
        sha1: false,
        leaves: true,
    };
    let pieces: Vec<u32> = geometry.pieces_of(file).collect();
    digest::each(
        geometry,
        &pieces,
        threads,
        || (reader(), Scratch::new()),
        |piece, (reader, scratch)| {
            let digests = digest::piece(geometry, piece, LEAVES, scratch, reader)?;
            Ok(digest::node(geometry, piece, &digests.leaves))
        },
        &mut |_| {},
    )
}
