//! A crowd in a few numbers, and what became of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Matter, Nature, Node, Source, World};
use crate::swarm::Swarm;

/// So many things happen from one word of how far a run is to the next.
const TELL: u64 = 1 << 16;

/// A flash crowd: one origin, and peers that come all at once.
///
/// Shares are of all peers, between 0 and 1, and are taken one after the
/// other: first liars, then free riders, then stock peers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Peers beside the origin.
    pub peers: usize,
    /// Bytes of content.
    pub size: usize,
    /// Bytes of a piece.
    pub piece: usize,
    /// Whether the torrent is v2, so that wrong blocks are known one by one.
    pub v2: bool,
    /// Whether all know the piece layers of v2 from the start, as a .torrent file
    /// tells them (BEP 52); else the origin alone does, as where a reel's
    /// statement names the root.
    pub layers: bool,
    /// The uplink of each peer, in bytes a second.
    pub up: f64,
    /// Other uplinks: which share of the honest peers has which, in bytes a
    /// second.
    pub uplinks: Vec<(f64, f64)>,
    /// The downlink of each peer, in bytes a second; infinite where it is never
    /// the narrow one.
    pub down: f64,
    /// HTTP sources: the uplink of each, in bytes a second, and how it behaves.
    pub sources: Vec<(f64, Nature)>,
    /// The origin's uplink, in bytes a second.
    pub seed_up: f64,
    /// The time that a packet takes, one way.
    pub latency: Duration,
    /// How many of a million packets are lost.
    pub loss: u32,
    /// Where chance begins.
    pub seed: u64,
    /// Connections of one peer, about.
    pub degree: usize,
    /// The share of peers that give nothing.
    pub free_riders: f64,
    /// The share of peers with ordinary slots and no turns.
    pub stock: f64,
    /// The share of peers that say they have everything and lie.
    pub liars: f64,
    /// How they lie, one after the other.
    pub lies: Vec<Nature>,
    /// The share of peers that nobody can connect to.
    pub nat: f64,
    /// Whether peers leave when they are done.
    pub leave: bool,
    /// When to give up.
    pub limit: Duration,
}

impl Plan {
    /// Returns a crowd of equals: 64 MiB in pieces of 128 KiB, 40 Mbit/s each,
    /// 5 ms.
    pub fn new(peers: usize, seed: u64) -> Self {
        Self {
            peers,
            size: 64 << 20,
            piece: 128 << 10,
            v2: false,
            layers: false,
            up: 5e6,
            uplinks: Vec::new(),
            down: f64::INFINITY,
            sources: Vec::new(),
            seed_up: 5e6,
            latency: Duration::from_millis(5),
            loss: 0,
            seed,
            degree: 40,
            free_riders: 0.0,
            stock: 0.0,
            liars: 0.0,
            lies: vec![Nature::Corrupt(1), Nature::Corrupt(3)],
            nat: 0.0,
            leave: false,
            limit: Duration::from_secs(600),
        }
    }

    /// Runs the crowd until every honest peer has everything, or the limit.
    pub fn run(&self) -> Outcome {
        self.run_telling(|_, _| {})
    }

    /// Does the same, and tells now and then how many pieces all honest peers
    /// together have, and how many there will be.
    pub fn run_telling(&self, tell: impl FnMut(u64, u64)) -> Outcome {
        let mut world = self.world();
        self.finish_telling(&mut world, tell)
    }

    fn count(&self, share: f64) -> usize {
        (self.peers as f64 * share.clamp(0.0, 1.0)).round() as usize
    }

    /// Builds the world: the origin is node 0, then come the honest peers,
    /// the free riders and stock peers at the end of them, then the liars.
    pub fn world(&self) -> World {
        let matter = Arc::new(if self.v2 {
            Matter::v2(&[self.size], self.piece)
        } else {
            Matter::v1(self.size, self.piece)
        });
        let mut world = World::new(self.seed, self.latency);
        world.disk = Duration::ZERO;
        world.loss = self.loss;
        for (capacity, nature) in &self.sources {
            let source = Source::new(*capacity, nature.clone());
            world.sources.push(source);
        }
        let honest = self.peers - self.count(self.liars).min(self.peers);
        let free = self.count(self.free_riders).min(honest);
        let stock = self.count(self.stock).min(honest - free);
        let reachable = self.peers - self.count(self.nat).min(self.peers);
        for n in 0..=self.peers {
            let lies = n > honest;
            let capacity = if n == 0 {
                self.seed_up
            } else {
                self.rate(n, honest)
            };
            let whole = n == 0 || lies;
            let mut node = Node::new(n as u64, self.seed, &matter, whole, capacity);
            node.options.connections = self.degree.max(8);
            node.options.outgoing = self.degree.max(8) / 2;
            node.options.mirrors = self.sources.len();
            if n > 0 {
                node.down = self.down;
            }
            node.layers = self.layers;
            node.leaves = self.leave && n > 0 && !lies;
            node.reachable = n <= reachable;
            if lies && !self.lies.is_empty() {
                node.nature = self.lies[(n - honest - 1) % self.lies.len()].clone();
            } else if n > honest - free && n <= honest {
                node.options.slots = 0;
            } else if n > honest - free - stock && n <= honest - free {
                node.options.turns = false;
            }
            let n = world.add(node);
            world.start(n, Duration::ZERO);
        }
        world
    }

    /// Returns the uplink of a peer.
    fn rate(&self, n: usize, honest: usize) -> f64 {
        let place = (n as f64 - 0.5) / honest.max(1) as f64;
        let mut end = 0.0;
        for (share, rate) in &self.uplinks {
            end += share;
            if place < end {
                return *rate;
            }
        }
        self.up
    }

    /// Runs a world of this plan to its end.
    pub fn finish(&self, world: &mut World) -> Outcome {
        self.finish_telling(world, |_, _| {})
    }

    fn finish_telling(&self, world: &mut World, mut tell: impl FnMut(u64, u64)) -> Outcome {
        let honest = self.peers - self.count(self.liars).min(self.peers);
        let mut left: Vec<usize> = (1..=honest).collect();
        let done = world.run(self.limit, |world| {
            if world.events.is_multiple_of(TELL) {
                let honest = &world.nodes[1..=honest];
                let sum = |of: fn(&Node) -> u32| honest.iter().map(|n| u64::from(of(n))).sum();
                tell(sum(|node| node.have.count()), sum(|node| node.have.len()));
            }
            while left.last().is_some_and(|n| world.nodes[*n].is_done()) {
                left.pop();
            }
            left.is_empty()
        });
        let free = self.count(self.free_riders).min(honest);
        let givers = world.nodes[1..=honest - free].iter();
        let given: f64 = givers.map(|node| node.capacity).sum();
        let size = self.size as f64;
        let sources = self.sources.iter().filter(|(_, nature)| !nature.lies());
        // Whoever has all of it from the beginning is a seed.
        let seeds = self.seed_up + sources.map(|(capacity, _)| capacity).sum::<f64>();
        let bound = (size / seeds)
            .max(size / self.down)
            .max(honest as f64 * size / (seeds + given));
        let mut times: Vec<Duration> = world.nodes[1..=honest]
            .iter()
            .filter_map(|node| node.done_at)
            .collect();
        times.sort_unstable();
        let last = if done { times.last().copied() } else { None };
        let liars: BTreeSet<_> = world.nodes[honest + 1..]
            .iter()
            .map(|node| node.addr.ip())
            .collect();
        let banned: BTreeSet<_> = world.nodes[..=honest]
            .iter()
            .flat_map(|node| node.banned.iter().map(|addr| addr.ip()))
            .collect();
        let wasted: u64 = world.nodes[1..=honest]
            .iter()
            .filter_map(|node| node.swarm.as_ref().map(Swarm::totals))
            .map(|totals| totals.wasted)
            .sum();
        Outcome {
            bound: Duration::from_secs_f64(bound),
            score: last.map_or(0.0, |last| bound / last.as_secs_f64()),
            unfinished: honest - times.len(),
            times,
            origin: world.nodes[0].sent as f64 / size,
            sources: world.sources.iter().map(|s| s.sent).sum::<u64>() as f64 / size,
            waste: wasted as f64 / (size * honest.max(1) as f64),
            liars: liars.len(),
            caught: liars.intersection(&banned).count(),
            wronged: banned.difference(&liars).count(),
            wrong: world.nodes.iter().map(|node| node.wrong).sum(),
            events: world.events,
            trace: world.trace,
        }
    }
}

/// What became of a crowd.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The fluid bound: max(F/u_s, F/d, N·F/(u_s + Σu)) over honest givers
    /// (Kumar and Ross 2006); honest HTTP sources are seeds.
    pub bound: Duration,
    /// The bound as a share of the time of the last who was done; 0 where not
    /// all were.
    pub score: f64,
    /// When honest peers were done, the first first.
    pub times: Vec<Duration>,
    /// Honest peers that were not.
    pub unfinished: usize,
    /// Bytes of every kind that left the origin, as a share of the content.
    pub origin: f64,
    /// Bytes of content that left HTTP sources, as a share of it.
    pub sources: f64,
    /// Bytes that came twice or were wrong, as a share of all.
    pub waste: f64,
    /// Liars there were.
    pub liars: usize,
    /// Liars that somebody banned.
    pub caught: usize,
    /// Honest peers that somebody banned: none, ever.
    pub wronged: usize,
    /// Pieces that were taken for right and were not: none, ever.
    pub wrong: u32,
    /// How many things happened.
    pub events: u64,
    /// A sum over all that happened: the same for the same plan.
    pub trace: u64,
}
