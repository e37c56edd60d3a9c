//! What to make of a peer's words.

use bytes::Bytes;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use super::output::{Output, Reason};
use crate::bitfield::Bitfield;
use crate::exchange;
use crate::extended::Extensions;
use crate::geometry::{Block, PieceIndex};
use crate::message::{MAX_EXTENDED, Message};
use crate::metadata;
use crate::peer::Heard;
use crate::punch;
use crate::turn;

impl Swarm {
    pub(super) fn hear(&mut self, conn: ConnId, heard: Heard) {
        match heard {
            // The handshake is taken before.
            Heard::Handshake(_) => {}
            Heard::Pieces => self.has_pieces(conn),
            Heard::Have(piece) => self.has_piece(conn, piece),
            Heard::Message(message) => self.hear_message(conn, message),
        }
    }

    fn hear_message(&mut self, conn: ConnId, message: Message) {
        match message {
            Message::Choke => self.was_choked(conn),
            Message::Unchoke => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.refused.clear();
                }
                self.count_sources();
                self.refill(conn);
            }
            Message::Interested | Message::NotInterested => {
                if !self.links.get(&conn).is_some_and(Link::takes_turns) {
                    self.fill_slots();
                }
                self.grant_turns();
            }
            Message::Request(block) => self.was_asked(conn, block),
            Message::Cancel(block) => self.was_cancelled(conn, block),
            Message::Piece {
                piece,
                offset,
                data,
            } => self.got_block(conn, piece, offset, data),
            Message::Reject(block) => self.was_refused(conn, block),
            Message::AllowedFast(piece) => self.was_allowed(conn, piece),
            Message::Suggest(piece) => self.was_suggested(conn, piece),
            Message::Extended { id, payload } => self.hear_extended(conn, id, payload),
            Message::HashRequest(span) => self.was_asked_hashes(conn, span),
            Message::Hashes { span, hashes } => self.got_hashes(conn, span, &hashes),
            Message::HashReject(span) => self.hashes_refused(conn, span),
            _ => {}
        }
    }

    /// Says what we have, first of all.
    pub(super) fn show_pieces(&mut self, conn: ConnId) {
        let Some(torrent) = &self.torrent else { return };
        let have = torrent.have.clone();
        let hide = self.hides();
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let fast = link.peer.abilities().fast();
        if hide {
            link.shown = Some(Bitfield::empty(have.len()));
        }
        match (hide || have.is_empty(), have.is_full(), fast) {
            (true, _, true) => self.say(conn, Message::HaveNone),
            (true, _, false) => {}
            (_, true, true) => self.say(conn, Message::HaveAll),
            _ => self.say(conn, Message::Bitfield(have.to_bytes())),
        }
        if !hide {
            self.allow_fast(conn);
        }
        self.ask_layers();
    }

    /// Counts what a mirror has, which is all.
    pub(super) fn pieces_of_mirror(&mut self, conn: ConnId) {
        self.has_pieces(conn);
    }

    fn has_pieces(&mut self, conn: ConnId) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        let have = link.peer.have();
        if have.is_full() {
            torrent.seeds += 1;
        } else {
            link.counted = true;
            have.iter().for_each(|piece| torrent.picker.more(piece));
        }
        link.useful = have.iter().filter(|p| torrent.lacks(*p)).count() as u32;
        link.last_have = self.now;
        self.mind(conn);
        self.ask_layers();
        self.dispatch_met();
        self.grant_turns();
    }

    pub(super) fn has_piece(&mut self, conn: ConnId, piece: PieceIndex) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        // A peer that began without a bitfield is counted from here on.
        link.counted = true;
        torrent.picker.more(piece.0);
        link.last_have = self.now;
        // What it promised and then refused, it has after all.
        link.soon.remove(&piece);
        link.refused.remove(&piece);
        if torrent.lacks(piece.0) {
            link.useful += 1;
            if link.useful == 1 {
                self.mind(conn);
            } else {
                self.refill(conn);
            }
        }
        self.dispatch_has(conn, piece);
    }

    /// Tells the peer whether it has something for us.
    pub(super) fn mind(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let wants = link.useful > 0 && self.torrent.as_ref().is_some_and(|t| !t.failed);
        if wants == link.interested {
            if wants {
                self.refill(conn);
            }
            return;
        }
        link.interested = wants;
        self.count_sources();
        self.say(
            conn,
            if wants {
                Message::Interested
            } else {
                Message::NotInterested
            },
        );
        if wants {
            self.refill(conn);
        }
    }

    fn hear_extended(&mut self, conn: ConnId, id: u8, payload: Bytes) {
        if id == 0 {
            return self.introduced(conn, &payload);
        }
        let Some(name) = self.names.get(usize::from(id) - 1) else {
            return;
        };
        match name.as_str() {
            metadata::NAME => self.hear_metadata(conn, &payload),
            exchange::NAME => self.hear_exchange(conn, &payload),
            punch::NAME if self.options.punch => self.hear_punch(conn, &payload),
            turn::NAME => self.hear_turn(conn, &payload),
            _ => {
                let name = name.clone();
                self.outputs.push_back(Output::Extended {
                    conn,
                    name,
                    payload,
                });
            }
        }
    }

    fn introduced(&mut self, conn: ConnId, payload: &[u8]) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let mut extensions = link.extensions.clone().unwrap_or_else(Extensions::default);
        if let Err(why) = extensions.update(payload) {
            return self.lose(conn, Reason::Protocol(why.to_string()), true);
        }
        let turns = self.options.turns && self.torrent.is_some();
        link.turns.number = extensions.number(turn::NAME).filter(|_| turns);
        link.extensions = Some(extensions.clone());
        let addr = link.addr;
        let Some(peer_id) = link.peer.handshake().map(|h| h.peer_id) else {
            return;
        };
        if let (Some(ip), true) = (extensions.your_ip, link.outgoing) {
            self.book.seen_as(ip, addr.ip());
        }
        if let (Some(port), false) = (extensions.port, link.outgoing) {
            // The same peer stands in the book by the port where it listens.
            let listens = std::net::SocketAddr::new(addr.ip(), port);
            self.book
                .rest(self.now, listens, std::time::Duration::from_secs(120));
        }
        self.outputs.push_back(Output::PeerReady {
            conn,
            peer_id,
            extensions,
        });
        self.fetch_info(conn);
        self.dispatch_met();
        self.exchange_soon();
        self.grant_turns();
    }

    pub(super) fn say_extended(&mut self, conn: ConnId, name: &str, payload: Bytes) {
        let Some(id) = self
            .links
            .get(&conn)
            .and_then(|link| link.extensions.as_ref())
            .and_then(|said| said.number(name))
        else {
            return;
        };
        if payload.len() <= MAX_EXTENDED {
            self.say(conn, Message::Extended { id, payload });
        }
    }

    /// Answers that a block will not be sent.
    pub(super) fn refuse(&mut self, conn: ConnId, block: Block) {
        if self
            .links
            .get(&conn)
            .is_some_and(|link| link.peer.abilities().fast())
        {
            self.say(conn, Message::Reject(block));
        }
    }
}
