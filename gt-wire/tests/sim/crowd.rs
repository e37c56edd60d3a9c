//! Flash crowds of honest peers: an origin and those who come for its content.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use gt_vfs::VPath;
use gt_vfs::content::{BLOCK, TreeHasher};
use gt_wire::geometry::File;
use gt_wire::{Geometry, PieceIndex};
use sha1::Digest;

use crate::node::Node;
use crate::world::World;

pub const MBIT: f64 = 1e6 / 8.0;

/// Content as bytes by piece, and what an origin and a newcomer know of it.
pub struct Matter {
    pub pieces: Vec<Vec<u8>>,
    pub known: Geometry,
    pub roots: Geometry,
}

/// Makes a v2 torrent of files of these lengths.
pub fn v2(lengths: &[usize], piece: usize) -> Matter {
    let mut pieces = Vec::new();
    let (mut files, mut layers) = (Vec::new(), Vec::new());
    for (n, length) in lengths.iter().enumerate() {
        let data = bytes(*length, n as u64);
        let mut hasher = TreeHasher::new();
        hasher.update(&data);
        let tree = hasher.finish();
        let path = VPath::parse(format!("f{n}").as_bytes()).unwrap();
        files.push(File::new(path, *length as u64).with_root(tree.root()));
        layers.push((*length > piece).then(|| tree.piece_layer(piece as u64)));
        pieces.extend(data.chunks(piece).map(<[u8]>::to_vec));
    }
    let unknown = vec![None; files.len()];
    Matter {
        pieces,
        known: Geometry::v2(piece as u64, files.clone(), layers).unwrap(),
        roots: Geometry::v2(piece as u64, files, unknown).unwrap(),
    }
}

/// Makes a v1 torrent of one file.
pub fn v1(length: usize, piece: usize) -> Matter {
    let data = bytes(length, 1);
    let pieces: Vec<Vec<u8>> = data.chunks(piece).map(<[u8]>::to_vec).collect();
    let path = VPath::parse(b"f").unwrap();
    let sha1 = pieces.iter().map(|p| sha1::Sha1::digest(p).into());
    let files = vec![File::new(path, length as u64)];
    let known = Geometry::v1(piece as u64, files, sha1.collect()).unwrap();
    Matter {
        pieces,
        roots: known.clone(),
        known,
    }
}

fn bytes(length: usize, salt: u64) -> Vec<u8> {
    let mut state = salt.wrapping_add(77);
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        out.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A world with one origin and some leechers, all with the same uplink, that
/// begin within a few milliseconds.
pub fn crowd(seed: u64, matter: &Matter, leechers: usize, capacity: f64) -> World {
    let mut world = World::new(seed, Duration::from_millis(5));
    let truth = Arc::new(matter.pieces.clone());
    for id in 0..=leechers as u64 {
        let node = if id == 0 {
            Node::new(
                id,
                seed,
                matter.known.clone(),
                Some(&matter.pieces),
                capacity,
            )
        } else {
            let mut node = Node::new(id, seed, matter.roots.clone(), None, capacity);
            node.keep = Some(truth.clone());
            node
        };
        let n = world.add(node);
        let late = Duration::from_micros(world.below(20_000) as u64);
        world.start(n, late);
    }
    world
}

pub fn everybody_done(world: &World) -> bool {
    world.nodes.iter().all(Node::is_done)
}

/// Tells who lacks what, for a failing test.
pub fn report(world: &World) -> String {
    let lines = world.nodes.iter().enumerate().map(|(n, node)| {
        format!(
            "{n}: {:?} have {} done {:?} sent {} peers {:?} gone {:?}\n",
            node.nature,
            node.have.count(),
            node.done_at,
            node.sent,
            node.swarm.as_ref().map(|s| s.peers()),
            &node.gone[..node.gone.len().min(9)],
        )
    });
    format!("at {:?}\n{}", world.now, lines.collect::<String>())
}

pub fn uploaded(world: &World, n: usize) -> u64 {
    world.nodes[n]
        .swarm
        .as_ref()
        .map_or(0, |swarm| swarm.totals().uploaded)
}

fn length(matter: &Matter) -> u64 {
    matter.pieces.iter().map(|p| p.len() as u64).sum()
}

#[test]
fn a_small_crowd_on_a_fast_net_trades() {
    let matter = v2(&[100 * 2 * BLOCK - 77], 2 * BLOCK);
    for seed in 0..6 {
        let mut world = crowd(seed, &matter, 3, 8000.0 * MBIT);
        world.latency = Duration::from_micros(50);
        let done = world.run(Duration::from_secs(60), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let share = uploaded(&world, 0) as f64 / length(&matter) as f64;
        assert!(
            share <= 1.2,
            "seed {seed}: origin sent {share} {}",
            report(&world)
        );
        for n in 1..=3 {
            assert!(uploaded(&world, n) > 0, "seed {seed}: {n} gave nothing");
            assert_eq!(world.nodes[n].disk, matter.pieces);
        }
    }
}

#[test]
fn crowds_come_near_the_bound() {
    let matter = v2(&[100 * 2 * BLOCK], 2 * BLOCK);
    for (seed, leechers, least) in [(1, 8, 0.80), (2, 8, 0.80), (3, 29, 0.70)] {
        let capacity = 40.0 * MBIT;
        let mut world = crowd(seed, &matter, leechers, capacity);
        let done = world.run(Duration::from_secs(120), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let content = length(&matter) as f64;
        // The fluid bound with equal uplinks: the origin's own time rules.
        let bound = content / capacity;
        let last = world.nodes.iter().filter_map(|n| n.done_at).max().unwrap();
        let score = bound / last.as_secs_f64();
        let share = uploaded(&world, 0) as f64 / content;
        eprintln!("{leechers} leechers, seed {seed}: score {score:.3}, origin {share:.3}");
        assert!(score >= least, "seed {seed}: {score} of the bound");
        assert!(share <= 1.15, "seed {seed}: origin sent {share}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let matter = v2(&[40 * 2 * BLOCK, 0, 3, 7 * BLOCK], 2 * BLOCK);
    let trace = |seed| {
        let mut world = crowd(seed, &matter, 7, 40.0 * MBIT);
        assert!(
            world.run(Duration::from_secs(60), everybody_done),
            "seed {seed}"
        );
        (world.now, world.events, world.trace.finish())
    };
    for seed in 10..13 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(10), trace(11));
}

#[test]
fn v1_and_empty_files_and_order() {
    let v1 = v1(33 * BLOCK + 5, BLOCK + 3000);
    let v2 = v2(&[5, 0, 20 * BLOCK, 0, BLOCK], BLOCK);
    for (seed, matter) in [(20, &v1), (21, &v2)] {
        let mut world = crowd(seed, matter, 4, 40.0 * MBIT);
        assert!(
            world.run(Duration::from_secs(60), everybody_done),
            "{}",
            report(&world)
        );
        for node in &world.nodes[1..] {
            assert_eq!(node.disk, matter.pieces);
            assert_eq!(node.closed.len(), matter.known.files().len());
        }
    }
}

#[test]
fn latecomers_are_served_though_the_origin_has_left() {
    let matter = v2(&[60 * BLOCK], BLOCK);
    for seed in 30..33 {
        let mut world = crowd(seed, &matter, 5, 40.0 * MBIT);
        assert!(world.run(Duration::from_secs(60), everybody_done));
        world.crash(0);
        let mut node = Node::new(99, seed, matter.roots.clone(), None, 40.0 * MBIT);
        node.keep = Some(Arc::new(matter.pieces.clone()));
        let late = world.add(node);
        world.start(late, world.now);
        let until = world.now + Duration::from_secs(60);
        let done = world.run(until, |w| w.nodes[late].is_done());
        assert!(done, "seed {seed}: {}", report(&world));
        assert_eq!(matter.known.piece_len(PieceIndex(0)) as usize, BLOCK);
    }
}
