//! `gt publish`.

use std::io::Write as _;

use super::shown::Shown;
use super::{Failure, broken, git_at, refused};
use crate::Env;
use crate::args::Publish;
use crate::meter::size;
use crate::op::publish::{self, Error, Wish};

/// Publishes and prints the address.
///
/// # Errors
/// What stood in the way; what was published before still holds.
pub fn run(env: &mut Env, words: &Publish) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let wish = Wish {
        name: words.name.clone(),
        description: words.description.clone(),
        trackers: words.trackers.clone(),
        patterns: words.refs.clone(),
        force: words.force,
        prune: words.prune,
        keys: env.data_folder().map(|d| d.join("keys")),
        believed: super::trust::narrows(env, &git, None).map_err(broken)?,
        now: (env.now)(),
    };
    let shown = Shown::new(env);
    let published = publish::publish(&git, &wish, &shown);
    shown.end(env);
    let published = published.map_err(|e| match e {
        Error::Io(_) | Error::State(_) | Error::Git(_) => broken(e),
        e => refused(e),
    })?;
    let err = &mut env.stderr;
    if published.first {
        let key = if published.own_key {
            "a key that gt keeps in its data folder; set user.signingkey to use your own"
        } else {
            "your own signing key"
        };
        let _ = writeln!(err, "Sealed by {} ({key})", published.delegate);
    }
    let sequence = published.statement.sequence;
    let refs = published.statement.refs.len();
    if !published.fresh {
        let _ = writeln!(
            err,
            "Everything is published already: statement {sequence}, {refs} refs"
        );
    } else if !published.lacks.is_empty() {
        let _ = writeln!(
            err,
            "Proposed statement {sequence}; it lacks {}. Carry it to other delegates: gt endorse --output FILE {}",
            published.lacks.join(", "),
            published.statement.identity()
        );
    } else if let Some(made) = &published.reel {
        let _ = writeln!(
            err,
            "Published statement {sequence}: {refs} refs; a reel of {} objects, {}",
            made.objects,
            size(made.reel.length)
        );
    } else {
        let _ = writeln!(
            err,
            "Published statement {sequence}: {refs} refs, no new objects"
        );
    }
    let relaxed = published.reel.iter().flat_map(|made| &made.relaxed);
    for id in relaxed {
        let _ = writeln!(
            err,
            "Warning: others refuse this reel unless they, too, run: git config --global fetch.fsck.{id} warn"
        );
    }
    if !published.behind.is_empty() {
        let _ = writeln!(
            err,
            "Behind what is published, and left as published: {}",
            published.behind.join(", ")
        );
    }
    if !published.absent.is_empty() {
        let _ = writeln!(
            err,
            "Published and not here ({} refs); --prune unpublishes them",
            published.absent.len()
        );
    }
    writeln!(env.stdout, "{}", published.address).map_err(broken)
}
