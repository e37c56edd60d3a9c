//! HTTP sources (BEP 19) beside peers: a mirror is a connection that has
//! everything, refuses nothing, and is asked by outputs of its own.
//!
//! Mirrors are somebody's bandwidth bill. One is asked while no peer sends, and
//! while it is faster than all peers together; so it bridges the time until
//! peers are found, and stands by when they are quick. Each begins at its own
//! place and goes on in order, so that what is asked for makes long ranges;
//! among others who lack something too it is asked for what is rarest, so that
//! each fetches another part and they trade.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use super::Swarm;
use super::input::{ConnId, Failure};
use super::link::Link;
use super::output::{Event, Output, Reason};
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;
use crate::peer::Peer;

/// The wait after a failure; doubled each time. Servers close connections
/// without meaning anything by it.
const BACKOFF: Duration = Duration::from_millis(250);

/// The longest wait.
const BACKOFF_MOST: Duration = Duration::from_secs(600);

/// Failures in a row after which a mirror is given up.
const FAILURES: u32 = 12;

/// How often it is looked whether the peers have become slow.
const LOOK: Duration = Duration::from_secs(1);

/// Blocks that are asked of a mirror ahead, at least and at most: what is asked
/// of a slow one is lost to peers that come a moment later.
const AHEAD: (usize, usize) = (4, 256);

/// The time of a mirror's pace that is asked for ahead, in seconds.
const AHEAD_TIME: f64 = 0.5;

/// The swarm's name of an HTTP source: its place among those it was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirrorId(pub u32);

impl MirrorId {
    /// Returns the name of its connection; drivers count upwards from small
    /// numbers and never come there.
    fn conn(self) -> ConnId {
        ConnId(1 << 63 | u64::from(self.0))
    }

    pub(super) fn of(conn: ConnId) -> Option<Self> {
        (conn.0 >> 63 == 1).then_some(Self(conn.0 as u32))
    }
}

/// What became of one mirror so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorStats {
    /// Which.
    pub mirror: MirrorId,
    /// Bytes that came from it, wasted ones counted.
    pub downloaded: u64,
    /// Failures since it last sent something.
    pub failures: u32,
    /// Whether it was given up.
    pub given_up: bool,
}

#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// When it may be asked again.
    next: Duration,
    failures: u32,
    downloaded: u64,
    gone: bool,
}

/// What is to be asked of a mirror, and what is not any more.
#[derive(Debug)]
pub(super) struct Errands {
    pub(super) mirror: MirrorId,
    wanted: Vec<(Block, bool)>,
    /// Where it goes on.
    pub(super) at: u32,
}

impl Errands {
    pub(super) fn take(&mut self, message: &Message) {
        match message {
            Message::Request(block) => self.wanted.push((*block, true)),
            Message::Cancel(block) => self.wanted.push((*block, false)),
            _ => {}
        }
    }

    pub(super) fn outputs(&mut self) -> impl Iterator<Item = Output> + '_ {
        let mirror = self.mirror;
        self.wanted
            .drain(..)
            .map(move |(block, wanted)| match wanted {
                true => Output::Fetch { mirror, block },
                false => Output::Unfetch { mirror, block },
            })
    }
}

impl Link {
    fn is_mirror(&self) -> bool {
        self.errands.is_some()
    }

    /// Returns below how many outstanding requests more are made of a mirror.
    pub(super) fn mirror_water(&self) -> usize {
        let ahead = (self.pace * AHEAD_TIME / BLOCK as f64) as usize;
        ahead.clamp(AHEAD.0, AHEAD.1)
    }
}

impl Swarm {
    /// Returns what became of each mirror.
    pub fn mirrors(&self) -> Vec<MirrorStats> {
        let open = |id: MirrorId| self.links.get(&id.conn()).map_or(0, |l| l.downloaded);
        (0..)
            .map(MirrorId)
            .zip(&self.mirrors)
            .map(|(mirror, state)| MirrorStats {
                mirror,
                downloaded: state.downloaded + open(mirror),
                failures: state.failures,
                given_up: state.gone,
            })
            .collect()
    }

    /// Opens mirrors when something lacks, and closes them when nothing does.
    pub(super) fn time_mirrors(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        if self.mirrors.is_empty() || torrent.failed {
            return;
        }
        let (lacks, pieces) = (!torrent.is_whole(), torrent.geometry.pieces());
        let count = self.mirrors.len() as u64;
        for n in 0..self.mirrors.len() {
            let id = MirrorId(n as u32);
            let conn = id.conn();
            if self.links.contains_key(&conn) {
                if !lacks {
                    self.lose(conn, Reason::Idle, true);
                } else {
                    // Peers may have become slow or fast since.
                    self.refill(conn);
                    self.alarm(self.now + LOOK);
                }
                continue;
            }
            let state = &self.mirrors[n];
            if state.gone || !lacks {
                continue;
            }
            if state.next > self.now {
                let at = state.next;
                self.alarm(at);
                continue;
            }
            let nowhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
            let mut link = Link::new(conn, nowhere, true, Peer::whole(pieces), self.now);
            link.errands = Some(Errands {
                mirror: id,
                wanted: Vec::new(),
                at: (n as u64 * u64::from(pieces) / count) as u32,
            });
            self.links.insert(conn, link);
            self.pieces_of_mirror(conn);
            self.alarm(self.now + LOOK);
        }
    }

    /// Tells whether a connection may be asked: every peer may, a mirror only
    /// where it is needed.
    pub(super) fn is_needed(&self, conn: ConnId) -> bool {
        let Some(mirror) = self.links.get(&conn).filter(|l| l.is_mirror()) else {
            return true;
        };
        let lets_in = |link: &Link| match link.takes_turns() {
            true => link.downloaded > 0,
            false => !link.peer.is_choking(),
        };
        let gives =
            |link: &&Link| !link.is_mirror() && link.interested && lets_in(link) && link.snubs == 0;
        let mut peers = self.links.values().filter(gives).peekable();
        if peers.peek().is_none() || mirror.downloaded == 0 {
            return true;
        }
        let rate: f64 = peers.map(|link| link.down.value(self.now)).sum();
        mirror.pace > rate
    }

    pub(super) fn fetched(&mut self, id: MirrorId, block: Block, result: Result<Bytes, Failure>) {
        let conn = id.conn();
        if !self.links.contains_key(&conn) {
            return;
        }
        match result {
            Ok(bytes) if bytes.len() == block.length as usize => {
                if let Some(state) = self.mirrors.get_mut(id.0 as usize) {
                    state.failures = 0;
                }
                self.got_block(conn, block.piece, block.offset, bytes);
            }
            Ok(bytes) => {
                let why = format!("expected {} bytes, got {}", block.length, bytes.len());
                self.mirror_failed(id, Failure::lasting(why));
            }
            Err(failure) => self.mirror_failed(id, failure),
        }
    }

    fn mirror_failed(&mut self, id: MirrorId, failure: Failure) {
        let now = self.now;
        let Some(state) = self.mirrors.get_mut(id.0 as usize) else {
            return;
        };
        let wait = BACKOFF * 2_u32.pow(state.failures.min(12));
        state.failures += 1;
        state.next = now + wait.min(BACKOFF_MOST);
        if !failure.passing || state.failures >= FAILURES {
            return self.give_up_mirror(id, failure.why);
        }
        self.lose(id.conn(), Reason::Closed, true);
    }

    /// Ends with a mirror that lied or is of no use.
    pub(super) fn give_up_mirror(&mut self, id: MirrorId, why: String) {
        if let Some(state) = self.mirrors.get_mut(id.0 as usize)
            && !std::mem::replace(&mut state.gone, true)
        {
            self.event(Event::MirrorGone { mirror: id, why });
        }
        self.lose(id.conn(), Reason::Closed, true);
    }

    /// Takes a mirror's connection out, after it was taken from the table.
    pub(super) fn forget_mirror(&mut self, link: &mut Link) {
        let Some(errands) = &mut link.errands else {
            return;
        };
        self.outputs.extend(errands.outputs());
        let mirror = errands.mirror;
        for block in link.asks.keys() {
            let block = *block;
            self.outputs.push_back(Output::Unfetch { mirror, block });
        }
        if let Some(state) = self.mirrors.get_mut(mirror.0 as usize) {
            state.downloaded += link.downloaded;
        }
    }
}

/// Returns where a mirror goes on after a piece.
pub(super) fn after(piece: PieceIndex) -> u32 {
    piece.0.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_told_of_no_piece() {
        let conn = MirrorId(0).conn();
        let nowhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let mut link = Link::new(conn, nowhere, true, Peer::whole(3), Duration::ZERO);
        link.errands = Some(Errands {
            mirror: MirrorId(0),
            wanted: Vec::new(),
            at: 0,
        });
        // It came after the piece did, and before peers were told of that.
        assert!(!link.tell(Duration::ZERO, &[PieceIndex(1)]));
        assert_eq!(link.flush().count(), 0);
        assert_eq!(link.queued, 0);
    }
}
