//! One OpenPGP signature on bytes, and whether its form is acceptable.

mod detached;
mod fault;
mod koblitz;

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{self, PacketHeader, SignatureType, SubpacketData};
use pgp::types::{
    EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, PublicParams, Tag, VerifyingKey,
};

use crate::armor;
use crate::fingerprint::Fingerprint;
use crate::limits;
use crate::number::{Seconds, Time};
use crate::packets::{self, Packets};

pub use crate::armor::Error as ArmorError;
pub use detached::Detached;
pub(crate) use detached::{BEGINS, dearmor};
pub use fault::Fault;
pub(crate) use koblitz::Either;

/// A signature whose form is acceptable: one packet of version 4 or 6, made
/// over bytes (type 0x00, no text mode), with SHA-256 or stronger, with a date.
///
/// Whether anybody made it is for [`Keyring::verify`](crate::Keyring::verify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    packet: packet::Signature,
    created: Time,
}

pub(crate) const LABEL: &str = "SIGNATURE";

impl Signature {
    /// Reads a signature in ASCII armour: one block, nothing round it.
    ///
    /// # Errors
    /// Says what is not acceptable about it.
    pub fn from_armor(text: &[u8]) -> Result<Self, Fault> {
        if text.len() > limits::SEAL {
            return Err(Fault::TooLong(text.len()));
        }
        Self::from_packets(&armor::decode(text, LABEL)?)
    }

    /// Reads a signature as bytes.
    ///
    /// # Errors
    /// Says what is not acceptable about it.
    pub fn from_packets(bytes: &[u8]) -> Result<Self, Fault> {
        let mut packets = Packets::new(bytes);
        let first = match packets.next() {
            Some(Ok(packet)) if packet.tag == packets::SIGNATURE => packet,
            _ => return Err(Fault::NotOne),
        };
        // Two signatures in one armour are two; git would show the good one.
        if packets.next().is_some() {
            return Err(Fault::NotOne);
        }
        let packet = read(first.body).ok_or(Fault::Malformed)?;
        let created = check_form(&packet)?;
        Ok(Self { packet, created })
    }

    /// Returns when its maker says it was made.
    pub fn created(&self) -> Time {
        self.created
    }

    /// Returns the keys that the signature names as its maker. A hint: only
    /// verifying shows who made it.
    pub fn issuers(&self) -> Vec<Fingerprint> {
        let named = self.packet.issuer_fingerprint();
        named.into_iter().filter_map(fingerprint).collect()
    }

    /// Tells whether a key may be the one that made it.
    pub(crate) fn may_be_by(&self, key: &impl KeyDetails) -> bool {
        names_issuer(&self.packet, key)
    }

    /// Checks the date against the clock.
    pub(crate) fn check_date(&self, now: Time) -> Result<(), Fault> {
        if self.created > now + limits::FUTURE {
            return Err(Fault::Future(self.created - now));
        }
        match self.packet.signature_expiration_time() {
            Some(span) if span.as_secs() > 0 => {
                let end = self.created + Seconds(span.as_secs().into());
                if now >= end {
                    return Err(Fault::SignatureExpired);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Computes whether this key made it on these bytes.
    pub(crate) fn computes(&self, key: &impl VerifyingKey, payload: &[u8]) -> Result<(), Fault> {
        self.packet.verify(&Either(key), payload).map_err(refusal)
    }
}

/// Parses the body of a signature packet, all of it.
pub(crate) fn read(mut body: &[u8]) -> Option<packet::Signature> {
    let header = PacketHeader::new_fixed(Tag::Signature, u32::try_from(body.len()).ok()?);
    let packet = packet::Signature::try_from_reader(header, &mut body).ok()?;
    (body.is_empty() && packet.config().is_some()).then_some(packet)
}

/// Tells whether a signature names this key as its maker; one that names
/// nobody is nobody's.
pub(crate) fn names_issuer(packet: &packet::Signature, key: &impl KeyDetails) -> bool {
    let prints = packet.issuer_fingerprint();
    if prints.is_empty() {
        let id = key.legacy_key_id();
        return packet.issuer_key_id().contains(&&id);
    }
    prints.contains(&&key.fingerprint())
}

/// Says whether the library could not tell, or could and the answer is no.
pub(crate) fn refusal(error: pgp::errors::Error) -> Fault {
    use pgp::errors::Error;
    match error {
        Error::Unsupported { .. } | Error::Unimplemented { .. } => Fault::UnsupportedAlgorithm,
        _ => Fault::Bad,
    }
}

/// Tells whether signatures of a key can be computed here.
pub(crate) fn is_supported(key: &impl KeyDetails) -> bool {
    !matches!(
        key.public_params(),
        PublicParams::Unknown { .. }
            | PublicParams::ECDSA(EcdsaPublicParams::Unsupported { .. })
            | PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Unsupported { .. })
    )
}

/// Returns the fingerprint in our words, if it is of a version that we know.
pub(crate) fn fingerprint(theirs: &pgp::types::Fingerprint) -> Option<Fingerprint> {
    match theirs {
        pgp::types::Fingerprint::V4(b) => Some(Fingerprint::V4(*b)),
        pgp::types::Fingerprint::V6(b) => Some(Fingerprint::V6(*b)),
        _ => None,
    }
}

/// Tells whether a hash is strong enough for what is signed today.
fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

/// Tells whether there is a subpacket that must be understood and is not
/// (RFC 9580 section 5.2.3.7).
pub(crate) fn has_unknown_critical(packet: &packet::Signature) -> bool {
    packet.config().is_some_and(|config| {
        config.hashed_subpackets().any(|sub| {
            sub.is_critical
                && matches!(
                    sub.data,
                    SubpacketData::Other(..)
                        | SubpacketData::Experimental(..)
                        | SubpacketData::Notation(_)
                )
        })
    })
}

fn check_form(packet: &packet::Signature) -> Result<Time, Fault> {
    let config = packet.config().ok_or(Fault::Malformed)?;
    match config.version() {
        packet::SignatureVersion::V4 | packet::SignatureVersion::V6 => {}
        _ => return Err(Fault::Version),
    }
    match config.typ() {
        SignatureType::Binary => {}
        SignatureType::Text => return Err(Fault::TextMode),
        other => return Err(Fault::Type(other.into())),
    }
    if !is_strong(config.hash_alg) {
        return Err(Fault::WeakDigest(config.hash_alg.to_string()));
    }
    if has_unknown_critical(packet) {
        return Err(Fault::Critical);
    }
    let created = config.created().ok_or(Fault::NoDate)?;
    Ok(Time(created.as_secs().into()))
}
