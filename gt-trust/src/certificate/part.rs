//! The parts of a certificate: where they lie, and what names them.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{Sig, Skipped};
use crate::fingerprint::Fingerprint;

/// Where some bytes of a certificate lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Names a part of other bytes; a certificate is never too long for it.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        }
    }

    /// Appends bytes and says where they lie.
    pub(super) fn put(to: &mut Vec<u8>, bytes: &[u8]) -> Self {
        let start = to.len();
        to.extend_from_slice(bytes);
        Self::new(start, to.len())
    }

    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    /// Returns the bytes; none where they are not.
    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// The short name of a key, 64 bits (RFC 9580 section 5.5.4). Anybody can make
/// a key with a given one: it finds candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl KeyId {
    /// Returns the short name of a key with this name.
    pub fn of(fingerprint: &Fingerprint) -> Self {
        let bytes = match fingerprint {
            Fingerprint::V4(b) => &b[12..20],
            Fingerprint::V6(b) => &b[..8],
        };
        Self(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A key, primary or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) body: Span,
    pub(crate) version: u8,
    pub(crate) created: u32,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) key_id: KeyId,
}

impl Key {
    pub(super) fn read(body: Span, bytes: &[u8]) -> Result<Self, Skipped> {
        let version = *bytes.first().ok_or(Skipped::Broken)?;
        if !matches!(version, 4 | 6) {
            return Err(Skipped::Version(version));
        }
        let created = bytes.get(1..5).ok_or(Skipped::Broken)?;
        if bytes.len() < 7 {
            return Err(Skipped::Broken);
        }
        let fingerprint = match version {
            4 => {
                let mut hasher = Sha1::new();
                hash_key(version, bytes, |part| hasher.update(part));
                Fingerprint::V4(hasher.finalize().into())
            }
            _ => {
                let mut hasher = Sha256::new();
                hash_key(version, bytes, |part| hasher.update(part));
                Fingerprint::V6(hasher.finalize().into())
            }
        };
        Ok(Self {
            body,
            version,
            created: created.iter().fold(0, |n, b| n << 8 | u32::from(*b)),
            fingerprint,
            key_id: KeyId::of(&fingerprint),
        })
    }
}

/// Feeds a key the way it is hashed, for its name and under signatures
/// (RFC 9580 sections 5.2.4 and 5.5.4).
pub(super) fn hash_key(version: u8, body: &[u8], mut feed: impl FnMut(&[u8])) {
    if version == 4 {
        feed(&[0x99]);
        feed(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    } else {
        feed(&[0x9b]);
        feed(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    feed(body);
}

/// Cuts off a number (RFC 9580 section 3.2): its length in bits, its octets.
pub(super) fn number(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([a, b], rest) = bytes.split_first_chunk()?;
    let octets = usize::from(u16::from_be_bytes([*a, *b])).div_ceil(8);
    rest.split_at_checked(octets)
}

/// What stands for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserKind {
    /// A name and an address; `uid` in GnuPG's listings.
    Id,
    /// Something else, such as a picture; `uat` in GnuPG's listings.
    Attribute,
}

/// A user id or attribute and its signatures.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) kind: UserKind,
    pub(crate) body: Span,
    pub(crate) digest: [u8; 32],
    pub(crate) signatures: Vec<Sig>,
}

impl User {
    pub(super) fn new(kind: UserKind, body: Span, bytes: &[u8]) -> Self {
        Self {
            kind,
            body,
            digest: Sha256::digest(bytes).into(),
            signatures: Vec::new(),
        }
    }
}

/// A subkey and its signatures.
#[derive(Debug)]
pub(crate) struct Subkey {
    pub(crate) key: Key,
    pub(crate) signatures: Vec<Sig>,
}
