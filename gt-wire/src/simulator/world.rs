//! A net of nodes on virtual time. Everything follows from a seed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use super::Node;
use super::heap::{Happening, Heap};
use super::pipe::Pipe;
use super::source::Source as Mirror;
use crate::geometry::Block;
use crate::swarm::{ConnId, Input, MirrorId, Output, Source};

/// How long it takes until a connection to nobody fails.
const REFUSED: Duration = Duration::from_secs(1);

/// Addresses that the tracker tells at a time.
const TOLD: usize = 50;

/// Bytes of words after which an uplink is looked at again: a segment.
const TRAIN: usize = 1448;

/// The time that a lost packet costs.
const RESEND: Duration = Duration::from_millis(200);

/// Nodes, the links between them, and the time.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Duration,
    /// Everybody.
    pub nodes: Vec<Node>,
    /// HTTP sources; a node knows the first of them, as many as its options
    /// say.
    pub sources: Vec<Mirror>,
    /// The time that a packet takes, one way.
    pub latency: Duration,
    /// How many of a million packets are lost.
    pub loss: u32,
    /// The time that a read, a write or a hash takes.
    pub disk: Duration,
    /// A sum over all that happened, for comparing runs.
    pub trace: u64,
    /// How many things happened.
    pub events: u64,
    heap: Heap,
    pipes: Vec<Pipe>,
    random: u64,
}

impl World {
    /// Makes an empty world.
    pub fn new(seed: u64, latency: Duration) -> Self {
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            sources: Vec::new(),
            latency,
            loss: 0,
            disk: Duration::from_micros(200),
            trace: 0,
            events: 0,
            heap: Heap::default(),
            pipes: Vec::new(),
            random: seed,
        }
    }

    /// Returns a number below `n`, by the world's own chance.
    pub fn below(&mut self, n: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) as usize) % n.max(1)
    }

    /// Adds a node, in a net of its own, and returns its number.
    pub fn add(&mut self, mut node: Node) -> usize {
        let n = self.nodes.len();
        node.addr = address(n, 6881);
        self.nodes.push(node);
        n
    }

    /// Switches a node on at a time.
    pub fn start(&mut self, n: usize, at: Duration) {
        let node = n as u32;
        self.put(at, Happening::Start { node });
    }

    fn put(&mut self, at: Duration, what: Happening) {
        self.heap.put(at.max(self.now), what);
    }

    /// Runs until `done` or until nothing happens or `until`; tells whether it
    /// was done. `done` is asked after each thing that happens.
    pub fn run(&mut self, until: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        while !done(self) {
            match self.heap.next_at() {
                None => return false,
                Some(at) if at > until => {
                    self.now = until;
                    return false;
                }
                Some(_) => {}
            }
            let Some((at, what)) = self.heap.pop() else {
                return false;
            };
            self.now = at;
            self.events += 1;
            self.happen(what);
        }
        true
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Deliver { pipe, chunks } => self.deliver(pipe, chunks),
            Happening::Closed { pipe } => {
                let far = pipe ^ 1;
                if std::mem::replace(&mut self.pipes[far as usize].open, false) {
                    let conn = ConnId(u64::from(far));
                    self.input(self.node_of(far), Input::Disconnected { conn });
                }
            }
            Happening::Arrive { pipe } => self.arrive(pipe),
            Happening::Accepted { pipe } => {
                let (n, far) = (self.node_of(pipe), self.node_of(pipe ^ 1));
                let addr = self.nodes[far].addr;
                let conn = ConnId(u64::from(pipe));
                let input = Input::Connected {
                    conn,
                    addr,
                    outgoing: true,
                };
                self.pipes[pipe as usize].open = self.nodes[n].is_up();
                self.input(n, input);
                if !self.pipes[pipe as usize ^ 1].open {
                    self.put(self.now, Happening::Closed { pipe: pipe ^ 1 });
                }
            }
            Happening::Uplink { node } => {
                let n = node as usize;
                if self.nodes[n].kick.is_some_and(|at| at <= self.now) {
                    self.nodes[n].kick = None;
                }
                if self.nodes[n].busy <= self.now {
                    self.uplink(n);
                }
            }
            Happening::Wake { node } => {
                let n = node as usize;
                if self.nodes[n].wake.is_some_and(|at| at <= self.now) {
                    self.nodes[n].wake = None;
                    self.input(n, Input::Tick);
                }
            }
            Happening::Ask {
                source,
                node,
                block,
            } => {
                if self.sources[source as usize].ask(node, block) {
                    self.serve(source);
                }
            }
            Happening::Serve { source } => self.serve(source),
            Happening::Input { node, input } => self.input(node as usize, *input),
            Happening::Start { node } => {
                let n = node as usize;
                self.nodes[n].start(self.now);
                self.drain(n);
            }
        }
    }

    fn node_of(&self, pipe: u32) -> usize {
        self.pipes[pipe as usize].node as usize
    }

    fn arrive(&mut self, pipe: u32) {
        let (from, n) = (self.node_of(pipe), self.node_of(pipe ^ 1));
        if !self.nodes[n].is_up() || !self.nodes[n].reachable || !self.nodes[from].is_up() {
            let addr = self.nodes[n].addr;
            let input = Box::new(Input::ConnectFailed { addr });
            let node = from as u32;
            return self.put(self.now + REFUSED, Happening::Input { node, input });
        }
        self.put(self.now + self.latency, Happening::Accepted { pipe });
        let far = pipe ^ 1;
        self.pipes[far as usize].open = true;
        let conn = ConnId(u64::from(far));
        let addr = address(from, 20_000 + (pipe / 2 % 40_000) as u16);
        let input = Input::Connected {
            conn,
            addr,
            outgoing: false,
        };
        self.input(n, input);
    }

    fn deliver(&mut self, pipe: u32, chunks: u32) {
        let far = pipe ^ 1;
        let conn = ConnId(u64::from(far));
        let n = self.node_of(far);
        for _ in 0..chunks {
            let Some(bytes) = self.pipes[pipe as usize].land() else {
                return;
            };
            if self.pipes[far as usize].open {
                self.nodes[n].handle(self.now, Input::Received { conn, bytes });
            }
        }
        self.drain(n);
    }

    /// Hands one thing to a node, and does what it wants.
    pub fn input(&mut self, n: usize, input: Input) {
        if self.nodes[n].is_up() {
            self.nodes[n].handle(self.now, input);
            self.drain(n);
        }
    }

    fn drain(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].poll() {
            match output {
                Output::Wait(at) => {
                    let node = &mut self.nodes[n];
                    if at < Duration::MAX && node.wake.is_none_or(|w| at < w) {
                        node.wake = Some(at);
                        self.put(at, Happening::Wake { node: n as u32 });
                    }
                    return;
                }
                Output::Connect { addr } => self.connect(n, addr),
                Output::Send { conn, bytes } => self.send(n, conn, bytes),
                Output::Disconnect { conn, .. } => self.hang_up(conn.0 as u32),
                Output::Announce { .. } => self.announce(n),
                Output::Fetch { mirror, block } => self.ask(n, mirror, block),
                Output::Unfetch { mirror, block } => {
                    if let Some(source) = self.sources.get_mut(mirror.0 as usize) {
                        source.unask(n as u32, block);
                    }
                }
                other => {
                    if let Some((later, input)) = self.nodes[n].act(other) {
                        let wait = self.disk + later;
                        if wait.is_zero() {
                            self.nodes[n].handle(self.now, input);
                        } else {
                            let (node, input) = (n as u32, Box::new(input));
                            self.put(self.now + wait, Happening::Input { node, input });
                        }
                    }
                    if self.nodes[n].leaves && self.nodes[n].is_done() {
                        self.nodes[n].leaves = false;
                        self.nodes[n].handle(self.now, Input::Stop);
                    }
                }
            }
        }
    }

    /// Sends a request to an HTTP source.
    fn ask(&mut self, n: usize, mirror: MirrorId, block: Block) {
        let (source, node) = (mirror.0, n as u32);
        if (source as usize) < self.sources.len() {
            let at = self.now + self.latency;
            self.put(
                at,
                Happening::Ask {
                    source,
                    node,
                    block,
                },
            );
        }
    }

    /// Lets an HTTP source answer the next request.
    fn serve(&mut self, source: u32) {
        let Some(matter) = self.nodes.first().map(Node::matter) else {
            return;
        };
        let Some(answer) = self.sources[source as usize].answer(&matter) else {
            return;
        };
        let end = self.now + answer.takes;
        self.put(end, Happening::Serve { source });
        let (node, bytes) = (answer.node, answer.result.as_ref().map_or(0, Bytes::len));
        self.trace = (self.trace ^ u64::from(node) ^ bytes as u64)
            .wrapping_mul(0x100_0000_01b3)
            .wrapping_add(end.as_nanos() as u64);
        let arrives = end + answer.waits + self.latency;
        let arrives = self.nodes[node as usize].fill(arrives, bytes);
        let input = Box::new(Input::Fetched {
            mirror: MirrorId(source),
            block: answer.block,
            result: answer.result,
        });
        self.put(arrives, Happening::Input { node, input });
    }

    /// The tracker: it tells some of those who are there, by chance.
    fn announce(&mut self, n: usize) {
        let mut addrs = Vec::new();
        if self.nodes.len() <= TOLD {
            let others = self.nodes.iter().enumerate();
            addrs.extend(others.filter(|(m, _)| *m != n).map(|(_, node)| node.addr));
        } else {
            while addrs.len() < TOLD {
                let m = self.below(self.nodes.len());
                if m != n {
                    addrs.push(self.nodes[m].addr);
                }
            }
        }
        let (node, at) = (n as u32, self.now + 2 * self.latency);
        let source = Source::Tracker;
        let input = Box::new(Input::Peers { addrs, source });
        self.put(at, Happening::Input { node, input });
        let interval = Some(Duration::from_secs(30));
        let input = Box::new(Input::Announced { interval });
        self.put(at, Happening::Input { node, input });
    }

    fn connect(&mut self, n: usize, addr: SocketAddr) {
        let at = self.now + self.latency;
        let Some(target) =
            number(addr).filter(|t| self.nodes.get(*t).is_some_and(|x| x.addr == addr))
        else {
            let (node, input) = (n as u32, Box::new(Input::ConnectFailed { addr }));
            return self.put(at, Happening::Input { node, input });
        };
        let pipe = self.pipes.len() as u32;
        self.pipes.push(Pipe::new(n as u32));
        self.pipes.push(Pipe::new(target as u32));
        self.put(at, Happening::Arrive { pipe });
    }

    fn send(&mut self, n: usize, conn: ConnId, bytes: Bytes) {
        let id = conn.0 as usize;
        self.trace = (self.trace ^ conn.0 ^ bytes.len() as u64)
            .wrapping_mul(0x100_0000_01b3)
            .wrapping_add(self.now.as_nanos() as u64);
        let pipe = &mut self.pipes[id];
        if !pipe.open || pipe.closing {
            return;
        }
        pipe.push(bytes);
        self.report(n, conn);
        let pipe = &mut self.pipes[id];
        if !pipe.in_ring {
            pipe.in_ring = true;
            self.nodes[n].ring.push_back(id as u32);
        }
        if self.nodes[n].busy <= self.now {
            // After what else is said at this moment.
            self.kick(n, self.now);
        }
    }

    /// Makes sure that an idle uplink is looked at.
    fn kick(&mut self, n: usize, at: Duration) {
        if self.nodes[n].kick.is_none_or(|before| at < before) {
            self.nodes[n].kick = Some(at);
            let node = n as u32;
            self.put(at, Happening::Uplink { node });
        }
    }

    /// Tells the core which bytes the kernel has taken.
    fn report(&mut self, n: usize, conn: ConnId) {
        let pipe = &mut self.pipes[conn.0 as usize];
        let bytes = pipe.take_up();
        if bytes > 0 && pipe.open && !pipe.closing {
            self.nodes[n].handle(self.now, Input::Sent { conn, bytes });
        }
    }

    /// Sends the next chunks: a few words of several connections go out in one
    /// train, as they do where each is a packet in the queue of a card.
    fn uplink(&mut self, n: usize) {
        let mut train = 0;
        while train < TRAIN {
            match self.next_chunk(n) {
                0 => break,
                bytes => train += bytes,
            }
        }
        if train > 0 {
            let (node, end) = (n as u32, self.nodes[n].busy);
            self.put(end, Happening::Uplink { node });
        }
    }

    /// Sends the next chunk of the connection whose turn it is and whose
    /// window has room; returns its bytes.
    fn next_chunk(&mut self, n: usize) -> usize {
        let (mut wait, mut tries) = (Duration::MAX, self.nodes[n].ring.len());
        while tries > 0
            && let Some(id) = self.nodes[n].ring.pop_front()
        {
            tries -= 1;
            let pipe = &mut self.pipes[id as usize];
            if pipe.is_empty() {
                pipe.in_ring = false;
                continue;
            }
            let ready = pipe.ready_at(self.now);
            if ready > self.now {
                wait = wait.min(ready);
                self.nodes[n].ring.push_back(id);
                continue;
            }
            return self.transmit(n, id);
        }
        if wait < Duration::MAX {
            self.kick(n, wait);
        }
        0
    }

    fn transmit(&mut self, n: usize, id: u32) -> usize {
        let lost = self.loss > 0 && self.below(1_000_000) < self.loss as usize;
        let latency = self.latency;
        let pipe = &mut self.pipes[id as usize];
        let (bytes, chunks) = pipe.send();
        let node = &mut self.nodes[n];
        if pipe.is_empty() {
            pipe.in_ring = false;
        } else {
            node.ring.push_back(id);
        }
        node.sent += bytes as u64;
        let begin = node.busy.max(self.now);
        let end = begin + Duration::from_secs_f64(bytes as f64 / node.capacity);
        node.busy = end;
        let mut arrives = end + latency;
        if lost {
            pipe.lost();
            arrives += RESEND;
        }
        let far = self.node_of(id ^ 1);
        let arrives = self.nodes[far].fill(arrives, bytes);
        let pipe = &mut self.pipes[id as usize];
        pipe.arrived = pipe.arrived.max(arrives);
        let (arrives, closed) = (pipe.arrived, pipe.closing && pipe.is_empty());
        pipe.sent(end, arrives + latency, bytes);
        self.put(arrives, Happening::Deliver { pipe: id, chunks });
        if closed {
            self.pipes[id as usize].open = false;
            self.put(arrives, Happening::Closed { pipe: id });
        } else {
            self.report(n, ConnId(u64::from(id)));
            self.drain(n);
        }
        bytes
    }

    /// Ends a connection after what was to be sent.
    fn hang_up(&mut self, id: u32) {
        let at = self.now + self.latency;
        let pipe = &mut self.pipes[id as usize];
        if pipe.is_empty() {
            pipe.open = false;
            let at = at.max(pipe.arrived);
            self.put(at, Happening::Closed { pipe: id });
        } else {
            pipe.closing = true;
        }
    }

    /// Returns the open connections of a node.
    pub fn conns(&self, n: usize) -> Vec<ConnId> {
        let of = |(_, pipe): &(usize, &Pipe)| pipe.open && pipe.node as usize == n;
        let ids = self.pipes.iter().enumerate().filter(of);
        ids.map(|(id, _)| ConnId(id as u64)).collect()
    }

    /// Cuts a connection on both sides.
    pub fn cut(&mut self, conn: ConnId) {
        for id in [conn.0 as u32, conn.0 as u32 ^ 1] {
            if std::mem::replace(&mut self.pipes[id as usize].open, false) {
                let conn = ConnId(u64::from(id));
                self.input(self.node_of(id), Input::Disconnected { conn });
            }
        }
    }

    /// Kills a node without a word; its disk stays.
    pub fn crash(&mut self, n: usize) {
        for conn in self.conns(n) {
            let id = conn.0 as u32;
            self.pipes[id as usize] = Pipe::new(n as u32);
            self.put(self.now + self.latency, Happening::Closed { pipe: id });
        }
        self.nodes[n].crash();
    }
}

/// Returns the address of a node, each in a net of its own.
fn address(n: usize, port: u16) -> SocketAddr {
    let ip = Ipv4Addr::new(20 + (n >> 16) as u8, (n >> 8) as u8, n as u8, 7);
    SocketAddr::new(IpAddr::V4(ip), port)
}

fn number(addr: SocketAddr) -> Option<usize> {
    match addr.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let a = usize::from(a).checked_sub(20)?;
            Some(a << 16 | usize::from(b) << 8 | usize::from(c))
        }
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::Plan;

    /// Two peers who have everything from an origin, and nothing more to say.
    fn quiet() -> World {
        let mut plan = Plan::new(2, 1);
        (plan.size, plan.piece) = (1 << 20, 32 << 10);
        let mut world = plan.world();
        let done = |world: &World| world.nodes.iter().all(Node::is_done);
        assert!(world.run(Duration::from_secs(60), done));
        world.run(world.now + Duration::from_secs(2), |_| false);
        world
    }

    #[test]
    fn words_leave_in_one_train_and_arrive_one_after_the_other() {
        let mut world = quiet();
        let conns = world.conns(0);
        assert_eq!(conns.len(), 2);
        let begin = world.now;
        let words = |bytes: usize| Bytes::from(vec![0; bytes]);
        let takes = |world: &World, bytes: usize| {
            Duration::from_secs_f64(bytes as f64 / world.nodes[0].capacity)
        };
        for conn in &conns {
            world.send(0, *conn, words(100));
        }
        world.uplink(0);
        let each = takes(&world, 100);
        for (n, conn) in (1..).zip(&conns) {
            let pipe = &world.pipes[conn.0 as usize];
            assert!(pipe.is_empty());
            assert_eq!(pipe.arrived, begin + n * each + world.latency);
        }
        assert_eq!(world.nodes[0].busy, begin + 2 * each);

        // More than a segment leaves alone.
        world.run(begin + Duration::from_secs(1), |_| false);
        let begin = world.now;
        world.send(0, conns[0], words(TRAIN));
        world.send(0, conns[1], words(100));
        world.uplink(0);
        assert!(world.pipes[conns[0].0 as usize].is_empty());
        assert!(!world.pipes[conns[1].0 as usize].is_empty());
        assert_eq!(world.nodes[0].busy, begin + takes(&world, TRAIN));
        world.run(begin + Duration::from_secs(1), |_| false);
        assert!(world.pipes[conns[1].0 as usize].is_empty());
    }
}
