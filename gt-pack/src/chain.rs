//! The reels that a repository has accepted, and where their bytes lie.

use std::io;
use std::path::Path;

use gt_vfs::{ObjectFormat, ObjectId, Root};

use crate::kind::Kind;

/// A reel as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reel {
    /// The number of its first publication.
    pub first: u64,
    /// The number of its last publication; another than the first for a
    /// splice.
    pub last: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The root of its bytes.
    pub root: Root,
    /// The name of the recipe that makes it, if one does.
    pub recipe: Option<String>,
}

impl Reel {
    /// Returns `reels/<first>-<last>.bundle`.
    pub fn file_name(&self) -> String {
        format!("reels/{}-{}.bundle", self.first, self.last)
    }

    /// Tells whether it was made of several.
    pub fn is_splice(&self) -> bool {
        self.first != self.last
    }
}

/// The accepted reels of one repository, in order.
///
/// Only objects of reels count here: what else the repository holds is not
/// asked, so that no answer depends on it.
pub struct Chain {}

impl Chain {
    /// Opens the chain of a repository by its common directory (`.git`, or
    /// the bare repository itself). A repository without any has an empty one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(common_dir: &Path) -> Result<Self, Error> {
        let _ = common_dir;
        unimplemented!()
    }

    /// Returns the hash of the repository.
    pub fn format(&self) -> ObjectFormat {
        unimplemented!()
    }

    /// Returns the reels, in order, whether their packs are there or not.
    pub fn reels(&self) -> impl Iterator<Item = &Reel> {
        [].iter()
    }

    /// Tells whether a reel with this root was accepted and its packs are
    /// still there now.
    pub fn holds(&self, root: &Root) -> bool {
        let _ = root;
        unimplemented!()
    }

    /// Tells whether a reel of the chain has this object.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn contains(&self, oid: &ObjectId) -> Result<bool, Error> {
        let _ = oid;
        unimplemented!()
    }

    /// Returns the number of deltas between an object and a whole one,
    /// counted by the reels' own entries; `None` where no reel has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn depth(&self, oid: &ObjectId) -> Result<Option<u32>, Error> {
        let _ = oid;
        unimplemented!()
    }

    /// Returns what an object of the chain is; `None` where no reel has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn kind(&self, oid: &ObjectId) -> Result<Option<Kind>, Error> {
        let _ = oid;
        unimplemented!()
    }

    /// Returns an object of the chain; `None` where no reel has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(&self, oid: &ObjectId) -> Result<Option<(Kind, Vec<u8>)>, Error> {
        let _ = oid;
        unimplemented!()
    }

    /// Returns the names of all objects of the reels, in no order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn oids(&self) -> Result<Vec<ObjectId>, Error> {
        unimplemented!()
    }
}

/// Why the chain cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state on the disk cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
