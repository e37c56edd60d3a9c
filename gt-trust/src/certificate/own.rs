//! What a certificate says of itself, by the signatures of its own primary
//! key and of the revokers that it names.
//!
//! The rules are GnuPG's (the behaviour of 2.2): the newest signature that
//! verifies decides, in packet order where two are of one second.

use super::subpackets::{self, kind};
use super::{Certificate, Checked, Checker, Forged, KeyId, On, Sig, class};
use crate::fingerprint::Fingerprint;
use crate::number::Time;

/// What is true of a certificate at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    /// One self-signature at least verifies.
    pub(crate) valid: bool,
    pub(crate) revoked: Option<Revocation>,
    /// When the primary key ends; zero for never.
    pub(crate) expires: u32,
    pub(crate) expired: bool,
    /// It holds more forged signatures than are worth computing.
    pub(crate) flooded: bool,
    /// In the order of the user ids.
    pub(crate) users: Vec<UserState>,
}

/// What is true of a user id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserState {
    pub(crate) revoked: bool,
    pub(crate) expired: bool,
    /// When it was last confirmed; zero where it is not.
    pub(crate) confirmed: u32,
    key_expires: u32,
}

/// Who revoked a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokedBy {
    /// The key itself.
    Owner,
    /// One whom the key had named as its revoker.
    Revoker(Fingerprint),
}

/// A revocation of a primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// Who says so.
    pub by: RevokedBy,
    /// When, by its own word.
    pub made: Time,
    /// The key may be in other hands: nothing that it signed counts, whatever
    /// date it bears. A soft one (superseded, retired; RFC 9580 section
    /// 5.2.3.31) speaks of the time after it.
    pub hard: bool,
}

impl Own {
    /// Tells whether the key may certify others now.
    pub(crate) fn may_certify(&self) -> bool {
        self.valid && self.revoked.is_none() && !self.expired && !self.flooded
    }

    /// Works it out. `find` returns the certificate of a key that was named as
    /// a revoker.
    pub(crate) fn of<'a>(
        certificate: &Certificate,
        checker: &Checker<'_>,
        find: &dyn Fn(&Fingerprint) -> Option<&'a Certificate>,
    ) -> Self {
        let mut own = Self::default();
        let forged = Forged::default();
        let good = |on: On<'_>, sig: &Sig| {
            checker.check(certificate, on, sig, certificate, certificate, &forged) == Checked::Good
        };
        let me = certificate.primary.key_id;
        let mine = |sig: &&Sig| sig.names(me);
        own.revoked = certificate
            .direct
            .iter()
            .filter(mine)
            .filter(|sig| sig.class == class::KEY_REVOCATION)
            .find(|sig| good(On::Key, sig))
            .map(|sig| Revocation::of(certificate, sig, RevokedBy::Owner));
        let direct: Vec<&Sig> = certificate
            .direct
            .iter()
            .filter(mine)
            .filter(|sig| sig.class == class::DIRECT && good(On::Key, sig))
            .collect();
        if own.revoked.is_none() {
            own.revoked = revoked_by_other(certificate, &direct, checker, &forged, find);
        }
        let newest = direct
            .iter()
            .filter(|sig| !sig.is_expired(checker.at))
            .max_by_key(|sig| sig.created);
        own.valid = newest.is_some();
        let born = certificate.primary.created;
        let mut expires = newest.and_then(|sig| key_expires(certificate, sig, born));
        for user in &certificate.users {
            let chosen = newest_good(user.signatures.iter().filter(mine), |sig| {
                good(On::User(user), sig)
            });
            own.valid |= chosen.is_some();
            own.users
                .push(UserState::of(certificate, chosen, checker.at));
        }
        if expires.is_none() {
            let newest = own
                .users
                .iter()
                .rev()
                .filter(|user| user.key_expires != 0)
                .max_by_key(|user| user.confirmed);
            expires = newest.map(|user| user.key_expires);
        }
        own.expires = expires.unwrap_or(0);
        own.expired = own.expires != 0 && own.expires < checker.at;
        if forged.too_many() {
            // Among so many a revocation may be hidden.
            own.flooded = true;
            own.valid = false;
        }
        own
    }
}

impl UserState {
    fn of(certificate: &Certificate, chosen: Option<&Sig>, at: u32) -> Self {
        let Some(sig) = chosen else {
            return Self::default();
        };
        if sig.class == class::USER_REVOCATION {
            return Self {
                revoked: true,
                ..Self::default()
            };
        }
        if sig.is_expired(at) {
            return Self {
                expired: true,
                ..Self::default()
            };
        }
        let born = certificate.primary.created;
        Self {
            revoked: false,
            expired: false,
            confirmed: sig.created,
            key_expires: key_expires(certificate, sig, born).unwrap_or(0),
        }
    }

    /// Tells whether certifications on it count.
    pub(crate) fn is_usable(&self) -> bool {
        !self.revoked && !self.expired
    }
}

impl Revocation {
    fn of(certificate: &Certificate, sig: &Sig, by: RevokedBy) -> Self {
        let hashed = certificate.part_of(sig, sig.hashed);
        let reason = subpackets::first(hashed, kind::REASON).and_then(|sub| sub.data.first());
        Self {
            by,
            made: Time(sig.created.into()),
            hard: !matches!(reason, Some(1 | 3)),
        }
    }
}

/// The newest certification or revocation of a user id that verifies; the
/// later packet where two are of one second.
fn newest_good<'s>(
    sigs: impl Iterator<Item = &'s Sig>,
    good: impl Fn(&Sig) -> bool,
) -> Option<&'s Sig> {
    let mut sorted: Vec<(usize, &Sig)> = sigs
        .filter(|sig| sig.is_certification() || sig.class == class::USER_REVOCATION)
        .enumerate()
        .collect();
    sorted.sort_by_key(|(place, sig)| std::cmp::Reverse((sig.created, *place)));
    sorted.into_iter().map(|(_, sig)| sig).find(|sig| good(sig))
}

fn key_expires(certificate: &Certificate, sig: &Sig, born: u32) -> Option<u32> {
    let hashed = certificate.part_of(sig, sig.hashed);
    let span = subpackets::number(hashed, kind::KEY_EXPIRES)?;
    (span != 0).then(|| born.wrapping_add(span))
}

/// Looks for a revocation by one of the revokers that any direct signature
/// names (RFC 9580 section 5.2.3.23). A revoker who is revoked or expired
/// himself may still revoke.
fn revoked_by_other<'a>(
    certificate: &Certificate,
    direct: &[&Sig],
    checker: &Checker<'_>,
    forged: &Forged,
    find: &dyn Fn(&Fingerprint) -> Option<&'a Certificate>,
) -> Option<Revocation> {
    let mut revokers: Vec<Fingerprint> = Vec::new();
    for sig in direct {
        let hashed = certificate.part_of(sig, sig.hashed);
        for sub in subpackets::each(hashed).map_while(Result::ok) {
            if sub.kind == kind::REVOKER
                && let [typ, _, print @ ..] = sub.data
                && typ & 0x80 != 0
                && let Ok(print) = print.try_into()
            {
                revokers.push(Fingerprint::V4(print));
            }
        }
    }
    let me = certificate.primary.key_id;
    let others = certificate
        .direct
        .iter()
        .filter(|sig| sig.class == class::KEY_REVOCATION && !sig.names(me));
    for sig in others {
        let Some(print) = revokers.iter().find(|p| sig.names(KeyId::of(p))) else {
            continue;
        };
        let Some(revoker) = find(print) else { continue };
        if checker.check(certificate, On::Key, sig, revoker, revoker, forged) == Checked::Good
            && Own::of(revoker, checker, &|_| None).valid
        {
            return Some(Revocation::of(certificate, sig, RevokedBy::Revoker(*print)));
        }
    }
    None
}
