//! The info dictionary: what names a torrent.

use gt_vfs::{Root, VPath};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Error, build};
use crate::InfoHash;
use crate::bencode::{Document, Limits};
use crate::geometry::{File, Geometry};

/// Which hashes a torrent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// SHA-1 of pieces (BEP 3).
    V1,
    /// SHA-256 trees of files (BEP 52).
    V2,
    /// Both, over the same files.
    Hybrid,
}

/// A symbolic link that a torrent tells of (BEP 47). It could point anywhere,
/// so it is shown to people and never made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Symlink {
    /// Where it stands.
    pub path: VPath,
    /// Where it points, joined by `/`, as it came.
    pub target: Vec<u8>,
}

/// An info dictionary, its bytes as they came and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub(super) raw: Vec<u8>,
    pub(super) name: Vec<u8>,
    /// The name as a disk can hold it.
    pub(super) folder: Vec<u8>,
    pub(super) symlinks: Vec<Symlink>,
    pub(super) private: bool,
    pub(super) single: bool,
    pub(super) version: Version,
    pub(super) geometry: Geometry,
}

impl Info {
    /// Reads the bytes of an info dictionary, as peers send them (BEP 9); v2
    /// piece layers are unknown then.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(raw: &[u8]) -> Result<Self, Error> {
        let document = Document::parse(raw, Limits::METAINFO)?;
        Self::parse(document.root(), &Default::default(), false)
    }

    /// Returns the v2 torrent that follows from names, lengths and roots
    /// alone, without piece layers. The files may come in any order; they are
    /// put in that of the file tree. `name` is shown to people.
    ///
    /// The same arguments give the same bytes, so whoever knows them needs no
    /// metadata from peers.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from_roots(
        name: &[u8],
        piece_length: u64,
        files: impl IntoIterator<Item = (VPath, u64, Root)>,
    ) -> Result<Self, Error> {
        let files = files.into_iter();
        let mut files: Vec<File> = files
            .map(|(path, length, root)| File::new(path, length).with_root(root))
            .collect();
        build::sort(&mut files);
        let layers = vec![None; files.len()];
        let geometry = Geometry::v2(piece_length, files, layers)?;
        build::info(name, false, Version::V2, geometry)
    }

    /// Returns the bytes that the info-hash is made of.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the name of the file, or of the folder that holds the files.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns what a disk calls the file or folder: the name, with what
    /// cannot stand in a file's name replaced.
    pub fn folder(&self) -> &[u8] {
        &self.folder
    }

    /// Returns the links that the torrent tells of; nobody makes them.
    pub fn symlinks(&self) -> &[Symlink] {
        &self.symlinks
    }

    /// Returns the path of the one file of a torrent that is a single file.
    pub fn single(&self) -> Option<&VPath> {
        let mut files = self.geometry.files().iter().filter(|f| !f.padding);
        files.next().filter(|_| self.single).map(|file| &file.path)
    }

    /// Tells whether it is one file that is called as the torrent is. Of
    /// others, the files lie below a folder of the torrent's name.
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// Tells whether peers may be learnt from its trackers only (BEP 27).
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Returns which hashes it has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the layout of files and pieces.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns the SHA-1 of the dictionary, if it has a v1 half.
    pub fn v1_hash(&self) -> Option<InfoHash> {
        (self.version != Version::V2).then(|| InfoHash(Sha1::digest(&self.raw).into()))
    }

    /// Returns the SHA-256 of the dictionary, if it has a v2 half.
    pub fn v2_hash(&self) -> Option<[u8; 32]> {
        (self.version != Version::V1).then(|| Sha256::digest(&self.raw).into())
    }

    /// Returns the names by which handshakes and trackers know the torrent:
    /// the v1 hash first, where there is one, then the v2 hash cut to 20
    /// bytes.
    pub fn info_hashes(&self) -> Vec<InfoHash> {
        let v2 = self.v2_hash().map(|hash| {
            let mut cut = [0; 20];
            cut.copy_from_slice(&hash[..20]);
            InfoHash(cut)
        });
        self.v1_hash().into_iter().chain(v2).collect()
    }
}
