//! What a signature on an object is worth, each answer by its own name.

use std::fmt;

use crate::charter::SshKey;
use crate::fingerprint::Fingerprint;
use crate::number::Time;
use crate::signature::Fault;
use crate::ssh;

/// Who made a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maker {
    /// The holder of an OpenPGP key.
    OpenPgp {
        /// The primary key: who it is.
        primary: Fingerprint,
        /// The key that signed: the primary or one of its subkeys.
        key: Fingerprint,
        /// When, by the signature's own word.
        created: Time,
    },
    /// The holder of an SSH key.
    Ssh {
        /// The key.
        key: SshKey,
        /// The name under which the allowed signers have it, if they do.
        principal: Option<String>,
    },
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenPgp { primary, key, .. } if primary == key => write!(f, "{primary}"),
            Self::OpenPgp { primary, key, .. } => write!(f, "{primary} (subkey {key})"),
            Self::Ssh {
                key,
                principal: Some(name),
            } => write!(f, "{name} ({key})"),
            Self::Ssh { key, .. } => write!(f, "{key}"),
        }
    }
}

/// What one signature is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Good, by one who is trusted.
    Good(Maker),
    /// The signature is good, and whoever made it is not trusted.
    Untrusted(Maker, String),
    /// No certificate or allowed signer has the key, which is named as far as
    /// the signature does.
    NoSuchKey(Vec<String>),
    /// Good but for the key, which has expired.
    KeyExpired,
    /// Good but for the key, which was revoked.
    KeyRevoked,
    /// The bytes are not those that were signed, or the signature is none.
    Bad(String),
    /// The signature fits the bytes by a digest for which others can be found.
    WeakDigest(Maker, String),
    /// A rule other than these is broken: a key that may not sign, a date to
    /// come.
    Policy(String),
    /// It cannot be told here.
    Unsupported(String),
    /// There is no signature.
    Unsigned,
}

/// The coarse answer: what the process exits with, and what is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Good, and trusted.
    Good,
    /// It cannot be told here.
    Unsupported,
    /// Nothing says that the bytes were changed, but nobody who is trusted
    /// vouches for them: no such key, not trusted, expired, revoked.
    NotTrusted,
    /// A rule of policy is broken.
    Policy,
    /// Bad, or none at all.
    Bad,
}

impl Verdict {
    /// Returns the coarse answer.
    pub fn grade(&self) -> Grade {
        match self {
            Self::Good(_) => Grade::Good,
            Self::Untrusted(..) | Self::NoSuchKey(_) | Self::KeyExpired | Self::KeyRevoked => {
                Grade::NotTrusted
            }
            Self::WeakDigest(..) | Self::Policy(_) => Grade::Policy,
            Self::Unsupported(_) => Grade::Unsupported,
            Self::Bad(_) | Self::Unsigned => Grade::Bad,
        }
    }

    /// Returns one word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Untrusted(..) => "untrusted",
            Self::NoSuchKey(_) => "no-such-key",
            Self::KeyExpired => "key-expired",
            Self::KeyRevoked => "key-revoked",
            Self::Bad(_) => "bad",
            Self::WeakDigest(..) => "weak-digest",
            Self::Policy(_) => "policy",
            Self::Unsupported(_) => "unsupported",
            Self::Unsigned => "unsigned",
        }
    }

    /// Returns who made it, where the signature fits the bytes.
    pub fn maker(&self) -> Option<&Maker> {
        match self {
            Self::Good(maker) | Self::Untrusted(maker, _) | Self::WeakDigest(maker, _) => {
                Some(maker)
            }
            _ => None,
        }
    }

    pub(super) fn of_fault(fault: Fault, named: Vec<String>) -> Self {
        match fault {
            Fault::NoSuchKey => Self::NoSuchKey(named),
            Fault::KeyExpired => Self::KeyExpired,
            Fault::KeyRevoked | Fault::KeyRetired => Self::KeyRevoked,
            Fault::UnsupportedAlgorithm => Self::Unsupported(fault.to_string()),
            Fault::Bad
            | Fault::TooLong(_)
            | Fault::Armor(_)
            | Fault::NotOne
            | Fault::Malformed
            | Fault::Type(_)
            | Fault::NoDate => Self::Bad(fault.to_string()),
            Fault::Version => Self::Unsupported(fault.to_string()),
            other => Self::Policy(other.to_string()),
        }
    }

    pub(super) fn of_ssh(fault: ssh::Fault) -> Self {
        use ssh::Fault as F;
        match fault {
            F::Unsupported(_) => Self::Unsupported(fault.to_string()),
            F::WeakDigest(_) | F::Namespace(_) => Self::Policy(fault.to_string()),
            _ => Self::Bad(fault.to_string()),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(maker) => write!(f, "good signature by {maker}"),
            Self::Untrusted(maker, why) => {
                write!(f, "good signature by {maker}, who is not trusted: {why}")
            }
            Self::NoSuchKey(named) if named.is_empty() => {
                f.write_str("no such key: the signature names none that is known")
            }
            Self::NoSuchKey(named) => write!(f, "no such key: made by {}", named.join(" or ")),
            Self::KeyExpired => f.write_str("the key that made it has expired"),
            Self::KeyRevoked => f.write_str("the key that made it was revoked"),
            Self::Bad(why) => write!(f, "bad signature: {why}"),
            Self::WeakDigest(maker, digest) => write!(
                f,
                "signature by {maker} with {digest}, for which other texts can be found"
            ),
            Self::Policy(why) => write!(f, "refused: {why}"),
            Self::Unsupported(why) => write!(f, "unsupported: {why}"),
            Self::Unsigned => f.write_str("no signature"),
        }
    }
}
