//! What a statement does to the refs of the one before.

use super::Statement;
use crate::oid::Oid;
use crate::refs::RefName;

/// What the rules on moved refs must know of history. The caller's, since
/// this crate knows no repository.
pub trait History {
    /// Tells whether `old` can be reached from `new` by parents (or is it).
    ///
    /// # Errors
    /// Whatever stands in the way, a missing object for one.
    fn is_ancestor(
        &self,
        old: &Oid,
        new: &Oid,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>>;

    /// Returns the bytes of a commit or tag, as git keeps them.
    ///
    /// # Errors
    /// As above.
    fn object(&self, oid: &Oid) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

    /// Returns the bytes of every commit that can be reached from `new` and
    /// from none of `known`.
    ///
    /// # Errors
    /// As above.
    fn new_commits(
        &self,
        new: &Oid,
        known: &[Oid],
    ) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>>;
}

/// One ref that differs between two statements.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Which ref.
    pub name: RefName,
    /// Where it was; none if it is new.
    pub old: Option<Oid>,
    /// Where it is; none if it was deleted.
    pub new: Option<Oid>,
    /// Whether the new statement marks it with `+`.
    pub marked: bool,
}

/// Lists the refs that differ, sorted by name.
pub fn moves(old: &Statement, new: &Statement) -> Vec<Moved> {
    let (mut olds, mut news) = (old.refs.iter().peekable(), new.refs.iter().peekable());
    let mut all = Vec::new();
    loop {
        // Both are sorted: the smaller name is the next, alone or in both.
        let name = match (olds.peek(), news.peek()) {
            (None, None) => return all,
            (Some(line), None) | (None, Some(line)) => &line.name,
            (Some(old), Some(new)) => (&old.name).min(&new.name),
        };
        let before = olds.next_if(|line| line.name == *name);
        let after = news.next_if(|line| line.name == *name);
        if before.map(|line| line.oid) != after.map(|line| line.oid) {
            all.push(Moved {
                name: name.clone(),
                old: before.map(|line| line.oid),
                new: after.map(|line| line.oid),
                marked: after.is_some_and(|line| line.moved),
            });
        }
    }
}

/// Checks that the new statement marks every tag that moved and every other
/// ref that did not fast-forward.
///
/// The marks speak of the statement that `new` names as its previous one. Is
/// that not `old` (some were missed, or a race was lost), they say nothing of
/// the way from `old`, and nothing is refused.
///
/// # Errors
/// The first ref without its mark, or what the history met.
pub fn check_marks(
    old: &Statement,
    new: &Statement,
    history: &dyn History,
) -> Result<(), MarkError> {
    if new.previous != Some(old.mark()) {
        return Ok(());
    }
    for moved in moves(old, new) {
        let (Some(from), Some(to), false) = (moved.old, moved.new, moved.marked) else {
            continue;
        };
        if moved.name.is_tag() {
            return Err(MarkError::Tag(moved.name));
        }
        let forward = history
            .is_ancestor(&from, &to)
            .map_err(|source| MarkError::History {
                name: moved.name.clone(),
                source,
            })?;
        if !forward {
            return Err(MarkError::Branch(moved.name));
        }
    }
    Ok(())
}

/// Why the marks of a statement are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkError {
    /// A tag moved in silence.
    #[error("expected a + before {0}, which is a tag and has moved")]
    Tag(RefName),
    /// A branch was rewritten in silence.
    #[error("expected a + before {0}, which did not fast-forward")]
    Branch(RefName),
    /// The history cannot tell.
    #[error("expected to know how {name} moved")]
    History {
        /// Which ref.
        name: RefName,
        /// What was in the way.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
