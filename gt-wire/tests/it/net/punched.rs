//! Hole punching on sockets (BEP 55): a peer that nobody can call calls back.

use gt_wire::{InfoHash, PeerId};

use super::*;

/// Where nobody listens.
const NOWHERE: u16 = 1025;

fn node(n: u8, tune: fn(&mut gt_wire::swarm::Options)) -> Peer {
    let mut options = options(n);
    options.utp = true;
    options.tune = tune;
    Peer::start(options)
}

/// The third is told of at a port where it cannot be reached, as behind a
/// router, and calls nobody by itself. It and the second know the relay alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_called_calls_back() {
    let topic = || Torrent::topic(InfoHash([9; 20]));
    let relay = node(0, |_| {});
    relay.node.add(topic()).await.unwrap();
    let second = node(1, |_| {});
    let third = node(2, |options| {
        options.port = Some(NOWHERE);
        options.outgoing = 1;
    });
    let mut torrents = Vec::new();
    for peer in [&third, &second] {
        let torrent = peer.node.add(topic()).await.unwrap();
        peer.node.add_peers(torrent, &[relay.addr]);
        torrents.push(torrent);
    }
    let met = |id: PeerId| {
        let node = second.node.clone();
        let torrent = torrents[1];
        async move {
            loop {
                let stats = node.stats(torrent).await.unwrap();
                let mut peers = stats.connected.into_iter();
                if let Some(peer) = peers.find(|p| p.peer_id == Some(id)) {
                    return peer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let peer = timeout(PATIENCE, met(third.node.peer_id())).await.unwrap();
    assert!(peer.datagrams && !peer.outgoing, "{peer:?}");
}
