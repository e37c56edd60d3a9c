//! What a seal says: the message of the tag.

use crate::charter::Charter;
use crate::grammar::{self, Lines, Text, number};
use crate::mark::Mark;
use crate::number::{Epoch, Sequence};
use crate::rid::{Identity, Rid};
use crate::statement::Statement;

/// What a seal names; all of it must fit the text that it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A statement.
    Statement {
        /// The repository.
        repository: Rid,
        /// Epoch, sequence and identity.
        mark: Mark,
    },
    /// A charter.
    Charter {
        /// The repository.
        repository: Rid,
        /// The charter's epoch.
        epoch: Epoch,
        /// Its identity.
        identity: Identity,
    },
}

const MAGIC: &str = "gt seal 1";
const STATEMENT: &str = "gt-references";
const CHARTER: &str = "gt-charter";
/// The names that the tag of a seal may have.
pub(super) const TAG_NAMES: [&str; 2] = [STATEMENT, CHARTER];

impl Subject {
    /// Names a statement.
    pub fn of_statement(statement: &Statement) -> Self {
        Self::Statement {
            repository: statement.repository,
            mark: statement.mark(),
        }
    }

    /// Names a charter of this repository.
    pub fn of_charter(repository: Rid, charter: &Charter) -> Self {
        Self::Charter {
            repository,
            epoch: charter.epoch,
            identity: charter.identity(),
        }
    }

    /// Returns the repository.
    pub fn repository(&self) -> Rid {
        match self {
            Self::Statement { repository, .. } | Self::Charter { repository, .. } => *repository,
        }
    }

    /// Returns the SHA-256 of the text.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Statement { mark, .. } => mark.identity,
            Self::Charter { identity, .. } => *identity,
        }
    }

    /// Returns the place of the statement; none for a charter.
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Self::Statement { mark, .. } => Some(*mark),
            Self::Charter { .. } => None,
        }
    }

    pub(super) fn tag_name(&self) -> &'static str {
        match self {
            Self::Statement { .. } => STATEMENT,
            Self::Charter { .. } => CHARTER,
        }
    }

    pub(super) fn message(&self) -> Vec<u8> {
        let mut text = Text::open(MAGIC, 0);
        match self {
            Self::Statement { repository, mark } => {
                text.line("Repository", repository);
                text.line("Epoch", mark.epoch);
                text.line("Sequence", mark.sequence);
                text.line("Statement", mark.identity.tagged());
            }
            Self::Charter {
                repository,
                epoch,
                identity,
            } => {
                text.line("Repository", repository);
                text.line("Epoch", epoch);
                text.line("Charter", identity.tagged());
            }
        }
        text.finish()
    }

    pub(super) fn from_message(tag_name: &str, message: &[u8]) -> Result<Self, grammar::Error> {
        let mut lines = Lines::open(message, MAGIC)?;
        let repository = lines.parsed("Repository", |v| v.parse().ok())?;
        let epoch = lines.parsed("Epoch", number).map(Epoch)?;
        let subject = if tag_name == CHARTER {
            Self::Charter {
                repository,
                epoch,
                identity: lines.parsed("Charter", Identity::from_tagged)?,
            }
        } else {
            let sequence = lines.parsed("Sequence", number).map(Sequence)?;
            let identity = lines.parsed("Statement", Identity::from_tagged)?;
            Self::Statement {
                repository,
                mark: Mark::new(epoch, sequence, identity),
            }
        };
        lines.end()?;
        Ok(subject)
    }
}
