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
    /// Introducers found in the last round introduce nobody.
    pub(super) fn acts(&self, round: u32) -> bool {
        round < self.settings.max_cert_depth
    }

    /// A short path to a signer, and from there one on.
    pub(super) fn extended(&self, signer: usize, key: usize, user: usize, sig: &Sig) -> Path {
        let mut hops = vec![self.hop(signer, key, user, sig)];
        let mut at = signer;
        // Rounds fall from step to step, so that this ends.
        while let Some((by, hop)) = self.step_back(at) {
            hops.push(hop);
            at = by;
        }
        hops.reverse();
        Path { hops }
    }

    /// Returns who made an introducer of a key, the nearest to a root of those;
    /// nobody did of a root.
    fn step_back(&self, key: usize) -> Option<(usize, Hop)> {
        let introducer = self.introducer(key)?;
        let earlier = |i: usize| {
            let by = self.introducer(i);
            by.is_some_and(|by| by.level >= Level::Marginal && by.round < introducer.round)
        };
        let steps = self.made_introducer(key).filter_map(|user| {
            let found = self.certifications(key, user, earlier);
            let (by, sig) = *found.first()?;
            Some((by, user, sig))
        });
        let nearest = steps.min_by_key(|(by, ..)| self.introducer(*by).map(|by| by.round));
        nearest.map(|(by, user, sig)| (by, self.hop(by, key, user, sig)))
    }

    pub(super) fn hop(&self, signer: usize, key: usize, user: usize, sig: &Sig) -> Hop {
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
