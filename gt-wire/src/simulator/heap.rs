//! What will happen, in order of time, and in order of asking where that is
//! the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::geometry::Block;
use crate::swarm::Input;

/// Something that will happen to a node or a pipe.
#[derive(Debug)]
pub(super) enum Happening {
    /// Bytes of so many chunks reach the far end of a pipe.
    Deliver { pipe: u32, chunks: u32 },
    /// The far end of a pipe learns that it was closed.
    Closed { pipe: u32 },
    /// The first packet of a connection arrives, which has this pipe.
    Arrive { pipe: u32 },
    /// The answer to it arrives.
    Accepted { pipe: u32 },
    /// An uplink is free, or may go on.
    Uplink { node: u32 },
    /// A swarm wants to be woken.
    Wake { node: u32 },
    /// A request reaches an HTTP source.
    Ask {
        source: u32,
        node: u32,
        block: Block,
    },
    /// An HTTP source is free.
    Serve { source: u32 },
    /// Anything else.
    Input { node: u32, input: Box<Input> },
    /// A node is switched on.
    Start { node: u32 },
}

#[derive(Debug)]
struct Entry {
    at: u64,
    order: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A queue by time.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

impl Heap {
    pub(super) fn put(&mut self, at: Duration, what: Happening) {
        self.count += 1;
        self.entries.push(Reverse(Entry {
            at: at.as_nanos() as u64,
            order: self.count,
            what,
        }));
    }

    /// Returns when the next thing happens.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let first = self.entries.peek()?;
        Some(Duration::from_nanos(first.0.at))
    }

    pub(super) fn pop(&mut self) -> Option<(Duration, Happening)> {
        let Reverse(entry) = self.entries.pop()?;
        Some((Duration::from_nanos(entry.at), entry.what))
    }
}
