//! Rate limits, measured on loopback.

use std::time::Instant;

use gt_wire::net::Limits;

use super::*;

const RATE: u64 = 1 << 20;

async fn takes(seed: Options, leech: Options, torrent: Limits) -> f64 {
    let info = plan(Version::V1);
    let seed = Peer::start(seed);
    let mut shared = Torrent::new(&info, Arc::new(original()));
    shared.limits = torrent;
    seed.node.add(shared).await.unwrap();
    let mut leech = Peer::start(leech);
    let torrent = leech.add(&info, Arc::new(Memory::new())).await;
    let began = Instant::now();
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    began.elapsed().as_secs_f64()
}

/// What is saved up goes at once, the rest at the rate.
fn least() -> f64 {
    let total: usize = LENGTHS.iter().sum();
    (total as f64 - RATE as f64 / 8.0) / RATE as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_holds() {
    let up = Limits {
        up: Some(RATE),
        ..Limits::default()
    };
    let down = Limits {
        down: Some(RATE),
        ..Limits::default()
    };
    let limited = |n, limits| {
        let mut options = options(n);
        options.limits = limits;
        options
    };
    let none = Limits::default();
    let free = takes(options(1), options(2), none).await;
    for (n, (seed, leech, torrent)) in [(up, none, none), (none, down, none), (none, none, up)]
        .into_iter()
        .enumerate()
    {
        let took = takes(limited(3, seed), limited(4, leech), torrent).await;
        assert!(took >= 0.95 * least(), "{n}: {took} of {}", least());
        assert!(
            took < 2.0 * least() + free + 1.0,
            "{n}: {took} of {}",
            least()
        );
    }
}
