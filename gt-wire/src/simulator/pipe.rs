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

/// Bytes that leave an uplink before another connection's turn comes.
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
    /// Not sent yet, in the kernel or before it.
    queue: VecDeque<Bytes>,
    waiting: usize,
    /// Of these, bytes that the kernel has.
    taken: usize,
    /// On their way to the far end.
    pub(super) flying: VecDeque<Bytes>,
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
            queue: VecDeque::new(),
            waiting: 0,
            taken: 0,
            flying: VecDeque::new(),
            window: WINDOW,
            under_way: 0,
            acks: VecDeque::new(),
            last: Duration::ZERO,
            arrived: Duration::ZERO,
        }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.waiting += bytes.len();
        self.queue.push_back(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
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
    /// many parts they are.
    pub(super) fn send(&mut self) -> (usize, u32) {
        let mut room = CHUNK
            .min(self.window - self.under_way.min(self.window))
            .max(1);
        let (mut bytes, mut parts) = (0, 0);
        while room > 0
            && let Some(mut first) = self.queue.pop_front()
        {
            if first.len() > room {
                self.queue.push_front(first.split_off(room));
            }
            room -= first.len();
            bytes += first.len();
            parts += 1;
            self.flying.push_back(first);
        }
        self.waiting -= bytes;
        self.taken = self.taken.saturating_sub(bytes);
        self.under_way += bytes;
        (bytes, parts)
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
