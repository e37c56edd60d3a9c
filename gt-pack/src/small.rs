//! A pack of a few objects, as one message carries it (PROTOCOL.md, sections
//! 6 and 7): seals, a statement, charters, a keyring.
//!
//! Its container is that of a SHA-1 pack, version 2, whatever format the
//! repository has: the objects are carried as their bytes, and what names a
//! statement is its SHA-256. Entries are whole blobs and tags, or one delta on
//! a blob that the receiver holds. Nothing else is read: such a pack comes
//! from somebody whose signature was not checked yet.

mod read;
mod write;

use gt_vfs::{ObjectFormat, ObjectId};

use crate::{Kind, delta, entry, hash, inflate};

/// An object in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Object {
    /// Returns an object of this kind and content.
    pub fn new(kind: Kind, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { kind, bytes }
    }
}

/// What a pack may cost before any signature in it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Most objects.
    pub objects: u32,
    /// Most inflated bytes: of objects, and of the deltas that make them.
    pub inflated: u64,
}

impl Default for Budget {
    /// 128 objects, 16 MiB: a statement of a million refs comes alone, and an
    /// epoch of charters with 64 seals fits twice.
    fn default() -> Self {
        Self {
            objects: 128,
            inflated: 16 << 20,
        }
    }
}

/// The format of the container.
const FORMAT: ObjectFormat = ObjectFormat::Sha1;

/// Returns a pack of `objects` in their order. A blob is written as a delta on
/// one of the blobs `bases`, which the receiver must hold, where that is
/// shorter.
pub fn write(objects: &[Object], bases: &[Vec<u8>]) -> Vec<u8> {
    write::pack(objects, bases)
}

/// Reads such a pack: its objects in their order. `bases` finds a blob that
/// the reader holds by its (SHA-1) id.
///
/// # Errors
/// [`Error`]; a ceiling that was met is named.
pub fn read(
    bytes: &[u8],
    bases: &dyn Fn(&ObjectId) -> Option<Vec<u8>>,
    budget: &Budget,
) -> Result<Vec<Object>, Error> {
    read::pack(bytes, bases, budget)
}

/// Why bytes are no such pack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are others.
    #[error("expected a git pack of version 2, got other bytes")]
    Signature,
    /// The last bytes are not the hash of those before.
    #[error("expected the pack's SHA-1 at its end, got other bytes")]
    Trailer,
    /// The pack ends too early or too late.
    #[error("expected {expected} objects in the pack, got {got} and {left} more bytes")]
    Length {
        /// What the header promises.
        expected: u32,
        /// Whole objects that were read.
        got: u32,
        /// Bytes after them.
        left: usize,
    },
    /// There are too many objects.
    #[error("expected at most {limit} objects before a signature, got {got}")]
    Objects {
        /// The ceiling.
        limit: u32,
        /// What the header promises.
        got: u32,
    },
    /// The objects are too big.
    #[error("expected at most {limit} inflated bytes before a signature, got more")]
    Inflated {
        /// The ceiling.
        limit: u64,
    },
    /// The object has no business in such a pack.
    #[error("expected blobs and tags, got a {0}")]
    Kind(Kind),
    /// The delta is on an object of the same pack, by its place.
    #[error("expected whole objects and deltas on held blobs, got a delta inside the pack")]
    Inside,
    /// The delta's base is not held.
    #[error("expected a delta on a held blob, got one on {0}")]
    Base(ObjectId),
    /// The same object comes twice.
    #[error("expected each object once, got {0} twice")]
    Twice(ObjectId),
    /// An entry's header is broken.
    #[error(transparent)]
    Entry(#[from] entry::Error),
    /// An entry does not inflate to what its header promises.
    #[error(transparent)]
    Inflate(#[from] inflate::Error),
    /// A delta does not apply.
    #[error(transparent)]
    Delta(#[from] delta::apply::Error),
    /// An object was made to share its name with another one.
    #[error(transparent)]
    Collision(#[from] hash::Collision),
}
