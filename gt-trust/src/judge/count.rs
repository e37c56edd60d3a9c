//! Counting seals: how many different delegates stand behind a statement?

use super::SealFault;
use crate::charter::{Charter, Delegate};
use crate::key::{Checks, Keyring, Signer};
use crate::limits;
use crate::number::Time;
use crate::seal::{Seal, Subject};
use crate::signature::Fault;
use crate::statement::Statement;

/// What came of the seals.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// One entry for each delegate.
    pub(super) sealed_by: Vec<Signer>,
    /// The seals that count, in the same order.
    pub(super) seals: Vec<Vec<u8>>,
    /// What was wrong with the others.
    pub(super) faults: Vec<SealFault>,
}

/// Counts the delegates that sealed this very statement. A delegate is a
/// primary key: however many subkeys signed, it counts once.
pub(super) fn count(
    charter: &Charter,
    statement: &Statement,
    seals: &[Vec<u8>],
    keyring: &Keyring,
    now: Time,
) -> Count {
    let subject = Subject::of_statement(statement);
    let mut count = Count::default();
    let mut checks = Checks::new();
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
        match verify(charter, &seal, keyring, now, &mut checks) {
            Ok(signer) if count.has(&signer) => {
                in_vain += 1;
                count.faults.push(SealFault::Again(signer.primary));
            }
            Ok(signer) => {
                count.sealed_by.push(signer);
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

impl Count {
    fn has(&self, signer: &Signer) -> bool {
        self.sealed_by.iter().any(|s| s.primary == signer.primary)
    }
}

/// Says which delegate made a seal.
pub(super) fn verify(
    charter: &Charter,
    seal: &Seal,
    keyring: &Keyring,
    now: Time,
    checks: &mut Checks,
) -> Result<Signer, Fault> {
    let signer = seal.verify_within(keyring, now, checks)?;
    let delegate = Delegate::OpenPgp(signer.primary);
    if !charter.delegates.contains(&delegate) {
        return Err(Fault::NotADelegate(signer.primary));
    }
    Ok(signer)
}
