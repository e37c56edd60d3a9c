//! Peers that tell each other of peers (BEP 11).

use gt_wire::PeerSource;
use gt_wire::source::Announce;
use gt_wire::swarm::Source;

use super::clients::{Client, free_port};
use super::*;

/// A chain: each knows the next one only, and the last has everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_closes() {
    let info = plan(Version::V2);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let hub = Peer::start(options(1));
    let hub_torrent = hub.node.add(hub_of(&info)).await.unwrap();
    hub.node.add_peers(hub_torrent, &[seed.addr]);
    let store = Memory::new();
    let mut leech = Peer::start(options(2));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[hub.addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    let stats = leech.node.stats(torrent).await.unwrap();
    assert!(
        stats
            .peers
            .iter()
            .any(|row| row.addr == seed.addr && row.got > 0)
    );
}

/// In a private torrent nobody learns of anybody but from its tracker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_chain_stays_open() {
    let mut plan = Create::new("sample").piece_length(32 << 10);
    plan.private = true;
    let info = plan.hash(&original()).unwrap().info;
    assert!(info.is_private());
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let mut hub = Peer::start(options(1));
    let hub_torrent = hub.node.add(hub_of(&info)).await.unwrap();
    hub.node.add_peers(hub_torrent, &[seed.addr]);
    let leech = Peer::start(options(2));
    let torrent = leech.add(&info, Arc::new(Memory::new())).await;
    leech.node.add_peers(torrent, &[hub.addr]);
    for _ in 0..2 {
        hub.until(|event| matches!(event, Event::PeerConnected { .. }).then_some(()))
            .await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stats = leech.node.stats(torrent).await.unwrap();
    let known: Vec<SocketAddr> = stats.connected.iter().map(|peer| peer.addr).collect();
    assert_eq!(known, [hub.addr]);
}

/// Nobody is told of a private torrent but its trackers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_torrent_is_not_told() {
    struct Ears(std::sync::atomic::AtomicBool);
    impl PeerSource for Ears {
        fn announce(&self, _: Announce) -> gt_wire::source::Announcing<'_> {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            Box::pin(async { Ok(Default::default()) })
        }
        fn name(&self) -> String {
            "ears".into()
        }
        fn kind(&self) -> Source {
            Source::Dht
        }
    }
    for private in [true, false] {
        let mut plan = Create::new("sample").piece_length(32 << 10);
        plan.private = private;
        let info = plan.hash(&original()).unwrap().info;
        let ears = Arc::new(Ears(Default::default()));
        let peer = Peer::start(options(0));
        let torrent = Torrent::new(&info, Arc::new(original())).source(ears.clone());
        let id = peer.node.add(torrent).await.unwrap();
        peer.node.remove(id).await;
        assert_eq!(ears.0.load(std::sync::atomic::Ordering::SeqCst), !private);
    }
}

/// Returns the torrent for one who wants nothing of it.
fn hub_of(info: &Info) -> Torrent {
    let mut torrent = Torrent::new(info, Arc::new(Memory::new()));
    torrent.content.as_mut().unwrap().wanted = Some(Default::default());
    torrent
}

/// We are the only one that both know, and have nothing ourselves.
async fn introduces(seed: Client, leech: Client) {
    let info = plan(Version::V1);
    let scratch = clients::Scratch::new(&info);
    let ports = [free_port(), free_port()];
    let _seed = seed.start(&scratch.seed(), ports[0], None);
    let theirs = scratch.empty("leech");
    let _leech = leech.start(&theirs, ports[1], None);
    let hub = Peer::start(options(1));
    let torrent = hub.node.add(hub_of(&info)).await.unwrap();
    let addrs = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    hub.node.add_peers(torrent, &addrs);
    theirs.wait(&hub, torrent).await;
    assert_eq!(hub.node.stats(torrent).await.unwrap().totals.uploaded, 0);
}

/// They are the only one that we and a seed both know.
async fn is_introduced(hub: Client) {
    let info = plan(Version::V1);
    let scratch = clients::Scratch::new(&info);
    let seed = Peer::start(options(0));
    let seeding = seed.add(&info, Arc::new(original())).await;
    let port = free_port();
    let _hub = hub.start(&scratch.empty("hub"), port, Some(seed.addr));
    let hub = SocketAddr::from(([127, 0, 0, 1], port));
    seed.node.add_peers(seeding, &[hub]);
    let mut leech = Peer::start(options(1));
    let torrent = leech.node.add(hub_of(&info)).await.unwrap();
    leech.node.add_peers(torrent, &[hub]);
    let met = leech.until(|event| match event {
        // Whichever of the two was told first calls the other.
        Event::PeerConnected { peer_id, .. } if *peer_id == seed.node.peer_id() => Some(()),
        _ => None,
    });
    met.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_is_told() {
    introduces(Client::Libtorrent, Client::Libtorrent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_tells() {
    is_introduced(Client::Libtorrent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs aria2 and libtorrent"]
async fn aria2_is_told() {
    // Transmission takes no address of this machine from a peer.
    introduces(Client::Libtorrent, Client::Aria2).await;
}
