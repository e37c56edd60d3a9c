//! Evidence: two seals by one delegate on two statements of one place.

use super::count::{Count, Court, Jury};
use super::{Receiver, seals_of};
use crate::charter::{Charter, Delegate};
use crate::grammar::{self, Lines, Text, number};
use crate::key::{Checks, Keyring};
use crate::limits;
use crate::mark::Mark;
use crate::number::Time;
use crate::rid::Rid;
use crate::seal::{self, Seal};
use crate::signature::Fault;

/// That a delegate has equivocated: both seals, as they came, which anybody
/// can verify who holds the charter and the certificates.
#[derive(Clone, Debug)]
pub struct Evidence {
    repository: Rid,
    seals: [Vec<u8>; 2],
    marks: [Mark; 2],
    by: Option<Delegate>,
}

/// The same seals: who verified them is no part of it.
impl PartialEq for Evidence {
    fn eq(&self, other: &Self) -> bool {
        self.seals == other.seals
    }
}

impl Eq for Evidence {}

const MAGIC: &str = "gt evidence 1";

impl Evidence {
    /// Joins two seals, which must be on two statements of one repository and
    /// place.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn new(one: &[u8], other: &[u8]) -> Result<Self, EvidenceError> {
        let read = |bytes: &[u8]| -> Result<(Seal, Mark), EvidenceError> {
            let seal = Seal::parse(bytes)?;
            let mark = seal.subject().mark().ok_or(EvidenceError::NoRivals)?;
            Ok((seal, mark))
        };
        let mut both = [read(one)?, read(other)?];
        // The same two seals are the same evidence, whichever came first.
        both.sort_by_key(|(_, mark)| mark.identity);
        let [(one, first), (other, second)] = both;
        if one.subject().repository() != other.subject().repository() || !first.rivals(&second) {
            return Err(EvidenceError::NoRivals);
        }
        Ok(Self {
            repository: one.subject().repository(),
            seals: [one.as_bytes().to_vec(), other.as_bytes().to_vec()],
            marks: [first, second],
            by: None,
        })
    }

    /// Pairs seals that name two statements of one place; nothing is verified.
    /// At most [`limits::GOSSIP`] pairs, since each costs two signatures.
    pub(super) fn among(seals: &[Vec<u8>]) -> Vec<Self> {
        let read = |bytes: &Vec<u8>| Seal::parse(bytes).ok()?.subject().mark();
        let marks: Vec<Option<Mark>> = seals.iter().map(read).collect();
        let mut all = Vec::new();
        for (n, mark) in marks.iter().enumerate() {
            for (m, other) in marks.iter().enumerate().take(n) {
                let rivals = matches!((mark, other), (Some(a), Some(b)) if a.rivals(b));
                if rivals && all.len() < limits::GOSSIP {
                    all.extend(Self::new(&seals[n], &seals[m]).ok());
                }
            }
        }
        all
    }

    /// Reads the file, or what a peer sent.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut lines = Lines::open(bytes, MAGIC)?;
        let length = lines.parsed("First", number)?;
        lines.blank()?;
        let seals = lines.rest();
        let (one, other) = usize::try_from(length)
            .ok()
            .and_then(|length| seals.split_at_checked(length))
            .ok_or(EvidenceError::Length(length))?;
        let read = Self::new(one, other)?;
        if read.to_bytes() != bytes {
            return Err(EvidenceError::Order);
        }
        Ok(read)
    }

    /// Writes it: the length of the first seal, and both.
    pub fn to_bytes(&self) -> Vec<u8> {
        let [one, other] = &self.seals;
        let mut text = Text::open(MAGIC, 0);
        text.line("First", one.len());
        text.raw(&[b"\n", one, other]);
        text.finish()
    }

    /// Returns the repository of both statements.
    pub fn repository(&self) -> Rid {
        self.repository
    }

    /// Returns both seals, that of the smaller identity first.
    pub fn seals(&self) -> &[Vec<u8>; 2] {
        &self.seals
    }

    /// Returns the places of both statements.
    pub fn marks(&self) -> &[Mark; 2] {
        &self.marks
    }

    /// Returns the delegate that made both, where judging found it out; none
    /// in what was only read.
    pub fn by(&self) -> Option<&Delegate> {
        self.by.as_ref()
    }

    pub(super) fn found_to_be_by(self, delegate: Delegate) -> Self {
        Self {
            by: Some(delegate),
            ..self
        }
    }

    /// Says which delegate of this charter made both.
    ///
    /// # Errors
    /// [`EvidenceError`] where a signature does not count, or they are by two.
    pub fn verify(
        &self,
        charter: &Charter,
        keyring: &Keyring,
        now: Time,
    ) -> Result<Delegate, EvidenceError> {
        let court = Court {
            keyring,
            held: Some(keyring),
            believes: None,
            now,
            checks: Checks::new().into(),
        };
        let jury = Jury {
            charter,
            confirmed: &charter.delegates,
            void: &[],
        };
        let by = |bytes: &[u8]| -> Result<Delegate, EvidenceError> {
            let seal = Seal::parse(bytes)?;
            Ok(court.verify(&jury, &seal)?.delegate)
        };
        let [one, other] = &self.seals;
        let (one, other) = (by(one)?, by(other)?);
        if one != other {
            return Err(EvidenceError::TwoDelegates);
        }
        Ok(one)
    }
}

/// Finds the delegates that sealed both the statement held at `held` and the
/// one whose seals were counted.
pub(super) fn find(
    receiver: &Receiver<'_>,
    held: Mark,
    count: &Count,
    jury: &Jury<'_>,
    court: &Court<'_>,
) -> Vec<Evidence> {
    let mut all = Vec::new();
    for seal in seals_of(receiver.seals, held) {
        let Ok(sealer) = court.verify(jury, &seal) else {
            continue;
        };
        let again = count
            .sealed_by
            .iter()
            .zip(&count.seals)
            .filter(|(other, _)| other.delegate == sealer.delegate);
        for (_, bytes) in again {
            let found = Evidence::new(seal.as_bytes(), bytes).ok();
            all.extend(found.map(|found| found.found_to_be_by(sealer.delegate.clone())));
        }
    }
    all
}

/// Why two seals are no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The lines before the seals.
    #[error(transparent)]
    Grammar(#[from] grammar::Error),
    /// The first seal is longer than all there is.
    #[error("expected a first seal of {0} bytes, got less")]
    Length(u64),
    /// One of them is no seal.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// Not two statements of one repository and place.
    #[error("expected seals on two statements of one place")]
    NoRivals,
    /// Written otherwise.
    #[error("expected the seal on the smaller identity first")]
    Order,
    /// A signature does not count.
    #[error(transparent)]
    Signature(#[from] Fault),
    /// That is a race.
    #[error("expected two seals by one delegate, got them by two")]
    TwoDelegates,
}
