//! Names of torrents and peers.

use std::fmt;
use std::str::FromStr;

/// The 20 bytes by which a handshake and a tracker name a torrent.
///
/// For a v1 torrent it is the SHA-1 of the bencoded info dictionary (BEP 3);
/// for a v2 torrent the first 20 bytes of its SHA-256 (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; 20]);

/// The 20 bytes by which a peer names itself (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// Returns the id of this client with 12 random bytes given by the caller
    /// (`-GT0100-`, the form of BEP 20).
    pub fn ours(random: [u8; 12]) -> Self {
        let mut id = *b"-GT0100-............";
        id[8..].copy_from_slice(&random);
        Self(id)
    }

    /// Tells whether the peer says that it is of this client, any version.
    pub fn is_ours(&self) -> bool {
        self.0.starts_with(b"-GT")
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InfoHash(")?;
        self.0[..5].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

impl FromStr for InfoHash {
    type Err = ParseError;

    /// Parses 40 hexadecimal digits of either case, as magnet links hold them.
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError(s.chars().take(64).collect());
        let mut raw = [0; 20];
        if s.len() != 40 || !s.is_ascii() {
            return Err(wrong());
        }
        for (n, byte) in raw.iter_mut().enumerate() {
            let pair = &s[2 * n..2 * n + 2];
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(raw))
    }
}

/// A text that is no info-hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an info-hash of 40 hexadecimal digits, got {0:?}")]
pub struct ParseError(String);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_hash_text() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(text.parse::<InfoHash>().unwrap().to_string(), text);
        assert_eq!(
            text.to_uppercase().parse::<InfoHash>().unwrap().to_string(),
            text
        );
        assert!("+1".repeat(20).parse::<InfoHash>().is_err());
        assert!("\u{e9}".repeat(20).parse::<InfoHash>().is_err());
    }
}
