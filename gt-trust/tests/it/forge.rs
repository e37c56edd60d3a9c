//! Certificates as an attacker, or a careless friend, would make them: packet
//! by packet, with the library that verifies them.

use gt_trust::{Fingerprint, Time};
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::eddsa_legacy::SecretKey as EddsaLegacy;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PacketTrait, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey,
    Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::types::{
    Duration, EddsaLegacyPublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password,
    PlainSecretParams, PublicParams, SecretParams, SigningKey, Tag, Timestamp,
};

use crate::publisher::NOW;

pub(crate) struct Primary {
    pub(crate) secret: SecretKey,
    user: UserId,
    bytes: Vec<u8>,
}

/// What a self-signature or binding says.
#[derive(Clone, Copy)]
pub(crate) struct Says {
    pub(crate) made: Time,
    pub(crate) sign: bool,
    /// Seconds after the key's creation.
    pub(crate) expires: Option<u32>,
}

pub(crate) const GOOD: Says = Says {
    made: NOW,
    sign: true,
    expires: None,
};

pub(crate) fn stamp(time: Time) -> Timestamp {
    Timestamp::from_secs(u32::try_from(time.0).unwrap())
}

fn parts(seed: u8) -> (PubKeyInner, SecretParams) {
    let secret = Ed25519::try_from_bytes([seed; 32], Mode::EdDSALegacy).unwrap();
    let public = PubKeyInner::new(
        KeyVersion::V4,
        PublicKeyAlgorithm::EdDSALegacy,
        stamp(NOW),
        None,
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::from(&secret)),
    );
    let plain = PlainSecretParams::EdDSALegacy(EddsaLegacy::Ed25519(secret));
    (public.unwrap(), SecretParams::Plain(plain))
}

pub(crate) fn subkey(seed: u8) -> SecretSubkey {
    let (public, secret) = parts(seed);
    SecretSubkey::new(PublicSubkey::from_inner(public).unwrap(), secret).unwrap()
}

/// A configuration with date and issuer.
pub(crate) fn config(key: &impl SigningKey, kind: SignatureType, made: Time) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(stamp(made))).unwrap(),
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).unwrap(),
    ];
    config
}

fn saying(key: &impl SigningKey, kind: SignatureType, says: Says) -> SignatureConfig {
    let mut flags = KeyFlags::default();
    flags.set_sign(says.sign);
    flags.set_certify(true);
    let mut config = config(key, kind, says.made);
    let mut add = |data| {
        config
            .hashed_subpackets
            .push(Subpacket::regular(data).unwrap())
    };
    add(SubpacketData::KeyFlags(flags));
    if let Some(seconds) = says.expires {
        add(SubpacketData::KeyExpirationTime(Duration::from_secs(
            seconds,
        )));
    }
    config
}

impl Primary {
    pub(crate) fn new(seed: u8, says: Says) -> Self {
        let mut primary = Self::bare(seed);
        primary.certify(says);
        primary
    }

    /// A key and a user id that nobody has signed.
    pub(crate) fn bare(seed: u8) -> Self {
        let (public, secret) = parts(seed);
        let public = PublicKey::from_inner(public).unwrap();
        let secret = SecretKey::new(public, secret).unwrap();
        let user = UserId::from_str(PacketHeaderVersion::New, format!("Key {seed}")).unwrap();
        let mut bytes = Vec::new();
        secret
            .public_key()
            .to_writer_with_header(&mut bytes)
            .unwrap();
        Self {
            secret,
            user,
            bytes,
        }
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.secret.public_key().clone()
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.secret.fingerprint().to_string().parse().unwrap()
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    pub(crate) fn add(&mut self, packet: &impl PacketTrait) -> &mut Self {
        packet.to_writer_with_header(&mut self.bytes).unwrap();
        self
    }

    /// Adds the user id with a self-signature.
    pub(crate) fn certify(&mut self, says: Says) -> &mut Self {
        let config = saying(&self.secret, SignatureType::CertPositive, says);
        let user = self.user.clone();
        let signature = config
            .sign_certification(
                &self.secret,
                &self.public(),
                &Password::empty(),
                Tag::UserId,
                &user,
            )
            .unwrap();
        self.add(&user).add(&signature)
    }

    /// Adds a user id that another key certifies for this one.
    pub(crate) fn certified_by(&mut self, other: &Self) -> &mut Self {
        let config = saying(&other.secret, SignatureType::CertPositive, GOOD);
        let user = self.user.clone();
        let signature = config
            .sign_certification_third_party(
                &other.secret,
                &Password::empty(),
                &self.public(),
                Tag::UserId,
                &user,
            )
            .unwrap();
        self.add(&user).add(&signature)
    }

    /// A revocation of the key by itself.
    pub(crate) fn revocation(&self, made: Time) -> Signature {
        config(&self.secret, SignatureType::KeyRevocation, made)
            .sign_key(&self.secret, &Password::empty(), &self.public())
            .unwrap()
    }

    /// Adds a revocation; call it before user ids are added, where such
    /// signatures stand.
    pub(crate) fn revoke(&mut self) -> &mut Self {
        let signature = self.revocation(NOW);
        self.add(&signature)
    }

    /// Adds a subkey, confirmed by a back-signature of `back` if there is one.
    pub(crate) fn bind(
        &mut self,
        key: &SecretSubkey,
        says: Says,
        back: Option<&SecretSubkey>,
    ) -> &mut Self {
        let mut config = saying(&self.secret, SignatureType::SubkeyBinding, says);
        if let Some(back) = back {
            let embedded = self::config(back, SignatureType::KeyBinding, says.made)
                .sign_primary_key_binding(
                    back,
                    back.public_key(),
                    &Password::empty(),
                    &self.public(),
                )
                .unwrap();
            let data = SubpacketData::EmbeddedSignature(Box::new(embedded));
            config
                .hashed_subpackets
                .push(Subpacket::regular(data).unwrap());
        }
        let signature = config
            .sign_subkey_binding(
                &self.secret,
                &self.public(),
                &Password::empty(),
                key.public_key(),
            )
            .unwrap();
        self.add(key.public_key()).add(&signature)
    }

    /// Adds the revocation of the subkey that was added last.
    pub(crate) fn revoke_subkey(&mut self, key: &SecretSubkey) -> &mut Self {
        let signature = config(&self.secret, SignatureType::SubkeyRevocation, NOW)
            .sign_subkey_binding(
                &self.secret,
                &self.public(),
                &Password::empty(),
                key.public_key(),
            )
            .unwrap();
        self.add(&signature)
    }
}

/// Signs bytes: one packet, without armour.
pub(crate) fn sign(key: &impl SigningKey, config: SignatureConfig, payload: &[u8]) -> Vec<u8> {
    let signature = config.sign(key, &Password::empty(), payload).unwrap();
    let mut bytes = Vec::new();
    signature.to_writer_with_header(&mut bytes).unwrap();
    bytes
}

/// Signs bytes as a seal should be: one armoured block.
pub(crate) fn sign_armored(key: &impl SigningKey, made: Time, payload: &[u8]) -> String {
    armored(&sign(
        key,
        config(key, SignatureType::Binary, made),
        payload,
    ))
}

/// Armour without a checksum, which is optional.
pub(crate) fn armored(packets: &[u8]) -> String {
    let mut text = "-----BEGIN PGP SIGNATURE-----\n\n".to_owned();
    for line in data_encoding::BASE64.encode(packets).as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    text + "-----END PGP SIGNATURE-----\n"
}
