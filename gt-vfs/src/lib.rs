#![doc = include_str!("../README.md")]

pub mod content;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod disguise;
pub mod file;
pub mod folder;
pub mod memory;

pub mod oid;
pub mod verdict;
pub mod vpath;

use std::io;

pub use content::{ContentId, Root};
pub use file::{ReadAt, WriteAt};
pub use folder::Folder;
pub use memory::Memory;

pub use oid::{ObjectFormat, ObjectId};
pub use verdict::Verdict;
pub use vpath::VPath;

/// A store of whole files under [`VPath`] names: the one joint between a
/// torrent engine and the place where bytes lie.
///
/// Calls block: the driver owns the threads. No method has a default body,
/// so that a wrapper that forgets one does not compile.
pub trait Vfs: Send + Sync {
    /// Lists the files that are whole, sorted by path.
    ///
    /// # Errors
    /// What the backend meets while it looks.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Opens a whole file for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no such file, or only a
    /// partial one.
    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>>;

    /// Opens a file of `size` bytes for writing; bytes that an earlier writer
    /// of the same path left behind without closing are still there.
    ///
    /// The file is not listed and cannot be opened until its writer's
    /// [`close`](WriteAt::close) answered [`Verdict::Accept`].
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where the file is whole already, and
    /// what the backend meets.
    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>>;

    /// Removes a file, whole or partial. It is no error if there is none.
    ///
    /// # Errors
    /// What the backend meets.
    fn remove(&self, path: &VPath) -> io::Result<()>;
}

/// One file as [`Vfs::list`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub path: VPath,
    /// Its length in bytes.
    pub size: u64,
    /// What it is whatever it is called, where the backend knows.
    pub id: Option<ContentId>,
    /// When it was last written, in nanoseconds since 1970, where the backend
    /// knows: whoever remembers it notices that somebody changed the file.
    pub modified: Option<i64>,
}

impl Entry {
    /// Returns an entry of which nothing is known but name and length.
    pub fn new(path: VPath, size: u64) -> Self {
        Self {
            path,
            size,
            id: None,
            modified: None,
        }
    }

    /// Returns the entry with an identity.
    #[must_use]
    pub fn with_id(mut self, id: ContentId) -> Self {
        self.id = Some(id);
        self
    }
}
