//! Files of certificates, searched for the keys that one signature names.
//!
//! A keyring may hold thousands of certificates and some of them may be
//! flooded; to verify one signature only those are read that hold its key,
//! and of them only what they say of themselves.

use sha2::{Digest, Sha256};

use crate::key::Keyring;
use crate::keybox;
use crate::limits;
use crate::packets::{self, Packet, Packets};
use crate::signature;

/// Keyring files, not read yet.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    files: Vec<Vec<u8>>,
    bytes: usize,
}

/// A certificate that holds a key which was asked for.
pub(super) enum Candidate {
    /// It can be used.
    Ring(Box<Keyring>),
    /// Its keys are of an algorithm, by number, that cannot be used here.
    Unsupported(u8),
    /// It is too large, or broken.
    Unusable(String),
}

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// Revocations by others are kept for designated revokers, and no more of them.
const REVOCATIONS: usize = 16;

impl Rings {
    /// Adds a file: binary, armoured blocks with any text round them, or a
    /// keybox (GnuPG's `pubring.kbx`).
    ///
    /// # Errors
    /// [`RingError`] where there is no certificate in it, or too much.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), RingError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > limits::RINGS {
            return Err(RingError::TooLong(self.bytes));
        }
        if keybox::is_database(bytes) {
            return Err(RingError::Database);
        }
        if keybox::is_keybox(bytes) {
            let blobs = keybox::Blobs::new(bytes).filter_map(Result::ok);
            // One that breaks off would hide the others.
            self.files.extend(blobs.map(<[u8]>::to_vec));
            return Ok(());
        }
        let binary = match bytes.first() {
            Some(first) if first & 0x80 != 0 => bytes.to_vec(),
            Some(_) => blocks(bytes)?,
            // No certificates at all: nobody is known, which is an answer.
            None => Vec::new(),
        };
        let first = Packets::new(&binary).next();
        if !binary.is_empty() && !matches!(first, Some(Ok(_))) {
            return Err(RingError::Nothing);
        }
        self.files.push(binary);
        Ok(())
    }

    /// Returns the certificates that hold a key of one of these ids.
    pub(super) fn holding(&self, ids: &[Vec<u8>]) -> Vec<Candidate> {
        let mut found = Vec::new();
        for file in &self.files {
            let mut current: Vec<Packet<'_>> = Vec::new();
            let mut holds = false;
            // A broken packet ends this file and not the others.
            for packet in Packets::new(file).map_while(Result::ok) {
                if packet.tag == packets::PUBLIC_KEY {
                    if holds {
                        found.push(self.candidate(&current));
                    }
                    (current, holds) = (Vec::new(), false);
                }
                if matches!(packet.tag, packets::PUBLIC_KEY | packets::PUBLIC_SUBKEY) {
                    holds |= ids.iter().any(|id| names(id, packet.body));
                }
                current.push(packet);
            }
            if holds {
                found.push(self.candidate(&current));
            }
            if found.len() >= limits::CANDIDATES {
                found.truncate(limits::CANDIDATES);
                break;
            }
        }
        found
    }

    /// Reads what a certificate says of itself, and the keys of those who
    /// revoke it: one of them may be a revoker that it names.
    fn candidate(&self, packets: &[Packet<'_>]) -> Candidate {
        let (alone, revokers) = candidate(packets);
        let Candidate::Ring(ring) = alone else {
            return alone;
        };
        let (mut keys, mut seen) = (Vec::new(), Vec::new());
        for file in self.files.iter().filter(|_| !revokers.is_empty()) {
            for packet in Packets::new(file).map_while(Result::ok) {
                let is_key = packet.tag == packets::PUBLIC_KEY;
                if is_key
                    && revokers.iter().any(|id| names(id, packet.body))
                    && !seen.contains(&packet.body)
                {
                    seen.push(packet.body);
                    push(&packet, &mut keys);
                }
            }
        }
        match Keyring::parse(&keys, None) {
            Ok(others) => Candidate::Ring(Box::new(ring.with(others))),
            // More keys than one certificate has revokers.
            Err(why) => Candidate::Unusable(why.to_string()),
        }
    }
}

/// Reads what a certificate says of itself; returns the ids of others who
/// revoke it besides.
fn candidate(packets: &[Packet<'_>]) -> (Candidate, Vec<Vec<u8>>) {
    let primary = packets[0];
    let own = packets
        .iter()
        .filter(|packet| matches!(packet.tag, packets::PUBLIC_KEY | packets::PUBLIC_SUBKEY))
        .filter_map(|packet| print(packet.body))
        .collect::<Vec<_>>();
    let mut bytes = Vec::new();
    let mut revocations = 0;
    let mut others = Vec::new();
    for packet in packets {
        if packet.tag == packets::SIGNATURE && !is_by(packet.body, &own) {
            let revokes = packet.body.get(1) == Some(&0x20);
            revocations += usize::from(revokes);
            if !revokes || revocations > REVOCATIONS {
                continue;
            }
            if let Some(packet) = signature::read(packet.body) {
                let ids = packet.issuer_key_id();
                others.extend(ids.iter().map(|id| id.as_ref().to_vec()));
                let prints = packet.issuer_fingerprint();
                others.extend(prints.iter().map(|print| print.as_bytes().to_vec()));
            }
        }
        if packet.tag == packets::TRUST {
            continue;
        }
        push(packet, &mut bytes);
    }
    let found = match Keyring::parse(&bytes, None) {
        Ok(ring) if !ring.fingerprints().is_empty() => Candidate::Ring(Box::new(ring)),
        Ok(_) => Candidate::Unsupported(algorithm(primary.body).unwrap_or(0)),
        Err(why) => Candidate::Unusable(why.to_string()),
    };
    (found, others)
}

/// Tells whether a signature names one of these keys as its maker, or nobody.
fn is_by(body: &[u8], own: &[Vec<u8>]) -> bool {
    let Some(packet) = signature::read(body) else {
        return false;
    };
    let prints = packet.issuer_fingerprint();
    let ids = packet.issuer_key_id();
    let is_own = |named: &[u8]| own.iter().any(|print| has_id(print, named));
    prints.iter().any(|print| is_own(print.as_bytes()))
        || (prints.is_empty() && (ids.is_empty() || ids.iter().any(|id| is_own(id.as_ref()))))
}

/// Writes a packet with a new header of five octets of length.
fn push(packet: &Packet<'_>, bytes: &mut Vec<u8>) {
    bytes.extend([0xc0 | packet.tag, 0xff]);
    let length = u32::try_from(packet.body.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(packet.body);
}

fn algorithm(body: &[u8]) -> Option<u8> {
    match body.first()? {
        4 | 6 => body.get(5).copied(),
        _ => None,
    }
}

/// Returns the fingerprint of the body of a key packet (RFC 9580 section
/// 5.5.4).
fn print(body: &[u8]) -> Option<Vec<u8>> {
    match body.first()? {
        4 => {
            let length = u16::try_from(body.len()).ok()?.to_be_bytes();
            let hash = sha1::Sha1::new()
                .chain_update([0x99])
                .chain_update(length)
                .chain_update(body);
            Some(hash.finalize().to_vec())
        }
        6 => {
            let length = u32::try_from(body.len()).ok()?.to_be_bytes();
            let hash = Sha256::new()
                .chain_update([0x9b])
                .chain_update(length)
                .chain_update(body);
            Some(hash.finalize().to_vec())
        }
        _ => None,
    }
}

fn names(id: &[u8], body: &[u8]) -> bool {
    print(body).is_some_and(|print| has_id(&print, id))
}

/// Tells whether a fingerprint has this key id, which is the end of it in
/// version 4 and its beginning in version 6.
fn has_id(print: &[u8], id: &[u8]) -> bool {
    match (print.len(), id.len()) {
        (20, 8) => print.ends_with(id),
        (32, 8) => print.starts_with(id),
        _ => print == id,
    }
}

fn blocks(text: &[u8]) -> Result<Vec<u8>, RingError> {
    let mut all = Vec::new();
    let mut rest = text;
    let mut seen = false;
    while !rest.is_empty() {
        if rest.starts_with(BEGIN.as_bytes()) {
            let (bytes, after) = signature::dearmor(rest, BEGIN).map_err(|_| RingError::Armor)?;
            all.extend(bytes);
            rest = after;
            seen = true;
            continue;
        }
        let end = rest.iter().position(|b| *b == b'\n');
        rest = &rest[end.map_or(rest.len(), |at| at + 1)..];
    }
    if seen {
        Ok(all)
    } else {
        Err(RingError::Nothing)
    }
}

/// Why a file is no keyring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// More than [`limits::RINGS`].
    #[error("expected at most {limit} bytes of keyrings, got {0}", limit = limits::RINGS)]
    TooLong(usize),
    /// A data base of GnuPG's keyboxd.
    #[error("expected certificates, got a data base (export them with gpg --export)")]
    Database,
    /// Armour that cannot be read.
    #[error("expected armour that can be read")]
    Armor,
    /// Neither packets nor armour.
    #[error("expected OpenPGP certificates")]
    Nothing,
}
