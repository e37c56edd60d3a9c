//! Who came before whom: what the rules of a statement must know of history.

use std::io::Write as _;
use std::process::{Command, Stdio};

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

    fn object(&self, oid: &Oid) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let oid = oid.to_string();
        let kind = self.git.ask(["cat-file", "-t", &oid])?;
        Ok(self.git.bytes(["cat-file", &kind, &oid])?)
    }

    fn new_commits(
        &self,
        new: &Oid,
        known: &[Oid],
    ) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
        let git = self.git.clone().with("GIT_NO_REPLACE_OBJECTS", "1");
        let mut command = git.command(["rev-list", "--ignore-missing", "--stdin"]);
        let lines: String = known.iter().map(|oid| format!("^{oid}\n")).collect();
        let output = fed(&mut command, format!("{new}\n{lines}").as_bytes())?;
        let listed = String::from_utf8(output)?;
        listed
            .lines()
            .map(|oid| Ok(git.bytes(["cat-file", "commit", oid])?))
            .collect()
    }
}

/// Runs a command on some input; it must succeed.
fn fed(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // The names may be more than a pipe holds.
        scope.spawn(|| pipe.map(|mut pipe| pipe.write_all(input)));
        child.wait_with_output()
    })?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(std::io::Error::other("git rev-list failed")),
    }
}

/// History cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("git cannot be run: {0}")]
pub struct Error(#[from] std::io::Error);
