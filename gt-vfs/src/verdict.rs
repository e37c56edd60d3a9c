//! What a backend says of a file that was closed.

use std::fmt;

/// The answer to [`WriteAt::close`](crate::WriteAt::close).
///
/// The bytes are those that the torrent promised, or they would not have come
/// this far: a rejection is the publisher's fault, never the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The file is good and is now whole.
    Accept,
    /// The file is refused and its bytes were dropped.
    Reject {
        /// What was expected and what came.
        why: String,
    },
}

impl Verdict {
    /// Returns a rejection with its reason.
    pub fn reject(why: impl Into<String>) -> Self {
        Self::Reject { why: why.into() }
    }

    /// Tells whether the file was accepted.
    pub fn is_accept(&self) -> bool {
        matches!(self, Self::Accept)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accepted"),
            Self::Reject { why } => write!(f, "rejected: {why}"),
        }
    }
}
