//! One who may seal.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64_NOPAD;

use crate::fingerprint::Fingerprint;

/// One who may seal: a primary key, whatever subkey signs for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Delegate {
    /// An OpenPGP key: `openpgp:` and the fingerprint of its primary key.
    OpenPgp(Fingerprint),
    /// An SSH key: `ssh:` and its fingerprint.
    Ssh(SshKey),
}

impl Delegate {
    /// Returns the fingerprint, if it is an OpenPGP key.
    pub fn openpgp(&self) -> Option<Fingerprint> {
        match self {
            Self::OpenPgp(fingerprint) => Some(*fingerprint),
            Self::Ssh(_) => None,
        }
    }
}

/// The fingerprint of an SSH key as `ssh-keygen -l` shows it: `SHA256:` and
/// 43 characters of base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SshKey([u8; 32]);

impl SshKey {
    /// Returns the fingerprint with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the SHA-256 of the key's blob.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", BASE64_NOPAD.encode(&self.0))
    }
}

impl fmt::Display for Delegate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenPgp(fingerprint) => write!(f, "openpgp:{fingerprint}"),
            Self::Ssh(key) => write!(f, "ssh:{key}"),
        }
    }
}

impl FromStr for Delegate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError(text.chars().take(80).collect());
        if let Some(hex) = text.strip_prefix("openpgp:") {
            return hex.parse().map(Self::OpenPgp).map_err(|_| wrong());
        }
        text.strip_prefix("ssh:SHA256:")
            .and_then(|base64| BASE64_NOPAD.decode(base64.as_bytes()).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(|bytes| Self::Ssh(SshKey(bytes)))
            .ok_or_else(wrong)
    }
}

/// Not the one written form of a delegate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected openpgp:<fingerprint> or ssh:SHA256:<base64>, got {0:?}")]
pub struct ParseError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_written_form() {
        let ssh = format!("ssh:SHA256:{}", BASE64_NOPAD.encode(&[9; 32]));
        let v6 = format!("openpgp:{}", "ab".repeat(32));
        for good in [&ssh, &v6] {
            assert_eq!(good.parse::<Delegate>().unwrap().to_string(), *good);
        }
        for bad in [
            format!("{ssh}="),
            ssh.replace("SHA256", "MD5"),
            // A last character whose spare bits are not zero.
            format!("{}l", &ssh[..ssh.len() - 1]),
            "openpgp:abcd".to_owned(),
            "openpgp:".to_owned(),
            v6.to_uppercase(),
            "x509:ab".to_owned(),
        ] {
            assert!(bad.parse::<Delegate>().is_err(), "{bad}");
        }
    }
}
