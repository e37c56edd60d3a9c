//! Names of git objects, as statements write them.
//!
//! This crate knows no repository: it compares names and checks their form.
//! What they name is the caller's business.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

/// The hash by which a repository names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectFormat {
    /// SHA-1: 40 digits.
    Sha1,
    /// SHA-256: 64 digits.
    Sha256,
}

impl ObjectFormat {
    /// Returns the number of hexadecimal digits of a name: 40 or 64.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}

impl fmt::Display for ObjectFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        })
    }
}

impl FromStr for ObjectFormat {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            _ => Err(ParseError::Format(text.chars().take(32).collect())),
        }
    }
}

/// The name of a git object; never the null name, which names none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Oid {
    /// A SHA-1 name.
    Sha1([u8; 20]),
    /// A SHA-256 name.
    Sha256([u8; 32]),
}

impl Oid {
    /// Parses 40 or 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`ParseError`] for another form and for the null name.
    pub fn from_hex(hex: &[u8]) -> Result<Self, ParseError> {
        let mut bytes = [0; 32];
        if hex.len() != 40 && hex.len() != 64 {
            return Err(ParseError::Length(hex.len()));
        }
        let raw = &mut bytes[..hex.len() / 2];
        HEXLOWER
            .decode_mut(hex, raw)
            .map_err(|_| ParseError::Digit)?;
        Self::from_bytes(raw)
    }

    /// Returns the name with these bytes, 20 or 32 of them.
    ///
    /// # Errors
    /// [`ParseError`] for another length and for the null name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.iter().all(|b| *b == 0) {
            return Err(ParseError::Null);
        }
        let length = || ParseError::Length(2 * bytes.len());
        match bytes.len() {
            20 => Ok(Self::Sha1(bytes.try_into().map_err(|_| length())?)),
            32 => Ok(Self::Sha256(bytes.try_into().map_err(|_| length())?)),
            _ => Err(length()),
        }
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(b) => b,
            Self::Sha256(b) => b,
        }
    }

    /// Writes the hexadecimal form into `room` and returns it, without a text
    /// of its own for each of many names.
    pub(crate) fn write_hex<'a>(&self, room: &'a mut [u8; 64]) -> &'a [u8] {
        let hex = &mut room[..self.format().hex_len()];
        HEXLOWER.encode_mut(self.as_bytes(), hex);
        hex
    }

    /// Returns the hash that made it.
    pub fn format(&self) -> ObjectFormat {
        match self {
            Self::Sha1(_) => ObjectFormat::Sha1,
            Self::Sha256(_) => ObjectFormat::Sha256,
        }
    }

    /// Returns the name of a git object: the hash of kind, length and bytes.
    ///
    /// Plain SHA-1, without the detection of collisions that git has: nothing
    /// that this crate decides rests on such a name.
    pub fn of_object(format: ObjectFormat, kind: &str, bytes: &[u8]) -> Self {
        let header = format!("{kind} {}\0", bytes.len());
        match format {
            ObjectFormat::Sha1 => {
                use sha1::Digest;
                let hash = sha1::Sha1::new()
                    .chain_update(header.as_bytes())
                    .chain_update(bytes);
                Self::Sha1(hash.finalize().into())
            }
            ObjectFormat::Sha256 => {
                use sha2::Digest;
                let hash = sha2::Sha256::new()
                    .chain_update(header.as_bytes())
                    .chain_update(bytes);
                Self::Sha256(hash.finalize().into())
            }
        }
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.as_bytes()))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({})", HEXLOWER.encode(&self.as_bytes()[..5]))
    }
}

impl FromStr for Oid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::from_hex(text.as_bytes())
    }
}

/// Why a text is no object name or object format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The length is wrong.
    #[error("expected an object name of 40 or 64 hexadecimal digits, got {0} characters")]
    Length(usize),
    /// A character is wrong.
    #[error("expected an object name in lower-case hexadecimal, got another character")]
    Digit,
    /// The null name stands for a ref that is deleted, and those are left out.
    #[error("expected the name of an object, got the null name")]
    Null,
    /// The format is not known.
    #[error("expected object format sha1 or sha256, got {0:?}")]
    Format(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blobs_are_git_s() {
        // printf 'hello\n' | git hash-object --stdin (and with --object-format=sha256).
        let blob = |format| Oid::of_object(format, "blob", b"hello\n").to_string();
        assert_eq!(
            blob(ObjectFormat::Sha1),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        assert_eq!(
            blob(ObjectFormat::Sha256),
            "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4"
        );
    }

    #[test]
    fn one_written_form() {
        assert!("ab".repeat(20).parse::<Oid>().is_ok());
        for bad in [
            "AB".repeat(20),
            "ab".repeat(21),
            "0".repeat(40),
            "g".repeat(64),
        ] {
            assert!(bad.parse::<Oid>().is_err(), "{bad}");
        }
    }
}
