//! Certificates as they lie in a keyring: cut into parts, nothing believed.
//!
//! A person's keyring may hold a thousand certificates with fifty thousand
//! signatures, of which a question needs a few. So nothing is computed when it
//! is read: the packets are cut and sorted (RFC 9580 section 10.1), the fields
//! of the signatures noted, and keys are given to rPGP only when one of their
//! signatures is to be verified.

mod check;
mod own;
mod part;
mod rsa;
mod sig;
mod subpackets;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use pgp::packet::{PacketHeader, PublicKey};
use pgp::types::Tag;
use sha2::{Digest as _, Sha256};

use crate::fingerprint::Fingerprint;
use crate::limits;
use crate::packets::{self, Packet};
use crate::signature;

pub(crate) use check::{Checked, Checker, Forged, On, hash_of};
pub(crate) use own::Own;
pub use own::{Revocation, RevokedBy};
pub(crate) use part::{Key, Span, Subkey, User};
pub use part::{KeyId, UserKind};
use rsa::RsaKey;
pub(crate) use sig::{Sig, class};

/// One certificate of a keyring: a primary key, its user ids and subkeys, and
/// the signatures on each.
#[derive(Debug)]
pub struct Certificate {
    bytes: Vec<u8>,
    pub(crate) primary: Key,
    /// Its primary key, for the cache: SHA-1 names keys, and binds nothing.
    pub(crate) digest: [u8; 32],
    pub(crate) direct: Vec<Sig>,
    pub(crate) users: Vec<User>,
    pub(crate) subkeys: Vec<Subkey>,
    parsed: OnceLock<Option<PublicKey>>,
    prepared: OnceLock<Option<RsaKey>>,
}

impl Certificate {
    /// Sorts the packets of one certificate.
    ///
    /// The same user id twice is one user id, and the same signature twice one
    /// signature; so two copies of a certificate, one after the other, are
    /// read as both together.
    ///
    /// Where one copy has a user id twice, the signatures on the second come
    /// before those on the first, as GnuPG has it when it imports such a one;
    /// those of a second copy come after those of the first.
    pub(crate) fn read(packets: &[Packet<'_>]) -> Result<Self, Skipped> {
        let first = packets.first().ok_or(Skipped::Broken)?;
        let size: usize = packets.iter().map(|p| p.body.len()).sum();
        if size > limits::ONE_CERTIFICATE {
            return Err(Skipped::TooLong(size));
        }
        let mut bytes = Vec::with_capacity(size);
        let primary = Key::read(Span::put(&mut bytes, first.body), first.body)?;
        let mut certificate = Self {
            digest: Sha256::digest(first.body).into(),
            bytes,
            primary,
            direct: Vec::new(),
            users: Vec::new(),
            subkeys: Vec::new(),
            parsed: OnceLock::new(),
            prepared: OnceLock::new(),
        };
        let mut place = Place::Primary;
        let mut joined = false;
        let mut order = Order::default();
        for packet in &packets[1..] {
            match packet.tag {
                packets::SIGNATURE => {
                    if certificate.add_signature(place, packet.body)? {
                        order.note(place);
                    }
                }
                packets::PUBLIC_KEY => {
                    place = Place::Primary;
                    joined = true;
                    order.next_copy();
                }
                tag => {
                    place = certificate.open(tag, packet.body)?;
                    order.open(place);
                }
            }
        }
        order.put(&mut certificate.users);
        if joined || order.twice {
            certificate.drop_copies();
        }
        Ok(certificate)
    }

    /// Begins a part; says where the signatures that follow belong.
    fn open(&mut self, tag: u8, body: &[u8]) -> Result<Place, Skipped> {
        let kind = match tag {
            packets::USER_ID => UserKind::Id,
            packets::USER_ATTRIBUTE => UserKind::Attribute,
            packets::PUBLIC_SUBKEY => return self.open_subkey(body),
            _ => return Ok(Place::Nowhere),
        };
        let held = &self.bytes;
        let known = self
            .users
            .iter()
            .position(|u| u.kind == kind && u.body.of(held) == body);
        if let Some(known) = known {
            return Ok(Place::User(known));
        }
        if self.users.len() == limits::COMPONENTS {
            return Err(Skipped::TooManyParts);
        }
        let span = Span::put(&mut self.bytes, body);
        self.users.push(User::new(kind, span, body));
        Ok(Place::User(self.users.len() - 1))
    }

    fn open_subkey(&mut self, body: &[u8]) -> Result<Place, Skipped> {
        let held = &self.bytes;
        let known = self
            .subkeys
            .iter()
            .position(|s| s.key.body.of(held) == body);
        if let Some(known) = known {
            return Ok(Place::Subkey(known));
        }
        if self.subkeys.len() == limits::COMPONENTS {
            return Err(Skipped::TooManyParts);
        }
        // A subkey of an old version costs only itself.
        let Ok(key) = Key::read(Span::default(), body) else {
            return Ok(Place::Nowhere);
        };
        let span = Span::put(&mut self.bytes, body);
        self.subkeys.push(Subkey {
            key: Key { body: span, ..key },
            signatures: Vec::new(),
        });
        Ok(Place::Subkey(self.subkeys.len() - 1))
    }

    /// Adds a signature; tells whether it is one that could count.
    fn add_signature(&mut self, place: Place, body: &[u8]) -> Result<bool, Skipped> {
        let list = match place {
            Place::Primary => &mut self.direct,
            Place::User(i) => &mut self.users[i].signatures,
            Place::Subkey(i) => &mut self.subkeys[i].signatures,
            Place::Nowhere => return Ok(false),
        };
        if list.len() == limits::SIGNATURES {
            return Err(Skipped::TooManySignatures);
        }
        let Some(sig) = Sig::read(body) else {
            return Ok(false);
        };
        let body = Span::put(&mut self.bytes, body);
        list.push(Sig { body, ..sig });
        Ok(true)
    }

    /// Drops second copies of signatures, which come from joining keyrings.
    fn drop_copies(&mut self) {
        let held = &self.bytes;
        let users = self.users.iter_mut().map(|u| &mut u.signatures);
        let subkeys = self.subkeys.iter_mut().map(|s| &mut s.signatures);
        for list in users.chain(subkeys).chain([&mut self.direct]) {
            let mut seen = BTreeSet::new();
            list.retain(|sig| seen.insert(sig.body.of(held)));
        }
    }

    /// Returns the name of the primary key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.primary.fingerprint
    }

    /// Returns the primary key's short name, which names nobody for certain.
    pub fn key_id(&self) -> KeyId {
        self.primary.key_id
    }

    /// Returns the user ids and attributes, in their order: what it is, and its
    /// bytes.
    pub fn users(&self) -> impl Iterator<Item = (UserKind, &[u8])> {
        self.users.iter().map(|u| (u.kind, u.body.of(&self.bytes)))
    }

    /// Tells whether a key is the primary key or a subkey. Nothing is
    /// verified.
    pub fn holds(&self, key: &Fingerprint) -> bool {
        self.primary.fingerprint == *key || self.subkeys.iter().any(|s| s.key.fingerprint == *key)
    }

    /// Writes the certificate as packets, as it was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + 1024);
        let signatures = |list: &[Sig], out: &mut Vec<u8>| {
            for sig in list {
                packets::write(packets::SIGNATURE, sig.body.of(&self.bytes), out);
            }
        };
        packets::write(
            packets::PUBLIC_KEY,
            self.primary.body.of(&self.bytes),
            &mut out,
        );
        signatures(&self.direct, &mut out);
        for user in &self.users {
            let tag = match user.kind {
                UserKind::Id => packets::USER_ID,
                UserKind::Attribute => packets::USER_ATTRIBUTE,
            };
            packets::write(tag, user.body.of(&self.bytes), &mut out);
            signatures(&user.signatures, &mut out);
        }
        for subkey in &self.subkeys {
            packets::write(
                packets::PUBLIC_SUBKEY,
                subkey.key.body.of(&self.bytes),
                &mut out,
            );
            signatures(&subkey.signatures, &mut out);
        }
        out
    }

    /// Returns the bytes of a part.
    pub(crate) fn part(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    /// Tells whether signatures of the primary key can be computed here.
    pub fn is_supported(&self) -> bool {
        self.verifier().is_some_and(signature::is_supported)
    }

    /// Returns the primary key, prepared, if it is RSA.
    fn rsa(&self) -> Option<&RsaKey> {
        self.prepared
            .get_or_init(|| {
                let body = self.part(self.primary.body);
                if !matches!(body.get(5), Some(1..=3)) {
                    return None;
                }
                let start = if self.primary.version == 6 { 10 } else { 6 };
                let (modulus, rest) = part::number(body.get(start..)?)?;
                let (exponent, _) = part::number(rest)?;
                RsaKey::new(modulus, exponent)
            })
            .as_ref()
    }

    /// Returns the primary key for rPGP; `None` where it cannot read it.
    fn verifier(&self) -> Option<&PublicKey> {
        self.parsed
            .get_or_init(|| {
                let mut body = self.part(self.primary.body);
                let length = u32::try_from(body.len()).ok()?;
                let header = PacketHeader::new_fixed(Tag::PublicKey, length);
                PublicKey::try_from_reader(header, &mut body).ok()
            })
            .as_ref()
    }
}

/// In which order the signatures on user ids belong, by user id.
#[derive(Default)]
struct Order {
    users: Vec<UserOrder>,
    copy: u32,
    /// One copy has a user id twice.
    twice: bool,
}

/// Of each signature: in which copy, and how often its user id had come in it.
#[derive(Default)]
struct UserOrder {
    copy: u32,
    times: u32,
    keys: Vec<(u32, Reverse<u32>)>,
}

impl Order {
    fn next_copy(&mut self) {
        self.copy += 1;
    }

    fn open(&mut self, place: Place) {
        let Place::User(i) = place else { return };
        if i == self.users.len() {
            self.users.push(UserOrder::default());
        }
        let user = &mut self.users[i];
        if user.copy == self.copy {
            user.times += 1;
            self.twice |= user.times > 1;
        } else {
            (user.copy, user.times) = (self.copy, 1);
        }
    }

    fn note(&mut self, place: Place) {
        if let Place::User(i) = place {
            let user = &mut self.users[i];
            user.keys.push((user.copy, Reverse(user.times)));
        }
    }

    fn put(&self, users: &mut [User]) {
        if !self.twice {
            return;
        }
        for (user, order) in users.iter_mut().zip(&self.users) {
            let mut both: Vec<_> = order.keys.iter().zip(user.signatures.drain(..)).collect();
            both.sort_by_key(|(key, _)| **key);
            user.signatures = both.into_iter().map(|(_, sig)| sig).collect();
        }
    }
}

/// What the signatures that follow are made on.
#[derive(Clone, Copy)]
enum Place {
    Primary,
    User(usize),
    Subkey(usize),
    Nowhere,
}

/// Why a certificate is not in the ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Skipped {
    /// No packets, or no public key first.
    #[error("expected the packets of a certificate")]
    Broken,
    /// A key of version 2 or 3, whose name anybody can make another key for.
    #[error("expected a key of version 4 or 6, got version {0}")]
    Version(u8),
    /// More bytes than [`limits::ONE_CERTIFICATE`].
    #[error("expected a certificate of at most {limit} bytes, got {0}", limit = limits::ONE_CERTIFICATE)]
    TooLong(usize),
    /// More user ids or subkeys than [`limits::COMPONENTS`].
    #[error("expected at most {limit} user ids and subkeys", limit = limits::COMPONENTS)]
    TooManyParts,
    /// More signatures in one place than [`limits::SIGNATURES`].
    #[error("expected at most {limit} signatures on one user id", limit = limits::SIGNATURES)]
    TooManySignatures,
}
