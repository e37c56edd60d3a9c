//! The door to objects that somebody else keeps.

pub(crate) mod cache;
pub(crate) mod chunk;
#[cfg(feature = "git")]
mod git;
#[cfg(feature = "git")]
mod sha256;
#[cfg(feature = "git")]
mod store;

use std::path::PathBuf;

use bytes::Bytes;
use gt_vfs::{ObjectFormat, ObjectId};

use crate::Kind;

#[cfg(feature = "git")]
pub use git::GitRepository;

/// A complete store of objects and refs, read by many threads at once.
///
/// It gives objects as their ids name them: replace refs and grafts are off,
/// and an object that is missing is an error, never another object.
pub trait Repository: Sync {
    /// Returns the hash by which objects are named.
    fn format(&self) -> ObjectFormat;

    /// Returns an object's kind and content.
    ///
    /// # Errors
    /// [`Error::Missing`] where the store has no such object, and what it
    /// meets while it reads.
    fn read(&self, id: &ObjectId) -> Result<(Kind, Bytes), Error>;

    /// Returns an object of at most `most` bytes. Of a larger one only kind
    /// and size may be told, where the store need not make it to know them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_up_to(&self, id: &ObjectId, most: u64) -> Result<Content, Error> {
        let (kind, size) = self.header(id)?;
        if size > most {
            return Ok(Content::Larger(kind, size));
        }
        let (kind, bytes) = self.read(id)?;
        Ok(Content::Whole(kind, bytes))
    }

    /// Hands an object's content to `out`, in order and in pieces of any
    /// length; a store that can does not hold all of it at once. Returns its
    /// kind and size. After an error what came before is worthless.
    ///
    /// # Errors
    /// As [`read`](Self::read), and what `out` returns as the source of
    /// [`Error::Read`].
    fn stream(&self, id: &ObjectId, out: &mut Out<'_>) -> Result<(Kind, u64), Error> {
        let (kind, bytes) = self.read(id)?;
        match out(&bytes) {
            Ok(()) => Ok((kind, bytes.len() as u64)),
            Err(e) => Err(Error::Read {
                id: *id,
                source: e.into(),
            }),
        }
    }

    /// Returns an object's kind and the size of its content in bytes, where
    /// that is cheaper than reading it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn header(&self, id: &ObjectId) -> Result<(Kind, u64), Error>;

    /// Returns all refs.
    ///
    /// # Errors
    /// What the store meets while it reads.
    fn refs(&self) -> Result<Refs, Error>;
}

/// Takes the next bytes of an object.
pub type Out<'a> = dyn FnMut(&[u8]) -> std::io::Result<()> + 'a;

/// What [`Repository::read_up_to`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The object.
    Whole(Kind, Bytes),
    /// An object that is larger than was asked for, and its size in bytes.
    Larger(Kind, u64),
}

/// All refs of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs {
    /// The full name of the branch that HEAD names, whether it exists or not;
    /// none where HEAD is detached.
    pub head: Option<Vec<u8>>,
    /// Full names and what they point at, tag objects unpeeled, sorted by
    /// name. Symbolic refs stand with what they lead to; those that lead
    /// nowhere are left out.
    pub list: Vec<(Vec<u8>, ObjectId)>,
}

/// Why a repository does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no repository, or it cannot be opened.
    #[error("cannot open a git repository at {}", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The repository belongs to another user, and git's `safe.directory`
    /// does not name it.
    #[error(
        "repository at {} belongs to another user; to trust it: git config --global --add safe.directory {}",
        path.display(), path.display()
    )]
    ForeignOwner {
        /// Where.
        path: PathBuf,
    },
    /// The repository does not hold all of its history.
    #[error(
        "repository at {} is {lack}: expected one that holds all of its objects",
        path.display()
    )]
    Incomplete {
        /// Where.
        path: PathBuf,
        /// What it is: a shallow or a partial clone.
        lack: &'static str,
    },
    /// The repository names objects by a hash that this build cannot read
    /// from a repository on the disk.
    #[error("expected a repository of object format sha1 at {}, got {format}", path.display())]
    Format {
        /// Where.
        path: PathBuf,
        /// Its format.
        format: String,
    },
    /// An object is not there.
    #[error("object {0} is missing from the repository")]
    Missing(ObjectId),
    /// An object is there and cannot be read.
    #[error("cannot read object {id} from the repository: {source}")]
    Read {
        /// Which.
        id: ObjectId,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Refs cannot be read.
    #[error("cannot read the refs of the repository")]
    Refs(#[source] Box<dyn std::error::Error + Send + Sync>),
}
