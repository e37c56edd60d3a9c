//! Peers that lie: they are caught by proof, nobody honest is, and the content
//! arrives all the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use gt_vfs::content::BLOCK;
use gt_wire::message::Message;
use gt_wire::simulator::{Matter, Nature, Node, World};
use gt_wire::swarm::Reason;
use gt_wire::{Block, PieceIndex};

use crate::crowd::{MBIT, crowd, report, v1, v2};

/// Adds liars to a crowd and runs until every honest node is done.
fn with_liars(seed: u64, matter: &Arc<Matter>, honest: usize, liars: &[Nature]) -> World {
    let mut world = crowd(seed, matter, honest, 40.0 * MBIT);
    for (n, nature) in liars.iter().enumerate() {
        let id = 500 + n as u64;
        let liar = Node::new(id, seed, matter, true, 40.0 * MBIT);
        let n = world.add(liar.with(nature.clone()));
        world.start(n, Duration::ZERO);
    }
    let done = world.run(Duration::from_secs(240), move |world| {
        world.nodes[..=honest].iter().all(Node::is_done)
    });
    assert!(done, "seed {seed}: {}", report(&world));
    for node in &world.nodes[1..=honest] {
        assert!(node.holds_everything(), "seed {seed}");
        for banned in &node.banned {
            let liar = world.nodes[honest + 1..]
                .iter()
                .any(|liar| liar.addr.ip() == banned.ip());
            assert!(liar, "seed {seed}: {banned} was honest");
        }
    }
    world
}

fn catches(world: &World, honest: usize, liar: usize) -> usize {
    let ip = world.nodes[honest + 1 + liar].addr.ip();
    world.nodes[1..=honest]
        .iter()
        .filter(|node| node.banned.iter().any(|b| b.ip() == ip))
        .count()
}

#[test]
fn wrong_blocks_are_banned_by_proof() {
    let matters = [
        v2(&[60 * 4 * BLOCK], 4 * BLOCK),
        v1(50 * 4 * BLOCK, 4 * BLOCK),
    ];
    for matter in &matters {
        for seed in 40..44 {
            let liars = [Nature::Corrupt(1), Nature::Corrupt(5)];
            let world = with_liars(seed, matter, 6, &liars);
            assert!(catches(&world, 6, 0) > 0, "seed {seed}: {}", report(&world));
            assert!(catches(&world, 6, 1) > 0, "seed {seed}: {}", report(&world));
        }
    }
}

#[test]
fn false_haves_and_silence_stall_nobody() {
    let matter = v2(&[60 * 2 * BLOCK], 2 * BLOCK);
    for seed in 50..54 {
        let liars = [Nature::Empty, Nature::Silent, Nature::Silent];
        let world = with_liars(seed, &matter, 6, &liars);
        assert!(
            world.now < Duration::from_secs(60),
            "seed {seed}: {:?}",
            world.now
        );
    }
}

#[test]
fn false_hashes_are_banned_by_proof() {
    let matter = v2(&[60 * 2 * BLOCK], 2 * BLOCK);
    let mut caught = 0;
    for seed in 60..64 {
        let world = with_liars(seed, &matter, 6, &[Nature::FalseHashes]);
        caught += catches(&world, 6, 0);
    }
    assert!(caught > 0);
}

#[test]
fn breakers_of_the_protocol_are_thrown_out() {
    let matter = v2(&[40 * BLOCK], BLOCK);
    let many = |message: Message, n: usize| {
        let mut out = BytesMut::new();
        for _ in 0..n {
            out.put(message.clone().to_bytes());
        }
        out.freeze()
    };
    let block = |piece, offset, length| Block {
        piece: PieceIndex(piece),
        offset,
        length,
    };
    let pieces = PieceIndex(1);
    let wild: Vec<(&str, Bytes)> = vec![
        (
            "request flood",
            many(Message::Request(block(0, 0, BLOCK as u32)), 2000),
        ),
        (
            "request past the end",
            many(Message::Request(block(0, 1 << 20, 9)), 1),
        ),
        (
            "request of everything",
            many(Message::Request(block(0, 0, u32::MAX)), 1),
        ),
        ("have past the end", many(Message::Have(PieceIndex(40)), 1)),
        ("have all twice", many(Message::HaveAll, 2)),
        (
            "bitfield too long",
            many(Message::Bitfield(vec![0; 6].into()), 1),
        ),
        (
            "bitfield too short",
            many(Message::Bitfield(vec![0; 4].into()), 1),
        ),
        ("huge length", Bytes::from_static(&[0xff; 8])),
        (
            "unasked blocks",
            many(
                Message::Piece {
                    piece: pieces,
                    offset: 0,
                    data: vec![1; 99].into(),
                },
                300,
            ),
        ),
        (
            "no bencoding",
            many(
                Message::Extended {
                    id: 0,
                    payload: Bytes::from_static(b"xx"),
                },
                1,
            ),
        ),
        ("half a message", Bytes::from_static(&[0, 0, 1])),
        (
            "unchoke and choke",
            [many(Message::Unchoke, 1), many(Message::Choke, 1)]
                .concat()
                .into(),
        ),
    ];
    for (seed, (name, said)) in (70..).zip(wild) {
        let world = with_liars(seed, &matter, 3, &[Nature::Wild(said)]);
        eprintln!("{name}: {:?} events {}", world.now, world.events);
        assert!(
            world.now < Duration::from_secs(30),
            "{name}: {:?}",
            world.now
        );
        let broken = world.nodes[..=3].iter().any(|node| {
            let mut gone = node.gone.iter();
            gone.any(|why| matches!(why, Reason::Protocol(_)))
        });
        let legal = ["request flood", "half a message", "unchoke and choke"];
        assert!(broken || legal.contains(&name), "{name}");
    }
}

#[test]
fn a_liar_alone_with_a_newcomer_gives_way_to_the_origin() {
    let matter = v2(&[20 * 2 * BLOCK], 2 * BLOCK);
    for seed in 90..93 {
        let mut world = World::new(seed, Duration::from_millis(5));
        let late = world.add(Node::new(1, seed, &matter, false, 40.0 * MBIT));
        let liar = Node::new(2, seed, &matter, true, 40.0 * MBIT);
        let liar = world.add(liar.with(Nature::Corrupt(1)));
        world.start(liar, Duration::ZERO);
        world.start(late, Duration::from_millis(10));
        assert!(!world.run(Duration::from_secs(20), |w| w.nodes[late].is_done()));
        assert!(!world.nodes[late].banned.is_empty(), "{}", report(&world));
        let origin = world.add(Node::new(3, seed, &matter, true, 40.0 * MBIT));
        world.start(origin, world.now);
        let until = world.now + Duration::from_secs(60);
        let done = world.run(until, |w| w.nodes[late].is_done());
        assert!(done, "seed {seed}: {}", report(&world));
    }
}
