//! Whom you trust to certify others: your own list, told to nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::fingerprint::Fingerprint;
use crate::limits;

/// How far somebody is trusted to certify others with care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Nothing was said.
    #[default]
    Unknown,
    /// Said to be unknown.
    Undefined,
    /// Not at all.
    Never,
    /// Somewhat: three such are believed.
    Marginal,
    /// Fully.
    Full,
    /// As oneself: a root.
    Ultimate,
}

impl Level {
    /// Returns the number that `gpg --export-ownertrust` writes.
    pub fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Undefined => 2,
            Self::Never => 3,
            Self::Marginal => 4,
            Self::Full => 5,
            Self::Ultimate => 6,
        }
    }

    /// Reads such a number; the bits above the first four are other flags.
    fn of_number(number: u32) -> Option<Self> {
        Some(match number & 15 {
            0 => Self::Unknown,
            // "Expired", which nobody sets and which trusts nobody.
            1 | 2 => Self::Undefined,
            3 => Self::Never,
            4 => Self::Marginal,
            5 => Self::Full,
            6 => Self::Ultimate,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Undefined => "undefined",
            Self::Never => "never",
            Self::Marginal => "marginal",
            Self::Full => "full",
            Self::Ultimate => "ultimate",
        })
    }
}

impl FromStr for Level {
    type Err = OwnertrustError;

    fn from_str(word: &str) -> Result<Self, OwnertrustError> {
        match word {
            "unknown" => Ok(Self::Unknown),
            "undefined" => Ok(Self::Undefined),
            "never" => Ok(Self::Never),
            "marginal" => Ok(Self::Marginal),
            "full" => Ok(Self::Full),
            "ultimate" => Ok(Self::Ultimate),
            other => Err(OwnertrustError::Level(other.chars().take(40).collect())),
        }
    }
}

/// The list: primary keys and levels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownertrust {
    levels: BTreeMap<Fingerprint, Level>,
}

impl Ownertrust {
    /// Returns a list that trusts nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what `gpg --export-ownertrust` writes: a line for each key,
    /// `<fingerprint>:<number>:`, and comments after `#`. A later line
    /// replaces an earlier one.
    ///
    /// # Errors
    /// [`OwnertrustError`] with the number of the line.
    pub fn parse(text: &str) -> Result<Self, OwnertrustError> {
        if text.len() > limits::OWNERTRUST {
            return Err(OwnertrustError::TooLong(text.len()));
        }
        let mut list = Self::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, level) = read_line(line).ok_or(OwnertrustError::Line(i + 1))?;
            list.set(key, level);
        }
        Ok(list)
    }

    /// Trusts somebody so far from now on.
    pub fn set(&mut self, key: Fingerprint, level: Level) {
        match level {
            Level::Unknown => self.levels.remove(&key),
            level => self.levels.insert(key, level),
        };
    }

    /// Returns how far somebody is trusted.
    pub fn level(&self, key: &Fingerprint) -> Level {
        self.levels.get(key).copied().unwrap_or_default()
    }

    /// Returns all of whom something was said.
    pub fn iter(&self) -> impl Iterator<Item = (&Fingerprint, Level)> {
        self.levels.iter().map(|(key, level)| (key, *level))
    }

    /// Writes the list as GnuPG reads it.
    pub fn to_text(&self) -> String {
        let mut text = String::from("# ownertrust: gpg --import-ownertrust reads it\n");
        for (key, level) in &self.levels {
            let key = key.to_string().to_uppercase();
            let _ = writeln!(text, "{key}:{}:", level.number());
        }
        text
    }
}

fn read_line(line: &str) -> Option<(Fingerprint, Level)> {
    let mut fields = line.split(':');
    let key = fields.next()?.trim().to_ascii_lowercase().parse().ok()?;
    let number = fields.next()?.trim().parse().ok()?;
    Some((key, Level::of_number(number)?))
}

/// Why something is no ownertrust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnertrustError {
    /// More than [`limits::OWNERTRUST`] bytes.
    #[error("expected at most {limit} bytes of ownertrust, got {0}", limit = limits::OWNERTRUST)]
    TooLong(usize),
    /// A line of another form.
    #[error("expected \"<fingerprint>:<number>:\" in line {0}")]
    Line(usize),
    /// Not one of the words.
    #[error("expected unknown, undefined, never, marginal, full or ultimate, got {0:?}")]
    Level(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_gpg_writes_is_read() {
        let text = "# List of assigned trustvalues\n\
            4900707DDC5C07F2DECB02839C31503C6D866396:6:\n\
            CEBB52301D617E910390FE16587979573442684E:133:\n\n";
        let list = Ownertrust::parse(text).unwrap();
        let levels: Vec<_> = list.iter().map(|(_, level)| level).collect();
        assert_eq!(levels, [Level::Ultimate, Level::Full]);
        for bad in [
            "x:6:",
            "4900707DDC5C07F2DECB02839C31503C6D866396:7:",
            "4900:6:",
        ] {
            assert_eq!(
                Ownertrust::parse(bad),
                Err(OwnertrustError::Line(1)),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn round_trips(keys: Vec<([u8; 20], u8)>) {
            let mut list = Ownertrust::new();
            for (key, level) in keys {
                let level = Level::of_number(u32::from(level) % 7).unwrap();
                list.set(Fingerprint::V4(key), level);
            }
            prop_assert_eq!(Ownertrust::parse(&list.to_text()), Ok(list));
        }

        #[test]
        fn reading_is_total(text: String) {
            let _ = Ownertrust::parse(&text);
        }
    }
}
