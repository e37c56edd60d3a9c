//! Flash crowds of honest peers: an origin and those who come for its content.

use std::sync::Arc;
use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::PieceIndex;
use gt_wire::simulator::{Matter, Node, Plan, World};

pub const MBIT: f64 = 1e6 / 8.0;

/// Makes a v2 torrent of files of these lengths.
pub fn v2(lengths: &[usize], piece: usize) -> Arc<Matter> {
    Arc::new(Matter::v2(lengths, piece))
}

/// Makes a v1 torrent of one file.
pub fn v1(length: usize, piece: usize) -> Arc<Matter> {
    Arc::new(Matter::v1(length, piece))
}

/// A world with one origin and some leechers, all with the same uplink, that
/// begin within a few milliseconds.
pub fn crowd(seed: u64, matter: &Arc<Matter>, leechers: usize, capacity: f64) -> World {
    let mut world = World::new(seed, Duration::from_millis(5));
    for id in 0..=leechers as u64 {
        let n = world.add(Node::new(id, seed, matter, id == 0, capacity));
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

#[test]
fn a_small_crowd_on_a_fast_net_trades() {
    let matter = v2(&[100 * 2 * BLOCK - 77], 2 * BLOCK);
    for seed in 0..6 {
        let mut world = crowd(seed, &matter, 3, 400.0 * MBIT);
        world.latency = Duration::from_micros(50);
        let done = world.run(Duration::from_secs(60), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let share = uploaded(&world, 0) as f64 / matter.length() as f64;
        assert!(
            share <= 1.2,
            "seed {seed}: origin sent {share} {}",
            report(&world)
        );
        for n in 1..=3 {
            assert!(uploaded(&world, n) > 0, "seed {seed}: {n} gave nothing");
            assert!(world.nodes[n].holds_everything());
        }
    }
}

#[test]
fn who_comes_a_moment_later_is_served_by_the_others() {
    let matter = v2(&[100 * 2 * BLOCK], 2 * BLOCK);
    for seed in 35..39 {
        let mut world = World::new(seed, Duration::from_micros(50));
        for id in 0..4 {
            let n = world.add(Node::new(id, seed, &matter, id == 0, 8000.0 * MBIT));
            world.start(n, Duration::from_millis(150 * id));
        }
        let done = world.run(Duration::from_secs(60), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let share = uploaded(&world, 0) as f64 / matter.length() as f64;
        assert!(share <= 1.2, "seed {seed}: {share} {}", report(&world));
    }
}

#[test]
fn one_to_one_fills_the_link() {
    let matter = v2(&[1000 * BLOCK], 8 * BLOCK);
    for (seed, capacity, latency) in [(36, 8000.0, 50), (37, 400.0, 5000), (38, 100.0, 40_000)] {
        let mut world = crowd(seed, &matter, 1, capacity * MBIT);
        world.latency = Duration::from_micros(latency);
        let done = world.run(Duration::from_secs(60), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let took = world.nodes[1].done_at.unwrap().as_secs_f64() - 0.02;
        let score = matter.length() as f64 / (capacity * MBIT) / took;
        eprintln!("{capacity} Mbit/s, {latency} us: {score:.3} of the link");
        assert!(score > 0.5, "seed {seed}: {score}");
    }
}

/// An origin leaves layers to a crowd to tell; one who is alone has nobody else.
#[test]
fn a_long_layer_is_told_to_few() {
    let matter = v2(&[4096 * 4 * BLOCK], 4 * BLOCK);
    for (seed, leechers) in [(40, 1), (41, 4), (42, 8)] {
        let mut world = crowd(seed, &matter, leechers, 800.0 * MBIT);
        let done = world.run(Duration::from_secs(60), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let bound = matter.length() as f64 / (800.0 * MBIT);
        let took = world.now.as_secs_f64();
        assert!(took < 1.5 * bound, "seed {seed}: {took} s, of {bound}");
    }
}

#[test]
fn one_to_one_fills_the_link_with_pieces_of_any_length() {
    for (n, piece) in [16, 64, 256].into_iter().enumerate() {
        for (capacity, latency) in [(40_000.0, 100), (8000.0, 50), (400.0, 5000)] {
            let matter = v1(12_800 * BLOCK, piece * BLOCK);
            let seed = 60 + n as u64;
            let mut world = crowd(seed, &matter, 1, capacity * MBIT);
            world.latency = Duration::from_micros(latency);
            world.disk = Duration::ZERO;
            let done = world.run(Duration::from_secs(60), everybody_done);
            assert!(done, "seed {seed}: {}", report(&world));
            let took = world.nodes[1].done_at.unwrap().as_secs_f64() - 0.02;
            let score = matter.length() as f64 / (capacity * MBIT) / took;
            eprintln!("{piece} blocks, {capacity} Mbit/s, {latency} us: {score:.3} of the link");
            assert!(score > 0.85, "{piece} blocks, {capacity} Mbit/s: {score}");
        }
    }
}

#[test]
fn crowds_come_near_the_bound() {
    let matter = v2(&[100 * 2 * BLOCK], 2 * BLOCK);
    for (seed, leechers, least) in [(1, 8, 0.76), (2, 8, 0.76), (3, 29, 0.68)] {
        let capacity = 40.0 * MBIT;
        let mut world = crowd(seed, &matter, leechers, capacity);
        let done = world.run(Duration::from_secs(120), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let content = matter.length() as f64;
        // The fluid bound with equal uplinks: the origin's own time rules.
        let bound = content / capacity;
        let last = world.nodes.iter().filter_map(|n| n.done_at).max().unwrap();
        let score = bound / last.as_secs_f64();
        let share = uploaded(&world, 0) as f64 / content;
        eprintln!("{leechers} leechers, seed {seed}: score {score:.3}, origin {share:.3}");
        if std::env::var_os("GT_SIM_REPORT").is_some() {
            eprintln!("{}", report(&world));
        }
        assert!(score >= least, "seed {seed}: {score} of the bound");
        assert!(share <= 1.1, "seed {seed}: origin sent {share}");
    }
}

/// Nobody is alone with passing on what the origin gives first.
#[test]
fn the_first_pieces_go_to_different_peers() {
    let matter = v2(&[200 * 2 * BLOCK], 2 * BLOCK);
    for seed in 50..54 {
        let mut world = World::new(seed, Duration::from_millis(25));
        for id in 0..=12 {
            let n = world.add(Node::new(id, seed, &matter, id == 0, 10.0 * MBIT));
            world.start(n, Duration::ZERO);
        }
        let given = |world: &World| {
            let origin = world.nodes[0].swarm.as_ref();
            let peers = origin.map_or(Vec::new(), |swarm| swarm.peers());
            peers.iter().map(|peer| peer.uploaded).collect::<Vec<_>>()
        };
        let end = Duration::from_secs(10);
        let piece = 2 * BLOCK as u64;
        let some = |world: &World| given(world).iter().sum::<u64>() >= 5 * piece;
        assert!(world.run(end, some), "seed {seed}");
        let most = given(&world).into_iter().max();
        assert!(most <= Some(piece), "seed {seed}: {:?}", given(&world));
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
        (world.now, world.events, world.trace)
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
            assert!(node.holds_everything());
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
        let late = world.add(Node::new(99, seed, &matter, false, 40.0 * MBIT));
        world.start(late, world.now);
        let until = world.now + Duration::from_secs(60);
        let done = world.run(until, |w| w.nodes[late].is_done());
        assert!(done, "seed {seed}: {}", report(&world));
        assert_eq!(matter.known.piece_len(PieceIndex(0)) as usize, BLOCK);
    }
}

#[test]
fn a_long_run_tells_how_far_it_is() {
    let mut plan = Plan::new(12, 1);
    plan.size = 32 << 20;
    let mut told = Vec::new();
    let outcome = plan.run_telling(|have, all| told.push((have, all)));
    assert_eq!(outcome, plan.run());
    assert!(told.len() > 1, "{} events", outcome.events);
    assert!(told.is_sorted());
    assert!(
        told.iter()
            .all(|(have, all)| *all == 12 * 256 && have <= all)
    );
    assert!(told.last().is_some_and(|(have, _)| *have > 0));
}
