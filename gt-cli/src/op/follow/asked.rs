//! Whom to ask for a statement: one peer at a time, the next one when it does
//! not answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use gt_trust::Mark;
use gt_wire::swarm::ConnId;

/// How long one peer may take to answer before the next one is asked as well.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many others are remembered.
const OTHERS: usize = 64;

/// What was told of and asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The highest mark that was told of, whom it was asked of last, and when.
    now: Option<(Mark, ConnId, Instant)>,
    /// Others who told of that mark.
    others: VecDeque<ConnId>,
    /// What we said that we hold, by connection with an answer outstanding.
    held: BTreeMap<ConnId, Option<Mark>>,
}

impl Asked {
    /// A peer told of a mark above ours; tells whether to ask it now.
    pub(super) fn heard(&mut self, conn: ConnId, mark: Mark) -> bool {
        match self.now {
            Some((asked, of, _)) if mark <= asked && of != conn => {
                if mark == asked && self.others.len() < OTHERS && !self.others.contains(&conn) {
                    self.others.push_back(conn);
                }
                false
            }
            _ => {
                self.now = Some((mark, conn, Instant::now()));
                self.others.clear();
                true
            }
        }
    }

    /// A want is on its way.
    pub(super) fn sent(&mut self, conn: ConnId, held: Option<Mark>) {
        self.held.insert(conn, held);
        if let Some((_, of, at)) = &mut self.now {
            (*of, *at) = (conn, Instant::now());
        }
    }

    /// An answer came; returns what we had said that we hold.
    pub(super) fn answered(&mut self, conn: ConnId) -> Option<Mark> {
        if self.now.is_some_and(|(_, of, _)| of == conn) {
            self.now = None;
        }
        self.held.remove(&conn).flatten()
    }

    /// A connection ended; returns whom to ask instead.
    pub(super) fn gone(&mut self, conn: ConnId) -> Option<ConnId> {
        self.held.remove(&conn);
        self.others.retain(|other| *other != conn);
        match self.now {
            Some((_, of, _)) if of == conn => self.next(),
            _ => None,
        }
    }

    /// Returns whom to ask as well, where an answer is overdue.
    pub(super) fn overdue(&mut self) -> Option<ConnId> {
        match self.now {
            Some((_, _, at)) if at.elapsed() > PATIENCE => self.next(),
            _ => None,
        }
    }

    fn next(&mut self) -> Option<ConnId> {
        let next = self.others.pop_front();
        if next.is_none() {
            self.now = None;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use gt_trust::{Epoch, Identity, Sequence};

    use super::*;

    fn mark(n: u64) -> Mark {
        Mark::new(Epoch(0), Sequence(n), Identity::of(&n.to_be_bytes()))
    }

    #[test]
    fn one_peer_is_asked_and_the_next_when_it_goes() {
        let mut asked = Asked::default();
        assert!(asked.heard(ConnId(1), mark(2)));
        asked.sent(ConnId(1), Some(mark(1)));
        assert!(!asked.heard(ConnId(2), mark(2)));
        assert!(!asked.heard(ConnId(3), mark(2)));
        assert_eq!(asked.gone(ConnId(2)), None);
        assert_eq!(asked.gone(ConnId(1)), Some(ConnId(3)));
        asked.sent(ConnId(3), Some(mark(1)));
        assert_eq!(asked.answered(ConnId(3)), Some(mark(1)));
        assert_eq!(asked.overdue(), None);
    }

    #[test]
    fn something_higher_is_asked_for_at_once() {
        let mut asked = Asked::default();
        assert!(asked.heard(ConnId(1), mark(2)));
        asked.sent(ConnId(1), None);
        assert!(asked.heard(ConnId(2), mark(3)));
        asked.sent(ConnId(2), None);
        // The first answer still knows what it stands on.
        assert_eq!(asked.answered(ConnId(1)), None);
        assert!(asked.gone(ConnId(2)).is_none());
        assert!(
            asked.heard(ConnId(4), mark(3)),
            "nobody else is left to ask"
        );
    }
}
