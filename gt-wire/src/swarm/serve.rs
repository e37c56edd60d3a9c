//! Giving blocks to those who were let in: piece by piece, the oldest piece
//! first, and near the end the rarest, instead of a share for everybody. A piece
//! that is whole can be passed on; many halves cannot (SWARM.md, U1 and U4).
//!
//! It is priority and not exclusivity: when the first in the order has as much
//! under way as its connection takes, the next ones are served too.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use super::Swarm;
use super::connect::QUEUE_REQUESTS;
use super::input::{ConnId, Failure, ReadId};
use super::link::Link;
use super::output::{Event, Output, Reason};
use super::sorted::Sorted;
use super::torrent::Torrent;
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;

/// The most connections that are fed at a time.
const WIDTH_MOST: usize = 24;

/// So many later pieces that half as many peers have are served before one:
/// more than are asked for at a time, and still an end to waiting.
const PLACES: u64 = 8;

/// The share of all pieces that is most of them.
const MOST: (u64, u64) = (3, 4);

/// Bytes below which a connection has as good as nothing waiting.
const LOW: usize = BLOCK / 2;

/// Bytes that keep an uplink busy until the driver comes round again.
const ENOUGH: usize = BLOCK;

/// How long the driver may take to come round again.
const AROUND: Duration = Duration::from_micros(500);

/// On a long line, for each how much of its round trip a connection may have
/// one more block waiting, beside the first (N = 100, three seeds, 25 ms, v1 and
/// v2: 0.926 and 0.929 with two blocks, 0.919 and 0.926 with three; 50 ms: 0.862
/// and 0.861, 0.880 and 0.888).
const AHEAD: Duration = Duration::from_millis(50);

/// How many times as long as a block takes a connection may take nothing before
/// it is known not to fill the line (N = 100, 5 ms, six seeds, a fifth rides free, 256
/// KiB: 0.9464, with 1.3 0.9452). On a long line that is known from its window, and
/// to wait costs more (v2, 25 ms, three seeds: 0.930 with 1.3, 0.926 with 2; v1,
/// 50 ms, two and three: 0.888 and 0.804).
const MORE: f64 = 2.0;
const MORE_LONG: f64 = 1.3;

/// The shortest time without a byte taken after which the next is fed too.
const PAUSE_LEAST: Duration = Duration::from_millis(2);

/// The longest.
const PAUSE_MOST: Duration = Duration::from_millis(20);

/// After so long without taking a byte a connection is in nobody's way.
const STUCK: Duration = Duration::from_millis(500);

/// The order of serving, and what is being read.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Connections with requests, the oldest piece first, and rare ones before
    /// others.
    ready: BTreeSet<(u64, ConnId)>,
    /// Connections that have blocks waiting in the driver, in order.
    fed: Vec<ConnId>,
    tickets: u64,
    reads: Sorted<ReadId, (ConnId, Block)>,
    last_read: u64,
}

impl Server {
    /// Returns how many peers wait.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len()
    }

    /// Tells whether nothing is read or waits to be.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.reads.is_empty()
    }

    /// Gives a link that asks for something a place, unless it has one.
    pub(super) fn wait_for(&mut self, link: &mut Link, torrent: Option<&Torrent>) {
        if link.ticket.is_none() {
            self.line_up(link, torrent);
        }
    }

    /// Gives a link a place for the piece it asks for first, or takes its place
    /// away if it asks for nothing. The place is at the end, but before pieces
    /// that are much more common and came not long before.
    pub(super) fn line_up(&mut self, link: &mut Link, torrent: Option<&Torrent>) {
        if let Some(ticket) = link.ticket.take() {
            self.ready.remove(&(ticket, link.conn));
        }
        link.serving = link.queue.front().map(|block| block.piece);
        if let Some(piece) = link.serving {
            self.tickets += 1;
            let rank = torrent.map_or(0, |t| t.rank(piece));
            let ticket = self.tickets + PLACES * u64::from(rank);
            link.ticket = Some(ticket);
            self.ready.insert((ticket, link.conn));
        }
    }
}

impl Torrent {
    /// Returns how common a piece is among our peers as a power of two, once
    /// we have most of all; before, each is as common as another.
    ///
    /// The last pieces begin their way when others are almost through, and one
    /// that lags is what everybody waits for; where peers leave, its few givers
    /// do before all have it (N = 100, pieces of 256 KiB, leaving, 20 seeds:
    /// 0.937, 0.919 at least, origin 1.02; without this 0.894, 0.685 at least,
    /// origin 1.07; rare ones always before others 0.937, 0.933 at least, but
    /// then somebody may wait for ever). At the beginning everything is rare,
    /// and the order of the requests is better (a fifth rides free, six seeds:
    /// 0.949, ranked from the first piece on 0.947).
    fn rank(&self, piece: PieceIndex) -> u32 {
        let (have, all) = (u64::from(self.have.count()), u64::from(self.have.len()));
        match have * MOST.1 >= all * MOST.0 {
            true => (self.picker.count(piece) + 1).ilog2(),
            false => 0,
        }
    }
}

impl Swarm {
    pub(super) fn was_asked(&mut self, conn: ConnId, block: Block) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        if !torrent.geometry.serves(block) {
            let why = format!(
                "expected a block inside of piece {}, got one up to {}",
                block.piece,
                u64::from(block.offset) + u64::from(block.length)
            );
            return self.lose(conn, Reason::Protocol(why), true);
        }
        link.asked_at = self.now;
        let turn = link.choked && link.turns.allowance >= block.length;
        let promised = torrent.promises.has(block.piece, conn);
        let whole = torrent.have.has(block.piece.0);
        let partial = torrent.partials.get(&block.piece);
        let here = whole || promised && partial.is_some_and(|p| p.is_right(block));
        let refuse = link.choked && !turn && !link.gives_fast(block)
            || block.length as usize > BLOCK
            || !(whole || promised)
            || !link.was_shown(block.piece)
            || link.queue.len() >= QUEUE_REQUESTS;
        if refuse {
            if turn {
                link.turns.allowance -= block.length;
                self.turn_served(conn, block.length);
            }
            return self.refuse(conn, block);
        }
        if turn {
            link.turns.allowance -= block.length;
            link.turns.active = self.now;
        }
        if turn && self.is_through() {
            // Before the first block, so that the blocks can be given on.
            self.tell_proof(conn, block.piece);
        }
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        if !here {
            if !torrent.promises.wait(conn, block) {
                self.refuse(conn, block);
                self.turn_served(conn, block.length);
            }
            return;
        }
        link.queue.push_back(block);
        self.server.wait_for(link, Some(torrent));
        self.dispatch_requested(conn, block.piece);
        self.feed();
    }

    pub(super) fn was_cancelled(&mut self, conn: ConnId, block: Block) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        if let Some(at) = link.queue.iter().position(|b| *b == block) {
            link.queue.remove(at);
            if link.queue.front().map(|b| b.piece) != link.serving {
                self.server.line_up(link, self.torrent.as_ref());
            }
        } else {
            let torrent = self.torrent.as_mut();
            if !torrent.is_some_and(|t| t.promises.cancel(conn, block)) {
                return;
            }
        }
        // BEP 6: every request is answered by a block or by a rejection.
        self.refuse(conn, block);
        self.turn_served(conn, block.length);
    }

    /// Reads what may be sent now: for the first in the order as much as its
    /// connection takes, and for the next ones while it takes nothing or has
    /// all of its piece.
    pub(super) fn feed(&mut self) {
        if self.server.ready.is_empty() {
            return;
        }
        let now = self.now;
        let width = self.turns.depth().clamp(2, WIDTH_MOST);
        // Who is fed, in order; those that take nothing are in nobody's way.
        let mut fed = std::mem::take(&mut self.server.fed);
        fed.retain(|conn| {
            self.links
                .get(conn)
                .is_some_and(|link| link.queued + link.reading >= LOW && link.drained + STUCK > now)
        });
        let block = self.block_time();
        let shared = (block * fed.len().max(1) as u32).min(PAUSE_MOST);
        let mut order = self.server.ready.iter();
        let next = order.find(|(_, conn)| !fed.contains(conn)).copied();
        let first = fed.first().copied().or(next.map(|(_, conn)| conn));
        let mut flows = false;
        for conn in &fed {
            if flows {
                break;
            }
            // Its next piece is not older than what others wait for.
            let ticket = self.links.get(conn).and_then(|link| link.ticket);
            let is_late = ticket.zip(next).is_some_and(|(own, next)| own > next.0);
            let most = if is_late {
                0
            } else {
                self.window_of(*conn, first)
            };
            flows = self.feed_one(*conn, shared, most);
        }
        // Nothing at all went out for the time of a block: all of them wait
        // for answers, and there is room for one more.
        if self.turns.is_long() && self.turns.flowed + block <= now {
            self.turns.flowed = now;
            flows = false;
        }
        while !flows && fed.len() < width {
            let mut order = self.server.ready.iter().map(|(_, conn)| *conn);
            let Some(conn) = order.find(|conn| !fed.contains(conn)) else {
                break;
            };
            fed.push(conn);
            flows = self.feed_one(conn, shared, self.window_of(conn, first));
        }
        self.server.fed = fed;
        if !self.server.ready.is_empty() {
            self.alarm_soon(now + block);
        }
    }

    /// Looks after one connection, and gives it more up to so many bytes; tells
    /// whether it is busy with what it has. Where it starts up it is only until
    /// its window is used up: the next one is fed while it waits for answers.
    fn feed_one(&mut self, conn: ConnId, pause: Duration, most: usize) -> bool {
        self.top_up(conn, most);
        self.links.get(&conn).is_some_and(|link| {
            link.queued + link.reading >= ENOUGH
                && link.drained + pause > self.now
                && !link.ramp.is_spent(self.now)
        })
    }

    /// Returns how many bytes may wait for one connection: what goes out until
    /// the driver comes round again. More would lose the order of serving.
    fn window(&self) -> usize {
        let pace = self.turns.pace();
        let most = self.options.send_window;
        if pace == 0.0 && !self.turns.is_long() {
            return most;
        }
        (2 * BLOCK + (pace * AROUND.as_secs_f64()) as usize).min(most)
    }

    /// Returns how many bytes may wait for this one, where others are served
    /// as well. What waits in several connections leaves by all of them alike,
    /// and the order of serving is lost, so that no piece is whole before the
    /// last: a block at a time keeps it (N = 100, 5 ms, two to four seeds: 0.962 and
    /// 0.955 with three in each; uneven 0.968 and 0.956, of 256 KiB 0.960 and
    /// 0.941). Where blocks are given on one by one there is more to be had from
    /// many at a time (a fifth rides free, v2, 256 KiB: 0.955 and 0.948 with one).
    /// On a busy line words wait as long as blocks, and the driver has to have
    /// more (downlinks as uplinks: 0.846 and 0.829).
    ///
    /// What the driver took and could not send yet is among it: it goes out when
    /// answers come, beside what is older, and the words to its peer wait behind
    /// it. Only the first in the order is in nobody's way.
    fn window_of(&self, conn: ConnId, first: Option<ConnId>) -> usize {
        let window = self.window();
        let Some(link) = self.links.get(&conn) else {
            return window;
        };
        let long = self.turns.is_long();
        let alone = link.turns.open() >= self.turns.open();
        // Of many that came at once the first is alone for a moment.
        let begins = self.turns.pace() == 0.0 && self.links.len() > 1;
        let most = if long && self.dispatch_begins() {
            BLOCK
        } else if alone && (long || !begins) || self.turns.is_busy() {
            // Nobody else is served: it is in nobody's way.
            return window;
        } else if long {
            let trips = self.turns.trip().as_secs_f64() / AHEAD.as_secs_f64();
            (BLOCK as f64 * (1.0 + trips).max(2.0)) as usize
        } else if self.is_through() {
            2 * BLOCK
        } else {
            BLOCK
        };
        // A fast line takes more until the driver comes round again.
        let most = match long {
            true => most,
            false => most.max((self.turns.pace() * AROUND.as_secs_f64()) as usize),
        };
        let held = match first == Some(conn) && !long {
            true => 0,
            false => link.ramp.held(self.now),
        };
        window.min(most.saturating_sub(held))
    }

    /// Returns somewhat more than the time in which a block goes out; after so
    /// long without a byte taken a connection does not fill the uplink.
    fn block_time(&self) -> Duration {
        let more = if self.turns.is_long() {
            MORE_LONG
        } else {
            MORE
        };
        let block = more * BLOCK as f64 / self.turns.pace().max(1.0);
        Duration::from_secs_f64(block.min(1.0)).clamp(PAUSE_LEAST, PAUSE_MOST)
    }

    /// Reads for one connection what it may have waiting.
    fn top_up(&mut self, conn: ConnId, window: usize) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let piece = link.serving;
        while link.queued + link.reading < window
            && let Some(block) = link.queue.front().copied()
            && Some(block.piece) == piece
        {
            link.queue.pop_front();
            if link.queued + link.reading == 0 {
                link.drained = self.now;
            }
            link.reading += block.length as usize;
            self.turns.begin();
            self.server.last_read += 1;
            let id = ReadId(self.server.last_read);
            self.server.reads.insert(id, (conn, block));
            self.outputs.push_back(Output::Read { id, block });
        }
        if link.queue.front().map(|b| b.piece) != link.serving {
            self.server.line_up(link, self.torrent.as_ref());
        }
    }

    pub(super) fn block_read(&mut self, id: ReadId, result: Result<Bytes, Failure>) {
        let Some((conn, block)) = self.server.reads.remove(&id) else {
            return;
        };
        let Some(link) = self.links.get_mut(&conn) else {
            return self.feed();
        };
        link.reading = link.reading.saturating_sub(block.length as usize);
        match result {
            Ok(data)
                if data.len() == block.length as usize && (!link.choked || link.takes_turns()) =>
            {
                link.uploaded += data.len() as u64;
                link.up.add(self.now, data.len());
                link.useful_at = self.now;
                self.totals.uploaded += data.len() as u64;
                let Block { piece, offset, .. } = block;
                self.say(
                    conn,
                    Message::Piece {
                        piece,
                        offset,
                        data,
                    },
                );
                self.dispatch_sent(conn, piece);
            }
            Ok(_) => self.refuse(conn, block),
            Err(failure) => {
                self.refuse(conn, block);
                let piece = block.piece;
                self.event(Event::ReadFailed { piece, failure });
            }
        }
        self.turn_served(conn, block.length);
        self.feed();
    }

    /// Lets a peer in.
    pub(super) fn unchoke(&mut self, conn: ConnId) {
        if let Some(link) = self.links.get_mut(&conn).filter(|link| link.choked) {
            link.choked = false;
            link.unchoked_at = self.now;
            link.asked_at = self.now;
            self.say(conn, Message::Unchoke);
        }
    }

    /// Lets a peer in no more; what it asked for is rejected.
    pub(super) fn choke(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn).filter(|link| !link.choked) else {
            return;
        };
        link.choked = true;
        let mut queue: Vec<Block> = link.queue.drain(..).collect();
        if let Some(torrent) = &mut self.torrent {
            queue.extend(torrent.promises.cancel_all(conn));
        }
        self.server.line_up(link, self.torrent.as_ref());
        self.say(conn, Message::Choke);
        for block in queue {
            self.refuse(conn, block);
        }
    }

    pub(super) fn forget_server(&mut self, conn: ConnId, link: &Link) {
        if let Some(ticket) = link.ticket {
            self.server.ready.remove(&(ticket, conn));
        }
        if let Some(torrent) = &mut self.torrent {
            torrent.promises.forget(conn);
        }
    }
}
