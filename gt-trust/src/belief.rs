//! What a receiver believes of the people behind keys, besides any list.
//!
//! The caller's to answer: by a web of trust, by a list of its own, or not at
//! all. It may narrow what a charter or keyring allows, and never widens it.

use crate::charter::SshKey;
use crate::fingerprint::Fingerprint;
use crate::number::Time;

/// Says whether the holder of a key is believed.
pub trait Believes {
    /// Returns the answer for a primary key at this time.
    fn belief(&self, primary: &Fingerprint, now: Time) -> Belief;

    /// Returns the answer for an SSH key. Nobody certifies those, so that no
    /// web knows them: they are not believed, unless the one who is asked has a
    /// list of them.
    fn ssh_belief(&self, _key: &SshKey, _now: Time) -> Belief {
        Belief::Unknown("nobody certifies SSH keys".to_owned())
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Belief {
    /// Believed.
    Trusted,
    /// Nothing speaks for it, in words.
    Unknown(String),
    /// Something speaks against it, in words.
    Refused(String),
}

/// Believes exactly these keys.
impl Believes for [Fingerprint] {
    fn belief(&self, primary: &Fingerprint, _: Time) -> Belief {
        if self.contains(primary) {
            Belief::Trusted
        } else {
            Belief::Unknown("not one of those that were named".to_owned())
        }
    }
}
