//! Computing the web: outward from the roots, one certification further in
//! each round.
//!
//! In each round the introducers are the keys that became fully valid in the
//! round before. Every key that one of them has certified is looked at, and
//! only signatures that could change something are computed: none on a user id
//! that is fully valid already, none by somebody whose word adds nothing.

use std::collections::HashMap;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::pattern;
use super::{Cache, Keyring, Level, Model, Ownertrust, Settings, Validity};
use crate::certificate::{Certificate, Checked, Checker, Forged, KeyId, On, Own, Sig, User, class};
use crate::fingerprint::Fingerprint;

/// The web of trust of one person at one moment.
#[derive(Debug)]
pub struct Web<'a> {
    pub(super) ring: &'a Keyring,
    pub(super) settings: Settings,
    pub(super) owners: &'a Ownertrust,
    checker: Checker<'a>,
    own: Vec<OnceLock<Own>>,
    keys: Vec<State>,
    roots: Vec<usize>,
}

/// What was found about one key so far.
#[derive(Debug, Default)]
struct State {
    users: Vec<Count>,
    introducer: Option<Introducer>,
    forged: usize,
    done: bool,
}

/// What was found about one user id; counts last over all rounds.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    full: u32,
    marginal: u32,
    validity: Validity,
    /// In which round it became fully valid.
    round: u32,
}

/// A key whose certifications count, in one round.
#[derive(Clone, Debug)]
pub(super) struct Introducer {
    /// In which round: how many certifications it is away from a root.
    pub(super) round: u32,
    /// How far its owner is trusted, by the person or by trust signatures.
    pub(super) level: Level,
    /// Who raised that by a trust signature, and where in the certificate this
    /// begins.
    granted: Option<(usize, u32)>,
    /// How many more introducers a trust signature lets it name.
    depth: u8,
    /// What the names that it certifies must match.
    pattern: Option<Vec<u8>>,
}

/// What one round finds about one key.
struct Found {
    users: Vec<Count>,
    introducer: Option<Introducer>,
    forged: usize,
    done: bool,
}

impl<'a> Web<'a> {
    /// Computes the web. With a cache, signatures that were computed before
    /// are not computed again; it never changes what is found.
    pub fn compute(
        ring: &'a Keyring,
        owners: &'a Ownertrust,
        settings: Settings,
        cache: Option<&'a Cache>,
    ) -> Self {
        let count = ring.certificates().len();
        let mut web = Self {
            ring,
            settings,
            owners,
            checker: Checker {
                at: settings.moment(),
                strict: settings.model == Model::Strict,
                cache,
            },
            own: (0..count).map(|_| OnceLock::new()).collect(),
            keys: Vec::new(),
            roots: Vec::new(),
        };
        web.keys = ring
            .certificates()
            .iter()
            .map(|c| State {
                users: vec![Count::default(); c.users.len()],
                ..State::default()
            })
            .collect();
        web.plant_roots();
        for round in 0..settings.max_cert_depth {
            if !web.go_on(round) {
                break;
            }
        }
        web
    }

    fn plant_roots(&mut self) {
        let ultimate = self.owners.iter().filter(|(_, l)| *l == Level::Ultimate);
        self.roots = ultimate
            .filter_map(|(key, _)| self.ring.place(key))
            .collect();
        if self.settings.model == Model::Strict {
            let roots = std::mem::take(&mut self.roots);
            self.roots = roots
                .into_iter()
                .filter(|i| self.own(*i).may_certify())
                .collect();
        }
        for i in &self.roots {
            let state = &mut self.keys[*i];
            state.done = true;
            state.introducer = Some(Introducer {
                round: 0,
                level: Level::Ultimate,
                granted: None,
                depth: 0,
                pattern: None,
            });
            for user in &mut state.users {
                user.validity = Validity::Ultimate;
            }
        }
    }

    /// Goes one round; tells whether it found further introducers.
    fn go_on(&mut self, round: u32) -> bool {
        let introducers = self.introducers(round);
        if introducers.is_empty() {
            return false;
        }
        let found: Vec<Option<Found>> = (0..self.keys.len())
            .into_par_iter()
            .map(|i| self.look(i, round, &introducers))
            .collect();
        let mut any = false;
        for (state, found) in self.keys.iter_mut().zip(found) {
            let Some(found) = found else { continue };
            any |= found.introducer.is_some();
            state.users = found.users;
            state.forged = found.forged;
            state.done = found.done;
            state.introducer = state.introducer.take().or(found.introducer);
        }
        any
    }

    /// The keys that introduce in this round and may certify, by short name.
    fn introducers(&self, round: u32) -> HashMap<KeyId, usize> {
        let mut introducers = HashMap::new();
        for (i, state) in self.keys.iter().enumerate() {
            if state.introducer.as_ref().is_some_and(|r| r.round == round) && self.may_certify(i) {
                let id = self.ring.certificates()[i].key_id();
                introducers.entry(id).or_insert(i);
            }
        }
        introducers
    }

    /// Looks at one key; `None` where nothing can have changed.
    fn look(&self, i: usize, round: u32, introducers: &HashMap<KeyId, usize>) -> Option<Found> {
        let state = &self.keys[i];
        let certificate = &self.ring.certificates()[i];
        let touched = || {
            let mut sigs = certificate.users.iter().flat_map(|u| &u.signatures);
            sigs.any(|sig| introducers.contains_key(&sig.issuer))
        };
        if state.done || !touched() {
            return None;
        }
        let own = self.own(i);
        let mut found = Found {
            users: state.users.clone(),
            introducer: None,
            forged: state.forged,
            done: own.revoked.is_some() || own.expired || own.flooded,
        };
        if found.done {
            return Some(found);
        }
        let is_new = state.introducer.is_none();
        let forged = Forged::after(state.forged);
        let mut trust = Vec::new();
        let mut reached = false;
        for (u, user) in certificate.users.iter().enumerate() {
            let count = &mut found.users[u];
            if !own.users[u].is_usable() || count.validity >= Validity::Full {
                continue;
            }
            let groups = self.groups(certificate, user, |id| introducers.get(&id).copied());
            let looked = Looked {
                web: self,
                certificate,
                user,
                forged: &forged,
            };
            looked.count(groups, is_new, count, &mut trust);
            if count.validity >= Validity::Full {
                count.round = round;
                reached = true;
            }
        }
        found.forged = forged.so_far();
        if reached && is_new {
            found.introducer = Some(self.introduce(certificate, round + 1, &trust));
        }
        found.done = own
            .users
            .iter()
            .zip(&found.users)
            .all(|(own, count)| !own.is_usable() || count.validity >= Validity::Full);
        Some(found)
    }

    /// Makes an introducer of a key that became fully valid, by the trust
    /// signatures on it in the order of its packets.
    fn introduce(
        &self,
        certificate: &Certificate,
        round: u32,
        trust: &[(usize, &Sig)],
    ) -> Introducer {
        let mut amount = 0;
        let mut depth = 0;
        let mut pattern = None;
        let mut by_whom = None;
        for (signer, sig) in trust {
            let Some(by) = &self.keys[*signer].introducer else {
                continue;
            };
            let granted = match by.level {
                Level::Ultimate => sig.depth,
                _ => sig.depth.min(by.depth),
            };
            if granted > 0 {
                amount = sig.amount;
                depth = granted - 1;
                by_whom = Some((*signer, sig.body.start()));
                if let Some(span) = sig.pattern {
                    pattern = Some(certificate.part_of(sig, span).to_vec());
                }
            }
        }
        // RFC 9580 section 5.2.3.21: 60 is partial trust, 120 complete.
        let granted = match amount {
            120.. => Level::Full,
            60.. => Level::Marginal,
            _ => Level::Unknown,
        };
        let said = self.owners.level(&certificate.fingerprint());
        Introducer {
            round,
            level: said.max(granted),
            granted: by_whom.filter(|_| granted > said),
            depth,
            pattern,
        }
    }

    /// Gathers the certifications of a user id by those whom `who` knows: for
    /// each its signatures, in the order of packets.
    fn groups<'c>(
        &self,
        certificate: &Certificate,
        user: &'c User,
        who: impl Fn(KeyId) -> Option<usize>,
    ) -> Vec<Group<'c>> {
        let me = certificate.key_id();
        let least = self.settings.min_cert_level;
        let mut groups: Vec<Group<'c>> = Vec::new();
        let mut places = HashMap::new();
        for sig in &user.signatures {
            let counts = match sig.class {
                class::GENERIC | class::USER_REVOCATION => true,
                class if sig.is_certification() => class - class::GENERIC >= least,
                _ => false,
            };
            if !counts || sig.issuer == me || !sig.names(sig.issuer) {
                continue;
            }
            let Some(signer) = who(sig.issuer) else {
                continue;
            };
            let place = *places.entry(signer).or_insert_with(|| {
                groups.push(Group {
                    signer,
                    sigs: Vec::new(),
                });
                groups.len() - 1
            });
            groups[place].sigs.push(sig);
        }
        groups
    }

    /// What a certificate says of itself.
    pub(super) fn own(&self, i: usize) -> &Own {
        self.own[i].get_or_init(|| {
            let certificate = &self.ring.certificates()[i];
            Own::of(certificate, &self.checker, &|print| self.ring.find(print))
        })
    }

    /// Tells whether a key may certify others: it is neither revoked nor
    /// expired, and confirmed by itself, or by a root.
    fn may_certify(&self, i: usize) -> bool {
        let own = self.own(i);
        if own.valid || own.flooded {
            return own.may_certify();
        }
        own.revoked.is_none() && !own.expired && self.is_vouched_for(i)
    }

    fn is_vouched_for(&self, i: usize) -> bool {
        let certificate = &self.ring.certificates()[i];
        let forged = Forged::default();
        certificate.users.iter().any(|user| {
            user.signatures.iter().any(|sig| {
                let mut roots = self.roots.iter().map(|r| &self.ring.certificates()[*r]);
                let root = roots.find(|r| sig.names(r.key_id()));
                root.filter(|root| root.key_id() != certificate.key_id())
                    .is_some_and(|root| {
                        let on = On::User(user);
                        let checker = &self.checker;
                        checker.check(certificate, on, sig, root, certificate, &forged)
                            == Checked::Good
                    })
            })
        })
    }

    /// Returns how far a user id of a certificate is believed.
    pub(super) fn validity(&self, i: usize, user: usize) -> Validity {
        self.keys[i].users[user].validity
    }

    /// Returns the round in which a user id became fully valid, if it did.
    pub(super) fn round_of(&self, i: usize, user: usize) -> u32 {
        self.keys[i].users[user].round
    }

    /// Returns the trust signature that raised the ownertrust of a key: who made
    /// it, on which user id.
    pub(super) fn granted(&self, i: usize) -> Option<(usize, usize, &'a Sig)> {
        let (signer, start) = self.introducer(i)?.granted?;
        let ring: &'a Keyring = self.ring;
        let users = ring.certificates()[i].users.iter().enumerate();
        let mut sigs = users.flat_map(|(u, user)| user.signatures.iter().map(move |sig| (u, sig)));
        let (user, sig) = sigs.find(|(_, sig)| sig.body.start() == start)?;
        Some((signer, user, sig))
    }

    /// Returns how many fully and marginally trusted owners certify it.
    pub(super) fn counts(&self, i: usize, user: usize) -> (u32, u32) {
        let count = &self.keys[i].users[user];
        (count.full, count.marginal)
    }

    /// Returns what makes a key an introducer, if it is one.
    pub(super) fn introducer(&self, i: usize) -> Option<&Introducer> {
        self.keys[i].introducer.as_ref()
    }

    /// Returns every certification of a user id that holds, by keys that `who`
    /// lets in: signer and signature.
    pub(super) fn certifications(
        &self,
        i: usize,
        user: usize,
        who: impl Fn(usize) -> bool,
    ) -> Vec<(usize, &'a Sig)> {
        let certificate = &self.ring.certificates()[i];
        let user = &certificate.users[user];
        let known = |id: KeyId| {
            let mut holders = self.ring.holding(id).filter(|c| c.key_id() == id);
            let place = self.ring.place(&holders.next()?.fingerprint())?;
            (who(place) && self.may_certify(place)).then_some(place)
        };
        let forged = Forged::default();
        let looked = Looked {
            web: self,
            certificate,
            user,
            forged: &forged,
        };
        let groups = self.groups(certificate, user, known);
        let mut found: Vec<(usize, &Sig)> = groups
            .iter()
            .filter_map(|group| Some((group.signer, looked.holding(group)?)))
            .collect();
        found.sort_by_key(|(signer, _)| {
            let role = self.introducer(*signer);
            (role.map_or(u32::MAX, |r| r.round), *signer)
        });
        found
    }

    /// Returns how far the owner of a key is trusted to certify others.
    pub fn level(&self, key: &Fingerprint) -> Level {
        let place = self.ring.place(key);
        let introducer = place.and_then(|i| self.introducer(i));
        introducer.map_or(self.owners.level(key), |r| r.level)
    }
}

/// The signatures of one signer on one user id.
struct Group<'c> {
    signer: usize,
    sigs: Vec<&'c Sig>,
}

/// One user id that is looked at.
struct Looked<'w, 'a, 'c> {
    web: &'w Web<'a>,
    certificate: &'c Certificate,
    user: &'c User,
    forged: &'w Forged,
}

impl<'c> Looked<'_, '_, 'c> {
    /// Counts the certifications by the introducers of this round, and notes
    /// trust signatures where the key may become an introducer.
    fn count(
        &self,
        mut groups: Vec<Group<'c>>,
        is_new: bool,
        count: &mut Count,
        trust: &mut Vec<(usize, &'c Sig)>,
    ) {
        let settings = &self.web.settings;
        let (completes, marginals) = (settings.completes_needed, settings.marginals_needed);
        let trust_counts = is_new && settings.model != Model::Classic;
        // Trust signatures first: none may be left out. Then those whose word
        // settles the matter with the least work.
        groups.sort_by_key(|group| {
            let level = self.introducer(group).map_or(Level::Unknown, |r| r.level);
            (
                !(trust_counts && self.grants(group)),
                std::cmp::Reverse(level),
            )
        });
        let mut signed = false;
        let mut granted = Vec::new();
        for group in &groups {
            let Some(by) = self.introducer(group) else {
                continue;
            };
            let grants = trust_counts && self.grants(group);
            let settled = count.full >= completes || count.marginal >= marginals;
            let adds = by.level >= Level::Marginal;
            let shows = !signed && (adds || count.validity == Validity::Unknown);
            if !grants && (settled && signed || !adds && !shows) {
                continue;
            }
            let Some(sig) = self.holding(group) else {
                continue;
            };
            signed = true;
            match by.level {
                Level::Ultimate => count.full = count.full.max(completes),
                Level::Full => count.full += 1,
                Level::Marginal => count.marginal += 1,
                _ => {}
            }
            if grants && sig.depth > 0 {
                granted.push((group.signer, sig));
            }
        }
        let place = |sig: &Sig| self.user.signatures.iter().position(|s| s.body == sig.body);
        granted.sort_by_cached_key(|(_, sig)| place(sig));
        trust.extend(granted);
        if signed {
            let validity = if count.full >= completes || count.marginal >= marginals {
                Validity::Full
            } else if count.full > 0 || count.marginal > 0 {
                Validity::Marginal
            } else {
                Validity::Undefined
            };
            count.validity = count.validity.max(validity);
        }
    }

    fn introducer(&self, group: &Group<'_>) -> Option<&Introducer> {
        self.web.introducer(group.signer)
    }

    /// Tells whether the group holds a trust signature that may hand on trust.
    fn grants(&self, group: &Group<'_>) -> bool {
        self.introducer(group)
            .is_some_and(|by| by.level == Level::Ultimate || by.depth > 0)
            && group.sigs.iter().any(|sig| sig.depth > 0)
    }

    /// Returns the certification of one signer that decides, if it holds.
    ///
    /// The newest decides, the later packet of two of one second; but one that
    /// says it cannot be revoked, and has not expired, before all others.
    /// There is no falling back from it to an older one. What does not verify
    /// is not there.
    fn holding(&self, group: &Group<'c>) -> Option<&'c Sig> {
        if !self.matches_pattern(group) {
            return None;
        }
        let at = self.web.checker.at;
        let lasting = |sig: &Sig| {
            sig.is_certification() && !sig.revocable && (sig.expires == 0 || sig.expires > at)
        };
        let mut sorted: Vec<(usize, &&Sig)> = group.sigs.iter().enumerate().collect();
        sorted.sort_by_key(|(place, sig)| std::cmp::Reverse((lasting(sig), sig.created, *place)));
        let signer = &self.web.ring.certificates()[group.signer];
        let (_, newest) = sorted.into_iter().find(|(_, sig)| {
            let on = On::User(self.user);
            let checker = &self.web.checker;
            checker.check(
                self.certificate,
                on,
                sig,
                signer,
                self.certificate,
                self.forged,
            ) == Checked::Good
        })?;
        let holds = newest.is_certification() && (newest.ends == 0 || newest.ends > at);
        holds.then_some(*newest)
    }

    fn matches_pattern(&self, group: &Group<'_>) -> bool {
        if self.web.settings.model == Model::Classic {
            return true;
        }
        let wanted = self.introducer(group).and_then(|by| by.pattern.as_ref());
        wanted.is_none_or(|wanted| {
            let name = self.certificate.part(self.user.body);
            pattern::matches(wanted, &pattern::name_of(self.user.kind, name))
        })
    }
}
