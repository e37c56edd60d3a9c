//! Turns among our own kind, the giving side (SWARM.md, U1 to U4): who may
//! fetch the next piece. How many such permissions are out at a time is the
//! question of [`depth`].

mod depth;
mod gifts;
mod ledger;

use std::time::Duration;

use bytes::Bytes;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use super::torrent::Torrent;
use crate::geometry::PieceIndex;
use crate::message::Message;
use crate::turn;

use depth::START_MOST;
use ledger::Grant;

pub(super) use depth::{Turns, middle};
pub(super) use ledger::Ledger;

/// How often another peer is drawn in the place of one whose connection would
/// have to start up (N = 100, 5 ms, six seeds, a fifth rides free, pieces of 256
/// KiB: 0.950 with three and with six draws, 0.948 with two. Uneven uplinks, 128 KiB:
/// 0.9685, 0.9677 and 0.9678).
const REDRAWN: usize = 3;

/// The same on a long line (N = 100, 25 ms, v1, six seeds: 6: 0.9275, 3: 0.9271,
/// once: 0.9261; pieces of 256 KiB 0.8946 with 6, 0.8933 with 3).
const REDRAWN_LONG: usize = 6;

/// How many more peers are looked at for one that lags far behind those two. In
/// a crowd of equals there is none; where half of all cannot be connected to,
/// they can be served by the other half alone, and two draws at random meet one
/// of them in three of four cases (two seeds: 0.873 with these, 0.726 without).
const OTHERS: usize = 8;

/// How far that is: such a share of the pieces that we have, and of all.
const LAGS: (f64, f64) = (0.05, 1.0 / 32.0);

/// How long a peer that passed is left alone, unless a piece comes in.
const PASSED: Duration = Duration::from_millis(50);

/// How long one that passed and wants nothing of us is.
const UNWANTED: Duration = Duration::from_millis(400);

/// How long a grant may be without an answer, and a take without a request.
const ANSWER: Duration = Duration::from_secs(2);

/// A peer that may be given a turn now.
#[derive(Clone, Copy, Debug)]
struct Ready {
    conn: ConnId,
    /// Turns that it has already.
    open: usize,
    /// Pieces that it has.
    has: u32,
    /// Whether it gives back what it is given.
    gives: bool,
    /// Whether its connection need not start up.
    warm: bool,
}

impl Link {
    /// Tells whether the peer takes turns.
    pub(super) fn takes_turns(&self) -> bool {
        self.turns.number.is_some()
    }
}

impl Torrent {
    /// Tells whether a peer lacks something that we have and show it, or that
    /// may be promised to it.
    fn is_of_use_to(&self, link: &Link, through: bool) -> bool {
        let shown = link.shown.as_ref().unwrap_or(&self.have);
        shown.has_more_than(link.peer.have())
            || match through {
                // It may choose among all that it was promised.
                true => self.promises.count_for(link) > link.turns.unanswered(),
                false => self.promises.next_for(link).is_some(),
            }
    }
}

impl Swarm {
    /// Returns how many bytes a turn is about.
    pub(super) fn turn_length(&self) -> u32 {
        let piece = self
            .torrent
            .as_ref()
            .map_or(0, |t| t.geometry.piece_length());
        u32::try_from(piece).unwrap_or(turn::MOST).min(turn::MOST)
    }

    /// Gives turns while some are free (U1, U2).
    pub(super) fn grant_turns(&mut self) {
        self.look_for_idleness();
        let Some(torrent) = &self.torrent else { return };
        // Turns that wait for blocks fill nothing, and are given as long as
        // nothing else waits to be sent: who promises more than the uplink
        // carries is waited for by many, while others are idle.
        let through = self.is_through();
        let waiting = match through && self.server.waiting() == 0 {
            true => torrent.promises.waiting().min(START_MOST),
            false => 0,
        };
        let depth = self.turns.depth + self.turns.more + waiting;
        if self.turns.open >= depth
            || self.dispatch_is_on()
            || self.options.slots == 0
            || torrent.failed
            || self.stopped
            || (torrent.have.is_empty() && torrent.promises.is_empty())
        {
            return;
        }
        let pieces = torrent.have.count() + torrent.promises.count();
        let all = f64::from(torrent.have.len());
        let far = ((LAGS.0 * f64::from(pieces) + LAGS.1 * all) as u32).max(2);
        let turn = self.turn_length();
        let (mut takers, mut ready, mut next) = (0, Vec::new(), Duration::MAX);
        for link in self.links.values() {
            let fits = link.takes_turns()
                && link.choked
                && link.is_open()
                && link.peer.have().count() < link.peer.have().len()
                && torrent.is_of_use_to(link, through);
            if !fits {
                continue;
            }
            takers += 1;
            let rests = link.turns.rest > self.now
                && (link.turns.rest_pieces == pieces || link.turns.deaf > 0);
            if rests {
                next = next.min(link.turns.rest);
            } else if link.turns.has_room(turn) {
                let given = self.gives_back(link);
                ready.push(Ready {
                    conn: link.conn,
                    open: link.turns.open(),
                    has: link.peer.have().count(),
                    gives: given,
                    warm: link.ramp.is_warm(self.now),
                });
            }
        }
        let each = depth.div_ceil(takers.max(1));
        ready.retain(|one| one.open < each);
        if self.merit.is_wary()
            && !self.chance.below(10).eq(&0)
            && ready.iter().any(|one| one.gives)
        {
            ready.retain(|one| one.gives);
        }
        let long = self.turns.is_long();
        let redrawn = if long { REDRAWN_LONG } else { REDRAWN };
        while self.turns.open < depth && !ready.is_empty() {
            // The needier of two by chance; the neediest of all would have
            // every giver run to the same peer.
            let mut draw = || {
                let mut at = self.chance.below(ready.len());
                for _ in 0..redrawn {
                    if !ready[at].warm {
                        at = self.chance.below(ready.len());
                    }
                }
                at
            };
            let (one, two) = (draw(), draw());
            let need = |at: usize| (ready[at].open, ready[at].has);
            let mut at = if need(one) <= need(two) { one } else { two };
            for _ in 0..OTHERS {
                let other = self.chance.below(ready.len());
                let (open, has) = (ready[other].open, ready[other].has.saturating_add(far));
                if open <= ready[at].open && has <= ready[at].has {
                    at = other;
                }
            }
            let Ready { conn, open, .. } = ready[at];
            self.grant(conn, None);
            let again = match (&self.torrent, self.links.get(&conn)) {
                (Some(torrent), Some(link)) => {
                    link.turns.has_room(turn) && torrent.is_of_use_to(link, through)
                }
                _ => false,
            };
            if open + 1 >= each || !again {
                ready.swap_remove(at);
            } else {
                ready[at].open += 1;
            }
        }
        if next < Duration::MAX {
            self.alarm_soon(next);
        }
    }

    /// Gives one turn.
    pub(super) fn grant(&mut self, conn: ConnId, piece: Option<PieceIndex>) {
        let bytes = self.turn_length();
        let now = self.now;
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let Some(id) = link.turns.number else { return };
        link.turns.grant(Grant {
            at: now,
            piece,
            gift: false,
        });
        link.turns.active = now;
        self.turns.open += 1;
        let soon = match (&mut self.torrent, piece) {
            (Some(torrent), None) => {
                let soon = torrent.promises.next_for(link);
                if let Some(piece) = soon {
                    torrent.promises.tell(conn, piece);
                }
                soon
            }
            _ => None,
        };
        self.prove_to(conn, soon.or(piece));
        let grant = match soon {
            Some(piece) => turn::Message::Promise { bytes, piece },
            None => turn::Message::Grant { bytes, piece },
        };
        let payload = grant.write();
        self.say(conn, Message::Extended { id, payload });
        if let Some(late) = self.turns.late_at(now).filter(|_| !self.is_through()) {
            self.alarm_soon(late);
        }
        self.alarm(now + ANSWER);
    }

    pub(super) fn hear_turn(&mut self, conn: ConnId, payload: &Bytes) {
        match turn::Message::read(payload) {
            Some(grant @ (turn::Message::Grant { .. } | turn::Message::Promise { .. })) => {
                self.take_turn(conn, grant);
            }
            Some(turn::Message::Take { bytes }) => self.was_taken(conn, bytes),
            Some(turn::Message::Whole { piece }) => self.was_taken_whole(conn, piece),
            Some(turn::Message::Gift { piece }) => self.take_gift(conn, piece),
            Some(turn::Message::Pieces { pieces }) => self.hear_list(conn, pieces),
            Some(turn::Message::Layers) => self.hear_layers(conn),
            Some(turn::Message::Proof { piece, hashes }) => self.hear_proof(conn, piece, &hashes),
            None => {}
        }
    }

    fn was_taken(&mut self, conn: ConnId, bytes: u32) {
        let now = self.now;
        let most = self.turn_length();
        let pieces = self.torrent.as_ref();
        let pieces = pieces.map_or(0, |t| t.have.count() + t.promises.count());
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        // An answer to a grant that was withdrawn: its requests are refused.
        let Some(Grant { at, piece, gift }) = link.turns.answered() else {
            return;
        };
        let delay = now.saturating_sub(at);
        let least = link.turns.delay.map_or(delay, |least| least.min(delay));
        link.turns.delay = Some(least);
        link.turns.deaf = 0;
        link.turns.active = now;
        if let Some(piece) = piece.filter(|_| gift) {
            return self.gift_answered(conn, piece, bytes > 0);
        }
        let bytes = bytes.min(most);
        if bytes > 0 {
            link.turns.taken.push_back(bytes);
            link.turns.allowance += bytes;
            return;
        }
        self.turns.open -= 1;
        let wait = if link.peer.is_interested() {
            PASSED
        } else {
            UNWANTED
        };
        link.turns.rest = now + wait;
        link.turns.rest_pieces = pieces;
        link.turns.full = !link.turns.taken.is_empty();
        match piece {
            Some(piece) if self.dispatch_is_on() => self.dispatch_passed(conn, piece),
            _ => self.grant_turns(),
        }
    }

    /// Notes that so many bytes that a peer asked for need no more serving.
    pub(super) fn turn_served(&mut self, conn: ConnId, bytes: u32) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let mut left = bytes;
        let mut over = 0;
        while left > 0
            && let Some(first) = link.turns.taken.front_mut()
        {
            let part = left.min(*first);
            *first -= part;
            left -= part;
            if *first == 0 {
                link.turns.taken.pop_front();
                over += 1;
            }
        }
        if over > 0 {
            if std::mem::take(&mut link.turns.full) {
                link.turns.rest = self.now;
            }
            self.turns.open -= over;
            if self.dispatch_is_on() {
                self.dispatch_goes_on(conn);
            }
            self.grant_turns();
        }
    }

    /// Takes grants back that nobody answers, and measures.
    pub(super) fn time_turns(&mut self) {
        let now = self.now;
        let mut next = Duration::MAX;
        let mut withdrawn = 0;
        let mut lost = Vec::new();
        for link in self.links.values_mut() {
            let ledger = &mut link.turns;
            while let Some(grant) = ledger.oldest() {
                if grant.at + ANSWER > now {
                    next = next.min(grant.at + ANSWER);
                    break;
                }
                ledger.answered();
                ledger.deaf += 1;
                ledger.rest = now + ANSWER * 2_u32.pow(ledger.deaf.min(5));
                if grant.gift {
                    // It goes out all the same; that nobody takes it is seen
                    // where it is not passed on.
                    continue;
                }
                withdrawn += 1;
                lost.extend(grant.piece.map(|piece| (link.conn, piece)));
            }
            if ledger.allowance > 0 {
                if ledger.active + ANSWER > now {
                    next = next.min(ledger.active + ANSWER);
                    continue;
                }
                // It took more than it asked for.
                let mut left = std::mem::take(&mut ledger.allowance);
                while let Some(last) = ledger.taken.back_mut() {
                    let part = left.min(*last);
                    *last -= part;
                    left -= part;
                    if *last > 0 {
                        break;
                    }
                    ledger.taken.pop_back();
                    withdrawn += 1;
                }
            }
        }
        self.turns.open -= withdrawn;
        for (conn, piece) in lost {
            self.dispatch_passed(conn, piece);
        }
        self.alarm(next);
        self.grant_turns();
    }

    pub(super) fn forget_turns(&mut self, link: &Link) {
        self.turns.open -= link.turns.open();
    }
}
