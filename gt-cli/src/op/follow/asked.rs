//! Whom to ask for a statement: one peer at a time, the highest claim first,
//! and the next one when an answer does not come.
//!
//! A claim costs nothing, so it buys little: each connection has one, only a
//! higher one counts as new, nobody is asked again before it has answered, and
//! whoever claims the sky and is silent holds the others up for two seconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gt_trust::Mark;
use gt_wire::swarm::ConnId;

/// How long one peer may take to answer before the next one is asked as well.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was told of and asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What we hold.
    held: Option<Mark>,
    /// Whose answer is waited for, to which claim, since when.
    now: Option<(ConnId, Mark, Instant)>,
    /// The highest mark that each connection told of.
    claims: BTreeMap<ConnId, Claim>,
}

#[derive(Debug)]
struct Claim {
    mark: Mark,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Not asked for this mark.
    Open,
    /// Asked when it had told of `told`, with what we said that we hold.
    Asked { told: Mark, held: Option<Mark> },
    /// It has answered.
    Done,
}

/// What a mark that a peer told of means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It said so before, or something higher.
    Again,
    /// It is not above ours.
    Known,
    /// Ask now.
    Ask,
    /// It is higher than ours; another one, or this one, was asked before.
    Wait,
}

/// An answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// What we had said that we hold.
    pub(super) held: Option<Mark>,
    /// What the other end had told of when it was asked.
    pub(super) told: Option<Mark>,
}

impl Asked {
    /// Says what we hold now.
    pub(super) fn holds(&mut self, mark: Option<Mark>) {
        self.held = mark;
    }

    /// A peer told of a mark.
    pub(super) fn heard(&mut self, conn: ConnId, mark: Mark) -> Heard {
        let claim = self.claims.get(&conn);
        if claim.is_some_and(|claim| mark <= claim.mark) {
            return Heard::Again;
        }
        let stage = match claim.map(|claim| claim.stage) {
            Some(waiting @ Stage::Asked { .. }) => waiting,
            _ => Stage::Open,
        };
        self.claims.insert(conn, Claim { mark, stage });
        if self.held.is_some_and(|held| mark <= held) {
            return Heard::Known;
        }
        let higher = self.now.is_none_or(|(_, asked, _)| mark > asked);
        match stage {
            Stage::Open if higher => Heard::Ask,
            _ => Heard::Wait,
        }
    }

    /// A want is on its way; it says that we hold what we do.
    pub(super) fn sent(&mut self, conn: ConnId) {
        if let Some(claim) = self.claims.get_mut(&conn) {
            claim.stage = Stage::Asked {
                told: claim.mark,
                held: self.held,
            };
            self.now = Some((conn, claim.mark, Instant::now()));
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, conn: ConnId) -> Answered {
        self.done_waiting(conn);
        let Some(claim) = self.claims.get_mut(&conn) else {
            return Answered::default();
        };
        let Stage::Asked { told, held } = claim.stage else {
            return Answered::default();
        };
        // It may have told of more since.
        claim.stage = if claim.mark > told {
            Stage::Open
        } else {
            Stage::Done
        };
        let told = Some(told);
        Answered { held, told }
    }

    /// An answer was let go by ourselves; it may be asked for again.
    pub(super) fn crowded(&mut self, conn: ConnId) {
        self.done_waiting(conn);
        if let Some(claim) = self.claims.get_mut(&conn) {
            claim.stage = Stage::Open;
        }
    }

    /// A connection ended.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.done_waiting(conn);
        self.claims.remove(&conn);
    }

    fn done_waiting(&mut self, conn: ConnId) {
        if self.now.is_some_and(|(of, _, _)| of == conn) {
            self.now = None;
        }
    }

    /// Tells whether an answer of this connection is waited for.
    pub(super) fn is_waiting_for(&self, conn: ConnId) -> bool {
        let claim = self.claims.get(&conn);
        claim.is_some_and(|claim| matches!(claim.stage, Stage::Asked { .. }))
    }

    /// Returns whom to ask: nobody while an answer is waited for and is not
    /// overdue at `now`, and nobody of whom something else was asked.
    pub(super) fn next(&mut self, now: Instant, busy: impl Fn(ConnId) -> bool) -> Option<ConnId> {
        if self
            .now
            .is_some_and(|(_, _, since)| now.saturating_duration_since(since) <= PATIENCE)
        {
            return None;
        }
        self.now = None;
        let open = self.claims.iter().filter(|(conn, claim)| {
            !busy(**conn)
                && matches!(claim.stage, Stage::Open)
                && self.held.is_none_or(|held| claim.mark > held)
        });
        open.max_by_key(|(_, claim)| claim.mark)
            .map(|(conn, _)| *conn)
    }
}

#[cfg(test)]
mod tests {
    use gt_trust::{Epoch, Identity, Sequence};

    use super::*;

    const ONE: ConnId = ConnId(1);
    const TWO: ConnId = ConnId(2);
    const THREE: ConnId = ConnId(3);

    fn mark(n: u64) -> Mark {
        Mark::new(Epoch(0), Sequence(n), Identity::of(&n.to_be_bytes()))
    }

    fn holding(n: u64) -> Asked {
        let mut asked = Asked::default();
        asked.holds(Some(mark(n)));
        asked
    }

    #[test]
    fn one_peer_is_asked_and_the_next_when_it_goes() {
        let mut asked = holding(1);
        assert_eq!(asked.heard(ONE, mark(2)), Heard::Ask);
        asked.sent(ONE);
        assert_eq!(asked.heard(TWO, mark(2)), Heard::Wait);
        assert_eq!(asked.heard(THREE, mark(2)), Heard::Wait);
        assert_eq!(asked.next(Instant::now(), |_| false), None);
        asked.gone(THREE);
        assert_eq!(asked.next(Instant::now(), |_| false), None);
        asked.gone(ONE);
        assert_eq!(asked.next(Instant::now(), |_| false), Some(TWO));
        asked.sent(TWO);
        let answer = asked.answered(TWO);
        assert_eq!((answer.held, answer.told), (Some(mark(1)), Some(mark(2))));
        asked.holds(Some(mark(2)));
        assert_eq!(asked.next(Instant::now(), |_| false), None);
    }

    /// Two packs for one want would end the connection of an honest peer.
    #[test]
    fn nobody_is_asked_twice_before_it_answers() {
        let mut asked = holding(1);
        assert_eq!(asked.heard(ONE, mark(2)), Heard::Ask);
        asked.sent(ONE);
        assert_eq!(asked.heard(ONE, mark(3)), Heard::Wait);
        let late = Instant::now() + PATIENCE * 2;
        assert_eq!(asked.next(late, |_| false), None);
        let answer = asked.answered(ONE);
        assert_eq!(answer.told, Some(mark(2)));
        // The answer may have been the older of the two.
        asked.holds(Some(mark(2)));
        assert_eq!(asked.next(late, |_| false), Some(ONE));
    }

    /// Two answers at once could not be told apart.
    #[test]
    fn nobody_is_asked_who_owes_another_answer() {
        let mut asked = holding(1);
        asked.heard(ONE, mark(2));
        asked.heard(TWO, mark(3));
        let now = Instant::now();
        assert_eq!(asked.next(now, |conn| conn == TWO), Some(ONE));
        assert_eq!(asked.next(now, |_| true), None);
        asked.sent(ONE);
        assert!(asked.is_waiting_for(ONE) && !asked.is_waiting_for(TWO));
        asked.answered(ONE);
        assert!(!asked.is_waiting_for(ONE));
    }

    #[test]
    fn the_same_told_for_ever_is_asked_for_once() {
        let mut asked = holding(2);
        assert_eq!(asked.heard(ONE, mark(2)), Heard::Known);
        assert_eq!(asked.heard(ONE, mark(2)), Heard::Again);
        assert_eq!(asked.heard(TWO, mark(3)), Heard::Ask);
        asked.sent(TWO);
        asked.answered(TWO);
        for _ in 0..1000 {
            assert_eq!(asked.heard(TWO, mark(3)), Heard::Again);
            assert_eq!(asked.heard(TWO, mark(1)), Heard::Again);
        }
        assert_eq!(asked.next(Instant::now(), |_| false), None);
    }

    /// Whoever claims the highest number and is silent delays the others, and
    /// does not make us forget them.
    #[test]
    fn a_claim_of_the_sky_does_not_hide_the_others() {
        let mut asked = holding(1);
        assert_eq!(asked.heard(ONE, mark(u64::MAX - 1)), Heard::Ask);
        asked.sent(ONE);
        assert_eq!(asked.heard(TWO, mark(2)), Heard::Wait);
        assert_eq!(asked.heard(THREE, mark(3)), Heard::Wait);
        let late = Instant::now() + PATIENCE * 2;
        assert_eq!(asked.next(late, |_| false), Some(THREE));
        asked.sent(THREE);
        assert_eq!(asked.next(late + PATIENCE, |_| false), Some(TWO));
        asked.answered(THREE);
        asked.holds(Some(mark(3)));
        assert_eq!(
            asked.next(late, |_| false),
            None,
            "the other is not above ours"
        );
    }

    #[test]
    fn something_higher_is_asked_for_at_once() {
        let mut asked = Asked::default();
        assert_eq!(asked.heard(ONE, mark(2)), Heard::Ask);
        asked.sent(ONE);
        assert_eq!(asked.heard(TWO, mark(3)), Heard::Ask);
        asked.sent(TWO);
        // The first answer still knows what it stands on.
        assert_eq!(asked.answered(ONE).told, Some(mark(2)));
        assert_eq!(asked.next(Instant::now(), |_| false), None);
        asked.crowded(TWO);
        assert_eq!(asked.next(Instant::now(), |_| false), Some(TWO));
    }
}
