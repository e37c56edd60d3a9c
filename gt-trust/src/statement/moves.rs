//! What a statement does to the refs of the one before.

use std::cmp::Ordering;

use super::{RefLine, Statement};
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
    changes(&old.refs, &new.refs).map(Change::moved).collect()
}

/// One ref that differs, by its lines in the two texts: of ten thousand refs
/// most have no rule, and need no name of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) name: &'a RefName,
    pub(crate) old: Option<&'a RefLine>,
    pub(crate) new: Option<&'a RefLine>,
}

impl Change<'_> {
    pub(crate) fn moved(self) -> Moved {
        Moved {
            name: self.name.clone(),
            old: self.old.map(|line| line.oid),
            new: self.new.map(|line| line.oid),
            marked: self.is_marked(),
        }
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.new.is_some_and(|line| line.moved)
    }
}

/// Goes through the refs that differ between two sorted lists.
pub(crate) fn changes<'a>(
    old: &'a [RefLine],
    new: &'a [RefLine],
) -> impl Iterator<Item = Change<'a>> {
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            // The smaller name is the next, alone or in both.
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.name.cmp(&new.name),
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            if old.map(|line| line.oid) != new.map(|line| line.oid) {
                let name = &old.or(new)?.name;
                return Some(Change { name, old, new });
            }
        }
    })
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
