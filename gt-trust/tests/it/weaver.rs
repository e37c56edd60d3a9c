//! Webs woven octet by octet: keys, user ids and signatures with any fields,
//! right or wrong.

use std::sync::OnceLock;

use data_encoding::BASE64;
use gt_trust::Fingerprint;
use pgp::crypto::Signer;
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PacketHeader, SecretKey};
use pgp::types::{
    Ed25519PublicParams, EddsaLegacyPublicParams, PlainSecretParams, SecretParams, SignatureBytes,
    Tag,
};
use sha1::Digest as _;

/// A key that signs what it is told to.
pub(crate) struct Maker {
    secret: Secret,
    algorithm: u8,
    pub(crate) version: u8,
    pub(crate) created: u32,
    body: Vec<u8>,
    pub(crate) print: Fingerprint,
}

enum Secret {
    Own(Box<Ed25519>),
    /// One of those in `golden/makers`.
    Kept(&'static Kept),
}

/// A secret key that gpg made once.
struct Kept {
    /// The body of its public-key packet.
    body: Vec<u8>,
    secret: PlainSecretParams,
}

/// What the keys in `golden/makers` are, in their order.
pub(crate) const KINDS: [&str; 5] = ["rsa1024", "dsa1024", "nistp256", "nistp521", "secp256k1"];

fn kept() -> &'static [Kept] {
    static KEPT: OnceLock<Vec<Kept>> = OnceLock::new();
    KEPT.get_or_init(|| {
        let lines = include_str!("../golden/makers").lines().skip(1);
        let words = lines.map(|line| line.split_once(' ').unwrap());
        let kept: Vec<Kept> = words
            .zip(KINDS)
            .map(|((name, base64), kind)| {
                assert_eq!(name, kind);
                let bytes = BASE64.decode(base64.as_bytes()).unwrap();
                let length = u32::try_from(bytes.len()).unwrap();
                let header = PacketHeader::new_fixed(Tag::SecretKey, length);
                let key = SecretKey::try_from_reader(header, &mut bytes.as_slice()).unwrap();
                let SecretParams::Plain(secret) = key.secret_params() else {
                    panic!("not in the clear");
                };
                let mut body = Vec::new();
                pgp::ser::Serialize::to_writer(key.public_key(), &mut body).unwrap();
                Kept {
                    body,
                    secret: secret.clone(),
                }
            })
            .collect();
        assert_eq!(kept.len(), KINDS.len());
        kept
    })
}

/// What is signed, beside the primary key.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Key,
    User(&'a str),
    Attribute(&'a [u8]),
    Subkey(&'a Maker),
}

/// How a signature names its maker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// By the short name, which is not signed.
    Short,
    /// By the short name, signed.
    Signed,
    /// By both names, the long one signed.
    Both,
}

/// The fields of a signature.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) class: u8,
    pub(crate) made: u32,
    pub(crate) hash: u8,
    pub(crate) expires: Option<u32>,
    pub(crate) trust: Option<(u8, u8)>,
    pub(crate) pattern: Option<String>,
    pub(crate) revocable: bool,
    pub(crate) key_expires: Option<u32>,
    pub(crate) revoker: Option<Fingerprint>,
    pub(crate) reason: Option<u8>,
    /// A subpacket that nobody knows and everybody must.
    pub(crate) unknown: bool,
    /// The numbers do not fit.
    pub(crate) forged: bool,
    /// Of version 3.
    pub(crate) old: bool,
    pub(crate) named: Named,
    pub(crate) flags: Option<u8>,
    pub(crate) primary: bool,
    /// Not to be exported.
    pub(crate) local: bool,
    /// An unknown notation: critical or not.
    pub(crate) notation: Option<bool>,
    pub(crate) pattern_is_critical: bool,
    /// What a revoker's class octet is.
    pub(crate) revoker_class: u8,
    /// Number of a subpacket that stands where it is not signed.
    pub(crate) loose: Option<u8>,
}

impl Fields {
    pub(crate) fn new(class: u8, made: u32) -> Self {
        Self {
            class,
            made,
            hash: 8,
            expires: None,
            trust: None,
            pattern: None,
            revocable: true,
            key_expires: None,
            revoker: None,
            reason: None,
            unknown: false,
            forged: false,
            old: false,
            named: Named::Short,
            flags: None,
            primary: false,
            local: false,
            notation: None,
            pattern_is_critical: false,
            revoker_class: 0x80,
            loose: None,
        }
    }
}

pub(crate) fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0xc0 | tag, 0xff][..], &length, body].concat()
}

fn mpi(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let bytes = &bytes[zeros..];
    let top = bytes.first().map_or(0, |b| 8 - b.leading_zeros() as usize);
    let bits = u16::try_from(bytes.len().saturating_sub(1) * 8 + top).unwrap();
    [&bits.to_be_bytes()[..], bytes].concat()
}

impl Maker {
    pub(crate) fn new(seed: u8, created: u32) -> Self {
        Self::of_version(4, seed, created)
    }

    /// A key of version 6 (RFC 9580), which GnuPG 2.2 does not know.
    pub(crate) fn v6(seed: u8, created: u32) -> Self {
        Self::of_version(6, seed, created)
    }

    /// A key of one of [`KINDS`], by number: the same secret with any date.
    pub(crate) fn kept(kind: usize, created: u32) -> Self {
        let kept = &kept()[kind];
        let mut body = kept.body.clone();
        body[1..5].copy_from_slice(&created.to_be_bytes());
        Self {
            secret: Secret::Kept(kept),
            algorithm: body[5],
            version: 4,
            created,
            print: Fingerprint::V4(sha1::Sha1::digest(hashed_key(4, &body)).into()),
            body,
        }
    }

    /// Tells whether GnuPG and rPGP both take a digest from this key: ECDSA and
    /// DSA want one as long as their group, and rPGP wants 256 bits for Ed25519.
    pub(crate) fn takes(&self, hash: u8) -> bool {
        let bits = match hash {
            1 => 128,
            2 => 160,
            8 => 256,
            9 => 384,
            10 => 512,
            11 => 224,
            _ => return false,
        };
        let least = match &self.secret {
            Secret::Own(_) => 256,
            Secret::Kept(kept) => match &kept.secret {
                PlainSecretParams::RSA(_) => 0,
                PlainSecretParams::DSA(_) => 160,
                PlainSecretParams::ECDSA(key) if key.to_bytes().len() > 48 => 512,
                _ => 256,
            },
        };
        bits >= least
    }

    fn numbers(&self, hash: HashAlgorithm, digest: &[u8]) -> SignatureBytes {
        let kept = match &self.secret {
            Secret::Own(key) => return key.sign(hash, digest).unwrap(),
            Secret::Kept(kept) => kept,
        };
        let made = match &kept.secret {
            PlainSecretParams::RSA(key) => key.sign(hash, digest),
            PlainSecretParams::DSA(key) => key.sign(hash, digest),
            PlainSecretParams::ECDSA(key) => key.sign(hash, digest),
            _ => unreachable!("no such key is kept"),
        };
        match made.unwrap() {
            // GnuPG writes the other form as often.
            SignatureBytes::Mpis(rs) if kept.is_koblitz() && digest[2] & 1 == 1 => {
                let other = negative(rs[1].as_ref());
                SignatureBytes::Mpis(vec![rs[0].clone(), pgp::types::Mpi::from_slice(&other)])
            }
            made => made,
        }
    }

    fn of_version(version: u8, seed: u8, created: u32) -> Self {
        let mode = match version {
            4 => Mode::EdDSALegacy,
            _ => Mode::Ed25519,
        };
        let secret = Ed25519::try_from_bytes([seed; 32], mode).unwrap();
        let point = match version {
            4 => match EddsaLegacyPublicParams::from(&secret) {
                EddsaLegacyPublicParams::Ed25519 { key } => key.to_bytes(),
                _ => unreachable!("of this curve"),
            },
            _ => Ed25519PublicParams::from(&secret).key.to_bytes(),
        };
        let mut body = vec![version];
        body.extend(created.to_be_bytes());
        let print = if version == 4 {
            body.extend([22, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1]);
            body.extend(mpi(&[&[0x40], &point[..]].concat()));
            Fingerprint::V4(sha1::Sha1::digest(hashed_key(4, &body)).into())
        } else {
            body.extend([27, 0, 0, 0, 32]);
            body.extend(point);
            Fingerprint::V6(sha2::Sha256::digest(hashed_key(6, &body)).into())
        };
        Self {
            secret: Secret::Own(Box::new(secret)),
            algorithm: body[5],
            version,
            created,
            body,
            print,
        }
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        packet(6, &self.body)
    }

    fn key_id(&self) -> &[u8] {
        match &self.print {
            Fingerprint::V4(b) => &b[12..],
            other => &other.as_bytes()[..8],
        }
    }

    /// Signs a part of a certificate.
    pub(crate) fn sign(&self, signee: &Self, part: Part<'_>, fields: &Fields) -> Vec<u8> {
        let is_v6 = self.version == 6;
        let salt = [7u8; 16];
        let mut data = Vec::new();
        if is_v6 {
            data.extend(salt);
        }
        data.extend(hashed_key(signee.version, &signee.body));
        let mut prefixed = |prefix: u8, bytes: &[u8]| {
            if !fields.old {
                data.push(prefix);
                data.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            }
            data.extend(bytes);
        };
        match part {
            Part::Key => {}
            Part::User(name) => prefixed(0xb4, name.as_bytes()),
            Part::Attribute(bytes) => prefixed(0xd1, bytes),
            Part::Subkey(key) => data.extend(hashed_key(key.version, &key.body)),
        }
        let mut body = Vec::new();
        if fields.old {
            data.push(fields.class);
            data.extend(fields.made.to_be_bytes());
            body.extend([3, 5, fields.class]);
            body.extend(fields.made.to_be_bytes());
            body.extend(self.key_id());
            body.extend([self.algorithm, fields.hash]);
        } else {
            let (hashed, mut unhashed) = self.areas(fields);
            if !matches!(fields.named, Named::Signed) {
                unhashed.extend([&[9, 16][..], self.key_id()].concat());
            }
            let length = |n: usize| -> Vec<u8> {
                let all = u32::try_from(n).unwrap().to_be_bytes();
                all[if is_v6 { 0 } else { 2 }..].to_vec()
            };
            body.extend([self.version, fields.class, self.algorithm, fields.hash]);
            body.extend(length(hashed.len()));
            body.extend(&hashed);
            let signed = u32::try_from(body.len()).unwrap();
            data.extend(&body);
            data.extend([self.version, 0xff]);
            data.extend(signed.to_be_bytes());
            if is_v6 {
                body.extend(length(0));
            } else {
                body.extend(length(unhashed.len()));
                body.extend(unhashed);
            }
        }
        let hash = HashAlgorithm::from(fields.hash);
        let mut digest = hash.digest(&data).unwrap();
        body.extend(&digest[..2]);
        if is_v6 {
            body.push(16);
            body.extend(salt);
        }
        if fields.forged {
            digest[5] ^= 1;
        }
        match self.numbers(hash, &digest) {
            SignatureBytes::Mpis(numbers) => {
                body.extend(numbers.iter().flat_map(|n| mpi(n.as_ref())));
            }
            SignatureBytes::Native(bytes) => body.extend(bytes),
        }
        packet(2, &body)
    }

    /// What is signed, and what is not.
    fn areas(&self, fields: &Fields) -> (Vec<u8>, Vec<u8>) {
        let (mut hashed, mut unhashed) = (Vec::new(), Vec::new());
        let mut add = |kind: u8, data: &[u8]| {
            let area = match fields.loose == Some(kind & 0x7f) {
                true => &mut unhashed,
                false => &mut hashed,
            };
            area.push(u8::try_from(data.len() + 1).unwrap());
            area.push(kind);
            area.extend(data);
        };
        add(2, &fields.made.to_be_bytes());
        match fields.named {
            _ if self.version == 6 => add(33, &[&[6], self.print.as_bytes()].concat()),
            Named::Both => add(33, &[&[4], self.print.as_bytes()].concat()),
            Named::Signed => add(16, self.key_id()),
            Named::Short => {}
        }
        if let Some(span) = fields.expires {
            add(3, &span.to_be_bytes());
        }
        if fields.local {
            add(4, &[0]);
        }
        if let Some((depth, amount)) = fields.trust {
            add(5, &[depth, amount]);
        }
        if let Some(pattern) = &fields.pattern {
            let kind = if fields.pattern_is_critical { 0x86 } else { 6 };
            add(kind, &[pattern.as_bytes(), &[0]].concat());
        }
        if !fields.revocable {
            add(7, &[0]);
        }
        if let Some(span) = fields.key_expires {
            add(9, &span.to_be_bytes());
        }
        if let Some(revoker) = &fields.revoker {
            add(
                12,
                &[&[fields.revoker_class, 22], revoker.as_bytes()].concat(),
            );
        }
        if let Some(critical) = fields.notation {
            let kind = if critical { 0x80 | 20 } else { 20 };
            add(kind, b"\x80\0\0\0\0\x0b\0\x01a@example.xv");
        }
        if fields.primary {
            add(25, &[1]);
        }
        if let Some(flags) = fields.flags {
            add(27, &[flags]);
        }
        if let Some(reason) = fields.reason {
            add(29, &[reason]);
        }
        if fields.unknown {
            add(0x80 | 120, &[0]);
        }
        (hashed, unhashed)
    }

    /// Returns its packet as a subkey.
    pub(crate) fn subkey_packet(&self) -> Vec<u8> {
        packet(14, &self.body)
    }
}

impl Kept {
    fn is_koblitz(&self) -> bool {
        // Of 1.3.132.0.10.
        self.body[6..].starts_with(&[5, 0x2b, 0x81, 4, 0, 10])
    }
}

/// n - s of secp256k1.
fn negative(s: &[u8]) -> Vec<u8> {
    let order = BASE64
        .decode(b"/////////////////////rqu3OavSKA7v9JejNA2QUE=")
        .unwrap();
    let mut s = s.to_vec();
    while s.len() < 32 {
        s.insert(0, 0);
    }
    let mut borrow = 0;
    let mut out = vec![0; 32];
    for i in (0..32).rev() {
        let difference = i16::from(order[i]) - i16::from(s[i]) - borrow;
        borrow = i16::from(difference < 0);
        out[i] = u8::try_from(difference & 0xff).unwrap();
    }
    out
}

fn hashed_key(version: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    match version {
        4 => [&[0x99], &length[2..], body].concat(),
        _ => [&[0x9b], &length[..], body].concat(),
    }
}
