//! OpenPGP certificates: whose key made a signature, and might it?

mod certificate;
mod own;

use std::collections::BTreeSet;

use crate::armor;
use crate::fingerprint::Fingerprint;
use crate::limits;
use crate::number::Time;
use crate::packets::{self, Packet, Packets};
use crate::signature::{Fault, Signature};

use certificate::Certificate;

pub use own::{OwnKey, OwnKeyError};

/// Certificates, read one at a time: one that is broken costs only itself.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    unreadable: usize,
}

/// Who made a signature that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signer {
    /// The primary key: who it is.
    pub primary: Fingerprint,
    /// The key that signed: the primary or one of its subkeys.
    pub key: Fingerprint,
    /// When, by the signature's own word.
    pub created: Time,
}

/// How many signatures may still be computed, over all certificates.
#[derive(Debug)]
pub(crate) struct Checks(usize);

impl Checks {
    pub(crate) fn new() -> Self {
        Self(limits::OFFER_CHECKS)
    }

    fn spend(&mut self) -> Result<(), Fault> {
        self.0 = self.0.checked_sub(1).ok_or(Fault::TooManyChecks)?;
        Ok(())
    }
}

const LABEL: &str = "PUBLIC KEY BLOCK";

impl Keyring {
    /// Reads certificates, binary or as one armoured block.
    ///
    /// With `only`, those of other primary keys are passed over unread.
    ///
    /// # Errors
    /// [`Error`] where a ceiling is hit or nothing in it is a packet.
    pub fn parse(bytes: &[u8], only: Option<&[Fingerprint]>) -> Result<Self, Error> {
        // Armour holds three bytes in four characters, and line ends.
        if bytes.len() > limits::CERTIFICATES / 2 * 3 {
            return Err(Error::TooLong(bytes.len()));
        }
        if bytes.starts_with(b"-----") {
            return Self::read(&armor::decode(bytes, LABEL)?, only);
        }
        Self::read(bytes, only)
    }

    fn read(bytes: &[u8], only: Option<&[Fingerprint]>) -> Result<Self, Error> {
        if bytes.len() > limits::CERTIFICATES {
            return Err(Error::TooLong(bytes.len()));
        }
        let mut ring = Self::default();
        let mut current: Vec<Packet<'_>> = Vec::new();
        for packet in Packets::new(bytes) {
            let packet = packet.map_err(|_| Error::Broken)?;
            match packet.tag {
                packets::MARKER | packets::TRUST => {}
                packets::PUBLIC_KEY => {
                    ring.add(&current, only)?;
                    current = vec![packet];
                }
                _ if current.is_empty() => return Err(Error::Broken),
                _ => current.push(packet),
            }
        }
        ring.add(&current, only)?;
        Ok(ring)
    }

    fn add(&mut self, packets: &[Packet<'_>], only: Option<&[Fingerprint]>) -> Result<(), Error> {
        let Some(primary) = packets.first() else {
            return Ok(());
        };
        match Certificate::fingerprint_of(primary) {
            None => self.unreadable += 1,
            Some(print) if only.is_some_and(|only| !only.contains(&print)) => {}
            // Copies would multiply the work, and nobody needs them.
            Some(print) if self.certificates.iter().any(|c| c.fingerprint() == print) => {
                return Err(Error::Twice(print));
            }
            Some(_) if self.certificates.len() == limits::KEYRING => {
                return Err(Error::TooMany(limits::KEYRING));
            }
            Some(_) => match Certificate::read(packets) {
                Some(certificate) => self.certificates.push(certificate),
                None => self.unreadable += 1,
            },
        }
        Ok(())
    }

    /// Adds the certificates of another ring; a key may then have several
    /// copies, and what one of them revokes is revoked.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.unreadable += other.unreadable;
        self.certificates.extend(other.certificates);
        self
    }

    /// Tells whether `old` holds a revocation in a certificate of one of `of`
    /// that none of `others` holds: whoever replaces `old` by them would forget
    /// it. Nothing is verified; what cannot be read has none.
    pub fn forgets(old: &[u8], others: &[Vec<u8>], of: &[Fingerprint]) -> bool {
        let kept: BTreeSet<Vec<u8>> = others.iter().flat_map(|r| revocations(r, of)).collect();
        revocations(old, of).iter().any(|r| !kept.contains(r))
    }

    /// Returns the fingerprints of the primary keys, in the order of the
    /// certificates.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.certificates.iter().map(|c| c.fingerprint()).collect()
    }

    /// Returns how many certificates could not be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Returns the primary key whose certificate holds this key as primary or
    /// subkey, the first if several do. Nothing is verified: it answers which
    /// delegate a configured signing key might sign for.
    pub fn primary_of(&self, key: &Fingerprint) -> Option<Fingerprint> {
        let owner = self.certificates.iter().find(|c| c.holds(key))?;
        Some(owner.fingerprint())
    }

    /// Says who made this signature on these bytes.
    ///
    /// The key must be a primary key or a subkey that primary and subkey have
    /// both confirmed, flagged for signing, neither expired (when it signed or
    /// now) nor revoked.
    ///
    /// # Errors
    /// The reason why it does not count: of all certificates that hold the key,
    /// the gravest.
    pub fn verify(
        &self,
        signature: &Signature,
        payload: &[u8],
        now: Time,
    ) -> Result<Signer, Fault> {
        self.verify_within(signature, payload, now, &mut Checks::new())
    }

    /// Does the same with what is left of a budget.
    pub(crate) fn verify_within(
        &self,
        signature: &Signature,
        payload: &[u8],
        now: Time,
        checks: &mut Checks,
    ) -> Result<Signer, Fault> {
        signature.check_date(now)?;
        let mut found: Option<Signer> = None;
        let mut fault: Option<Fault> = None;
        for certificate in &self.certificates {
            match certificate.verify(signature, payload, now, checks) {
                Ok(signer) if found.is_some_and(|other| other.primary != signer.primary) => {
                    return Err(Fault::Adopted);
                }
                Ok(signer) => found = Some(signer),
                // One copy of a certificate knows of the revocation: the
                // others are older, or were stripped of it.
                Err(Fault::KeyRevoked) => return Err(Fault::KeyRevoked),
                Err(Fault::NoSuchKey) => {}
                Err(other) => fault = Some(other),
            }
        }
        found.ok_or(fault.unwrap_or(Fault::NoSuchKey))
    }
}

/// Returns the revocations in the certificates of these primary keys, each as
/// the body of its packet.
fn revocations(bytes: &[u8], of: &[Fingerprint]) -> Vec<Vec<u8>> {
    // Signature types of RFC 9580 section 5.2.1: of a key, a subkey, a user id.
    const TYPES: [u8; 3] = [0x20, 0x28, 0x30];
    let decoded = bytes
        .starts_with(b"-----")
        .then(|| armor::decode(bytes, LABEL).unwrap_or_default());
    let mut listed = false;
    let mut found = Vec::new();
    for packet in Packets::new(decoded.as_deref().unwrap_or(bytes)) {
        let Ok(packet) = packet else { break };
        match packet.tag {
            packets::PUBLIC_KEY => {
                let print = Certificate::fingerprint_of(&packet);
                listed = print.is_some_and(|print| of.contains(&print));
            }
            // The type follows the version, in all versions but the third.
            packets::SIGNATURE
                if listed && packet.body.get(1).is_some_and(|typ| TYPES.contains(typ)) =>
            {
                found.push(packet.body.to_vec());
            }
            _ => {}
        }
    }
    found
}

/// Why bytes are no keyring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than [`limits::CERTIFICATES`] bytes.
    #[error("expected at most {limit} bytes of certificates, got {0}", limit = limits::CERTIFICATES)]
    TooLong(usize),
    /// More certificates than anybody needs.
    #[error("expected at most {0} certificates")]
    TooMany(usize),
    /// Two copies of one certificate.
    #[error("expected each certificate once, got {0} again")]
    Twice(Fingerprint),
    /// Not packets, or they do not begin with a public key.
    #[error("expected OpenPGP certificates")]
    Broken,
    /// The armour.
    #[error(transparent)]
    Armor(#[from] armor::Error),
}
