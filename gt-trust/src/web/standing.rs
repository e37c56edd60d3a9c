//! The answer about a key, with its reasons.

use std::collections::{BTreeMap, VecDeque};

use crate::certificate::{KeyId, Revocation};
use crate::fingerprint::Fingerprint;
use crate::key::Signer;
use crate::number::Time;
use crate::signature::Fault;

use super::{Ground, Hop, Level, Path, Validity, Web};

/// What a key is to you.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It belongs to whom it names, and these say so.
    Trusted {
        /// How far its best user id is believed: full or ultimate.
        validity: Validity,
        /// That user id.
        user: Vec<u8>,
        /// Every path to that user id that counts, the shorter first, as far as
        /// [`limits::PATHS`](crate::limits::PATHS); none for a root.
        paths: Vec<Path>,
        /// How many paths more there are.
        left_out: u64,
        /// Every certification that counts, told once, whatever the number of
        /// paths through it: first the user ids of the key that are believed, the
        /// one of `user` first of them, then those of the introducers who certify
        /// them and each other, then roots.
        grounds: Vec<Ground>,
    },
    /// Nobody whom you trust says enough.
    Unknown {
        /// How far its best user id is believed: less than full.
        validity: Validity,
        /// What comes nearest to a path, if anything does. It need not begin
        /// at a root.
        nearest: Option<Path>,
        /// What is wanting.
        lacks: Lack,
    },
    /// It is not to be believed, whoever vouches for it.
    Refused(Refused),
}

/// What a key lacks to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lack {
    /// There is no certificate of it.
    #[error("no certificate of this key is in the keyring")]
    NoSuchKey,
    /// Nobody at all has certified it who could be traced to you.
    #[error("nobody whom you know certifies it")]
    Nobody,
    /// Certified by valid keys of whose owners you said nothing.
    #[error("{0} certifies it, but is not trusted to certify others")]
    Ownertrust(Fingerprint),
    /// Too few marginally trusted owners, or too few full ones.
    #[error(
        "certified by {full} fully and {marginal} marginally trusted owners; it takes {completes} or {marginals}"
    )]
    MoreCertifications {
        /// Fully trusted owners who certify it.
        full: u32,
        /// Marginally trusted owners who do.
        marginal: u32,
        /// How many full ones it takes.
        completes: u32,
        /// How many marginal ones it takes.
        marginals: u32,
    },
    /// Every path is longer than allowed.
    #[error("the path by {0} has more certifications than allowed")]
    Depth(Fingerprint),
    /// The first on the path that is not valid itself.
    #[error("{0} certifies on the way to it, but is not known to belong to whom it names")]
    NotValid(Fingerprint),
    /// All its user ids are revoked or expired.
    #[error("it has no user id that is neither revoked nor expired")]
    NoUser,
}

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked(Revocation),
    /// It has expired.
    #[error("the key expired at {0}")]
    Expired(Time),
    /// Nothing that it says of itself verifies.
    #[error("the key is not bound to any user id by itself")]
    Unbound,
    /// It holds more forged signatures than are worth computing.
    #[error("the certificate is flooded with forged signatures")]
    Flooded,
    /// Its kind is not known here.
    #[error("keys of this kind cannot be checked here")]
    Unsupported,
}

/// What to say of a signature on anything, by who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Made by a key that you trust.
    Good(Signer, Standing),
    /// Good, by a key that is nobody's whom you know.
    NotTrusted(Signer, Standing),
    /// Nobody has the key that made it.
    NoSuchKey,
    /// By a key that has expired.
    KeyExpired,
    /// By a key that was revoked.
    KeyRevoked,
    /// The numbers do not fit the bytes.
    Bad,
    /// It cannot be told.
    Unsupported,
    /// The digest can be forged.
    WeakDigest,
    /// It does not count for another reason.
    Other(Fault),
}

impl Verdict {
    /// Returns the exit code that commands end with: 0 good, 1 bad, 2 not
    /// trusted, 3 against the policy, 6 cannot be told.
    pub fn code(&self) -> u8 {
        match self {
            Self::Good(..) => 0,
            Self::Bad => 1,
            Self::NotTrusted(..) | Self::NoSuchKey | Self::KeyExpired | Self::KeyRevoked => 2,
            Self::WeakDigest | Self::Other(_) => 3,
            Self::Unsupported => 6,
        }
    }
}

impl Web<'_> {
    /// Says what to think of a signature that was verified, or was not.
    pub fn verdict(&self, made: Result<Signer, Fault>) -> Verdict {
        let signer = match made {
            Ok(signer) => signer,
            Err(Fault::NoSuchKey) => return Verdict::NoSuchKey,
            Err(Fault::KeyExpired) => return Verdict::KeyExpired,
            Err(Fault::KeyRevoked) => return Verdict::KeyRevoked,
            Err(Fault::Bad) => return Verdict::Bad,
            Err(Fault::UnsupportedAlgorithm) => return Verdict::Unsupported,
            Err(Fault::WeakDigest(_)) => return Verdict::WeakDigest,
            Err(other) => return Verdict::Other(other),
        };
        match self.standing(&signer.primary) {
            Standing::Refused(Refused::Revoked(_)) => Verdict::KeyRevoked,
            Standing::Refused(Refused::Expired(_)) => Verdict::KeyExpired,
            standing @ Standing::Trusted { .. } => Verdict::Good(signer, standing),
            standing => Verdict::NotTrusted(signer, standing),
        }
    }

    /// Says what a primary key is to you, and why.
    pub fn standing(&self, key: &Fingerprint) -> Standing {
        let Some(i) = self.ring.place(key) else {
            return Standing::Unknown {
                validity: Validity::Unknown,
                nearest: None,
                lacks: Lack::NoSuchKey,
            };
        };
        if let Some(why) = self.refused(i) {
            return Standing::Refused(why);
        }
        let own = self.own(i);
        if self.introducer(i).is_some_and(|by| by.round == 0) {
            return self.root(i);
        }
        let usable = (0..own.users.len()).filter(|u| own.users[*u].is_usable());
        // The best first; of those that are believed the one nearest to a root.
        let mut users: Vec<usize> = usable.collect();
        users.sort_by_key(|u| {
            (
                std::cmp::Reverse(self.validity(i, *u)),
                self.round_of(i, *u),
            )
        });
        let Some(&user) = users.first() else {
            return Standing::Unknown {
                validity: Validity::Unknown,
                nearest: None,
                lacks: Lack::NoUser,
            };
        };
        let validity = self.validity(i, user);
        if validity >= Validity::Full {
            users.retain(|user| self.validity(i, *user) >= Validity::Full);
            let found = self.grounds(i, &users);
            return Standing::Trusted {
                validity,
                user: self.name(i, user),
                paths: found.paths,
                left_out: found.left_out,
                grounds: found.grounds,
            };
        }
        let (nearest, lacks) = self.nearest(i, user);
        Standing::Unknown {
            validity,
            nearest,
            lacks,
        }
    }

    /// Tells whether a primary key is trusted, which takes less than saying why.
    pub fn trusts(&self, key: &Fingerprint) -> bool {
        let Some(i) = self.ring.place(key) else {
            return false;
        };
        let is_root = self.introducer(i).is_some_and(|by| by.round == 0);
        let users = &self.own(i).users;
        let is_full = |u: usize| users[u].is_usable() && self.validity(i, u) >= Validity::Full;
        self.refused(i).is_none() && (is_root || (0..users.len()).any(is_full))
    }

    /// A root is trusted whatever became of its user ids.
    fn root(&self, i: usize) -> Standing {
        let ground = self.root_ground(i);
        Standing::Trusted {
            validity: Validity::Ultimate,
            user: ground.user.clone(),
            paths: Vec::new(),
            left_out: 0,
            grounds: vec![ground],
        }
    }

    pub(super) fn name(&self, i: usize, user: usize) -> Vec<u8> {
        let certificate = &self.ring.certificates()[i];
        certificate.part(certificate.users[user].body).to_vec()
    }

    fn refused(&self, i: usize) -> Option<Refused> {
        let own = self.own(i);
        if own.flooded {
            return Some(Refused::Flooded);
        }
        if let Some(revocation) = own.revoked {
            return Some(Refused::Revoked(revocation));
        }
        if own.expired {
            return Some(Refused::Expired(Time(own.expires.into())));
        }
        if !own.valid {
            let certificate = &self.ring.certificates()[i];
            return Some(match certificate.is_supported() {
                true => Refused::Unbound,
                false => Refused::Unsupported,
            });
        }
        None
    }

    /// What comes nearest to trusting a user id.
    fn nearest(&self, i: usize, user: usize) -> (Option<Path>, Lack) {
        let counts = |k: usize| {
            let by = self.introducer(k);
            by.is_some_and(|by| by.level >= Level::Marginal && self.acts(by.round))
        };
        if let Some((signer, sig)) = self.certifications(i, user, counts).first() {
            let path = self.extended(*signer, i, user, sig);
            let (full, marginal) = self.counts(i, user);
            let lacks = Lack::MoreCertifications {
                full,
                marginal,
                completes: self.settings.completes_needed,
                marginals: self.settings.marginals_needed,
            };
            return (Some(path), lacks);
        }
        let introduced = |k: usize| self.introducer(k).is_some();
        let by_valid = self.certifications(i, user, introduced);
        if let Some((signer, sig)) = by_valid.first() {
            let path = self.extended(*signer, i, user, sig);
            let print = self.ring.certificates()[*signer].fingerprint();
            let round = self.introducer(*signer).map_or(0, |by| by.round);
            let lacks = if self.acts(round) && self.level(&print) < Level::Marginal {
                Lack::Ownertrust(print)
            } else {
                Lack::Depth(print)
            };
            return (Some(path), lacks);
        }
        match self.backward(i) {
            Some(hops) => {
                let valid = |key: &Fingerprint| self.ring.place(key).is_some_and(introduced);
                let first = hops.iter().map(|hop| hop.of).find(|key| !valid(key));
                let lacks = first.map_or(Lack::Nobody, Lack::NotValid);
                (Some(Path { hops }), lacks)
            }
            None => (None, Lack::Nobody),
        }
    }

    /// Looks backward, from who certifies the key to who certifies those, for
    /// the nearest key that is valid. What it finds lacks everything between.
    fn backward(&self, target: usize) -> Option<Vec<Hop>> {
        let mut came_from: BTreeMap<usize, (usize, Hop)> = BTreeMap::new();
        let mut queue = VecDeque::from([(target, 0)]);
        let mut looked = 0;
        while let Some((key, depth)) = queue.pop_front() {
            looked += 1;
            if depth >= self.settings.max_cert_depth || looked > LOOKED_AT {
                continue;
            }
            let own = self.own(key);
            for user in (0..own.users.len()).filter(|u| own.users[*u].is_usable()) {
                for (signer, sig) in self.certifications(key, user, |_| true) {
                    if signer == target || came_from.contains_key(&signer) {
                        continue;
                    }
                    let path = self.extended(signer, key, user, sig);
                    let is_valid = self.introducer(signer).is_some();
                    if is_valid {
                        let mut hops = path.hops;
                        let mut at = key;
                        while let Some((next, hop)) = came_from.get(&at) {
                            hops.push(hop.clone());
                            at = *next;
                        }
                        return Some(hops);
                    }
                    let last = path.hops.into_iter().next_back()?;
                    came_from.insert(signer, (key, last));
                    queue.push_back((signer, depth + 1));
                }
            }
        }
        None
    }

    /// Returns the standing of the key that has this short name, where exactly
    /// one certificate has it as its primary key.
    pub fn standing_of_id(&self, id: KeyId) -> Option<Standing> {
        let mut found = self.ring.holding(id).filter(|c| c.key_id() == id);
        let one = found.next()?;
        found
            .next()
            .is_none()
            .then(|| self.standing(&one.fingerprint()))
    }
}

/// How many keys are looked at for a path that is wanting: some seconds at
/// worst, for a hint.
const LOOKED_AT: usize = 64;
