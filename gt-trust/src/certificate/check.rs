//! Whether one key made one signature on a part of a certificate.
//!
//! rPGP computes with the keys; what is hashed is laid out here, because the
//! same bytes name the result in the cache, and because certifications of
//! version 3 still hold people together.

use std::cell::Cell;

use pgp::crypto::hash::HashAlgorithm;
use pgp::errors::Error;
use pgp::types::{Mpi, SignatureBytes, VerifyingKey};

use super::part::{hash_key, number};
use super::{Certificate, Sig, Span, User, UserKind, class};
use crate::limits;
use crate::signature::Either;
use crate::web::Cache;

/// What computing a signature showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The key made it.
    Good,
    /// It did not, or what it says of itself cannot be.
    Bad,
    /// The digest is one that can be forged.
    Weak,
    /// The key, the digest or the numbers are of a kind that is not known.
    Unsupported,
}

/// Which part of a certificate a signature is on.
#[derive(Clone, Copy)]
pub(crate) enum On<'a> {
    /// The primary key.
    Key,
    /// A user id or attribute.
    User(&'a User),
}

/// How many signatures of one certificate proved forged while a question was
/// answered. Past [`limits::FORGED`] no further one is believed.
#[derive(Debug, Default)]
pub(crate) struct Forged(Cell<usize>);

impl Forged {
    /// Goes on counting from earlier ones.
    pub(crate) fn after(earlier: usize) -> Self {
        Self(Cell::new(earlier))
    }

    pub(crate) fn so_far(&self) -> usize {
        self.0.get()
    }

    fn count(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(crate) fn too_many(&self) -> bool {
        self.0.get() >= limits::FORGED
    }
}

/// Computes signatures for one question: as of when, how strictly, with what
/// memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checker<'a> {
    /// The moment that is asked about.
    pub(crate) at: u32,
    /// Refuse what is dated after it.
    pub(crate) strict: bool,
    pub(crate) cache: Option<&'a Cache>,
}

/// Certifications of others by SHA-1 count if made up to this moment,
/// 2019-01-19: GnuPG's date, after which a chosen-prefix collision is thought
/// feasible (gpg's manual, `--allow-weak-key-signatures`).
const SHA1_CUTOFF: u32 = 1_547_856_000;

const MD5: u8 = 1;
const SHA1: u8 = 2;

impl Checker<'_> {
    /// Computes whether `signer` made a signature on a part of `signee`.
    ///
    /// The dates are held against the signee's key (as GnuPG does it, which
    /// for revocations by others uses the revoker's: there `dated` is that).
    pub(crate) fn check(
        &self,
        signee: &Certificate,
        on: On<'_>,
        sig: &Sig,
        signer: &Certificate,
        dated: &Certificate,
        forged: &Forged,
    ) -> Checked {
        let born = dated.primary.created;
        if born > sig.created || born > self.at {
            return Checked::Bad;
        }
        if self.strict && sig.created > self.at && !sig.is_revocation() {
            return Checked::Bad;
        }
        let by_other = signer.primary.key_id != signee.primary.key_id;
        match (sig.hash, on) {
            (MD5, _) => return Checked::Weak,
            (SHA1, On::User(_)) if by_other && sig.created > SHA1_CUTOFF => {
                return Checked::Weak;
            }
            _ => {}
        }
        if sig.demands || !fits(sig.class, on) {
            return Checked::Bad;
        }
        if forged.too_many() {
            return Checked::Bad;
        }
        let checked = self.compute_or_recall(signee, on, sig, signer);
        if checked == Checked::Bad {
            forged.count();
        }
        checked
    }

    fn compute_or_recall(
        &self,
        signee: &Certificate,
        on: On<'_>,
        sig: &Sig,
        signer: &Certificate,
    ) -> Checked {
        let name = self.cache.map(|_| name_of(signee, on, sig, signer));
        if let (Some(cache), Some(name)) = (self.cache, &name)
            && let Some(good) = cache.recall(name)
        {
            return if good { Checked::Good } else { Checked::Bad };
        }
        let checked = compute(signee, on, sig, signer);
        if let (Some(cache), Some(name)) = (self.cache, &name) {
            match checked {
                Checked::Good => cache.keep(name, true),
                Checked::Bad => cache.keep(name, false),
                Checked::Weak | Checked::Unsupported => {}
            }
        }
        checked
    }
}

/// Tells whether a signature of this type can be on such a part.
fn fits(typ: u8, on: On<'_>) -> bool {
    match on {
        On::Key => matches!(typ, class::DIRECT | class::KEY_REVOCATION),
        On::User(_) => {
            (class::GENERIC..=class::POSITIVE).contains(&typ) || typ == class::USER_REVOCATION
        }
    }
}

/// All that the result follows from: the two keys and the part by their
/// SHA-256, the signature itself.
fn name_of(signee: &Certificate, on: On<'_>, sig: &Sig, signer: &Certificate) -> Vec<u8> {
    let body = signee.part(sig.body);
    let mut name = Vec::with_capacity(body.len() + 128);
    name.extend(signer.digest);
    name.extend(signee.digest);
    match on {
        On::Key => name.push(0),
        On::User(user) => {
            name.push(match user.kind {
                UserKind::Id => 1,
                UserKind::Attribute => 2,
            });
            name.extend(user.digest);
        }
    }
    name.extend(body);
    name
}

fn compute(signee: &Certificate, on: On<'_>, sig: &Sig, signer: &Certificate) -> Checked {
    // Keys of version 6 make signatures of version 6, and no others do
    // (RFC 9580 section 5.2.3).
    if (sig.version == 6) != (signer.primary.version == 6) {
        return Checked::Bad;
    }
    let Some(numbers) = numbers(sig.algorithm, signee.part_of(sig, sig.numbers)) else {
        return Checked::Bad;
    };
    let Numbers::Known(numbers) = numbers else {
        return Checked::Unsupported;
    };
    let hash = hash_of(sig.hash);
    let Some(hash) = hash else {
        return Checked::Unsupported;
    };
    if sig.version == 6 && salt_length(hash) != Some(signee.part_of(sig, sig.salt).len()) {
        return Checked::Bad;
    }
    // It fails where rPGP finds the mark of a SHA-1 collision.
    let Ok(digest) = hash.digest(&signed_bytes(signee, on, sig)) else {
        return Checked::Bad;
    };
    if let (Some(key), SignatureBytes::Mpis(mpis)) = (signer.rsa(), &numbers)
        && let [number] = mpis.as_slice()
        && let Some(good) = key.verifies(hash, &digest, number.as_ref())
    {
        return if good { Checked::Good } else { Checked::Bad };
    }
    let Some(key) = signer.verifier() else {
        return Checked::Unsupported;
    };
    match Either(key).verify(hash, &digest, &numbers) {
        Ok(()) => Checked::Good,
        Err(Error::Unsupported { .. } | Error::Unimplemented { .. }) => Checked::Unsupported,
        Err(_) => Checked::Bad,
    }
}

/// Returns the digests that rPGP knows.
pub(crate) fn hash_of(id: u8) -> Option<HashAlgorithm> {
    match HashAlgorithm::from(id) {
        HashAlgorithm::None | HashAlgorithm::Private10 | HashAlgorithm::Other(_) => None,
        known => Some(known),
    }
}

/// RFC 9580 section 9.5.
fn salt_length(hash: HashAlgorithm) -> Option<usize> {
    match hash {
        HashAlgorithm::Sha224 | HashAlgorithm::Sha256 | HashAlgorithm::Sha3_256 => Some(16),
        HashAlgorithm::Sha384 => Some(24),
        HashAlgorithm::Sha512 | HashAlgorithm::Sha3_512 => Some(32),
        _ => None,
    }
}

/// Lays out what is hashed (RFC 9580 section 5.2.4; RFC 4880 for version 3).
fn signed_bytes(signee: &Certificate, on: On<'_>, sig: &Sig) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    out.extend(signee.part_of(sig, sig.salt));
    let primary = &signee.primary;
    hash_key(primary.version, signee.part(primary.body), |part| {
        out.extend_from_slice(part);
    });
    match on {
        On::Key => {}
        On::User(user) => {
            let body = signee.part(user.body);
            if sig.version >= 4 {
                out.push(match user.kind {
                    UserKind::Id => 0xb4,
                    UserKind::Attribute => 0xd1,
                });
                out.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
            }
            out.extend_from_slice(body);
        }
    }
    let signed = signee.part_of(sig, sig.signed);
    out.extend_from_slice(signed);
    if sig.version >= 4 {
        out.extend([sig.version, 0xff]);
        out.extend(
            u32::try_from(signed.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
    }
    out
}

enum Numbers {
    Known(SignatureBytes),
    Unknown,
}

/// Reads the numbers of a signature by its algorithm (RFC 9580 section 9.1);
/// `None` where they are cut off.
fn numbers(algorithm: u8, bytes: &[u8]) -> Option<Numbers> {
    let count = match algorithm {
        1..=3 => 1,
        17 | 19 | 22 => 2,
        27 => return native(bytes, 64),
        28 => return native(bytes, 114),
        _ => return Some(Numbers::Unknown),
    };
    let mut rest = bytes;
    let mut mpis = Vec::with_capacity(count);
    for _ in 0..count {
        let (number, after) = number(rest)?;
        mpis.push(Mpi::from_slice(number));
        rest = after;
    }
    Some(Numbers::Known(SignatureBytes::Mpis(mpis)))
}

fn native(bytes: &[u8], length: usize) -> Option<Numbers> {
    let bytes = bytes.get(..length)?.to_vec();
    Some(Numbers::Known(SignatureBytes::Native(bytes.into())))
}

impl Certificate {
    /// Returns a field of a signature of this certificate.
    pub(crate) fn part_of(&self, sig: &Sig, field: Span) -> &[u8] {
        field.of(self.part(sig.body))
    }
}
