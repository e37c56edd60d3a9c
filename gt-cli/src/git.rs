//! Asking the person's own git: configuration, folders, and the commands
//! whose behaviour people expect to the letter.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::Env;

/// One repository as git sees it from a folder.
#[derive(Clone, Debug)]
pub struct Git {
    dir: PathBuf,
    vars: Vec<(OsString, OsString)>,
}

impl Git {
    /// Returns git as run from `dir` with the variables of `env`.
    pub fn at(env: &Env, dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            vars: env
                .vars
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        }
    }

    /// Returns the same git in another folder, without the variables by which
    /// git tells a helper which repository it works for.
    #[must_use]
    pub fn elsewhere(&self, dir: impl Into<PathBuf>) -> Self {
        let local = [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_PREFIX",
            "GIT_COMMON_DIR",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        ];
        Self {
            dir: dir.into(),
            vars: self
                .vars
                .iter()
                .filter(|(k, _)| !local.iter().any(|l| k == OsStr::new(l)))
                .cloned()
                .collect(),
        }
    }

    /// Returns the same git with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.vars.retain(|(k, _)| k != OsStr::new(name));
        self.vars.push((name.into(), value.into()));
        self
    }

    /// Returns a command for `git` with these words.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program("git");
        command.args(args);
        command
    }

    /// Returns a command for another program in the same folder and with the
    /// same variables.
    pub fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        command
            .current_dir(&self.dir)
            .env_clear()
            .envs(self.vars.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        command
    }

    /// Runs git and returns what it printed, without the line end.
    ///
    /// # Errors
    /// [`Error::Run`] where git cannot be started, [`Error::Failed`] where it
    /// ends with an error.
    pub fn ask<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String, Error> {
        let mut command = self.command(args);
        let output = command.output().map_err(Error::Run)?;
        if !output.status.success() {
            return Err(Error::failed(&command, &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned())
    }

    /// Runs git and returns what it printed, byte for byte.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn bytes<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>, Error> {
        let mut command = self.command(args);
        let output = command.output().map_err(Error::Run)?;
        if !output.status.success() {
            return Err(Error::failed(&command, &output));
        }
        Ok(output.stdout)
    }

    /// Returns a path in git's configuration, with `~` read as git reads it.
    ///
    /// # Errors
    /// [`Error::Run`] where git cannot be started.
    pub fn config_path(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        match self.ask(["config", "--type=path", "--get", key]) {
            Ok(value) => Ok(Some(PathBuf::from(value)).filter(|p| !p.as_os_str().is_empty())),
            Err(Error::Failed { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Returns a value of git's configuration, the last one set.
    ///
    /// # Errors
    /// [`Error::Run`] where git cannot be started.
    pub fn config(&self, key: &str) -> Result<Option<String>, Error> {
        match self.ask(["config", "--get", key]) {
            Ok(value) => Ok(Some(value).filter(|v| !v.is_empty())),
            Err(Error::Failed { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Returns a switch of git's configuration, off where it is not set.
    ///
    /// # Errors
    /// [`Error::Run`] where git cannot be started, [`Error::Failed`] for a
    /// value that is no boolean.
    pub fn config_switch(&self, key: &str) -> Result<bool, Error> {
        let words = ["config", "--type=bool", "--default=false", "--get", key];
        Ok(self.ask(words)? == "true")
    }

    /// Returns all values of a key in git's configuration, in order.
    ///
    /// # Errors
    /// [`Error::Run`] where git cannot be started.
    pub fn config_all(&self, key: &str) -> Result<Vec<String>, Error> {
        match self.ask(["config", "--get-all", key]) {
            Ok(values) => Ok(values.lines().map(str::to_owned).collect()),
            Err(Error::Failed { .. }) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Returns the folder that all work trees of the repository share, as an
    /// absolute path.
    ///
    /// # Errors
    /// [`Error::Failed`] outside of a repository and in one that belongs to
    /// somebody else (`safe.directory`).
    pub fn common_dir(&self) -> Result<PathBuf, Error> {
        let text = self.ask(["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        Ok(PathBuf::from(text))
    }

    /// Returns a variable that git is given.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.vars
            .iter()
            .find(|(k, _)| k == OsStr::new(name))
            .map(|(_, v)| v.as_os_str())
    }

    /// Returns the folder git runs in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Why git gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be started.
    #[error("git cannot be run: {0}")]
    Run(#[source] io::Error),
    /// It ended with an error of its own.
    #[error("git {what} failed: {why}")]
    Failed {
        /// Its first word.
        what: String,
        /// What it printed.
        why: String,
    },
}

impl Error {
    fn failed(command: &Command, output: &Output) -> Self {
        let what = command
            .get_args()
            .next()
            .map(|a| a.to_string_lossy().into_owned())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&output.stderr);
        Self::Failed {
            what,
            why: match text.trim() {
                "" => output.status.to_string(),
                words => words.to_owned(),
            },
        }
    }
}
