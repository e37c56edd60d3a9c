//! What was verified before the last stop, as a small file.
//!
//! It is believed where it reads whole: a checksum and the torrent's own
//! hash see to it that half a file, or another torrent's, counts for nothing.
//! It speaks of pieces that were on the disk when it was written, so writing
//! it comes after syncing them.

use std::collections::{BTreeMap, BTreeSet};

use gt_vfs::content::Hash;
use sha2::{Digest, Sha256};

use crate::InfoHash;
use crate::bencode::{self, Document, Keys, Limits, Value};
use crate::bitfield::Bitfield;
use crate::geometry::{FileIndex, Geometry};

const MAGIC: &[u8] = b"gt resume 1\n";

/// The verified pieces of one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The pieces that were verified.
    pub pieces: Bitfield,
    /// The files that were closed and accepted.
    pub closed: BTreeSet<FileIndex>,
    /// When files were last written, where the store knows: of one with
    /// another time nothing is believed. Somebody else wrote to it, or, where
    /// it is not whole, we did before we were killed.
    pub modified: BTreeMap<FileIndex, i64>,
    /// Piece layers that were learnt from peers or by hashing, by file (BEP
    /// 52).
    pub layers: BTreeMap<FileIndex, Vec<Hash>>,
}

impl Resume {
    /// Tells whether nothing is noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.count() == 0 && self.closed.is_empty() && self.layers.is_empty()
    }

    /// Returns one that has these layers and claims nothing.
    pub(crate) fn of_layers(&self) -> Self {
        Self {
            pieces: Bitfield::empty(self.pieces.len()),
            closed: BTreeSet::new(),
            modified: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Returns the bytes of the file.
    pub fn write(&self) -> Vec<u8> {
        let closed = self.closed.iter().map(|f| Value::Integer(i64::from(f.0)));
        let layers = self.layers.iter().map(|(file, layer)| {
            let entry = [
                Value::Integer(i64::from(file.0)),
                Value::Bytes(layer.concat()),
            ];
            Value::List(entry.into())
        });
        let modified = self.modified.iter().map(|(file, time)| {
            Value::List(vec![
                Value::Integer(i64::from(file.0)),
                Value::Integer(*time),
            ])
        });
        let body = Value::dict([
            ("closed", Value::List(closed.collect())),
            ("info", Value::bytes(self.info_hash.0)),
            ("layers", Value::List(layers.collect())),
            ("modified", Value::List(modified.collect())),
            ("pieces", Value::bytes(self.pieces.to_bytes())),
        ])
        .encode();
        let sum = Sha256::digest(&body);
        [MAGIC, &sum[..], &body].concat()
    }

    /// Reads a file about the torrent `info_hash` of this layout.
    ///
    /// # Errors
    /// See [`Error`]; nothing of such a file counts.
    pub fn read(bytes: &[u8], info_hash: InfoHash, geometry: &Geometry) -> Result<Self, Error> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Error::Magic)?;
        let (sum, body) = rest.split_at_checked(32).ok_or(Error::Sum)?;
        if Sha256::digest(body)[..] != *sum {
            return Err(Error::Sum);
        }
        let document = Document::parse(body, Limits::METAINFO.with_keys(Keys::Sorted))?;
        let root = document.root();
        if root.get(b"info").and_then(|n| n.as_bytes()) != Some(&info_hash.0) {
            return Err(Error::Torrent);
        }
        let pieces = root.get(b"pieces").and_then(|n| n.as_bytes());
        let pieces = pieces
            .and_then(|bytes| Bitfield::read(bytes, geometry.pieces()).ok())
            .ok_or(Error::Layout)?;
        let file = |n: Option<u64>| {
            let n = FileIndex(u32::try_from(n?).ok()?);
            geometry.file(n).map(|_| n)
        };
        let mut closed = BTreeSet::new();
        for node in root.get(b"closed").into_iter().flat_map(|n| n.items()) {
            closed.insert(file(node.as_u64()).ok_or(Error::Layout)?);
        }
        let mut modified = BTreeMap::new();
        for node in root.get(b"modified").into_iter().flat_map(|n| n.items()) {
            let mut items = node.items();
            let n = file(items.next().and_then(|n| n.as_u64())).ok_or(Error::Layout)?;
            let time = items.next().and_then(|n| n.as_i64());
            modified.insert(n, time.ok_or(Error::Layout)?);
        }
        let mut layers = BTreeMap::new();
        for node in root.get(b"layers").into_iter().flat_map(|n| n.items()) {
            let mut items = node.items();
            let n = file(items.next().and_then(|n| n.as_u64())).ok_or(Error::Layout)?;
            let layer = items
                .next()
                .and_then(|n| n.as_bytes())
                .ok_or(Error::Layout)?;
            match layer.as_chunks::<32>() {
                (layer, []) => layers.insert(n, layer.to_vec()),
                _ => return Err(Error::Layout),
            };
        }
        Ok(Self {
            info_hash,
            pieces,
            closed,
            modified,
            layers,
        })
    }
}

/// Why a resume file counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no such file.
    #[error("expected a resume file, got something else")]
    Magic,
    /// It was cut or altered.
    #[error("expected the checksum of the content, got another")]
    Sum,
    /// It is about another torrent.
    #[error("expected the torrent's own hash, got another")]
    Torrent,
    /// It does not fit the torrent's layout.
    #[error("expected pieces and files of the torrent's layout, got others")]
    Layout,
    /// It is not bencoded.
    #[error("not bencoded: {0}")]
    Bencode(#[from] bencode::Error),
}

#[cfg(test)]
mod tests {
    use gt_vfs::{Root, VPath};

    use super::*;
    use crate::geometry::File;

    fn sample() -> (Geometry, Resume) {
        let path = |name: &str| VPath::parse(name.as_bytes()).unwrap();
        let files = ["a", "b"].map(|p| File::new(path(p), 40_000).with_root(Root([1; 32])));
        let geometry = Geometry::v2(1 << 14, files.to_vec(), vec![None; 2]).unwrap();
        let mut pieces = Bitfield::empty(geometry.pieces());
        pieces.insert(0);
        pieces.insert(5);
        let resume = Resume {
            info_hash: InfoHash([3; 20]),
            pieces,
            closed: BTreeSet::from([FileIndex(1)]),
            modified: BTreeMap::from([(FileIndex(1), -5)]),
            layers: BTreeMap::from([(FileIndex(0), vec![[7; 32], [8; 32]])]),
        };
        (geometry, resume)
    }

    #[test]
    fn round_trip() {
        let (geometry, resume) = sample();
        let bytes = resume.write();
        assert_eq!(
            Resume::read(&bytes, InfoHash([3; 20]), &geometry),
            Ok(resume)
        );
    }

    #[test]
    fn every_cut_and_every_flip_counts_for_nothing() {
        let (geometry, resume) = sample();
        let bytes = resume.write();
        for n in 0..bytes.len() {
            let read = |bytes: &[u8]| Resume::read(bytes, InfoHash([3; 20]), &geometry);
            assert!(read(&bytes[..n]).is_err());
            let mut other = bytes.clone();
            other[n] ^= 1;
            assert!(read(&other).is_err());
        }
    }

    #[test]
    fn another_torrent_counts_for_nothing() {
        let (geometry, resume) = sample();
        let read = |hash, geometry| Resume::read(&resume.write(), InfoHash([hash; 20]), geometry);
        assert_eq!(read(4, &geometry), Err(Error::Torrent));
        let path = VPath::parse(b"a").unwrap();
        let one = vec![File::new(path, 40_000).with_root(Root([1; 32]))];
        let other = Geometry::v2(1 << 14, one, vec![None]).unwrap();
        assert_eq!(read(3, &other), Err(Error::Layout));
    }
}
