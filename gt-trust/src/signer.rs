//! The person's own signing set-up: what to run, and whether what came back
//! will do.
//!
//! Running the program is the caller's. This crate says with which words, as
//! git does it (gpg-interface.c: `--status-fd=2 -bsau <key>`, the payload on
//! standard input), and checks the answer before it is published: a seal that
//! nobody accepts is worse than an error at home.

use std::str::FromStr;

use crate::charter::Delegate;
use crate::fingerprint::Fingerprint;
use crate::key::{Keyring, Signer};
use crate::number::Time;
use crate::signature::{Fault, Signature};

/// The value of `gpg.format`, of those that gt can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `openpgp`, git's own default.
    OpenPgp,
    /// `ssh`.
    Ssh,
}

impl Format {
    /// Reads the value of `gpg.format`; none if it is not set.
    ///
    /// # Errors
    /// [`UnsupportedFormat`], by name.
    pub fn of_config(value: Option<&str>) -> Result<Self, UnsupportedFormat> {
        value.map_or(Ok(Self::OpenPgp), str::parse)
    }

    /// Returns the program that git runs where `gpg.program` (or
    /// `gpg.openpgp.program`) names none.
    pub fn default_program(self) -> &'static str {
        match self {
            Self::OpenPgp => "gpg",
            Self::Ssh => "ssh-keygen",
        }
    }
}

impl FromStr for Format {
    type Err = UnsupportedFormat;

    fn from_str(text: &str) -> Result<Self, UnsupportedFormat> {
        match text {
            "openpgp" => Ok(Self::OpenPgp),
            "ssh" => Ok(Self::Ssh),
            _ => Err(UnsupportedFormat(text.chars().take(32).collect())),
        }
    }
}

/// Git could sign so; gt cannot yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected gpg.format openpgp or ssh, got {0:?}, which is not supported")]
pub struct UnsupportedFormat(pub String);

/// Returns the arguments with which the program signs its standard input:
/// detached, armoured, by this key (`user.signingkey`, or else the committer's
/// `Name <mail>`).
pub fn sign_args(key: &str) -> Vec<String> {
    ["--status-fd=2", "-bsau", key].map(str::to_owned).into()
}

/// Returns the arguments with which ssh-keygen signs its standard input by the
/// key in a file; with `agent` the file is a public key whose secret half an
/// agent has.
pub fn ssh_sign_args(file: &str, agent: bool) -> Vec<String> {
    let agent = agent.then_some("-U");
    ["-Y", "sign", "-n", crate::ssh::NAMESPACE, "-f", file]
        .into_iter()
        .chain(agent)
        .map(str::to_owned)
        .collect()
}

/// Returns the arguments with which the program writes the certificate of this
/// key to its standard output, without the signatures of others.
pub fn export_args(key: &str) -> Vec<String> {
    // gpg takes `0xKEY!` for "this very subkey"; the certificate is the same.
    let key = key.strip_suffix('!').unwrap_or(key);
    [
        "--batch",
        "--export-options",
        "export-minimal",
        "--export",
        "--",
        key,
    ]
    .map(str::to_owned)
    .into()
}

/// Checks that what the program wrote is one acceptable signature by the
/// delegate that is to seal.
///
/// # Errors
/// Why others would refuse it.
pub fn check(
    armored: &[u8],
    payload: &[u8],
    delegate: &Fingerprint,
    keyring: &Keyring,
    now: Time,
) -> Result<Signer, Fault> {
    let signature = Signature::from_armor(armored)?;
    let signer = keyring.verify(&signature, payload, now)?;
    if signer.primary != *delegate {
        return Err(Fault::NotADelegate(Delegate::OpenPgp(signer.primary)));
    }
    Ok(signer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_refused_by_name() {
        assert_eq!(Format::of_config(None), Ok(Format::OpenPgp));
        assert_eq!(Format::of_config(Some("openpgp")), Ok(Format::OpenPgp));
        assert_eq!(Format::of_config(Some("ssh")), Ok(Format::Ssh));
        for name in ["x509", "OpenPGP", ""] {
            let error = Format::of_config(Some(name)).unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }
}
