//! Names of OpenPGP keys.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

/// The fingerprint of an OpenPGP key of version 4 (20 bytes) or 6 (32 bytes),
/// RFC 9580 section 5.5.4. Short key ids name nobody here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fingerprint {
    /// Of a version 4 key.
    V4([u8; 20]),
    /// Of a version 6 key.
    V6([u8; 32]),
}

impl Fingerprint {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(b) => b,
            Self::V6(b) => b,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.as_bytes()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError(text.chars().take(80).collect());
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| wrong())?;
        match bytes.len() {
            20 => Ok(Self::V4(bytes.try_into().map_err(|_| wrong())?)),
            32 => Ok(Self::V6(bytes.try_into().map_err(|_| wrong())?)),
            _ => Err(wrong()),
        }
    }
}

/// Not the one written form of a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a fingerprint of 40 or 64 lower-case hexadecimal digits, got {0:?}")]
pub struct ParseError(String);
