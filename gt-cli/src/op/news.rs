//! What is kept of an offer whatever becomes of the rest, by whatever way it
//! came: revocations, proof that a delegate has sealed two texts of one place,
//! and charters as valid as the one that is held.

use gt_trust::seal::Subject;
use gt_trust::{Charter, Offer, Rid, Seal, Statement, Time};

use crate::held::Held;
use crate::state::{Error, State};

/// Keeps the certificates of an offer if they revoke what nothing held does,
/// and the seals by which a delegate has equivocated: two among those that came,
/// or one of them and one of `others` or of the statement that holds.
///
/// Nothing is kept before the first charter is held, by which delegates are
/// known.
///
/// # Errors
/// [`Error`] of the state.
pub fn keep(
    state: &State,
    rid: Rid,
    offer: &Offer,
    others: &[Vec<u8>],
    now: Time,
) -> Result<(), Error> {
    let held = Held::read(state)?;
    let Ok(receiver) = held.receiver(rid, &[], None, None) else {
        return Ok(());
    };
    if !offer.keyring.is_empty() {
        let news = receiver.revocations(&offer.keyring);
        if news.is_ok_and(|news| !news.is_empty()) {
            state.remember_keyring(&offer.keyring)?;
        }
    }
    let mut whole = offer.clone();
    whole.seals.extend(others.iter().cloned());
    let offered = Statement::parse(&offer.statement).ok();
    if let (Some(offered), Some(mark)) = (offered, held.mark())
        && mark.rivals(&offered.mark())
    {
        whole.seals.extend(held.seals());
    }
    // SSH keys have no certificates: seals are looked at without a keyring too.
    state.keep_evidence(&receiver.evidence_in(&whole, now))
}

/// Keeps charters that contradict those held, to be shown.
///
/// # Errors
/// [`Error`] of the state.
pub fn keep_rivals(state: &State, rid: Rid, offer: &Offer) -> Result<(), Error> {
    let line = state.charters()?;
    for bytes in &offer.charters {
        let Ok(charter) = Charter::parse(bytes) else {
            continue;
        };
        let of_epoch = usize::try_from(charter.epoch.0)
            .ok()
            .and_then(|epoch| line.get(epoch));
        if of_epoch.is_some_and(|held| held.text != charter) {
            let subject = Subject::of_charter(rid, &charter);
            let named =
                |bytes: &&Vec<u8>| Seal::parse(bytes).is_ok_and(|seal| *seal.subject() == subject);
            let seals: Vec<_> = offer.seals.iter().filter(named).cloned().collect();
            state.keep_rival(&charter, &seals)?;
        }
    }
    Ok(())
}
