//! Why a text is no statement.

use crate::grammar;
use crate::limits;
use crate::mark::Mark;
use crate::oid::ObjectFormat;
use crate::refs::{self, RefName};
use crate::rid::Rid;

/// Why bytes are no statement, or fields do not make one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`limits::STATEMENT`].
    #[error("expected a statement of at most {limit} bytes, got {0}", limit = limits::STATEMENT)]
    TooLong(usize),
    /// A line is not as it must be.
    #[error(transparent)]
    Grammar(grammar::Error),
    /// A number that the grammar cannot write.
    #[error("expected numbers below {}", u64::MAX)]
    Number,
    /// It follows on a statement that is not lower.
    #[error("expected a previous statement of a lower place, got {0}")]
    Previous(Mark),
    /// It ends before it begins, or lasts too long.
    #[error("expected an expiry after the creation, within 400 days")]
    Expires,
    /// The description cannot stand on one line.
    #[error("expected a description of one line, at most {} bytes", limits::TEXT)]
    Description,
    /// A tracker or mirror, or one that stands twice.
    #[error("expected URLs of http, https or (for trackers) udp, each once, got {0:?}")]
    Url(String),
    /// More of something than the grammar allows.
    #[error("expected at most {1} {0}")]
    TooMany(&'static str, usize),
    /// The repository itself, or one that stands twice.
    #[error("expected other repositories as alternatives, each once, got {0}")]
    Alternative(Rid),
    /// HEAD names no published ref.
    #[error("expected a head among the published refs, got {0}")]
    Head(RefName),
    /// The piece length does not follow from the reels.
    #[error("expected a piece length of {expected} bytes, got {got}")]
    PieceLength {
        /// What [`piece_length`](super::piece_length) says.
        expected: u64,
        /// What stands there.
        got: u64,
    },
    /// Reels out of order, overlapping, with a gap, or of no bytes.
    #[error("expected reels in order without a gap, each of some bytes, got {0}")]
    Reels(String),
    /// The lengths of the reels cannot be added.
    #[error("expected reels of less than 2^64 bytes together")]
    ReelOverflow,
    /// A ref's name, or the set of them.
    #[error(transparent)]
    Refs(#[from] refs::Error),
    /// A ref points to an object of another format.
    #[error("expected a {expected} name at {name}, got one of another length")]
    ObjectFormat {
        /// The repository's format.
        expected: ObjectFormat,
        /// The ref.
        name: RefName,
    },
    /// There is no sequence number left.
    #[error("expected a sequence number below the greatest one")]
    LastSequence,
    /// Well read, but written otherwise.
    #[error("expected the one written form of this statement")]
    OtherForm,
}
