//! Giving blocks to those who were let in: piece by piece, the oldest piece
//! first, instead of a share for everybody. A piece that is whole can be
//! passed on; many halves cannot (SWARM.md, U1 and U4).
//!
//! It is priority and not exclusivity: when the first in the order has as much
//! under way as its connection takes, the next ones are served too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use super::Swarm;
use super::connect::QUEUE_REQUESTS;
use super::input::{ConnId, Failure, ReadId};
use super::link::Link;
use super::output::{Event, Output, Reason};
use crate::geometry::Block;
use crate::message::Message;

/// How many connections are fed at a time, those that take nothing left out.
const SPILL: usize = 4;

/// After so long without taking a byte a connection is in nobody's way.
const STUCK: Duration = Duration::from_millis(500);

/// The order of serving, and what is being read.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Connections with requests, the oldest piece first.
    ready: BTreeSet<(u64, ConnId)>,
    tickets: u64,
    reads: BTreeMap<ReadId, (ConnId, Block)>,
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

    /// Gives a link a place at the end for the piece it asks for first, or
    /// takes its place away if it asks for nothing.
    fn line_up(&mut self, link: &mut Link) {
        if let Some(ticket) = link.ticket.take() {
            self.ready.remove(&(ticket, link.conn));
        }
        link.serving = link.queue.front().map(|block| block.piece);
        if link.serving.is_some() {
            self.tickets += 1;
            link.ticket = Some(self.tickets);
            self.ready.insert((self.tickets, link.conn));
        }
    }
}

impl Swarm {
    pub(super) fn was_asked(&mut self, conn: ConnId, block: Block) {
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
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
        let refuse = link.choked
            || block.length as usize > BLOCK
            || !torrent.have.has(block.piece.0)
            || !link.was_shown(block.piece)
            || link.queue.len() >= QUEUE_REQUESTS;
        if refuse {
            return self.refuse(conn, block);
        }
        link.queue.push_back(block);
        if link.ticket.is_none() {
            self.server.line_up(link);
        }
        self.dispatch_requested(conn, block.piece);
        self.feed();
    }

    pub(super) fn was_cancelled(&mut self, conn: ConnId, block: Block) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let Some(at) = link.queue.iter().position(|b| *b == block) else {
            return;
        };
        link.queue.remove(at);
        if link.queue.front().map(|b| b.piece) != link.serving {
            self.server.line_up(link);
        }
        // BEP 6: every request is answered by a block or by a rejection.
        self.refuse(conn, block);
    }

    /// Reads what may be sent now.
    pub(super) fn feed(&mut self) {
        if self.server.ready.is_empty() {
            return;
        }
        let window = self.options.send_window;
        let busy = |link: &Link, now: Duration| {
            link.queued + link.reading >= BLOCK && link.drained + STUCK > now
        };
        let mut fed = self
            .links
            .values()
            .filter(|link| busy(link, self.now))
            .count();
        let order: Vec<ConnId> = self.server.ready.iter().map(|(_, conn)| *conn).collect();
        for conn in order {
            let Some(link) = self.links.get_mut(&conn) else {
                continue;
            };
            let was_busy = busy(link, self.now);
            if !was_busy && fed >= SPILL {
                continue;
            }
            let mut begun = false;
            while link.queued + link.reading < window
                && let Some(block) = link.queue.front().copied()
                && Some(block.piece) == link.serving
            {
                link.queue.pop_front();
                if link.queued + link.reading == 0 {
                    link.drained = self.now;
                }
                link.reading += block.length as usize;
                self.server.last_read += 1;
                let id = ReadId(self.server.last_read);
                self.server.reads.insert(id, (conn, block));
                self.outputs.push_back(Output::Read { id, block });
                begun = true;
            }
            if link.queue.front().map(|b| b.piece) != link.serving {
                self.server.line_up(link);
            }
            fed += usize::from(begun && !was_busy);
        }
        if !self.server.ready.is_empty() {
            // Should everybody be stuck, others get their turn.
            self.alarm(self.now + STUCK);
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
            Ok(data) if data.len() == block.length as usize && !link.choked => {
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
        let queue: Vec<Block> = link.queue.drain(..).collect();
        self.server.line_up(link);
        self.say(conn, Message::Choke);
        for block in queue {
            self.refuse(conn, block);
        }
    }

    pub(super) fn forget_server(&mut self, conn: ConnId, link: &Link) {
        if let Some(ticket) = link.ticket {
            self.server.ready.remove(&(ticket, conn));
        }
    }
}
