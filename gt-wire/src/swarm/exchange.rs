//! Whom to tell of whom (BEP 11), and what to believe of it.
//!
//! A peer is told of those that we are connected to, what changed since, once
//! a minute at most. What peers tell goes into the book under their name. That
//! others are gone is passed over: it would be a way to take addresses from us.
//!
//! Of two that could be told of each other in one moment, one is told, and the
//! other when the first has had time to call: two that call each other at once
//! may each end the call that the other keeps (libtorrent does, and then waits
//! for a minute).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use super::output::Reason;
use crate::exchange::{Contact, Exchange, NAME, Traits};
use crate::limits;
use crate::place::is_local;

/// The time between two messages to one peer.
const EVERY: Duration = Duration::from_secs(60);

/// How soon after the last a message is not counted as early: clocks differ,
/// and some begin with two.
const EARLY: Duration = Duration::from_secs(30);

/// Early messages before a peer is thrown out.
const EARLY_MOST: u32 = 10;

/// How long a change waits for others, so that they go in one message.
const GATHER: Duration = Duration::from_secs(1);

/// How long the one that is told first has to call the other.
const MEET: Duration = Duration::from_secs(2);

/// What was exchanged with one peer.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Addresses that it was told of and not told to be gone.
    known: BTreeSet<SocketAddr>,
    /// When it may be told again.
    next: Duration,
    /// When it last told something.
    heard: Option<Duration>,
    early: u32,
}

impl Link {
    /// Returns where the peer listens, as far as we know.
    pub(super) fn listens(&self) -> Option<SocketAddr> {
        if self.outgoing || self.ways.datagrams {
            return Some(self.addr);
        }
        let port = self.extensions.as_ref()?.port?;
        Some(SocketAddr::new(self.addr.ip(), port))
    }

    fn traits(&self) -> Traits {
        let mut traits = Traits::default();
        if self.outgoing {
            traits = traits.and(Traits::REACHABLE);
        }
        if self.is_seed() || self.extensions.as_ref().is_some_and(|e| e.upload_only) {
            traits = traits.and(Traits::UPLOAD_ONLY);
        }
        if self.ways.datagrams {
            traits = traits.and(Traits::UTP);
        }
        let said = self.extensions.as_ref();
        if said.is_some_and(|e| e.number(crate::punch::NAME).is_some()) {
            traits = traits.and(Traits::HOLE_PUNCH);
        }
        traits
    }
}

/// To whom to tell what.
impl Link {
    /// Tells whether the peer understands peer exchange.
    fn hears_exchange(&self) -> bool {
        self.extensions
            .as_ref()
            .is_some_and(|e| e.number(NAME).is_some())
    }

    /// Tells whether the peer does not know of `addr` and may: addresses of a
    /// local network are for those inside.
    fn may_hear_of(&self, addr: SocketAddr) -> bool {
        Some(addr) != self.listens()
            && !self.exchange.known.contains(&addr)
            && (is_local(self.addr.ip()) || !is_local(addr.ip()))
    }

    /// Tells whether this peer is told of `other` in the round of `now`, and
    /// `other` of this one later.
    fn is_told_instead(&self, other: &Self, now: Duration) -> bool {
        let told = self.hears_exchange()
            && self.exchange.next <= now
            && other.listens().is_some_and(|addr| self.may_hear_of(addr));
        told && self.calls_better(other)
    }

    /// Tells whether this peer should call `other` rather than be called: who
    /// was reached by us is reachable, who has everything calls for nothing.
    /// Between equals it is a toss, so that nobody calls all the others.
    fn calls_better(&self, other: &Self) -> bool {
        let worth = |from: &Self, to: &Self| {
            let wants = !from.traits().has(Traits::UPLOAD_ONLY);
            (to.outgoing, wants)
        };
        let (ours, theirs) = (worth(self, other), worth(other, self));
        let even = (self.conn.0 ^ other.conn.0).count_ones().is_multiple_of(2);
        let toss = (self.conn < other.conn) == even;
        ours > theirs || (ours == theirs && toss)
    }
}

impl Swarm {
    /// Tells whether addresses of peers are exchanged at all; those of a
    /// private torrent come from its tracker alone (BEP 27).
    pub(super) fn exchanges(&self) -> bool {
        self.options.exchange && !self.options.private
    }

    /// Notes that somebody came or went.
    pub(super) fn exchange_soon(&mut self) {
        if self.exchanges() {
            self.exchange_at = self.exchange_at.min(self.now + GATHER);
            self.alarm(self.exchange_at);
        }
    }

    /// Tells each peer what it does not know, if it is time.
    pub(super) fn time_exchange(&mut self) {
        if self.exchange_at > self.now {
            return self.alarm(self.exchange_at);
        }
        self.exchange_at = Duration::MAX;
        let contacts: BTreeMap<SocketAddr, &Link> = self
            .links
            .values()
            .filter(|link| link.extensions.is_some())
            .filter_map(|link| Some((link.listens()?, link)))
            .collect();
        let mut says = Vec::new();
        for link in self.links.values().filter(|link| link.hears_exchange()) {
            // What is new is found out when it can be told, once a minute.
            if link.exchange.next > self.now {
                self.exchange_at = self.exchange_at.min(link.exchange.next);
                continue;
            }
            let mut news = Exchange::default();
            for (addr, other) in &contacts {
                if !link.may_hear_of(*addr) {
                    continue;
                }
                if other.is_told_instead(link, self.now) {
                    self.exchange_at = self.exchange_at.min(self.now + MEET);
                    continue;
                }
                let (addr, traits) = (*addr, other.traits());
                news.added.push(Contact { addr, traits });
            }
            let known = link.exchange.known.iter();
            let gone = known.filter(|a| !contacts.contains_key(a));
            news.dropped.extend(gone);
            if news.is_empty() {
                continue;
            }
            let most = limits::EXCHANGE_ADDED;
            if news.added.len() > most || news.dropped.len() > most {
                news.added.truncate(most);
                news.dropped.truncate(most);
                self.exchange_at = self.exchange_at.min(self.now + EVERY);
            }
            says.push((link.conn, news));
        }
        for (conn, news) in says {
            let Some(link) = self.links.get_mut(&conn) else {
                continue;
            };
            let told = &mut link.exchange;
            told.next = self.now + EVERY;
            told.known.extend(news.added.iter().map(|c| c.addr));
            for addr in &news.dropped {
                told.known.remove(addr);
            }
            self.say_extended(conn, NAME, news.write());
        }
        self.alarm(self.exchange_at);
    }

    /// Takes what a peer tells.
    pub(super) fn hear_exchange(&mut self, conn: ConnId, payload: &[u8]) {
        let now = self.now;
        if !self.exchanges() {
            return;
        }
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let teller = link.addr.ip();
        let told = &mut link.exchange;
        if told.heard.is_some_and(|at| now < at + EARLY) {
            told.early += 1;
            if told.early > EARLY_MOST {
                let why = "expected peer exchange once a minute, got it all the time";
                self.lose(conn, Reason::Protocol(why.to_owned()), true);
            }
            return;
        }
        told.heard = Some(now);
        let news = match Exchange::read(payload) {
            Ok(news) => news,
            Err(why) => return self.lose(conn, Reason::Protocol(why.to_string()), true),
        };
        link.ways.told(&news);
        // Two who want nothing have nothing for each other (BEP 21).
        let sated = self.torrent.as_ref().is_some_and(super::Torrent::is_whole);
        let addrs: Vec<SocketAddr> = news
            .added
            .iter()
            .filter(|contact| !(sated && contact.traits.has(Traits::UPLOAD_ONLY)))
            .map(|contact| contact.addr)
            .collect();
        self.book.hear(now, &addrs, teller);
        self.alarm(now);
    }
}
