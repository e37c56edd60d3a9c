//! What is on the disk when a torrent is added. Blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gt_vfs::content::BLOCK;
use gt_vfs::{ContentId, Entry, VPath};

use super::store::{OpenFiles, Store};
use super::{AddError, Content};
use crate::InfoHash;
use crate::bitfield::Bitfield;
use crate::digest::{self, Expected, Scratch};
use crate::geometry::{Block, FileIndex, Geometry, PieceIndex};
use crate::resume::Resume;
use crate::{swarm, verify};

/// A torrent that was looked at.
pub(super) struct Checked {
    pub(super) content: swarm::Content,
    pub(super) store: Arc<Store>,
}

/// Returns where the resume data of a torrent lies.
pub(super) fn resume_path(folder: &Path, info_hash: InfoHash) -> PathBuf {
    folder.join(format!("{info_hash}.resume"))
}

/// Looks at the files of a torrent.
///
/// Believed without hashing are whole files that the backend knows by their
/// root, and those that the resume data speaks of and that were not written
/// since. Of partial files a few
/// claimed pieces are hashed, and all of them if one of those is wrong; pieces
/// that nobody claims are hashed if something lies there, because a kill may
/// have come between writing them and noting it.
pub(super) fn check(
    content: Content,
    info_hash: InfoHash,
    folder: Option<&Path>,
    open: Arc<OpenFiles>,
) -> Result<Checked, AddError> {
    let mut geometry = content.geometry;
    let resume = folder.and_then(|folder| {
        let bytes = std::fs::read(resume_path(folder, info_hash)).ok()?;
        Resume::read(&bytes, info_hash, &geometry).ok()
    });
    if let Some(resume) = &resume {
        for (file, layer) in &resume.layers {
            geometry.learn_layer(*file, layer.clone());
        }
    }
    let entries = content.vfs.list()?;
    let entries: BTreeMap<VPath, Entry> =
        entries.into_iter().map(|e| (e.path.clone(), e)).collect();
    let mut whole = BTreeSet::new();
    let mut believed = BTreeSet::new();
    for (file, shape) in files(&geometry) {
        let Some(entry) = entries.get(&shape.path) else {
            continue;
        };
        if entry.size != shape.length {
            let path = shape.path.clone();
            return Err(AddError::Occupied { path });
        }
        whole.insert(file);
        let known = shape
            .root
            .is_some_and(|root| entry.id == Some(ContentId::Root(root)));
        // A file that was written since is looked at like any other.
        let noted = resume.as_ref().is_some_and(|r| {
            r.closed.contains(&file) && r.modified.get(&file).copied() == entry.modified
        });
        if known || noted || shape.length == 0 {
            believed.insert(file);
        }
    }
    let store = Store::new(
        content.vfs.clone(),
        geometry.clone(),
        |file| whole.contains(&file),
        open,
    );
    for (file, shape) in files(&geometry).filter(|(file, _)| whole.contains(file)) {
        if let Some(modified) = entries.get(&shape.path).and_then(|e| e.modified) {
            // As it was before it is hashed.
            store.saw(file, modified);
        }
    }
    let wanted: BTreeSet<FileIndex> = match content.wanted {
        Some(wanted) => wanted,
        None => files(&geometry).map(|(file, _)| file).collect(),
    };
    let (claimed, noted) = match resume {
        Some(mut resume) => {
            // What was whole and is not says nothing of what is there now.
            resume
                .modified
                .retain(|file, _| !resume.closed.contains(file));
            (Some(resume.pieces), resume.modified)
        }
        None => (None, BTreeMap::new()),
    };
    let mut look = Look {
        have: Bitfield::empty(geometry.pieces()),
        geometry,
        store,
        whole,
        believed,
        wanted,
        claimed,
        noted,
    };
    look.trees()?;
    look.doubt()?;
    look.pieces()?;
    let Look {
        geometry,
        store,
        whole,
        wanted,
        have,
        ..
    } = look;
    let partial: BTreeSet<u32> = wanted
        .difference(&whole)
        .flat_map(|file| geometry.pieces_of(*file))
        .collect();
    for piece in partial.into_iter().filter(|piece| have.has(*piece)) {
        store.verified(PieceIndex(piece));
    }
    let mut found = swarm::Content::new(geometry);
    found.have = have;
    found.closed = whole;
    found.wanted = wanted;
    found.close_in_order = content.close_in_order;
    found.sequential = content.sequential;
    Ok(Checked {
        content: found,
        store,
    })
}

/// The files that are no padding.
fn files(geometry: &Geometry) -> impl Iterator<Item = (FileIndex, &crate::geometry::File)> {
    let files = geometry.files().iter().enumerate();
    let files = files.filter(|(_, file)| !file.padding);
    files.map(|(n, file)| (FileIndex(n as u32), file))
}

struct Look {
    geometry: Geometry,
    store: Arc<Store>,
    whole: BTreeSet<FileIndex>,
    believed: BTreeSet<FileIndex>,
    wanted: BTreeSet<FileIndex>,
    claimed: Option<Bitfield>,
    /// When files were last written, as it was noted with the claims.
    noted: BTreeMap<FileIndex, i64>,
    have: Bitfield,
}

impl Look {
    /// Hashes whole files whose tree is needed: to be served to peers that
    /// have roots only, or because nobody vouches for them.
    fn trees(&mut self) -> Result<(), AddError> {
        if !self.geometry.has_v2() {
            return Ok(());
        }
        for file in self.whole.clone() {
            if !verify::lacks_layer(&self.geometry, file) {
                continue;
            }
            let layer = verify::layer(&self.geometry, file, digest::cores(), || self.reader())?;
            if !self.geometry.learn_layer(file, layer) {
                let path = self.geometry.files()[file.0 as usize].path.clone();
                return Err(AddError::Occupied { path });
            }
            // The tree leads to the root: its bytes are right.
            self.believed.insert(file);
        }
        Ok(())
    }

    /// Hashes a few claimed pieces of each partial file; where one is wrong,
    /// or the file was written to since, the claims about that file are void.
    fn doubt(&mut self) -> Result<(), AddError> {
        let Some(mut claimed) = self.claimed.take() else {
            return Ok(());
        };
        let mut scratch = Scratch::new();
        for (file, _) in files(&self.geometry) {
            if self.believed.contains(&file) {
                continue;
            }
            if self.whole.contains(&file) {
                // Nobody knows who made it whole, or wrote to it since.
                for n in self.geometry.pieces_of(file) {
                    claimed.remove(n);
                }
                continue;
            }
            let range = self.geometry.pieces_of(file);
            let of_file: Vec<u32> = range.filter(|n| claimed.has(*n)).collect();
            let Some(last) = of_file.len().checked_sub(1) else {
                continue;
            };
            // By us before we were killed, or by somebody else.
            let written = match self.store.partial_modified(file)? {
                Some(modified) => self.noted.get(&file) != Some(&modified),
                None => false,
            };
            if written {
                of_file.iter().for_each(|n| {
                    claimed.remove(*n);
                });
                continue;
            }
            for n in [0, last / 2, last] {
                if self.verify(PieceIndex(of_file[n]), &mut scratch)? != Some(true) {
                    of_file.iter().for_each(|n| {
                        claimed.remove(*n);
                    });
                    break;
                }
            }
        }
        self.claimed = Some(claimed);
        Ok(())
    }

    fn pieces(&mut self) -> Result<(), AddError> {
        let mut doubted = Vec::new();
        for n in 0..self.geometry.pieces() {
            let piece = PieceIndex(n);
            let spans = self.geometry.spans(self.geometry.whole(piece));
            let padding = |file: FileIndex| self.geometry.files()[file.0 as usize].padding;
            let mut touched = spans.iter().map(|s| s.file).filter(|file| !padding(*file));
            let all = |set: &BTreeSet<FileIndex>| touched.clone().all(|file| set.contains(&file));
            if all(&self.believed) || self.claimed.as_ref().is_some_and(|c| c.has(n)) {
                self.have.insert(n);
                continue;
            }
            // Files that are neither there nor wanted are not even opened.
            let here = |file: FileIndex| self.whole.contains(&file) || self.wanted.contains(&file);
            if all(&self.whole) || touched.all(here) {
                doubted.push(n);
            }
        }
        let right = digest::each(
            &self.geometry,
            &doubted,
            digest::cores(),
            Scratch::new,
            |piece, scratch| {
                let whole = self.is_whole(piece);
                if !whole && !self.something_at(piece)? {
                    return Ok(false);
                }
                match self.verify(piece, scratch)? {
                    Some(true) => Ok(true),
                    _ if whole => Err(self.occupied(piece)),
                    _ => Ok(false),
                }
            },
            &mut |_| {},
        )?;
        for (n, _) in doubted.iter().zip(right).filter(|(_, right)| *right) {
            self.have.insert(*n);
        }
        Ok(())
    }

    /// Tells whether every file of a piece lies there whole.
    fn is_whole(&self, piece: PieceIndex) -> bool {
        let spans = self.geometry.spans(self.geometry.whole(piece));
        let mut files = spans.iter().map(|span| span.file);
        files.all(|file| {
            self.geometry.files()[file.0 as usize].padding || self.whole.contains(&file)
        })
    }

    fn occupied(&self, piece: PieceIndex) -> AddError {
        let spans = self.geometry.spans(self.geometry.whole(piece));
        let mut files = spans.iter().filter_map(|s| self.geometry.file(s.file));
        match files.find(|file| !file.padding) {
            Some(file) => AddError::Occupied {
                path: file.path.clone(),
            },
            None => AddError::Io(io::ErrorKind::InvalidData.into()),
        }
    }

    fn reader(&self) -> impl FnMut(FileIndex, u64, &mut [u8]) -> io::Result<()> + use<> {
        let store = self.store.clone();
        move |file, at, buf| store.read_span(file, at, buf)
    }

    /// Tells whether the first block of a piece is anything but zeros, as a
    /// hole is. A piece of true zeros is fetched again, which costs little.
    fn something_at(&self, piece: PieceIndex) -> io::Result<bool> {
        let block = Block {
            length: self.geometry.piece_len(piece).min(BLOCK as u32),
            ..self.geometry.whole(piece)
        };
        let bytes = self
            .store
            .read(block)
            .map_err(|e| io::Error::other(e.why))?;
        Ok(bytes.iter().any(|b| *b != 0))
    }

    /// Hashes a piece; `None` where its hash is not known.
    fn verify(&self, piece: PieceIndex, scratch: &mut Scratch) -> io::Result<Option<bool>> {
        let Some(expected) = Expected::of(&self.geometry, piece) else {
            return Ok(None);
        };
        let wanted = expected.wanted();
        let digests = digest::piece(&self.geometry, piece, wanted, scratch, self.reader())?;
        Ok(Some(expected.fits(&self.geometry, piece, &digests)))
    }
}
