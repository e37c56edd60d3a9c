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
    Namer::new(format).name(kind, content)
}

/// Names many objects, one after the other, with one state.
///
/// Making the state of the detecting hash costs as much as hashing a small
/// object does.
pub struct Namer {
    format: ObjectFormat,
    sha1: Box<sha1dc::Hasher>,
}

impl Namer {
    /// Returns a namer for a repository of this format.
    pub fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            sha1: Box::new(sha1dc::Hasher::new()),
        }
    }

    /// Returns the name of an object.
    ///
    /// # Errors
    /// [`Collision`] where the bytes were made to share their name.
    pub fn name(&mut self, kind: Kind, content: &[u8]) -> Result<ObjectId, Collision> {
        let mut head = [0; HEAD];
        let head = header(kind, content.len() as u64, &mut head);
        if self.format == ObjectFormat::Sha256 {
            let mut hasher = sha2::Sha256::new();
            hasher.update(head);
            hasher.update(content);
            return Ok(ObjectId::Sha256(hasher.finalize().into()));
        }
        // A short object is hashed in one go.
        let mut short = [0; 256];
        let whole = head.len() + content.len();
        if let Some(short) = short.get_mut(..whole) {
            short[..head.len()].copy_from_slice(head);
            short[head.len()..].copy_from_slice(content);
            self.sha1.update(short);
        } else {
            self.sha1.update(head);
            self.sha1.update(content);
        }
        match self.sha1.finalize_reset() {
            Ok(digest) => Ok(ObjectId::Sha1(digest.to_bytes())),
            Err(c) => Err(Collision(ObjectId::Sha1(c.digest().to_bytes()))),
        }
    }
}

/// The longest header of an object: a kind, a space, 20 digits, a NUL.
const HEAD: usize = 6 + 1 + 20 + 1;

/// Writes the header of an object at the end of `room`.
fn header(kind: Kind, size: u64, room: &mut [u8; HEAD]) -> &[u8] {
    let mut at = HEAD - 1;
    room[at] = 0;
    let mut rest = size;
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    at -= 1;
    room[at] = b' ';
    let name = kind.name().as_bytes();
    at -= name.len();
    room[at..at + name.len()].copy_from_slice(name);
    &room[at..]
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
        hasher.update(header(kind, size, &mut [0; HEAD]));
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

    /// Returns a hasher that has seen the header of an object of `size` bytes:
    /// to compare it with its name where nobody could have exchanged it.
    #[cfg(feature = "git")]
    pub(crate) fn of_object(format: ObjectFormat, kind: Kind, size: u64) -> Self {
        let mut hasher = Self::new(format);
        hasher.update(header(kind, size, &mut [0; HEAD]));
        hasher
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
    fn one_state_names_many() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let mut namer = Namer::new(format);
            for size in [
                0, 1, 9, 10, 54, 55, 64, 200, 242, 243, 244, 245, 246, 256, 100_000,
            ] {
                let content = vec![b'x'; size];
                for kind in Kind::ALL {
                    let mut hasher = ObjectHasher::without_header(format);
                    hasher.update(format!("{kind} {size}\0").as_bytes());
                    hasher.update(&content);
                    assert_eq!(namer.name(kind, &content), hasher.finish());
                }
            }
        }
        assert_eq!(header(Kind::Commit, u64::MAX, &mut [0; HEAD]).len(), HEAD);
    }

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
