//! How far a proposal has come, and what happens when it holds.

use gt_trust::charter::Delegate;
use gt_trust::judge::{Judgement, LineFault, Refusal};
use gt_trust::{Charter, Offer, Rid, Statement, Time, judge};

use super::{Error, Progress, Proposal, Text};
use crate::believed::Believed;
use crate::held::Held;
use crate::op::news;
use crate::state::State;

impl Proposal {
    /// Says how far it has come, and makes it hold where it has all its seals:
    /// a statement moves the mark, a charter becomes the newest. One that has
    /// not is kept.
    ///
    /// # Errors
    /// [`Error`] where it would be refused whatever seals came.
    pub fn settle(
        &self,
        state: &State,
        rid: Rid,
        believed: &Believed,
        now: Time,
    ) -> Result<Progress, Error> {
        let progress = match &self.text {
            Text::Statement(text) => self.settle_statement(state, rid, text, believed, now)?,
            Text::Charter(text) => self.settle_charter(state, rid, text, now)?,
        };
        match progress.complete {
            true => state.forget_proposal(&self.text.identity())?,
            false => state.keep_proposal(self)?,
        }
        Ok(progress)
    }

    fn settle_statement(
        &self,
        state: &State,
        rid: Rid,
        text: &Statement,
        believed: &Believed,
        now: Time,
    ) -> Result<Progress, Error> {
        let held = Held::read(state)?;
        let offer = Offer::new(
            self.charters.clone(),
            text.as_bytes().to_vec(),
            self.charter_seals
                .iter()
                .chain(&self.seals)
                .cloned()
                .collect(),
            self.keyring.clone(),
        );
        news::keep(state, rid, &offer, &self.rivals(state)?, now)?;
        let receiver = held
            .receiver(rid, &offer.charters, None, believed.narrows())?
            .allow_stale(true);
        if held.mark() == Some(text.mark()) {
            // It holds: what comes now is late, and kept beside the others.
            let late = receiver.late_seals(&offer, now);
            state.add_seals(&text.identity(), &late)?;
            let mut all = self.clone();
            all.seals.extend(held.seals());
            let sealers = all.sealers(state, rid, now)?;
            return Ok(Progress {
                sealed_by: sealers.into_iter().map(|(who, _)| who).collect(),
                lacks: Vec::new(),
                complete: true,
            });
        }
        match judge(&receiver, &offer, now) {
            Judgement::Accept(fine) => {
                state.keep_evidence(&fine.evidence)?;
                for link in &fine.charters {
                    let known = state.charters()?;
                    let epoch = usize::try_from(link.charter.epoch.0).unwrap_or(usize::MAX);
                    if known
                        .get(epoch)
                        .is_none_or(|held| held.text != link.charter)
                    {
                        state.keep_charter(&link.charter, &link.seals)?;
                    }
                }
                let moved = state.accept(
                    &offer.statement,
                    &fine.seals,
                    &offer.keyring,
                    &fine.watermark,
                )?;
                match moved {
                    true => Ok(Progress {
                        sealed_by: fine.sealed_by.into_iter().map(|s| s.delegate).collect(),
                        lacks: Vec::new(),
                        complete: true,
                    }),
                    false => Err(Error::Overtaken),
                }
            }
            Judgement::Proposal(proposal) => {
                let mut lacks = Vec::new();
                let got = proposal.sealed_by.len() as u64;
                if got < proposal.needed {
                    lacks.push(format!("{got} of {} seals", proposal.needed));
                }
                for short in &proposal.short {
                    lacks.push(format!(
                        "{}: {} of {} seals",
                        short.name, short.got, short.needed
                    ));
                }
                Ok(Progress {
                    sealed_by: proposal.sealed_by.into_iter().map(|s| s.delegate).collect(),
                    lacks,
                    complete: false,
                })
            }
            Judgement::Refused(refusal) => match *refusal {
                Refusal::NoSeal { ref faults } if self.seals.is_empty() && faults.is_empty() => {
                    Ok(Progress {
                        sealed_by: Vec::new(),
                        lacks: vec!["no seal yet".to_owned()],
                        complete: false,
                    })
                }
                other => {
                    if let Refusal::LostRace { evidence, .. } = &other {
                        state.keep_evidence(evidence)?;
                    }
                    Err(Error::Refused(Box::new(other)))
                }
            },
            _ => Err(Error::Overtaken),
        }
    }

    /// Returns the seals on other statements of the same place that wait here.
    fn rivals(&self, state: &State) -> Result<Vec<Vec<u8>>, Error> {
        let Text::Statement(text) = &self.text else {
            return Ok(Vec::new());
        };
        let mut waiting = state.proposals()?;
        waiting.retain(|other| match &other.text {
            Text::Statement(other) => other.mark().rivals(&text.mark()),
            Text::Charter(_) => false,
        });
        Ok(waiting.into_iter().flat_map(|other| other.seals).collect())
    }

    fn settle_charter(
        &self,
        state: &State,
        rid: Rid,
        text: &Charter,
        now: Time,
    ) -> Result<Progress, Error> {
        let held = Held::read(state)?;
        let offered: Vec<Vec<u8>> = self
            .charters
            .iter()
            .cloned()
            .chain(Some(text.as_bytes().to_vec()))
            .collect();
        let receiver = held.receiver(rid, &offered, None, None)?;
        let seals: Vec<Vec<u8>> = self
            .charter_seals
            .iter()
            .chain(&self.seals)
            .cloned()
            .collect();
        let offer = Offer::new(
            offered.clone(),
            Vec::new(),
            seals.clone(),
            self.keyring.clone(),
        );
        news::keep(state, rid, &offer, &[], now)?;
        let judged = match receiver.succession(&offered, &seals, &self.keyring, now) {
            Ok(judged) => judged,
            Err(why) => {
                if let Refusal::Line(LineFault::TwoCharters { .. }) = &why {
                    news::keep_rivals(state, rid, &offer)?;
                }
                return Err(Error::Refused(Box::new(why)));
            }
        };
        let newest = judged.links.last().map(|link| &link.charter);
        if newest.is_some_and(|newest| newest == text) {
            // The newest one too where it holds already: who seals it now
            // confirms that its seals count.
            for link in &judged.links {
                if link.charter.epoch >= receiver.charter().epoch && link.charter.epoch.0 > 0 {
                    state.keep_charter(&link.charter, &link.seals)?;
                }
            }
            // Not in place of those that the present statement names.
            if !self.keyring.is_empty() && text.epoch > receiver.charter().epoch {
                state.remember_keyring(&self.keyring)?;
            }
            return Ok(Progress {
                sealed_by: judged
                    .links
                    .last()
                    .map(|l| l.confirmed.clone())
                    .unwrap_or_default(),
                lacks: Vec::new(),
                complete: true,
            });
        }
        match judged.stopped {
            Some(LineFault::TooFewSeals {
                before,
                needed_before,
                own,
                needed,
                faults,
                ..
            }) => {
                let mut lacks = Vec::new();
                if (before as u64) < needed_before {
                    lacks.push(format!(
                        "{before} of {needed_before} seals by delegates of the charter before"
                    ));
                }
                if (own as u64) < needed {
                    lacks.push(format!("{own} of {needed} seals by its own delegates"));
                }
                lacks.extend(faults.iter().map(ToString::to_string));
                Ok(Progress {
                    sealed_by: Vec::new(),
                    lacks,
                    complete: false,
                })
            }
            Some(fault) => Err(Error::Refused(Box::new(fault.into()))),
            None => Err(Error::Overtaken),
        }
    }
}

/// Settles once more every statement that waits here, after a charter or a
/// delegate's confirmation of it came: seals that were here already may count
/// only now. Returns those that hold.
///
/// # Errors
/// [`Error`] of the state; a proposal that is refused stays where it is.
pub fn settle_waiting(
    state: &State,
    rid: Rid,
    believed: &Believed,
    now: Time,
) -> Result<Vec<Text>, Error> {
    let mut waiting = state.proposals()?;
    waiting.retain(|proposal| matches!(proposal.text, Text::Statement(_)));
    waiting.sort_by_key(|proposal| match &proposal.text {
        Text::Statement(text) => Some(text.mark()),
        Text::Charter(_) => None,
    });
    let mut holding = Vec::new();
    for proposal in waiting {
        match proposal.settle(state, rid, believed, now) {
            Ok(progress) if progress.complete => holding.push(proposal.text),
            Ok(_) | Err(Error::Refused(_) | Error::Overtaken | Error::Receiver(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(holding)
}

/// Returns whose seals count under the newest charter that is held: all of the
/// first one, and of a later one those who have sealed it.
///
/// # Errors
/// [`Error`] of the state, or where two charters of one epoch are valid.
pub fn confirmed(state: &State, rid: Rid, now: Time) -> Result<Vec<Delegate>, Error> {
    let held = Held::read(state)?;
    let receiver = held.receiver(rid, &[], None, None)?;
    let line = receiver.succession(&[], &[], &[], now);
    let mut line = line.map_err(|e| Error::Refused(Box::new(e)))?;
    Ok(line
        .links
        .pop()
        .map(|link| link.confirmed)
        .unwrap_or_default())
}
