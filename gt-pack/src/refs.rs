//! The refs of a repository: listed, and moved all together or not at all.

use std::io;
use std::path::Path;

use gt_vfs::ObjectId;

/// What a ref must be before it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// It does not matter.
    Any,
    /// There must be none.
    Absent,
    /// It must name this object.
    Is(ObjectId),
}

/// One ref that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefChange {
    /// The full name, `refs/...`.
    pub name: Vec<u8>,
    /// What it must be now.
    pub old: Old,
    /// What it becomes; `None` deletes it.
    pub new: Option<ObjectId>,
}

/// Moves refs in one transaction of git's own.
///
/// # Errors
/// See [`Error`]; nothing has moved then.
pub fn move_all(common_dir: &Path, changes: &[RefChange]) -> Result<(), Error> {
    let _ = (common_dir, changes);
    unimplemented!()
}

/// Lists refs by patterns such as `refs/heads/*`, sorted by name. A `*` at
/// the end stands for anything, slashes too; a pattern without one is the
/// name of a ref.
///
/// # Errors
/// See [`Error`].
pub fn list(common_dir: &Path, patterns: &[&[u8]]) -> Result<Vec<(Vec<u8>, ObjectId)>, Error> {
    let _ = (common_dir, patterns);
    unimplemented!()
}

/// Returns the ref that HEAD names; `None` where it names a commit itself.
///
/// # Errors
/// See [`Error`].
pub fn head(common_dir: &Path) -> Result<Option<Vec<u8>>, Error> {
    let _ = common_dir;
    unimplemented!()
}

/// Makes HEAD name a ref, which need not exist.
///
/// # Errors
/// See [`Error`].
pub fn set_head(common_dir: &Path, name: &[u8]) -> Result<(), Error> {
    let _ = (common_dir, name);
    unimplemented!()
}

/// Why refs cannot be read or moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is not one of a ref.
    #[error("expected the full name of a ref, got {}", .0.escape_ascii())]
    Name(Vec<u8>),
    /// Git refused: a ref is not what it was thought to be, or two clash.
    #[error("expected the refs to move, got from git: {0}")]
    Refused(String),
    /// Git could not be started or spoken to.
    #[error(transparent)]
    Io(#[from] io::Error),
}
