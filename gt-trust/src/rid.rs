//! Names that follow from bytes: identities, and the name of a repository.

mod address;

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

pub(crate) use address::check_url;
pub use address::{Address, AddressError};

/// The name of a repository for ever: the [`Identity`] of its first charter.
///
/// Written as 52 characters of lower-case base32 (RFC 4648, no padding) whose
/// spare bits are zero, so that it has one written form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid([u8; 32]);

impl Rid {
    /// Returns the rid with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the rid of the repository that this first charter founds.
    pub fn of_charter(first_charter: &[u8]) -> Self {
        Self(Identity::of(first_charter).0)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the info-hash under which peers of this repository meet: the
    /// first 20 bytes of SHA-256 over `gt-topic` and the rid.
    pub fn topic(&self) -> [u8; 20] {
        let hash = Sha256::new()
            .chain_update(b"gt-topic")
            .chain_update(self.0)
            .finalize();
        let mut topic = [0; 20];
        topic.copy_from_slice(&hash[..20]);
        topic
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rid({})", &self.to_string()[..8])
    }
}

impl FromStr for Rid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::Rid(text.chars().take(64).collect());
        if text.len() != 52 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong());
        }
        // The decoder refuses spare bits that are not zero.
        let bytes = BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .map_err(|_| wrong())?;
        Ok(Self(bytes.try_into().map_err(|_| wrong())?))
    }
}

/// The SHA-256 of the exact bytes of a statement, a charter or a keyring.
///
/// Written as 64 lower-case hexadecimal digits, inside the texts with
/// `sha256:` before them ([`tagged`](Self::tagged)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u8; 32]);

impl Identity {
    /// Returns the identity of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the identity with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the form that stands in the texts: `sha256:` and the digits.
    pub fn tagged(&self) -> String {
        format!("sha256:{self}")
    }

    /// Parses the form that stands in the texts.
    pub(crate) fn from_tagged(text: &str) -> Option<Self> {
        text.strip_prefix("sha256:")?.parse().ok()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", &self.to_string()[..10])
    }
}

impl FromStr for Identity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ParseError::Identity(text.chars().take(64).collect()))
    }
}

/// Why a text is no rid or identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not the one written form of 32 bytes.
    #[error("expected a rid of 52 lower-case base32 characters, got {0:?}")]
    Rid(String),
    /// Not 64 lower-case digits.
    #[error("expected an identity of 64 lower-case hexadecimal digits, got {0:?}")]
    Identity(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rid_spare_bits_refused() {
        let good = Rid([0xff; 32]).to_string();
        assert!(good.ends_with('q'), "{good}");
        assert!(good.parse::<Rid>().is_ok());
        // 52 characters hold 260 bits: the last four must be zero.
        for last in "abcdefghijklmnoprstuvwxyz234567".chars() {
            let text = format!("{}{last}", &good[..51]);
            assert_eq!(text.parse::<Rid>().is_ok(), last == 'a', "{last}");
        }
    }

    #[test]
    fn one_written_form() {
        let good = Rid([7; 32]).to_string();
        assert_eq!(good.len(), 52);
        for bad in [
            good.to_uppercase(),
            format!("{good}="),
            good[..51].to_owned(),
            good.replacen(&good[..1], "1", 1),
            String::new(),
        ] {
            assert!(bad.parse::<Rid>().is_err(), "{bad}");
        }
        assert!("A".repeat(64).parse::<Identity>().is_err());
    }

    #[test]
    fn topic_known_answer() {
        // printf 'gt-topic' and 32 zero bytes through sha256sum.
        let hash = Identity::of(&[b"gt-topic".as_slice(), &[0; 32]].concat());
        assert_eq!(Rid([0; 32]).topic(), hash.as_bytes()[..20]);
    }

    proptest! {
        #[test]
        fn texts_round_trip(bytes: [u8; 32]) {
            prop_assert_eq!(Rid(bytes).to_string().parse::<Rid>(), Ok(Rid(bytes)));
            prop_assert_eq!(Identity(bytes).to_string().parse::<Identity>(), Ok(Identity(bytes)));
        }
    }
}
