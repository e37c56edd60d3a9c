//! Names of objects and sums of files.
//!
//! An object's name is made with collision detection, as git does: two
//! different objects of one name are how a repository is forged. A trailer
//! only guards against accidents, and uses the plain hash.

use gt_vfs::{ObjectFormat, ObjectId};
use sha1::Digest as _;

use crate::kind::Kind;

/// Returns the name of an object.
///
/// # Errors
/// [`Collision`] where the bytes were made to share their name.
pub fn object_id(format: ObjectFormat, kind: Kind, content: &[u8]) -> Result<ObjectId, Collision> {
    let mut hasher = ObjectHasher::new(format, kind, content.len() as u64);
    hasher.update(content);
    hasher.finish()
}

/// Hashes one object piece by piece.
#[derive(Clone)]
pub struct ObjectHasher(Inner);

#[derive(Clone)]
enum Inner {
    Sha1(Box<sha1dc::Hasher>),
    Sha256(sha2::Sha256),
}

impl ObjectHasher {
    /// Returns a hasher that has seen the header of an object of `size` bytes.
    pub fn new(format: ObjectFormat, kind: Kind, size: u64) -> Self {
        let mut hasher = Self::without_header(format);
        hasher.update(format!("{} {size}\0", kind.name()).as_bytes());
        hasher
    }

    /// Returns a hasher that has seen nothing: not how objects are named, but
    /// how known collisions, which were made without a header, are detected.
    pub fn without_header(format: ObjectFormat) -> Self {
        Self(match format {
            ObjectFormat::Sha256 => Inner::Sha256(sha2::Sha256::new()),
            _ => Inner::Sha1(Box::new(sha1dc::Hasher::new())),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha1(h) => h.update(bytes),
            Inner::Sha256(h) => h.update(bytes),
        }
    }

    /// Ends the object.
    ///
    /// # Errors
    /// [`Collision`] where the bytes were made to share their name.
    pub fn finish(self) -> Result<ObjectId, Collision> {
        match self.0 {
            Inner::Sha1(h) => match h.finalize() {
                Ok(digest) => Ok(ObjectId::Sha1(digest.to_bytes())),
                Err(c) => Err(Collision(ObjectId::Sha1(c.digest().to_bytes()))),
            },
            Inner::Sha256(h) => Ok(ObjectId::Sha256(h.finalize().into())),
        }
    }
}

/// Bytes that were made to have the same SHA-1 as others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an object, got a SHA-1 collision attack on {0}")]
pub struct Collision(pub ObjectId);

/// Sums a file with the plain hash of its repository's format: the trailer
/// of a pack, an index, a reverse index.
#[derive(Clone)]
pub struct FileHasher(Sum);

#[derive(Clone)]
enum Sum {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl FileHasher {
    /// Returns a hasher that has seen nothing.
    pub fn new(format: ObjectFormat) -> Self {
        Self(match format {
            ObjectFormat::Sha256 => Sum::Sha256(sha2::Sha256::new()),
            _ => Sum::Sha1(sha1::Sha1::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Sum::Sha1(h) => h.update(bytes),
            Sum::Sha256(h) => h.update(bytes),
        }
    }

    /// Ends the file; the sum has the shape of an object id.
    pub fn finish(self) -> ObjectId {
        match self.0 {
            Sum::Sha1(h) => ObjectId::Sha1(h.finalize().into()),
            Sum::Sha256(h) => ObjectId::Sha256(h.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_blob_has_its_well_known_names() {
        let name = |format| object_id(format, Kind::Blob, b"").unwrap().to_string();
        assert_eq!(
            name(ObjectFormat::Sha1),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            name(ObjectFormat::Sha256),
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
        );
    }
}
