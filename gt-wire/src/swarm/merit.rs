//! Who gives back (SWARM.md, section 6). Turns go to the needier of two,
//! whoever that is, until a tenth of those that were served give nothing
//! though they could: then contributors come first, and the others get what
//! they leave, and one turn in ten.

use std::time::Duration;

use super::Swarm;
use super::link::Link;

/// Time between two judgements.
const JUDGE: Duration = Duration::from_secs(1);

/// Pieces that a peer is served before it is judged.
const SERVED: u64 = 4;

/// How much more than it gave a contributor may have got.
const CREDIT: u64 = 8;

/// Whether free riders show.
#[derive(Debug, Default)]
pub(super) struct Merit {
    wary: bool,
    next: Duration,
}

impl Merit {
    /// Tells whether contributors come first.
    pub(super) fn is_wary(&self) -> bool {
        self.wary
    }
}

impl Swarm {
    /// Tells whether a peer has given us what counts as a contribution. Who
    /// has nothing that we lack, or is done, owes nothing.
    pub(super) fn gives_back(&self, link: &Link) -> bool {
        if !self.merit.wary {
            return true;
        }
        let piece = u64::from(self.turn_length());
        link.downloaded >= piece && link.uploaded <= CREDIT * link.downloaded
            || link.uploaded < piece
    }

    /// Looks for free riders now and then; what has everything itself cannot
    /// tell, since nobody owes it anything.
    pub(super) fn judge_merit(&mut self) {
        if self.merit.next > self.now {
            return;
        }
        self.merit.next = self.now + JUDGE;
        let Some(torrent) = &self.torrent else { return };
        if torrent.is_whole() {
            self.merit.wary = false;
            return;
        }
        let piece = u64::from(self.turn_length());
        let served = |link: &&Link| link.uploaded >= SERVED * piece && !link.is_seed();
        let all = self.links.values().filter(served).count();
        let free = self
            .links
            .values()
            .filter(served)
            .filter(|link| link.downloaded == 0 && link.useful > 0)
            .count();
        self.merit.wary = free * 10 > all && free > 1;
    }
}
