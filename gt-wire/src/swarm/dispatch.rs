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
//! A piece is through when a second peer has it. What does not come through is
//! repaired afterwards: by another hand-out to another peer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;
use crate::message::Message;

/// Content of fewer pieces is too small to be traded.
const LEAST_PIECES: u32 = 16;

/// Hand-outs under way at the beginning.
const WINDOW: usize = 4;

/// The most of them.
const WINDOW_MOST: usize = 64;

/// How long a peer may take to ask for what it was handed.
const ASK: Duration = Duration::from_secs(1);

/// Time between two looks at what needs repair.
const LOOK: Duration = Duration::from_millis(250);

/// How long a holder may pass nothing on before its pieces go to others.
const PASS_ON: Duration = Duration::from_secs(1);

/// How long a piece may stay with one peer whatever that peer does.
const HOLD_MOST: Duration = Duration::from_secs(10);

/// How long a peer may take to say that it has what it was sent.
const CONFIRM: Duration = Duration::from_secs(3);

/// How long the crowd is left to itself once somebody else has everything.
const GRACE: Duration = Duration::from_secs(2);

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
    /// How many of them are not sent yet.
    under_way: usize,
    /// What peers hold of ours alone, and what they left lying.
    peers: BTreeMap<ConnId, Debt>,
    /// Bytes handed out a second time without need.
    extra: u64,
    /// Whether a block went out since the window last grew.
    fed: bool,
    began: Option<Duration>,
    seed_since: Option<Duration>,
}

/// A piece handed out.
#[derive(Clone, Copy, Debug)]
struct Hand {
    to: ConnId,
    at: Duration,
    asked: bool,
    blocks_left: u32,
    sent: Option<Duration>,
}

/// What is known of a peer as a receiver.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    /// Our pieces that nobody but it has.
    pending: u32,
    /// Hand-outs that it did not ask for.
    ignored: u32,
    /// When a piece it was handed last came through.
    shared: Duration,
    /// When it was last helped out.
    helped: Duration,
}

impl Dispatch {
    pub(super) fn new() -> Self {
        Self {
            on: false,
            origin: false,
            window: WINDOW,
            unsent: Vec::new(),
            hands: BTreeMap::new(),
            under_way: 0,
            peers: BTreeMap::new(),
            extra: 0,
            fed: false,
            began: None,
            seed_since: None,
        }
    }

    fn debt(&mut self, conn: ConnId) -> &mut Debt {
        self.peers.entry(conn).or_default()
    }

    /// Takes a hand-out off the books.
    fn settle(&mut self, piece: PieceIndex) -> Option<Hand> {
        let hand = self.hands.remove(&piece)?;
        self.under_way -= usize::from(hand.sent.is_none());
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
        let origin = torrent.is_seed() && pieces >= LEAST_PIECES;
        let mut unsent: Vec<u32> = if origin {
            (0..pieces).collect()
        } else {
            Vec::new()
        };
        for n in (1..unsent.len()).rev() {
            unsent.swap(n, self.chance.below(n + 1));
        }
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
    pub(super) fn dispatch_met(&mut self, conn: ConnId) {
        if !self.dispatch.on {
            return;
        }
        if let Some(link) = self.links.get(&conn)
            && link.is_seed()
            && link.peer.have().is_empty()
        {
            // It says that it wants nothing and shows nothing: another origin
            // in this mode, and each would wait for the other's crowd.
            return self.leave_dispatch();
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
        if count >= 2
            && let Some(hand) = self.dispatch.settle(piece)
        {
            let now = self.now;
            if let Some(debt) = self.dispatch.peers.get_mut(&hand.to) {
                debt.shared = now;
            }
        }
        if self.links.get(&conn).is_some_and(Link::is_seed) {
            self.alarm(self.now);
        }
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
            self.dispatch.under_way -= 1;
            if self.server.waiting() > 2 * WINDOW {
                self.dispatch.window = (self.dispatch.window - 1).max(WINDOW);
            }
            self.dispatch_go();
        }
    }

    /// Bytes went out. Where nothing is left to send though hand-outs are
    /// under way, there are too few of them for the time that asking takes.
    pub(super) fn sent_some(&mut self) {
        if self.dispatch.on
            && self.dispatch.fed
            && self.dispatch.under_way > 0
            && self.server.is_idle()
            && self.links.values().all(|l| l.queued + l.reading == 0)
        {
            self.dispatch.fed = false;
            self.dispatch.window = (self.dispatch.window + 1).min(WINDOW_MOST);
            self.dispatch_go();
        }
    }

    /// Hands out pieces that nobody has, while there is room (O1, O2).
    fn dispatch_go(&mut self) {
        while self.dispatch.on && self.dispatch.under_way < self.dispatch.window {
            let Some(piece) = self.dispatch.unsent.pop() else {
                return;
            };
            let piece = PieceIndex(piece);
            let known = self
                .torrent
                .as_ref()
                .is_none_or(|torrent| torrent.picker.count(piece) > 0);
            if known || self.dispatch.hands.contains_key(&piece) {
                continue;
            }
            let Some(conn) = self.neediest(piece, None) else {
                self.dispatch.unsent.push(piece.0);
                return;
            };
            self.hand_out(conn, piece);
        }
    }

    /// Returns the peer to hand a piece to: that which sits on the fewest of
    /// our pieces, then that which was given least, then chance (O3). Slow
    /// peers and free riders get few without being known as such.
    fn neediest(&mut self, piece: PieceIndex, not: Option<ConnId>) -> Option<ConnId> {
        let mut best: Option<((u32, u64, u64), ConnId)> = None;
        for link in self.links.values() {
            if !receives(link) || Some(link.conn) == not || link.peer.have().has(piece.0) {
                continue;
            }
            let debt = self.dispatch.peers.get(&link.conn);
            let debt = debt.map_or(0, |debt| debt.pending + debt.ignored);
            let key = (debt, link.uploaded, self.chance.next());
            if best.is_none_or(|(least, _)| key < least) {
                best = Some((key, link.conn));
            }
        }
        best.map(|(_, conn)| conn)
    }

    fn hand_out(&mut self, conn: ConnId, piece: PieceIndex) {
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        self.dispatch.settle(piece);
        self.dispatch.began.get_or_insert(self.now);
        let hand = Hand {
            to: conn,
            at: self.now,
            asked: false,
            blocks_left: torrent.geometry.block_count(piece),
            sent: None,
        };
        self.dispatch.hands.insert(piece, hand);
        self.dispatch.under_way += 1;
        self.dispatch.debt(conn).pending += 1;
        if let Some(shown) = &mut link.shown {
            shown.insert(piece.0);
        }
        self.say(conn, Message::Have(piece));
        self.unchoke(conn);
        self.alarm(self.now + LOOK);
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

    fn reclaim(&mut self) {
        let now = self.now;
        let ignored: Vec<(PieceIndex, ConnId)> = self
            .dispatch
            .hands
            .iter()
            .filter(|(_, h)| !h.asked && h.at + ASK <= now)
            .map(|(piece, hand)| (*piece, hand.to))
            .collect();
        for (piece, conn) in ignored {
            self.dispatch.settle(piece);
            self.dispatch.debt(conn).ignored += 1;
            self.dispatch.unsent.push(piece.0);
        }
    }

    /// Hands pieces that one peer sits on to another (O4 a).
    fn repair(&mut self) {
        let now = self.now;
        let Some(torrent) = &self.torrent else { return };
        let stuck: Vec<(PieceIndex, ConnId)> = self
            .dispatch
            .hands
            .iter()
            .filter(|(piece, hand)| {
                let Some(sent) = hand.sent else { return false };
                let debt = self.dispatch.peers.get(&hand.to);
                let shared = debt.map_or(Duration::ZERO, |d| d.shared);
                let due = if torrent.picker.count(**piece) == 0 {
                    sent + CONFIRM
                } else {
                    (sent.max(shared) + PASS_ON).min(sent + HOLD_MOST)
                };
                due <= now
            })
            .map(|(piece, hand)| (*piece, hand.to))
            .collect();
        for (piece, holder) in stuck {
            if self.dispatch.under_way >= self.dispatch.window {
                return;
            }
            let other = self.neediest(piece, Some(holder));
            if let Some(conn) = other.or_else(|| self.neediest(piece, None)) {
                self.hand_out(conn, piece);
            }
        }
    }

    /// Helps peers out that got nothing new for a while (O4 b).
    fn help(&mut self) {
        let now = self.now;
        let needy: Vec<ConnId> = self
            .links
            .values()
            .filter(|link| {
                let has = link.peer.have().count();
                let usual = (now - link.opened) / (has + 1) * 4;
                let patience = usual.clamp(PASS_ON, HOLD_MOST);
                let debt = self.dispatch.peers.get(&link.conn);
                let helped = debt.map_or(Duration::ZERO, |d| d.helped);
                receives(link)
                    && link.last_have.max(helped) + patience <= now
                    && !self
                        .dispatch
                        .hands
                        .values()
                        .any(|h| h.to == link.conn && h.sent.is_none())
            })
            .map(|link| link.conn)
            .collect();
        for conn in needy {
            if let Some(piece) = self.rarest_for(conn) {
                self.dispatch.debt(conn).helped = now;
                self.hand_out(conn, piece);
            }
        }
    }

    /// Gives some pieces a second time while there is nothing else to do, up
    /// to a share of the content (O4 c).
    fn give_extra(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let content = torrent.geometry.content_length();
        let length = torrent.geometry.piece_length();
        let budget = (self.options.extra.clamp(0.0, 100.0) * content as f64) as u64;
        if self.dispatch.under_way > 0
            || !self.server.is_idle()
            || self.dispatch.extra + length > budget
        {
            return;
        }
        let mut receivers: Vec<(u32, ConnId)> = self
            .links
            .values()
            .filter(|link| receives(link))
            .map(|link| (link.peer.have().count(), link.conn))
            .collect();
        receivers.sort_unstable();
        for (_, conn) in receivers {
            if let Some(piece) = self.rarest_for(conn) {
                self.dispatch.extra += length;
                self.hand_out(conn, piece);
                return;
            }
        }
    }

    /// Returns the piece that a peer lacks and fewest others have.
    fn rarest_for(&self, conn: ConnId) -> Option<PieceIndex> {
        let torrent = self.torrent.as_ref()?;
        let link = self.links.get(&conn)?;
        link.peer
            .have()
            .missing()
            .map(PieceIndex)
            .filter(|piece| !self.dispatch.hands.contains_key(piece))
            .filter(|piece| !link.was_shown(*piece))
            .min_by_key(|piece| torrent.picker.count(*piece))
    }

    /// Leaves flash mode when somebody else has everything and the crowd, those
    /// too who come a moment later, has had its time (O5).
    fn consider_leaving(&mut self) {
        if !self.links.values().any(Link::is_seed) {
            self.dispatch.seed_since = None;
            return;
        }
        let since = *self.dispatch.seed_since.get_or_insert(self.now);
        let lasted = self
            .dispatch
            .began
            .map_or(Duration::ZERO, |began| since.saturating_sub(began));
        let end = since + GRACE.max(lasted / 4);
        if end <= self.now {
            self.leave_dispatch();
        } else {
            self.alarm(end);
        }
    }

    /// Shows everything to everybody: an ordinary seed from here on.
    fn leave_dispatch(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let pieces = torrent.geometry.pieces();
        self.dispatch = Dispatch {
            origin: self.dispatch.origin,
            ..Dispatch::new()
        };
        for conn in self.conns() {
            let Some(link) = self.links.get_mut(&conn) else {
                continue;
            };
            let Some(shown) = link.shown.take() else {
                continue;
            };
            if link.is_seed() {
                continue;
            }
            let hidden: Vec<u32> = (0..pieces)
                .filter(|p| !shown.has(*p) && !link.peer.have().has(*p))
                .collect();
            for piece in hidden {
                self.say(conn, Message::Have(PieceIndex(piece)));
            }
        }
        self.reintroduce();
        self.fill_slots();
    }

    /// Forgets a peer; what it alone had is to be handed out again.
    pub(super) fn forget_dispatch(&mut self, conn: ConnId, link: &Link) {
        if !self.dispatch.on {
            return;
        }
        self.dispatch.peers.remove(&conn);
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
            if self.dispatch.hands.get(&piece).is_none_or(|h| h.to == conn) {
                self.dispatch.settle(piece);
                if unsent.insert(piece.0) {
                    self.dispatch.unsent.push(piece.0);
                }
            }
        }
        for piece in held {
            // Another has it: a copy is left, and no hand-out is under way.
            if let Some(hand) = self.dispatch.hands.get_mut(&piece)
                && hand.sent.is_none()
            {
                hand.sent = Some(self.now);
                self.dispatch.under_way -= 1;
            }
        }
        self.dispatch_go();
    }
}

/// Tells whether a peer is one to hand pieces to.
fn receives(link: &Link) -> bool {
    let spoke = link.peer.has_told() || !link.peer.abilities().fast();
    link.is_open() && link.shown.is_some() && spoke && !link.is_seed()
}
