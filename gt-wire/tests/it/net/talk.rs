//! Topics, references, and those who know peers.

use std::sync::Mutex;

use bytes::Bytes;
use gt_wire::references::{Output, Rid};
use gt_wire::source::{Announce, Announced, Announcing, PeerSource, SourceError};
use gt_wire::{InfoHash, source};

use super::*;

const TOPIC: InfoHash = InfoHash([7; 20]);

/// Waits for something of the references extension.
async fn heard<T>(peer: &mut Peer, mut wanted: impl FnMut(&Output) -> Option<T>) -> T {
    peer.until(|event| match event {
        Event::References(output) => wanted(output),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_reaches_a_follower_in_one_round_trip() {
    let (mut anna, mut bela) = (Peer::start(options(1)), Peer::start(options(2)));
    let (rid, other) = (Rid([3; 32]), Rid([4; 32]));
    anna.node.follow(rid);
    bela.node.follow(rid);
    bela.node.follow(other);
    anna.node.add(Torrent::topic(TOPIC)).await.unwrap();
    let torrent = bela.node.add(Torrent::topic(TOPIC)).await.unwrap();
    bela.node.add_peers(torrent, &[anna.addr]);
    let shared = |output: &Output| match output {
        Output::Shared { conn, rid } => Some((*conn, *rid)),
        _ => None,
    };
    let (to_bela, first) = heard(&mut anna, shared).await;
    let (to_anna, second) = heard(&mut bela, shared).await;
    assert_eq!((first, second), (rid, rid));
    let head = Bytes::from_static(b"epoch 0 sequence 4");
    anna.node.send_have(to_bela, rid, head.clone());
    let have = heard(&mut bela, |output| match output {
        Output::Have { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    assert_eq!(have.await, head);
    bela.node.send_want(to_anna, rid, Bytes::new());
    heard(&mut anna, |output| {
        matches!(output, Output::Want { .. }).then_some(())
    })
    .await;
    let pack = Bytes::from(sample(1, 300_000));
    let reel = Some(Bytes::from(sample(2, 60_000)));
    anna.node
        .send_pack(to_bela, rid, pack.clone(), reel.clone());
    let got = heard(&mut bela, |output| match output {
        Output::Pack { pack, reel, .. } => Some((pack.clone(), reel.clone())),
        _ => None,
    });
    assert_eq!(got.await, (pack, reel));
    // A pack that nobody asked for ends the connection.
    anna.node.send_pack(to_bela, rid, Bytes::new(), None);
    let gone = bela.until(|event| match event {
        Event::PeerDisconnected { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(gone.await.contains("unasked"));
}

/// A list of peers that notes who asks.
struct List {
    addrs: Vec<SocketAddr>,
    asked: Mutex<Vec<Announce>>,
}

impl PeerSource for List {
    fn announce(&self, announce: Announce) -> Announcing<'_> {
        self.asked.lock().unwrap().push(announce);
        let answer = Announced {
            interval: Duration::from_secs(1800),
            peers: self.addrs.clone(),
            ..Announced::default()
        };
        Box::pin(async { Ok(answer) })
    }

    fn name(&self) -> String {
        "a list".into()
    }
}

/// A source that knows nothing.
struct Dumb;

impl PeerSource for Dumb {
    fn announce(&self, _: Announce) -> Announcing<'_> {
        Box::pin(async {
            Err(SourceError::Refused {
                source_name: "dumb".into(),
                why: "no".into(),
            })
        })
    }

    fn name(&self) -> String {
        "dumb".into()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_are_asked_and_told() {
    let info = plan(Version::Hybrid);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let list = Arc::new(List {
        addrs: vec![seed.addr],
        asked: Mutex::default(),
    });
    let mut leech = Peer::start(options(1));
    let torrent = Torrent::new(&info, Arc::new(Memory::new()));
    let torrent = torrent.source(list.clone()).source(Arc::new(Dumb));
    leech.node.add(torrent).await.unwrap();
    let mut failed = false;
    leech
        .until(|event| {
            failed |= matches!(event, Event::SourceFailed { .. });
            matches!(event, Event::Complete { .. }).then_some(())
        })
        .await;
    assert!(failed);
    leech.node.shutdown().await;
    let asked = list.asked.lock().unwrap();
    let of = |hash: InfoHash| {
        asked
            .iter()
            .filter(move |a| a.info_hash == hash)
            .collect::<Vec<_>>()
    };
    for hash in info.info_hashes() {
        let asked = of(hash);
        assert_eq!(asked.first().unwrap().event, Some(source::Event::Started));
        assert_eq!(asked.first().unwrap().port, leech.addr.port());
        assert_eq!(asked.last().unwrap().event, Some(source::Event::Stopped));
        assert_eq!(asked.last().unwrap().left, 0);
        assert!(
            asked
                .iter()
                .any(|a| a.event == Some(source::Event::Completed))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_magnet_becomes_a_torrent() {
    for version in [Version::V1, Version::V2] {
        let info = plan(version);
        let seed = Peer::start(options(0));
        seed.add(&info, Arc::new(original())).await;
        let mut leech = Peer::start(options(1));
        let mut topic = Torrent::topic(info.info_hashes()[0]);
        topic.fetch_info = true;
        let torrent = leech.node.add(topic).await.unwrap();
        leech.node.add_peers(torrent, &[seed.addr]);
        let raw = leech.until(|event| match event {
            Event::Metadata { info, .. } => Some(info.clone()),
            _ => None,
        });
        let fetched = Info::read(&raw.await).unwrap();
        assert_eq!(fetched.raw(), info.raw());
        leech.node.remove(torrent).await;
        let store = Memory::new();
        let torrent = leech.add(&fetched, Arc::new(store.clone())).await;
        leech.node.add_peers(torrent, &[seed.addr]);
        leech.complete().await;
        assert!(contents(&store) == contents(&original()));
    }
}
