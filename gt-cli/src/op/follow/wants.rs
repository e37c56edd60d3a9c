//! How often a peer is answered: a want is a few bytes, a pack may be
//! megabytes that are read, compressed and sent.
//!
//! Each address has a bucket of [`BURST`] answers, and one more every
//! [`EVERY`]. What comes too soon waits for its turn, one want for each
//! connection: an honest peer sends the next one when it has its answer.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use gt_trust::offer::Want;
use gt_wire::PeerId;
use gt_wire::swarm::ConnId;

/// Answers at once: more publications than anybody makes in a few seconds.
const BURST: u32 = 16;
/// How soon one more may be given.
const EVERY: Duration = Duration::from_secs(1);
/// Addresses that are remembered; each is forgotten when its bucket is full
/// again, after [`BURST`] × [`EVERY`] at most.
const BUCKETS: usize = 4096;

/// Who is answered, and who waits.
#[derive(Debug, Default)]
pub(super) struct Wants {
    buckets: BTreeMap<Key, Bucket>,
    waiting: BTreeMap<ConnId, (Key, Want)>,
}

/// Whose bucket: that of an address, or of an IPv6 network that one household
/// gets, so that a new peer id or port brings nothing. On this very machine
/// peers are told apart by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(IpAddr, Option<[u8; 20]>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    since: Instant,
}

/// What to do with a want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Answer it.
    Now,
    /// It waits; see [`Wants::due`].
    Later,
    /// One waits already: nobody who keeps to the rules sends another.
    TooMany,
}

impl Key {
    pub(super) fn of(addr: SocketAddr, peer: PeerId) -> Self {
        let ip = addr.ip().to_canonical();
        if ip.is_loopback() {
            return Self(ip, Some(peer.0));
        }
        match ip {
            IpAddr::V4(_) => Self(ip, None),
            IpAddr::V6(ip) => {
                let network = u128::from(ip) >> 80 << 80;
                Self(Ipv6Addr::from(network).into(), None)
            }
        }
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let more = u32::try_from(passed.as_secs() / EVERY.as_secs()).unwrap_or(u32::MAX);
        self.since += EVERY * more.min(BURST);
        self.left = self.left.saturating_add(more);
        if self.left >= BURST {
            (self.left, self.since) = (BURST, now);
        }
    }
}

impl Wants {
    /// A want came.
    pub(super) fn came(&mut self, conn: ConnId, key: Key, want: Want, now: Instant) -> Turn {
        if self.waiting.contains_key(&conn) {
            return Turn::TooMany;
        }
        if self.spend(key, now) {
            return Turn::Now;
        }
        self.waiting.insert(conn, (key, want));
        Turn::Later
    }

    /// Returns the wants whose turn has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(ConnId, Want)> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut due = Vec::new();
        for (conn, (key, want)) in waiting {
            if self.spend(key, now) {
                due.push((conn, want));
            } else {
                self.waiting.insert(conn, (key, want));
            }
        }
        due
    }

    /// A connection ended.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.waiting.remove(&conn);
    }

    fn spend(&mut self, key: Key, now: Instant) -> bool {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= BUCKETS {
            self.buckets.retain(|_, bucket| {
                bucket.fill(now);
                bucket.left < BURST
            });
            if self.buckets.len() >= BUCKETS {
                return false;
            }
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            left: BURST,
            since: now,
        });
        bucket.fill(now);
        match bucket.left.checked_sub(1) {
            Some(left) => {
                bucket.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use gt_trust::Rid;

    use super::*;

    fn want() -> Want {
        Want::new(Rid::from_bytes([1; 32]), None)
    }

    fn key(text: &str, peer: u8) -> Key {
        Key::of(text.parse().unwrap(), PeerId([peer; 20]))
    }

    #[test]
    fn wants_for_ever_get_a_burst_and_then_one_a_second() {
        let mut wants = Wants::default();
        let begin = Instant::now();
        let one = key("192.0.2.1:1", 1);
        for n in 0..u64::from(BURST) {
            assert_eq!(wants.came(ConnId(n), one, want(), begin), Turn::Now);
        }
        assert_eq!(wants.came(ConnId(1), one, want(), begin), Turn::Later);
        assert_eq!(wants.came(ConnId(1), one, want(), begin), Turn::TooMany);
        // Neither another connection, port nor id brings more.
        let again = key("192.0.2.1:2", 2);
        assert_eq!(wants.came(ConnId(2), again, want(), begin), Turn::Later);
        assert!(wants.due(begin).is_empty());
        assert_eq!(wants.due(begin + EVERY).len(), 1);
        assert_eq!(wants.due(begin + EVERY).len(), 0);
        assert_eq!(wants.due(begin + EVERY * 2).len(), 1);
        assert!(wants.due(begin + EVERY * 9).is_empty(), "none waits");
        // It is full again after a while, and not more than full.
        let later = begin + EVERY * 1000;
        for n in 0..u64::from(BURST) {
            assert_eq!(wants.came(ConnId(n), one, want(), later), Turn::Now);
        }
        assert_eq!(wants.came(ConnId(99), one, want(), later), Turn::Later);
    }

    #[test]
    fn one_that_asks_for_ever_does_not_hold_up_the_others() {
        let mut wants = Wants::default();
        let begin = Instant::now();
        for n in 0..1000 {
            wants.came(ConnId(n), key("192.0.2.1:1", 1), want(), begin);
        }
        let other = key("198.51.100.1:1", 2);
        assert_eq!(wants.came(ConnId(5000), other, want(), begin), Turn::Now);
        let (a, b) = (key("[2001:db8:1:1::1]:1", 1), key("[2001:db8:1:9::9]:1", 1));
        assert_eq!(a, b, "one household");
        let here = |peer| key("127.0.0.1:1", peer);
        assert_ne!(here(1), here(2), "peers of one machine");
    }

    #[test]
    fn a_thousand_addresses_cost_bounded_memory() {
        let mut wants = Wants::default();
        let begin = Instant::now();
        for n in 0..2 * BUCKETS as u32 {
            let addr = SocketAddr::from((n.to_be_bytes(), 1));
            let key = Key::of(addr, PeerId([0; 20]));
            wants.came(ConnId(n.into()), key, want(), begin);
            wants.gone(ConnId(n.into()));
        }
        assert_eq!(wants.buckets.len(), BUCKETS);
        assert!(wants.waiting.is_empty());
        let key = key("198.51.100.1:1", 2);
        let later = begin + EVERY * BURST;
        assert_eq!(wants.came(ConnId(0), key, want(), later), Turn::Now);
        assert_eq!(wants.buckets.len(), 1);
    }
}
