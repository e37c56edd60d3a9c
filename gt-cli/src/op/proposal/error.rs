//! Why nothing became of a proposal.

use gt_trust::judge::{ReceiverError, Refusal};
use gt_trust::{Identity, charter, statement};

use crate::{signing, state};

/// Why nothing became of a proposal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{0}: no such file, nor a proposal that is kept here")]
    NoFile(String),
    /// The file is something else.
    #[error("expected a proposal: {0}")]
    File(String),
    /// There is neither a statement nor a charter in it.
    #[error("expected a proposal with a statement or a charter, got none")]
    Empty,
    /// The statement.
    #[error("expected a statement: {0}")]
    Statement(#[from] statement::Error),
    /// The charter.
    #[error("expected a charter: {0}")]
    Charter(#[from] charter::Error),
    /// What is held cannot judge it.
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    /// It would be refused by everybody.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Something newer holds.
    #[error("fetch first: something newer holds meanwhile")]
    Overtaken,
    /// It would be equivocation.
    #[error(
        "another text of the place ({place}) was sealed here already: {other}; sealing a second \
         one would be equivocation"
    )]
    Sealed {
        /// The place.
        place: String,
        /// What was sealed.
        other: Identity,
    },
    /// Nobody can seal.
    #[error(transparent)]
    Signing(#[from] signing::Error),
    /// The state of gt.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
