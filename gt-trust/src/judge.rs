//! The receiver's decision: may these refs move?
//!
//! Pure: what is held, what was offered and the time go in, a judgement comes
//! out. Nothing is remembered here. Before any ref moves the caller writes the
//! [`Watermark`] of an accepted statement durably, so that a
//! kill between the two leaves a mark that is too high for replays, never one
//! that is too low.
//!
//! ```text
//!   grammar ─▶ this repository? ─▶ this charter? ─▶ higher than the mark?
//!      ─▶ certificates ─▶ seals ≥ threshold? ─▶ order ─▶ freshness ─▶ Accept
//! ```
//!
//! What costs little comes first; no signature is computed for a statement
//! that could not win anyway, unless it claims the very place of the accepted
//! one, which is evidence if one delegate sealed both.

mod count;
mod evidence;
mod receiver;
mod refusal;

use crate::charter::Charter;
use crate::key::{Keyring, Signer};
use crate::limits;
use crate::mark::{Mark, Watermark};
use crate::number::{Seconds, Time};
use crate::offer::Offer;
use crate::rid::Identity;
use crate::seal::Seal;
use crate::statement::Statement;

use count::Count;

pub use evidence::{Evidence, EvidenceError};
pub use receiver::{Receiver, ReceiverError};
pub use refusal::{Refusal, SealFault};

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
    pub sealed_by: Vec<Signer>,
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
}

/// A statement that waits for more seals.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// What it says.
    pub statement: Statement,
    /// Who has sealed it.
    pub sealed_by: Vec<Signer>,
    /// How many must.
    pub needed: u64,
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

    let keyring = certificates(receiver, &statement, offer)?;
    let count = count::count(&receiver.charter, &statement, &offer.seals, &keyring, now);
    if count.sealed_by.is_empty() {
        return Err(Refusal::NoSeal {
            faults: count.faults,
        });
    }
    let evidence = rival.map_or_else(Vec::new, |held| {
        evidence::find(receiver, held, &count, &keyring, now)
    });
    if let Some(held) = rival.filter(|held| mark < *held) {
        return Err(Refusal::LostRace {
            winner: held,
            evidence,
        });
    }

    if (count.sealed_by.len() as u64) < receiver.charter.threshold {
        return Ok(proposal(&receiver.charter, statement, count));
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
    })))
}

fn proposal(charter: &Charter, statement: Statement, count: Count) -> Judgement {
    Judgement::Proposal(Box::new(Proposal {
        statement,
        sealed_by: count.sealed_by,
        needed: charter.threshold,
        seals: count.seals,
        faults: count.faults,
    }))
}

/// Checks that the statement is one of this repository under the charter that
/// is held, and not from time to come.
fn check_place(receiver: &Receiver<'_>, statement: &Statement, now: Time) -> Result<(), Refusal> {
    let charter = &receiver.charter;
    if statement.repository != receiver.rid {
        return Err(Refusal::Graft {
            expected: receiver.rid,
            got: statement.repository,
        });
    }
    if statement.epoch > charter.epoch {
        return Err(Refusal::UnsupportedEpoch(statement.epoch));
    }
    if statement.charter != charter.identity() {
        return Err(Refusal::OtherCharter {
            expected: charter.identity(),
            got: statement.charter,
        });
    }
    if statement.object_format != charter.object_format {
        return Err(Refusal::ObjectFormat {
            expected: charter.object_format,
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

/// Returns the certificates of listed delegates: those that the statement
/// names, and those that were held before, so that what was revoked once
/// stays revoked when a later keyring leaves it out.
fn certificates(
    receiver: &Receiver<'_>,
    statement: &Statement,
    offer: &Offer,
) -> Result<Keyring, Refusal> {
    let delegates: Vec<_> = receiver
        .charter
        .delegates
        .iter()
        .filter_map(|delegate| delegate.openpgp())
        .collect();
    let mut held = Keyring::parse(receiver.keyring, Some(&delegates))?;
    for keyring in receiver.remembered {
        held = held.with(Keyring::parse(keyring, Some(&delegates))?);
    }
    let named = statement.keyring;
    if offer.keyring.is_empty() {
        // It may name what is held already; if not, the seals will tell.
        return Ok(held);
    }
    let got = Identity::of(&offer.keyring);
    if named != Some(got) {
        return Err(Refusal::OtherKeyring {
            expected: named,
            got,
        });
    }
    Ok(held.with(Keyring::parse(&offer.keyring, Some(&delegates))?))
}

/// Finds the seals, among some, that name this very statement.
pub(crate) fn seals_of<'a>(seals: &'a [Vec<u8>], mark: Mark) -> impl Iterator<Item = Seal> + 'a {
    seals
        .iter()
        .filter_map(|bytes| Seal::parse(bytes).ok())
        .filter(move |seal| seal.subject().mark() == Some(mark))
}
