//! What one link and we owe each other by turns.

use std::collections::VecDeque;
use std::time::Duration;

use gt_vfs::content::BLOCK;

use crate::geometry::PieceIndex;
use crate::swarm::connect::QUEUE_REQUESTS;
use crate::turn;

/// The turns of one link, either way.
///
/// What each grant looks at comes first.
#[derive(Debug, Default)]
#[repr(C)]
pub(in crate::swarm) struct Ledger {
    /// The peer's number for the extension, once it has said.
    pub(in crate::swarm) number: Option<u8>,
    /// Whether it knows gifts, takes of whole pieces and lists of pieces.
    pub(in crate::swarm) gives: bool,
    /// Whether it refused a gift, and is asked before it is given anything.
    pub(super) choosy: bool,
    /// Whether it passed while turns that it took were still served, and so
    /// rests only until the next of them is over.
    pub(super) full: bool,
    /// Grants in a row that it did not answer.
    pub(super) deaf: u32,
    /// Not to be granted a turn before, unless we have more pieces than...
    pub(super) rest: Duration,
    /// ...this.
    pub(super) rest_pieces: u32,
    /// Gifts of its that we refused.
    pub(super) refused: u32,
    /// Grants without an answer, in order.
    granted: VecDeque<Grant>,
    /// How many of them are gifts.
    gifts: usize,
    /// Bytes of each answered turn, and of each gift, that were not served yet.
    pub(super) taken: VecDeque<u32>,
    /// Bytes that it may still ask for.
    pub(in crate::swarm) allowance: u32,
    /// When it last took or asked.
    pub(in crate::swarm) active: Duration,
    /// Grants to us that wait until piece layers are known.
    pub(in crate::swarm) held: Vec<turn::Message>,
    /// Shortest time from a grant to its answer.
    pub(in crate::swarm) delay: Option<Duration>,
    /// How long the handshake took to be answered, or the call by the caller's
    /// word.
    pub(super) trip: Option<Duration>,
}

/// A grant without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) at: Duration,
    /// Which piece was offered.
    pub(super) piece: Option<PieceIndex>,
    /// Whether its blocks go out already.
    pub(super) gift: bool,
}

impl Ledger {
    /// Tells whether the peer is left alone after a pass or silence.
    pub(in crate::swarm) fn rests(&self, now: Duration) -> bool {
        self.rest > now
    }

    /// Returns how many turns the peer has that are not over.
    pub(in crate::swarm) fn open(&self) -> usize {
        self.granted.len() - self.gifts + self.taken.len()
    }

    /// Notes a grant.
    pub(super) fn grant(&mut self, grant: Grant) {
        self.gifts += usize::from(grant.gift);
        self.granted.push_back(grant);
    }

    /// Takes the grant that is answered next.
    pub(super) fn answered(&mut self) -> Option<Grant> {
        let grant = self.granted.pop_front()?;
        self.gifts -= usize::from(grant.gift);
        Some(grant)
    }

    /// Returns the oldest grant without an answer.
    pub(super) fn oldest(&self) -> Option<Grant> {
        self.granted.front().copied()
    }

    /// Returns how many grants have no answer.
    pub(super) fn unanswered(&self) -> usize {
        self.granted.len()
    }

    /// Returns how many grants were out before a time, and are still.
    pub(super) fn granted_before(&self, time: Duration) -> usize {
        let before = |grant: &&Grant| grant.at < time;
        self.granted.iter().take_while(before).count()
    }

    /// Tells whether no turn is out.
    pub(in crate::swarm) fn is_idle(&self) -> bool {
        self.open() == 0
    }

    /// Tells whether the peer can take one more turn of so many bytes: nobody
    /// asks for more at a time than we said that we take.
    pub(in crate::swarm) fn has_room(&self, turn: u32) -> bool {
        let open = self.open() as u64;
        open == 0 || (open + 1) * u64::from(turn) <= (QUEUE_REQUESTS * BLOCK) as u64
    }
}
