//! Turns among our own kind, the taking side (SWARM.md, D1 and D2): what to
//! fetch when a peer gives us a turn, or that there is nothing.

use super::Swarm;
use super::input::ConnId;
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;
use crate::turn;

/// The most grants of one peer that wait for piece layers.
const HELD: usize = 16;

const BLOCK: u32 = gt_vfs::content::BLOCK as u32;

impl Swarm {
    /// Answers a grant: with requests, or with a pass. While piece layers are
    /// being learnt nothing can be judged, and the answer waits for them.
    pub(super) fn take_turn(&mut self, conn: ConnId, bytes: u32, piece: Option<PieceIndex>) {
        let learns = self
            .torrent
            .as_ref()
            .is_some_and(|torrent| torrent.layers.are_learnt_soon());
        if let Some(link) = self.links.get_mut(&conn)
            && learns
            && link.turns.held.len() < HELD
        {
            return link.turns.held.push((bytes, piece));
        }
        let blocks = if self.may_ask() {
            self.pick_for_turn(conn, bytes.min(turn::MOST).div_ceil(BLOCK) as usize, piece)
        } else {
            Vec::new()
        };
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        let Some(id) = link.turns.number else { return };
        let bytes = blocks.iter().map(|block| block.length).sum();
        let payload = turn::Message::Take { bytes }.write();
        self.say(conn, Message::Extended { id, payload });
        for block in blocks {
            self.say(conn, Message::Request(block));
        }
        self.wait_for(conn);
    }

    /// Answers the grants that waited.
    pub(super) fn take_held_turns(&mut self) {
        for conn in self.conns() {
            let held = self
                .links
                .get_mut(&conn)
                .map(|l| std::mem::take(&mut l.turns.held));
            for (bytes, piece) in held.unwrap_or_default() {
                self.take_turn(conn, bytes, piece);
            }
        }
    }

    /// Picks blocks of one piece: the piece that was offered, else a started
    /// one, else the rarest, else what others owe for too long.
    fn pick_for_turn(
        &mut self,
        conn: ConnId,
        most: usize,
        offered: Option<PieceIndex>,
    ) -> Vec<Block> {
        let Some(link) = self.links.get(&conn) else {
            return Vec::new();
        };
        // A peer that let requests run out is tried with one block at a time.
        // Nobody is asked for more than it takes, however many turns it gives.
        let room = link.queue_limit().saturating_sub(link.asks.len());
        let most = if link.snubs > 0 { 1 } else { most.min(room) };
        if most == 0 || link.useful == 0 {
            return Vec::new();
        }
        let idle = link.asks.is_empty();
        if let Some(piece) = self.choose_piece(conn, offered) {
            return self.begin_asking(conn, piece, most);
        }
        if idle {
            return self.end_game(conn);
        }
        Vec::new()
    }
}
