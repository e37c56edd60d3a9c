//! Turns among our own kind, the taking side (SWARM.md, D1 and D2): what to
//! fetch when a peer gives us a turn, or that there is nothing.

use std::time::Duration;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use super::pieces::Partial;
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;
use crate::turn;

/// The most grants of one peer that wait for piece layers.
const HELD: usize = 16;

/// What a peer sends for so long, beside a round trip, comes in any case, and so
/// many blocks that it has given to its kernel.
const MARGIN: Duration = Duration::from_millis(4);
const WAITING: f64 = 2.0;

/// The fewest blocks that are worth a turn of their own.
const SHARE_LEAST: usize = 3;

/// The most pieces that one peer promises and that are remembered.
const PROMISED: usize = 64;

const BLOCK: u32 = gt_vfs::content::BLOCK as u32;

impl Swarm {
    /// Answers a grant: with requests, or with a pass. While piece layers are
    /// being learnt nothing can be judged, and the answer waits for them.
    pub(super) fn take_turn(&mut self, conn: ConnId, grant: turn::Message) {
        let (piece, handed) = match &grant {
            turn::Message::Grant { piece, .. } => (*piece, piece.is_some()),
            turn::Message::Promise { piece, .. } => (Some(*piece), false),
            _ => return,
        };
        let through = self.is_through();
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        if let (Some(piece), true, false) = (piece, through, handed) {
            link.soon.insert(piece);
            if link.soon.len() > PROMISED {
                link.soon
                    .retain(|soon| *soon == piece || torrent.picker.is_open(*soon));
            }
            if link.soon.len() > PROMISED {
                link.soon.pop_first();
            }
        }
        let proves = handed || link.proves;
        let proven = piece.is_some_and(|piece| torrent.leaves.has(piece));
        // Unless something is on offer that was proven by itself.
        let learns = torrent.layers.are_learnt_soon() && !proven && torrent.picker.is_empty();
        if let Some(link) = self.links.get_mut(&conn)
            && learns
            && link.turns.held.len() < HELD
        {
            return link.turns.held.push(grant);
        }
        let blocks = if self.may_ask() {
            self.pick_for_turn(conn, grant)
        } else {
            Vec::new()
        };
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        let Some(id) = link.turns.number else { return };
        let piece = blocks.first().map(|block| block.piece);
        let is_whole = |piece: &PieceIndex| {
            self.torrent
                .as_ref()
                .is_some_and(|t| t.geometry.blocks(*piece).eq(blocks.iter().copied()))
        };
        if let Some(piece) = piece.filter(is_whole).filter(|_| link.turns.gives) {
            let payload = turn::Message::Whole { piece }.write();
            self.say(conn, Message::Extended { id, payload });
        } else {
            let bytes = blocks.iter().map(|block| block.length).sum();
            let payload = turn::Message::Take { bytes }.write();
            self.say(conn, Message::Extended { id, payload });
            for block in blocks {
                self.say(conn, Message::Request(block));
            }
        }
        self.wait_for(conn);
        if let Some(piece) = piece {
            self.promise_through(piece, proves);
        }
    }

    /// Answers the grants that waited.
    pub(super) fn take_held_turns(&mut self) {
        for conn in self.conns() {
            let held = self
                .links
                .get_mut(&conn)
                .map(|l| std::mem::take(&mut l.turns.held));
            for grant in held.unwrap_or_default() {
                self.take_turn(conn, grant);
            }
        }
    }

    /// Picks blocks of one piece: the piece that was offered, else a started
    /// one, else the rarest, else what others owe for too long. A piece that
    /// was promised is one among them, as if the peer had it.
    fn pick_for_turn(&mut self, conn: ConnId, grant: turn::Message) -> Vec<Block> {
        let (bytes, offered, promised) = match grant {
            turn::Message::Grant { bytes, piece } => (bytes, piece, None),
            turn::Message::Promise { bytes, piece } => (bytes, None, Some(piece)),
            _ => return Vec::new(),
        };
        let most = bytes.min(turn::MOST).div_ceil(BLOCK) as usize;
        let Some(link) = self.links.get(&conn) else {
            return Vec::new();
        };
        // A peer that let requests run out is tried with one block at a time.
        // Nobody is asked for more than it takes, however many turns it gives.
        let room = link.queue_limit().saturating_sub(link.asks.len());
        let most = if link.snubs > 0 { 1 } else { most.min(room) };
        let promised = match self.is_through() {
            // All that it promised before is on its way to it still.
            true => {
                let soon = link.soon.iter().copied();
                let wanted = soon.filter(|piece| self.wants_promised(link, *piece));
                wanted.min_by_key(|piece| (self.rarity(*piece), Some(*piece) != promised))
            }
            false => promised.filter(|piece| self.wants_promised(link, *piece)),
        };
        if most == 0 || (link.useful == 0 && promised.is_none()) {
            return Vec::new();
        }
        if self.is_sated() {
            return Vec::new();
        }
        let idle = link.asks.is_empty();
        let chosen = self.choose_piece(conn, offered);
        let piece = match (chosen, promised) {
            (Some(here), Some(soon)) if self.rarity(soon) < self.rarity(here) => Some(soon),
            (here, soon) => here.or(soon),
        };
        if let Some(piece) = piece {
            return self.begin_asking(conn, piece, most);
        }
        let fits = offered.is_none() && self.links.get(&conn).is_some_and(|l| l.snubs == 0);
        let share = match fits && !self.is_through() {
            true => self.take_share(conn, most),
            false => Vec::new(),
        };
        if idle && share.is_empty() {
            return self.end_game(conn, true);
        }
        share
    }

    /// Takes a share of what another peer owes, where there is nothing else to
    /// take: half of what would come later than by this turn, of the piece of which
    /// that is most. The piece is whole earlier and is given on, and neither of both
    /// uplinks waits for somebody who lacks more (N = 100, 5 ms, v1, four to six
    /// seeds: a fifth rides free, 256 KiB 0.950, without this 0.948; equals 0.9630 and
    /// 0.9623).
    ///
    /// Where blocks are verified and given on one by one that is so already.
    fn take_share(&mut self, conn: ConnId, most: usize) -> Vec<Block> {
        let (now, trip) = (self.now, self.turns.trip());
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get_mut(&conn)) else {
            return Vec::new();
        };
        let usual = torrent.promises.block_time;
        let share = |piece: &PieceIndex, partial: &Partial| {
            let there = link.peer.have().has(piece.0) && !link.refused.contains(piece);
            let (debtor, owed) = partial.debtor().filter(|_| there)?;
            let pace = partial.pace(now).or(usual).filter(|pace| !pace.is_zero())?;
            // What is on its way or will be before the debtor hears of this.
            let ahead = (trip + MARGIN).div_duration_f64(pace).ceil() + WAITING;
            let later = (owed as f64 - ahead).max(0.0);
            let blocks = ((later / 2.0).round() as usize).min(most);
            (debtor != conn && blocks >= SHARE_LEAST && !torrent.suspects.doubts(*piece))
                .then_some((blocks, *piece, debtor))
        };
        let shares = torrent.partials.iter();
        let shares = shares.filter_map(|(piece, partial)| share(piece, partial));
        let Some((blocks, piece, debtor)) = shares.max_by_key(|(blocks, ..)| *blocks) else {
            return Vec::new();
        };
        let partial = torrent.partials.get_mut(&piece);
        let taken = partial.map_or_else(Vec::new, |partial| partial.pass(conn, blocks));
        for block in &taken {
            if link.asks.is_empty() {
                link.owes_since = now;
            }
            link.asks.insert(*block, now);
        }
        for block in &taken {
            self.cancel(debtor, *block);
        }
        taken
    }

    fn rarity(&self, piece: PieceIndex) -> u32 {
        let torrent = self.torrent.as_ref();
        torrent.map_or(0, |torrent| torrent.picker.count(piece))
    }

    /// Tells whether a piece is one to ask for that a peer is about to have.
    fn wants_promised(&self, link: &Link, piece: PieceIndex) -> bool {
        self.torrent.as_ref().is_some_and(|torrent| {
            piece.0 < torrent.geometry.pieces()
                && torrent.picker.is_open(piece)
                && !link.refused.contains(&piece)
                && !torrent.suspects.doubts(piece)
        })
    }
}
