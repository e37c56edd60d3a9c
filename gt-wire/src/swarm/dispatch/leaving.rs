//! The end of flash mode (SWARM.md, O5).

use std::time::Duration;

use super::super::Swarm;
use super::super::link::Link;
use super::{Dispatch, receives};
use crate::geometry::PieceIndex;
use crate::message::Message;

/// How long the crowd is left to itself once somebody else has everything.
const GRACE: Duration = Duration::from_secs(2);

/// How long a peer of another kind is the only one before all is shown to it.
/// Whoever comes with a crowd is not alone for that long.
const LONE: Duration = Duration::from_millis(500);

impl Swarm {
    /// Tells whether a peer of another kind is the only one, and has been for a
    /// while: there is nobody to whom it could give on what it is handed, and some
    /// do not look again for seconds whether there is more than they were shown
    /// (rqbit 9.1, 200 MiB in pieces of 256 KiB: 5 to 20 s with the hand-outs).
    fn is_lone(&mut self) -> bool {
        let lone = {
            let mut takers = self.links.values().filter(|link| receives(link));
            let first = takers.next();
            first.is_some_and(|link| !link.takes_turns()) && takers.next().is_none()
        };
        if !lone {
            self.dispatch.lone_since = None;
            return false;
        }
        let end = *self.dispatch.lone_since.get_or_insert(self.now) + LONE;
        if end > self.now {
            self.alarm(end);
        }
        end <= self.now
    }

    /// Leaves flash mode when somebody else has everything and the crowd, those
    /// too who come a moment later, has had its time, or when more have left with
    /// everything than are here without (O5), or where nobody is there but a peer
    /// of another kind.
    pub(in crate::swarm) fn consider_leaving(&mut self) {
        if !self.options.super_seed && self.is_lone() {
            return self.leave_dispatch();
        }
        // Whoever says that it has everything may lie; each piece is given away
        // once all the same.
        let through = self.dispatch.unsent.is_empty() && self.dispatch.under_way.is_empty();
        let takers = self.links.values().filter(|link| receives(link)).count();
        if !self.options.super_seed && self.dispatch.finished > takers {
            // Most of them leave with what they have, the last of a piece too. What
            // completes a peer is passed on by nobody then, and one hand-out after
            // the other serves them slowly (N = 100, four seeds, leaving: 0.949,
            // pieces of 256 KiB 0.910; 0.944 and 0.892 without this).
            return self.leave_dispatch();
        }
        if self.options.super_seed || !through || !self.links.values().any(Link::is_seed) {
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
    pub(in crate::swarm) fn leave_dispatch(&mut self) {
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
        self.grant_turns();
    }
}
