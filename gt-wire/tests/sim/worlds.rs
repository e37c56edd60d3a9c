//! Small worlds of every kind by chance, beside a model that knows only who
//! holds which piece: as long as one copy of everything is left nobody honest
//! stalls, whatever the others do; and if the only holder is gone for good,
//! everybody ends with all that was left.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use gt_vfs::content::BLOCK;
use gt_wire::bitfield::Bitfield;
use gt_wire::message::Message;
use gt_wire::simulator::{Matter, Nature, Node, Source, World};
use gt_wire::{Block, PieceIndex};
use proptest::prelude::*;

use crate::crowd::{MBIT, report};

/// How long a small world may take: liars that drip cost minutes.
const LONGEST: Duration = Duration::from_secs(900);

#[derive(Clone, Debug)]
struct Mishap {
    /// Which node, the origin being none of them.
    node: usize,
    at: u64,
    /// How long it is away, in milliseconds.
    away: u64,
}

#[derive(Clone, Debug)]
struct Tale {
    seed: u64,
    v2: bool,
    honest: usize,
    pieces: usize,
    /// Blocks of a piece.
    piece: usize,
    latency: u64,
    loss: u32,
    /// How many of the honest nobody can connect to.
    hidden: usize,
    stock: usize,
    riders: usize,
    leave: bool,
    mbits: Vec<f64>,
    lies: Vec<Nature>,
    mishaps: Vec<Mishap>,
    /// When the origin ends for good, in milliseconds.
    end: Option<u64>,
    /// How HTTP sources behave.
    sources: Vec<Nature>,
    /// The downlink of each, if it is narrow.
    down: Option<f64>,
}

fn repeated(message: &Message, n: usize) -> Bytes {
    let mut out = BytesMut::new();
    for _ in 0..n {
        out.put(message.clone().to_bytes());
    }
    out.freeze()
}

/// Words of many peers that are nobody (BEP 11).
fn poison() -> Bytes {
    let mut out = BytesMut::new();
    let hello = Bytes::from_static(b"d1:md6:ut_pexi1ee1:pi6881ee");
    out.put(
        Message::Extended {
            id: 0,
            payload: hello,
        }
        .to_bytes(),
    );
    let mut said = BytesMut::from(&b"d5:added300:"[..]);
    for n in 0..50u8 {
        said.put_slice(&[99, n, 7, 7, 0x1a, 0xe1]);
    }
    said.put_slice(b"e");
    let payload = said.freeze();
    // Ours for peer exchange is the second of our numbers.
    out.put(Message::Extended { id: 2, payload }.to_bytes());
    out.freeze()
}

/// An info dictionary that nobody asked for, and a request for ours (BEP 9).
fn metadata() -> Bytes {
    let mut out = BytesMut::new();
    let hello = Bytes::from_static(b"d1:md11:ut_metadatai3ee13:metadata_sizei99999ee");
    out.put(
        Message::Extended {
            id: 0,
            payload: hello,
        }
        .to_bytes(),
    );
    let data = Bytes::from_static(b"d8:msg_typei1e5:piecei0e10:total_sizei99999eexxxx");
    out.put(
        Message::Extended {
            id: 1,
            payload: data,
        }
        .to_bytes(),
    );
    let ask = Bytes::from_static(b"d8:msg_typei0e5:piecei0ee");
    out.put(
        Message::Extended {
            id: 1,
            payload: ask,
        }
        .to_bytes(),
    );
    out.freeze()
}

fn lie() -> impl Strategy<Value = Nature> {
    let flood = Block {
        piece: PieceIndex(0),
        offset: 0,
        length: BLOCK as u32,
    };
    prop_oneof![
        Just(Nature::Corrupt(1)),
        Just(Nature::Corrupt(4)),
        Just(Nature::Empty),
        Just(Nature::Silent),
        Just(Nature::Drip),
        Just(Nature::FalseHashes),
        Just(Nature::Wild(repeated(&Message::Request(flood), 700))),
        Just(Nature::Wild(repeated(&Message::HaveAll, 1))),
        Just(Nature::Wild(poison())),
        Just(Nature::Wild(metadata())),
    ]
}

fn source() -> impl Strategy<Value = Nature> {
    prop_oneof![
        3 => Just(Nature::Honest),
        1 => Just(Nature::Corrupt(1)),
        1 => Just(Nature::Corrupt(7)),
        1 => Just(Nature::Empty),
        1 => Just(Nature::Silent),
    ]
}

fn tale() -> impl Strategy<Value = Tale> {
    let sizes = (any::<u64>(), any::<bool>(), 1usize..7, 1usize..40, 0u32..3);
    let net = (0u64..60, prop_oneof![3 => Just(0), 1 => 1u32..5000]);
    let kinds = (0usize..3, 0usize..3, 0usize..2, any::<bool>());
    let mbits = prop::collection::vec(prop_oneof![Just(2.0), Just(10.0), Just(40.0)], 7);
    let lies = prop::collection::vec(lie(), 0..3);
    let mishap = (1usize..7, 0u64..4000, 1u64..3000);
    let mishap = mishap.prop_map(|(node, at, away)| Mishap { node, at, away });
    let mishaps = prop::collection::vec(mishap, 0..5);
    let end = prop::option::weighted(0.3, 0u64..3000);
    let beside = (
        prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(source(), 1..3)],
        prop::option::weighted(0.3, prop_oneof![Just(2.0), Just(10.0)]),
    );
    (sizes, net, kinds, mbits, lies, mishaps, (end, beside)).prop_map(
        |(sizes, net, kinds, mbits, lies, mishaps, (end, (sources, down)))| Tale {
            seed: sizes.0,
            v2: sizes.1,
            honest: sizes.2,
            pieces: sizes.3,
            piece: BLOCK << sizes.4,
            latency: net.0,
            loss: net.1,
            hidden: kinds.0,
            stock: kinds.1,
            riders: kinds.2,
            leave: kinds.3,
            mbits,
            lies,
            mishaps,
            end,
            sources,
            down,
        },
    )
}

fn build(tale: &Tale) -> (World, Arc<Matter>) {
    let length = tale.pieces * tale.piece - 77;
    let matter = Arc::new(if tale.v2 {
        Matter::v2(&[length], tale.piece)
    } else {
        Matter::v1(length, tale.piece)
    });
    let mut world = World::new(tale.seed, Duration::from_millis(tale.latency));
    world.loss = tale.loss;
    for nature in &tale.sources {
        let source = Source::new(10.0 * MBIT, nature.clone());
        world.sources.push(source);
    }
    for n in 0..=tale.honest {
        let rate = tale.mbits[n] * MBIT;
        let mut node = Node::new(n as u64, tale.seed, &matter, n == 0, rate);
        node.reachable = n == 0 || tale.end.is_some() || n + tale.hidden <= tale.honest;
        node.options.turns = n == 0 || n > tale.stock;
        node.options.port = Some(6881);
        node.options.mirrors = tale.sources.len();
        // Who says things without end fills any line, and that is no stall.
        let floods = tale.lies.iter().any(|lie| matches!(lie, Nature::Wild(_)));
        if let Some(mbits) = tale.down.filter(|_| !floods) {
            node.down = mbits * MBIT;
        }
        if n > 0 && n + tale.riders > tale.honest {
            node.options.slots = 0;
        }
        // Who leaves may take a last copy along once the origin has ended.
        node.leaves = n > 0 && tale.leave && tale.end.is_none();
        world.add(node);
    }
    for (n, nature) in tale.lies.iter().enumerate() {
        let liar = Node::new(500 + n as u64, tale.seed, &matter, true, 40.0 * MBIT);
        world.add(liar.with(nature.clone()));
    }
    for n in 0..world.nodes.len() {
        let late = world.below(50_000) as u64;
        world.start(n, Duration::from_micros(late));
    }
    (world, matter)
}

/// What honest nodes hold together, on disks of those too that are away.
fn left(world: &World, tale: &Tale, ended: bool) -> Bitfield {
    let mut all = Bitfield::empty(world.nodes[0].have.len());
    let first = usize::from(ended);
    for node in &world.nodes[first..=tale.honest] {
        // What free riders alone have is lost: they give nothing.
        if node.options.slots > 0 {
            node.have.iter().for_each(|piece| {
                all.insert(piece);
            });
        }
    }
    all
}

fn tell(tale: &Tale) -> Result<(), TestCaseError> {
    let (mut world, _matter) = build(tale);
    let mut acts: Vec<(u64, usize, u64)> = tale
        .mishaps
        .iter()
        .filter(|m| m.node <= tale.honest)
        .map(|m| (m.at, m.node, m.away))
        .collect();
    acts.extend(tale.end.map(|at| (at, 0, 0)));
    acts.sort_unstable();
    for (at, node, away) in acts {
        world.run(Duration::from_millis(at), |_| false);
        if world.nodes[node].is_up() {
            world.crash(node);
            if node > 0 {
                let back = world.now + Duration::from_millis(away);
                world.start(node, back);
            }
        }
    }
    let ended = tale.end.is_some();
    let copies = left(&world, tale, ended);
    // Only peers tell piece layers of v2.
    let mirrored = !tale.v2 && tale.sources.contains(&Nature::Honest);
    let whole = copies.is_full() || mirrored;
    let settled = |world: &World| {
        world.nodes[1..=tale.honest].iter().all(|node| {
            if whole {
                node.is_done()
            } else {
                !copies.has_more_than(&node.have)
            }
        })
    };
    let done = world.run(LONGEST, settled);
    prop_assert!(done, "whole {whole}: {tale:?}\n{}", report(&world));
    for node in &world.nodes[..=tale.honest] {
        prop_assert_eq!(node.wrong, 0, "{:?}", tale);
        for banned in &node.banned {
            let honest = world.nodes[..=tale.honest]
                .iter()
                .any(|other| other.addr.ip() == banned.ip());
            prop_assert!(!honest, "{} was honest: {:?}", banned, tale);
        }
        if whole {
            prop_assert!(node.holds_everything(), "{:?}", tale);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_stalls_while_one_copy_is_left(tale in tale()) {
        tell(&tale)?;
    }
}

/// Two who cannot reach each other, and an origin whose hand-outs wait for the
/// piece layer until they are others'.
#[test]
fn who_did_not_take_a_piece_is_handed_it_again() {
    let flood = Block {
        piece: PieceIndex(0),
        offset: 0,
        length: BLOCK as u32,
    };
    let tale = Tale {
        seed: 4_236_180_625_680_442_341,
        v2: true,
        honest: 2,
        pieces: 26,
        piece: BLOCK,
        latency: 14,
        loss: 0,
        hidden: 2,
        stock: 0,
        riders: 0,
        leave: false,
        mbits: vec![10.0, 10.0, 40.0, 2.0, 2.0, 2.0, 2.0],
        lies: vec![Nature::Wild(repeated(&Message::Request(flood), 700))],
        mishaps: vec![],
        end: None,
        sources: vec![],
        down: None,
    };
    tell(&tale).unwrap();
}

/// Whoever is killed between a file's last piece and its verdict finds it whole
/// when it comes back, and has nothing more to wait for.
#[test]
fn who_was_killed_while_it_closed_is_done_when_it_is_back() {
    let tale = Tale {
        seed: 17_822_129_159_946_885_278,
        v2: true,
        honest: 5,
        pieces: 20,
        piece: 4 * BLOCK,
        latency: 14,
        loss: 0,
        hidden: 2,
        stock: 2,
        riders: 0,
        leave: true,
        mbits: vec![10.0, 10.0, 40.0, 2.0, 10.0, 40.0, 2.0],
        lies: vec![Nature::FalseHashes, Nature::FalseHashes],
        mishaps: vec![Mishap {
            node: 5,
            at: 1523,
            away: 1,
        }],
        end: None,
        sources: vec![Nature::Silent],
        down: None,
    };
    tell(&tale).unwrap();
}

/// A peer that goes on offering what it refuses.
#[test]
fn nobody_asks_for_ever_where_it_is_refused() {
    let tale = Tale {
        seed: 10_055_054_369_668_444_446,
        v2: false,
        honest: 3,
        pieces: 16,
        piece: BLOCK,
        latency: 28,
        loss: 0,
        hidden: 0,
        stock: 0,
        riders: 1,
        leave: true,
        mbits: vec![2.0; 7],
        lies: vec![Nature::Empty],
        mishaps: vec![],
        end: None,
        sources: vec![],
        down: None,
    };
    tell(&tale).unwrap();
}

/// What a peer rejected may be what was taken back and asked for once more, and
/// it need not let anybody in anew.
#[test]
fn who_rejected_a_piece_once_is_asked_for_it_again() {
    let tale = Tale {
        seed: 13_300_885_411_343_142_245,
        v2: true,
        honest: 1,
        pieces: 20,
        piece: 2 * BLOCK,
        latency: 5,
        loss: 0,
        hidden: 1,
        stock: 1,
        riders: 0,
        leave: false,
        mbits: vec![2.0; 7],
        lies: vec![Nature::Corrupt(1), Nature::Corrupt(1)],
        mishaps: vec![],
        end: None,
        sources: vec![Nature::Corrupt(1), Nature::Corrupt(1)],
        down: Some(2.0),
    };
    tell(&tale).unwrap();
}
