//! How far a user id is believed to be its key's owner.

use std::fmt;

/// How far a user id is believed, from nothing to everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Validity {
    /// Nobody who counts has certified it.
    #[default]
    Unknown,
    /// Certified by valid keys whose owners are not known for their care.
    Undefined,
    /// Certified by too few.
    Marginal,
    /// Believed.
    Full,
    /// A key of your own.
    Ultimate,
}

impl Validity {
    /// Returns the letter of GnuPG's colon listings.
    pub fn letter(self) -> char {
        match self {
            Self::Unknown => '-',
            Self::Undefined => 'q',
            Self::Marginal => 'm',
            Self::Full => 'f',
            Self::Ultimate => 'u',
        }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Undefined => "undefined",
            Self::Marginal => "marginal",
            Self::Full => "full",
            Self::Ultimate => "ultimate",
        })
    }
}
