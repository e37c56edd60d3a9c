//! The objects of the repository round the current folder, if there is one.

use std::io;

use gt_pack::ObjectId;
use gt_pack::repository::{self, GitRepository, Repository as _};
use gt_pack::verify::{Base, Bases};

use crate::Env;
use crate::git::Git;

/// Where a thin bundle may find its bases.
pub(super) struct Outside(Option<GitRepository>);

impl Outside {
    pub(super) fn round(env: &Env) -> Self {
        let here = Git::at(env, &env.cwd).common_dir().ok();
        Self(here.and_then(|dir| GitRepository::open(dir).ok()))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Bases for Outside {
    fn find(&self, oid: &ObjectId) -> io::Result<Option<Base>> {
        let Some(repository) = self.0.as_ref().filter(|r| r.format() == oid.format()) else {
            return Ok(None);
        };
        match repository.read(oid) {
            Ok((kind, content)) => Ok(Some(Base::new(kind, content.to_vec(), 0))),
            Err(repository::Error::Missing(_)) => Ok(None),
            Err(e) => Err(io::Error::other(e)),
        }
    }
}
