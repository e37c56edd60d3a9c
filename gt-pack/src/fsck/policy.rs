//! Which findings refuse an object, as git's configuration says it.

use std::collections::{BTreeMap, BTreeSet};

use crate::ObjectId;

use super::id::{Id, Level};

/// What is refused. Strict unless it was made otherwise: what git warns of is
/// an error, as it is for `git index-pack --strict` and
/// `transfer.fsckObjects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    strict: bool,
    levels: BTreeMap<Id, Level>,
    skipped: BTreeSet<ObjectId>,
}

impl Policy {
    /// Returns what `transfer.fsckObjects` refuses where nothing is relaxed.
    pub fn strict() -> Self {
        Self {
            strict: true,
            levels: BTreeMap::new(),
            skipped: BTreeSet::new(),
        }
    }

    /// Returns what `git fsck` without `--strict` calls an error.
    pub fn lenient() -> Self {
        Self {
            strict: false,
            ..Self::strict()
        }
    }

    /// Takes one line of configuration: `name` is what follows `fsck.` or
    /// `fetch.fsck.`, in any case.
    ///
    /// # Errors
    /// See [`Error`]; the policy is as it was.
    pub fn configure(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let id =
            Id::from_name(name).ok_or_else(|| Error::Unknown(name.chars().take(64).collect()))?;
        let level = match value {
            v if v.eq_ignore_ascii_case("error") => Level::Error,
            v if v.eq_ignore_ascii_case("warn") => Level::Warn,
            v if v.eq_ignore_ascii_case("ignore") => Level::Ignore,
            other => {
                return Err(Error::Level {
                    id,
                    got: other.chars().take(64).collect(),
                });
            }
        };
        if id.level() == Level::Fatal && level != Level::Error {
            return Err(Error::Fatal(id));
        }
        self.levels.insert(id, level);
        Ok(())
    }

    /// Takes the text of a `skipList` file: full object ids, one on a line;
    /// `#` begins a comment. Nothing is said of these objects.
    ///
    /// # Errors
    /// [`Error::Skip`] at the first line that is something else.
    pub fn skip(&mut self, list: &str) -> Result<(), Error> {
        for line in list.lines() {
            let line = line.split('#').next().unwrap_or(line).trim();
            if line.is_empty() {
                continue;
            }
            let oid = line
                .parse()
                .map_err(|_| Error::Skip(line.chars().take(80).collect()))?;
            self.skipped.insert(oid);
        }
        Ok(())
    }

    /// Returns how grave a finding is here.
    pub fn level(&self, id: Id) -> Level {
        match self.levels.get(&id) {
            Some(level) => *level,
            None if self.strict && id.level() == Level::Warn => Level::Error,
            None => id.level(),
        }
    }

    /// Tells whether an object is on the skip list.
    pub fn skips(&self, oid: &ObjectId) -> bool {
        self.skipped.contains(oid)
    }

    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::strict()
    }
}

/// Why a line of configuration says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such message. Git warns and goes on where it fetches.
    #[error("expected the name of an fsck message, got {0:?}")]
    Unknown(String),
    /// There is no such level.
    #[error("expected {id} to be error, warn or ignore, got {got:?}")]
    Level {
        /// The message.
        id: Id,
        /// What was said.
        got: String,
    },
    /// Some messages cannot be relaxed.
    #[error("expected {0} to stay an error, got a lower level")]
    Fatal(Id),
    /// A line of a skip list is no object id.
    #[error("expected an object id in the skip list, got {0:?}")]
    Skip(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_relaxes_and_sharpens() {
        let mut policy = Policy::strict();
        assert_eq!(policy.level(Id::HasDot), Level::Error);
        assert_eq!(policy.level(Id::BadFilemode), Level::Info);
        policy.configure("hasdot", "warn").unwrap();
        policy.configure("badFilemode", "ERROR").unwrap();
        policy.configure("missingEmail", "ignore").unwrap();
        assert_eq!(policy.level(Id::HasDot), Level::Warn);
        assert_eq!(policy.level(Id::BadFilemode), Level::Error);
        assert_eq!(policy.level(Id::MissingEmail), Level::Ignore);
        assert_eq!(Policy::lenient().level(Id::HasDot), Level::Warn);
        assert_eq!(
            policy.configure("nulInHeader", "warn"),
            Err(Error::Fatal(Id::NulInHeader))
        );
        assert!(policy.configure("nulInHeader", "error").is_ok());
        assert!(matches!(
            policy.configure("x", "warn"),
            Err(Error::Unknown(_))
        ));
        assert!(matches!(
            policy.configure("hasDot", "loud"),
            Err(Error::Level { .. })
        ));
    }

    #[test]
    fn a_skip_list_has_comments() {
        let mut policy = Policy::strict();
        let oid = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        policy
            .skip(&format!("# old faults\n\n  {oid} # the empty blob\n"))
            .unwrap();
        assert!(policy.skips(&oid.parse().unwrap()));
        assert!(policy.skip("e69de29").is_err());
    }
}
