//! A key that gt makes for a person who has none.

use pgp::composed::{Deserializable, SignedKeyDetails, SignedSecretKey};
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::eddsa_legacy::SecretKey as EddsaLegacy;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, SecretKey, SignatureConfig, SignatureType, Subpacket,
    SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{
    EddsaLegacyPublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password,
    PlainSecretParams, PublicParams, SecretParams, SigningKey, Tag, Timestamp,
};

use super::Keyring;
use crate::armor;
use crate::fingerprint::Fingerprint;
use crate::grammar::is_value;
use crate::limits;
use crate::number::Time;
use crate::signature::{self, Signature};

/// A secret key without a password: version 4, EdDSA on Curve25519 in the
/// form that GnuPG 2.2 imports. Where it is kept, and that only its owner can
/// read it, is the caller's business.
#[derive(Clone)]
pub struct OwnKey {
    key: SignedSecretKey,
    fingerprint: Fingerprint,
}

const LABEL: &str = "PRIVATE KEY BLOCK";

impl OwnKey {
    /// Makes a key for this user id (`Name <mail>`), dated `now`.
    ///
    /// `seed` is the secret: 32 bytes of the system's best chance. The same
    /// arguments make the same key.
    ///
    /// # Errors
    /// [`OwnKeyError`] where the user id or the date cannot be written.
    pub fn generate(user_id: &str, now: Time, seed: [u8; 32]) -> Result<Self, OwnKeyError> {
        if !is_value(user_id) || user_id.len() > limits::TEXT {
            return Err(OwnKeyError::UserId);
        }
        let created = timestamp(now)?;
        let secret = Ed25519::try_from_bytes(seed, Mode::EdDSALegacy)?;
        let public = PublicKey::from_inner(PubKeyInner::new(
            KeyVersion::V4,
            PublicKeyAlgorithm::EdDSALegacy,
            created,
            None,
            PublicParams::EdDSALegacy(EddsaLegacyPublicParams::from(&secret)),
        )?)?;
        let plain = PlainSecretParams::EdDSALegacy(EddsaLegacy::Ed25519(secret));
        let secret = SecretKey::new(public, SecretParams::Plain(plain))?;
        let user = UserId::from_str(PacketHeaderVersion::New, user_id)?;
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(true);
        let mut config = config(&secret, SignatureType::CertPositive, created)?;
        config.hashed_subpackets.extend([
            Subpacket::critical(SubpacketData::KeyFlags(flags))?,
            Subpacket::regular(SubpacketData::IsPrimary(true))?,
            Subpacket::regular(SubpacketData::PreferredHashAlgorithms(
                [HashAlgorithm::Sha512, HashAlgorithm::Sha256]
                    .into_iter()
                    .collect(),
            ))?,
        ]);
        let public = secret.public_key().clone();
        let empty = Password::empty();
        let bound = config.sign_certification(&secret, &public, &empty, Tag::UserId, &user)?;
        let details = SignedKeyDetails::new(
            Vec::new(),
            Vec::new(),
            vec![user.into_signed(bound)],
            Vec::new(),
        );
        Self::of(SignedSecretKey::new(
            secret,
            details,
            Vec::new(),
            Vec::new(),
        ))
    }

    /// Reads a key that [`export`](Self::export) wrote.
    ///
    /// # Errors
    /// [`OwnKeyError`] where it is something else, has a password, or does not
    /// belong to its own certificate.
    pub fn import(armored: &[u8]) -> Result<Self, OwnKeyError> {
        let bytes = armor::decode(armored, LABEL)?;
        let own = Self::of(SignedSecretKey::from_bytes(bytes.as_slice())?)?;
        if own.key.primary_key.secret_params().is_encrypted() {
            return Err(OwnKeyError::Password);
        }
        // A file that was damaged would sign what nobody can verify.
        let born = Time(own.key.primary_key.created_at().as_secs().into());
        let trial = own.sign(b"trial", born)?;
        let certificate = own.certificate()?;
        let verified = Signature::from_armor(trial.as_bytes()).and_then(|trial| {
            let ring = Keyring::parse(&certificate, None).unwrap_or_default();
            ring.verify(&trial, b"trial", born)
        });
        match verified {
            Ok(_) => Ok(own),
            Err(why) => Err(OwnKeyError::Trial(why)),
        }
    }

    fn of(key: SignedSecretKey) -> Result<Self, OwnKeyError> {
        let fingerprint = signature::fingerprint(&key.fingerprint()).ok_or(OwnKeyError::Version)?;
        Ok(Self { key, fingerprint })
    }

    /// Writes the secret key as an armoured block.
    ///
    /// # Errors
    /// [`OwnKeyError`] of the library.
    pub fn export(&self) -> Result<String, OwnKeyError> {
        Ok(armor::encode(&self.key.to_bytes()?, LABEL))
    }

    /// Returns the certificate: what others need to verify, as packets.
    ///
    /// # Errors
    /// [`OwnKeyError`] of the library.
    pub fn certificate(&self) -> Result<Vec<u8>, OwnKeyError> {
        Ok(self.key.to_public_key().to_bytes()?)
    }

    /// Returns the certificate as an armoured block.
    ///
    /// # Errors
    /// [`OwnKeyError`] of the library.
    pub fn armored_certificate(&self) -> Result<String, OwnKeyError> {
        Ok(armor::encode(&self.certificate()?, super::LABEL))
    }

    /// Returns the fingerprint of the primary key, the only one.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Signs bytes: a detached armoured signature, binary mode, SHA-512.
    ///
    /// # Errors
    /// [`OwnKeyError`] where the date cannot be written or the library fails.
    pub fn sign(&self, payload: &[u8], now: Time) -> Result<String, OwnKeyError> {
        let key = &self.key.primary_key;
        let config = config(key, SignatureType::Binary, timestamp(now)?)?;
        let packet = config.sign(key, &Password::empty(), payload)?;
        let mut bytes = Vec::new();
        pgp::packet::PacketTrait::to_writer_with_header(&packet, &mut bytes)?;
        Ok(armor::encode(&bytes, signature::LABEL))
    }
}

impl std::fmt::Debug for OwnKey {
    /// Shows the fingerprint and nothing secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnKey({})", self.fingerprint)
    }
}

fn config(
    key: &impl SigningKey,
    kind: SignatureType,
    created: Timestamp,
) -> Result<SignatureConfig, OwnKeyError> {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        Subpacket::critical(SubpacketData::SignatureCreationTime(created))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
        key.legacy_key_id(),
    ))?];
    Ok(config)
}

/// OpenPGP counts seconds in 32 bits.
fn timestamp(time: Time) -> Result<Timestamp, OwnKeyError> {
    let seconds = u32::try_from(time.0).map_err(|_| OwnKeyError::Date(time))?;
    Ok(Timestamp::from_secs(seconds))
}

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnKeyError {
    /// Not one plain line.
    #[error("expected a user id of one line, at most {} bytes", limits::TEXT)]
    UserId,
    /// Outside of what OpenPGP can write.
    #[error("expected a date before 2106, got {0}")]
    Date(Time),
    /// The armour.
    #[error(transparent)]
    Armor(#[from] armor::Error),
    /// A version that this crate has no words for.
    #[error("expected a key of version 4 or 6")]
    Version,
    /// It is locked.
    #[error("expected a key without a password")]
    Password,
    /// What it signs does not verify by its own certificate.
    #[error("expected a key that fits its certificate: {0}")]
    Trial(signature::Fault),
    /// The library's own words.
    #[error("expected a usable secret key: {0}")]
    Library(String),
}

impl From<pgp::errors::Error> for OwnKeyError {
    fn from(error: pgp::errors::Error) -> Self {
        Self::Library(error.to_string())
    }
}
