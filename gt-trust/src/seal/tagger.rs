//! Who the tag says made it.

use std::fmt;

use crate::grammar::{is_value, number};
use crate::limits;
use crate::number::Time;

/// Name, mail address, time and zone of a tagger, as git writes them. It is
/// for people: the signature says who it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagger {
    name: String,
    mail: String,
    time: Time,
    zone: String,
}

impl Tagger {
    /// Returns a tagger, in UTC.
    ///
    /// # Errors
    /// [`TaggerError`] where git could not read back the name or the address.
    pub fn new(name: &str, mail: &str, time: Time) -> Result<Self, TaggerError> {
        let fits =
            |text: &str| is_value(text) && text.len() <= limits::TEXT && !text.contains(['<', '>']);
        if !fits(name) || !fits(mail) || mail.contains(' ') || time.0 == u64::MAX {
            return Err(TaggerError);
        }
        Ok(Self {
            name: name.to_owned(),
            mail: mail.to_owned(),
            time,
            zone: "+0000".to_owned(),
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the mail address.
    pub fn mail(&self) -> &str {
        &self.mail
    }

    /// Returns the time.
    pub fn time(&self) -> Time {
        self.time
    }

    pub(super) fn from_line(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(" <")?;
        let (mail, rest) = rest.split_once("> ")?;
        let (time, zone) = rest.split_once(' ')?;
        let (sign, digits) = zone.split_at_checked(1)?;
        let is_zone = matches!(sign, "+" | "-")
            && digits.len() == 4
            && digits.bytes().all(|b| b.is_ascii_digit());
        let tagger = Self::new(name, mail, Time(number(time)?)).ok()?;
        is_zone.then(|| Self {
            zone: zone.to_owned(),
            ..tagger
        })
    }
}

impl fmt::Display for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            mail,
            time,
            zone,
        } = self;
        write!(f, "{name} <{mail}> {time} {zone}")
    }
}

/// A name or address that git could not read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name and a mail address of one line each, without < and >")]
pub struct TaggerError;
