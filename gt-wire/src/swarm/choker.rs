//! Ordinary slots: which peers are let in when not all can be.
//!
//! Four at a time, each for ten seconds or longer, since peers of other kinds
//! lose their queues with every change. While we lack something, those that
//! give most are let in, and one more by chance; when we lack nothing, those
//! that were given least.

use std::time::Duration;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;

/// Time between two looks at who deserves a slot.
const ROUND: Duration = Duration::from_secs(10);

/// For how long the peer that was let in by chance stays.
const LUCK: Duration = Duration::from_secs(30);

/// State of the slots.
#[derive(Debug, Default)]
pub(super) struct Choker {
    next: Duration,
    lucky: Option<(ConnId, Duration)>,
}

/// Tells whether a link takes part: an origin in flash mode lets those in
/// from whom it hides by handing them pieces, and our own kind takes turns.
fn takes_part(link: &Link) -> bool {
    link.peer.is_interested() && link.shown.is_none() && !link.takes_turns()
}

impl Swarm {
    /// Lets peers in at once while slots are free.
    pub(super) fn fill_slots(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        if torrent.failed || self.stopped || torrent.have.is_empty() {
            return;
        }
        let used = self
            .links
            .values()
            .filter(|link| takes_part(link) && !link.choked)
            .count();
        let mut waiting: Vec<(u64, u64, ConnId)> = self
            .links
            .values()
            .filter(|link| takes_part(link) && link.choked)
            .map(|link| {
                let gave = u64::MAX - link.downloaded;
                (gave, link.uploaded, link.conn)
            })
            .collect();
        waiting.sort_unstable();
        let free = self.options.slots.saturating_sub(used);
        for (_, _, conn) in waiting.iter().take(free) {
            self.unchoke(*conn);
        }
        if waiting.len() > free {
            if self.choker.next < self.now {
                self.choker.next = self.now + ROUND;
            }
            self.alarm(self.choker.next);
        }
    }

    /// Judges anew who deserves the slots.
    pub(super) fn time_choker(&mut self) {
        self.fill_slots();
        let takers: Vec<&Link> = self.links.values().filter(|l| takes_part(l)).collect();
        if takers.len() <= self.options.slots || self.options.slots == 0 {
            return;
        }
        if self.choker.next > self.now {
            return self.alarm(self.choker.next);
        }
        let whole = self.torrent.as_ref().is_some_and(super::Torrent::is_whole);
        let mut ranked: Vec<(u64, u64, ConnId)> = takers
            .iter()
            .map(|link| {
                let idle = !link.choked && link.asked_at + ROUND < self.now;
                let gives = link.down.value(self.now) as u64;
                let merit = match (idle, whole) {
                    (true, _) => u64::MAX,
                    (_, true) => link.uploaded,
                    (_, false) => u64::MAX - 1 - gives,
                };
                (merit, link.uploaded, link.conn)
            })
            .collect();
        ranked.sort_unstable();
        let mut chosen: Vec<ConnId> = ranked.iter().map(|(_, _, conn)| *conn).collect();
        let rest = chosen.split_off(self.options.slots.saturating_sub(1).min(chosen.len()));
        let lucky = match self.choker.lucky {
            Some((conn, until)) if until > self.now && rest.contains(&conn) => conn,
            _ => {
                let conn = rest[self.chance.below(rest.len())];
                self.choker.lucky = Some((conn, self.now + LUCK));
                conn
            }
        };
        chosen.push(lucky);
        let all: Vec<ConnId> = ranked.into_iter().map(|(_, _, conn)| conn).collect();
        for conn in all {
            if chosen.contains(&conn) {
                self.unchoke(conn);
            } else {
                self.choke(conn);
            }
        }
        self.choker.next = self.now + ROUND;
        self.alarm(self.choker.next);
    }
}
