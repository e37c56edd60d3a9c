//! The fields of a signature on a key or user id, as its packet has them.

use super::part::{KeyId, Span};
use super::subpackets::{self, kind};
use crate::fingerprint::Fingerprint;

/// Types of signatures (RFC 9580 section 5.2.1).
pub(crate) mod class {
    pub(crate) const GENERIC: u8 = 0x10;
    pub(crate) const POSITIVE: u8 = 0x13;
    pub(crate) const DIRECT: u8 = 0x1f;
    pub(crate) const KEY_REVOCATION: u8 = 0x20;
    pub(crate) const USER_REVOCATION: u8 = 0x30;
}

/// A signature of version 2 to 4 or 6. Nothing in it is verified.
#[derive(Clone, Debug)]
pub(crate) struct Sig {
    pub(crate) body: Span,
    pub(crate) version: u8,
    pub(crate) class: u8,
    pub(crate) algorithm: u8,
    pub(crate) hash: u8,
    /// Zero where it does not say.
    pub(crate) created: u32,
    /// When it ends: zero for never. Sums wrap, as they do in GnuPG.
    pub(crate) expires: u32,
    /// The same for certifications, where a span of zero ends it at once.
    pub(crate) ends: u32,
    /// Who made it, by its own word; zero where it does not say.
    pub(crate) issuer: KeyId,
    pub(crate) issuer_print: Option<Fingerprint>,
    pub(crate) revocable: bool,
    /// It holds something that must be understood and is not.
    pub(crate) demands: bool,
    /// Depth and amount of a trust signature; depth 0 is none.
    pub(crate) depth: u8,
    pub(crate) amount: u8,
    /// Relative to the body.
    pub(crate) pattern: Option<Span>,
    pub(crate) hashed: Span,
    pub(super) unhashed: Span,
    /// All that is hashed of it, without salt and final trailer.
    pub(crate) signed: Span,
    pub(crate) salt: Span,
    pub(crate) numbers: Span,
}

impl Sig {
    /// Reads the body of a packet; `None` where it is none that could count.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        match *bytes.first()? {
            2 | 3 => Self::read_old(bytes),
            4 => Self::read_new(bytes, 2),
            6 => Self::read_new(bytes, 4),
            _ => None,
        }
    }

    fn read_old(bytes: &[u8]) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<u64> {
            let part = bytes.get(range)?;
            Some(part.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
        };
        let mut sig = Self::empty(bytes)?;
        sig.class = *bytes.get(2)?;
        sig.created = u32::try_from(number(3..7)?).ok()?;
        sig.issuer = KeyId(number(7..15)?);
        sig.algorithm = *bytes.get(15)?;
        sig.hash = *bytes.get(16)?;
        // The type and the date follow what is signed.
        sig.signed = Span::new(2, 7);
        sig.numbers = Span::new(19, bytes.len());
        (bytes.len() > 19).then_some(sig)
    }

    fn read_new(bytes: &[u8], octets: usize) -> Option<Self> {
        let mut sig = Self::empty(bytes)?;
        sig.class = *bytes.get(1)?;
        sig.algorithm = *bytes.get(2)?;
        sig.hash = *bytes.get(3)?;
        let length = |at: usize| -> Option<usize> {
            let part = bytes.get(at..at + octets)?;
            let length = part.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
            usize::try_from(length).ok().filter(|n| *n <= LONGEST_AREA)
        };
        let start = 4 + octets;
        let end = start + length(4)?;
        let after = end + octets + length(end)?;
        sig.hashed = Span::new(start, end);
        sig.unhashed = Span::new(end + octets, after);
        sig.signed = Span::new(0, end);
        // Two octets of the digest, which prove nothing.
        let mut numbers = after.checked_add(2)?;
        if sig.version == 6 {
            let salt = usize::from(*bytes.get(numbers)?);
            sig.salt = Span::new(numbers + 1, numbers + 1 + salt);
            numbers += 1 + salt;
        }
        if numbers > bytes.len() {
            return None;
        }
        sig.numbers = Span::new(numbers, bytes.len());
        sig.read_areas(bytes);
        Some(sig)
    }

    fn empty(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            body: Span::default(),
            version: *bytes.first()?,
            class: 0,
            algorithm: 0,
            hash: 0,
            created: 0,
            expires: 0,
            ends: 0,
            issuer: KeyId(0),
            issuer_print: None,
            revocable: true,
            demands: false,
            depth: 0,
            amount: 0,
            pattern: None,
            hashed: Span::default(),
            unhashed: Span::default(),
            signed: Span::default(),
            salt: Span::default(),
            numbers: Span::default(),
        })
    }

    fn read_areas(&mut self, bytes: &[u8]) {
        let hashed = self.hashed.of(bytes);
        let unhashed = self.unhashed.of(bytes);
        let either =
            |kind| subpackets::first(hashed, kind).or_else(|| subpackets::first(unhashed, kind));
        self.demands =
            subpackets::demands_too_much(hashed) || subpackets::demands_too_much(unhashed);
        self.created = subpackets::number(hashed, kind::CREATED).unwrap_or(0);
        if let Some(span) = subpackets::number(hashed, kind::EXPIRES) {
            self.ends = self.created.wrapping_add(span);
            self.expires = if span == 0 { 0 } else { self.ends };
        }
        if let Some(sub) = either(kind::ISSUER) {
            self.issuer = KeyId(sub.data[..8].iter().fold(0, |n, b| n << 8 | u64::from(*b)));
        }
        self.issuer_print = either(kind::ISSUER_PRINT).and_then(|sub| print_of(sub.data));
        // Only version 6 may leave the short name out.
        if let (6, Some(print)) = (self.version, &self.issuer_print) {
            self.issuer = KeyId::of(print);
        }
        if let Some(sub) = subpackets::first(hashed, kind::REVOCABLE) {
            self.revocable = sub.data[0] != 0;
        }
        if let Some(sub) = subpackets::first(hashed, kind::TRUST) {
            (self.depth, self.amount) = (sub.data[0], sub.data[1]);
            self.pattern = subpackets::first(hashed, kind::PATTERN)
                .filter(|sub| !sub.data.is_empty())
                .map(|sub| {
                    // It ends with a zero octet, wherever that stands.
                    let rest = &hashed[sub.at..];
                    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
                    let start = 4 + self.octets() + sub.at;
                    Span::new(start, start + end)
                });
        }
    }

    fn octets(&self) -> usize {
        if self.version == 6 { 4 } else { 2 }
    }

    /// Tells whether it certifies a user id.
    pub(crate) fn is_certification(&self) -> bool {
        (class::GENERIC..=class::POSITIVE).contains(&self.class)
    }

    /// Tells whether it revokes something.
    pub(crate) fn is_revocation(&self) -> bool {
        matches!(self.class, 0x20 | 0x28 | 0x30)
    }

    /// Tells whether it has ended.
    pub(crate) fn is_expired(&self, at: u32) -> bool {
        self.expires != 0 && self.expires <= at
    }

    /// Tells whether it names somebody and does not name two.
    pub(crate) fn names(&self, key: KeyId) -> bool {
        self.issuer == key && self.issuer_print.is_none_or(|p| KeyId::of(&p) == key)
    }
}

/// GnuPG refuses longer ones, and nobody needs them.
const LONGEST_AREA: usize = 10_000;

fn print_of(data: &[u8]) -> Option<Fingerprint> {
    let (version, print) = data.split_first()?;
    match version {
        4 => Some(Fingerprint::V4(print.get(..20)?.try_into().ok()?)),
        6 => Some(Fingerprint::V6(print.get(..32)?.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_is_total(mut bytes: Vec<u8>, version in 2u8..7) {
            if let Some(first) = bytes.first_mut() {
                *first = version;
            }
            let _ = Sig::read(&bytes);
        }
    }
}
