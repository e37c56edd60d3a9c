//! The origin in a flash crowd: it gives every piece away exactly once, each
//! to another peer, and leaves the rest to them (SWARM.md, O1-O6).
//!
//! ```text
//! origin ── p3 ──▶ A      A ◀── p5 ── B      what A needs next it finds
//!        ── p5 ──▶ B        ── p3 ──▶        at B and C, not at the origin
//!        ── p1 ──▶ C
//! ```
//!
//! To this end it shows no piece but those that it hands out (as BEP 16 does).
//! A piece is through when a peer has it that was not handed it. What does not
//! come through is repaired afterwards: by another hand-out to another peer.

mod hands;
mod leaving;
mod repair;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;

/// Content of fewer pieces is too small to be traded.
const LEAST_PIECES: u32 = 16;

/// Hand-outs under way at the beginning.
const WINDOW: usize = 4;

/// The same where the line is long: ten segments a round trip fill nothing, and
/// seventeen times as many a line of 40 Mbit/s and 50 ms (N = 100, v1, six seeds,
/// 25 ms, as for turns: 20: 0.9274, 16: 0.9271, 12: 0.9265, 8: 0.9230).
const WINDOW_LONG: usize = 20;

/// The most of them.
const WINDOW_MOST: usize = 64;

/// The share of the hand-outs that fill a long line where blocks are given on
/// before their piece is whole.
const THROUGH: f64 = 0.8;

/// How long the first pieces take on a long line, in round trips (N = 100, 25 ms,
/// four seeds: 0.05 s less of all uplinks is idle in the first second; pieces of
/// 256 KiB 0.894, without this 0.889).
const FIRST_TRIPS: u32 = 5;

/// Time between two looks at what needs repair.
const LOOK: Duration = Duration::from_millis(250);

/// How long a piece may stay with one peer whatever that peer does.
const HOLD_MOST: Duration = Duration::from_secs(10);

/// State of flash mode.
#[derive(Debug)]
pub(super) struct Dispatch {
    /// Whether we began with everything, and have not been joined by another
    /// who has.
    on: bool,
    origin: bool,
    window: usize,
    /// Pieces that nobody was handed and nobody has.
    unsent: Vec<u32>,
    hands: BTreeMap<PieceIndex, Hand>,
    /// Those of them that are not sent yet.
    under_way: BTreeSet<(ConnId, PieceIndex)>,
    /// What peers hold of ours alone, and what they left lying.
    peers: BTreeMap<ConnId, Debt>,
    /// Bytes handed out a second time without need.
    extra: u64,
    /// Bytes of piece layers that were told.
    told: u64,
    /// Peers that were invited to ask for them.
    invited: usize,
    /// Whether a block went out since the window last grew.
    fed: bool,
    began: Option<Duration>,
    seed_since: Option<Duration>,
    /// Since when a peer of another kind has been the only one.
    lone_since: Option<Duration>,
    /// Peers that had everything and left.
    finished: usize,
}

/// A piece handed out.
#[derive(Clone, Copy, Debug)]
struct Hand {
    to: ConnId,
    at: Duration,
    /// Whether nobody had it then but whom we had handed it before.
    new: bool,
    asked: bool,
    blocks_left: u32,
    sent: Option<Duration>,
    /// When the peer said that it has it.
    here: Option<Duration>,
    /// Turns that it still takes to send all of it.
    turns_left: u32,
}

/// What is known of a peer as a receiver.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    /// Our pieces that nobody but it has.
    pending: u32,
    /// Hand-outs that it did not ask for.
    ignored: u32,
    /// When a piece that nobody else had last came through by it.
    shared: Option<Duration>,
    /// How long such pieces take of late from it to a second peer.
    takes: Option<Duration>,
    /// When it was last helped out.
    helped: Duration,
    /// Whether it asked for piece layers that it shall learn of others.
    layers: bool,
}

impl Dispatch {
    pub(super) fn new() -> Self {
        Self {
            on: false,
            origin: false,
            window: WINDOW,
            unsent: Vec::new(),
            hands: BTreeMap::new(),
            under_way: BTreeSet::new(),
            peers: BTreeMap::new(),
            extra: 0,
            told: 0,
            invited: 0,
            fed: false,
            began: None,
            seed_since: None,
            lone_since: None,
            finished: 0,
        }
    }

    fn debt(&mut self, conn: ConnId) -> &mut Debt {
        self.peers.entry(conn).or_default()
    }

    /// Notes that a hand-out is over though not all of its blocks were asked
    /// for: the peer had the others from somebody else.
    fn enough(&mut self, piece: PieceIndex, now: Duration) {
        if let Some(hand) = self.hands.get_mut(&piece)
            && hand.sent.is_none()
        {
            hand.sent = Some(now);
            self.under_way.remove(&(hand.to, piece));
        }
    }

    /// Takes a hand-out off the books.
    fn settle(&mut self, piece: PieceIndex) -> Option<Hand> {
        let hand = self.hands.remove(&piece)?;
        self.under_way.remove(&(hand.to, piece));
        if let Some(debt) = self.peers.get_mut(&hand.to) {
            debt.pending = debt.pending.saturating_sub(1);
        }
        Some(hand)
    }
}

impl Swarm {
    /// Begins flash mode if we have everything from the start.
    pub(super) fn begin_dispatch(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let pieces = torrent.geometry.pieces();
        let many = pieces >= LEAST_PIECES || self.options.super_seed;
        let origin = torrent.is_seed() && many;
        // The last one goes first: in order, so that everybody soon has the
        // beginning and can read it while the end is still on its way.
        let unsent: Vec<u32> = match origin {
            true => (0..pieces).rev().collect(),
            false => Vec::new(),
        };
        self.dispatch = Dispatch {
            on: origin,
            origin,
            unsent,
            ..Dispatch::new()
        };
    }

    /// Tells whether a new peer is shown nothing.
    pub(super) fn hides(&mut self) -> bool {
        let open = self.links.values().filter(|l| l.is_open()).count();
        if self.dispatch.origin && !self.dispatch.on && open <= 1 {
            // The crowd of before has gone; this may be the next one.
            self.begin_dispatch();
        }
        self.dispatch.on
    }

    /// Tells whether flash mode is on, or about to be.
    pub(super) fn shows_nothing(&self) -> bool {
        self.dispatch.origin
    }

    /// A peer has said which pieces it has, or who it is.
    pub(super) fn dispatch_met(&mut self) {
        if !self.dispatch.on {
            return;
        }
        self.dispatch_go();
    }

    pub(super) fn dispatch_has(&mut self, conn: ConnId, piece: PieceIndex) {
        if !self.dispatch.on {
            return;
        }
        let count = self
            .torrent
            .as_ref()
            .map_or(0, |torrent| torrent.picker.count(piece));
        let own = |hand: &Hand| hand.to == conn;
        if self.dispatch.hands.get(&piece).is_some_and(own) {
            self.dispatch.enough(piece, self.now);
            if let Some(hand) = self.dispatch.hands.get_mut(&piece) {
                hand.here.get_or_insert(self.now);
            }
        }
        if count >= 2
            && self.dispatch.hands.contains_key(&piece)
            && self.is_passed_on(piece)
            && let Some(hand) = self.dispatch.settle(piece)
        {
            let now = self.now;
            let debt = self.dispatch.peers.get_mut(&hand.to);
            // What others had when it was handed on shows nothing.
            if let Some(debt) = debt.filter(|_| hand.new) {
                debt.shared = Some(now);
                if let Some(here) = hand.here.or(hand.sent) {
                    let took = now.saturating_sub(here);
                    debt.takes = Some(debt.takes.map_or(took, |before| (before + took) / 2));
                }
            }
        }
        if self.links.get(&conn).is_some_and(Link::is_seed) {
            self.alarm(self.now);
        }
        self.dispatch_go();
    }

    /// Tells whether somebody has a piece whom we did not hand it. Of two who
    /// were handed it, both may sit on it.
    fn is_passed_on(&self, piece: PieceIndex) -> bool {
        let got = |link: &Link| link.peer.have().has(piece.0) && !link.was_shown(piece);
        self.links.values().any(got)
    }

    /// Tells whether flash mode is on.
    pub(super) fn dispatch_is_on(&self) -> bool {
        self.dispatch.on
    }

    /// Tells whether the first pieces are on their way by a long line: as many
    /// connections start up as fill it, and if all of them are fed alike, none
    /// of their peers has anything to pass on before the last has.
    pub(super) fn dispatch_begins(&self) -> bool {
        let lasts = FIRST_TRIPS * self.turns.delay();
        let began = self.dispatch.began;
        self.dispatch.on
            && self.turns.is_long()
            && began.is_none_or(|began| began + lasts > self.now)
    }

    /// Returns who is being given a piece of ours.
    pub(super) fn dispatch_holder(&self, piece: PieceIndex) -> Option<ConnId> {
        let hand = self.dispatch.hands.get(&piece)?;
        hand.sent.is_none().then_some(hand.to)
    }

    /// Returns the pieces that are being handed out, and those that will be
    /// next: as many as are under way at a time, and some more.
    pub(super) fn dispatch_next(&self, more: usize) -> Vec<PieceIndex> {
        let next = self.dispatch.unsent.iter().rev();
        let next = next.take(self.dispatch.window + more);
        let under_way = self.dispatch.under_way.iter().map(|(_, piece)| *piece);
        let next = next.map(|piece| PieceIndex(*piece));
        under_way.chain(next).collect()
    }

    /// A peer does not want the piece that it was handed, or does not answer.
    pub(super) fn dispatch_passed(&mut self, conn: ConnId, piece: PieceIndex) {
        let Some(hand) = self.dispatch.hands.get(&piece).filter(|h| h.to == conn) else {
            return;
        };
        if hand.asked {
            // It took a part, and that was all it lacked.
            self.dispatch.enough(piece, self.now);
            return self.dispatch_go();
        }
        self.dispatch.settle(piece);
        self.dispatch.debt(conn).ignored += 1;
        self.dispatch.unsent.insert(0, piece.0);
        self.dispatch_go();
    }

    pub(super) fn dispatch_requested(&mut self, conn: ConnId, piece: PieceIndex) {
        if let Some(hand) = self.dispatch.hands.get_mut(&piece)
            && hand.to == conn
        {
            hand.asked = true;
            self.dispatch.debt(conn).ignored = 0;
        }
    }

    /// A block was handed to the driver.
    pub(super) fn dispatch_sent(&mut self, conn: ConnId, piece: PieceIndex) {
        self.dispatch.fed = true;
        let Some(hand) = self.dispatch.hands.get_mut(&piece) else {
            return;
        };
        if hand.to != conn || hand.sent.is_some() {
            return;
        }
        hand.blocks_left = hand.blocks_left.saturating_sub(1);
        if hand.blocks_left == 0 {
            hand.sent = Some(self.now);
            self.dispatch.under_way.remove(&(conn, piece));
            if self.server.waiting() > 2 * self.least_window() {
                self.dispatch.window -= 1;
            }
            self.dispatch_go();
            if self.dispatch.on && self.dispatch.unsent.is_empty() {
                self.give_extra();
            }
        }
    }

    /// Returns how many hand-outs the line takes whatever else is seen. On a
    /// long one each goes to a connection that has been idle, is asked for
    /// first, and starts up from ten segments.
    fn least_window(&self) -> usize {
        if !self.turns.is_long() {
            WINDOW
        } else if self.turns.pace() > 0.0 {
            let piece = f64::from(self.turn_length());
            let starting = self.turns.starting(piece) as f64;
            // Fewer at a time are through earlier, and each is given on as it
            // comes (25 ms, four seeds: 0.908, all of them 0.905; of 0.6 one
            // seed left the origin idle: 0.902).
            let share = if self.is_through() { THROUGH } else { 1.0 };
            ((starting * share) as usize).clamp(WINDOW, WINDOW_MOST)
        } else {
            WINDOW_LONG
        }
    }

    /// Bytes went out. Where nothing is left to send though hand-outs are
    /// under way, there are too few of them for the time that asking takes.
    pub(super) fn sent_some(&mut self) {
        if self.dispatch.on
            && self.dispatch.fed
            && !self.dispatch.under_way.is_empty()
            && self.server.is_idle()
            && self.links.values().all(|l| l.queued + l.reading == 0)
        {
            self.dispatch.fed = false;
            self.dispatch.window = (self.dispatch.window + 1).min(WINDOW_MOST);
            self.dispatch_go();
        }
    }

    /// What is due: hand-outs that nobody asked for, pieces that do not come
    /// through, peers that get nothing, and the end of flash mode.
    pub(super) fn time_dispatch(&mut self) {
        if !self.dispatch.on {
            return;
        }
        self.consider_leaving();
        if !self.dispatch.on {
            return;
        }
        self.reclaim();
        self.dispatch_go();
        if self.dispatch.unsent.is_empty() {
            self.repair();
            self.help();
            self.give_extra();
        }
        if self.links.values().any(receives) {
            self.alarm(self.now + LOOK);
        }
    }

    /// Forgets a peer; what it alone had is to be handed out again.
    pub(super) fn forget_dispatch(&mut self, conn: ConnId, link: &Link) {
        if !self.dispatch.on {
            return;
        }
        self.dispatch.peers.remove(&conn);
        if link.is_seed() {
            self.dispatch.finished += 1;
            self.alarm(self.now);
        }
        let Some(torrent) = &self.torrent else { return };
        let held: Vec<PieceIndex> = self
            .dispatch
            .hands
            .iter()
            .filter(|(_, hand)| hand.to == conn)
            .map(|(piece, _)| *piece)
            .collect();
        let lost = link.peer.have().iter().map(PieceIndex);
        let mut unsent = Bitfield::empty(torrent.geometry.pieces());
        for piece in &self.dispatch.unsent {
            unsent.insert(*piece);
        }
        for piece in held.iter().copied().chain(lost) {
            if torrent.picker.count(piece) > 0 {
                continue;
            }
            let holder = self.dispatch.hands.get(&piece).map(|hand| hand.to);
            if holder.is_none_or(|to| to == conn || !self.links.contains_key(&to)) {
                self.dispatch.settle(piece);
                if unsent.insert(piece.0) {
                    self.dispatch.unsent.push(piece.0);
                }
            }
        }
        for piece in held {
            // Another has it: a copy is left, and no hand-out is under way.
            self.dispatch.enough(piece, self.now);
        }
        self.dispatch_go();
    }
}

/// Tells whether a peer is one to hand pieces to.
fn receives(link: &Link) -> bool {
    let new = link
        .peer
        .handshake()
        .is_some_and(|h| h.abilities.has_nothing());
    let spoke = link.peer.has_told() || !link.peer.abilities().fast() || new && link.turns.gives;
    link.is_open() && link.shown.is_some() && spoke && !link.is_seed()
}
