//! Turns for pieces that are about to come in (SWARM.md, D4), so that the first
//! requests for a piece are here when its hash is.
//!
//! ```text
//!   ── block 6 of piece 3 ──▶          promise 3 ──▶
//!   ── block 7 ──▶                     ◀── take, requests    wait here
//!        hashed                   have 3 ── blocks ──▶
//! ```
//!
//! It is a promise and no HAVE: a HAVE that does not come true would be a copy
//! in the books of those who have to give the piece, and somebody would wait
//! for it for ever. Nothing is given that was not verified: where the piece
//! turns out wrong or does not come, what was asked of it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Swarm;
use super::connect::QUEUE_REQUESTS;
use super::input::ConnId;
use super::link::Link;
use super::links::Links;
use super::pieces::{Partial, Phase};
use super::torrent::Torrent;
use crate::geometry::{Block, PieceIndex};

/// How many round trips before it is due a piece is promised: blocks come by
/// turns and in bursts, and it is better that requests wait than the line
/// (N = 100, 5 ms: 0.946 of the bound without promises, 0.950 with these).
const EARLY: u32 = 3;

/// From this time to an answer on nothing is promised by a line that is not
/// long: words wait for a busy one, and while a crowd comes round trips look
/// longer than they are. On a long line a promise saves a round trip, if it binds
/// few (N = 100, v1, six seeds, 25 ms: 0.924 with promises to eight, 0.917 with
/// none; 50 ms, two seeds: 0.873 and 0.868).
const BUSY: Duration = Duration::from_millis(40);

/// How long requests wait for a piece that does not come.
const KEPT: Duration = Duration::from_millis(500);

/// The most pieces that are promised at a time.
const MOST: usize = 64;

/// The most peers that one piece is promised to: what comes first is else taken
/// by many of the first who has it, and they wait for its uplink while their own
/// are idle (N = 100, 25 ms, v2, one step before: 0.925 of six, without it 0.923
/// of three).
const TOLD: usize = 8;

/// What was promised to whom.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pieces: BTreeMap<PieceIndex, Promise>,
    /// How long it took of late from one block of a piece to the next.
    pub(super) block_time: Option<Duration>,
}

#[derive(Debug)]
struct Promise {
    told: BTreeSet<ConnId>,
    asked: BTreeMap<ConnId, Vec<Block>>,
    /// When those who asked are told not to wait; `None` once they were.
    until: Option<Duration>,
}

impl Promises {
    /// Tells whether nobody waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns how many pieces may be granted though they are not here.
    pub(super) fn count(&self) -> u32 {
        self.pieces.values().filter(|p| p.until.is_some()).count() as u32
    }

    /// Returns how many turns wait for blocks.
    pub(super) fn waiting(&self) -> usize {
        let asked = self.pieces.values().map(|promise| &promise.asked);
        asked
            .map(|asked| asked.values().filter(|blocks| !blocks.is_empty()).count())
            .sum()
    }

    /// Tells whether a peer was promised a piece, and it still may come.
    pub(super) fn has(&self, piece: PieceIndex, conn: ConnId) -> bool {
        let promise = self.pieces.get(&piece);
        promise.is_some_and(|p| p.until.is_some() && p.told.contains(&conn))
    }

    /// Returns a piece that a peer lacks and may be promised: the last one.
    pub(super) fn next_for(&self, link: &Link) -> Option<PieceIndex> {
        let untold = |(_, promise): &(_, &Promise)| !promise.told.contains(&link.conn);
        let last = self
            .all_for(link)
            .filter(untold)
            .max_by_key(|(_, p)| p.until);
        last.map(|(piece, _)| *piece)
    }

    /// Returns the pieces that a peer may ask for as soon as it was told of
    /// them.
    fn all_for<'a>(
        &'a self,
        link: &'a Link,
    ) -> impl Iterator<Item = (&'a PieceIndex, &'a Promise)> {
        self.pieces.iter().filter(|(piece, promise)| {
            promise.until.is_some()
                && promise.told.len() < TOLD
                && link.shown.is_none()
                && !link.peer.have().has(piece.0)
                && !link.soon.contains(*piece)
                && !promise.asked.contains_key(&link.conn)
                && !link.asks.keys().any(|block| block.piece == **piece)
        })
    }

    /// Returns how many such pieces there are.
    pub(super) fn count_for(&self, link: &Link) -> usize {
        self.all_for(link).count()
    }

    /// Returns who waits for blocks of a piece, and who was promised it and may
    /// not know its layer, so that it could not ask.
    pub(super) fn who_waits(&self, piece: PieceIndex, links: &Links) -> Vec<ConnId> {
        let Some(promise) = self.pieces.get(&piece) else {
            return Vec::new();
        };
        let is_new = |conn: &ConnId| {
            let link = links.get(conn);
            link.is_some_and(|link| link.peer.have().is_empty())
        };
        let waits = |conn: &ConnId| promise.asked.contains_key(conn) || is_new(conn);
        promise.told.iter().copied().filter(waits).collect()
    }

    /// Notes that a peer was promised a piece.
    pub(super) fn tell(&mut self, conn: ConnId, piece: PieceIndex) {
        if let Some(promise) = self.pieces.get_mut(&piece) {
            promise.told.insert(conn);
        }
    }

    /// Keeps a request for later; `false` where the peer has too many.
    pub(super) fn wait(&mut self, conn: ConnId, block: Block) -> bool {
        let Some(promise) = self.pieces.get_mut(&block.piece) else {
            return false;
        };
        let asked = promise.asked.entry(conn).or_default();
        let room = asked.len() < QUEUE_REQUESTS;
        if room {
            asked.push(block);
        }
        room
    }

    /// Takes a request back; tells whether it was there.
    pub(super) fn cancel(&mut self, conn: ConnId, block: Block) -> bool {
        let promise = self.pieces.get_mut(&block.piece);
        let Some(asked) = promise.and_then(|p| p.asked.get_mut(&conn)) else {
            return false;
        };
        let at = asked.iter().position(|b| *b == block);
        at.map(|at| asked.swap_remove(at)).is_some()
    }

    /// Takes back all that a peer asked for.
    pub(super) fn cancel_all(&mut self, conn: ConnId) -> Vec<Block> {
        let promises = self.pieces.values_mut();
        promises
            .filter_map(|p| p.asked.remove(&conn))
            .flatten()
            .collect()
    }

    /// Forgets a peer.
    pub(super) fn forget(&mut self, conn: ConnId) {
        for promise in self.pieces.values_mut() {
            promise.told.remove(&conn);
            promise.asked.remove(&conn);
        }
    }
}

impl Torrent {
    /// Tells whether a piece that lacks blocks is due within a time, by the
    /// pace of its blocks, and nothing speaks against it.
    fn is_due(&self, piece: PieceIndex, now: Duration, within: Duration) -> bool {
        let Some(partial) = self.partials.get(&piece) else {
            return false;
        };
        if partial.phase != Phase::Filling
            || partial.only.is_some()
            || partial.free() > 0
            || self.suspects.doubts(piece)
            || self.promises.pieces.len() >= MOST
            || self.promises.pieces.contains_key(&piece)
        {
            return false;
        }
        let pace = partial.pace(now).or(self.promises.block_time);
        pace.is_some_and(|pace| pace * partial.missing() <= within)
    }
}

impl Swarm {
    /// A block came: promises its piece to those who lack it, if it is due
    /// within the time that asking for it takes.
    pub(super) fn promise(&mut self, piece: PieceIndex) {
        let trip = self.turns.delay();
        let busy = trip > BUSY && !self.turns.is_long();
        let now = self.now;
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if let Some(pace) = torrent.partials.get(&piece).and_then(|p| p.pace(now)) {
            torrent.promises.block_time = Some(pace);
        }
        if trip.is_zero()
            || busy
            || self.options.slots == 0
            || self.stopped
            || torrent.failed
            || !torrent.is_due(piece, now, EARLY * trip)
        {
            return;
        }
        let until = now + KEPT.max(4 * trip);
        let promise = Promise {
            told: BTreeSet::new(),
            asked: BTreeMap::new(),
            until: Some(until),
        };
        torrent.promises.pieces.insert(piece, promise);
        self.alarm(until);
        self.grant_turns();
    }

    /// A piece is being fetched whose blocks are known for right one by one:
    /// promises it to those who lack it, so that what comes goes on at once.
    pub(super) fn promise_through(&mut self, piece: PieceIndex, trusted: bool) {
        let wait = KEPT.max(4 * self.turns.delay());
        let able = self.is_through() && self.options.slots > 0 && !self.stopped;
        let Some(torrent) = self.torrent.as_mut().filter(|t| able && !t.failed) else {
            return;
        };
        let fits = |partial: &Partial| partial.phase == Phase::Filling && partial.free() == 0;
        if !(trusted || torrent.leaves.has(piece))
            || !torrent.partials.get(&piece).is_some_and(fits)
            || torrent.promises.pieces.len() >= MOST
            || torrent.promises.pieces.contains_key(&piece)
        {
            return;
        }
        let until = self.now + wait;
        let promise = Promise {
            told: BTreeSet::new(),
            asked: BTreeMap::new(),
            until: Some(until),
        };
        torrent.promises.pieces.insert(piece, promise);
        self.alarm(until);
        self.grant_turns();
    }

    /// Blocks of a piece are known for right: serves what was asked of them,
    /// and gives those that wait for the others more time.
    pub(super) fn serve_proven(&mut self, piece: PieceIndex, proven: &[Block]) {
        let until = self.now + KEPT.max(4 * self.turns.delay());
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let (Some(promise), Some(partial)) = (
            torrent.promises.pieces.get_mut(&piece),
            torrent.partials.get(&piece),
        ) else {
            return;
        };
        if proven.is_empty() || promise.until.is_none() {
            return;
        }
        promise.until = Some(until);
        let mut waits = Vec::new();
        for (conn, asked) in &mut promise.asked {
            let here: Vec<Block> = asked.extract_if(.., |b| partial.is_right(*b)).collect();
            if !here.is_empty() {
                waits.push((*conn, here));
            }
        }
        for (conn, here) in waits {
            self.serve_later(conn, here);
        }
        self.feed();
    }

    /// A piece is here: serves what was asked of it.
    pub(super) fn keep_promise(&mut self, piece: PieceIndex) {
        let torrent = self.torrent.as_mut();
        let Some(promise) = torrent.and_then(|t| t.promises.pieces.remove(&piece)) else {
            return;
        };
        for (conn, blocks) in promise.asked {
            self.serve_later(conn, blocks);
        }
    }

    /// Lets a peer wait for blocks that are here now.
    fn serve_later(&mut self, conn: ConnId, blocks: impl IntoIterator<Item = Block>) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.asked_at = self.now;
            link.queue.extend(blocks);
            self.server.wait_for(link, self.torrent.as_ref());
        }
    }

    /// A piece is wrong: what was asked of it is refused.
    pub(super) fn break_promise(&mut self, piece: PieceIndex) {
        let torrent = self.torrent.as_mut();
        let Some(promise) = torrent.and_then(|t| t.promises.pieces.get_mut(&piece)) else {
            return;
        };
        promise.until = None;
        let asked = std::mem::take(&mut promise.asked);
        for (conn, blocks) in asked {
            for block in blocks {
                self.refuse(conn, block);
                self.turn_served(conn, block.length);
            }
        }
    }

    /// Breaks promises of pieces that did not come in time.
    pub(super) fn time_promises(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let open = torrent.promises.pieces.iter();
        let mut next = Duration::MAX;
        let mut late = Vec::new();
        for (piece, promise) in open {
            match promise.until {
                Some(until) if until <= self.now => late.push(*piece),
                Some(until) => next = next.min(until),
                None => {}
            }
        }
        for piece in late {
            self.break_promise(piece);
        }
        self.alarm(next);
    }
}
