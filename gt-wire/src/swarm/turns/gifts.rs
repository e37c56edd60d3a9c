//! Pieces that are given without being asked for, and what else only those know
//! of each other who have turns from the handshake on.
//!
//! What an origin hands out nobody else has, so that whoever lacks it wants it:
//! to ask first would cost a round trip for each piece, and at the beginning of
//! a crowd the uplinks of all wait for that. What was idle then is never made up
//! for (N = 100, 25 ms, v2: 0.927 with all of this, 0.918 without; v1 0.917 and
//! 0.912; 5 ms 0.952 and 0.950).

use crate::geometry::{Block, PieceIndex};
use crate::message::Message;
use crate::swarm::Swarm;
use crate::swarm::connect::QUEUE_REQUESTS;
use crate::swarm::input::ConnId;
use crate::swarm::output::Reason;
use crate::turn;

use super::ANSWER;
use super::ledger::Grant;

/// Gifts of one peer that are refused without its blocks being held against it.
/// Ours are none after the first that was refused, but some may be on their
/// way then.
const REFUSED: u32 = 16;

impl Swarm {
    /// Begins turns with a peer that has them from the handshake on.
    pub(in crate::swarm) fn begin_turns(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.turns.number = Some(turn::NUMBER);
        link.turns.gives = true;
        if !self.dispatch_is_on() {
            self.tell_layers(conn);
        }
        self.dispatch_met();
        self.grant_turns();
    }

    /// Tells whether a piece may be given to a peer unasked: nobody has it whom
    /// the peer might be fetching it of, or to ask would take so long that what
    /// is left to do is done by then. Who is alone on a short line loses nothing
    /// by being asked.
    pub(in crate::swarm) fn may_give(&self, conn: ConnId, piece: PieceIndex) -> bool {
        let Some(torrent) = &self.torrent else {
            return false;
        };
        let length = torrent.geometry.asked(piece).length;
        let new = torrent.picker.count(piece) == 0;
        let long = self.turns.is_long();
        let of_use = long || new && self.has_takers();
        let judges = of_use && self.may_judge(conn, piece);
        self.links.get(&conn).is_some_and(|link| {
            judges
                && link.turns.number.is_some()
                && link.turns.gives
                && !link.turns.choosy
                && link.choked
                && length <= self.turn_length()
                && !link.queue.iter().any(|block| block.piece == piece)
        })
    }

    /// Gives all of a piece.
    pub(in crate::swarm) fn give(&mut self, conn: ConnId, piece: PieceIndex) {
        let now = self.now;
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        let Some(id) = link.turns.number else { return };
        link.turns.grant(Grant {
            at: now,
            piece: Some(piece),
            gift: true,
        });
        let length = torrent.geometry.asked(piece).length;
        link.turns.taken.push_back(length);
        link.turns.active = now;
        link.asked_at = now;
        self.turns.open += 1;
        link.queue.extend(torrent.geometry.blocks(piece));
        self.server.wait_for(link, self.torrent.as_ref());
        self.prove_to(conn, Some(piece));
        if self.is_through() {
            self.tell_proof(conn, piece);
        }
        let payload = turn::Message::Gift { piece }.write();
        self.say(conn, Message::Extended { id, payload });
        if self.dispatch_may_tell() {
            self.tell_layers(conn);
        }
        self.alarm(now + ANSWER);
        self.feed();
    }

    /// A peer has said whether it wants a gift; if not, the rest of it stays
    /// here.
    pub(super) fn gift_answered(&mut self, conn: ConnId, piece: PieceIndex, wanted: bool) {
        if wanted {
            return self.dispatch_requested(conn, piece);
        }
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.turns.choosy = true;
        let of_it = |block: &&Block| block.piece == piece;
        let kept: Vec<Block> = link.queue.iter().filter(of_it).copied().collect();
        link.queue.retain(|block| block.piece != piece);
        if link.serving == Some(piece) {
            self.server.line_up(link, self.torrent.as_ref());
        }
        for block in kept {
            self.refuse(conn, block);
            self.turn_served(conn, block.length);
        }
        self.dispatch_passed(conn, piece);
    }

    /// Answers a gift. Its blocks are on their way in any case: if they are not
    /// wanted, those that come are passed over.
    pub(super) fn take_gift(&mut self, conn: ConnId, piece: PieceIndex) {
        let may = self.may_ask() && !self.is_sated();
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        if piece.0 >= torrent.geometry.pieces() {
            let why = format!("expected a gift that is a piece, got piece {piece}");
            return self.lose(conn, Reason::Protocol(why), true);
        }
        let Some(id) = link.turns.number else { return };
        let blocks: Vec<Block> = torrent.geometry.blocks(piece).collect();
        let wanted = may
            && link.snubs == 0
            && link.asks.len() + blocks.len() <= QUEUE_REQUESTS
            && link.peer.have().has(piece.0)
            && !link.refused.contains(&piece)
            && torrent.picker.is_open(piece)
            && !torrent.partials.contains_key(&piece)
            && !torrent.suspects.doubts(piece);
        if !wanted {
            link.turns.refused += 1;
            let room = link.late.len() + blocks.len() <= 2 * QUEUE_REQUESTS;
            if link.turns.refused <= REFUSED && room {
                link.late.extend(blocks);
            }
            let payload = turn::Message::Take { bytes: 0 }.write();
            return self.say(conn, Message::Extended { id, payload });
        }
        let count = blocks.len();
        let blocks = self.begin_asking(conn, piece, count);
        let bytes = blocks.iter().map(|block| block.length).sum();
        let payload = turn::Message::Take { bytes }.write();
        self.say(conn, Message::Extended { id, payload });
        self.wait_for(conn);
        self.promise_through(piece, true);
    }

    /// A peer asks for all of a piece.
    pub(super) fn was_taken_whole(&mut self, conn: ConnId, piece: PieceIndex) {
        let Some(torrent) = &self.torrent else { return };
        if piece.0 >= torrent.geometry.pieces() {
            let why = format!("expected a take of a piece, got piece {piece}");
            return self.lose(conn, Reason::Protocol(why), true);
        }
        let blocks = torrent.geometry.blocks(piece);
        let length = torrent.geometry.asked(piece).length;
        if blocks.len() > QUEUE_REQUESTS {
            let why = format!("expected a take of a turn, got one of {length} bytes");
            return self.lose(conn, Reason::Protocol(why), true);
        }
        self.was_taken(conn, length);
        for block in blocks {
            self.was_asked(conn, block);
        }
    }

    /// A peer tells of pieces that it has.
    pub(super) fn hear_list(&mut self, conn: ConnId, pieces: Vec<PieceIndex>) {
        for piece in pieces {
            let Some(link) = self.links.get_mut(&conn) else {
                return;
            };
            match link.peer.gained(piece) {
                Ok(true) => self.has_piece(conn, piece),
                Ok(false) => {}
                Err(why) => return self.lose(conn, Reason::Protocol(why.to_string()), true),
            }
        }
    }
}
