//! What was found, and whether the check of the object goes on.

use crate::{Kind, ObjectId};

use super::id::{Id, Level};
use super::policy::Policy;

/// Something wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Finding {
    /// The object.
    pub oid: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// What is wrong, by git's name.
    pub id: Id,
    /// How grave that is under the policy; never [`Level::Ignore`].
    pub level: Level,
    /// The place or the value, in words; empty where the name says it all.
    pub detail: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} in {} {}: {}",
            self.level, self.kind, self.oid, self.id
        )?;
        match self.detail.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.detail),
        }
    }
}

/// An error was reported: like git, the check of a commit or tag ends there.
pub(super) struct Stop;

pub(super) type Flow = Result<(), Stop>;

/// Takes note of what is wrong with one object.
pub(super) struct Report<'a> {
    pub(super) policy: &'a Policy,
    pub(super) oid: ObjectId,
    pub(super) kind: Kind,
    pub(super) found: &'a mut Vec<Finding>,
}

impl Report<'_> {
    pub(super) fn say(&mut self, id: Id, detail: impl Into<String>) -> Flow {
        let level = self.policy.level(id);
        if level == Level::Ignore || self.policy.skips(&self.oid) {
            return Ok(());
        }
        self.found.push(Finding {
            oid: self.oid,
            kind: self.kind,
            id,
            level,
            detail: detail.into(),
        });
        if level.refuses() { Err(Stop) } else { Ok(()) }
    }

    /// As [`say`](Self::say), where the check goes on anyway.
    pub(super) fn note(&mut self, id: Id, detail: impl Into<String>) {
        let _ = self.say(id, detail);
    }
}

/// Returns bytes for people: one line, of bounded length.
pub(super) fn shown(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(80)
        .flat_map(|b| b.escape_ascii())
        .map(char::from)
        .collect()
}
