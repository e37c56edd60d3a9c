//! Encrypted connections (MSE): among ours, and with other people's clients.

use gt_wire::net::Encryption;

use super::clients::{Client, Crypt};
use super::interop::{fetch_as, serve_as};
use super::*;

fn with(n: u8, encryption: Encryption) -> Options {
    let mut options = options(n);
    options.encryption = encryption;
    options
}

/// Whether a leech of one kind, which calls, gets everything from a seed of
/// the other.
async fn crosses(leech: Encryption, seed: Encryption) -> bool {
    let info = plan(Version::V2);
    let seed = Peer::start(with(0, seed));
    seed.add(&info, Arc::new(original())).await;
    let store = Memory::new();
    let mut leech = Peer::start(with(1, leech));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    let patience = Duration::from_secs(2);
    let done = timeout(patience, leech.complete()).await.is_ok();
    assert!(!done || contents(&store) == contents(&original()));
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_understands_whom() {
    use Encryption::{Accept, Off, Prefer, Require};
    for (leech, seed, expected) in [
        (Require, Require, true),
        (Require, Accept, true),
        (Require, Prefer, true),
        (Prefer, Require, true),
        (Prefer, Prefer, true),
        (Prefer, Accept, true),
        // In plain words at the second try.
        (Prefer, Off, true),
        (Accept, Prefer, true),
        (Accept, Off, true),
        (Off, Off, true),
        (Require, Off, false),
        (Off, Require, false),
    ] {
        assert_eq!(
            crosses(leech, seed).await,
            expected,
            "{leech:?} and {seed:?}"
        );
    }
}

async fn both_ways(client: Client) {
    for (ours, theirs) in [
        (Encryption::Require, Crypt::Require),
        (Encryption::Prefer, Crypt::Prefer),
    ] {
        fetch_as(client, Version::V1, with(1, ours), theirs).await;
        serve_as(client, Version::V1, with(0, ours), theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_encrypted() {
    both_ways(Client::Libtorrent).await;
    // Who takes what comes is reached by those who require it.
    let ours = with(0, Encryption::Accept);
    serve_as(Client::Libtorrent, Version::V2, ours, Crypt::Require).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs aria2"]
async fn aria2_encrypted() {
    both_ways(Client::Aria2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs transmission"]
async fn transmission_seeds_encrypted() {
    let ours = with(1, Encryption::Require);
    fetch_as(Client::Transmission, Version::V1, ours, Crypt::Require).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs transmission"]
async fn transmission_fetches_encrypted() {
    let ours = with(0, Encryption::Prefer);
    serve_as(Client::Transmission, Version::V1, ours, Crypt::Require).await;
}
