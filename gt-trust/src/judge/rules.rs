//! The rules that a charter has for some refs.
//!
//! Who has sealed, and which refs may not move at all, is told by the texts
//! ([`check_seals`], [`check_moves`]). How a branch moved and who signed its
//! commits, the objects tell when they are here ([`check_history`]).
//!
//! A statement must bear enough seals for every ref that stands elsewhere than
//! in the statement held before; for whoever holds none, that is every ref.

use crate::belief::{Belief, Believes};
use crate::charter::Signed as Asked;
use crate::charter::{Charter, Delegate, Rule, SshKey, Which};
use crate::fingerprint::Fingerprint;
use crate::number::Time;
use crate::object::{Checker, Grade, Object, Rings};
use crate::refs::RefName;
use crate::seal::SealedBy;
use crate::statement::{Change, History, Statement, changes};

/// A ref that needs more seals.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Short {
    /// Which ref.
    pub name: RefName,
    /// How many of those that the rule names have sealed.
    pub got: usize,
    /// How many must.
    pub needed: u64,
}

/// A ref that moved as its rule forbids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// It may never move again.
    #[error("{0} is immutable by the charter's rule, and has moved or is gone")]
    Immutable(RefName),
    /// It may only move forward.
    #[error("{0} may only fast-forward by the charter's rule, and did not")]
    FastForward(RefName),
    /// What it names is not signed as it must be.
    #[error("{name} needs a signature by one whom the charter's rule names: {why}")]
    Signature {
        /// Which ref.
        name: RefName,
        /// What was found.
        why: String,
    },
    /// The history cannot tell.
    #[error("expected to know how {name} moved: {why}")]
    History {
        /// Which ref.
        name: RefName,
        /// What was in the way.
        why: String,
    },
}

/// Goes through the refs that moved; every ref where nothing was held.
fn moved<'a>(held: Option<&'a Statement>, new: &'a Statement) -> impl Iterator<Item = Change<'a>> {
    let held = held.map_or_else(Default::default, |held| &held.refs[..]);
    changes(held, &new.refs)
}

fn rules_for<'a>(charter: &'a Charter, name: &'a RefName) -> impl Iterator<Item = &'a Rule> {
    charter
        .rules
        .iter()
        .filter(move |rule| rule.pattern.matches(name))
}

/// Returns the refs for which too few have sealed.
pub(super) fn check_seals(
    charter: &Charter,
    held: Option<&Statement>,
    new: &Statement,
    sealed_by: &[SealedBy],
) -> Vec<Short> {
    if charter.rules.is_empty() {
        return Vec::new();
    }
    let got: Vec<usize> = charter
        .rules
        .iter()
        .map(|rule| {
            sealed_by
                .iter()
                .filter(|s| rule.counts(&s.delegate))
                .count()
        })
        .collect();
    // Whether a rule has its seals does not hang on the ref.
    let wanting: Vec<(&Rule, usize)> = charter
        .rules
        .iter()
        .zip(got)
        .filter(|(rule, got)| (*got as u64) < rule.threshold)
        .collect();
    if wanting.is_empty() {
        return Vec::new();
    }
    let mut short = Vec::new();
    for moved in moved(held, new) {
        for (rule, got) in &wanting {
            if rule.pattern.matches(moved.name) {
                short.push(Short {
                    name: moved.name.clone(),
                    got: *got,
                    needed: rule.threshold,
                });
            }
        }
    }
    short
}

/// Checks what the texts alone show of forbidden moves.
pub(super) fn check_moves(
    charter: &Charter,
    held: &Statement,
    new: &Statement,
) -> Result<(), RuleFault> {
    if charter.rules.is_empty() {
        return Ok(());
    }
    for moved in changes(&held.refs, &new.refs) {
        if moved.old.is_none() {
            continue;
        }
        for rule in rules_for(charter, moved.name) {
            match rule.which {
                Which::Immutable => return Err(RuleFault::Immutable(moved.name.clone())),
                Which::FastForward if moved.new.is_none() || moved.is_marked() => {
                    return Err(RuleFault::FastForward(moved.name.clone()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Checks what the objects show: that branches moved forward where they must,
/// and that what must be signed is. `before` is the statement whose objects
/// were checked last; without it every ref is new, and of commits only the
/// tips are looked at, because nobody can tell which ones were new to whom.
///
/// `keyrings` hold the certificates of delegates.
///
/// # Errors
/// The first [`RuleFault`].
pub fn check_history(
    charter: &Charter,
    before: Option<&Statement>,
    new: &Statement,
    keyrings: &[Vec<u8>],
    history: &dyn History,
    now: Time,
) -> Result<(), RuleFault> {
    check_history_narrowed(charter, before, new, keyrings, history, None, now)
}

/// Does the same for a receiver who takes only those for signers whom it
/// believes: that narrows whom a rule names as it narrows whose seals count.
///
/// # Errors
/// The first [`RuleFault`].
pub fn check_history_narrowed(
    charter: &Charter,
    before: Option<&Statement>,
    new: &Statement,
    keyrings: &[Vec<u8>],
    history: &dyn History,
    believes: Option<&dyn Believes>,
    now: Time,
) -> Result<(), RuleFault> {
    if charter.rules.is_empty() {
        return Ok(());
    }
    let mut rings = Rings::default();
    for keyring in keyrings.iter().filter(|keyring| !keyring.is_empty()) {
        // One that cannot be read makes nobody a signer.
        let _ = rings.add(keyring);
    }
    let known: Vec<_> = before
        .map(|before| before.refs.iter().map(|line| line.oid).collect())
        .unwrap_or_default();
    for moved in moved(before, new) {
        let Some(to) = moved.new.map(|line| line.oid) else {
            continue;
        };
        let failed = |why: Box<dyn std::error::Error + Send + Sync>| RuleFault::History {
            name: moved.name.clone(),
            why: why.to_string(),
        };
        for rule in rules_for(charter, moved.name) {
            if let (Which::FastForward, Some(from)) = (rule.which, moved.old)
                && !history.is_ancestor(&from.oid, &to).map_err(failed)?
            {
                return Err(RuleFault::FastForward(moved.name.clone()));
            }
            let every = rule.signed == Asked::Every && before.is_some();
            let objects = match rule.signed {
                Asked::No => continue,
                Asked::Every if every => history.new_commits(&to, &known).map_err(failed)?,
                _ => vec![history.object(&to).map_err(failed)?],
            };
            let signers = Signers::of(charter, rule, believes, now);
            let checker = Checker::new(&rings, now)
                .believes(Some(&signers))
                .ssh_keys(&signers.ssh);
            for bytes in &objects {
                signed(&checker, bytes).map_err(|why| RuleFault::Signature {
                    name: moved.name.clone(),
                    why,
                })?;
            }
        }
    }
    Ok(())
}

fn signed(checker: &Checker<'_>, bytes: &[u8]) -> Result<(), String> {
    let object = Object::parse(bytes, None).map_err(|e| e.to_string())?;
    let own = checker.check(&object).into_iter().next();
    match own.map(|finding| finding.verdict) {
        Some(verdict) if verdict.grade() == Grade::Good => Ok(()),
        Some(verdict) => Err(verdict.to_string()),
        None => Err("no signature".to_owned()),
    }
}

/// Those whom a rule names, as far as the receiver believes them.
struct Signers<'a> {
    openpgp: Vec<Fingerprint>,
    ssh: Vec<SshKey>,
    believes: Option<&'a dyn Believes>,
}

impl<'a> Signers<'a> {
    fn of(charter: &Charter, rule: &Rule, believes: Option<&'a dyn Believes>, now: Time) -> Self {
        let named = charter.delegates.iter().filter(|d| rule.counts(d));
        let mut all = Self {
            openpgp: Vec::new(),
            ssh: Vec::new(),
            believes,
        };
        for delegate in named {
            match delegate {
                Delegate::OpenPgp(print) => all.openpgp.push(*print),
                Delegate::Ssh(key) => {
                    let belief = believes.map(|believes| believes.ssh_belief(key, now));
                    if matches!(belief, None | Some(Belief::Trusted)) {
                        all.ssh.push(*key);
                    }
                }
            }
        }
        all
    }
}

impl Believes for Signers<'_> {
    fn belief(&self, primary: &Fingerprint, now: Time) -> Belief {
        match (self.openpgp.contains(primary), self.believes) {
            (false, _) => Belief::Unknown("the rule does not name it".to_owned()),
            (true, None) => Belief::Trusted,
            (true, Some(believes)) => believes.belief(primary, now),
        }
    }
}
