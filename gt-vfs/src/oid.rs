//! Names of git objects.

use std::fmt;
use std::str::FromStr;

/// The hash by which a repository names its objects (`extensions.objectFormat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectFormat {
    /// 20 bytes, with collision detection.
    Sha1,
    /// 32 bytes.
    Sha256,
}

impl ObjectFormat {
    /// Returns the length of an object id in bytes: 20 or 32.
    pub fn raw_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Returns the length of an object id in hexadecimal digits: 40 or 64.
    pub fn hex_len(self) -> usize {
        2 * self.raw_len()
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

    fn from_str(s: &str) -> Result<Self, ParseError> {
        match s {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            _ => Err(ParseError::Format(s.chars().take(32).collect())),
        }
    }
}

/// The name of a git object: the hash of its header and content.
///
/// Ids sort by format, then by bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectId {
    /// A SHA-1 id.
    Sha1([u8; 20]),
    /// A SHA-256 id.
    Sha256([u8; 32]),
}

impl ObjectId {
    /// Returns the id with these bytes, 20 or 32 of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            20 => Some(Self::Sha1(bytes.try_into().ok()?)),
            32 => Some(Self::Sha256(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// Returns the null id, which names no object.
    pub fn null(format: ObjectFormat) -> Self {
        match format {
            ObjectFormat::Sha1 => Self::Sha1([0; 20]),
            ObjectFormat::Sha256 => Self::Sha256([0; 32]),
        }
    }

    /// Parses lower-case hexadecimal: 40 or 64 digits.
    ///
    /// # Errors
    /// [`ParseError::Hex`] for anything else; upper case is refused, since an
    /// id has one written form.
    pub fn from_hex(hex: &[u8]) -> Result<Self, ParseError> {
        let mut raw = [0; 32];
        if hex.len() != 40 && hex.len() != 64 {
            return Err(ParseError::Hex(hex.len()));
        }
        for (byte, pair) in raw.iter_mut().zip(hex.chunks_exact(2)) {
            match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(ParseError::Digit),
            }
        }
        Self::from_bytes(&raw[..hex.len() / 2]).ok_or(ParseError::Hex(hex.len()))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(b) => b,
            Self::Sha256(b) => b,
        }
    }

    /// Returns the hash that made it.
    pub fn format(&self) -> ObjectFormat {
        match self {
            Self::Sha1(_) => ObjectFormat::Sha1,
            Self::Sha256(_) => ObjectFormat::Sha256,
        }
    }

    /// Tells whether this is the null id.
    pub fn is_null(&self) -> bool {
        self.as_bytes().iter().all(|b| *b == 0)
    }
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectId(")?;
        self.as_bytes()[..5]
            .iter()
            .try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

impl FromStr for ObjectId {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        Self::from_hex(s.as_bytes())
    }
}

/// Why a text is no object id or object format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The length is wrong.
    #[error("expected an object id of 40 or 64 hexadecimal digits, got {0} characters")]
    Hex(usize),
    /// A character is wrong.
    #[error("expected an object id in lower-case hexadecimal, got another character")]
    Digit,
    /// The format is not known.
    #[error("expected object format sha1 or sha256, got {0:?}")]
    Format(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip() {
        for text in ["0123456789abcdef0123456789abcdef01234567", &"e3".repeat(32)] {
            assert_eq!(text.parse::<ObjectId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn one_written_form() {
        assert!("A".repeat(40).parse::<ObjectId>().is_err());
        assert!("0".repeat(41).parse::<ObjectId>().is_err());
        assert!("".parse::<ObjectId>().is_err());
    }
}
