//! Meeting those whom no stranger can reach, through somebody who knows them
//! (BEP 55): as the one who asks, as the one who is called, and as the relay.
//!
//! Who asks: an address that a peer told with the mark of hole punching does
//! not answer, so the teller is asked to bring us together. Who is called
//! without having asked takes it as a stranger's hint, of which a connection
//! may give a few a minute. A relay tells nobody of an address that it would
//! not tell by peer exchange, and works for nobody without end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::Swarm;
use super::input::ConnId;
use super::output::{Output, Reason};
use crate::exchange::{Exchange, Traits};
use crate::limits;
use crate::place::is_local;
use crate::punch::{Fault, Message, NAME};

/// How long an address is left in peace after it was asked for.
const AGAIN: Duration = Duration::from_secs(300);

/// How long a relay may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Addresses that are remembered as asked for.
const MOST: usize = 256;

/// Calls that may be under way at a time.
const CALLS: usize = 8;

/// What one connection may cost in a minute: wishes to a relay, and calls that
/// it sends us without our asking.
const BUDGET: u32 = 20;

const MINUTE: Duration = Duration::from_secs(60);

/// What one connection has to do with hole punching.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// Whether it goes over UDP, so that its address is the one that a router
    /// keeps open.
    pub(super) datagrams: bool,
    /// Peers that it told of, who can be met through it.
    knows: BTreeSet<SocketAddr>,
    /// What was spent since when.
    spent: (Duration, u32),
}

impl Ways {
    /// Takes what it told of its peers.
    pub(super) fn told(&mut self, news: &Exchange) {
        for contact in &news.added {
            if contact.traits.has(Traits::HOLE_PUNCH) && self.knows.len() < limits::EXCHANGE_WAITING
            {
                self.knows.insert(contact.addr);
            }
        }
        for addr in &news.dropped {
            self.knows.remove(addr);
        }
    }

    /// Tells whether one more message may cost something.
    fn pays(&mut self, now: Duration) -> bool {
        if now >= self.spent.0 + MINUTE {
            self.spent = (now, 0);
        }
        self.spent.1 += 1;
        self.spent.1 <= BUDGET
    }
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Punches {
    /// Whom we asked for, through whom, and until when an answer counts.
    asked: BTreeMap<SocketAddr, (ConnId, Duration)>,
    /// When an address may be asked for again.
    rest: BTreeMap<SocketAddr, Duration>,
    /// Whom the driver calls.
    calls: BTreeSet<SocketAddr>,
}

impl Swarm {
    /// Tells whether we call and let ourselves be called through others. The
    /// addresses of a private torrent come from its tracker alone (BEP 27).
    pub(super) fn punches(&self) -> bool {
        self.options.punch && self.exchanges()
    }

    /// Notes that an address did not answer, and looks for somebody who can
    /// bring us together.
    pub(super) fn connect_failed(&mut self, addr: SocketAddr) {
        let called = self.punches.calls.remove(&addr);
        // Two calls to one peer may be under way; the one that stands counts.
        if self.links.values().any(|l| l.outgoing && l.addr == addr) {
            return;
        }
        self.book.failed(self.now, addr);
        self.alarm(self.now);
        let now = self.now;
        self.punches.rest.retain(|_, until| *until > now);
        self.punches.asked.retain(|_, (_, until)| *until > now);
        if !called && !self.punches.rest.contains_key(&addr) && self.punches.rest.len() < MOST {
            self.rendezvous(addr);
        }
    }

    fn rendezvous(&mut self, addr: SocketAddr) {
        if !self.punches() || self.stopped || self.book.is_banned(&addr) {
            return;
        }
        let relay = self.links.values().find(|link| {
            link.ways.knows.contains(&addr)
                && link
                    .extensions
                    .as_ref()
                    .and_then(|e| e.number(NAME))
                    .is_some()
        });
        let Some(relay) = relay.map(|link| link.conn) else {
            return;
        };
        self.punches.rest.insert(addr, self.now + AGAIN);
        self.punches.asked.insert(addr, (relay, self.now + ANSWER));
        self.say_extended(relay, NAME, Message::Rendezvous(addr).write());
    }

    /// Takes a message of the extension.
    pub(super) fn hear_punch(&mut self, conn: ConnId, payload: &[u8]) {
        if !self.punches() {
            return;
        }
        match Message::read(payload) {
            Ok(Message::Rendezvous(addr)) => self.relay(conn, addr),
            Ok(Message::Connect(addr)) => self.called(conn, addr),
            Ok(Message::Failed(addr, _)) => self.relay_failed(conn, addr),
            Err(why) => self.lose(conn, Reason::Protocol(why.to_string()), true),
        }
    }

    /// Brings two of our peers together.
    fn relay(&mut self, conn: ConnId, addr: SocketAddr) {
        let now = self.now;
        let me = self.book.is_me(addr, self.options.port);
        let Some(asker) = self.links.get_mut(&conn) else {
            return;
        };
        // Whoever floods us is not answered.
        if !asker.ways.pays(now) {
            return;
        }
        let (near, from) = (is_local(asker.addr.ip()), asker.listens());
        let target = self
            .links
            .values()
            .find(|link| link.conn != conn && (link.listens() == Some(addr) || link.addr == addr));
        let fault = match target {
            _ if me => Fault::Itself,
            _ if addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast() => {
                Fault::NoSuchPeer
            }
            Some(target) if near || !is_local(addr.ip()) => {
                let understands = target.extensions.as_ref().and_then(|e| e.number(NAME));
                match (understands, from) {
                    // An address of our own network says nothing to strangers.
                    (Some(_), Some(from)) if is_local(target.addr.ip()) || !is_local(from.ip()) => {
                        let target = target.conn;
                        self.say_extended(target, NAME, Message::Connect(from).write());
                        return self.say_extended(conn, NAME, Message::Connect(addr).write());
                    }
                    _ => Fault::NoSupport,
                }
            }
            _ => Fault::NotConnected,
        };
        self.say_extended(conn, NAME, Message::Failed(addr, fault).write());
    }

    /// Calls whom a relay names.
    fn called(&mut self, conn: ConnId, addr: SocketAddr) {
        let now = self.now;
        let asked = matches!(self.punches.asked.get(&addr),
            Some((relay, until)) if *relay == conn && *until > now);
        let Some(relay) = self.links.get_mut(&conn) else {
            return;
        };
        let teller = relay.addr.ip();
        if !asked && !relay.ways.pays(now) {
            return;
        }
        self.punches.asked.remove(&addr);
        let linked = |link: &super::Link| link.addr == addr || link.listens() == Some(addr);
        if self.links.values().any(linked)
            || self.links.len() >= self.options.connections
            || self.punches.calls.len() >= CALLS
            || self.punches.calls.contains(&addr)
            || !self.book.call(now, addr, teller)
        {
            return;
        }
        self.punches.calls.insert(addr);
        self.outputs.push_back(Output::Punch { addr });
    }

    /// Asks the next one who knows the peer.
    fn relay_failed(&mut self, conn: ConnId, addr: SocketAddr) {
        if self
            .punches
            .asked
            .get(&addr)
            .is_none_or(|(c, _)| *c != conn)
        {
            return;
        }
        self.punches.asked.remove(&addr);
        if let Some(link) = self.links.get_mut(&conn) {
            link.ways.knows.remove(&addr);
        }
        self.rendezvous(addr);
    }

    /// Notes that a call came through.
    pub(super) fn call_stands(&mut self, addr: SocketAddr) {
        self.punches.calls.remove(&addr);
    }

    /// Notes that a connection goes over UDP.
    pub(super) fn goes_by_datagrams(&mut self, conn: ConnId) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.ways.datagrams = true;
        }
    }
}
