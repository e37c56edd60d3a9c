//! Losses that are nobody's lie: cut connections, crashes, full disks, refused
//! files, peers that leave.

use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::simulator::{Nature, Node, World};
use gt_wire::swarm::Fault;

use crate::crowd::{MBIT, crowd, everybody_done, report, v2};

#[test]
fn cut_connections_are_made_again() {
    let matter = v2(&[80 * 2 * BLOCK], 2 * BLOCK);
    for seed in 100..105 {
        let mut world = crowd(seed, &matter, 8, 10.0 * MBIT);
        let mut done = false;
        for step in 1..200 {
            if world.run(Duration::from_millis(150 * step), everybody_done) {
                done = true;
                break;
            }
            let n = world.below(world.nodes.len());
            let conns = world.conns(n);
            if !conns.is_empty() {
                let conn = conns[world.below(conns.len())];
                world.cut(conn);
            }
        }
        assert!(done, "seed {seed}: {}", report(&world));
    }
}

/// The first wait after a connection ended is two seconds where others serve.
#[test]
fn who_is_cut_off_from_all_calls_again_soon() {
    let matter = v2(&[80 * 2 * BLOCK], 2 * BLOCK);
    let time = |cut: bool| {
        let mut world = crowd(7, &matter, 1, 10.0 * MBIT);
        world.nodes[1].reachable = false;
        let half = matter.known.pieces() / 2;
        let is_half = |world: &World| world.nodes[1].have.count() == half;
        assert!(world.run(Duration::from_secs(60), is_half));
        if cut {
            world.cut(world.conns(1)[0]);
        }
        assert!(world.run(Duration::from_secs(60), everybody_done));
        world.now
    };
    let lost = time(true).saturating_sub(time(false));
    assert!(lost < Duration::from_millis(600), "{lost:?}");
}

#[test]
fn crashes_lose_nothing_that_was_verified() {
    let matter = v2(&[80 * 2 * BLOCK], 2 * BLOCK);
    for seed in 110..115 {
        let mut world = crowd(seed, &matter, 6, 10.0 * MBIT);
        for step in 1..6 {
            world.run(Duration::from_millis(400 * step), everybody_done);
            let n = 1 + world.below(6);
            let had = world.nodes[n].have.count();
            world.crash(n);
            let again = world.now + Duration::from_millis(300);
            world.start(n, again);
            world.run(again + Duration::from_millis(1), everybody_done);
            assert!(world.nodes[n].begun_with >= had, "seed {seed}");
        }
        let done = world.run(Duration::from_secs(120), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        let content = matter.length();
        for node in &world.nodes[1..] {
            assert!(node.holds_everything());
            let most = content * 3 / 2 + (1 << 20);
            assert!(node.fetched < most, "seed {seed}: {}", node.fetched);
        }
    }
}

#[test]
fn the_crowd_completes_when_the_origin_dies_after_one_copy() {
    let matter = v2(&[64 * 2 * BLOCK], 2 * BLOCK);
    for seed in 120..125 {
        let mut world = crowd(seed, &matter, 8, 20.0 * MBIT);
        let pieces = matter.known.pieces();
        let one_copy =
            |world: &World| (0..pieces).all(|p| world.nodes[1..].iter().any(|n| n.have.has(p)));
        assert!(world.run(Duration::from_secs(60), one_copy), "seed {seed}");
        world.crash(0);
        let done = world.run(Duration::from_secs(120), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
    }
}

#[test]
fn those_who_leave_when_done_take_no_last_copy_with_them() {
    let matter = v2(&[64 * 2 * BLOCK], 2 * BLOCK);
    for seed in 130..134 {
        let mut world = crowd(seed, &matter, 8, 20.0 * MBIT);
        let mut left = vec![false; world.nodes.len()];
        while !everybody_done(&world) {
            assert!(
                world.now < Duration::from_secs(120),
                "seed {seed}: {}",
                report(&world)
            );
            let gone = left.clone();
            world.run(Duration::from_secs(121), |world| {
                (1..world.nodes.len()).any(|n| world.nodes[n].is_done() && !gone[n])
            });
            for (n, left) in left.iter_mut().enumerate().skip(1) {
                if world.nodes[n].is_done() && !*left {
                    *left = true;
                    world.crash(n);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_is_waited_for() {
    let matter = v2(&[20 * BLOCK], BLOCK);
    let mut world = crowd(140, &matter, 3, 40.0 * MBIT);
    world.nodes[2].nature = Nature::FullDisk(8);
    let done = world.run(Duration::from_secs(120), everybody_done);
    assert!(done, "{}", report(&world));
    assert!(world.nodes[2].stalls > 0);
    assert!(world.nodes[2].holds_everything());
}

#[test]
fn a_rejected_file_is_the_publishers_fault() {
    let matter = v2(&[20 * BLOCK], BLOCK);
    let mut world = crowd(150, &matter, 3, 40.0 * MBIT);
    world.nodes[1].nature = Nature::Rejected;
    world.run(Duration::from_secs(60), |world| {
        world.nodes[1].failed.is_some() && world.nodes[2..].iter().all(Node::is_done)
    });
    assert!(
        matches!(world.nodes[1].failed, Some(Fault::Rejected { .. })),
        "{}",
        report(&world)
    );
    assert!(world.nodes.iter().all(|node| node.banned.is_empty()));
}

#[test]
fn files_are_closed_in_order() {
    let matter = v2(&[9 * BLOCK, 5, 0, 12 * BLOCK, BLOCK], BLOCK);
    for seed in 160..164 {
        let mut world = crowd(seed, &matter, 3, 40.0 * MBIT);
        for node in &mut world.nodes {
            node.in_order = true;
        }
        let done = world.run(Duration::from_secs(60), everybody_done);
        assert!(done, "seed {seed}: {}", report(&world));
        for node in &world.nodes[1..] {
            let order: Vec<u32> = node.closed.iter().map(|file| file.0).collect();
            assert_eq!(order, [0, 1, 2, 3, 4], "seed {seed}");
        }
    }
}

#[test]
fn a_lone_newcomer_without_peers_waits_and_does_not_spin() {
    let matter = v2(&[20 * BLOCK], BLOCK);
    let mut world = crowd(170, &matter, 1, 40.0 * MBIT);
    world.crash(0);
    world.run(Duration::from_secs(3600), |w| w.nodes[1].is_done());
    assert!(world.events < 3000, "{} events", world.events);
}
