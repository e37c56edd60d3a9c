//! One peer at two addresses: one connection is enough while it serves, and
//! the other address is there for when it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::Verdict;
use gt_vfs::content::BLOCK;
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content, Input, Options, Output, Source};
use gt_wire::{InfoHash, PeerId, Swarm};

use crate::crowd::v1;

const LEECH: usize = 0;
const SEED: usize = 1;
const HOP: Duration = Duration::from_millis(5);
/// As if there were a slow disk, so that the content takes its time.
const DISK: Duration = Duration::from_millis(500);
/// What a call into the dark takes.
const UNANSWERED: Duration = Duration::from_secs(10);

fn seed_at(way: u8) -> SocketAddr {
    SocketAddr::from(([30 + way, 1, 1, 1], 6881))
}

fn leech_at() -> SocketAddr {
    SocketAddr::from(([20, 1, 1, 1], 6881))
}

/// A connection: whose ends these are, and the address that was called.
#[derive(Clone, Copy)]
struct Wire {
    to: usize,
    far: ConnId,
    called: SocketAddr,
}

/// A leech and a seed, and ways between them that may go dark.
struct Pair {
    now: Duration,
    matter: Arc<Matter>,
    swarms: [Swarm; 2],
    queue: BTreeMap<(Duration, u64), (usize, Input)>,
    wires: BTreeMap<(usize, ConnId), Wire>,
    /// Addresses that nothing reaches or leaves any more.
    dark: BTreeSet<SocketAddr>,
    /// Addresses that take no calls.
    deaf: BTreeSet<SocketAddr>,
    /// How often each was called.
    calls: BTreeMap<SocketAddr, u32>,
    last: u64,
    done: bool,
}

impl Pair {
    /// `ids` decide whose call stays where both call.
    fn new(ids: [u8; 2]) -> Self {
        let matter = v1(400 * BLOCK, 2 * BLOCK);
        let swarm = |n: usize| {
            let id = PeerId([ids[n]; 20]);
            let mut options = Options::new(id, InfoHash([7; 20]), n as u64);
            options.content = Some(match n {
                SEED => Content::whole(matter.known.clone()),
                _ => Content::new(matter.known.clone()),
            });
            Swarm::new(options)
        };
        let swarms = [swarm(LEECH), swarm(SEED)];
        Self {
            now: Duration::ZERO,
            swarms,
            matter,
            queue: BTreeMap::new(),
            wires: BTreeMap::new(),
            dark: BTreeSet::new(),
            deaf: BTreeSet::new(),
            calls: BTreeMap::new(),
            last: 0,
            done: false,
        }
    }

    fn tell(&mut self, n: usize, addrs: Vec<SocketAddr>) {
        let source = Source::Tracker;
        self.put(Duration::ZERO, n, Input::Peers { addrs, source });
    }

    fn put(&mut self, wait: Duration, n: usize, input: Input) {
        self.last += 1;
        self.queue.insert((self.now + wait, self.last), (n, input));
    }

    fn handle(&mut self, n: usize, input: Input) {
        self.swarms[n].handle(self.now, input);
        loop {
            match self.swarms[n].poll() {
                Output::Wait(until) if until == Duration::MAX => return,
                Output::Wait(until) => return self.put(until - self.now, n, Input::Tick),
                Output::Connect { addr } => self.connect(n, addr),
                Output::Send { conn, bytes } => self.send(n, conn, bytes),
                Output::Disconnect { conn, .. } => self.hang_up(n, conn),
                Output::Read { id, block } => {
                    let result = Ok(self.matter.read(block));
                    self.put(DISK, n, Input::BlockRead { id, result });
                }
                Output::Write { block, .. } => {
                    let result = Ok(None);
                    self.put(Duration::ZERO, n, Input::Written { block, result });
                }
                Output::Hash { piece, .. } => {
                    let result = Ok(self.matter.digests(piece, true, false, |_| true));
                    self.put(HOP, n, Input::PieceHashed { piece, result });
                }
                Output::CloseFile { file } => {
                    let result = Ok(Verdict::Accept);
                    self.put(HOP, n, Input::FileClosed { file, result });
                    self.done |= n == LEECH;
                }
                _ => {}
            }
        }
    }

    fn connect(&mut self, n: usize, addr: SocketAddr) {
        *self.calls.entry(addr).or_default() += 1;
        if self.dark.contains(&addr) || self.deaf.contains(&addr) {
            return self.put(UNANSWERED, n, Input::ConnectFailed { addr });
        }
        let to = 1 - n;
        self.last += 2;
        let (near, far) = (ConnId(self.last), ConnId(self.last + 1));
        let called = addr;
        self.wires.insert((n, near), Wire { to, far, called });
        let (back, from) = (
            Wire {
                to: n,
                far: near,
                called,
            },
            leech_at().ip(),
        );
        self.wires.insert((to, far), back);
        let port = 20_000 + (self.last % 40_000) as u16;
        let caller = SocketAddr::new(from, port);
        for (m, conn, addr, outgoing) in [(to, far, caller, false), (n, near, addr, true)] {
            let stands = Input::Connected {
                conn,
                addr,
                outgoing,
            };
            self.put(HOP, m, stands);
        }
    }

    fn send(&mut self, n: usize, conn: ConnId, bytes: Bytes) {
        let Some(wire) = self.wires.get(&(n, conn)).copied() else {
            return;
        };
        if self.dark.contains(&wire.called) {
            return;
        }
        let (conn, sent) = (conn, bytes.len());
        self.put(Duration::ZERO, n, Input::Sent { conn, bytes: sent });
        let conn = wire.far;
        self.put(HOP, wire.to, Input::Received { conn, bytes });
    }

    fn hang_up(&mut self, n: usize, conn: ConnId) {
        if let Some(wire) = self.wires.remove(&(n, conn))
            && !self.dark.contains(&wire.called)
        {
            self.wires.remove(&(wire.to, wire.far));
            self.put(HOP, wire.to, Input::Disconnected { conn: wire.far });
        }
    }

    /// Runs until the leech has everything or that much time is over.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while !self.done
            && let Some(((at, _), (n, input))) = self.queue.pop_first()
        {
            if at > end {
                self.put(at - self.now, n, input);
                break;
            }
            self.now = at;
            self.handle(n, input);
        }
        self.now = self.now.max(end);
    }

    /// Returns the way by which the two are connected: called by whom, where.
    fn way(&self) -> SocketAddr {
        let of = |n: usize| {
            let peers = self.swarms[n].peers();
            let conns = peers.iter().map(|peer| peer.conn).collect::<Vec<_>>();
            assert_eq!(conns.len(), 1, "{n} has other than one connection");
            self.wires[&(n, conns[0])].called
        };
        assert_eq!(of(LEECH), of(SEED));
        of(LEECH)
    }

    fn lost(&mut self, way: SocketAddr) {
        self.dark.insert(way);
        let broken: Vec<_> = self.wires.iter().filter(|(_, w)| w.called == way).collect();
        let ends: Vec<_> = broken.into_iter().map(|(end, _)| *end).collect();
        for (n, conn) in ends {
            self.put(HOP, n, Input::Disconnected { conn });
        }
    }
}

const SOON: Duration = Duration::from_secs(3);

fn both_addresses(ids: [u8; 2]) -> Pair {
    let mut pair = Pair::new(ids);
    pair.tell(LEECH, vec![seed_at(0), seed_at(1)]);
    pair.run(SOON);
    assert!(!pair.done && pair.swarms[LEECH].totals().downloaded > 0);
    pair
}

#[test]
fn the_other_address_is_called_when_a_connection_ends() {
    for ids in [[1, 2], [2, 1]] {
        let mut pair = both_addresses(ids);
        let first = pair.way();
        pair.lost(first);
        pair.run(SOON);
        assert_ne!(pair.way(), first);
    }
}

#[test]
fn the_other_address_is_called_when_a_peer_falls_silent() {
    for ids in [[1, 2], [2, 1]] {
        let mut pair = both_addresses(ids);
        let first = pair.way();
        pair.dark.insert(first);
        pair.run(Duration::from_secs(60));
        assert_ne!(pair.way(), first);
        pair.run(Duration::from_secs(200));
        assert!(pair.done);
    }
}

/// Both call, and the leech's call is the one that stays; then nobody can call
/// the seed any more, which gave its own call up.
#[test]
fn who_was_called_calls_when_the_other_cannot() {
    for silent in [false, true] {
        let mut pair = Pair::new([2, 1]);
        pair.tell(LEECH, vec![seed_at(0)]);
        pair.tell(SEED, vec![leech_at()]);
        pair.run(SOON);
        assert_eq!(pair.way(), seed_at(0), "the leech's call stays");
        pair.deaf.insert(seed_at(0));
        if silent {
            pair.dark.insert(seed_at(0));
        } else {
            pair.lost(seed_at(0));
        }
        pair.run(Duration::from_secs(if silent { 60 } else { 3 }));
        assert_eq!(pair.way(), leech_at(), "silent: {silent}");
    }
}

#[test]
fn the_other_address_rests_while_a_connection_serves() {
    let mut pair = both_addresses([1, 2]);
    let first = pair.way();
    pair.run(Duration::from_secs(300));
    assert!(pair.done);
    assert_eq!(pair.way(), first);
    assert_eq!(pair.calls, [(seed_at(0), 1), (seed_at(1), 1)].into());
}
