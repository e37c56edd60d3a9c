//! Counting seals: how many different delegates stand behind a statement?

use super::SealFault;
use crate::belief::{Belief, Believes};
use crate::charter::{Charter, Delegate};
use crate::key::{Checks, Keyring};
use crate::limits;
use crate::number::Time;
use crate::seal::{Seal, SealedBy, Subject};
use crate::signature::Fault;
use crate::statement::Statement;

/// What came of the seals.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// One entry for each delegate.
    pub(super) sealed_by: Vec<SealedBy>,
    /// The seals that count, in the same order.
    pub(super) seals: Vec<Vec<u8>>,
    /// What was wrong with the others.
    pub(super) faults: Vec<SealFault>,
}

/// All that is known of keys when seals are verified.
pub(super) struct Court<'a> {
    /// Every certificate, those of the offer among them.
    pub(super) keyring: &'a Keyring,
    /// Those that were held before; `None` for a newcomer, who cannot tell
    /// when a revocation was published.
    pub(super) held: Option<&'a Keyring>,
    pub(super) believes: Option<&'a dyn Believes>,
    pub(super) now: Time,
    /// How many signatures may still be computed.
    pub(super) checks: std::cell::RefCell<Checks>,
}

/// Who among the delegates of a charter counts for one statement.
pub(super) struct Jury<'a> {
    pub(super) charter: &'a Charter,
    /// Those that have sealed the charter.
    pub(super) confirmed: &'a [Delegate],
    /// Those that have equivocated before.
    pub(super) void: &'a [Delegate],
}

impl Court<'_> {
    /// Says who made a seal.
    ///
    /// A key that its holder has retired counts until the statement that said
    /// so, that one included: where it was known before, it counts no more.
    pub(super) fn sealed_by(&self, seal: &Seal) -> Result<SealedBy, Fault> {
        let checks = &mut self.checks.borrow_mut();
        match seal.verify_within(self.keyring, self.now, false, checks) {
            Err(Fault::KeyRetired) => {
                let held = self.held.ok_or(Fault::KeyRetired)?;
                match seal.verify_within(held, self.now, false, checks) {
                    Err(Fault::KeyRetired | Fault::KeyRevoked) => Err(Fault::KeyRetired),
                    _ => seal.verify_within(self.keyring, self.now, true, checks),
                }
            }
            other => other,
        }
    }

    /// Says which delegate made a seal, if it counts.
    pub(super) fn verify(&self, jury: &Jury<'_>, seal: &Seal) -> Result<SealedBy, Fault> {
        let sealer = self.sealed_by(seal)?;
        let who = &sealer.delegate;
        if !jury.charter.delegates.contains(who) {
            return Err(Fault::NotADelegate(who.clone()));
        }
        if !jury.confirmed.contains(who) {
            return Err(Fault::NotConfirmed(who.clone()));
        }
        if jury.void.contains(who) {
            return Err(Fault::Equivocated(who.clone()));
        }
        let belief = match (self.believes, who) {
            (None, _) => Belief::Trusted,
            (Some(believes), Delegate::OpenPgp(primary)) => believes.belief(primary, self.now),
            (Some(believes), Delegate::Ssh(key)) => believes.ssh_belief(key, self.now),
        };
        match belief {
            Belief::Trusted => Ok(sealer),
            Belief::Unknown(why) | Belief::Refused(why) => {
                Err(Fault::NotBelieved(who.clone(), why))
            }
        }
    }

    /// Counts the delegates that sealed this very statement. A delegate is a
    /// primary key: however many subkeys signed, it counts once.
    pub(super) fn count(&self, jury: &Jury<'_>, statement: &Statement, seals: &[Vec<u8>]) -> Count {
        let subject = Subject::of_statement(statement);
        let mut count = Count::default();
        let mut in_vain = 0;
        for bytes in seals {
            let seal = match Seal::parse(bytes) {
                Ok(seal) => seal,
                Err(error) => {
                    count.faults.push(error.into());
                    continue;
                }
            };
            // A charter's seal travels with it and counts for the charter only.
            if matches!(seal.subject(), Subject::Charter { .. }) {
                continue;
            }
            if *seal.subject() != subject {
                count.faults.push(SealFault::OtherSubject);
                continue;
            }
            if in_vain == limits::SEAL_CHECKS {
                count.faults.push(SealFault::TooMany);
                break;
            }
            match self.verify(jury, &seal) {
                Ok(sealer) if count.has(&sealer.delegate) => {
                    in_vain += 1;
                    count.faults.push(SealFault::Again(sealer.delegate));
                }
                Ok(sealer) => {
                    count.sealed_by.push(sealer);
                    count.seals.push(bytes.clone());
                }
                Err(fault) => {
                    in_vain += 1;
                    count.faults.push(fault.into());
                }
            }
        }
        count
    }
}

impl Count {
    fn has(&self, delegate: &Delegate) -> bool {
        self.sealed_by.iter().any(|s| s.delegate == *delegate)
    }
}
