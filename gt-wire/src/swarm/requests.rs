//! What to ask of whom, how much at a time, and when to stop waiting.
//!
//! A peer is asked for whole pieces, the next one only when the last is nearly
//! through: what is asked early of one peer is lost to all others, and deep
//! queues are what costs stock swarms half of their speed (SWARM.md, D1-D3).

use std::cmp::Reverse;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use super::Swarm;
use super::connect::QUEUE_REQUESTS;
use super::input::{ConnId, Failure};
use super::link::Link;
use super::mirrors::after;
use super::output::{Event, Output, Reason};
use super::pieces::{Arrival, Partial, Phase};
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;

/// How long a peer that never sent anything may take.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// The same for an HTTP source, which may have to be looked up, connected to,
/// and redirected by.
const MIRROR_WAIT: Duration = Duration::from_secs(15);

/// The shortest wait for a peer whose pace is known.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// For how long a block is owed before an idle peer is asked for it as well.
/// Paces say too little for that: short bursts make equal peers look unequal.
const OVERDUE: Duration = Duration::from_millis(500);

/// While so few pieces are on their way, and nothing is left to be asked for,
/// who gives a turn is asked for a block of them: uplinks are idle then, and a
/// connection that starts up takes four round trips for a piece (N = 100, six
/// seeds: uneven 0.927, without this 0.913; 25 ms, v1 0.926 and 0.925, v2 0.928
/// and 0.926. With eight instead of four the same at 25 ms, but 0.928 instead
/// of 0.940 where peers leave once they are done).
const LAST: usize = 4;

/// For how long such a block is owed at least, beside a round trip.
const LAST_OWED: Duration = Duration::from_millis(40);

/// The longest.
const MOST_WAIT: Duration = Duration::from_secs(30);

/// Blocks of a slow peer that another is asked for.
const AGAIN: usize = 4;

/// Blocks asked for at a time of one piece.
const AT_ONCE: usize = 64;

/// Requests that a peer is believed to take where it does not say.
const REQQ: u32 = 250;

/// Bytes that may wait for the disk before nothing more is asked for.
const WRITING: usize = 32 << 20;

/// The most pieces that are put together at a time.
const PARTIALS: usize = 1024;

/// For how long a peer that gives turns is not asked for what it refused.
const REFUSED: Duration = Duration::from_secs(2);

/// The same for other kinds: what they reject may be what was taken back and asked
/// for once more since, and they may never let us in anew.
const REFUSED_BY_OTHERS: Duration = Duration::from_secs(30);

/// Blocks that nobody asked for before a peer is thrown out.
const UNASKED: u32 = 64;

impl Link {
    /// Returns how long it may take to send the next block.
    fn patience(&self, piece: u64) -> Duration {
        let wait = if self.downloaded == 0 {
            if self.errands.is_some() {
                MIRROR_WAIT
            } else {
                FIRST_WAIT
            }
        } else {
            let expected = 4.0 * piece as f64 / self.pace.max(1.0);
            Duration::from_secs_f64(expected.min(MOST_WAIT.as_secs_f64()))
                .clamp(LEAST_WAIT, MOST_WAIT)
        };
        wait * 2_u32.pow(self.snubs.min(4))
    }

    /// Returns below how many outstanding requests more are made: enough to
    /// cover the time that a request and its answer take. Where there are
    /// other sources it is better to be idle for that time than to be
    /// committed early, so that the depth falls with their cube.
    fn low_water(&self, sources: usize) -> usize {
        let latency = self.latency.unwrap_or_default().as_secs_f64();
        let covered = (1.5 * self.pace * latency / BLOCK as f64) as usize;
        let most = self.queue_limit();
        let shared = AT_ONCE * 4 / sources.max(1).pow(3);
        (2 + covered.min(shared)).min(most.max(1))
    }

    /// Tells whether there is anything that the peer may be asked for without a
    /// turn.
    pub(super) fn may_be_refilled(&self) -> bool {
        let barred = self.peer.is_choking() && self.fast.allowed.is_empty();
        !barred && self.useful > 0 && self.interested
    }

    /// Returns how many requests the peer takes at a time.
    pub(super) fn queue_limit(&self) -> usize {
        self.extensions
            .as_ref()
            .and_then(|e| e.queue)
            .unwrap_or(REQQ)
            .min(QUEUE_REQUESTS as u32) as usize
    }
}

impl Swarm {
    /// Tells whether anything may be asked for now.
    pub(super) fn may_ask(&self) -> bool {
        self.torrent.as_ref().is_some_and(|t| {
            !t.failed && t.stalled.is_none() && t.writing < WRITING && !self.stopped
        })
    }

    /// Lets the peers that would send us something now be counted again when
    /// their number is asked for: where all take turns it hardly ever is.
    pub(super) fn count_sources(&mut self) {
        self.sources = None;
    }

    /// Returns how many peers would send us something now.
    fn sources(&mut self) -> usize {
        let gives = |link: &&Link| link.interested && !link.peer.is_choking() && link.snubs == 0;
        let links = &self.links;
        *self
            .sources
            .get_or_insert_with(|| links.values().filter(gives).count())
    }

    /// Asks every peer for what it can give.
    pub(super) fn refill_all(&mut self) {
        if self.may_ask() {
            for conn in self.conns() {
                self.refill(conn);
            }
        }
    }

    /// Asks a peer for more, if it is time.
    pub(super) fn refill(&mut self, conn: ConnId) {
        if !self.may_ask()
            || !self.links.get(&conn).is_some_and(Link::may_be_refilled)
            || !self.is_needed(conn)
        {
            return;
        }
        let sources = self.sources();
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        let choking = link.peer.is_choking();
        // A peer that let requests run out is tried with one block at a time.
        let probing = link.snubs > 0;
        let low = match &link.errands {
            _ if probing => 1,
            Some(_) => link.mirror_water(),
            None => link.low_water(sources),
        };
        let most = if probing { 1 } else { AT_ONCE };
        let mut asked = Vec::new();
        while self.links.get(&conn).is_some_and(|l| l.asks.len() < low) {
            let chosen = match choking {
                true => self.choose_allowed(conn),
                false => self.choose_piece(conn, None),
            };
            let Some(piece) = chosen else { break };
            let blocks = self.begin_asking(conn, piece, most);
            if blocks.is_empty() {
                break;
            }
            asked.extend(blocks);
        }
        if asked.is_empty() && !choking && self.links.get(&conn).is_some_and(|l| l.asks.is_empty())
        {
            asked = self.end_game(conn, false);
        }
        self.wait_for(conn);
        for block in asked {
            self.say(conn, Message::Request(block));
        }
    }

    /// Chooses what to fetch of a peer: the piece that it offers, else a
    /// started one, else the rarest.
    pub(super) fn choose_piece(
        &mut self,
        conn: ConnId,
        offered: Option<PieceIndex>,
    ) -> Option<PieceIndex> {
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get(&conn)) else {
            return None;
        };
        let have = link.peer.have();
        let fits = |piece: &PieceIndex| {
            let partial = torrent.partials.get(piece);
            have.has(piece.0)
                && !link.refused.contains(piece)
                && partial.is_none_or(|p| p.only.is_none_or(|only| only == conn) && p.free() > 0)
        };
        let open = |piece: &PieceIndex| torrent.picker.is_open(*piece);
        if let Some(piece) = offered
            && fits(&piece)
            && (open(&piece) || torrent.loose.contains_key(&piece))
        {
            return Some(piece);
        }
        let mut suggested = link.fast.suggested.iter().filter(|p| fits(p) && open(p));
        if let Some(piece) = suggested.next() {
            return Some(*piece);
        }
        if let Some(piece) = torrent.loose.keys().find(|piece| fits(piece)) {
            return Some(*piece);
        }
        if torrent.partials.len() >= PARTIALS {
            return None;
        }
        match &link.errands {
            Some(errands) if self.is_alone() => torrent.picker.choose_from(errands.at),
            None if have.is_full() && self.is_alone() => {
                torrent.picker.choose_in_order(&link.refused)
            }
            _ => torrent.picker.choose(have, &link.refused),
        }
    }

    /// Tells whether nobody is connected who lacks anything, so that which
    /// piece comes first matters to nobody else.
    fn is_alone(&self) -> bool {
        self.links
            .values()
            .all(|link| link.is_seed() || link.errands.is_some())
    }

    /// Notes up to `most` blocks of a piece as asked of a peer.
    pub(super) fn begin_asking(
        &mut self,
        conn: ConnId,
        piece: PieceIndex,
        most: usize,
    ) -> Vec<Block> {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return Vec::new();
        };
        if let Some(errands) = &mut link.errands {
            errands.at = after(piece);
        }
        torrent.picker.close(piece);
        let partial = torrent.partials.get_or_insert_with(piece, || {
            let mut partial = Partial::new(piece, torrent.geometry.asked(piece).length);
            if torrent.suspects.doubts(piece) {
                partial.only = Some(conn);
            }
            partial
        });
        let blocks = partial.ask(conn, most);
        torrent.tidy(piece);
        for block in &blocks {
            if link.asks.is_empty() {
                link.owes_since = self.now;
            }
            link.asks.insert(*block, self.now);
        }
        blocks
    }

    /// Makes sure that a peer which owes something is looked at in time.
    pub(super) fn wait_for(&mut self, conn: ConnId) {
        let length = self.geometry().map_or(0, crate::Geometry::piece_length);
        if let Some(link) = self.links.get(&conn)
            && !link.asks.is_empty()
        {
            let at = link.owes_since + link.patience(length);
            self.alarm(at);
        }
    }

    /// Once every missing block is asked of somebody: asks an idle peer for
    /// some of those that a much slower one owes, the last first, at most two
    /// peers for each (D2). By a turn the last blocks of all are asked for one by
    /// one, of the piece that lacks most: each turn is another connection, and
    /// what one that starts up would send after its next answers comes by the
    /// others' first.
    pub(super) fn end_game(&mut self, conn: ConnId, by_turn: bool) -> Vec<Block> {
        let owed = self.turns.trip().max(LAST_OWED);
        let (Some(torrent), Some(mine)) = (&mut self.torrent, self.links.get(&conn)) else {
            return Vec::new();
        };
        if !torrent.picker.is_empty() || !torrent.loose.is_empty() || mine.snubs > 0 {
            return Vec::new();
        }
        let (overdue, most) = match by_turn && torrent.partials.len() <= LAST {
            true => (owed, 1),
            false => (OVERDUE, AGAIN),
        };
        let (now, links) = (self.now, &self.links);
        let slow = |other: ConnId, block: Block| {
            let Some(other) = links.get(&other) else {
                return true;
            };
            let waited = other
                .asks
                .get(&block)
                .map_or(Duration::ZERO, |at| now.saturating_sub(*at));
            other.snubs > 0 || waited > overdue
        };
        let have = mine.peer.have();
        let mut partials: Vec<(PieceIndex, &mut Partial)> = torrent
            .partials
            .iter_mut()
            .map(|(piece, partial)| (*piece, partial))
            .filter(|(piece, partial)| {
                partial.phase == Phase::Filling
                    && have.has(piece.0)
                    && !mine.refused.contains(piece)
            })
            .collect();
        partials.sort_by_key(|(_, partial)| Reverse(partial.missing()));
        let mut again = partials
            .into_iter()
            .map(|(_, partial)| partial.ask_again(conn, most, slow));
        let taken = again.find(|blocks| !blocks.is_empty()).unwrap_or_default();
        if let Some(link) = self.links.get_mut(&conn) {
            for block in &taken {
                link.owes_since = now;
                link.asks.insert(*block, now);
            }
        }
        taken
    }

    pub(super) fn got_block(&mut self, conn: ConnId, piece: PieceIndex, offset: u32, data: Bytes) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        let length = data.len();
        let block = Block {
            piece,
            offset,
            length: length as u32,
        };
        self.totals.downloaded += length as u64;
        if let Some(at) = link.asks.remove(&block) {
            let took = self.now.saturating_sub(at);
            link.latency = Some(link.latency.map_or(took, |least| least.min(took)));
            link.snubs = 0;
        } else if !link.late.remove(&block) {
            link.unasked += 1;
            self.totals.wasted += length as u64;
            if link.unasked > UNASKED {
                let why = "expected blocks that were asked for, got others".to_owned();
                self.lose(conn, Reason::Protocol(why), true);
            }
            return;
        }
        link.owes_since = self.now;
        link.useful_at = self.now;
        link.downloaded += length as u64;
        link.down.add(self.now, length);
        link.pace = link.down.value(self.now);
        self.intake.add(self.now, length);
        let from = (conn, link.addr);
        let arrival = match torrent.partials.get_mut(&piece) {
            Some(p) if p.phase == Phase::Filling && p.only.is_none_or(|only| only == conn) => {
                p.arrive(block, from)
            }
            _ => Arrival::Duplicate,
        };
        if let Arrival::New(_) = arrival
            && let Some(partial) = torrent.partials.get_mut(&piece)
        {
            partial.note(self.now);
        }
        torrent.tidy(piece);
        match arrival {
            Arrival::Duplicate => self.totals.wasted += length as u64,
            Arrival::New(others) => {
                torrent.writing += length;
                self.outputs.push_back(Output::Write { block, bytes: data });
                for other in others {
                    self.cancel(other, block);
                    self.refill(other);
                }
                self.promise(piece);
            }
        }
        self.refill(conn);
    }

    /// Takes a request back; the answer may be on its way already.
    pub(super) fn cancel(&mut self, conn: ConnId, block: Block) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        if link.asks.remove(&block).is_some() {
            if link.late.len() < 2 * QUEUE_REQUESTS {
                link.late.insert(block);
            }
            self.say(conn, Message::Cancel(block));
        }
    }

    /// A peer chokes us: without the fast extension, whatever we asked for is
    /// forgotten; with it, each request is rejected or answered.
    pub(super) fn was_choked(&mut self, conn: ConnId) {
        self.count_sources();
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        if !link.peer.abilities().fast() {
            self.release_all(conn, false);
            self.refill_all();
        }
    }

    pub(super) fn was_refused(&mut self, conn: ConnId, block: Block) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        // Answers come in order (BEP 6): first those to what is not wanted any
        // more, be it asked for once more since. Others than our own kind may
        // not answer what was taken back.
        let late = link.late.remove(&block) && link.takes_turns();
        if late || link.asks.remove(&block).is_none() {
            return;
        }
        if link.may_be_asked(block.piece) || link.takes_turns() {
            // Refused though we were let in: it is not to be asked again
            // until it lets us in anew, or for a while.
            link.refused.insert(block.piece);
            link.refused_at = self.now;
        }
        if let Some(partial) = torrent.partials.get_mut(&block.piece) {
            partial.release(block, conn);
            if partial.only == Some(conn) {
                partial.only = None;
            }
        }
        torrent.tidy(block.piece);
        self.refill_all();
    }

    /// Puts what a peer owes back for others.
    fn release_all(&mut self, conn: ConnId, cancel: bool) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        let asks: Vec<Block> = std::mem::take(&mut link.asks).keys().copied().collect();
        for block in &asks {
            if let Some(partial) = torrent.partials.get_mut(&block.piece) {
                partial.release(*block, conn);
                if partial.only == Some(conn) {
                    partial.only = None;
                }
            }
            torrent.tidy(block.piece);
            if cancel && link.late.len() < 2 * QUEUE_REQUESTS {
                link.late.insert(*block);
            }
        }
        if cancel {
            for block in asks {
                self.say(conn, Message::Cancel(block));
            }
        }
    }

    /// Takes requests back from peers that let them run out (D3).
    pub(super) fn time_requests(&mut self) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let length = torrent.geometry.piece_length();
        let mut over = false;
        if let Some(until) = torrent.stalled {
            if until <= self.now {
                torrent.stalled = None;
                over = true;
            } else {
                self.alarm(until);
            }
        }
        let (mut late, mut next) = (false, Duration::MAX);
        for conn in self.conns() {
            let Some(link) = self.links.get_mut(&conn) else {
                continue;
            };
            if !link.refused.is_empty() {
                let rests = match link.takes_turns() {
                    true => REFUSED,
                    false => REFUSED_BY_OTHERS,
                };
                let at = link.refused_at + rests;
                if at <= self.now {
                    link.refused.clear();
                    over |= !link.takes_turns();
                } else {
                    next = next.min(at);
                }
            }
            if link.asks.is_empty() {
                continue;
            }
            let at = link.owes_since + link.patience(length);
            if at <= self.now {
                link.snubs += 1;
                late = true;
                self.release_all(conn, true);
            } else {
                self.alarm(at);
            }
        }
        self.alarm(next);
        if late {
            self.count_sources();
        }
        if late || over {
            self.refill_all();
        }
    }

    /// Notes that the disk refused, and asks for nothing for a while.
    pub(super) fn stall(&mut self, failure: Failure) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let until = if failure.passing {
            let wait = Duration::from_secs(1) * 2_u32.pow(torrent.refusals.min(6));
            self.now + wait.min(Duration::from_secs(60))
        } else {
            Duration::MAX
        };
        if torrent.stalled.is_some_and(|at| at > self.now) {
            return;
        }
        torrent.refusals += 1;
        torrent.stalled = Some(until);
        self.alarm(until);
        let until = (until < Duration::MAX).then_some(until);
        self.event(Event::Stalled { failure, until });
    }
}
