//! The line of charters: from the one that founds a repository to the one by
//! which is judged now (PROTOCOL.md section 3, rule 4).
//!
//! ```text
//!   rid ═ charter 0 ◀─ Previous ─ charter 1 ◀─ Previous ─ charter 2
//!            │  sealed by enough of 0    ▲  sealed by enough of 1   ▲
//!            └─ and by enough of 1 ──────┘  and by enough of 2 ─────┘
//! ```
//!
//! What was held before, and what a pin names, is believed by its hashes alone:
//! backwards through `Previous` to the rid. Only what lies beyond needs seals,
//! so that a newcomer with a pin needs no old key.

use super::SealFault;
use super::count::Court;
use crate::charter::{Charter, Delegate};
use crate::key::Checks;
use crate::limits;
use crate::number::Epoch;
use crate::rid::{Identity, Rid};
use crate::seal::{Seal, Subject};

/// A charter with the seals on it that count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The charter.
    pub charter: Charter,
    /// Seals on it by delegates, its own and those before.
    pub seals: Vec<Vec<u8>>,
    /// Its own delegates that have sealed it; all of them for the first.
    pub confirmed: Vec<Delegate>,
}

impl Link {
    fn bare(charter: &Charter) -> Self {
        Self {
            charter: charter.clone(),
            seals: Vec::new(),
            confirmed: Vec::new(),
        }
    }
}

/// All charters from the first to the newest that is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The charters, from the first on.
    pub links: Vec<Link>,
    /// Why a later charter that was offered did not become the newest.
    pub stopped: Option<LineFault>,
}

/// Why no line can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// Two charters of one epoch have all the seals they need. They are never
    /// ranked: the person must say which one holds.
    #[error(
        "two valid charters of epoch {epoch}: {one} and {other}; nothing moves until you pin one"
    )]
    TwoCharters {
        /// Their epoch.
        epoch: Epoch,
        /// The one held, or the smaller identity.
        one: Identity,
        /// The other one.
        other: Identity,
    },
    /// A later charter does not have the seals it needs.
    #[error(
        "expected charter {identity} of epoch {epoch} sealed by {needed_before} delegates of the \
         one before and {needed} of its own, got {before} and {own}{}", said(.faults)
    )]
    TooFewSeals {
        /// Its epoch.
        epoch: Epoch,
        /// The charter.
        identity: Identity,
        /// Delegates of the charter before that have sealed it.
        before: usize,
        /// How many must.
        needed_before: u64,
        /// Delegates of its own that have sealed it.
        own: usize,
        /// How many must.
        needed: u64,
        /// What was wrong with other seals.
        faults: Vec<SealFault>,
    },
    /// A charter that does not follow on the newest one.
    #[error("expected a charter of epoch {expected}, got one of epoch {got}")]
    EpochSkip {
        /// The next epoch.
        expected: Epoch,
        /// The epoch offered.
        got: Epoch,
    },
    /// More charters than [`limits::EPOCHS`].
    #[error("expected at most {limit} epochs", limit = limits::EPOCHS)]
    TooLong,
}

fn said(faults: &[SealFault]) -> String {
    let words: Vec<String> = faults.iter().map(SealFault::to_string).collect();
    match words.is_empty() {
        true => String::new(),
        false => format!(" ({})", words.join("; ")),
    }
}

/// What is known when a line is drawn.
pub(super) struct Known<'a> {
    pub(super) rid: Rid,
    /// Believed, from epoch 0 on without a gap.
    pub(super) trunk: &'a [Charter],
    /// Up to which epoch the person has said which charter holds.
    pub(super) pinned: Option<Epoch>,
    /// Everything else that was held or offered.
    pub(super) others: &'a [Charter],
    pub(super) seals: &'a [Vec<u8>],
}

/// Draws the line as far as seals carry it. `court` is asked for each charter
/// by itself, whose delegates it then counts.
pub(super) fn draw(known: &Known<'_>, court: &Court<'_>) -> Result<Line, LineFault> {
    let trunk = known.trunk;
    let newest = trunk.len() - 1;
    let mut links: Vec<Link> = trunk
        .iter()
        .enumerate()
        .map(|(n, charter)| match n == newest {
            true => link(charter, known, court),
            // It is believed, and nobody is judged by it any more.
            false => Link::bare(charter),
        })
        .collect();
    // A rival of what is believed, with all the seals it needs: the holders of
    // enough old keys say two things.
    let settled = known.pinned.map_or(0, |epoch| epoch.0);
    for rival in known.others {
        let Ok(epoch) = usize::try_from(rival.epoch.0) else {
            continue;
        };
        if epoch == 0 || epoch >= trunk.len() || rival.epoch.0 <= settled {
            continue;
        }
        if *rival != trunk[epoch] && tally(&trunk[epoch - 1], rival, known, court).is_ok() {
            return Err(LineFault::TwoCharters {
                epoch: rival.epoch,
                one: trunk[epoch].identity(),
                other: rival.identity(),
            });
        }
    }
    let mut fault = None;
    loop {
        let last = &links[links.len() - 1].charter;
        let next = Epoch(last.epoch.0 + 1);
        let mut valid: Vec<&Charter> = Vec::new();
        for candidate in known.others.iter().filter(|c| c.epoch == next) {
            if candidate.previous != Some(last.identity())
                || candidate.object_format != last.object_format
                || valid.contains(&candidate)
            {
                continue;
            }
            match tally(last, candidate, known, court) {
                Ok(()) => valid.push(candidate),
                Err(why) => fault = Some(why),
            }
        }
        match valid[..] {
            [] => break,
            [one] => {
                links.push(link(one, known, court));
                // A threshold was met: what comes is worth as much again.
                *court.checks.borrow_mut() = Checks::new();
            }
            [one, other, ..] => {
                let (one, other) = (one.identity(), other.identity());
                return Err(LineFault::TwoCharters {
                    epoch: next,
                    one: one.min(other),
                    other: one.max(other),
                });
            }
        }
        fault = None;
        if links.len() > limits::EPOCHS {
            return Err(LineFault::TooLong);
        }
    }
    let next = Epoch(links[links.len() - 1].charter.epoch.0 + 1);
    let skipped = known
        .others
        .iter()
        .map(|c| c.epoch)
        .filter(|e| *e > next)
        .min();
    let stopped = fault.or(skipped.map(|got| LineFault::EpochSkip {
        expected: next,
        got,
    }));
    Ok(Line { links, stopped })
}

/// Counts the seals on a charter by delegates of `by`.
fn sealed_by(
    charter: &Charter,
    by: &Charter,
    known: &Known<'_>,
    court: &Court<'_>,
) -> (Vec<Delegate>, Vec<Vec<u8>>, Vec<SealFault>) {
    let subject = Subject::of_charter(known.rid, charter);
    let (mut who, mut seals, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut in_vain = 0;
    for bytes in known.seals {
        let Ok(seal) = Seal::parse(bytes) else {
            continue;
        };
        if *seal.subject() != subject {
            continue;
        }
        if in_vain == limits::SEAL_CHECKS {
            faults.push(SealFault::TooMany);
            break;
        }
        match court.sealed_by(&seal) {
            Ok(sealer) if !by.delegates.contains(&sealer.delegate) => {}
            Ok(sealer) if who.contains(&sealer.delegate) => in_vain += 1,
            Ok(sealer) => {
                who.push(sealer.delegate);
                seals.push(bytes.clone());
            }
            Err(fault) => {
                in_vain += 1;
                faults.push(fault.into());
            }
        }
    }
    (who, seals, faults)
}

fn tally(
    before: &Charter,
    next: &Charter,
    known: &Known<'_>,
    court: &Court<'_>,
) -> Result<(), LineFault> {
    let (old, _, mut faults) = sealed_by(next, before, known, court);
    let (own, _, more) = sealed_by(next, next, known, court);
    for fault in more {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    let enough = |got: usize, needed: u64| got as u64 >= needed;
    if next.previous == Some(before.identity())
        && enough(old.len(), before.charter_threshold)
        && enough(own.len(), next.charter_threshold)
    {
        return Ok(());
    }
    Err(LineFault::TooFewSeals {
        epoch: next.epoch,
        identity: next.identity(),
        before: old.len(),
        needed_before: before.charter_threshold,
        own: own.len(),
        needed: next.charter_threshold,
        faults,
    })
}

fn link(charter: &Charter, known: &Known<'_>, court: &Court<'_>) -> Link {
    let (mut confirmed, mut seals, _) = sealed_by(charter, charter, known, court);
    if charter.epoch == Epoch(0) {
        // Whoever cloned by the rid has said that this list holds.
        confirmed.clone_from(&charter.delegates);
    } else if let Some(before) = known
        .trunk
        .iter()
        .chain(known.others)
        .find(|c| charter.previous == Some(c.identity()))
    {
        for seal in sealed_by(charter, before, known, court).1 {
            if !seals.contains(&seal) {
                seals.push(seal);
            }
        }
    }
    Link {
        charter: charter.clone(),
        seals,
        confirmed,
    }
}
