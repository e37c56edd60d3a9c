//! Webs woven octet by octet: keys, user ids and signatures with any fields,
//! right or wrong.

use gt_trust::Fingerprint;
use pgp::crypto::Signer as _;
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{Ed25519PublicParams, EddsaLegacyPublicParams, SignatureBytes};
use sha1::Digest as _;

/// A key that signs what it is told to.
pub(crate) struct Maker {
    secret: Ed25519,
    pub(crate) version: u8,
    pub(crate) created: u32,
    body: Vec<u8>,
    pub(crate) print: Fingerprint,
}

/// What is signed, beside the primary key.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Key,
    User(&'a str),
    Attribute(&'a [u8]),
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
            secret,
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
        }
        let mut body = Vec::new();
        if fields.old {
            data.push(fields.class);
            data.extend(fields.made.to_be_bytes());
            body.extend([3, 5, fields.class]);
            body.extend(fields.made.to_be_bytes());
            body.extend(self.key_id());
            body.extend([22, fields.hash]);
        } else {
            let hashed = self.hashed_area(fields);
            let unhashed = [&[9, 16][..], self.key_id()].concat();
            let length = |n: usize| -> Vec<u8> {
                let all = u32::try_from(n).unwrap().to_be_bytes();
                all[if is_v6 { 0 } else { 2 }..].to_vec()
            };
            let algorithm = if is_v6 { 27 } else { 22 };
            body.extend([self.version, fields.class, algorithm, fields.hash]);
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
        match self.secret.sign(hash, &digest).unwrap() {
            SignatureBytes::Mpis(numbers) => {
                body.extend(numbers.iter().flat_map(|n| mpi(n.as_ref())));
            }
            SignatureBytes::Native(bytes) => body.extend(bytes),
        }
        packet(2, &body)
    }

    fn hashed_area(&self, fields: &Fields) -> Vec<u8> {
        let mut area = Vec::new();
        let mut add = |kind: u8, data: &[u8]| {
            area.push(u8::try_from(data.len() + 1).unwrap());
            area.push(kind);
            area.extend(data);
        };
        add(2, &fields.made.to_be_bytes());
        if self.version == 6 {
            add(33, &[&[6], self.print.as_bytes()].concat());
        }
        if let Some(span) = fields.expires {
            add(3, &span.to_be_bytes());
        }
        if let Some((depth, amount)) = fields.trust {
            add(5, &[depth, amount]);
        }
        if let Some(pattern) = &fields.pattern {
            add(6, &[pattern.as_bytes(), &[0]].concat());
        }
        if !fields.revocable {
            add(7, &[0]);
        }
        if let Some(span) = fields.key_expires {
            add(9, &span.to_be_bytes());
        }
        if let Some(revoker) = &fields.revoker {
            add(12, &[&[0x80, 22], revoker.as_bytes()].concat());
        }
        if let Some(reason) = fields.reason {
            add(29, &[reason]);
        }
        if fields.unknown {
            add(0x80 | 120, &[0]);
        }
        area
    }
}

fn hashed_key(version: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    match version {
        4 => [&[0x99], &length[2..], body].concat(),
        _ => [&[0x9b], &length[..], body].concat(),
    }
}
