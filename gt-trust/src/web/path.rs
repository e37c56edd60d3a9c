//! Why a key is believed: certifications, one after the other, from a root.

use crate::certificate::{Sig, class, hash_of};
use crate::fingerprint::Fingerprint;
use crate::number::Time;

use super::{Level, Web};

/// One certification of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// Who certifies.
    pub by: Fingerprint,
    /// How far that owner is trusted to certify.
    pub ownertrust: Level,
    /// Which key.
    pub of: Fingerprint,
    /// Which user id of it.
    pub user: Vec<u8>,
    /// When, by the signature's own word.
    pub made: Time,
    /// The digest that was signed.
    pub digest: String,
    /// How careful it says that it was, 0 to 3; 0 says nothing.
    pub level: u8,
    /// Depth and amount, where it is a trust signature.
    pub trust: Option<(u8, u8)>,
}

/// Certifications from a root to a key. None at all is a root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Path {
    /// In their order, the root's first.
    pub hops: Vec<Hop>,
}

impl Web<'_> {
    /// Returns the paths by which a user id is believed: one for each owner
    /// whose word counts for it, each by the shortest way to that owner.
    pub(super) fn paths(&self, key: usize, user: usize) -> Vec<Path> {
        let counting = |i: usize| {
            let by = self.introducer(i);
            by.is_some_and(|by| by.level >= Level::Marginal && self.acts(by.round))
        };
        let certifications = self.certifications(key, user, counting);
        certifications
            .into_iter()
            .map(|(signer, sig)| self.extended(signer, key, user, sig))
            .collect()
    }

    /// Introducers found in the last round introduce nobody.
    pub(super) fn acts(&self, round: u32) -> bool {
        round < self.settings.max_cert_depth
    }

    /// The shortest path to a signer, and from there one on.
    pub(super) fn extended(&self, signer: usize, key: usize, user: usize, sig: &Sig) -> Path {
        let mut path = self.path_to(signer);
        path.hops.push(self.hop(signer, key, user, sig));
        path
    }

    /// Returns the shortest path to an introducer.
    fn path_to(&self, key: usize) -> Path {
        let Some(introducer) = self.introducer(key) else {
            return Path::default();
        };
        let mut best: Option<Path> = None;
        let users = self.ring.certificates()[key].users().count();
        let earlier = |i: usize| {
            let by = self.introducer(i);
            by.is_some_and(|by| by.level >= Level::Marginal && by.round < introducer.round)
        };
        if introducer.round == 0 {
            return Path::default();
        }
        for user in (0..users).filter(|u| self.own(key).users[*u].is_usable()) {
            if let Some((signer, sig)) = self.certifications(key, user, earlier).first() {
                let path = self.extended(*signer, key, user, sig);
                if best.as_ref().is_none_or(|b| path.hops.len() < b.hops.len()) {
                    best = Some(path);
                }
            }
        }
        best.unwrap_or_default()
    }

    fn hop(&self, signer: usize, key: usize, user: usize, sig: &Sig) -> Hop {
        let certificates = self.ring.certificates();
        let (by, of) = (&certificates[signer], &certificates[key]);
        Hop {
            by: by.fingerprint(),
            ownertrust: self.level(&by.fingerprint()),
            of: of.fingerprint(),
            user: of.part(of.users[user].body).to_vec(),
            made: Time(sig.created.into()),
            digest: hash_of(sig.hash).map_or_else(|| sig.hash.to_string(), |h| h.to_string()),
            level: sig.class.saturating_sub(class::GENERIC),
            trust: (sig.depth > 0).then_some((sig.depth, sig.amount)),
        }
    }
}
