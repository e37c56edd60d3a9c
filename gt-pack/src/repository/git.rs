//! A repository on the disk: opened through libgit2, or the installed git where
//! libgit2 does not know the hash; its objects are read out of its files.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use git2::{ErrorClass, ErrorCode};
use gt_vfs::{ObjectFormat, ObjectId};

use super::store::Store;
use super::{Content, Error, Out, Refs, Repository, sha256};
use crate::Kind;

/// A git repository on the disk, bare or with a work tree.
///
/// Git's ownership rule (`safe.directory`) holds, and shallow and partial
/// clones are refused when they are opened. Objects are named again when they
/// are read: loose ones each time, packed ones the first time, and zlib's sums
/// guard them from then on. Kinds and sizes alone are what an index leads to.
pub struct GitRepository {
    path: PathBuf,
    store: Store,
    /// None where the installed git is asked instead.
    handle: Option<Mutex<git2::Repository>>,
}

impl GitRepository {
    /// Opens the repository at `path`: a git directory, or a work tree with
    /// one. Folders above `path` are not searched.
    ///
    /// # Errors
    /// [`Error::ForeignOwner`], [`Error::Incomplete`], [`Error::Format`], and
    /// [`Error::Open`] for anything else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let handle = match open(path) {
            Err(Error::Format { .. }) => return Self::open_sha256(path),
            other => other?,
        };
        refuse_incomplete(path, &handle)?;
        let objects = handle.commondir().join("objects");
        Ok(Self {
            path: handle.path().to_path_buf(),
            store: open_store(path, &objects, ObjectFormat::Sha1)?,
            handle: Some(Mutex::new(handle)),
        })
    }

    fn open_sha256(path: &Path) -> Result<Self, Error> {
        let place = sha256::open(path)?;
        Ok(Self {
            store: open_store(path, &place.common_dir.join("objects"), place.format)?,
            path: place.git_dir,
            handle: None,
        })
    }

    /// Returns the git directory.
    pub fn git_dir(&self) -> &Path {
        &self.path
    }
}

impl Repository for GitRepository {
    fn format(&self) -> ObjectFormat {
        self.store.format()
    }

    fn read(&self, id: &ObjectId) -> Result<(Kind, Bytes), Error> {
        self.store.read(id)
    }

    fn read_up_to(&self, id: &ObjectId, most: u64) -> Result<Content, Error> {
        self.store.read_up_to(id, most)
    }

    fn stream(&self, id: &ObjectId, out: &mut Out<'_>) -> Result<(Kind, u64), Error> {
        self.store.stream(id, out)
    }

    fn header(&self, id: &ObjectId) -> Result<(Kind, u64), Error> {
        self.store.header(id)
    }

    fn refs(&self) -> Result<Refs, Error> {
        let Some(handle) = &self.handle else {
            return sha256::refs(&self.path);
        };
        let handle = handle.lock().unwrap_or_else(PoisonError::into_inner);
        refs(&handle).map_err(|e| Error::Refs(e.into()))
    }
}

fn open_store(path: &Path, objects: &Path, format: ObjectFormat) -> Result<Store, Error> {
    Store::open(objects, format).map_err(|e| Error::Open {
        path: path.to_path_buf(),
        source: e.into(),
    })
}

fn open(path: &Path) -> Result<git2::Repository, Error> {
    let flags = git2::RepositoryOpenFlags::NO_SEARCH;
    let none: [&Path; 0] = [];
    git2::Repository::open_ext(path, flags, none).map_err(|e| open_error(path, e))
}

fn open_error(path: &Path, e: git2::Error) -> Error {
    let path = path.to_path_buf();
    if e.code() == ErrorCode::Owner {
        return Error::ForeignOwner { path };
    }
    // Libgit2 refuses what it does not know, and says so in words only.
    let words = e.message().to_lowercase();
    if e.class() == ErrorClass::Repository && words.contains("partialclone") {
        let lack = "a partial clone";
        return Error::Incomplete { path, lack };
    }
    if words.contains("objectformat") || words.contains("object format") {
        let format = "another one".to_owned();
        return Error::Format { path, format };
    }
    let source = e.into();
    Error::Open { path, source }
}

fn refuse_incomplete(path: &Path, repository: &git2::Repository) -> Result<(), Error> {
    let refuse = |lack| {
        Err(Error::Incomplete {
            path: path.to_path_buf(),
            lack,
        })
    };
    if repository.is_shallow() {
        return refuse("a shallow clone");
    }
    let unreadable = |e: git2::Error| Error::Open {
        path: path.to_path_buf(),
        source: e.into(),
    };
    let config = repository.config().map_err(unreadable)?;
    let config = config.open_level(git2::ConfigLevel::Local);
    let Ok(config) = config else { return Ok(()) };
    let mut partial = config.get_entry("extensions.partialclone").is_ok();
    let mut remotes = config
        .entries(Some("remote\\..*\\.(promisor|partialclonefilter)"))
        .map_err(unreadable)?;
    while let Some(entry) = remotes.next() {
        let entry = entry.map_err(unreadable)?;
        partial |= entry.value_bytes() != b"false";
    }
    if partial {
        return refuse("a partial clone");
    }
    Ok(())
}

fn refs(repository: &git2::Repository) -> Result<Refs, git2::Error> {
    let mut list = Vec::new();
    for reference in repository.references()? {
        let reference = reference?;
        let name = reference.name_bytes().to_vec();
        match reference.resolve() {
            Ok(direct) => list.extend(
                direct
                    .target()
                    .and_then(|oid| ObjectId::from_bytes(oid.as_bytes()))
                    .map(|id| (name, id)),
            ),
            Err(e) if e.code() == ErrorCode::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    list.sort();
    let head = repository.find_reference("HEAD")?;
    let head = head.symbolic_target_bytes().map(<[u8]>::to_vec);
    Ok(Refs { head, list })
}
