//! What the origin does once every piece was handed out (SWARM.md, O4).

use std::time::Duration;

use super::super::Swarm;
use super::super::input::ConnId;
use super::{HOLD_MOST, receives};
use crate::geometry::PieceIndex;

/// How long a holder may pass nothing on before its pieces go to others.
const PASS_ON: Duration = Duration::from_secs(1);

/// The same in round trips: by a connection that starts up a piece takes five
/// to get to the next peer, and may have to wait for others before (100 at
/// 50 ms: the origin sends 1.05 of the content, 1.08 without it).
const PASS_ON_TRIPS: u32 = 20;

/// Pieces that are given a second time under way at a time.
const EXTRAS: usize = 2;

/// In how many peers a piece is that hardly anybody has.
const RARE: u32 = 3;

/// How long a peer may take to say that it has what it was sent.
const CONFIRM: Duration = Duration::from_secs(3);

impl Swarm {
    /// Hands pieces that one peer sits on to another (O4 a).
    pub(in crate::swarm) fn repair(&mut self) {
        let now = self.now;
        let pass_on = PASS_ON.max(PASS_ON_TRIPS * self.turns.delay());
        let Some(torrent) = &self.torrent else { return };
        let stuck: Vec<(PieceIndex, ConnId)> = self
            .dispatch
            .hands
            .iter()
            .filter(|(piece, hand)| {
                let Some(sent) = hand.sent else { return false };
                let debt = self.dispatch.peers.get(&hand.to);
                let shared = debt.and_then(|d| d.shared).unwrap_or_default();
                let due = if torrent.picker.count(**piece) == 0 {
                    sent + CONFIRM
                } else {
                    (sent.max(shared) + pass_on).min(sent + HOLD_MOST)
                };
                due <= now
            })
            .map(|(piece, hand)| (*piece, hand.to))
            .collect();
        for (piece, holder) in stuck {
            if self.dispatch.under_way.len() >= self.dispatch.window {
                return;
            }
            let other = self.neediest(piece, Some(holder));
            if let Some(conn) = other.or_else(|| self.neediest(piece, None)) {
                self.hand_out(conn, piece);
            }
        }
    }

    /// Helps peers out that got nothing new for a while (O4 b).
    pub(in crate::swarm) fn help(&mut self) {
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

    /// Once every piece was handed out: gives those that hardly anybody has to
    /// a second peer, the last ones first, up to a share of the content (O4 c). All
    /// wait for them, and they have the longest way still before them (N = 100,
    /// 5 ms, four to eight seeds: uneven 0.972, without this 0.969; leaving, 256 KiB
    /// 0.923 and 0.914. With the rarest of all that anybody lacks 0.972 and 0.933,
    /// where the origin sends 1.013 instead of 1.010 and 1.043 instead of 1.036, and
    /// has to look through what each peer lacks).
    pub(in crate::swarm) fn give_extra(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let content = torrent.geometry.content_length();
        let length = torrent.geometry.piece_length();
        let budget = (self.options.extra.clamp(0.0, 100.0) * content as f64) as u64;
        while self.dispatch.under_way.len() < EXTRAS && self.dispatch.extra + length <= budget {
            let Some(torrent) = &self.torrent else { return };
            let rare = |piece: &PieceIndex| torrent.picker.count(*piece) <= RARE;
            let first = self.dispatch.hands.iter();
            let first =
                first.filter(|(piece, hand)| hand.sent.is_some() && hand.new && rare(piece));
            let last = first.max_by_key(|(_, hand)| hand.sent);
            let Some((piece, holder)) = last.map(|(piece, hand)| (*piece, hand.to)) else {
                return;
            };
            let Some(conn) = self.neediest(piece, Some(holder)) else {
                return;
            };
            self.dispatch.extra += length;
            self.hand_out(conn, piece);
            if let Some(hand) = self.dispatch.hands.get_mut(&piece) {
                // No third time, and it shows nothing about who passes it on.
                hand.new = false;
            }
        }
    }

    /// Returns the piece that a peer lacks and fewest others have; one that the
    /// peer was handed before and did not take only if there is no other: nobody
    /// else may be there to give it.
    fn rarest_for(&self, conn: ConnId) -> Option<PieceIndex> {
        let torrent = self.torrent.as_ref()?;
        let link = self.links.get(&conn)?;
        link.peer
            .have()
            .missing()
            .map(PieceIndex)
            .filter(|piece| !self.dispatch.hands.contains_key(piece))
            .min_by_key(|piece| (link.was_shown(*piece), torrent.picker.count(*piece)))
    }
}
