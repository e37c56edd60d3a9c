//! Revoked SSH keys: a list of keys, or a KRL (OpenSSH's PROTOCOL.krl).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::PublicKey;
use super::wire::Wire;
use crate::limits;

/// Which keys were revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedKeys {
    keys: BTreeSet<Vec<u8>>,
    sha1: BTreeSet<Vec<u8>>,
    sha256: BTreeSet<Vec<u8>>,
}

const MAGIC: &[u8] = b"SSHKRL\n\0";
// Sections of a KRL.
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEY: u8 = 2;
const FINGERPRINT_SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
const FINGERPRINT_SHA256: u8 = 5;

impl RevokedKeys {
    /// Reads either form.
    ///
    /// # Errors
    /// [`RevokedError`]: a list that cannot be read must not revoke less than
    /// its maker meant.
    pub fn parse(bytes: &[u8]) -> Result<Self, RevokedError> {
        if bytes.len() > limits::SIGNERS {
            return Err(RevokedError::TooLong(bytes.len()));
        }
        match bytes.strip_prefix(MAGIC) {
            Some(rest) => Self::krl(rest).ok_or(RevokedError::Krl),
            None => Self::list(bytes),
        }
    }

    /// Tells whether a key is among them.
    pub fn holds(&self, key: &PublicKey) -> bool {
        let blob = key.as_blob();
        self.keys.contains(blob)
            || self.sha1.contains(&sha1::Sha1::digest(blob)[..])
            || self.sha256.contains(&Sha256::digest(blob)[..])
    }

    fn list(text: &[u8]) -> Result<Self, RevokedError> {
        let mut revoked = Self::default();
        for (n, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let key = std::str::from_utf8(line)
                .ok()
                .and_then(PublicKey::from_words)
                .ok_or(RevokedError::Line(n + 1))?;
            revoked.keys.insert(key.as_blob().to_vec());
        }
        Ok(revoked)
    }

    fn krl(bytes: &[u8]) -> Option<Self> {
        let mut revoked = Self::default();
        let mut wire = Wire::new(bytes);
        if wire.number()? != 1 {
            return None;
        }
        // Version of the list, date, flags, reserved, comment.
        for _ in 0..3 {
            wire.long()?;
        }
        for _ in 0..2 {
            wire.string()?;
        }
        while !wire.is_empty() {
            let kind = wire.byte()?;
            let mut section = Wire::new(wire.string()?);
            let set = match kind {
                EXPLICIT_KEY => &mut revoked.keys,
                FINGERPRINT_SHA1 => &mut revoked.sha1,
                FINGERPRINT_SHA256 => &mut revoked.sha256,
                // Certified keys are not supported; who signed the list is
                // of no use without a key to check it by.
                CERTIFICATES => continue,
                SIGNATURE => {
                    wire.string()?;
                    continue;
                }
                _ => return None,
            };
            while !section.is_empty() {
                set.insert(section.string()?.to_vec());
            }
        }
        Some(revoked)
    }
}

/// Why a file does not say which keys were revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevokedError {
    /// More than [`limits::SIGNERS`] bytes.
    #[error("expected at most {limit} bytes of revoked keys, got {0}", limit = limits::SIGNERS)]
    TooLong(usize),
    /// A KRL that cannot be read to its end.
    #[error("expected a well-formed KRL of version 1")]
    Krl,
    /// A line that is no key.
    #[error("expected an SSH public key in line {0}")]
    Line(usize),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn lists() {
        let key = PublicKey::from_words(KEY).unwrap();
        let list = format!("# gone\n\n{KEY} a comment\n");
        assert!(RevokedKeys::parse(list.as_bytes()).unwrap().holds(&key));
        assert!(!RevokedKeys::parse(b"").unwrap().holds(&key));
        assert_eq!(
            RevokedKeys::parse(format!("{list}junk\n").as_bytes()),
            Err(RevokedError::Line(4))
        );
    }

    proptest! {
        #[test]
        fn parsing_is_total(bytes: Vec<u8>) {
            let _ = RevokedKeys::parse(&bytes);
            let _ = RevokedKeys::parse(&[MAGIC, &[0, 0, 0, 1], &[0; 32], &bytes].concat());
        }
    }
}
