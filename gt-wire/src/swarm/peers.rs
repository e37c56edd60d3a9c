//! The address book: whom to connect to next, whom not yet, and whom never
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::chance::Chance;
use super::input::Source;

/// The most addresses that are remembered: what trackers and peers tell is a
/// hint, and this many are enough to fill every slot many times over.
const MOST: usize = 2000;

/// The most addresses in which a connection may be on its way at a time.
const ASKED: usize = 16;

/// The most connections to one public /24 or /48.
const PER_NET: usize = 8;

/// How long an address waits after its first failure; doubled each time.
const BACKOFF: Duration = Duration::from_secs(2);

/// The longest wait.
const BACKOFF_MOST: Duration = Duration::from_secs(600);

/// After so many failures in a row an address is forgotten, unless a person
/// named it.
const FAILURES: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<SocketAddr, Entry>,
    /// Connections by their net, incoming ones too.
    nets: BTreeMap<Net, usize>,
    banned: BTreeSet<SocketAddr>,
    banned_ips: BTreeSet<IpAddr>,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    state: State,
    failures: u32,
    next: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Asked,
    Linked,
}

impl Book {
    /// Takes in addresses that somebody told.
    pub(super) fn learn(&mut self, now: Duration, addrs: &[SocketAddr], source: Source) {
        for addr in addrs {
            let hint = matches!(source, Source::Exchange | Source::Dht);
            let odd = addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast();
            if odd || (hint && addr.port() < 1024) || self.is_banned(addr) {
                continue;
            }
            if let Some(entry) = self.entries.get_mut(addr) {
                entry.source = entry.source.min(source);
                continue;
            }
            if self.entries.len() >= MOST && source != Source::Person {
                continue;
            }
            self.entries.insert(
                *addr,
                Entry {
                    source,
                    state: State::Waiting,
                    failures: 0,
                    next: now,
                },
            );
        }
    }

    /// Returns an address to connect to, and notes that it is on its way.
    /// `slots` is how many connections of our own there may be.
    pub(super) fn due(
        &mut self,
        now: Duration,
        slots: usize,
        chance: &mut Chance,
    ) -> Option<SocketAddr> {
        let mut active: BTreeMap<Source, usize> = BTreeMap::new();
        let mut asked = 0;
        for entry in self.entries.values() {
            if entry.state != State::Waiting {
                *active.entry(entry.source).or_default() += 1;
                asked += usize::from(entry.state == State::Asked);
            }
        }
        if asked >= ASKED || active.values().sum::<usize>() >= slots {
            return None;
        }
        let ready: Vec<(SocketAddr, Source)> = self
            .entries
            .iter()
            .filter(|(addr, e)| {
                e.state == State::Waiting
                    && e.next <= now
                    && net_of(addr.ip())
                        .is_none_or(|net| self.nets.get(&net).is_none_or(|n| *n < PER_NET))
            })
            .map(|(addr, e)| (*addr, e.source))
            .collect();
        // No source has more than half of the slots once another has
        // somebody to offer.
        let fair: Vec<SocketAddr> = ready
            .iter()
            .filter(|(_, source)| active.get(source).is_none_or(|n| *n < slots.div_ceil(2)))
            .map(|(addr, _)| *addr)
            .collect();
        let one_source = ready.windows(2).all(|two| two[0].1 == two[1].1);
        let addr = match () {
            () if !fair.is_empty() => fair[chance.below(fair.len())],
            () if one_source && !ready.is_empty() => ready[chance.below(ready.len())].0,
            () => return None,
        };
        self.entries.get_mut(&addr)?.state = State::Asked;
        Some(addr)
    }

    /// Returns when the next address may be tried.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.entries
            .values()
            .filter(|e| e.state == State::Waiting)
            .map(|e| e.next)
            .min()
    }

    /// Notes a connection that stands, and tells whether there is room for
    /// it in its net.
    pub(super) fn linked(&mut self, addr: SocketAddr, outgoing: bool) -> bool {
        if outgoing && let Some(entry) = self.entries.get_mut(&addr) {
            entry.state = State::Linked;
        }
        let Some(net) = net_of(addr.ip()) else {
            return true;
        };
        let count = self.nets.entry(net).or_default();
        *count += 1;
        *count <= PER_NET
    }

    /// Notes that a connection ended; `good` where it came to something.
    pub(super) fn gone(&mut self, now: Duration, addr: SocketAddr, outgoing: bool, good: bool) {
        if let Some(net) = net_of(addr.ip())
            && let Some(count) = self.nets.get_mut(&net)
        {
            *count -= 1;
            if *count == 0 {
                self.nets.remove(&net);
            }
        }
        if outgoing {
            if good && let Some(entry) = self.entries.get_mut(&addr) {
                entry.failures = 0;
            }
            self.failed(now, addr);
        }
    }

    /// Notes that a connection did not come about, or ended.
    pub(super) fn failed(&mut self, now: Duration, addr: SocketAddr) {
        let Some(entry) = self.entries.get_mut(&addr) else {
            return;
        };
        entry.state = State::Waiting;
        let wait = BACKOFF * 2_u32.pow(entry.failures.min(12));
        entry.failures += 1;
        entry.next = now + wait.min(BACKOFF_MOST);
        if entry.failures >= FAILURES && entry.source != Source::Person {
            self.entries.remove(&addr);
        }
    }

    /// Lets an address wait, since its peer is connected by another way or
    /// of no use now.
    pub(super) fn rest(&mut self, now: Duration, addr: SocketAddr, time: Duration) {
        if let Some(entry) = self.entries.get_mut(&addr)
            && entry.state == State::Waiting
        {
            entry.next = entry.next.max(now + time);
        }
    }

    /// Never connects there again. A public address is banned with every
    /// port; behind a private one there may be others who are honest.
    pub(super) fn ban(&mut self, addr: SocketAddr) {
        self.entries.remove(&addr);
        if net_of(addr.ip()).is_some() {
            self.banned_ips.insert(addr.ip());
        }
        self.banned.insert(addr);
    }

    pub(super) fn is_banned(&self, addr: &SocketAddr) -> bool {
        self.banned.contains(addr) || self.banned_ips.contains(&addr.ip())
    }

    /// Forgets an address, such as our own.
    pub(super) fn forget(&mut self, addr: SocketAddr) {
        self.entries.remove(&addr);
        self.banned.insert(addr);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Net {
    V4([u8; 3]),
    V6([u8; 6]),
}

/// Returns the net of a public address.
fn net_of(ip: IpAddr) -> Option<Net> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            let inner = ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared;
            (!inner).then_some(Net::V4([a, b, c]))
        }
        IpAddr::V6(ip) => {
            let inner = ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local();
            let o = ip.octets();
            (!inner).then_some(Net::V6([o[0], o[1], o[2], o[3], o[4], o[5]]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 2000 + n))
    }

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn a_failed_address_waits_longer_each_time_and_is_forgotten() {
        let (mut book, mut chance) = (Book::default(), Chance::new(1));
        book.learn(NOW, &[addr(0)], Source::Tracker);
        let (mut now, mut waits) = (NOW, Vec::new());
        while let Some(at) = book.next_due() {
            assert_eq!(
                book.due(at.saturating_sub(Duration::from_millis(1)), 9, &mut chance),
                None
            );
            waits.push(at - now);
            now = at;
            assert_eq!(book.due(now, 9, &mut chance), Some(addr(0)));
            book.failed(now, addr(0));
        }
        assert_eq!(waits.len(), FAILURES as usize);
        assert!(waits[1..].windows(2).all(|two| two[0] < two[1]));
    }

    #[test]
    fn one_source_has_half_of_the_slots() {
        let (mut book, mut chance) = (Book::default(), Chance::new(1));
        let many: Vec<_> = (0..100).map(addr).collect();
        book.learn(NOW, &many, Source::Exchange);
        book.learn(NOW, &[addr(200)], Source::Tracker);
        let mut exchange = 0;
        while let Some(next) = book.due(NOW, 8, &mut chance) {
            exchange += usize::from(next != addr(200));
        }
        assert!(exchange <= 7);
        let mut alone = Book::default();
        alone.learn(NOW, &many, Source::Exchange);
        let taken = std::iter::from_fn(|| alone.due(NOW, 8, &mut chance)).count();
        assert_eq!(taken, 8);
    }

    #[test]
    fn nets_and_bans() {
        let mut book = Book::default();
        let public = |n: u8| SocketAddr::from(([8, 8, 8, n], 9000));
        let room = (0..10).filter(|n| book.linked(public(*n), false)).count();
        assert_eq!(room, PER_NET);
        book.ban(public(1));
        assert!(book.is_banned(&SocketAddr::from(([8, 8, 8, 1], 77))));
        book.ban(addr(1));
        assert!(book.is_banned(&addr(1)) && !book.is_banned(&addr(2)));
        book.learn(
            NOW,
            &[addr(1), SocketAddr::from(([8, 8, 8, 1], 77))],
            Source::Tracker,
        );
        book.learn(
            NOW,
            &[SocketAddr::from(([9, 9, 9, 9], 80))],
            Source::Exchange,
        );
        assert_eq!(book.next_due(), None);
    }
}
