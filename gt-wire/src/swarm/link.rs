//! One connection as the swarm sees it: the conversation, the bytes on their
//! way out, and what each end owes the other.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::exchange::Told;
use super::fast::Fast;
use super::input::ConnId;
use super::mirrors::Errands;
use super::punch::Ways;
use super::ramp::Ramp;
use super::sorted::Sorted;
use super::stats::Rate;
use super::turns::Ledger;
use crate::bitfield::Bitfield;
use crate::extended::Extensions;
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;
use crate::metadata::Fetch;
use crate::peer::Peer;
use crate::turn;

/// Other addresses of one peer that are remembered.
const TWINS: usize = 4;

/// After so long without a word, or without taking one, a connection gives way
/// to another of the same peer.
const QUIET: Duration = Duration::from_secs(20);

/// Room for the few small messages that are said at a time.
const CORK: usize = 64;

/// A connection.
///
/// What each walk over all connections looks at comes first, in few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    /// Whether we refuse its requests.
    pub(super) choked: bool,
    /// Whether we told it that we are interested.
    pub(super) interested: bool,
    /// Pieces that it has and we want.
    pub(super) useful: u32,
    /// How many of the news it was told, or need not be told. The others go with
    /// the next message, or a little later: what is told of many pieces at once
    /// costs a ninth of as many packets.
    pub(super) told: usize,
    pub(super) peer: Peer,
    /// Turns, either way.
    pub(super) turns: Ledger,
    /// What the connection lets out.
    pub(super) ramp: Ramp,
    /// Bytes that the driver holds.
    pub(super) queued: usize,
    /// The pieces shown to it, where an origin hides the others.
    pub(super) shown: Option<Bitfield>,
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,

    pub(super) addr: SocketAddr,
    pub(super) outgoing: bool,
    /// What the peer said of its extensions.
    pub(super) extensions: Option<Extensions>,
    /// What a mirror is asked for; `None` for a peer.
    pub(super) errands: Option<Errands>,
    /// What is given although the other end is choked.
    pub(super) fast: Fast,
    /// Which peers it and we told each other of.
    pub(super) exchange: Told,
    /// Whom it lets us meet.
    pub(super) ways: Ways,
    /// The info dictionary on its way from it.
    pub(super) fetch: Option<Fetch>,
    /// Whether that was begun once.
    pub(super) fetched: bool,
    /// When the connection began.
    pub(super) opened: Duration,
    /// When the last whole message came.
    pub(super) heard: Duration,
    /// When we last said something.
    pub(super) spoke: Duration,
    /// When the driver last got rid of bytes, or had none.
    pub(super) drained: Duration,
    /// When a block last went either way.
    pub(super) useful_at: Duration,

    /// Small messages that wait to be sent as one.
    cork: Vec<u8>,
    /// What is ready for the driver.
    ready: Vec<Bytes>,

    /// How long our call took to be answered.
    pub(super) trip: Option<Duration>,

    /// Requests to it without an answer, and when each was made.
    pub(super) asks: Sorted<Block, Duration>,
    /// Since when it owes us something.
    pub(super) owes_since: Duration,
    /// Requests given up that it may still answer.
    pub(super) late: BTreeSet<Block>,
    /// How often in a row it let requests run out.
    pub(super) snubs: u32,
    /// Pieces that it refused to send since it last let us in, or of late.
    pub(super) refused: BTreeSet<PieceIndex>,
    /// When it last did.
    pub(super) refused_at: Duration,
    /// Blocks that nobody asked for.
    pub(super) unasked: u32,
    /// Shortest time from a request to its answer.
    pub(super) latency: Option<Duration>,
    pub(super) down: Rate,
    /// Bytes a second as they were when it last sent something.
    pub(super) pace: f64,
    pub(super) up: Rate,
    /// When it last told of a new piece.
    pub(super) last_have: Duration,
    /// Whether its pieces are counted one by one in the picker.
    pub(super) counted: bool,

    /// Its requests, in order.
    pub(super) queue: VecDeque<Block>,
    /// Its place in the order of serving.
    pub(super) ticket: Option<u64>,
    /// The piece that the ticket is for.
    pub(super) serving: Option<PieceIndex>,
    /// Bytes being read for it.
    pub(super) reading: usize,
    /// When it last asked for something or was let in.
    pub(super) asked_at: Duration,
    /// When it was let in.
    pub(super) unchoked_at: Duration,
    /// Pieces that it promised and does not have yet.
    pub(super) soon: BTreeSet<PieceIndex>,
    /// Whether it has told us right leaves.
    pub(super) proves: bool,
    /// Other addresses of the same peer, which rest while this one serves.
    twins: Vec<SocketAddr>,
}

impl Link {
    pub(super) fn new(
        conn: ConnId,
        addr: SocketAddr,
        outgoing: bool,
        peer: Peer,
        now: Duration,
    ) -> Self {
        Self {
            conn,
            addr,
            outgoing,
            peer,
            extensions: None,
            errands: None,
            fast: Fast::default(),
            exchange: Told::default(),
            ways: Ways::default(),
            fetch: None,
            fetched: false,
            opened: now,
            heard: now,
            spoke: now,
            drained: now,
            useful_at: now,
            told: 0,
            cork: Vec::new(),
            ready: Vec::new(),
            queued: 0,
            trip: None,
            choked: true,
            interested: false,
            useful: 0,
            asks: Sorted::default(),
            owes_since: now,
            late: BTreeSet::new(),
            snubs: 0,
            refused: BTreeSet::new(),
            refused_at: now,
            unasked: 0,
            latency: None,
            down: Rate::default(),
            pace: 0.0,
            up: Rate::default(),
            downloaded: 0,
            uploaded: 0,
            last_have: now,
            counted: false,
            queue: VecDeque::new(),
            ticket: None,
            serving: None,
            reading: 0,
            asked_at: now,
            unchoked_at: now,
            shown: None,
            ramp: Ramp::default(),
            turns: Ledger::default(),
            soon: BTreeSet::new(),
            proves: false,
            twins: Vec::new(),
        }
    }

    /// Notes another address at which the peer is met.
    pub(super) fn met_at(&mut self, addr: SocketAddr) {
        if self.twins.len() < TWINS && !self.twins.contains(&addr) {
            self.twins.push(addr);
        }
    }

    /// Takes the peer's other addresses, to be tried.
    pub(super) fn take_twins(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.twins)
    }

    /// Returns when the connection gives way to another of the same peer, if
    /// nothing is said and nothing taken until then.
    pub(super) fn silent_at(&self) -> Duration {
        let stuck = self.queued > 0 && self.drained < self.heard;
        QUIET + if stuck { self.drained } else { self.heard }
    }

    /// Returns when the peer's other addresses are tried beside this one: an
    /// idle connection may be silent, but not one that owes something or takes
    /// nothing.
    pub(super) fn given_up_at(&self) -> Option<Duration> {
        let owes = self.snubs > 0 || !self.asks.is_empty() || self.queued > 0;
        (owes && !self.twins.is_empty()).then(|| self.silent_at())
    }

    /// Tells whether the handshake is through.
    pub(super) fn is_open(&self) -> bool {
        self.peer.handshake().is_some() || self.errands.is_some()
    }

    /// Tells whether the peer has everything, by its pieces or its word.
    pub(super) fn is_seed(&self) -> bool {
        self.is_open()
            && (self.peer.have().is_full()
                || self.extensions.as_ref().is_some_and(|e| e.upload_only)
                    && self.peer.have().is_empty())
    }

    /// Says raw bytes, which the handshake is.
    pub(super) fn say_raw(&mut self, now: Duration, raw: &[u8]) {
        self.queued += raw.len();
        self.cork.extend_from_slice(raw);
        self.spoke = now;
    }

    /// Says a message, and before it which pieces came in of late.
    pub(super) fn say(&mut self, now: Duration, message: Message, news: &[PieceIndex]) {
        if let Some(errands) = &mut self.errands {
            return errands.take(&message);
        }
        self.tell(now, news);
        self.write(now, message);
    }

    /// Tells of the pieces that came in of late and it was not told of; tells
    /// whether there are any.
    pub(super) fn tell(&mut self, now: Duration, news: &[PieceIndex]) -> bool {
        let mut untold = news.get(self.told..).unwrap_or_default();
        self.told = news.len();
        // An HTTP source has no use for it, nor a way to be told.
        if untold.is_empty() || self.errands.is_some() {
            return false;
        }
        // As a list, where the peer knows such, a piece of many costs a byte or
        // two, and nine as a message of its own.
        let lists = self.turns.number.filter(|_| self.turns.gives);
        if let Some(id) = lists.filter(|_| untold.len() > 1) {
            let (list, rest) = untold.split_at(untold.len().min(turn::PIECES_MOST));
            let pieces = list.to_vec();
            let payload = turn::Message::Pieces { pieces }.write();
            self.write(now, Message::Extended { id, payload });
            untold = rest;
        }
        for piece in untold {
            self.write(now, Message::Have(*piece));
        }
        true
    }

    fn write(&mut self, now: Duration, message: Message) {
        if self.queued == 0 {
            self.drained = now;
        }
        if self.cork.is_empty() {
            self.cork.reserve_exact(CORK);
        }
        let before = self.cork.len();
        let tail = message.encode(&mut self.cork);
        self.queued += self.cork.len() - before;
        if let Some(tail) = tail {
            self.queued += tail.len();
            if tail.len() < 1024 {
                self.cork.extend_from_slice(&tail);
            } else {
                self.ready.push(Bytes::copy_from_slice(&self.cork));
                self.cork.clear();
                self.ready.push(tail);
            }
        }
        self.spoke = now;
    }

    /// Takes what is to be handed to the driver.
    pub(super) fn flush(&mut self) -> impl Iterator<Item = Bytes> {
        // A few words fit exactly: whoever holds them holds no more than they take.
        let cork = std::mem::take(&mut self.cork);
        let last = (!cork.is_empty()).then(|| Bytes::copy_from_slice(&cork));
        self.ready.drain(..).chain(last)
    }

    /// Tells whether the peer was shown a piece that we have.
    pub(super) fn was_shown(&self, piece: PieceIndex) -> bool {
        self.shown.as_ref().is_none_or(|shown| shown.has(piece.0))
    }
}
