//! Why an offer is not followed.

use super::{Evidence, LineFault, RuleFault};
use crate::charter::{self, Delegate};
use crate::key;
use crate::mark::Mark;
use crate::number::{Epoch, Seconds};
use crate::oid::ObjectFormat;
use crate::rid::{Identity, Rid};
use crate::seal;
use crate::signature::Fault;
use crate::statement;

/// Why an offer is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no statement.
    #[error("expected a statement: {0}")]
    Statement(#[from] statement::Error),
    /// It is what is held already; no fault of anybody.
    #[error("expected a newer statement, got the one that is held")]
    Same,
    /// It stands lower than what was accepted: a replay, or a peer that is
    /// behind.
    #[error("rollback: expected a statement above {held}, got {got}")]
    Rollback {
        /// The highest accepted.
        held: Mark,
        /// The one offered.
        got: Mark,
    },
    /// It claims the place of the accepted one and is the greater identity. A
    /// race, not an attack, unless there is evidence.
    #[error("another statement won this place: {winner}")]
    LostRace {
        /// The accepted one.
        winner: Mark,
        /// Delegates that sealed both.
        evidence: Vec<Evidence>,
    },
    /// It belongs to another repository.
    #[error("graft: expected a statement of {expected}, got one of {got}")]
    Graft {
        /// This repository.
        expected: Rid,
        /// The other.
        got: Rid,
    },
    /// A charter that came with it is none.
    #[error("expected a charter: {0}")]
    Charter(#[from] charter::Error),
    /// The charters do not lead from the first to one valid newest.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// It stands on a later charter, which did not come with it.
    #[error("expected the charter of epoch {0} with the statement, got none")]
    NoCharter(Epoch),
    /// A ref moved as the charter forbids.
    #[error(transparent)]
    Rule(#[from] RuleFault),
    /// It stands on a charter that is not held.
    #[error("expected a statement under charter {expected}, got {got}")]
    OtherCharter {
        /// The one held.
        expected: Identity,
        /// The one named.
        got: Identity,
    },
    /// It names objects otherwise than the charter says.
    #[error("expected object names of format {expected}, got {got}")]
    ObjectFormat {
        /// The charter's.
        expected: ObjectFormat,
        /// The statement's.
        got: ObjectFormat,
    },
    /// It was made in time to come.
    #[error("expected a statement made at most one day ahead, got one {ahead} seconds ahead")]
    Future {
        /// By how much.
        ahead: Seconds,
    },
    /// The certificates are not those that it names.
    #[error("expected the keyring that the statement names ({expected:?}), got {got}")]
    OtherKeyring {
        /// Named by the statement.
        expected: Option<Identity>,
        /// Those that came.
        got: Identity,
    },
    /// The certificates cannot be read.
    #[error(transparent)]
    Keyring(#[from] key::Error),
    /// Not one delegate has sealed it.
    #[error("expected a seal by a delegate, got {}", said(.faults))]
    NoSeal {
        /// What was wrong with each seal.
        faults: Vec<SealFault>,
    },
    /// The first statement of a repository that is followed must be fresh:
    /// nobody could tell otherwise what was withheld.
    #[error("expected a fresh statement, got one that went stale {age} seconds ago")]
    Stale {
        /// Since when.
        age: Seconds,
    },
}

/// What is wrong with one seal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealFault {
    /// It is none.
    #[error(transparent)]
    Form(#[from] seal::Error),
    /// It names another text.
    #[error("expected a seal on this very statement, got one on another")]
    OtherSubject,
    /// Its signature does not count.
    #[error(transparent)]
    Signature(#[from] Fault),
    /// It is good, and a second one by a delegate that counts already.
    #[error("expected a seal by another delegate, got a second one by {0}")]
    Again(Delegate),
    /// More seals than are worth checking.
    #[error("expected at most {} seals to check", crate::limits::SEAL_CHECKS)]
    TooMany,
}

fn said(faults: &[SealFault]) -> String {
    match faults {
        [] => "none".to_owned(),
        faults => {
            let words: Vec<String> = faults.iter().map(SealFault::to_string).collect();
            format!("only others: {}", words.join("; "))
        }
    }
}
