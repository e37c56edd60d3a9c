//! The address book: whom to connect to next, whom not yet, and whom never
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::chance::Chance;
use super::input::Source;
use super::priority::priority;
use crate::limits;
use crate::place::{Place, is_local};

/// The most addresses that are remembered: what trackers and peers tell is a
/// hint, and this many are enough to fill every slot many times over.
const MOST: usize = 2000;

/// The most calls at a time that may well be answered yet (N = 100, 25 ms: 0.928,
/// with 32 0.923, since the first who are called have no room left for others).
const ASKED: usize = 16;

/// The most calls at a time.
const ASKED_MOST: usize = 48;

/// After so long a call that was not answered holds up no other one, and takes no
/// slot: nobody may be there any more (N = 100, half unreachable, four seeds: 0.881
/// with this, 0.875 without).
const DARK: Duration = Duration::from_millis(300);

/// How long one who answered waits where nobody else is left.
const AGAIN: Duration = Duration::from_millis(250);

/// The most connections to one public /24 or /48.
const PER_NET: usize = 8;

/// How long an address waits after its first failure; doubled each time.
const BACKOFF: Duration = Duration::from_secs(2);

/// The longest wait.
const BACKOFF_MOST: Duration = Duration::from_secs(600);

/// After so many failures in a row an address is forgotten, unless a person
/// named it.
const FAILURES: u32 = 8;

/// Addresses of our own that are remembered, and those who told of each.
const VOTES: usize = 16;

/// The same for one that only a peer told of.
const HINT_FAILURES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<SocketAddr, Entry>,
    /// Connections by their net, incoming ones too.
    nets: BTreeMap<Place, usize>,
    banned: BTreeSet<SocketAddr>,
    banned_ips: BTreeSet<IpAddr>,
    /// Our own addresses as peers see them, and the places of those who said
    /// so.
    seen_as: BTreeMap<IpAddr, BTreeSet<IpAddr>>,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    /// The net of the peer that told of it (BEP 11).
    teller: Option<IpAddr>,
    state: State,
    /// When it was last called.
    called: Duration,
    /// Whether a connection stood since, if only to be told that there is no room.
    answered: bool,
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
            self.take(now, *addr, source, None);
        }
    }

    /// Takes in addresses that a peer told. A peer on the Internet cannot
    /// know our own network, and its net has a bounded share of the book.
    pub(super) fn hear(&mut self, now: Duration, addrs: &[SocketAddr], teller: IpAddr) {
        let near = is_local(teller);
        let teller = Place::first(teller);
        let theirs = self.entries.values().filter(|e| e.teller == Some(teller));
        let mut room = limits::EXCHANGE_WAITING.saturating_sub(theirs.count());
        for addr in addrs {
            if room > 0
                && (near || !is_local(addr.ip()))
                && self.take(now, *addr, Source::Exchange, Some(teller))
            {
                room -= 1;
            }
        }
    }

    /// Takes in one address; tells whether it is new.
    fn take(
        &mut self,
        now: Duration,
        addr: SocketAddr,
        source: Source,
        teller: Option<IpAddr>,
    ) -> bool {
        let odd = addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast();
        if odd || (source.is_hint() && addr.port() < 1024) || self.is_banned(&addr) {
            return false;
        }
        if let Some(entry) = self.entries.get_mut(&addr) {
            if source < entry.source {
                (entry.source, entry.teller) = (source, teller);
            }
            return false;
        }
        let hints = self.entries.values().filter(|e| e.source.is_hint()).count();
        if source.is_hint() && (hints >= MOST / 2 || self.entries.len() >= MOST) {
            return false;
        }
        if self.entries.len() >= MOST && source != Source::Person && !self.make_room() {
            return false;
        }
        let entry = Entry {
            source,
            teller,
            state: State::Waiting,
            called: Duration::ZERO,
            answered: false,
            failures: 0,
            next: now,
        };
        self.entries.insert(addr, entry);
        true
    }

    /// Forgets a hint for the sake of somebody who was told by better sources.
    fn make_room(&mut self) -> bool {
        let mut waiting = self.entries.iter();
        let hint = waiting.find(|(_, e)| e.state == State::Waiting && e.source.is_hint());
        let Some(addr) = hint.map(|(addr, _)| *addr) else {
            return false;
        };
        self.entries.remove(&addr).is_some()
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
        let mut told: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let (mut asked, mut dark) = (0, 0);
        for entry in self.entries.values() {
            if entry.state != State::Waiting {
                *active.entry(entry.source).or_default() += 1;
                if let Some(teller) = entry.teller {
                    *told.entry(teller).or_default() += 1;
                }
                if entry.state == State::Asked {
                    let is_dark = entry.called + DARK <= now;
                    asked += usize::from(!is_dark);
                    dark += usize::from(is_dark);
                }
            }
        }
        let all: usize = active.values().sum();
        if asked >= ASKED || asked + dark >= ASKED_MOST || all - dark >= slots {
            return None;
        }
        let ready: Vec<(SocketAddr, (Source, Option<IpAddr>))> = self
            .entries
            .iter()
            .filter(|(addr, e)| {
                e.state == State::Waiting
                    && e.next <= now
                    && Place::of(addr.ip())
                        .is_none_or(|net| self.nets.get(&net).is_none_or(|n| *n < PER_NET))
            })
            .map(|(addr, e)| (*addr, (e.source, e.teller)))
            .collect();
        // No source has more than half of the slots once another has
        // somebody to offer, and no teller more than a quarter.
        let one_source = ready.windows(2).all(|two| two[0].1.0 == two[1].1.0);
        let few = |source: &Source| {
            one_source || active.get(source).is_none_or(|n| *n < slots.div_ceil(2))
        };
        let share = |teller: &Option<IpAddr>| {
            let n = teller.and_then(|t| told.get(&t)).copied().unwrap_or(0);
            n.saturating_sub(slots.div_ceil(4).saturating_sub(1))
        };
        let allowed = || ready.iter().filter(|(_, (source, _))| few(source));
        // Where all tellers have their share, the least of them goes on.
        let least = allowed().map(|(_, (_, teller))| share(teller)).min()?;
        let fair: Vec<SocketAddr> = allowed()
            .filter(|(_, (_, teller))| share(teller) == least)
            .map(|(addr, _)| *addr)
            .collect();
        let addr = self.best(&fair).unwrap_or(fair[chance.below(fair.len())]);
        let entry = self.entries.get_mut(&addr)?;
        entry.state = State::Asked;
        entry.called = now;
        entry.answered = false;
        Some(addr)
    }

    /// Returns the address of the greatest canonical priority (BEP 40), where
    /// our own address is known.
    fn best(&self, addrs: &[SocketAddr]) -> Option<SocketAddr> {
        let ranked = addrs
            .iter()
            .filter_map(|addr| Some((self.rank(*addr)?, *addr)));
        ranked.max().map(|(_, addr)| addr)
    }

    /// Returns the canonical priority of a connection with a public address,
    /// where our own is known.
    pub(super) fn rank(&self, addr: SocketAddr) -> Option<u32> {
        let me = self.me(addr.is_ipv4()).filter(|_| !is_local(addr.ip()))?;
        Some(priority(SocketAddr::new(me, 0), addr))
    }

    /// Tells whether the person named an address.
    pub(super) fn is_wish(&self, addr: SocketAddr) -> bool {
        let entry = self.entries.get(&addr);
        entry.is_some_and(|entry| entry.source == Source::Person)
    }

    /// Notes that an address is called because a peer of `teller` said so; it
    /// is new or waits. Tells whether it may be.
    pub(super) fn call(&mut self, now: Duration, addr: SocketAddr, teller: IpAddr) -> bool {
        if !self.entries.contains_key(&addr) {
            self.hear(now, &[addr], teller);
        }
        match self.entries.get_mut(&addr) {
            Some(entry) if entry.state != State::Linked && !self.banned.contains(&addr) => {
                entry.state = State::Asked;
                entry.called = now;
                entry.answered = false;
                true
            }
            _ => false,
        }
    }

    /// Tells whether an address is our own, as far as peers agree on it.
    pub(super) fn is_me(&self, addr: SocketAddr, port: Option<u16>) -> bool {
        port == Some(addr.port()) && self.me(addr.is_ipv4()) == Some(addr.ip())
    }

    /// Returns our address in a family, where peers of two places agree.
    fn me(&self, v4: bool) -> Option<IpAddr> {
        let votes = self.seen_as.iter().filter(|(ip, _)| ip.is_ipv4() == v4);
        let (ip, votes) = votes.max_by_key(|(_, votes)| votes.len())?;
        (votes.len() >= 2).then_some(*ip)
    }

    /// Notes as whom a peer sees us.
    pub(super) fn seen_as(&mut self, ip: IpAddr, teller: IpAddr) {
        if is_local(ip) || (self.seen_as.len() >= VOTES && !self.seen_as.contains_key(&ip)) {
            return;
        }
        let votes = self.seen_as.entry(ip).or_default();
        if votes.len() < VOTES {
            votes.insert(Place::first(teller));
        }
    }

    /// Returns when the next address may be tried.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.entries
            .values()
            .filter(|e| e.state == State::Waiting)
            .map(|e| e.next)
            .min()
    }

    /// Returns when a call is out for so long that it holds up no other one.
    pub(super) fn next_dark(&self, now: Duration) -> Option<Duration> {
        let asked = self.entries.values().filter(|e| e.state == State::Asked);
        asked.map(|e| e.called + DARK).filter(|at| *at > now).min()
    }

    /// Has those called again soon, once, who answered the last time.
    pub(super) fn hurry(&mut self, now: Duration) {
        for entry in self.entries.values_mut() {
            if entry.state == State::Waiting && entry.answered && entry.failures <= 1 {
                entry.next = entry.next.min(now + AGAIN);
            }
        }
    }

    /// Returns when an address was called that is being called.
    pub(super) fn called(&self, addr: SocketAddr) -> Option<Duration> {
        let entry = self.entries.get(&addr)?;
        (entry.state == State::Asked).then_some(entry.called)
    }

    /// Notes a connection that stands, and tells whether there is room for
    /// it in its net.
    pub(super) fn linked(&mut self, addr: SocketAddr, outgoing: bool) -> bool {
        if outgoing && let Some(entry) = self.entries.get_mut(&addr) {
            entry.state = State::Linked;
            entry.answered = true;
        }
        let Some(net) = Place::of(addr.ip()) else {
            return true;
        };
        let count = self.nets.entry(net).or_default();
        *count += 1;
        *count <= PER_NET
    }

    /// Notes that a connection ended; `good` where it came to something.
    pub(super) fn gone(&mut self, now: Duration, addr: SocketAddr, outgoing: bool, good: bool) {
        if let Some(net) = Place::of(addr.ip())
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
        let most = match entry.teller {
            Some(_) => HINT_FAILURES,
            None => FAILURES,
        };
        if entry.failures >= most && entry.source != Source::Person {
            self.entries.remove(&addr);
        }
    }

    /// Lets an address wait, since its peer is connected by another way or
    /// of no use now; tells whether it is one that would be called.
    pub(super) fn rest(&mut self, now: Duration, addr: SocketAddr, time: Duration) -> bool {
        match self.entries.get_mut(&addr) {
            Some(entry) if entry.state == State::Waiting => {
                entry.next = entry.next.max(now + time);
                true
            }
            _ => false,
        }
    }

    /// Ends the rest of an address: the connection that made it needless is
    /// gone or of no use.
    pub(super) fn wake(&mut self, now: Duration, addr: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&addr)
            && entry.state == State::Waiting
        {
            entry.next = entry.next.min(now);
        }
    }

    /// Never connects there again. A public address is banned with every
    /// port; behind a private one there may be others who are honest.
    pub(super) fn ban(&mut self, addr: SocketAddr) {
        self.entries.remove(&addr);
        if Place::of(addr.ip()).is_some() {
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
    fn calls_into_the_dark_hold_up_no_others() {
        let (mut book, mut chance) = (Book::default(), Chance::new(1));
        let many: Vec<_> = (0..100).map(addr).collect();
        book.learn(NOW, &many, Source::Tracker);
        let mut calls = |now, slots| {
            let called = std::iter::from_fn(|| book.due(now, slots, &mut chance)).count();
            (called, book.next_dark(now))
        };
        let dark = NOW + DARK;
        assert_eq!(calls(NOW, 20), (ASKED, Some(dark)));
        let before = dark - Duration::from_millis(1);
        assert_eq!(calls(before, 20), (0, Some(dark)));
        // They take no slots either, but there is an end.
        assert_eq!(calls(dark, 4), (4, Some(dark + DARK)));
        assert_eq!(calls(dark, 20), (ASKED - 4, Some(dark + DARK)));
        assert_eq!(calls(dark + DARK, 99).0, ASKED_MOST - 2 * ASKED);
        assert_eq!(calls(dark + 2 * DARK, 99), (0, None));
    }

    #[test]
    fn who_answered_is_called_again_soon_and_once_where_nobody_is_left() {
        let (mut book, mut chance) = (Book::default(), Chance::new(1));
        book.learn(NOW, &[addr(0), addr(1)], Source::Tracker);
        while book.due(NOW, 9, &mut chance).is_some() {}
        book.failed(NOW, addr(1));
        book.linked(addr(0), true);
        book.gone(NOW, addr(0), true, false);
        assert_eq!(book.next_due(), Some(NOW + BACKOFF));
        book.hurry(NOW);
        let soon = NOW + AGAIN;
        assert_eq!(book.next_due(), Some(soon));
        assert_eq!(book.due(soon, 9, &mut chance), Some(addr(0)));
        book.linked(addr(0), true);
        book.gone(soon, addr(0), true, false);
        book.hurry(soon);
        assert_eq!(book.next_due(), Some(NOW + BACKOFF), "the other one's");
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

    fn public(n: u32) -> SocketAddr {
        let [_, a, b, c] = n.to_be_bytes();
        SocketAddr::from(([20, a, b, c], 6881))
    }

    /// A poisoner with a whole net behind it gets no more of the book than one
    /// peer, and no more than a quarter of the slots while others are known.
    #[test]
    fn one_teller_has_a_share() {
        let (mut book, mut chance) = (Book::default(), Chance::new(1));
        for n in 0..50u8 {
            let lies: Vec<_> = (0..50).map(|k| public(u32::from(n) * 1000 + k)).collect();
            book.hear(NOW, &lies, IpAddr::from([66, 6, 6, n]));
        }
        assert_eq!(book.entries.len(), limits::EXCHANGE_WAITING);
        let others: Vec<_> = (900_000..900_040).map(public).collect();
        book.hear(NOW, &others[..20], IpAddr::from([9, 9, 9, 9]));
        book.learn(NOW, &others[20..], Source::Tracker);
        let taken: Vec<_> = std::iter::from_fn(|| book.due(NOW, 12, &mut chance)).collect();
        let lies = taken.iter().filter(|a| **a < public(900_000)).count();
        assert!(lies <= 3 && taken.len() == 12, "{lies} of {}", taken.len());
        taken.iter().for_each(|addr| book.failed(NOW, *addr));
        // Nobody else is left: better they than nobody.
        let mut alone = Book::default();
        alone.hear(NOW, &others[..20], IpAddr::from([9, 9, 9, 9]));
        let taken = std::iter::from_fn(|| alone.due(NOW, 12, &mut chance)).count();
        assert_eq!(taken, 12);
        // They never answer, and are soon forgotten; what the tracker said is
        // kept longer.
        let mut now = NOW;
        for _ in 0..4000 {
            now += Duration::from_secs(11);
            while let Some(addr) = book.due(now, 12, &mut chance) {
                book.failed(now, addr);
            }
        }
        assert!(book.entries.is_empty());
    }

    #[test]
    fn the_canonical_order_is_kept_once_two_agree_on_who_we_are() {
        let (mut book, mut chance) = (Book::default(), Chance::new(1));
        let me: IpAddr = "123.213.32.10".parse().unwrap();
        let all: Vec<_> = (0..30).map(|n| public(n * 70_000)).collect();
        book.learn(NOW, &all, Source::Tracker);
        for (n, teller) in ["9.9.9.9", "9.9.9.8", "8.8.8.8"].into_iter().enumerate() {
            assert_eq!(book.me(true).is_some(), n == 3);
            book.seen_as(me, teller.parse().unwrap());
        }
        assert_eq!(book.me(true), Some(me));
        let taken: Vec<_> = std::iter::from_fn(|| book.due(NOW, 9, &mut chance)).collect();
        let rank = |addr: &SocketAddr| priority(SocketAddr::new(me, 0), *addr);
        assert!(taken.windows(2).all(|two| rank(&two[0]) >= rank(&two[1])));
        let rest = all.iter().filter(|a| !taken.contains(a)).map(rank).max();
        assert!(rest.unwrap() <= rank(&taken[8]));
    }

    #[test]
    fn a_stranger_cannot_name_our_own_network() {
        let mut book = Book::default();
        let told =
            ["127.0.0.1:6881", "10.1.1.1:6881", "[fd00::1]:6881"].map(|a| a.parse().unwrap());
        book.hear(NOW, &told, IpAddr::from([9, 9, 9, 9]));
        assert!(book.entries.is_empty());
        book.hear(NOW, &told, IpAddr::from([10, 0, 0, 9]));
        assert_eq!(book.entries.len(), 3);
    }

    #[test]
    fn hints_give_way_to_trackers() {
        let mut book = Book::default();
        for n in 0..100 {
            let many: Vec<_> = (0..50).map(|k| public(n * 1000 + k)).collect();
            book.hear(NOW, &many, IpAddr::from([60, 6, n as u8, 1]));
        }
        assert_eq!(book.entries.len(), MOST / 2);
        let many: Vec<_> = (0..1990).map(|n| public(1_000_000 + n)).collect();
        book.learn(NOW, &many, Source::Tracker);
        assert_eq!(book.entries.len(), MOST);
        let hints = book.entries.values().filter(|e| e.source.is_hint());
        assert_eq!(hints.count(), 10);
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
