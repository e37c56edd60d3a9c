//! Hand-outs: which piece to whom, each once (SWARM.md, O1 to O3).

use std::net::IpAddr;
use std::time::Duration;

use super::super::Swarm;
use super::super::input::ConnId;
use super::super::link::Link;
use super::super::turns::middle;
use super::{Debt, Hand, LOOK, receives};
use crate::geometry::PieceIndex;
use crate::message::Message;

/// How long a peer may take to ask for what it was handed.
const ASK: Duration = Duration::from_secs(1);

/// How long others get no more than one piece for the sake of a connection
/// whose peer is about to say who it is. In a crowd that comes all at once the
/// first would else get as many as fit on the line, and would be alone with
/// passing them on (N = 100: 0.03 s less idleness in the first two seconds at
/// 5 ms, 0.15 s in the first four at 25 ms).
const COMING: Duration = Duration::from_millis(500);

/// Of how many bytes of blocks one more byte of piece layers is told (N = 100,
/// 25 ms, v2: 0.920 with this, 0.917 without; four seeds).
const LAYERS_SHARE: u64 = 64;

/// A crowd is so large that to tell it all layers would cost more than one byte
/// of so many.
const LAYERS_COST: u64 = 128;

/// How many peers learn all piece layers of us at once; others learn of them.
const INVITED: usize = 2;

/// For how long it counts how quickly a peer passed pieces on.
const COUNTS: Duration = Duration::from_secs(30);

/// How long a peer that asked for a part may ask for nothing more.
const REST: Duration = Duration::from_secs(2);

impl Swarm {
    /// Hands out pieces that nobody has, while there is room (O1, O2).
    pub(in crate::swarm) fn dispatch_go(&mut self) {
        self.dispatch.window = self.dispatch.window.max(self.least_window());
        if self.dispatch.on {
            self.prepare_leaves();
        }
        while self.dispatch.on && self.dispatch.under_way.len() < self.dispatch.window {
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
    /// our pieces, then that which passes them on earliest, then that which was
    /// given least, then chance (O3). Free riders get few without being known as
    /// such. A slow uplink is not seen by what its peer sits on, since that comes
    /// through before its next turn; but to be with ten peers a piece takes ten
    /// times as long by one of 10 Mbit/s as by one of 200, and the last ones are
    /// waited for by all (N = 100, four seeds, uneven: 0.957, without this 0.930;
    /// v2 0.961 and 0.949; leaving 0.945 and 0.931; equals the same).
    pub(in crate::swarm) fn neediest(
        &mut self,
        piece: PieceIndex,
        not: Option<ConnId>,
    ) -> Option<ConnId> {
        let mut best: Option<((u32, i32, u64, u64), ConnId)> = None;
        let turn = self.turn_length();
        let here: Vec<IpAddr> = self
            .links
            .values()
            .filter(|link| receives(link))
            .map(|l| l.addr.ip())
            .collect();
        let coming = self
            .links
            .values()
            .any(|link| is_coming(link, self.now) && !here.contains(&link.addr.ip()));
        let of_late = |shared: Duration| shared + COUNTS > self.now;
        let takes = |debt: &Debt| debt.takes.filter(|_| debt.shared.is_some_and(of_late));
        let usual = middle(self.dispatch.peers.values().filter_map(takes));
        for link in self.links.values() {
            if !receives(link)
                || link.turns.rests(self.now)
                || !link.turns.has_room(turn)
                || Some(link.conn) == not
                || link.peer.have().has(piece.0)
            {
                continue;
            }
            let debt = self.dispatch.peers.get(&link.conn);
            if coming && debt.is_some_and(|debt| debt.pending > 0) {
                // The next piece is for somebody who has none.
                continue;
            }
            let slow = debt.and_then(takes).zip(usual);
            let slow = slow.map_or(0, |(takes, usual)| slowness(takes, usual));
            let untried = link.uploaded > 0 && debt.is_none_or(|debt| debt.shared.is_none());
            let debt = debt.map_or(0, |debt| debt.pending + debt.ignored);
            let debt = debt + u32::from(untried);
            let key = (debt, slow, link.uploaded, self.chance.next());
            if best.is_none_or(|(least, _)| key < least) {
                best = Some((key, link.conn));
            }
        }
        best.map(|(_, conn)| conn)
    }

    pub(in crate::swarm) fn hand_out(&mut self, conn: ConnId, piece: PieceIndex) {
        let turn = self.turn_length();
        let new = !self.is_passed_on(piece);
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        let length = torrent.geometry.asked(piece).length;
        self.dispatch.settle(piece);
        self.dispatch.began.get_or_insert(self.now);
        let hand = Hand {
            to: conn,
            at: self.now,
            new,
            asked: false,
            blocks_left: torrent.geometry.block_count(piece),
            sent: None,
            here: None,
            turns_left: length.div_ceil(turn),
        };
        self.dispatch.hands.insert(piece, hand);
        self.dispatch.under_way.insert((conn, piece));
        self.dispatch.debt(conn).pending += 1;
        if let Some(shown) = &mut link.shown {
            shown.insert(piece.0);
        }
        let turns = link.takes_turns();
        self.say(conn, Message::Have(piece));
        if turns {
            self.grant_hand(conn, piece);
        } else {
            self.unchoke(conn);
        }
        self.alarm(self.now + LOOK);
    }

    /// Gives the turns that a piece takes, as far as the peer can take them now.
    fn grant_hand(&mut self, conn: ConnId, piece: PieceIndex) {
        let turn = self.turn_length();
        let room = |swarm: &Self| {
            swarm
                .links
                .get(&conn)
                .is_some_and(|l| l.turns.has_room(turn))
        };
        while room(self)
            && let Some(hand) = self.dispatch.hands.get_mut(&piece)
            && hand.turns_left > 0
        {
            hand.turns_left -= 1;
            match self.may_give(conn, piece) {
                true => self.give(conn, piece),
                false => self.grant(conn, Some(piece)),
            }
        }
    }

    /// A turn of a peer is over: gives the next ones to it that its pieces
    /// take, and then to whom they are due.
    pub(in crate::swarm) fn dispatch_goes_on(&mut self, conn: ConnId) {
        let idle = self.links.get(&conn).is_some_and(|l| l.turns.is_idle());
        let all = (conn, PieceIndex(0))..=(conn, PieceIndex(u32::MAX));
        let mut pieces = self.dispatch.under_way.range(all).map(|(_, piece)| *piece);
        let next = pieces.find_map(|piece| {
            let hand = self.dispatch.hands.get(&piece)?;
            (hand.turns_left > 0 || idle && hand.asked).then_some((piece, hand.turns_left))
        });
        match next {
            // It took less than all of the piece.
            Some((piece, 0)) => self.grant(conn, Some(piece)),
            Some((piece, _)) => self.grant_hand(conn, piece),
            None => {}
        }
        self.dispatch_go();
    }

    /// Tells whether a peer shall learn a piece layer of others if it can: we
    /// send what nobody else has first, and with its first pieces what proves
    /// them. All ask at the beginning, when each of our bytes is waited for by
    /// all. Who asks again, since nobody else could tell, is told.
    pub(in crate::swarm) fn keeps_layer(&mut self, conn: ConnId, bytes: u64) -> bool {
        let proves = self.is_through() && self.has_takers();
        let asked = self.dispatch.peers.get(&conn).is_some_and(|p| p.layers);
        let taker = self.links.get(&conn).is_some_and(Link::takes_turns);
        let length = self
            .torrent
            .as_ref()
            .map_or(0, |t| t.geometry.piece_length());
        let crowd = 32 * LAYERS_COST * self.links.len() as u64 > length;
        if !self.dispatch.on || !crowd || !proves || !taker || asked {
            return false;
        }
        let pieces = self.torrent.as_ref().map_or(0, |t| t.geometry.pieces());
        let all = 32 * u64::from(pieces).next_power_of_two();
        let room = INVITED as u64 * all + self.totals.uploaded / LAYERS_SHARE;
        let keeps = self.dispatch.told + bytes > room;
        if keeps {
            self.dispatch.debt(conn).layers = true;
        } else {
            self.dispatch.told += bytes;
        }
        keeps
    }

    /// Tells whether one more peer may be told that it can learn piece layers
    /// here.
    pub(in crate::swarm) fn dispatch_may_tell(&mut self) -> bool {
        let may = self.dispatch.on && self.dispatch.invited < INVITED;
        self.dispatch.invited += usize::from(may);
        may
    }

    pub(in crate::swarm) fn reclaim(&mut self) {
        let now = self.now;
        let ignored: Vec<(PieceIndex, ConnId)> = self
            .dispatch
            .hands
            .iter()
            .filter(|(_, h)| !h.asked && h.sent.is_none() && h.at + ASK <= now)
            .map(|(piece, hand)| (*piece, hand.to))
            .collect();
        for (piece, conn) in ignored {
            self.dispatch.settle(piece);
            self.dispatch.debt(conn).ignored += 1;
            self.dispatch.unsent.push(piece.0);
        }
        // A peer of another kind does not say that a part was all it lacked.
        let links = &self.links;
        let still = |to: ConnId| {
            links.get(&to).is_some_and(|link| {
                link.queue.is_empty()
                    && link.queued + link.reading == 0
                    && link.asked_at + REST <= now
            })
        };
        let parts: Vec<PieceIndex> = self
            .dispatch
            .hands
            .iter()
            .filter(|(_, h)| h.asked && h.sent.is_none() && still(h.to))
            .map(|(piece, _)| *piece)
            .collect();
        for piece in parts {
            self.dispatch.enough(piece, now);
        }
    }
}

/// Returns how many times as long as usual something takes, as a power of the
/// root of two: equals differ by chance, and shall be given equally much.
fn slowness(takes: Duration, usual: Duration) -> i32 {
    let least = Duration::from_millis(1);
    let times = takes.max(least).as_secs_f64() / usual.max(least).as_secs_f64();
    (2.0 * times.log2()).round() as i32
}

/// Tells whether a peer is about to say who it is and what it takes.
fn is_coming(link: &Link, now: Duration) -> bool {
    let shaken = link.peer.handshake();
    let told = link.takes_turns()
        || link.extensions.is_some()
        || shaken.is_some_and(|h| !h.abilities.extended());
    !told && link.errands.is_none() && link.opened + COMING > now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_hardly_slower_is_no_slower() {
        let millis = Duration::from_millis;
        for (takes, slow) in [
            (30, 0),
            (35, 0),
            (26, 0),
            (42, 1),
            (60, 2),
            (120, 4),
            (15, -2),
        ] {
            assert_eq!(slowness(millis(takes), millis(30)), slow, "{takes} ms");
        }
        assert_eq!(slowness(Duration::ZERO, Duration::ZERO), 0);
    }
}
