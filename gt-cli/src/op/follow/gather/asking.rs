//! What is gathered, what each connection has told of, and whom to ask for it:
//! one text at a time of each, and nobody is waited for without end.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use gt_trust::charter::Delegate;
use gt_trust::offer::Gathered;
use gt_trust::{Epoch, Identity, Mark};
use gt_wire::swarm::ConnId;

use crate::state::Stamp;

/// Texts that are kept for one delegate.
const EACH: usize = 4;
/// Texts that are kept in all, and their bytes.
const TEXTS: usize = 64;
const BYTES: usize = 64 << 20;
/// Texts that one connection may make us ask for.
const ASKS: usize = 64;
/// How long a peer may take to answer: its budget may make it wait, a minute
/// it never does.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is gathered, and who was asked for more.
#[derive(Debug, Default)]
pub(in crate::op::follow) struct Gathering {
    pub(super) kept: BTreeMap<Identity, Kept>,
    pub(super) stamp: Option<Stamp>,
    /// What each connection has told of, and whether it was asked for: once is
    /// enough.
    heard: BTreeMap<ConnId, BTreeMap<Identity, (Gathered, bool)>>,
    queue: VecDeque<(ConnId, Mark)>,
    asked: BTreeMap<ConnId, Ask>,
    /// Who let one go unanswered, and what it was.
    silent: BTreeMap<ConnId, Mark>,
    /// The newest charter's epoch and how many have sealed it, when it was
    /// looked at last.
    charter: Option<(Epoch, usize)>,
}

/// What a connection was asked for.
#[derive(Clone, Copy, Debug)]
struct Ask {
    mark: Mark,
    since: Instant,
}

/// A text that is here, with who has sealed it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) who: Vec<Delegate>,
    pub(super) size: usize,
    pub(super) said: Gathered,
    /// Whether it waits for more seals.
    pub(super) waits: bool,
}

impl Gathering {
    /// Tells whether a text was asked for on this connection: a pack that
    /// comes is the answer.
    pub(in crate::op::follow) fn is_busy(&self, conn: ConnId) -> bool {
        self.asked.contains_key(&conn)
    }

    /// A pack came: returns what was asked for. `other` says that something
    /// else was asked of this peer as well, after it had been silent.
    pub(in crate::op::follow) fn answered(&mut self, conn: ConnId, other: bool) -> Option<Mark> {
        match self.asked.remove(&conn) {
            Some(ask) => Some(ask.mark),
            None if other => None,
            None => self.silent.remove(&conn),
        }
    }

    /// An answer was let go by ourselves; it is asked for again.
    pub(in crate::op::follow) fn crowded(&mut self, conn: ConnId) {
        if let Some(ask) = self.asked.remove(&conn) {
            self.queue.push_back((conn, ask.mark));
        }
    }

    /// Waits no longer for answers that are overdue at `now`. Who gave none is
    /// asked for nothing more of this kind until it has, and may be asked for
    /// its newest statement.
    pub(super) fn give_up(&mut self, now: Instant) {
        let silent = &mut self.silent;
        self.asked.retain(|conn, ask| {
            let late = now.saturating_duration_since(ask.since) > PATIENCE;
            if late {
                silent.insert(*conn, ask.mark);
            }
            !late
        });
    }

    /// A connection ended.
    pub(in crate::op::follow) fn gone(&mut self, conn: ConnId) {
        self.asked.remove(&conn);
        self.silent.remove(&conn);
        self.heard.remove(&conn);
        self.queue.retain(|(of, _)| *of != conn);
    }

    /// Looks at the newest charter; tells whether it is another one, or more
    /// have sealed it. Seals that counted for nothing may count then, and
    /// everything that was told of is considered again.
    pub(super) fn charter(&mut self, newest: Option<(Epoch, usize)>) -> bool {
        if self.charter == newest {
            return false;
        }
        self.charter = newest;
        let all = self.heard.values_mut().flat_map(BTreeMap::values_mut);
        all.for_each(|(_, asked)| *asked = false);
        true
    }

    /// Returns the next that is to be asked for, of those who are `free`.
    pub(super) fn next(&mut self, free: impl Fn(ConnId) -> bool) -> Option<(ConnId, Mark)> {
        let is_next = |(conn, _): &(ConnId, Mark)| {
            free(*conn) && !self.asked.contains_key(conn) && !self.silent.contains_key(conn)
        };
        let at = self.queue.iter().position(is_next)?;
        self.queue.remove(at)
    }

    /// A want is on its way.
    pub(super) fn sent(&mut self, conn: ConnId, mark: Mark, since: Instant) {
        self.asked.insert(conn, Ask { mark, since });
    }

    /// Notes what a peer told of.
    pub(super) fn hears(&mut self, conn: ConnId, said: Gathered) {
        let heard = self.heard.entry(conn).or_default();
        let identity = said.mark.identity;
        let known = heard.get(&identity);
        let room = heard.len() < ASKS || known.is_some();
        if room && known.is_none_or(|(before, _)| *before != said) {
            heard.insert(identity, (said, false));
        }
    }

    /// Queues what was told of, is wanted, and was not asked for yet.
    pub(super) fn consider(&mut self, wanted: impl Fn(&Self, &Gathered) -> bool) {
        let told = self.heard.iter().flat_map(|(conn, heard)| {
            let open = heard.values().filter(|(_, asked)| !asked);
            open.map(|(said, _)| (*conn, *said))
        });
        let news: Vec<_> = told.filter(|(_, said)| wanted(self, said)).collect();
        for (conn, said) in news {
            let heard = self.heard.entry(conn).or_default();
            heard.insert(said.mark.identity, (said, true));
            if !self.queue.contains(&(conn, said.mark)) {
                self.queue.push_back((conn, said.mark));
            }
        }
    }

    /// Tells whether there is room for one more text by these people.
    pub(super) fn has_room(&self, who: &[Delegate], size: usize) -> bool {
        let waiting = || self.kept.values().filter(|kept| kept.waits);
        let of = |delegate: &Delegate| waiting().filter(|k| k.who.contains(delegate)).count();
        let bytes: usize = waiting().map(|kept| kept.size).sum();
        waiting().count() < TEXTS
            && bytes.saturating_add(size) <= BYTES
            && who.iter().any(|delegate| of(delegate) < EACH)
    }
}

#[cfg(test)]
mod tests {
    use gt_trust::{Rid, Sequence};

    use super::*;

    const RID: [u8; 32] = [1; 32];

    fn delegate(n: u8) -> Delegate {
        let text = format!("openpgp:{}", format!("{n:02x}").repeat(20));
        text.parse().unwrap()
    }

    fn said(n: u8, who: &[Delegate]) -> Gathered {
        let mark = Mark::new(Epoch(0), Sequence(n.into()), Identity::of(&[n]));
        Gathered::new(Rid::from_bytes(RID), mark, who, &[])
    }

    fn keep(gathering: &mut Gathering, n: u8, who: Vec<Delegate>, size: usize) {
        let said = said(n, &who);
        let waits = true;
        gathering.kept.insert(
            said.mark.identity,
            Kept {
                who,
                size,
                said,
                waits,
            },
        );
    }

    #[test]
    fn one_delegate_does_not_crowd_the_others_out() {
        let mut gathering = Gathering::default();
        for n in 0..EACH {
            assert!(gathering.has_room(&[delegate(1)], 1));
            keep(&mut gathering, n as u8, vec![delegate(1)], 1);
        }
        assert!(!gathering.has_room(&[delegate(1)], 1));
        assert!(gathering.has_room(&[delegate(2)], 1));
        assert!(gathering.has_room(&[delegate(1), delegate(2)], 1));
        keep(&mut gathering, 99, vec![delegate(3)], BYTES);
        assert!(!gathering.has_room(&[delegate(2)], 1), "bytes");
        let mut full = Gathering::default();
        for n in 0..TEXTS {
            keep(&mut full, n as u8, vec![delegate(n as u8 / 4)], 1);
        }
        assert!(!full.has_room(&[delegate(200)], 1), "texts");
    }

    #[test]
    fn a_peer_is_asked_once_for_what_it_says_and_not_for_ever() {
        let mut gathering = Gathering::default();
        let conn = ConnId(1);
        let asks = |gathering: &mut Gathering, wanted: bool| {
            gathering.consider(|_, _| wanted);
            std::mem::take(&mut gathering.queue).len()
        };
        gathering.hears(conn, said(1, &[delegate(1)]));
        assert_eq!(asks(&mut gathering, false), 0);
        assert_eq!(asks(&mut gathering, true), 1, "it may matter later");
        gathering.hears(conn, said(1, &[delegate(1)]));
        assert_eq!(asks(&mut gathering, true), 0);
        gathering.hears(conn, said(1, &[delegate(2)]));
        assert_eq!(asks(&mut gathering, true), 1, "others sealed it");
        for n in 0..=255 {
            gathering.hears(conn, said(n, &[]));
        }
        assert_eq!(gathering.heard[&conn].len(), ASKS);
        asks(&mut gathering, true);
        gathering.gone(conn);
        assert!(gathering.heard.is_empty());
    }

    /// A seal may come before the word by which it counts.
    #[test]
    fn what_counted_for_nothing_is_asked_for_again_when_the_charter_has_more_seals() {
        let mut gathering = Gathering::default();
        let conn = ConnId(1);
        gathering.charter(Some((Epoch(1), 2)));
        gathering.hears(conn, said(1, &[delegate(1)]));
        gathering.consider(|_, _| true);
        assert_eq!(gathering.queue.drain(..).count(), 1);
        assert!(!gathering.charter(Some((Epoch(1), 2))));
        gathering.consider(|_, _| true);
        assert_eq!(gathering.queue.len(), 0, "nothing is new");
        assert!(gathering.charter(Some((Epoch(1), 3))));
        gathering.consider(|_, _| true);
        assert_eq!(gathering.queue.len(), 1);
    }

    #[test]
    fn silence_is_not_waited_for_without_end() {
        let mut gathering = Gathering::default();
        let (one, two) = (ConnId(1), ConnId(2));
        for n in [1, 2] {
            gathering.hears(one, said(n, &[]));
        }
        gathering.hears(two, said(1, &[]));
        gathering.consider(|_, _| true);
        let now = Instant::now();
        let ask = |gathering: &mut Gathering| {
            let (conn, mark) = gathering.next(|_| true)?;
            gathering.sent(conn, mark, now);
            Some((conn, mark))
        };
        let (first, mark) = ask(&mut gathering).unwrap();
        assert_eq!(first, one);
        assert_eq!(ask(&mut gathering).unwrap().0, two);
        assert_eq!(ask(&mut gathering), None, "one thing at a time of each");
        gathering.answered(two, false);
        gathering.give_up(now + PATIENCE);
        assert!(gathering.is_busy(one));
        gathering.give_up(now + PATIENCE * 2);
        assert!(!gathering.is_busy(one), "its statement can be asked for");
        assert_eq!(ask(&mut gathering), None, "and nothing else of this kind");
        // It was asked for its statement, and that comes first.
        assert_eq!(gathering.answered(one, true), None);
        assert_eq!(gathering.answered(one, false), Some(mark));
        assert_eq!(ask(&mut gathering).unwrap().0, one, "it speaks again");
    }
}
