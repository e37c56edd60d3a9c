//! One direction of a TCP connection, at its sender, as Linux has it: a
//! window that doubles with every round trip and shrinks while nothing is
//! said, and a kernel that takes little more than it can send.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// The window of a fresh or idle connection: ten segments (RFC 6928).
const WINDOW: usize = 10 * 1448;

/// The largest window.
const WINDOW_MOST: usize = 4 << 20;

/// Silence after which the window is halved, and again for each as long.
const IDLE: Duration = Duration::from_millis(200);

/// Unsent bytes that the kernel takes (`TCP_NOTSENT_LOWAT`).
pub(super) const UNSENT: usize = 16 * 1024;

/// After so many bytes, and what is left of a part then, an uplink goes on to
/// another connection. A kernel sends what it was handed at once in one train;
/// the last bytes of a block do not wait until all others had their turn.
const CHUNK: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) node: u32,
    /// Whether this end may still be used.
    pub(super) open: bool,
    /// Whether it ends after what waits.
    pub(super) closing: bool,
    /// Whether it stands in its node's ring of senders.
    pub(super) in_ring: bool,
    /// Parts on their way to the far end, then those that are not sent yet, in the
    /// kernel or before it.
    parts: VecDeque<Bytes>,
    /// How many of them are on their way.
    flying: usize,
    waiting: usize,
    /// Of these, bytes that the kernel has.
    taken: usize,
    window: usize,
    under_way: usize,
    acks: VecDeque<(Duration, usize)>,
    last: Duration,
    /// When the last bytes arrive: none overtake others.
    pub(super) arrived: Duration,
}

impl Pipe {
    pub(super) fn new(node: u32) -> Self {
        Self {
            node,
            open: false,
            closing: false,
            in_ring: false,
            parts: VecDeque::new(),
            flying: 0,
            waiting: 0,
            taken: 0,
            window: WINDOW,
            under_way: 0,
            acks: VecDeque::new(),
            last: Duration::ZERO,
            arrived: Duration::ZERO,
        }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.waiting += bytes.len();
        self.parts.push_back(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flying == self.parts.len()
    }

    /// Takes what the kernel would take; returns how many bytes.
    pub(super) fn take_up(&mut self) -> usize {
        if self.taken >= UNSENT {
            return 0;
        }
        let more = (self.waiting - self.taken).min(2 * UNSENT - self.taken);
        self.taken += more;
        more
    }

    /// Tells when something may be sent: now, or when an answer comes.
    pub(super) fn ready_at(&mut self, now: Duration) -> Duration {
        while let Some((at, bytes)) = self.acks.front().copied()
            && at <= now
        {
            self.acks.pop_front();
            self.under_way -= bytes;
            self.window = (self.window + bytes).min(WINDOW_MOST);
        }
        if self.under_way == 0 {
            let mut idle = now.saturating_sub(self.last);
            while idle > IDLE && self.window > WINDOW {
                self.window = (self.window / 2).max(WINDOW);
                idle -= IDLE;
            }
        }
        match self.acks.front() {
            Some((at, _)) if self.under_way >= self.window => *at,
            _ => now,
        }
    }

    /// Sends a chunk: moves it to what flies, and returns its bytes and how
    /// many parts they are. Only the window cuts parts, and what the kernel
    /// has: a block that is cut has to be put together where it arrives.
    pub(super) fn send(&mut self) -> (usize, u32) {
        let room = self.window.saturating_sub(self.under_way);
        let room = room.min(self.taken).max(1);
        let (mut bytes, mut parts) = (0, 0);
        while bytes < CHUNK.min(room)
            && let Some(part) = self.parts.get_mut(self.flying)
        {
            let cut = (part.len() > room - bytes).then(|| part.split_off(room - bytes));
            bytes += part.len();
            parts += 1;
            self.flying += 1;
            if let Some(rest) = cut {
                self.parts.insert(self.flying, rest);
            }
        }
        self.waiting -= bytes;
        self.taken = self.taken.saturating_sub(bytes);
        self.under_way += bytes;
        (bytes, parts)
    }

    /// Takes the next part that arrives at the far end.
    pub(super) fn land(&mut self) -> Option<Bytes> {
        self.flying = self.flying.checked_sub(1)?;
        self.parts.pop_front()
    }

    /// Notes when the chunk was out and when its receipt comes back.
    pub(super) fn sent(&mut self, out: Duration, back: Duration, bytes: usize) {
        self.last = out;
        let back = self.acks.back().map_or(back, |(at, _)| back.max(*at));
        self.acks.push_back((back, bytes));
    }

    /// Notes a lost packet.
    pub(super) fn lost(&mut self) {
        self.window = (self.window / 2).max(WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 16 * 1024;

    /// A connection that blocks with their numbers wait for.
    fn with_blocks(count: usize) -> Pipe {
        let mut pipe = Pipe::new(0);
        for _ in 0..count {
            pipe.push(Bytes::from_static(&[0; 13]));
            pipe.push(Bytes::from_static(&[1; BLOCK]));
        }
        pipe
    }

    #[test]
    fn a_chunk_is_a_whole_block_and_what_is_told_of_is_what_was_sent() {
        let mut pipe = with_blocks(4);
        pipe.window = WINDOW_MOST;
        let mut told = pipe.take_up();
        for n in 1..=4 {
            let (bytes, parts) = pipe.send();
            assert_eq!((bytes, parts), (BLOCK + 13, 2), "block {n}");
            told += pipe.take_up();
            assert!(told >= n * (BLOCK + 13), "it was sent, so it was taken");
        }
        assert_eq!(told, 4 * (BLOCK + 13));
        assert!(pipe.is_empty());
    }

    #[test]
    fn the_window_cuts_a_block() {
        let mut pipe = with_blocks(1);
        pipe.take_up();
        assert_eq!(pipe.send(), (WINDOW, 2));
        assert_eq!(pipe.ready_at(Duration::ZERO), Duration::ZERO);
        let trip = Duration::from_millis(10);
        pipe.sent(Duration::ZERO, trip, WINDOW);
        assert_eq!(
            pipe.ready_at(Duration::ZERO),
            trip,
            "it waits for the answer"
        );
        assert_eq!(pipe.ready_at(trip), trip);
        assert_eq!(pipe.window, 2 * WINDOW);
        assert_eq!(pipe.send(), (BLOCK + 13 - WINDOW, 1));
        let flown: usize = std::iter::from_fn(|| pipe.land())
            .map(|part| part.len())
            .sum();
        assert_eq!(flown, BLOCK + 13);
    }
}
