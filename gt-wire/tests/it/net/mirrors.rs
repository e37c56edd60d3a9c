//! HTTP sources (BEP 19): servers of every kind, and beside peers.

mod nginx;
mod server;

use gt_wire::mirror::Mirror;
use gt_wire::reach::Reach;

use self::server::{Kind, Server};
use super::*;

/// Returns the torrent with HTTP sources.
fn with(info: &Info, store: &Memory, urls: &[String]) -> Torrent {
    let mut torrent = Torrent::new(info, Arc::new(store.clone()));
    for url in urls {
        let mirror = Mirror::new(url, Reach::Any, info.name(), info.is_single()).unwrap();
        torrent = torrent.mirror(mirror);
    }
    torrent
}

/// Reads the torrent as everybody gets it: with piece layers.
fn plan_of(version: Version) -> Info {
    let file = Metainfo::new(plan(version)).write();
    Metainfo::read(&file).unwrap().info
}

async fn fetch_whole(kind: Kind, version: Version) -> (Server, gt_wire::net::Stats) {
    let server = Server::start(kind, "sample", &original());
    let info = plan_of(version);
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = with(&info, &store, &[server.url()]);
    let id = leech.node.add(torrent).await.unwrap();
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    let stats = leech.node.stats(id).await.unwrap();
    assert!(!stats.mirrors[0].given_up);
    (server, stats)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_alone_is_enough() {
    let total: usize = LENGTHS.iter().sum();
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let (server, stats) = fetch_whole(Kind::Ranges, version).await;
        assert!(stats.mirrors[0].got as usize >= total);
        let sent = server.sent();
        assert!(sent < total as u64 * 11 / 10, "{sent} of {total}");
        // Long ranges and few requests, whatever the blocks are.
        assert!(server.requests() < 30, "{}", server.requests());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_many_kinds() {
    for kind in [
        Kind::NoRanges,
        Kind::Chunked,
        Kind::Redirects,
        Kind::Hiccups,
        Kind::ClosesEachTime,
    ] {
        let (server, _) = fetch_whole(kind, Version::V1).await;
        assert!(server.requests() > 0, "{kind:?}");
    }
}

/// One file: the URL is the file, or the folder that holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_at_its_url() {
    let one = Memory::new();
    one.insert(vpath("sample.bin"), sample(9, 200_000));
    let plan = Create::new("sample.bin").piece_length(32 << 10);
    let info = plan.version(Version::Hybrid).hash(&one).unwrap().info;
    assert!(info.is_single());
    for tail in ["", "sample.bin"] {
        let server = Server::start(Kind::Ranges, "", &one);
        let store = Memory::new();
        let mut leech = Peer::start(options(1));
        let torrent = with(&info, &store, &[format!("{}{tail}", server.url())]);
        leech.node.add(torrent).await.unwrap();
        leech.complete().await;
        assert!(contents(&store) == contents(&one));
    }
}

/// A server that lies is known by the hashes and never asked again; what else
/// it says that cannot be ends with it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liars_are_given_up_and_the_honest_one_is_used() {
    for kind in [
        Kind::WrongBytes,
        Kind::WrongLength,
        Kind::WrongRange,
        Kind::Gibberish,
    ] {
        let liar = Server::start(kind, "sample", &original());
        let honest = Server::start(Kind::Slow, "sample", &original());
        let info = plan_of(Version::V2);
        let store = Memory::new();
        let mut leech = Peer::start(options(1));
        let torrent = with(&info, &store, &[liar.url(), honest.url()]);
        let id = leech.node.add(torrent).await.unwrap();
        leech.complete().await;
        assert!(contents(&store) == contents(&original()), "{kind:?}");
        let stats = leech.node.stats(id).await.unwrap();
        let gone: Vec<bool> = stats.mirrors.iter().map(|row| row.given_up).collect();
        // One that speaks no HTTP may do so later.
        assert_eq!(gone, [kind != Kind::Gibberish, false], "{kind:?}");
        assert_eq!(stats.banned, []);
    }
}

/// While a server stalls, everything comes from a peer that is found later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stalls_holds_nothing_up() {
    let server = Server::start(Kind::Stalls, "sample", &original());
    let info = plan_of(Version::V2);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let id = leech
        .node
        .add(with(&info, &store, &[server.url()]))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    leech.node.add_peers(id, &[seed.addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
}

/// A slow server stands by once a quick peer sends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_mirror_gives_way_to_a_quick_peer() {
    let server = Server::start(Kind::Slow, "sample", &original());
    let info = plan_of(Version::V1);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let id = leech
        .node
        .add(with(&info, &store, &[server.url()]))
        .await
        .unwrap();
    leech.node.add_peers(id, &[seed.addr]);
    leech.complete().await;
    let total: usize = LENGTHS.iter().sum();
    let got = leech.node.stats(id).await.unwrap().mirrors[0].got;
    assert!(
        got < total as u64 * 3 / 4,
        "{got} of {total} from the mirror"
    );
}

/// A URL that a stranger wrote does not make us talk to our own machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_url_leads_nowhere_near() {
    let server = Server::start(Kind::Ranges, "sample", &original());
    let info = plan_of(Version::V1);
    let mirror = Mirror::new(&server.url(), Reach::Public, info.name(), false).unwrap();
    let torrent = Torrent::new(&info, Arc::new(Memory::new())).mirror(mirror);
    let leech = Peer::start(options(1));
    let id = leech.node.add(torrent).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.requests(), 0);
    assert_eq!(leech.node.stats(id).await.unwrap().mirrors[0].got, 0);
}
