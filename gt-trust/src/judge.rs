//! The receiver's decision: may these refs move?
//!
//! Pure: what is held, what was offered and the time go in, a judgement comes
//! out. Nothing is remembered here. Before any ref moves the caller writes the
//! [`Watermark`] of an accepted statement durably, so that a
//! kill between the two leaves a mark that is too high for replays, never one
//! that is too low.
//!
//! ```text
//!   grammar ─▶ this repository? ─▶ higher than the mark? ─▶ certificates
//!      ─▶ line of charters ─▶ this charter? ─▶ seals ≥ threshold?
//!      ─▶ rules for refs ─▶ order ─▶ freshness ─▶ Accept
//! ```
//!
//! What costs little comes first; no signature is computed for a statement
//! that could not win anyway, unless it claims the very place of the accepted
//! one, which is evidence if one delegate sealed both.

mod count;
mod evidence;
mod line;
mod receiver;
mod refusal;
mod rules;

use crate::charter::{Charter, Delegate};
use crate::key::{Checks, Keyring};
use crate::limits;
use crate::mark::{Mark, Watermark};
use crate::number::{Seconds, Time};
use crate::offer::Offer;
use crate::rid::Identity;
use crate::seal::{Seal, SealedBy};
use crate::statement::Statement;

use count::{Count, Court, Jury};
use line::Known;

pub use evidence::{Evidence, EvidenceError};
pub use line::{Line, LineFault, Link};
pub use receiver::{Receiver, ReceiverError};
pub use refusal::{Refusal, SealFault};
pub use rules::{RuleFault, Short, check_history, check_history_narrowed};

/// What becomes of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Judgement {
    /// It wins: write its watermark, then fetch, then move the refs.
    Accept(Box<Accepted>),
    /// Some delegates have sealed it, but too few: it may be relayed, and no
    /// ref moves.
    Proposal(Box<Proposal>),
    /// It is not followed.
    Refused(Box<Refusal>),
}

/// A statement that wins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// What it says.
    pub statement: Statement,
    /// What to write durably before any ref moves.
    pub watermark: Watermark,
    /// Who sealed it: one entry for each delegate.
    pub sealed_by: Vec<SealedBy>,
    /// The seals that count, to keep and to pass on.
    pub seals: Vec<Vec<u8>>,
    /// What was wrong with the others.
    pub faults: Vec<SealFault>,
    /// How long ago it went stale, if it did. Order comes before freshness: it
    /// is followed all the same, and the person is told.
    pub stale: Option<Seconds>,
    /// Delegates that sealed two statements of this place, to keep, show and
    /// pass on.
    pub evidence: Vec<Evidence>,
    /// The charters by which it was judged, from the first to its own, to keep
    /// with their seals.
    pub charters: Vec<Link>,
    /// Whether it is the first of its epoch and stands on less than what was
    /// held: people recover so from a stolen key, and it should be told.
    pub shortened: bool,
}

/// A statement that waits for more seals.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// What it says.
    pub statement: Statement,
    /// Who has sealed it.
    pub sealed_by: Vec<SealedBy>,
    /// How many must.
    pub needed: u64,
    /// Refs for which the charter's rules want more.
    pub short: Vec<Short>,
    /// The seals that count.
    pub seals: Vec<Vec<u8>>,
    /// What was wrong with the others.
    pub faults: Vec<SealFault>,
}

/// Judges an offer.
///
/// `now` is the clock's word; what counts is that or the latest `Created`
/// accepted, whichever is later.
pub fn judge(receiver: &Receiver<'_>, offer: &Offer, now: Time) -> Judgement {
    match decide(receiver, offer, now) {
        Ok(judgement) => judgement,
        Err(refusal) => Judgement::Refused(Box::new(refusal)),
    }
}

fn decide(receiver: &Receiver<'_>, offer: &Offer, now: Time) -> Result<Judgement, Refusal> {
    let now = receiver.clock(now);
    let statement = Statement::parse(&offer.statement)?;
    check_place(receiver, &statement, now)?;
    let mark = statement.mark();
    let rival = match receiver.watermark {
        Some(held) if held.mark == mark => return Err(Refusal::Same),
        Some(held) if held.mark.rivals(&mark) => Some(held.mark),
        Some(held) if mark < held.mark => {
            return Err(Refusal::Rollback {
                held: held.mark,
                got: mark,
            });
        }
        _ => None,
    };

    let others = charters(receiver, offer)?;
    let (held_keys, keyring) = certificates(receiver, &others, &statement, offer)?;
    let court = Court {
        keyring: &keyring,
        held: receiver.watermark.map(|_| &held_keys),
        believes: receiver.believes,
        now,
        checks: Checks::new().into(),
    };
    let line = draw(receiver, &others, offer, &court)?;
    let link = own_charter(&line, &statement)?;
    let charter = &link.charter;
    let void = equivocators(receiver, charter, &keyring, mark, now);
    let jury = Jury {
        charter,
        confirmed: &link.confirmed,
        void: &void,
    };
    let count = court.count(&jury, &statement, &offer.seals);
    if count.sealed_by.is_empty() {
        return Err(Refusal::NoSeal {
            faults: count.faults,
        });
    }
    let evidence = rival.map_or_else(Vec::new, |held| {
        evidence::find(receiver, held, &count, &jury, &court)
    });
    if let Some(held) = rival.filter(|held| mark < *held) {
        return Err(Refusal::LostRace {
            winner: held,
            evidence,
        });
    }

    let shortened = receiver.watermark.is_some_and(|held| {
        statement.epoch > held.mark.epoch && statement.previous.is_none_or(|p| p < held.mark)
    });
    // The winner of a race never stood on the loser; and a new epoch may go
    // back to before a stolen key, rules or not.
    let against = match rival {
        Some(_) => receiver.before,
        None => receiver.held.filter(|_| !shortened),
    };
    if let Some(held) = against {
        rules::check_moves(charter, held, &statement)?;
    }
    let short = rules::check_seals(charter, against, &statement, &count.sealed_by);
    if (count.sealed_by.len() as u64) < charter.threshold || !short.is_empty() {
        return Ok(proposal(charter, statement, count, short));
    }
    let stale = statement.stale_at(now);
    if let (Some(age), None, false) = (stale, receiver.watermark, receiver.allow_stale) {
        return Err(Refusal::Stale { age });
    }
    let clock = receiver.watermark.map_or(Time(0), |held| held.clock);
    Ok(Judgement::Accept(Box::new(Accepted {
        watermark: Watermark::new(mark, clock.max(statement.created)),
        statement,
        sealed_by: count.sealed_by,
        seals: count.seals,
        faults: count.faults,
        stale,
        evidence,
        charters: line.links,
        shortened,
    })))
}

fn proposal(charter: &Charter, statement: Statement, count: Count, short: Vec<Short>) -> Judgement {
    Judgement::Proposal(Box::new(Proposal {
        statement,
        sealed_by: count.sealed_by,
        needed: charter.threshold,
        short,
        seals: count.seals,
        faults: count.faults,
    }))
}

impl Receiver<'_> {
    /// Returns the evidence that travels with an offer: pairs of seals on two
    /// statements of one place, both by one delegate of the charter of that
    /// epoch. What is held already is left out. They are to be kept and passed
    /// on, so that both seals reach everybody.
    pub fn evidence_in(&self, offer: &Offer, now: Time) -> Vec<Evidence> {
        let Ok((_, keyring)) = keyrings(self, &[], offer) else {
            return Vec::new();
        };
        let mut news = Vec::new();
        for evidence in Evidence::among(&offer.seals) {
            let epoch = evidence.marks()[0].epoch;
            let charter = self.trunk.iter().find(|charter| charter.epoch == epoch);
            if evidence.repository() == self.rid
                && !self.evidence.contains(&evidence)
                && let Some(by) = charter.and_then(|c| evidence.verify(c, &keyring, now).ok())
            {
                news.push(evidence.found_to_be_by(by));
            }
        }
        news
    }

    /// Returns the seals of an offer on the very statement that is held, by
    /// delegates who have not sealed it yet: to be kept beside those that it
    /// was accepted with, and passed on.
    ///
    /// A newcomer may want more seals than followers did, where rules for refs
    /// ask for them.
    pub fn late_seals(&self, offer: &Offer, now: Time) -> Vec<Vec<u8>> {
        self.late(offer, now).unwrap_or_default()
    }

    fn late(&self, offer: &Offer, now: Time) -> Result<Vec<Vec<u8>>, Refusal> {
        let Some(statement) = self.held else {
            return Ok(Vec::new());
        };
        let now = self.clock(now);
        let (held_keys, keyring) = keyrings(self, &[], offer)?;
        let court = Court {
            keyring: &keyring,
            held: Some(&held_keys),
            believes: self.believes,
            now,
            checks: Checks::new().into(),
        };
        let line = draw(self, &[], offer, &court)?;
        let link = own_charter(&line, statement)?;
        let void = equivocators(self, &link.charter, &keyring, statement.mark(), now);
        let jury = Jury {
            charter: &link.charter,
            confirmed: &link.confirmed,
            void: &void,
        };
        // Who has sealed it already counts first.
        let all: Vec<Vec<u8>> = self.seals.iter().chain(&offer.seals).cloned().collect();
        let mut late = court.count(&jury, statement, &all).seals;
        late.retain(|seal| !self.seals.contains(seal));
        Ok(late)
    }

    /// Draws the line of charters with some that were offered, without a
    /// statement: which one is the newest, and what the next one lacks.
    ///
    /// # Errors
    /// [`Refusal`] where one of them is of another repository, or two of one
    /// epoch are valid.
    pub fn succession(
        &self,
        offered: &[Vec<u8>],
        seals: &[Vec<u8>],
        certificates: &[u8],
        now: Time,
    ) -> Result<Line, Refusal> {
        let now = self.clock(now);
        let offer = Offer::new(
            offered.to_vec(),
            Vec::new(),
            seals.to_vec(),
            certificates.to_vec(),
        );
        let others = charters(self, &offer)?;
        let (held, keyring) = keyrings(self, &others, &offer)?;
        let court = Court {
            keyring: &keyring,
            held: Some(&held),
            believes: self.believes,
            now,
            checks: Checks::new().into(),
        };
        draw(self, &others, &offer, &court)
    }
}

/// Checks that the statement is one of this repository, and not from time to
/// come.
fn check_place(receiver: &Receiver<'_>, statement: &Statement, now: Time) -> Result<(), Refusal> {
    if statement.repository != receiver.rid {
        return Err(Refusal::Graft {
            expected: receiver.rid,
            got: statement.repository,
        });
    }
    let founder = &receiver.trunk[0];
    if statement.object_format != founder.object_format {
        return Err(Refusal::ObjectFormat {
            expected: founder.object_format,
            got: statement.object_format,
        });
    }
    // It would set the receiver's clock, and make all that follows look old.
    if statement.created > now + limits::FUTURE {
        return Err(Refusal::Future {
            ahead: statement.created - now,
        });
    }
    Ok(())
}

/// Returns the charters that are not believed yet: those that were given and
/// those that came with the offer.
fn charters(receiver: &Receiver<'_>, offer: &Offer) -> Result<Vec<Charter>, Refusal> {
    let mut others = receiver.others.clone();
    for bytes in &offer.charters {
        if receiver.trunk.iter().any(|c| c.as_bytes() == bytes)
            || others.iter().any(|c| c.as_bytes() == bytes)
        {
            continue;
        }
        let charter = Charter::parse(bytes)?;
        if charter.epoch == receiver.trunk[0].epoch {
            let got = crate::rid::Rid::of_charter(bytes);
            return Err(Refusal::Graft {
                expected: receiver.rid,
                got,
            });
        }
        others.push(charter);
    }
    Ok(others)
}

fn draw(
    receiver: &Receiver<'_>,
    others: &[Charter],
    offer: &Offer,
    court: &Court<'_>,
) -> Result<Line, Refusal> {
    let seals: Vec<Vec<u8>> = receiver
        .charter_seals
        .iter()
        .chain(&offer.seals)
        .cloned()
        .collect();
    let known = Known {
        rid: receiver.rid,
        trunk: &receiver.trunk,
        pinned: receiver.pinned,
        others,
        seals: &seals,
    };
    Ok(line::draw(&known, court)?)
}

/// Returns the charter that the statement names, which must be the newest.
fn own_charter<'a>(line: &'a Line, statement: &Statement) -> Result<&'a Link, Refusal> {
    // There is always the first one.
    let newest = &line.links[line.links.len() - 1];
    let charter = &newest.charter;
    if statement.epoch > charter.epoch {
        return Err(match &line.stopped {
            Some(fault) => fault.clone().into(),
            None => Refusal::NoCharter(statement.epoch),
        });
    }
    if statement.charter != charter.identity() || statement.epoch != charter.epoch {
        return Err(Refusal::OtherCharter {
            expected: charter.identity(),
            got: statement.charter,
        });
    }
    Ok(newest)
}

/// Returns the delegates whose seals stopped counting: with a threshold above
/// one, those that sealed two statements of one earlier place of this epoch.
///
/// Not those of this very place: everybody must move to the same winner
/// whichever of the two came first.
fn equivocators(
    receiver: &Receiver<'_>,
    charter: &Charter,
    keyring: &Keyring,
    mark: Mark,
    now: Time,
) -> Vec<Delegate> {
    if charter.threshold < 2 {
        return Vec::new();
    }
    receiver
        .evidence
        .iter()
        .filter(|evidence| {
            let place = &evidence.marks()[0];
            place.epoch == charter.epoch && place.sequence < mark.sequence
        })
        .filter(|evidence| evidence.repository() == receiver.rid)
        // After what speaks of other epochs was left out, so that none of it
        // hides what speaks of this one.
        .take(limits::EVIDENCE)
        .filter_map(|evidence| evidence.verify(charter, keyring, now).ok())
        .collect()
}

/// Returns the certificates of listed delegates; those that came must be the
/// ones that the statement names.
fn certificates(
    receiver: &Receiver<'_>,
    others: &[Charter],
    statement: &Statement,
    offer: &Offer,
) -> Result<(Keyring, Keyring), Refusal> {
    let got = Identity::of(&offer.keyring);
    // It may name what is held already; if not, the seals will tell.
    if !offer.keyring.is_empty() && statement.keyring != Some(got) {
        return Err(Refusal::OtherKeyring {
            expected: statement.keyring,
            got,
        });
    }
    keyrings(receiver, others, offer)
}

/// Returns the certificates of listed delegates: those that were held before,
/// and all of them with those that came, so that what was revoked once stays
/// revoked when a later keyring leaves it out.
fn keyrings(
    receiver: &Receiver<'_>,
    others: &[Charter],
    offer: &Offer,
) -> Result<(Keyring, Keyring), Refusal> {
    let mut delegates: Vec<_> = receiver
        .trunk
        .iter()
        .chain(others)
        .flat_map(|charter| &charter.delegates)
        .filter_map(Delegate::openpgp)
        .collect();
    delegates.sort();
    delegates.dedup();
    let mut held = Keyring::parse(receiver.keyring, Some(&delegates))?;
    for keyring in receiver.remembered {
        held = held.with(Keyring::parse(keyring, Some(&delegates))?);
    }
    let offered = Keyring::parse(&offer.keyring, Some(&delegates))?;
    Ok((held.clone(), held.with(offered)))
}

/// Finds the seals, among some, that name this very statement.
pub(crate) fn seals_of<'a>(seals: &'a [Vec<u8>], mark: Mark) -> impl Iterator<Item = Seal> + 'a {
    seals
        .iter()
        .filter_map(|bytes| Seal::parse(bytes).ok())
        .filter(move |seal| seal.subject().mark() == Some(mark))
}
