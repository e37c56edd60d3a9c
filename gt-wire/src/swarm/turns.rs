//! Turns among our own kind, the giving side (SWARM.md, U1 to U4): who may
//! fetch the next piece, and how many such permissions are out at a time.
//!
//! One turn too few leaves the uplink idle, one too many shares it. How many
//! it takes follows from the time between a grant and its first request, the
//! rate of the uplink and the length of a piece.

use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use super::Swarm;
use super::connect::QUEUE_REQUESTS;
use super::input::ConnId;
use super::link::Link;
use super::ramp::WINDOW;
use super::stats::Rate;
use super::torrent::Torrent;
use crate::geometry::PieceIndex;
use crate::message::Message;
use crate::turn;

/// Turns that are out while neither rate nor delay are known.
const FIRST: usize = 4;

/// The same on a long line, which one connection that starts up does not fill.
const FIRST_LONG: usize = 8;

/// From this round trip on a line is long: it is looked at whether connections
/// wait for answers, and whether the uplink is idle. On short ones one
/// connection more would only delay the first (N = 100, 5 ms: 0.940 with it,
/// 0.948 without; 25 ms: 0.73 and 0.67).
const LONG: Duration = Duration::from_millis(20);

/// On a long line, how often another peer is drawn in the place of one whose
/// connection would have to start up.
const REDRAWN: usize = 3;

/// Turns for each piece that is on its way in a round trip, so that others fill
/// the line while a connection that was idle starts up (U4). The study has 8;
/// with strict priority 2 and 3 were best here (N = 100: 0.948, 8: 0.939), and
/// where pieces are promised as well 2 (twenty seeds: 0.9500, 2.5: 0.9494).
const STARTING: f64 = 2.0;

/// The same on long lines (25 ms: 0.889, 2: 0.882).
const STARTING_LONG: f64 = 2.5;

/// The share of a round trip that cold connections together shall fill.
const COLD: f64 = 0.6;

/// The most turns that start-up of connections asks for (U4).
const START_MOST: usize = 24;

/// The most turns at a time.
const MOST: usize = 128;

/// How long a peer that passed is left alone, unless a piece comes in.
const PASSED: Duration = Duration::from_millis(50);

/// How long one that passed and wants nothing of us is.
const UNWANTED: Duration = Duration::from_millis(400);

/// How long a grant may be without an answer, and a take without a request.
const ANSWER: Duration = Duration::from_secs(2);

/// The time over which the rate of a long line is taken, in seconds, from the
/// first block on. Over a longer one a crowd that is only beginning is taken
/// for all that the line holds, and gets too few turns to become more (N = 100,
/// 25 ms: 0.74 without it, 0.87 with it). On short lines more turns early would
/// only share the uplink.
const PACE: f64 = 0.5;

/// Time between two looks at rate and delay.
const MEASURE: Duration = Duration::from_millis(100);

/// What one link and we owe each other by turns.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The peer's number for the extension, once it has said.
    pub(super) number: Option<u8>,
    /// Grants without an answer: when, and which piece was offered.
    granted: std::collections::VecDeque<(Duration, Option<PieceIndex>)>,
    /// Bytes of each answered turn that were not served yet.
    taken: std::collections::VecDeque<u32>,
    /// Bytes that it may still ask for.
    pub(super) allowance: u32,
    /// When it last took or asked.
    pub(super) active: Duration,
    /// Not to be granted a turn before, unless we have more pieces than...
    rest: Duration,
    /// ...this.
    rest_pieces: u32,
    /// Whether it passed while turns that it took were still served, and so
    /// rests only until the next of them is over.
    full: bool,
    /// Grants to us that wait until piece layers are known.
    pub(super) held: Vec<turn::Message>,
    /// Grants in a row that it did not answer.
    deaf: u32,
    /// Shortest time from a grant to its answer.
    pub(super) delay: Option<Duration>,
}

impl Ledger {
    /// Tells whether the peer is left alone after a pass or silence.
    pub(super) fn rests(&self, now: Duration) -> bool {
        self.rest > now
    }

    fn open(&self) -> usize {
        self.granted.len() + self.taken.len()
    }

    /// Tells whether no turn is out.
    pub(super) fn is_idle(&self) -> bool {
        self.open() == 0
    }

    /// Tells whether the peer can take one more turn of so many bytes: nobody
    /// asks for more at a time than we said that we take.
    pub(super) fn has_room(&self, turn: u32) -> bool {
        let open = self.open() as u64;
        open == 0 || (open + 1) * u64::from(turn) <= (QUEUE_REQUESTS * BLOCK) as u64
    }
}

/// Turns that are out, and what their number follows from.
#[derive(Debug)]
pub(super) struct Turns {
    open: usize,
    /// Whether anybody ever asked for a block: before, rates say nothing.
    asked: bool,
    /// What goes out, since then and at all, and the most of it of late.
    blocks: Rate,
    up: Rate,
    peak: f64,
    delay: Duration,
    depth: usize,
    measured: Duration,
    /// When anything last went out.
    pub(super) flowed: Duration,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            open: 0,
            asked: false,
            blocks: Rate::over(PACE),
            up: Rate::default(),
            peak: 0.0,
            delay: Duration::ZERO,
            depth: FIRST,
            measured: Duration::ZERO,
            flowed: Duration::ZERO,
        }
    }

    /// Returns how many turns are out, and how many connections are fed, at
    /// most.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the usual time from a grant to its answer.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// Returns the highest rate of sending of late, in bytes a second.
    pub(super) fn pace(&self) -> f64 {
        self.peak
    }

    /// Notes that a block is on its way out.
    pub(super) fn begin(&mut self) {
        self.asked = true;
    }

    /// Tells whether the line is so long that a connection that starts up
    /// leaves it idle.
    pub(super) fn is_long(&self) -> bool {
        self.delay > LONG
    }

    /// Notes a round trip, for as long as no turn has told a better one.
    pub(super) fn note_trip(&mut self, trip: Duration) {
        if self.delay.is_zero() {
            self.delay = trip;
            if self.peak == 0.0 && self.is_long() {
                self.depth = FIRST_LONG;
            }
        }
    }

    /// Returns how many pieces have to be under way to fill the line where
    /// each is asked for first, and then goes out by a connection whose window
    /// doubles from ten segments on.
    pub(super) fn starting(&self, piece: f64) -> usize {
        let trips = 1.0 + (1.0 + piece / WINDOW).log2();
        let pieces = self.delay.as_secs_f64() * self.peak / piece.max(1.0);
        2 + (trips * pieces).round() as usize
    }

    pub(super) fn sent(&mut self, now: Duration, bytes: usize) {
        self.up.add(now, bytes);
        if self.asked {
            self.blocks.add(now, bytes);
        }
        self.flowed = now;
    }
}

/// The law of U4: enough for slow start after idleness while the delay is
/// small, and one and a half times what is on its way where it is long.
fn depth(delay: Duration, pace: f64, piece: f64) -> usize {
    let pieces = delay.as_secs_f64() * pace / piece.max(1.0);
    let each = if delay > LONG {
        STARTING_LONG
    } else {
        STARTING
    };
    let starting = 2.0 + (each * pieces).round();
    let cold = (COLD * delay.as_secs_f64() * pace / WINDOW).round();
    let starting = starting.max(cold).min(START_MOST as f64);
    let under_way = 2.0 + (1.5 * pieces).round();
    (starting.max(under_way) as usize).min(MOST)
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
                true => self.promises.count_for(link) > link.turns.granted.len(),
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
        let Some(torrent) = &self.torrent else { return };
        // Turns that wait for blocks fill nothing, and are given as long as
        // nothing else waits to be sent: who promises more than the uplink
        // carries is waited for by many, while others are idle.
        let through = self.is_through();
        let waiting = match through && self.server.waiting() == 0 {
            true => torrent.promises.waiting().min(START_MOST),
            false => 0,
        };
        let depth = self.turns.depth + waiting;
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
                ready.push((
                    link.conn,
                    link.turns.open(),
                    link.peer.have().count(),
                    given,
                    link.ramp.is_warm(self.now),
                ));
            }
        }
        let each = depth.div_ceil(takers.max(1));
        ready.retain(|(_, open, ..)| *open < each);
        if self.merit.is_wary() && !self.chance.below(10).eq(&0) && ready.iter().any(|r| r.3) {
            ready.retain(|(_, _, _, given, _)| *given);
        }
        let redrawn = if self.turns.is_long() { REDRAWN } else { 0 };
        while self.turns.open < depth && !ready.is_empty() {
            // The needier of two by chance; the neediest of all would have
            // every giver run to the same peer.
            let mut draw = || {
                let mut at = self.chance.below(ready.len());
                for _ in 0..redrawn {
                    if !ready[at].4 {
                        at = self.chance.below(ready.len());
                    }
                }
                at
            };
            let (one, two) = (draw(), draw());
            let at = if (ready[one].1, ready[one].2) <= (ready[two].1, ready[two].2) {
                one
            } else {
                two
            };
            let (conn, open, ..) = ready[at];
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
                ready[at].1 += 1;
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
        link.turns.granted.push_back((now, piece));
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
        self.alarm(now + ANSWER);
    }

    pub(super) fn hear_turn(&mut self, conn: ConnId, payload: &Bytes) {
        match turn::Message::read(payload) {
            Some(grant @ (turn::Message::Grant { .. } | turn::Message::Promise { .. })) => {
                self.take_turn(conn, grant);
            }
            Some(turn::Message::Take { bytes }) => self.was_taken(conn, bytes),
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
        let Some((at, piece)) = link.turns.granted.pop_front() else {
            return;
        };
        let delay = now.saturating_sub(at);
        let least = link.turns.delay.map_or(delay, |least| least.min(delay));
        link.turns.delay = Some(least);
        link.turns.deaf = 0;
        link.turns.active = now;
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
            while let Some((at, piece)) = ledger.granted.front().copied() {
                if at + ANSWER > now {
                    next = next.min(at + ANSWER);
                    break;
                }
                ledger.granted.pop_front();
                ledger.deaf += 1;
                ledger.rest = now + ANSWER * 2_u32.pow(ledger.deaf.min(5));
                withdrawn += 1;
                lost.extend(piece.map(|piece| (link.conn, piece)));
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

    /// Looks at rate and delay anew, now and then.
    pub(super) fn measure_turns(&mut self) {
        let now = self.now;
        if self.turns.measured + MEASURE > now {
            return;
        }
        self.turns.measured = now;
        let rate = match self.turns.is_long() {
            true => self.turns.blocks.value(now),
            false => self.turns.up.value(now),
        };
        self.turns.peak = rate.max(self.turns.peak * 0.99);
        let mut delays: Vec<Duration> = self.links.values().filter_map(|l| l.turns.delay).collect();
        if delays.is_empty() {
            return;
        }
        let middle = delays.len() / 2;
        self.turns.delay = *delays.select_nth_unstable(middle).1;
        let piece = f64::from(self.turn_length());
        if self.turns.peak > 0.0 {
            self.turns.depth = depth(self.turns.delay, self.turns.peak, piece);
        }
    }

    pub(super) fn forget_turns(&mut self, link: &Link) {
        self.turns.open -= link.turns.open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_law() {
        let millis = Duration::from_millis;
        let u = 5e6;
        let k128 = 131_072.0;
        assert_eq!(depth(millis(0), u, k128), 2);
        assert_eq!(depth(millis(10), u, k128), 3);
        assert_eq!(depth(millis(50), u, k128), 10);
        // A long and fat line needs what it holds.
        assert_eq!(depth(millis(200), 12.5e6, k128), 31);
        assert_eq!(depth(millis(900), 1e9, k128), MOST);
    }
}
