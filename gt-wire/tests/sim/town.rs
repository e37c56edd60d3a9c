//! A few swarms in a box, all connected to the first one, and a net that lets
//! nobody else in who was not called.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_wire::swarm::{ConnId, Event, Input, Options, Output, Source};
use gt_wire::{PeerId, Swarm};

/// The one that everybody reaches.
pub const RELAY: usize = 0;

pub fn addr(n: usize) -> SocketAddr {
    SocketAddr::from(([20, n as u8, 1, 1], 6881))
}

#[derive(Default)]
pub struct Town {
    now: Duration,
    pub swarms: Vec<Swarm>,
    /// When each is due.
    wakes: Vec<Duration>,
    /// Which connection of whom leads to which of whom.
    wires: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    last: u64,
    /// Calls that wait for the other end's.
    calls: BTreeSet<(usize, usize)>,
    /// Whom each could not reach by itself.
    pub refused: BTreeSet<(usize, usize)>,
    pub punched: Vec<(usize, SocketAddr)>,
    pub events: Vec<(usize, Event)>,
    /// Bytes that each sent.
    pub sent: BTreeMap<usize, usize>,
}

impl Town {
    pub fn new(all: Vec<Options>) -> Self {
        let swarms: Vec<Swarm> = all.into_iter().map(Swarm::new).collect();
        let wakes = vec![Duration::ZERO; swarms.len()];
        let mut town = Self {
            swarms,
            wakes,
            ..Self::default()
        };
        for n in 1..town.swarms.len() {
            let relay = Input::Peers {
                addrs: vec![addr(RELAY)],
                source: Source::Person,
            };
            town.handle(n, relay);
        }
        town
    }

    pub fn handle(&mut self, n: usize, input: Input) {
        self.swarms[n].handle(self.now, input);
        self.settle(n);
    }

    fn settle(&mut self, n: usize) {
        loop {
            match self.swarms[n].poll() {
                Output::Wait(until) => {
                    self.wakes[n] = until;
                    return;
                }
                Output::Send { conn, bytes } => {
                    let sent = bytes.len();
                    *self.sent.entry(n).or_default() += sent;
                    if let Some((to, other)) = self.wires.get(&(n, conn)).copied() {
                        self.handle(to, Input::Received { conn: other, bytes });
                    }
                    self.handle(n, Input::Sent { conn, bytes: sent });
                }
                Output::Connect { addr: to } => {
                    if to == addr(RELAY) {
                        self.wire(n, RELAY);
                    } else {
                        self.refused.extend(self.whom(to).map(|to| (n, to)));
                        self.handle(n, Input::ConnectFailed { addr: to });
                    }
                }
                Output::Punch { addr: to } => {
                    self.punched.push((n, to));
                    // Who is nobody never answers, and the driver has not said
                    // so yet.
                    let Some(to) = self.whom(to) else { continue };
                    self.calls.insert((n, to));
                    if self.calls.contains(&(to, n)) {
                        // Both stand; each end takes the other's as incoming.
                        self.wire(n, to);
                        self.wire(to, n);
                    }
                }
                Output::Disconnect { conn, .. } => {
                    if let Some(other) = self.wires.remove(&(n, conn)) {
                        self.wires.remove(&other);
                        self.handle(other.0, Input::Disconnected { conn: other.1 });
                    }
                }
                Output::Event(event) => self.events.push((n, event)),
                _ => {}
            }
        }
    }

    fn whom(&self, at: SocketAddr) -> Option<usize> {
        (0..self.swarms.len()).find(|n| addr(*n) == at)
    }

    fn wire(&mut self, from: usize, to: usize) {
        self.last += 2;
        let ends = [(from, ConnId(self.last)), (to, ConnId(self.last + 1))];
        self.wires.insert(ends[0], ends[1]);
        self.wires.insert(ends[1], ends[0]);
        for (end, other, outgoing) in [(ends[1], from, false), (ends[0], to, true)] {
            let connected = Input::Connected {
                conn: end.1,
                addr: addr(other),
                outgoing,
            };
            self.swarms[end.0].handle(self.now, connected);
        }
        self.settle(to);
        self.settle(from);
    }

    pub fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(next) = self.wakes.iter().copied().min().filter(|at| *at <= end) {
            self.now = self.now.max(next);
            for n in 0..self.swarms.len() {
                if self.wakes[n] <= self.now {
                    self.handle(n, Input::Tick);
                }
            }
        }
        self.now = end;
    }

    pub fn are_linked(&self, one: usize, two: usize) -> bool {
        self.swarms[one]
            .peers()
            .iter()
            .any(|peer| peer.peer_id == Some(PeerId([two as u8 + 1; 20])))
    }

    /// Has one say something by an extension.
    pub fn say(&mut self, n: usize, to: usize, name: &str, payload: Bytes) {
        let peers = self.swarms[n].peers();
        let whom = PeerId([to as u8 + 1; 20]);
        let conn = peers.iter().find(|p| p.peer_id == Some(whom)).unwrap().conn;
        let name = name.to_owned();
        self.handle(
            n,
            Input::SendExtended {
                conn,
                name,
                payload,
            },
        );
    }
}
