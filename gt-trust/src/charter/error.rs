//! Why a text is no charter.

use super::Delegate;
use crate::grammar;
use crate::limits;

/// Why bytes are no charter, or fields do not make one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`limits::CHARTER`].
    #[error("expected a charter of at most {limit} bytes, got {0}", limit = limits::CHARTER)]
    TooLong(usize),
    /// A line is not as it must be.
    #[error(transparent)]
    Grammar(#[from] grammar::Error),
    /// The name cannot stand on one line.
    #[error("expected a name of one line, at most {} bytes", limits::TEXT)]
    Name,
    /// A number that the grammar cannot write.
    #[error("expected an epoch below {}", u64::MAX)]
    Epoch,
    /// Missing in epoch 0, there in another, or no 32 bytes.
    #[error("expected a nonce of 32 bytes in epoch 0 and none in others")]
    Nonce,
    /// Missing in a later epoch, or there in epoch 0.
    #[error("expected a previous charter in every epoch but 0")]
    Previous,
    /// None or too many.
    #[error("expected 1 to {limit} delegates, got {0}", limit = limits::DELEGATES)]
    Delegates(usize),
    /// One stands twice.
    #[error("expected each delegate once, got {0} again")]
    Twice(Delegate),
    /// The thresholds cannot be met, or stand in the wrong order.
    #[error(
        "expected 1 <= threshold <= charter threshold <= {delegates} delegates, \
         got {threshold} and {charter_threshold}"
    )]
    Threshold {
        /// For statements.
        threshold: u64,
        /// For the next charter.
        charter_threshold: u64,
        /// How many there are.
        delegates: u64,
    },
    /// Too many rules.
    #[error("expected at most {limit} rules, got {0}", limit = limits::RULES)]
    Rules(usize),
    /// A rule for people who are no delegates, that too few can fulfil, or
    /// for a pattern that had one already.
    #[error("expected one rule for a pattern, that listed delegates can fulfil, got {0:?}")]
    Rule(String),
    /// Well read, but written otherwise.
    #[error("expected the one written form of this charter")]
    OtherForm,
}
