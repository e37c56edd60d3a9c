//! Blocks of v2 that cross a node which has no whole piece.

use gt_wire::net::Limits;

use super::*;

/// So slow that a piece takes four seconds, and a block a quarter of one.
const RATE: u64 = 64 << 10;

const PIECE: u64 = 256 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_crosses_a_node_that_has_no_piece() {
    let shared = Memory::new();
    shared.insert(vpath("f"), sample(1, 20 * PIECE as usize - 99));
    let plan = Create::new("f").version(Version::V2).piece_length(PIECE);
    let info = plan.hash(&shared).unwrap().info;
    let slow = |n| {
        let mut options = options(n);
        options.limits = Limits {
            up: Some(RATE),
            ..Limits::default()
        };
        Peer::start(options)
    };
    // An origin hashes ahead for a crowd only.
    let (seed, other) = (slow(0), slow(1));
    for peer in [&seed, &other] {
        let torrent = peer.add(&info, Arc::new(shared.clone())).await;
        peer.node.add_peers(torrent, &[seed.addr]);
    }
    let stores = [Memory::new(), Memory::new()];
    let [mut middle, mut taker] = [2, 3].map(|n| Peer::start(options(n)));
    let torrent = taker.add(&info, Arc::new(stores[1].clone())).await;
    taker.node.add_peers(torrent, &[middle.addr]);
    let through = middle.add(&info, Arc::new(stores[0].clone())).await;
    middle.node.add_peers(through, &[seed.addr, other.addr]);
    let crossed = async {
        loop {
            let stats = taker.node.stats(torrent).await.unwrap();
            let of_middle = |row: &&gt_wire::net::PeerRow| row.addr == middle.addr;
            if stats.peers.iter().filter(of_middle).any(|row| row.got > 0) {
                return middle.node.stats(through).await.unwrap().have;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let had = timeout(PATIENCE, crossed).await.expect("nothing crossed");
    assert_eq!(had, 0, "pieces that the middle had");

    for peer in [&seed, &other] {
        peer.node.limit(Limits::default());
    }
    middle.complete().await;
    taker.complete().await;
    for (peer, store, torrent) in [
        (&middle, &stores[0], through),
        (&taker, &stores[1], torrent),
    ] {
        assert!(contents(store) == contents(&shared), "the files differ");
        assert_eq!(peer.node.stats(torrent).await.unwrap().banned, []);
    }
}
