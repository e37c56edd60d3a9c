//! A swarm that is fed with anything in any order: it may refuse, and must
//! neither panic nor spin nor grow.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::Verdict;
use gt_vfs::content::BLOCK;
use gt_wire::handshake::{Abilities, Handshake};
use gt_wire::hashes::HashSpan;
use gt_wire::message::Message;
use gt_wire::swarm::{
    ConnId, Content, Digests, Failure, Input, MirrorId, Options, Output, ReadId, Source,
};
use gt_wire::{Block, FileIndex, InfoHash, PeerId, PieceIndex, Swarm};
use proptest::prelude::*;

use crate::crowd::v2;

fn block() -> impl Strategy<Value = Block> {
    (
        0u32..14,
        0u32..4,
        prop_oneof![Just(BLOCK as u32), any::<u32>()],
    )
        .prop_map(|(p, o, length)| Block {
            piece: PieceIndex(p),
            offset: o * BLOCK as u32,
            length,
        })
}

fn words() -> impl Strategy<Value = Bytes> {
    let piece = || (0u32..14).prop_map(PieceIndex);
    let span = (0u32..4, 0u32..20, 0u32..20, 0u32..6, any::<bool>()).prop_map(
        |(base, index, length, proofs, known)| HashSpan {
            root: if known {
                v2(&[12 * BLOCK], BLOCK).known.files()[0].root.unwrap()
            } else {
                gt_vfs::Root([3; 32])
            },
            base,
            index,
            length,
            proofs,
        },
    );
    let message = prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        piece().prop_map(Message::Have),
        piece().prop_map(Message::AllowedFast),
        block().prop_map(Message::Request),
        block().prop_map(Message::Cancel),
        block().prop_map(Message::Reject),
        (piece(), 0u32..3, 1usize..=BLOCK).prop_map(|(piece, n, length)| Message::Piece {
            piece,
            offset: n * BLOCK as u32,
            data: vec![9; length].into(),
        }),
        span.clone().prop_map(Message::HashRequest),
        (span, 0usize..40).prop_map(|(span, n)| Message::Hashes {
            span,
            hashes: vec![1; 32 * n].into(),
        }),
        (0u8..5, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(id, raw)| {
            Message::Extended {
                id,
                payload: raw.into(),
            }
        }),
        Just(Message::Extended {
            id: 0,
            payload: Bytes::from_static(b"d1:md11:ut_metadatai3e1:ai2ee13:metadata_sizei99ee"),
        }),
    ];
    let hello = any::<u8>().prop_map(|id| {
        let hello = Handshake {
            abilities: Abilities::OURS,
            info_hash: InfoHash([7; 20]),
            peer_id: PeerId([id % 5; 20]),
        };
        Bytes::copy_from_slice(&hello.encode())
    });
    prop_oneof![
        2 => hello,
        8 => message.prop_map(Message::to_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let conn = || (0u64..5).prop_map(ConnId);
    let addr = || (0u8..9).prop_map(|n| SocketAddr::from(([20, n, 1, 1], 6881)));
    let failure = || {
        any::<bool>().prop_map(|passing| Failure {
            passing,
            why: "x".into(),
        })
    };
    let closed = || {
        prop_oneof![
            3 => Just(Ok(Verdict::Accept)),
            1 => Just(Ok(Verdict::reject("x"))),
            1 => failure().prop_map(Err),
        ]
    };
    let source = || {
        prop_oneof![
            Just(Source::Person),
            Just(Source::Tracker),
            Just(Source::Neighbour),
            Just(Source::Exchange),
            Just(Source::Dht),
            Just(Source::Swarm),
        ]
    };
    prop_oneof![
        4 => (conn(), addr(), any::<bool>()).prop_map(|(conn, addr, outgoing)| Input::Connected { conn, addr, outgoing }),
        20 => (conn(), words()).prop_map(|(conn, bytes)| Input::Received { conn, bytes }),
        1 => addr().prop_map(|addr| Input::ConnectFailed { addr }),
        2 => (conn(), 0usize..99_999).prop_map(|(conn, bytes)| Input::Sent { conn, bytes }),
        1 => conn().prop_map(|conn| Input::Disconnected { conn }),
        2 => (0u64..20, 0usize..=BLOCK).prop_map(|(id, n)| Input::BlockRead { id: ReadId(id), result: Ok(vec![1; n].into()) }),
        1 => (0u64..20, failure()).prop_map(|(id, why)| Input::BlockRead { id: ReadId(id), result: Err(why) }),
        2 => (block(), prop::option::of(failure())).prop_map(|(block, why)| Input::Written { block, result: why.map_or(Ok(None), Err) }),
        2 => (0u32..14, any::<bool>()).prop_map(|(p, some)| Input::PieceHashed {
            piece: PieceIndex(p),
            result: Ok(Digests { sha1: None, leaves: vec![[1; 32]; usize::from(some)] }),
        }),
        1 => (0u32..4, closed()).prop_map(|(f, result)| Input::FileClosed { file: FileIndex(f), result }),
        1 => (prop::collection::vec(addr(), 0..9), source()).prop_map(|(addrs, source)| Input::Peers { addrs, source }),
        1 => prop::option::of(any::<u32>()).prop_map(|s| Input::Announced { interval: s.map(|s| Duration::from_secs(s.into())) }),
        1 => conn().prop_map(|conn| Input::OverDatagrams { conn }),
        3 => (0u32..4, block(), 0usize..3, failure()).prop_map(|(n, block, kind, why)| {
            let result = match kind {
                0 => Err(why),
                1 => Ok(vec![7; BLOCK].into()),
                _ => Ok(vec![7; block.length.min(BLOCK as u32) as usize].into()),
            };
            Input::Fetched { mirror: MirrorId(n), block, result }
        }),
        1 => conn().prop_map(|conn| Input::Ban { conn, why: "x".into() }),
        1 => (0u32..20, prop::option::of(0u64..9)).prop_map(|(p, by)| Input::Want {
            piece: PieceIndex(p),
            by: by.map(Duration::from_secs),
        }),
        1 => (conn(), 0usize..99).prop_map(|(conn, n)| Input::SendExtended { conn, name: "a".into(), payload: vec![0; n].into() }),
        4 => Just(Input::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_in_any_order(
        kind in 0u8..4,
        mirrors in 0usize..4,
        stops in prop::option::weighted(0.2, 0usize..250),
        inputs in prop::collection::vec((0u64..2_000_000, input()), 1..250),
    ) {
        let matter = v2(&[12 * BLOCK, 0, 5], BLOCK);
        let mut options = Options::new(PeerId([200; 20]), InfoHash([7; 20]), 5);
        options.extensions = vec!["a".into()];
        options.content = match kind {
            0 => None,
            1 => Some(Content::whole(matter.known.clone())),
            2 => Some(Content::new(matter.known.clone())),
            _ => Some(Content::new(matter.roots.clone())),
        };
        options.fetch_info = kind == 0;
        options.mirrors = mirrors;
        let mut swarm = Swarm::new(options);
        let mut now = Duration::ZERO;
        let mut live = 0i64;
        for (n, (wait, input)) in inputs.into_iter().enumerate() {
            // What ends all comes at most once, and something comes after it.
            let input = if stops == Some(n) { Input::Stop } else { input };
            now += Duration::from_micros(wait);
            swarm.handle(now, input);
            let mut outputs = 0;
            loop {
                match swarm.poll() {
                    Output::Wait(at) => {
                        prop_assert!(at > now, "a wait that is over");
                        break;
                    }
                    Output::Write { bytes, .. } => live += bytes.len() as i64,
                    _ => {}
                }
                outputs += 1;
                prop_assert!(outputs < 5_000, "it spins");
            }
            prop_assert!(swarm.peers().len() <= 5);
        }
        prop_assert!(live <= 250 * BLOCK as i64);
    }

    /// What the fuzz target `swarm` does.
    #[test]
    fn any_bytes(raw in prop::collection::vec(any::<u8>(), 0..1500)) {
        gt_wire::simulator::garble(&raw);
    }
}
