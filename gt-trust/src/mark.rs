//! How far a repository has come: the order of statements, and the file that
//! remembers the highest one.

use std::cmp::{Ordering, Reverse};
use std::fmt;

use crate::grammar::{self, Lines, Text, number};
use crate::number::{Epoch, Sequence, Time};
use crate::rid::Identity;

/// The place of a statement in the order of all: epoch, then sequence, then
/// the smaller identity wins (PROTOCOL.md section 3, rule 1).
///
/// The greater one is the one to move to, so marks are compared with `>`.
/// That the smaller identity wins is arbitrary, but the same for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Mark {
    /// The epoch of its charter.
    pub epoch: Epoch,
    /// Its number in the epoch.
    pub sequence: Sequence,
    /// The SHA-256 of its bytes.
    pub identity: Identity,
}

impl Mark {
    /// Returns the mark of a statement.
    pub fn new(epoch: Epoch, sequence: Sequence, identity: Identity) -> Self {
        Self {
            epoch,
            sequence,
            identity,
        }
    }

    /// Tells whether both statements claim one place: at most one can win,
    /// and who sealed both has equivocated.
    pub fn rivals(&self, other: &Self) -> bool {
        (self.epoch, self.sequence) == (other.epoch, other.sequence)
            && self.identity != other.identity
    }

    /// Reads the form that stands after `Previous:`.
    pub(crate) fn from_line(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mark = Self {
            epoch: Epoch(number(words.next()?)?),
            sequence: Sequence(number(words.next()?)?),
            identity: Identity::from_tagged(words.next()?)?,
        };
        words.next().is_none().then_some(mark)
    }
}

impl Ord for Mark {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |mark: &Self| (mark.epoch, mark.sequence, Reverse(mark.identity));
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch, sequence, ..
        } = self;
        write!(f, "{epoch} {sequence} {}", self.identity.tagged())
    }
}

/// What a receiver writes durably before any ref moves, and never lowers but
/// by rule 1 or by the person's hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watermark {
    /// The highest statement accepted.
    pub mark: Mark,
    /// The latest `Created` of all statements accepted: no clock that says
    /// less is believed, so that turning it back does not freshen what is
    /// stale.
    pub clock: Time,
}

const MAGIC: &str = "gt mark 1";

impl Watermark {
    /// Returns a watermark.
    pub fn new(mark: Mark, clock: Time) -> Self {
        Self { mark, clock }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with the first line that is.
    pub fn parse(text: &[u8]) -> Result<Self, grammar::Error> {
        let mut lines = Lines::open(text, MAGIC)?;
        let read = Self {
            mark: lines.parsed("Accepted", Mark::from_line)?,
            clock: lines.parsed("Clock", number).map(Time)?,
        };
        lines.end()?;
        Ok(read)
    }

    /// Writes the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Text::open(MAGIC, 0);
        text.line("Accepted", self.mark);
        text.line("Clock", self.clock);
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(epoch: u64, sequence: u64, first: u8) -> Mark {
        let identity = Identity::from_bytes([first; 32]);
        Mark::new(Epoch(epoch), Sequence(sequence), identity)
    }

    #[test]
    fn epoch_then_sequence_then_smaller_identity() {
        assert!(mark(1, 0, 9) > mark(0, 9, 0));
        assert!(mark(0, 2, 9) > mark(0, 1, 0));
        assert!(mark(0, 1, 3) > mark(0, 1, 4));
        assert!(mark(0, 1, 3).rivals(&mark(0, 1, 4)));
        assert!(!mark(0, 1, 3).rivals(&mark(0, 1, 3)));
        assert!(!mark(0, 1, 3).rivals(&mark(0, 2, 4)));
    }

    #[test]
    fn file_is_strict() {
        let good = Watermark::new(mark(0, 7, 1), Time(1_700_000_000)).to_bytes();
        let text = String::from_utf8(good.clone()).unwrap();
        for bad in [
            text.replace("0 7", "0 07"),
            text.replace("0 7", "0  7"),
            text.replace("sha256:", ""),
            text.replace('\n', "\r\n"),
            format!("{text}\n"),
            text[..text.len() - 1].to_owned(),
            text.replace("gt mark 1", "gt mark 2"),
            String::new(),
        ] {
            assert!(Watermark::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Watermark::parse(&good).is_ok());
    }

    proptest! {
        #[test]
        fn file_round_trips(epoch in 0..u64::MAX, sequence in 0..u64::MAX, id: u8, clock in 0..u64::MAX) {
            let watermark = Watermark::new(mark(epoch, sequence, id), Time(clock));
            prop_assert_eq!(Watermark::parse(&watermark.to_bytes()), Ok(watermark));
        }
    }
}
