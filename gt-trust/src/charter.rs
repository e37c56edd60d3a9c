//! Charters: who may say what a repository is.

mod delegate;
mod error;
mod rule;

use std::ops::Deref;

use data_encoding::HEXLOWER;

use crate::grammar::{Lines, Text, is_value, number, or_none, shown_or_none};
use crate::limits;
use crate::number::Epoch;
use crate::oid::ObjectFormat;
use crate::rid::{Identity, Rid};

pub use crate::refs::Pattern;
pub use delegate::{Delegate, SshKey};
pub use error::Error;
pub use rule::{Rule, Signed, Which, Who};

/// A charter that is well-formed, with the bytes that say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter {
    contents: Contents,
    bytes: Vec<u8>,
    identity: Identity,
}

/// The fields of a charter, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// What people call the repository.
    pub name: String,
    /// Chance, in epoch 0 only: two repositories of one name are two.
    pub nonce: Option<[u8; 32]>,
    /// How the repository names objects.
    pub object_format: ObjectFormat,
    /// Which charter this is, counted from 0.
    pub epoch: Epoch,
    /// The charter that it replaces; none in epoch 0.
    pub previous: Option<Identity>,
    /// Who may seal; authority comes from this list only.
    pub delegates: Vec<Delegate>,
    /// How many of them must seal a statement.
    pub threshold: u64,
    /// How many of them must seal the next charter.
    pub charter_threshold: u64,
    /// What holds of some refs only.
    pub rules: Vec<Rule>,
}

pub(crate) const MAGIC: &str = "gt charter 1";

impl Charter {
    /// Founds a repository with one delegate, whose seal is enough.
    ///
    /// # Errors
    /// See [`Error`]; only the name can be at fault.
    pub fn found(
        name: &str,
        nonce: [u8; 32],
        format: ObjectFormat,
        delegate: Delegate,
    ) -> Result<Self, Error> {
        Self::new(Contents {
            name: name.to_owned(),
            nonce: Some(nonce),
            object_format: format,
            epoch: Epoch(0),
            previous: None,
            delegates: vec![delegate],
            threshold: 1,
            charter_threshold: 1,
            rules: Vec::new(),
        })
    }

    /// Reads a charter; only bytes that [`new`](Self::new) would write.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > limits::CHARTER {
            return Err(Error::TooLong(bytes.len()));
        }
        let charter = Self::new(read(bytes)?)?;
        if charter.bytes != bytes {
            return Err(Error::OtherForm);
        }
        Ok(charter)
    }

    /// Makes the charter that says this.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(contents: Contents) -> Result<Self, Error> {
        check(&contents)?;
        let bytes = write(&contents);
        if bytes.len() > limits::CHARTER {
            return Err(Error::TooLong(bytes.len()));
        }
        Ok(Self {
            identity: Identity::of(&bytes),
            contents,
            bytes,
        })
    }

    /// Returns the exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the SHA-256 of the bytes.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the name of the repository that this charter founds; none if
    /// it is a later one.
    pub fn rid(&self) -> Option<Rid> {
        (self.epoch == Epoch(0)).then(|| Rid::from_bytes(*self.identity.as_bytes()))
    }
}

/// Returns how many of so many delegates must seal the next charter if nobody
/// says otherwise: more than half, and no fewer than a statement needs.
pub fn default_charter_threshold(delegates: u64, threshold: u64) -> u64 {
    (delegates / 2 + 1).max(threshold)
}

impl Deref for Charter {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}

fn read(bytes: &[u8]) -> Result<Contents, Error> {
    let mut lines = Lines::open(bytes, MAGIC)?;
    let name = lines.value("Name")?.to_owned();
    let nonce = match lines.optional("Nonce")? {
        Some(text) => Some(nonce(text).ok_or(Error::Nonce)?),
        None => None,
    };
    let contents = Contents {
        name,
        nonce,
        object_format: lines.parsed("Object-Format", |v| v.parse().ok())?,
        epoch: lines.parsed("Epoch", number).map(Epoch)?,
        previous: lines.parsed("Previous", or_none(Identity::from_tagged))?,
        delegates: lines.repeated("Delegate", limits::DELEGATES, |v| v.parse().ok())?,
        threshold: lines.parsed("Threshold", number)?,
        charter_threshold: lines.parsed("Charter-Threshold", number)?,
        rules: lines.repeated("Rule", limits::RULES, Rule::from_line)?,
    };
    lines.end()?;
    Ok(contents)
}

fn nonce(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn write(contents: &Contents) -> Vec<u8> {
    let mut text = Text::open(MAGIC, 0);
    text.line("Name", &contents.name);
    if let Some(nonce) = &contents.nonce {
        text.line("Nonce", HEXLOWER.encode(nonce));
    }
    text.line("Object-Format", contents.object_format);
    text.line("Epoch", contents.epoch);
    let previous = contents.previous.map(|identity| identity.tagged());
    text.line("Previous", shown_or_none(previous));
    text.lines("Delegate", &contents.delegates);
    text.line("Threshold", contents.threshold);
    text.line("Charter-Threshold", contents.charter_threshold);
    text.lines("Rule", &contents.rules);
    text.finish()
}

fn check(contents: &Contents) -> Result<(), Error> {
    let Contents {
        name,
        delegates,
        threshold,
        charter_threshold,
        rules,
        ..
    } = contents;
    if !is_value(name) || name.len() > limits::TEXT {
        return Err(Error::Name);
    }
    if contents.epoch.0 == u64::MAX {
        return Err(Error::Epoch);
    }
    let founds = contents.epoch == Epoch(0);
    if contents.nonce.is_some() != founds {
        return Err(Error::Nonce);
    }
    if contents.previous.is_none() != founds {
        return Err(Error::Previous);
    }
    if delegates.is_empty() || delegates.len() > limits::DELEGATES {
        return Err(Error::Delegates(delegates.len()));
    }
    for (n, delegate) in delegates.iter().enumerate() {
        if delegates[..n].contains(delegate) {
            return Err(Error::Twice(delegate.clone()));
        }
    }
    let all = delegates.len() as u64;
    if *threshold == 0 || threshold > charter_threshold || *charter_threshold > all {
        return Err(Error::Threshold {
            threshold: *threshold,
            charter_threshold: *charter_threshold,
            delegates: all,
        });
    }
    if rules.len() > limits::RULES {
        return Err(Error::Rules(rules.len()));
    }
    for (n, rule) in rules.iter().enumerate() {
        let again = rules[..n].iter().any(|r| r.pattern == rule.pattern);
        if again || !rule.fits(delegates) {
            return Err(Error::Rule(rule.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founded() -> Charter {
        let delegate = format!("openpgp:{}", "ab".repeat(20)).parse().unwrap();
        Charter::found("a name", [7; 32], ObjectFormat::Sha1, delegate).unwrap()
    }

    #[test]
    fn one_name_twice_is_two_repositories() {
        let one = founded();
        let mut contents = one.contents.clone();
        contents.nonce = Some([8; 32]);
        assert_ne!(Charter::new(contents).unwrap().rid(), one.rid());
    }

    #[test]
    fn malformed_is_refused() {
        let text = String::from_utf8(founded().bytes).unwrap();
        let delegate = format!("Delegate: openpgp:{}\n", "ab".repeat(20));
        let rule = "Rule: refs/heads/* any 1 free\n";
        assert!(Charter::parse(text.as_bytes()).is_ok());
        assert!(Charter::parse(format!("{text}{rule}").as_bytes()).is_ok());
        for bad in [
            text.replace("a name", " a name"),
            text.replace("a name", ""),
            text.replace("Epoch: 0", "Epoch: 00"),
            text.replace("Epoch: 0", "Epoch: 1"),
            text.replace("Epoch: 0", "Epoch: 18446744073709551615"),
            text.replace("0707", "070"),
            text.replace("0707", "0G07"),
            text.replace(
                "Previous: none",
                &format!("Previous: {}", founded().identity().tagged()),
            ),
            text.replace("\nThreshold: 1", "\nThreshold: 0"),
            text.replace("\nThreshold: 1", "\nThreshold: 2"),
            text.replace("Charter-Threshold: 1", "Charter-Threshold: 0"),
            text.replace("Charter-Threshold: 1", "Charter-Threshold: 2"),
            text.replace(&delegate, ""),
            text.replace(&delegate, &delegate.repeat(2)),
            text.replace("abab", "ABAB"),
            text.replace("sha1", "sha512"),
            text.replace("gt charter 1", "gt charter 2"),
            format!("{text}\n"),
            format!("{text}Extra: 1\n"),
            format!("{text}{rule}{rule}"),
            format!("{text}Rule: refs/heads/* any 2 free\n"),
            format!("{text}Rule: refs/heads/* nobody 1 free\n"),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
        ] {
            assert!(Charter::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn at_most_64_delegates() {
        let mut contents = founded().contents;
        contents.delegates = (0..65u8)
            .map(|n| {
                format!("openpgp:{n:02x}{}", "00".repeat(19))
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(Charter::new(contents.clone()), Err(Error::Delegates(65)));
        contents.delegates.pop();
        let good = Charter::new(contents).unwrap();
        assert_eq!(Charter::parse(good.as_bytes()), Ok(good));
    }

    #[test]
    fn more_than_half() {
        for (delegates, threshold, expected) in [(1, 1, 1), (2, 1, 2), (3, 1, 2), (5, 4, 4)] {
            assert_eq!(default_charter_threshold(delegates, threshold), expected);
        }
    }
}
