//! A net of nodes on virtual time: links with capacity and delay, a tracker,
//! crashes. Everything follows from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use gt_wire::swarm::{ConnId, Input, Output, Source};

use crate::node::{Deed, Node};

/// Bytes of one connection that go out before another's turn comes.
const CHUNK: usize = 16 * 1024;

pub struct World {
    pub now: Duration,
    pub nodes: Vec<Node>,
    /// One way.
    pub latency: Duration,
    pub trace: DefaultHasher,
    pub events: u64,
    queue: BTreeMap<(Duration, u64), (usize, Happening)>,
    count: u64,
    conns: u64,
    random: u64,
}

enum Happening {
    Input(Input),
    /// The far end of a connection that is being made.
    Arrive {
        from: usize,
        conn: ConnId,
        back: SocketAddr,
    },
    Wake,
    /// The uplink is free for the next chunk.
    Uplink,
    Restart,
}

/// One direction of a connection, at its sender.
pub struct Pipe {
    pub to: usize,
    pub far: ConnId,
    queue: VecDeque<Bytes>,
    closing: bool,
}

impl World {
    pub fn new(seed: u64, latency: Duration) -> Self {
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            latency,
            trace: DefaultHasher::new(),
            events: 0,
            queue: BTreeMap::new(),
            count: 0,
            conns: 0,
            random: seed,
        }
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) as usize) % n
    }

    pub fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        let n = self.nodes.len() - 1;
        self.nodes[n].addr = address(n, 6881);
        n
    }

    /// Starts a node at a time.
    pub fn start(&mut self, n: usize, at: Duration) {
        self.put(at, n, Happening::Restart);
    }

    fn put(&mut self, at: Duration, n: usize, what: Happening) {
        self.count += 1;
        self.queue.insert((at.max(self.now), self.count), (n, what));
    }

    /// Runs until `done` or until nothing happens or `until`; tells whether
    /// it was done.
    pub fn run(&mut self, until: Duration, done: impl Fn(&Self) -> bool) -> bool {
        while !done(self) {
            let Some(((at, _), (n, what))) = self.queue.pop_first() else {
                return false;
            };
            if at > until {
                self.put(at, n, what);
                self.now = until;
                return false;
            }
            self.now = at;
            self.events += 1;
            self.happen(n, what);
        }
        true
    }

    fn happen(&mut self, n: usize, what: Happening) {
        match what {
            Happening::Input(input) => self.input(n, input),
            Happening::Wake => {
                if self.nodes[n].wake.is_some_and(|at| at <= self.now) {
                    self.nodes[n].wake = None;
                    self.input(n, Input::Tick);
                }
            }
            Happening::Uplink => self.uplink(n),
            Happening::Restart => {
                self.nodes[n].start();
                self.drain(n);
            }
            Happening::Arrive { from, conn, back } => self.arrive(n, from, conn, back),
        }
    }

    fn arrive(&mut self, n: usize, from: usize, conn: ConnId, back: SocketAddr) {
        let addr = self.nodes[n].addr;
        if !self.nodes[n].is_up() || !self.nodes[from].is_up() {
            let at = self.now + Duration::from_secs(1);
            return self.put(at, from, Happening::Input(Input::ConnectFailed { addr }));
        }
        self.conns += 1;
        let mine = ConnId(self.conns);
        let pipe = |to, far| Pipe {
            to,
            far,
            queue: VecDeque::new(),
            closing: false,
        };
        self.nodes[n].pipes.insert(mine, pipe(from, conn));
        self.nodes[from].pipes.insert(conn, pipe(n, mine));
        let outgoing = Input::Connected {
            conn,
            addr,
            outgoing: true,
        };
        self.put(self.now + self.latency, from, Happening::Input(outgoing));
        self.input(
            n,
            Input::Connected {
                conn: mine,
                addr: back,
                outgoing: false,
            },
        );
    }

    /// Hands one thing to a node, and does what it wants.
    pub fn input(&mut self, n: usize, input: Input) {
        if !self.nodes[n].is_up() {
            return;
        }
        let gone = match &input {
            Input::Received { conn, .. } | Input::Sent { conn, .. } => {
                !self.nodes[n].pipes.contains_key(conn)
            }
            _ => false,
        };
        if gone {
            return;
        }
        self.nodes[n].handle(self.now, input);
        self.drain(n);
    }

    fn drain(&mut self, n: usize) {
        loop {
            let output = self.nodes[n].poll(self.now);
            let Some(output) = output else { return };
            format!("{:?} {n} {output:?}", self.now).hash(&mut self.trace);
            match output {
                Output::Wait(at) => {
                    let node = &mut self.nodes[n];
                    if at < Duration::MAX && node.wake.is_none_or(|w| at < w) {
                        node.wake = Some(at);
                        self.put(at, n, Happening::Wake);
                    }
                    return;
                }
                Output::Connect { addr } => self.connect(n, addr),
                Output::Send { conn, bytes } => self.send(n, conn, bytes),
                Output::Disconnect { conn, .. } => self.hang_up(n, conn),
                Output::Announce { .. } => {
                    let addrs = self.nodes.iter().enumerate();
                    let addrs = addrs
                        .filter(|(other, node)| *other != n && node.is_up())
                        .map(|(_, node)| node.addr)
                        .collect();
                    let at = self.now + 2 * self.latency;
                    let source = Source::Tracker;
                    self.put(at, n, Happening::Input(Input::Peers { addrs, source }));
                    let interval = Some(Duration::from_secs(30));
                    self.put(at, n, Happening::Input(Input::Announced { interval }));
                }
                other => match self.nodes[n].act(other) {
                    Deed::Nothing => {}
                    Deed::Later(wait, input) => {
                        self.put(self.now + wait, n, Happening::Input(input));
                    }
                },
            }
        }
    }

    fn connect(&mut self, n: usize, addr: SocketAddr) {
        let target = self.nodes.iter().position(|node| node.addr == addr);
        self.conns += 1;
        let conn = ConnId(self.conns);
        let at = self.now + self.latency;
        match target {
            Some(target) => {
                let back = address(n, 20_000 + (self.conns % 40_000) as u16);
                let what = Happening::Arrive {
                    from: n,
                    conn,
                    back,
                };
                self.put(at, target, what);
            }
            None => self.put(at, n, Happening::Input(Input::ConnectFailed { addr })),
        }
    }

    fn send(&mut self, n: usize, conn: ConnId, bytes: Bytes) {
        let node = &mut self.nodes[n];
        if let Some(pipe) = node.pipes.get_mut(&conn) {
            if pipe.queue.is_empty() {
                node.turns.push_back(conn);
            }
            pipe.queue.push_back(bytes);
            if !node.sending {
                self.uplink(n);
            }
        }
    }

    /// Sends the next chunk of the connection whose turn it is.
    fn uplink(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.sending = false;
        let Some(conn) = node.turns.pop_front() else {
            return;
        };
        let Some(pipe) = node.pipes.get_mut(&conn) else {
            return self.uplink(n);
        };
        let mut bytes = pipe.queue.pop_front().unwrap_or_default();
        if bytes.len() > CHUNK {
            pipe.queue.push_front(bytes.split_off(CHUNK));
        }
        let (to, far, closing) = (pipe.to, pipe.far, pipe.closing && pipe.queue.is_empty());
        if !pipe.queue.is_empty() {
            node.turns.push_back(conn);
        }
        if closing {
            node.pipes.remove(&conn);
        }
        node.sending = true;
        node.sent += bytes.len() as u64;
        let took = Duration::from_secs_f64(bytes.len() as f64 / node.capacity);
        let end = self.now + took;
        let count = bytes.len();
        self.put(end, n, Happening::Input(Input::Sent { conn, bytes: count }));
        self.put(end, n, Happening::Uplink);
        let arrive = end + self.latency;
        let received = Input::Received { conn: far, bytes };
        self.put(arrive, to, Happening::Input(received));
        if closing {
            let gone = Happening::Input(Input::Disconnected { conn: far });
            self.put(arrive, to, gone);
        }
    }

    /// Ends a connection after what was to be sent.
    fn hang_up(&mut self, n: usize, conn: ConnId) {
        let Some(pipe) = self.nodes[n].pipes.get_mut(&conn) else {
            return;
        };
        if pipe.queue.is_empty() {
            let (to, far) = (pipe.to, pipe.far);
            self.nodes[n].pipes.remove(&conn);
            let at = self.now + self.latency;
            self.put(at, to, Happening::Input(Input::Disconnected { conn: far }));
        } else {
            pipe.closing = true;
        }
    }

    /// Cuts a connection on both sides.
    pub fn cut(&mut self, n: usize, conn: ConnId) {
        if let Some(pipe) = self.nodes[n].pipes.remove(&conn) {
            self.nodes[pipe.to].pipes.remove(&pipe.far);
            self.input(n, Input::Disconnected { conn });
            self.input(pipe.to, Input::Disconnected { conn: pipe.far });
        }
    }

    /// Kills a node without a word; its disk stays.
    pub fn crash(&mut self, n: usize) {
        for conn in self.nodes[n].pipes.keys().copied().collect::<Vec<_>>() {
            if let Some(pipe) = self.nodes[n].pipes.remove(&conn) {
                self.nodes[pipe.to].pipes.remove(&pipe.far);
                let gone = Input::Disconnected { conn: pipe.far };
                self.put(self.now + self.latency, pipe.to, Happening::Input(gone));
            }
        }
        self.nodes[n].crash();
    }
}

/// Returns the address of a node, each in a net of its own.
fn address(n: usize, port: u16) -> SocketAddr {
    let ip = Ipv4Addr::new(20, (n / 256) as u8, (n % 256) as u8, 7);
    SocketAddr::new(IpAddr::V4(ip), port)
}
