//! The distributed hash table, in a net of nodes on this machine.

use gt_wire::PeerSource;
use gt_wire::net::dht::{self, Dht};
use gt_wire::source::{Announce, Event as Told};
use gt_wire::swarm::Source;

use super::*;

/// Two nodes that know nothing of each other meet by the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_meet_by_the_table() {
    let net = mainline::Testnet::builder(5).build().unwrap();
    let door = || {
        let mut options = dht::Options::default();
        options.bind = std::net::Ipv4Addr::LOCALHOST;
        options.bootstrap = net.bootstrap.clone();
        Arc::new(Dht::start(&options).unwrap())
    };
    let info = plan(Version::V2);
    let seed = Peer::start(options(0));
    let torrent = Torrent::new(&info, Arc::new(original())).source(door());
    seed.node.add(torrent).await.unwrap();
    let looking = door();
    let hash = info.info_hashes()[0];
    let about = |event| Announce {
        info_hash: hash,
        peer_id: seed.node.peer_id(),
        port: 0,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event,
        want: Some(10),
    };
    // Until the seed has told the table.
    let mut found = vec![];
    for _ in 0..10 {
        found = looking.announce(about(None)).await.unwrap().peers;
        if !found.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(found, [seed.addr]);
    assert_eq!(looking.kind(), Source::Dht);
    let stopped = looking.announce(about(Some(Told::Stopped))).await.unwrap();
    assert_eq!(stopped.peers, []);
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = Torrent::new(&info, Arc::new(store.clone())).source(looking);
    leech.node.add(torrent).await.unwrap();
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
}
