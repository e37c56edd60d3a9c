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

impl Entry {
    fn bucket(&self) -> u64 {
        self.at >> WIDTH
    }
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

/// The width of a bucket of time, as a power of two of nanoseconds: 65
/// microseconds.
const WIDTH: u32 = 16;

/// How many buckets there are: what is due after half a second waits in a heap.
const BUCKETS: u64 = 8192;

/// A queue by time.
///
/// Nearly all that is put in is due within some round trips. It goes into
/// buckets, in no order, and only what is next stands in a heap, which is so
/// small that it stays in the cache; one for everything does not (10,000 peers
/// have hundreds of thousands of things before them).
#[derive(Debug)]
pub(super) struct Heap {
    /// What is due up to the end of bucket `now`. It is empty only if all is.
    first: BinaryHeap<Reverse<Entry>>,
    /// What is due in the buckets after that one, each in the place of its
    /// number modulo [`BUCKETS`].
    buckets: Vec<Vec<Reverse<Entry>>>,
    /// Room that buckets had, for those that begin to fill: no more of them than
    /// were ever filled at a time.
    spare: Vec<Vec<Reverse<Entry>>>,
    /// Entries in buckets.
    waiting: usize,
    /// What is due after them.
    later: BinaryHeap<Reverse<Entry>>,
    now: u64,
    count: u64,
}

impl Default for Heap {
    fn default() -> Self {
        Self {
            first: BinaryHeap::new(),
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            spare: Vec::new(),
            waiting: 0,
            later: BinaryHeap::new(),
            now: 0,
            count: 0,
        }
    }
}

impl Heap {
    pub(super) fn put(&mut self, at: Duration, what: Happening) {
        self.count += 1;
        let entry = Entry {
            at: at.as_nanos() as u64,
            order: self.count,
            what,
        };
        let bucket = entry.bucket();
        if bucket <= self.now {
            self.first.push(Reverse(entry));
        } else if bucket < self.now + BUCKETS {
            self.waiting += 1;
            let bucket = &mut self.buckets[(bucket % BUCKETS) as usize];
            if bucket.capacity() == 0 {
                *bucket = self.spare.pop().unwrap_or_default();
            }
            bucket.push(Reverse(entry));
        } else {
            self.later.push(Reverse(entry));
        }
        if self.first.is_empty() {
            self.advance();
        }
    }

    /// Returns when the next thing happens.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let first = self.first.peek()?;
        Some(Duration::from_nanos(first.0.at))
    }

    pub(super) fn pop(&mut self) -> Option<(Duration, Happening)> {
        let Reverse(entry) = self.first.pop()?;
        if self.first.is_empty() {
            self.advance();
        }
        Some((Duration::from_nanos(entry.at), entry.what))
    }

    /// Goes on to the next bucket that has anything in it, now that the one
    /// before is used up.
    fn advance(&mut self) {
        let later = self.later.peek().map(|entry| entry.0.bucket());
        let near = (self.waiting > 0).then(|| {
            let mut buckets = self.now + 1..self.now + BUCKETS;
            buckets.find(|n| !self.buckets[(n % BUCKETS) as usize].is_empty())
        });
        let Some(next) = near.flatten().into_iter().chain(later).min() else {
            return;
        };
        self.now = next;
        let bucket = std::mem::take(&mut self.buckets[(next % BUCKETS) as usize]);
        self.waiting -= bucket.len();
        let used = std::mem::replace(&mut self.first, BinaryHeap::from(bucket));
        if used.capacity() > 0 {
            self.spare.push(used.into_vec());
        }
        while self.later.peek().is_some_and(|e| e.0.bucket() == next) {
            self.first.extend(self.later.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Things near and far are put in between, as far as a pipe, a timer
        /// and a long wait are, and come out by time and by order of asking.
        #[test]
        fn all_comes_out_in_order(
            steps in prop::collection::vec(
                (0u32..4, prop_oneof![0u64..3, 0u64..2_000_000, 0u64..900_000_000, 0u64..90_000_000_000]),
                0..300,
            ),
        ) {
            let (mut heap, mut plain) = (Heap::default(), Vec::new());
            let mut now = 0;
            for (n, (kind, wait)) in (0u32..).zip(steps) {
                if kind == 0 {
                    let least = plain.iter().copied().min();
                    prop_assert_eq!(heap.next_at().map(|at| at.as_nanos() as u64), least.map(|(at, _)| at));
                    plain.retain(|one| Some(*one) != least);
                    let came = heap.pop().map(|(at, what)| match what {
                        Happening::Wake { node } => (at.as_nanos() as u64, node),
                        other => panic!("{other:?} was never put in"),
                    });
                    prop_assert_eq!(came, least);
                    now = least.map_or(now, |(at, _)| at);
                } else {
                    heap.put(Duration::from_nanos(now + wait), Happening::Wake { node: n });
                    plain.push((now + wait, n));
                }
            }
            plain.sort_unstable();
            for (at, n) in plain {
                let came = heap.pop().map(|(at, what)| (at, matches!(what, Happening::Wake { node } if node == n)));
                prop_assert_eq!(came, Some((Duration::from_nanos(at), true)));
            }
            prop_assert!(heap.pop().is_none());
        }
    }
}
