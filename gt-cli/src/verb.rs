//! Talking to the person: one file for each verb.

pub mod charter;
pub mod clone;
pub mod demo;
pub mod endorse;
pub mod fetch;
pub mod helper;
pub mod log;
pub mod pack;
mod policy;
pub mod publish;
pub mod seed;
mod show;
mod shown;
pub mod status;
pub mod swarm;
pub mod torrent;
pub mod tracker;
pub mod trust;
pub mod verify;
mod ways;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Env;
use crate::git::Git;

/// Why a command ended without success, in words.
#[derive(Debug)]
pub enum Failure {
    /// Refused, or not found: exit code 1.
    Refused(String),
    /// Used wrongly, or the machine failed: exit code 2.
    Broken(String),
    /// About trust: a code of the table in the README.
    Verdict(Code, String),
}

/// Exit codes of the verbs about trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// A bad signature, or none.
    Bad = 1,
    /// No such key, not trusted, expired, revoked.
    NotTrusted = 2,
    /// A rule of policy, or too few seals.
    Policy = 3,
    /// Older than it may be.
    Stale = 4,
    /// An older state offered as the newest, or two states by one key.
    Rollback = 5,
    /// It cannot be told here.
    Unsupported = 6,
    /// Used wrongly, or the machine failed.
    Usage = 64,
}

impl Failure {
    /// Returns the code that the process exits with.
    pub fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Broken(_) => 2,
            Self::Verdict(code, _) => *code as u8,
        }
    }

    /// Returns the words.
    pub fn words(&self) -> &str {
        match self {
            Self::Refused(words) | Self::Broken(words) | Self::Verdict(_, words) => words,
        }
    }
}

/// Makes a refusal of any error.
pub(crate) fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::Refused(error.to_string())
}

/// Makes a breakdown of any error.
pub(crate) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}

/// Makes a usage error, or a broken machine, of any error in a verb about trust.
pub(crate) fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::Verdict(Code::Usage, error.to_string())
}

/// Returns git in the repository that the person named, or stands in.
pub(crate) fn git_at(env: &Env, named: Option<&Path>) -> Git {
    match named {
        Some(path) => {
            let dir = env.cwd.join(path);
            Git::at(env, &dir).elsewhere(dir)
        }
        None => Git::at(env, &env.cwd),
    }
}

/// Returns a runtime for nodes.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(broken)
}

/// Ends the runtime without waiting for threads that hang on a disk.
pub(crate) fn end(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(2));
}

/// Waits for a request to end: Ctrl-C or a polite kill.
pub(crate) async fn asked_to_end() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// Returns the folder in the person's cache for a clone of a repository.
pub(crate) fn cache_for(env: &Env, rid: &gt_trust::Rid) -> Option<PathBuf> {
    env.cache_folder()
        .map(|c| c.join("clones").join(rid.to_string()))
}
