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
    /// Keys of those who are nobody here, but named as revokers.
    revokers: Vec<Certificate>,
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

    pub(crate) fn spend(&mut self) -> Result<(), Fault> {
        self.0 = self.0.checked_sub(1).ok_or(Fault::TooManyChecks)?;
        Ok(())
    }
}

const LABEL: &str = "PUBLIC KEY BLOCK";

impl Keyring {
    /// Reads certificates, binary or as one armoured block.
    ///
    /// With `only`, those of other primary keys are passed over unread, but for
    /// the keys of those whom one of these names as its revokers.
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
        let mut others: Vec<(Fingerprint, Packet<'_>)> = Vec::new();
        for packet in Packets::new(bytes) {
            let packet = packet.map_err(|_| Error::Broken)?;
            match packet.tag {
                packets::MARKER | packets::TRUST => {}
                packets::PUBLIC_KEY => {
                    others.extend(ring.add(&current, only)?);
                    current = vec![packet];
                }
                _ if current.is_empty() => return Err(Error::Broken),
                _ => current.push(packet),
            }
        }
        others.extend(ring.add(&current, only)?);
        ring.add_revokers(&others)?;
        Ok(ring)
    }

    /// Adds the keys of those whom a certificate names as its revokers: they are
    /// heard, and sign for nobody.
    fn add_revokers(&mut self, others: &[(Fingerprint, Packet<'_>)]) -> Result<(), Error> {
        if others.is_empty() {
            return Ok(());
        }
        let mut named: BTreeSet<Fingerprint> = BTreeSet::new();
        named.extend(self.certificates.iter().flat_map(Certificate::revokers));
        for (print, packet) in others {
            // Once each: copies would multiply the work.
            if !named.remove(print) {
                continue;
            }
            if self.certificates.len() + self.revokers.len() == limits::KEYRING {
                return Err(Error::TooMany(limits::KEYRING));
            }
            self.revokers.extend(Certificate::read(&[*packet]));
        }
        Ok(())
    }

    /// Adds a certificate; returns its primary key if it is passed over.
    fn add<'a>(
        &mut self,
        packets: &[Packet<'a>],
        only: Option<&[Fingerprint]>,
    ) -> Result<Option<(Fingerprint, Packet<'a>)>, Error> {
        let Some(primary) = packets.first() else {
            return Ok(None);
        };
        match Certificate::fingerprint_of(primary) {
            None => self.unreadable += 1,
            Some(print) if only.is_some_and(|only| !only.contains(&print)) => {
                return Ok(Some((print, *primary)));
            }
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
        Ok(None)
    }

    /// Adds the certificates of another ring; a key may then have several
    /// copies, and what one of them revokes is revoked.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.unreadable += other.unreadable;
        self.certificates.extend(other.certificates);
        self.revokers.extend(other.revokers);
        self
    }

    /// Returns all who may be heard as somebody's revokers.
    fn heard(&self) -> Vec<&Certificate> {
        self.certificates.iter().chain(&self.revokers).collect()
    }

    /// Tells whether `old` holds a revocation in a certificate of one of `of`
    /// that none of `others` holds: whoever replaces `old` by them would forget
    /// it. Nothing is verified; what cannot be read has none.
    ///
    /// One by a named revoker is forgotten with the revoker's key, too.
    pub fn forgets(old: &[u8], others: &[Vec<u8>], of: &[Fingerprint]) -> bool {
        let kept: BTreeSet<Vec<u8>> = others.iter().flat_map(|r| revocations(r, of)).collect();
        let heard: BTreeSet<Fingerprint> = others.iter().flat_map(|r| revokers_in(r, of)).collect();
        revocations(old, of).iter().any(|r| !kept.contains(r))
            || revokers_in(old, of).iter().any(|r| !heard.contains(r))
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
    /// now) nor revoked by itself or by a revoker that it names and that is in
    /// this ring.
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
        self.verify_within(signature, payload, now, false, &mut Checks::new())
    }

    /// Does the same with what is left of a budget; with `forgive`, a key that
    /// its holder has retired or replaced counts as before.
    pub(crate) fn verify_within(
        &self,
        signature: &Signature,
        payload: &[u8],
        now: Time,
        forgive: bool,
        checks: &mut Checks,
    ) -> Result<Signer, Fault> {
        signature.check_date(now)?;
        let mut found: Option<Signer> = None;
        let mut fault: Option<Fault> = None;
        let mut retired = false;
        let heard = self.heard();
        for certificate in &self.certificates {
            let made = certificate.verify(signature, payload, now, forgive, checks);
            let made = made.and_then(|signer| {
                certificate.revoked_by_others(&heard, forgive, checks)?;
                Ok(signer)
            });
            match made {
                Ok(signer) if found.is_some_and(|other| other.primary != signer.primary) => {
                    return Err(Fault::Adopted);
                }
                Ok(signer) => found = Some(signer),
                // One copy of a certificate knows of the revocation: the
                // others are older, or were stripped of it.
                Err(Fault::KeyRevoked) => return Err(Fault::KeyRevoked),
                Err(Fault::KeyRetired) => retired = true,
                Err(Fault::NoSuchKey) => {}
                Err(other) => fault = Some(other),
            }
        }
        if retired {
            return Err(Fault::KeyRetired);
        }
        found.ok_or(fault.unwrap_or(Fault::NoSuchKey))
    }
}

impl Keyring {
    /// Joins keyrings into one that holds each of these keys once: the first
    /// certificate of it, or the first that is revoked. Who revoked one, by its
    /// own word its revoker, is there too.
    /// What cannot be read is left out.
    pub fn joined(keyrings: &[Vec<u8>], of: &[Fingerprint]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut revokers: BTreeSet<Fingerprint> = BTreeSet::new();
        for key in of {
            let copies: Vec<Vec<u8>> = keyrings
                .iter()
                .filter_map(|bytes| bytes_of(bytes, key))
                .collect();
            let rings = copies.iter().filter_map(|c| Self::parse(c, None).ok());
            let by_others: BTreeSet<Fingerprint> = rings
                .flat_map(|ring| ring.certificates)
                .flat_map(|certificate| certificate.revokers())
                .take(limits::DELEGATES)
                .collect();
            let named: Vec<Vec<u8>> = by_others
                .iter()
                .filter_map(|key| keyrings.iter().find_map(|bytes| bytes_of(bytes, key)))
                .collect();
            let is_revoked = |bytes: &&Vec<u8>| {
                let with_others = [bytes.as_slice(), &named.concat()].concat();
                Self::parse(&with_others, Some(&[*key])).is_ok_and(|ring| ring.is_revoked(key))
            };
            let chosen = copies.iter().find(is_revoked).or(copies.first());
            if chosen.is_some_and(|chosen| is_revoked(&chosen)) {
                revokers.extend(by_others);
            }
            all.extend(chosen.into_iter().flatten());
        }
        for key in revokers.iter().filter(|key| !of.contains(key)) {
            let found = keyrings.iter().find_map(|bytes| bytes_of(bytes, key));
            // Its name is enough of it; the rest may be large.
            all.extend(found.as_deref().and_then(first_packet).unwrap_or_default());
        }
        all
    }

    /// Tells whether any certificate of a key is revoked by the key itself, or
    /// by a revoker that it names and that is in this ring, for whatever
    /// reason.
    pub fn is_revoked(&self, primary: &Fingerprint) -> bool {
        let mut checks = Checks::new();
        let of_key = |c: &&Certificate| c.fingerprint() == *primary;
        self.certificates.iter().filter(of_key).any(|certificate| {
            certificate.is_revoked(&mut checks)
                || matches!(
                    certificate.revoked_by_others(&self.heard(), false, &mut checks),
                    Err(Fault::KeyRevoked | Fault::KeyRetired)
                )
        })
    }
}

/// Returns those whom the certificates of these keys name as their revokers,
/// and whose keys are there. Nothing is verified.
fn revokers_in(bytes: &[u8], of: &[Fingerprint]) -> Vec<Fingerprint> {
    let ring = Keyring::parse(bytes, Some(of)).unwrap_or_default();
    ring.revokers.iter().map(|c| c.fingerprint()).collect()
}

/// Returns the first packet, with its header.
fn first_packet(bytes: &[u8]) -> Option<&[u8]> {
    let mut packets = Packets::new(bytes);
    packets.next()?.ok()?;
    bytes.get(..bytes.len() - packets.left())
}

/// Returns the packets of the certificate of a primary key, if it is there.
fn bytes_of(bytes: &[u8], of: &Fingerprint) -> Option<Vec<u8>> {
    let decoded = bytes
        .starts_with(b"-----")
        .then(|| armor::decode(bytes, LABEL).unwrap_or_default());
    let bytes = decoded.as_deref().unwrap_or(bytes);
    let mut rest = Packets::new(bytes);
    let (mut start, mut inside) = (0, false);
    loop {
        let at = bytes.len() - rest.left();
        match rest.next() {
            Some(Ok(packet)) if packet.tag == packets::PUBLIC_KEY => {
                if inside {
                    return Some(bytes[start..at].to_vec());
                }
                inside = Certificate::fingerprint_of(&packet) == Some(*of);
                start = at;
            }
            Some(Ok(_)) => {}
            None | Some(Err(_)) => return inside.then(|| bytes[start..at].to_vec()),
        }
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
