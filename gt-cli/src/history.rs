//! Who came before whom: what the rules of a statement must know of history.

use gt_trust::Oid;
use gt_trust::statement::History;
use gt_vfs::ObjectId;

use crate::git::Git;

/// Asks git for ancestors.
#[derive(Clone, Debug)]
pub struct Ancestry {
    git: Git,
}

impl Ancestry {
    /// Returns the ancestry of the repository that `git` stands in.
    pub fn new(git: Git) -> Self {
        Self { git }
    }

    /// Tells whether `old` is `new` or in its history; an object that the
    /// repository lacks is in nobody's.
    ///
    /// # Errors
    /// Where git cannot be run.
    pub fn is_ancestor(&self, old: &ObjectId, new: &ObjectId) -> Result<bool, Error> {
        self.ask(&old.to_string(), &new.to_string())
    }

    fn ask(&self, old: &str, new: &str) -> Result<bool, Error> {
        let mut command = self.git.command(["merge-base", "--is-ancestor", old, new]);
        // A replaced commit must not make history look forward.
        command.env("GIT_NO_REPLACE_OBJECTS", "1");
        let output = command.output()?;
        Ok(output.status.success())
    }
}

impl History for Ancestry {
    fn is_ancestor(
        &self,
        old: &Oid,
        new: &Oid,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.ask(&old.to_string(), &new.to_string())?)
    }
}

/// History cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("git cannot be run: {0}")]
pub struct Error(#[from] std::io::Error);
