//! The life of a connection: its beginning, its handshake, its silence, its
//! end.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use super::mirrors::MirrorId;
use super::output::{Event, Output, Reason};
use crate::PeerId;
use crate::extended::Extensions;
use crate::handshake::{Abilities, Handshake};
use crate::limits;
use crate::message::Message;
use crate::peer::{Heard, Peer};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// After so much silence of ours a sign of life is sent; peers give up after
/// two minutes (BEP 3).
const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// After so much time without one whole message the peer is given up. Bytes
/// that trickle in without ever ending a message do not count.
const SILENCE: Duration = Duration::from_secs(150);

/// How long a peer may take none of what waits for it.
const STUCK: Duration = Duration::from_secs(120);

/// The most bytes that may wait for one peer beyond the window for blocks:
/// answers to floods, and messages of the caller's.
const QUEUE: usize = 20 << 20;

/// How long another address of a peer rests while a connection to that peer
/// stands and serves.
const TWIN: Duration = Duration::from_secs(600);

/// Requests that we take from one peer at a time (`reqq`).
pub(super) const QUEUE_REQUESTS: usize = 500;

impl Swarm {
    pub(super) fn connected(&mut self, conn: ConnId, addr: SocketAddr, outgoing: bool) {
        let refuse = if self.stopped {
            Some(Reason::Stopped)
        } else if self.book.is_banned(&addr) {
            Some(Reason::Banned)
        } else if self.links.len() >= self.options.connections {
            let other = (!outgoing).then(|| self.gives_way(addr)).flatten();
            other.map_or(Some(Reason::Full), |conn| {
                self.lose(conn, Reason::GaveWay, true);
                None
            })
        } else {
            None
        };
        if outgoing {
            self.call_stands(addr);
        }
        let trip = self.book.called(addr).filter(|_| outgoing);
        let trip = trip.map(|at| self.now.saturating_sub(at));
        let room = self.book.linked(addr, outgoing);
        let pieces = self.torrent.as_ref().map(|t| t.geometry.pieces());
        let most = if self.options.fetch_info {
            limits::PIECES as u32
        } else {
            0
        };
        let peer = Peer::new(pieces, most);
        let mut link = Link::new(conn, addr, outgoing, peer, self.now);
        link.trip = trip;
        link.told = self.news.len();
        self.links.insert(conn, link);
        if let Some(why) = refuse.or((!room && !outgoing).then_some(Reason::Full)) {
            self.lose(conn, why, true);
            return;
        }
        if outgoing {
            self.shake(conn, self.options.info_hash);
        }
        if self.dispatch_is_on() {
            self.prepare_leaves();
        }
        self.alarm(self.now + HANDSHAKE);
    }

    fn shake(&mut self, conn: ConnId, info_hash: crate::InfoHash) {
        // A v1 torrent's other name would be a v2 hash that it does not have:
        // libtorrent ends such a connection.
        let v2 = self.torrent.as_ref().is_some_and(|t| t.geometry.has_v2());
        let mut abilities = match v2 {
            true => Abilities::OURS,
            false => Abilities::OURS.without_v2(),
        };
        abilities = match &self.torrent {
            Some(torrent) if self.options.turns => {
                let trip = self.links.get(&conn).and_then(|link| link.trip);
                let abilities = abilities.with_trip(trip.unwrap_or_default());
                match torrent.have.is_empty() {
                    true => abilities.with_nothing(),
                    false => abilities,
                }
            }
            _ => abilities.without_turns(),
        };
        let raw = Handshake {
            abilities,
            info_hash,
            peer_id: self.options.peer_id,
        }
        .encode();
        if let Some(link) = self.links.get_mut(&conn) {
            link.say_raw(self.now, &raw);
            self.dirty.insert(conn, ());
        }
    }

    pub(super) fn received(&mut self, conn: ConnId, bytes: Bytes) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.peer.push(bytes);
        // The link may go in the middle of what it says.
        while let Some(link) = self.links.get_mut(&conn) {
            match link.peer.next() {
                Ok(Some(heard)) => {
                    link.heard = self.now;
                    match heard {
                        Heard::Handshake(handshake) => self.shaken(conn, handshake),
                        other => self.hear(conn, other),
                    }
                }
                Ok(None) => break,
                Err(why) => self.lose(conn, Reason::Protocol(why.to_string()), true),
            }
        }
    }

    fn shaken(&mut self, conn: ConnId, handshake: Handshake) {
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        let (addr, outgoing) = (link.addr, link.outgoing);
        let ours = [Some(self.options.info_hash), self.options.other_hash];
        if !ours.contains(&Some(handshake.info_hash)) {
            let why = format!("expected our torrent, got {}", handshake.info_hash);
            return self.lose(conn, Reason::Protocol(why), true);
        }
        if handshake.peer_id == self.options.peer_id {
            if outgoing {
                self.book.forget(addr);
            }
            return self.lose(conn, Reason::Ourselves, true);
        }
        if !self.is_the_one(conn, &handshake) {
            return;
        }
        if outgoing {
            // It answered ours: a round trip.
            let trip = self.now.saturating_sub(self.links[&conn].opened);
            self.note_trip(conn, trip);
        } else {
            self.shake(conn, handshake.info_hash);
        }
        if handshake.abilities.extended() {
            let payload = self.introduction(conn, handshake.peer_id).write();
            self.say(conn, Message::Extended { id: 0, payload });
        }
        self.show_pieces(conn);
        if handshake.abilities.turns() && self.options.turns && self.torrent.is_some() {
            if let Some(trip) = handshake.abilities.trip().filter(|_| !outgoing) {
                self.note_trip(conn, trip);
            }
            self.begin_turns(conn);
        }
    }

    /// Keeps one of two connections of the same peer; tells whether it is the
    /// new one or the only one.
    fn is_the_one(&mut self, conn: ConnId, handshake: &Handshake) -> bool {
        let id = handshake.peer_id;
        let same = |other: &&Link| {
            other.conn != conn && other.peer.handshake().map(|h| h.peer_id) == Some(id)
        };
        let (Some(link), Some(twin)) = (self.links.get(&conn), self.links.values().find(same))
        else {
            return true;
        };
        // Both ends must drop the same one: of two that went in opposite
        // directions, that of the greater id stays, else the earlier one. But
        // who calls at another address may do so because the earlier one is
        // of no use.
        let ours_stays = self.options.peer_id > id;
        let crossed = link.outgoing != twin.outgoing && link.outgoing == ours_stays;
        let new_stays = crossed || twin.silent_at() <= self.now;
        let (stays, goes) = if new_stays {
            (conn, twin.conn)
        } else {
            (twin.conn, conn)
        };
        if goes == conn && !self.links[&conn].outgoing {
            // So that the caller knows whom it need not call there again.
            self.shake(conn, handshake.info_hash);
        }
        let mut addrs = self
            .links
            .get_mut(&goes)
            .map_or(Vec::new(), Link::take_twins);
        addrs.extend(self.links.get(&goes).map(|link| link.addr));
        self.lose(goes, Reason::Twice, true);
        for addr in addrs {
            let rests = self.book.rest(self.now, addr, TWIN);
            if let Some(link) = self.links.get_mut(&stays).filter(|_| rests) {
                link.met_at(addr);
            }
        }
        new_stays
    }

    /// Tries the other addresses of a peer whose connection is gone or of no
    /// use.
    pub(super) fn try_twins(&mut self, twins: Vec<SocketAddr>) {
        for addr in twins {
            self.book.wake(self.now, addr);
            self.alarm(self.now);
        }
    }

    /// What our extension handshake says to a peer.
    fn introduction(&self, conn: ConnId, to: PeerId) -> Extensions {
        let mut said = Extensions::default();
        let serves = self.options.info.is_some() || self.options.fetch_info;
        for (name, number) in self.names.iter().zip(1u8..) {
            let speaks = match name.as_str() {
                crate::metadata::NAME => serves,
                crate::exchange::NAME => self.exchanges(),
                crate::punch::NAME => self.punches(),
                _ => true,
            };
            if speaks {
                said.numbers.insert(name.clone(), number);
            }
        }
        said.port = self.options.port;
        said.client = Some(self.options.client.clone());
        said.queue = Some(QUEUE_REQUESTS as u32);
        said.metadata_size = self
            .options
            .info
            .as_ref()
            .and_then(|info| u32::try_from(info.len()).ok());
        said.your_ip = self.links.get(&conn).map(|l| l.addr.ip().to_canonical());
        // Who has all that it wants only gives (BEP 21), be it a seed or not.
        // Others leave a peer that wants nothing and shows nothing.
        let sated = |torrent: &super::Torrent| torrent.is_whole() && !torrent.have.is_empty();
        said.upload_only =
            self.torrent.as_ref().is_some_and(sated) && (to.is_ours() || !self.shows_nothing());
        said
    }

    /// Says our extension handshake again to all, after it has changed.
    pub(super) fn reintroduce(&mut self) {
        for conn in self.conns() {
            let peer = &self.links[&conn].peer;
            if let Some(handshake) = peer.handshake().filter(|h| h.abilities.extended()) {
                let payload = self.introduction(conn, handshake.peer_id).write();
                self.say(conn, Message::Extended { id: 0, payload });
            }
        }
    }

    /// Says a message, if the connection stands.
    pub(super) fn say(&mut self, conn: ConnId, message: Message) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.say(self.now, message, &self.news);
        let given_up = link.given_up_at();
        self.dirty.insert(conn, ());
        if let Some(at) = given_up {
            self.alarm(at);
        }
        if self.links[&conn].queued > QUEUE {
            self.lose(conn, Reason::Stuffed, true);
        }
    }

    pub(super) fn sent(&mut self, conn: ConnId, bytes: usize) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.queued = link.queued.saturating_sub(bytes);
            link.drained = self.now;
            let trip = link.turns.delay.unwrap_or(self.turns.delay());
            link.ramp.sent(self.now, bytes, trip);
            self.turns.sent(self.now, bytes);
            self.feed();
            self.sent_some();
        }
    }

    /// Ends a connection that was caught lying, and never takes it up again.
    pub(super) fn ban(&mut self, conn: ConnId, why: Reason) {
        if let Some(mirror) = MirrorId::of(conn) {
            return self.give_up_mirror(mirror, why.to_string());
        }
        if let Some(link) = self.links.get(&conn) {
            let addr = link.addr;
            self.lose(conn, why.clone(), true);
            self.ban_address(addr, why);
        }
    }

    pub(super) fn ban_address(&mut self, addr: SocketAddr, why: Reason) {
        if !self.book.is_banned(&addr) {
            self.book.ban(addr);
            self.event(Event::Banned { addr, why });
        }
    }

    /// Takes a connection out of everything. `ours` tells whether the driver
    /// has to end it.
    pub(super) fn lose(&mut self, conn: ConnId, why: Reason, ours: bool) {
        let Some(mut link) = self.links.remove(&conn) else {
            return;
        };
        self.dirty.remove(&conn);
        self.forget_mirror(&mut link);
        let mirror = link.errands.is_some();
        if ours && !mirror {
            for bytes in link.flush() {
                self.outputs.push_back(Output::Send { conn, bytes });
            }
            let why = why.clone();
            self.outputs.push_back(Output::Disconnect { conn, why });
        }
        let good = link.is_open() && !matches!(why, Reason::Protocol(_));
        if !mirror {
            self.book.gone(self.now, link.addr, link.outgoing, good);
        }
        if matches!(why, Reason::Closed | Reason::Silent(_) | Reason::Stuffed) {
            let twins = link.take_twins();
            self.try_twins(twins);
        }
        self.forget_server(conn, &link);
        self.forget_turns(&link);
        if let Some(torrent) = &mut self.torrent {
            if link.counted {
                for piece in link.peer.have().iter() {
                    torrent.picker.fewer(piece);
                }
            } else if link.peer.have().is_full() && link.peer.has_told() {
                torrent.seeds -= 1;
            }
            for block in link.asks.keys() {
                if let Some(partial) = torrent.partials.get_mut(&block.piece) {
                    partial.release(*block, conn);
                }
                torrent.tidy(block.piece);
            }
            for partial in torrent.partials.values_mut() {
                if partial.only == Some(conn) {
                    partial.only = None;
                }
            }
            torrent.layers.forget(conn);
            torrent.proofs.forget(conn);
            torrent.leaves.forget(conn);
            if self.links.is_empty() {
                torrent.drop_leaves();
            }
        }
        self.forget_dispatch(conn, &link);
        self.forget_describer(conn);
        let addr = link.addr;
        if !mirror {
            self.event(Event::PeerGone { conn, addr, why });
        }
        if !self.stopped {
            self.look_for_others();
            self.exchange_soon();
            self.count_sources();
            self.fill_slots();
            self.grant_turns();
            self.refill_all();
            self.ask_layers();
            self.alarm(self.now);
        }
    }

    /// Ends connections on which nothing happens, and keeps the others alive.
    pub(super) fn time_links(&mut self) {
        let quiet = self.torrent.is_some() && self.options.extensions.is_empty();
        for conn in self.conns() {
            let Some(link) = self.links.get_mut(&conn) else {
                continue;
            };
            if link.errands.is_some() {
                // Its errands have their own times.
                continue;
            }
            let mut ends = vec![(link.heard + SILENCE, Reason::Silent(SILENCE))];
            if !link.is_open() {
                ends.push((link.opened + HANDSHAKE, Reason::Silent(HANDSHAKE)));
            }
            if link.queued > 0 {
                ends.push((link.drained + STUCK, Reason::Stuffed));
            }
            if quiet && !link.interested && !link.peer.is_interested() {
                ends.push((link.useful_at + self.options.idle, Reason::Idle));
            }
            let first = ends.into_iter().min_by_key(|(at, _)| *at);
            let (at, why) = first.expect("silence is always among them");
            if at <= self.now {
                let (addr, idle) = (link.addr, why == Reason::Idle);
                self.lose(conn, why, true);
                if idle {
                    self.book.rest(self.now, addr, Duration::from_secs(600));
                }
                continue;
            }
            if link.spoke + KEEP_ALIVE <= self.now && link.is_open() {
                link.say(self.now, Message::KeepAlive, &self.news);
                self.dirty.insert(conn, ());
            }
            let mut twins = Vec::new();
            let mut given_up = link.given_up_at().unwrap_or(Duration::MAX);
            if given_up <= self.now {
                (given_up, twins) = (Duration::MAX, link.take_twins());
            }
            let next = at
                .min(link.spoke + KEEP_ALIVE)
                .min(given_up)
                .max(self.now + Duration::from_millis(1));
            self.alarm(next);
            self.try_twins(twins);
        }
    }

    /// Connects to whom it is time to connect to.
    pub(super) fn time_connects(&mut self) {
        let room = self.options.connections.saturating_sub(self.links.len());
        let slots = self.options.outgoing.min(room + self.links.len());
        for _ in 0..room {
            let Some(addr) = self.book.due(self.now, slots, &mut self.chance) else {
                break;
            };
            self.outputs.push_back(Output::Connect { addr });
        }
        if let Some(at) = self.book.next_due()
            && room > 0
        {
            // Where slots are full, not time but an ending connection wakes.
            if at > self.now {
                self.alarm(at);
            } else {
                let dark = self.book.next_dark(self.now);
                self.alarm(dark.unwrap_or(self.now + Duration::from_secs(1)));
            }
        }
    }

    /// Calls those soon again who answered of late, where nobody is left who has
    /// what we lack: one of them may only have been full, or the line was cut.
    fn look_for_others(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let served = |link: &Link| link.is_open() && link.useful > 0;
        if !torrent.is_whole() && !self.links.values().any(served) {
            self.book.hurry(self.now);
        }
    }
}
