//! HTTP sources in crowds (BEP 19): plain mirrors carry a torrent until peers
//! are found and whenever they are the faster or the only source.

use std::sync::Arc;
use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::simulator::{Matter, Nature, Node, Plan, Source, World};

use crate::crowd::{MBIT, report, v1, v2};

const SIZE: usize = 300 * BLOCK;
const PIECE: usize = 2 * BLOCK;

/// Nodes that have nothing, HTTP sources, and an origin if `origin` says so.
fn world(matter: &Arc<Matter>, nodes: usize, origin: bool, sources: &[Source]) -> World {
    let mut world = World::new(7, Duration::from_millis(5));
    for source in sources {
        let source = Source::new(source.capacity, source.nature.clone());
        world.sources.push(source);
    }
    for n in 0..nodes + usize::from(origin) {
        let mut node = Node::new(n as u64, 7, matter, origin && n == 0, 40.0 * MBIT);
        node.options.mirrors = sources.len();
        let n = world.add(node);
        world.start(n, Duration::ZERO);
    }
    world
}

fn run(world: &mut World, seconds: u64) -> f64 {
    let limit = Duration::from_secs(seconds);
    let done = world.run(limit, |world| world.nodes.iter().all(Node::is_done));
    assert!(done, "{}", report(world));
    assert!(world.nodes.iter().all(Node::holds_everything));
    world.now.as_secs_f64()
}

fn honest(mbits: f64) -> Source {
    Source::new(mbits * MBIT, Nature::Honest)
}

/// Nobody has it but a plain mirror: each of the peers need not fetch all of
/// it there.
#[test]
fn a_mirror_alone_feeds_a_crowd() {
    let mut world = world(&v1(SIZE, PIECE), 8, false, &[honest(40.0)]);
    let took = run(&mut world, 120);
    let bound = SIZE as f64 / (40.0 * MBIT);
    assert!(took < 3.0 * bound, "{took} s, of {bound}");
    let copies = world.sources[0].sent as f64 / SIZE as f64;
    assert!(copies < 4.0, "the mirror sent {copies} copies to 8");
}

/// A slow mirror is somebody's bill: it is left alone while peers are faster.
#[test]
fn a_slow_mirror_is_left_alone() {
    for matter in [v1(SIZE, PIECE), v2(&[SIZE], PIECE)] {
        let mut world = world(&matter, 8, true, &[honest(2.0)]);
        let took = run(&mut world, 60);
        let bound = SIZE as f64 / (40.0 * MBIT);
        assert!(took < 1.6 * bound, "{took} s, of {bound}");
        let share = world.sources[0].sent as f64 / SIZE as f64;
        assert!(share < 0.6, "{share} of the content from the mirror");
    }
}

/// Whatever a mirror does, the content arrives, and nobody takes its lies.
#[test]
fn bad_mirrors_hold_nobody_up() {
    for matter in [v1(SIZE, PIECE), v2(&[SIZE], PIECE)] {
        for nature in [
            Nature::Corrupt(1),
            Nature::Corrupt(7),
            Nature::Empty,
            Nature::Silent,
        ] {
            let bad = Source::new(40.0 * MBIT, nature.clone());
            let mut world = world(&matter, 6, true, &[bad]);
            run(&mut world, 300);
            for node in &world.nodes[1..] {
                assert!(node.banned.is_empty(), "{nature:?}: a peer was banned");
                let mirrors = node.swarm.as_ref().unwrap().mirrors();
                let given_up = mirrors[0].given_up || mirrors[0].failures > 0;
                // Who was never given anything by it need not know.
                let met = mirrors[0].downloaded > 0;
                assert!(
                    given_up || !met || nature == Nature::Corrupt(7),
                    "{nature:?}"
                );
            }
        }
    }
}

/// Of two mirrors one lies: the other is enough.
#[test]
fn an_honest_mirror_beside_a_lying_one() {
    let lying = Source::new(40.0 * MBIT, Nature::Corrupt(3));
    let mut world = world(&v1(SIZE, PIECE), 3, false, &[lying, honest(10.0)]);
    run(&mut world, 300);
    assert_eq!(world.nodes.iter().map(|node| node.wrong).sum::<u32>(), 0);
}

/// What comes through a narrow downlink comes no faster.
#[test]
fn a_downlink_bounds_what_comes() {
    let mut plan = Plan::new(1, 3);
    plan.size = 4 << 20;
    plan.piece = 32 << 10;
    plan.down = plan.up / 4.0;
    let slow = plan.run();
    assert!(slow.score > 0.8 && slow.score <= 1.0, "{slow:?}");
    let rate = plan.size as f64 / slow.times[0].as_secs_f64();
    assert!(rate <= plan.down, "{rate} a second");
    plan.down = f64::INFINITY;
    let free = plan.run();
    assert!(free.times[0] < slow.times[0] / 3, "{free:?}");
}
