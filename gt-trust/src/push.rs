//! What was pushed, and what becomes of it when somebody else was faster.
//!
//! At equal sequence everybody moves to the same winner (PROTOCOL.md section
//! 3, rule 1). The loser's publisher puts its changes on the winner, each only
//! where the ref still stands where it stood before: compare and swap.

use crate::oid::Oid;
use crate::refs::RefName;
use crate::statement::{Draft, Move, Statement, moves};

/// One ref, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which ref.
    pub name: RefName,
    /// Where it was; none if it is created.
    pub old: Option<Oid>,
    /// Where it goes; none if it is deleted.
    pub new: Option<Oid>,
    /// How it gets there.
    pub how: Move,
}

impl Change {
    /// Returns a change.
    pub fn new(name: RefName, old: Option<Oid>, new: Option<Oid>, how: Move) -> Self {
        Self {
            name,
            old,
            new,
            how,
        }
    }
}

/// Lists what `mine` changes against the statement that it was made from.
pub fn changes(base: &Statement, mine: &Statement) -> Vec<Change> {
    moves(base, mine)
        .into_iter()
        .map(|moved| Change {
            how: if moved.marked {
                Move::Forced
            } else {
                Move::FastForward
            },
            name: moved.name,
            old: moved.old,
            new: moved.new,
        })
        .collect()
}

/// Puts changes on another statement. What it already says drops out.
///
/// # Errors
/// [`FetchFirst`] with every ref that stands elsewhere now: the person must
/// look before any of the changes is made.
pub fn rebase(changes: &[Change], winner: &Statement) -> Result<Vec<Change>, FetchFirst> {
    let stands = |change: &Change| winner.find(&change.name).map(|line| line.oid);
    let (mut rebased, mut moved) = (Vec::new(), Vec::new());
    for change in changes {
        let now = stands(change);
        if now == change.old {
            rebased.push(change.clone());
        } else if now != change.new {
            moved.push(change.name.clone());
        }
    }
    if moved.is_empty() {
        Ok(rebased)
    } else {
        Err(FetchFirst { refs: moved })
    }
}

/// Makes changes in a draft.
pub fn apply(changes: &[Change], draft: &mut Draft) {
    for change in changes {
        match change.new {
            Some(oid) => draft.set(change.name.clone(), oid, change.how),
            None => draft.delete(&change.name),
        };
    }
}

/// Somebody moved the same refs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fetch first: {} moved meanwhile", listed(.refs))]
#[non_exhaustive]
pub struct FetchFirst {
    /// Which ones.
    pub refs: Vec<RefName>,
}

fn listed(refs: &[RefName]) -> String {
    let names: Vec<String> = refs.iter().map(RefName::to_string).collect();
    names.join(", ")
}
