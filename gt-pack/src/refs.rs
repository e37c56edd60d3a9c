//! The refs of a repository: listed, and moved all together or not at all.
//!
//! They are moved by `git update-ref --stdin`, not by libgit2: its transaction
//! locks and writes one ref after the other and finds out about names that
//! clash as file and folder while it commits, when some have moved. Git checks
//! everything before the first one moves, and knows reftable.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use gt_vfs::ObjectId;

use crate::git_program::{self, ask, complaint};

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

/// Moves refs in one transaction of git's own: all of them, or none.
///
/// There is one exception. Git cannot delete `refs/heads/a` and make
/// `refs/heads/a/b` in one transaction; where a deleted name is in the way of
/// a new one, the deletions come first, in a transaction of their own, after
/// everything else was looked at.
///
/// # Errors
/// See [`Error`].
pub fn move_all(common_dir: &Path, changes: &[RefChange]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut names = BTreeSet::new();
    for change in changes {
        check_name(&change.name)?;
        if !names.insert(&change.name[..]) {
            return Err(Error::Refused(format!(
                "{} is to move twice",
                change.name.escape_ascii()
            )));
        }
    }
    let (gone, kept): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.new.is_none());
    let in_the_way = gone
        .iter()
        .any(|old| kept.iter().any(|new| clash(&old.name, &new.name)));
    if !in_the_way {
        return transaction(common_dir, changes);
    }
    check_clashes(common_dir, &gone, &kept)?;
    let owned = |list: Vec<&RefChange>| list.into_iter().cloned().collect::<Vec<_>>();
    transaction(common_dir, &owned(gone))?;
    transaction(common_dir, &owned(kept))
}

/// Tells whether one name is a folder of the other.
fn clash(a: &[u8], b: &[u8]) -> bool {
    let below = |folder: &[u8], name: &[u8]| {
        name.strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with(b"/"))
    };
    below(a, b) || below(b, a)
}

/// Looks for what would stop the second of two transactions.
fn check_clashes(common_dir: &Path, gone: &[&RefChange], kept: &[&RefChange]) -> Result<(), Error> {
    let refused =
        |name: &[u8], why: &str| Err(Error::Refused(format!("{} {why}", name.escape_ascii())));
    let now = list(common_dir, &[b"refs/*"])?;
    for new in kept {
        let there = now
            .binary_search_by(|(name, _)| name.cmp(&new.name))
            .ok()
            .map(|at| now[at].1);
        let as_thought = match new.old {
            Old::Any => true,
            Old::Absent => there.is_none(),
            Old::Is(oid) => there == Some(oid),
        };
        if !as_thought {
            return refused(&new.name, "is not what it was thought to be");
        }
        let stays = |name: &[u8]| !gone.iter().any(|g| g.name == name);
        let mut others = now.iter().map(|(name, _)| name);
        if others.any(|name| clash(name, &new.name) && stays(name))
            || kept.iter().any(|other| clash(&other.name, &new.name))
        {
            return refused(&new.name, "clashes with another ref");
        }
        if let Some(oid) = new.new {
            ask(common_dir, ["cat-file", "-e", &oid.to_string()])
                .map_err(|_| Error::Refused(format!("object {oid} is missing")))?;
        }
    }
    Ok(())
}

fn transaction(common_dir: &Path, changes: &[RefChange]) -> Result<(), Error> {
    let mut input = b"start\0".to_vec();
    let width = git_program::object_format(common_dir)?.hex_len();
    for change in changes {
        // An empty old value is any, zeros are none.
        let old = match change.old {
            Old::Any => String::new(),
            Old::Absent => "0".repeat(width),
            Old::Is(oid) => oid.to_string(),
        };
        let (verb, new) = match change.new {
            Some(new) => ("update", format!("{new}\0")),
            None if change.old == Old::Absent => ("verify", String::new()),
            None => ("delete", String::new()),
        };
        input.extend_from_slice(verb.as_bytes());
        input.push(b' ');
        input.extend_from_slice(&change.name);
        input.push(0);
        input.extend_from_slice(new.as_bytes());
        input.extend_from_slice(old.as_bytes());
        input.push(0);
    }
    input.extend_from_slice(b"prepare\0commit\0");
    let args = ["update-ref", "--no-deref", "--stdin", "-z"];
    let output = git_program::run(common_dir, args, &input)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Error::Refused(complaint(&output)))
    }
}

/// Lists refs by patterns such as `refs/heads/*`, sorted by name. A `*` at
/// the end stands for anything, slashes too; a pattern without one is the
/// name of a ref.
///
/// # Errors
/// See [`Error`].
pub fn list(common_dir: &Path, patterns: &[&[u8]]) -> Result<Vec<(Vec<u8>, ObjectId)>, Error> {
    let said = ask(
        common_dir,
        ["for-each-ref", "--format=%(objectname) %(refname)"],
    )?;
    let mut refs = Vec::new();
    for line in said.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let space = line.iter().position(|b| *b == b' ');
        let (oid, name) = line.split_at(space.unwrap_or(line.len()));
        let oid = ObjectId::from_hex(oid).map_err(io::Error::other)?;
        let name = name.get(1..).unwrap_or_default();
        if patterns.iter().any(|pattern| matches(pattern, name)) {
            refs.push((name.to_vec(), oid));
        }
    }
    refs.sort_unstable();
    Ok(refs)
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Returns the ref that HEAD names; `None` where it names a commit itself.
///
/// # Errors
/// See [`Error`].
pub fn head(common_dir: &Path) -> Result<Option<Vec<u8>>, Error> {
    let output = git_program::run(common_dir, ["symbolic-ref", "-q", "HEAD"], b"")?;
    match output.status.code() {
        Some(0) => Ok(Some(output.stdout.trim_ascii_end().to_vec())),
        Some(1) => Ok(None),
        _ => Err(Error::Refused(complaint(&output))),
    }
}

/// Makes HEAD name a ref, which need not exist.
///
/// # Errors
/// See [`Error`].
pub fn set_head(common_dir: &Path, name: &[u8]) -> Result<(), Error> {
    use std::os::unix::ffi::OsStrExt;

    check_name(name)?;
    let name = std::ffi::OsStr::from_bytes(name);
    let output = git_program::run(
        common_dir,
        ["symbolic-ref".as_ref(), "HEAD".as_ref(), name],
        b"",
    )?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Error::Refused(complaint(&output)))
    }
}

/// Git checks the rest of its rules itself; this keeps a name from being
/// taken for an option, or for two.
fn check_name(name: &[u8]) -> Result<(), Error> {
    let plain = name.starts_with(b"refs/") && !name.iter().any(|b| *b <= b' ' || *b == 0x7f);
    if plain {
        Ok(())
    } else {
        Err(Error::Name(name.to_vec()))
    }
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
