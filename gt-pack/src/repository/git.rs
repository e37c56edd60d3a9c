//! A repository on the disk, through libgit2.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use git2::{ErrorClass, ErrorCode};
use gt_vfs::{ObjectFormat, ObjectId};

use super::{Error, Refs, Repository};
use crate::Kind;

/// A git repository on the disk, bare or with a work tree.
///
/// Every thread that reads at the same time gets a handle of its own. Git's
/// ownership rule (`safe.directory`) holds, shallow and partial clones are
/// refused when they are opened, and each object is hashed as it is read.
pub struct GitRepository {
    path: PathBuf,
    idle: Mutex<Vec<git2::Repository>>,
}

impl GitRepository {
    /// Opens the repository at `path`: a git directory, or a work tree with
    /// one. Folders above `path` are not searched.
    ///
    /// # Errors
    /// [`Error::ForeignOwner`], [`Error::Incomplete`], [`Error::Format`], and
    /// [`Error::Open`] for anything else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_path_buf();
        let first = open(&path)?;
        refuse_incomplete(&path, &first)?;
        Ok(Self {
            path: first.path().to_path_buf(),
            idle: Mutex::new(vec![first]),
        })
    }

    /// Returns the git directory.
    pub fn git_dir(&self) -> &Path {
        &self.path
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&git2::Repository) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let handle = match taken {
            Some(handle) => handle,
            None => open(&self.path)?,
        };
        let result = work(&handle);
        idle().push(handle);
        result
    }
}

impl Repository for GitRepository {
    fn format(&self) -> ObjectFormat {
        ObjectFormat::Sha1
    }

    fn read(&self, id: &ObjectId) -> Result<(Kind, Vec<u8>), Error> {
        self.with(|handle| {
            let odb = handle.odb().map_err(|e| read_error(id, e))?;
            let object = odb.read(oid(id)?).map_err(|e| read_error(id, e))?;
            Ok((kind(id, object.kind())?, object.data().to_vec()))
        })
    }

    fn header(&self, id: &ObjectId) -> Result<(Kind, u64), Error> {
        self.with(|handle| {
            let odb = handle.odb().map_err(|e| read_error(id, e))?;
            let (size, type_) = odb.read_header(oid(id)?).map_err(|e| read_error(id, e))?;
            Ok((kind(id, type_)?, size as u64))
        })
    }

    fn refs(&self) -> Result<Refs, Error> {
        self.with(|handle| refs(handle).map_err(|e| Error::Refs(e.into())))
    }
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

fn oid(id: &ObjectId) -> Result<git2::Oid, Error> {
    git2::Oid::from_bytes(id.as_bytes()).map_err(|e| Error::Read {
        id: *id,
        source: e.into(),
    })
}

fn kind(id: &ObjectId, type_: git2::ObjectType) -> Result<Kind, Error> {
    match type_ {
        git2::ObjectType::Commit => Ok(Kind::Commit),
        git2::ObjectType::Tree => Ok(Kind::Tree),
        git2::ObjectType::Blob => Ok(Kind::Blob),
        git2::ObjectType::Tag => Ok(Kind::Tag),
        git2::ObjectType::Any => Err(Error::Read {
            id: *id,
            source: "expected a commit, tree, blob or tag, got another type".into(),
        }),
    }
}

fn read_error(id: &ObjectId, e: git2::Error) -> Error {
    if e.code() == ErrorCode::NotFound {
        return Error::Missing(*id);
    }
    let source = e.into();
    Error::Read { id: *id, source }
}
