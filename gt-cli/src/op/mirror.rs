//! Mirrors: bare repositories whose refs are exactly those of the statement.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::Duration;

use gt_pack::refs::{self, Old, RefChange};
use gt_trust::Statement;
use gt_trust::statement::check_marks;
use gt_vfs::ObjectId;

use crate::convert;
use crate::history::Ancestry;
use crate::state::{self, State};

/// How long git may go on after the gt that started it was killed.
const OUTLIVED: Duration = Duration::from_secs(1);

/// Moves the refs of a mirror to those of `statement`, all of them or none,
/// and returns how many moved.
///
/// A branch that does not fast-forward and a tag that moved must be marked in
/// the statement; one that is not moves nothing.
///
/// # Errors
/// See [`Error`]; the refs are as they were.
pub fn apply(state: &State, statement: &Statement, history: &Ancestry) -> Result<usize, Error> {
    if let Some(before) = state.applied()? {
        if before == statement.identity() {
            return Ok(0);
        }
        if let Some(old) = state.statement(&before)? {
            check_marks(&old.text, statement, history).map_err(|e| Error::Marks(e.to_string()))?;
        }
    }
    let here: BTreeMap<Vec<u8>, ObjectId> = refs::list(state.common_dir(), &[b"refs/*"])?
        .into_iter()
        .collect();
    let there = convert::refs(statement);
    let mut changes = Vec::new();
    for (name, new) in &there {
        match here.get(name) {
            Some(old) if old == new => {}
            old => changes.push(RefChange {
                name: name.clone(),
                old: old.map_or(Old::Absent, |o| Old::Is(*o)),
                new: Some(*new),
            }),
        }
    }
    for (name, old) in &here {
        if !there.contains_key(name) {
            changes.push(RefChange {
                name: name.clone(),
                old: Old::Is(*old),
                new: None,
            });
        }
    }
    moving(state, &changes, &|| {
        if !changes.is_empty() {
            refs::move_all(state.common_dir(), &changes)?;
        }
        if let Some(head) = convert::head(statement)
            && refs::head(state.common_dir())?.as_ref() != Some(&head)
        {
            refs::set_head(state.common_dir(), &head)?;
        }
        Ok(())
    })?;
    state.keep_applied(&statement.identity())?;
    Ok(changes.len())
}

/// Moves refs; where a gt was killed while it did so, the locks that its git
/// left are removed.
fn moving(
    state: &State,
    changes: &[RefChange],
    work: &dyn Fn() -> Result<(), refs::Error>,
) -> Result<(), Error> {
    let moving = state.begin_moving()?;
    let mut moved = work();
    if moved.is_err() && moving.was_killed() {
        // Git may have outlived its gt and be about to end.
        thread::sleep(OUTLIVED);
        moved = work();
        if moved.is_err() {
            remove_locks(state, changes)?;
            moved = work();
        }
    }
    if moved.is_ok() || !moving.was_killed() {
        moving.done()?;
    }
    Ok(moved?)
}

fn remove_locks(state: &State, changes: &[RefChange]) -> Result<(), Error> {
    let names = changes.iter().map(|change| &change.name[..]);
    for name in names.chain([&b"packed-refs"[..], b"HEAD"]) {
        let mut path = state.common_dir().join(OsStr::from_bytes(name));
        path.as_mut_os_string().push(".lock");
        match std::fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            // A ref's folder may be another ref's file.
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
            other => other.map_err(state::Error::from)?,
        }
    }
    Ok(())
}

/// Why the refs did not move.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A move that the statement does not own up to.
    #[error("{0}")]
    Marks(String),
    /// Git's transaction.
    #[error(transparent)]
    Refs(#[from] refs::Error),
    /// The state of gt.
    #[error(transparent)]
    State(#[from] state::Error),
}
