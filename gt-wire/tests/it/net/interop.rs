//! Other people's clients against ours: each as seed and as leech.

use std::net::Ipv6Addr;

use gt_wire::Magnet;

use super::clients::{Client, Crypt, Scratch, free_port, rqbit};
use super::*;

/// They seed, we fetch.
async fn fetch_from(client: Client, version: Version) {
    fetch_as(client, version, options(1), Crypt::Off).await;
}

/// The same with options of ours and a choice of theirs.
pub(super) async fn fetch_as(client: Client, version: Version, options: Options, crypt: Crypt) {
    let info = plan(version);
    let scratch = Scratch::new(&info);
    let port = free_port();
    let mut home = scratch.seed();
    home.crypt = crypt;
    let _process = client.start(&home, port, None);
    let store = Memory::new();
    let mut leech = Peer::start(options);
    // As from the statement: roots and no layers, where there are roots.
    let bare = Info::read(info.raw()).unwrap();
    let torrent = leech.add(&bare, Arc::new(store.clone())).await;
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    leech.node.add_peers(torrent, &[addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    assert_eq!(leech.node.stats(torrent).await.unwrap().banned, []);
}

/// We seed, they fetch.
async fn serve_to(client: Client, version: Version) {
    serve_as(client, version, options(0), Crypt::Off).await;
}

/// The same with options of ours and a choice of theirs.
pub(super) async fn serve_as(client: Client, version: Version, options: Options, crypt: Crypt) {
    let info = plan(version);
    let scratch = Scratch::new(&info);
    let seed = Peer::start(options);
    let id = seed.add(&info, Arc::new(original())).await;
    let port = free_port();
    let mut theirs = scratch.empty("leech");
    theirs.crypt = crypt;
    let _process = client.start(&theirs, port, Some(seed.addr));
    if client != Client::Libtorrent {
        // They cannot be told of a peer, so the seed calls.
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        seed.node.add_peers(id, &[addr]);
    }
    theirs.wait(&seed, id).await;
    let total: usize = LENGTHS.iter().sum();
    let given = seed.node.stats(id).await.unwrap().totals.uploaded;
    assert!(
        given as usize >= total && given as usize <= 2 * total,
        "{given} of {total}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs aria2"]
async fn aria2_seeds_and_fetches() {
    fetch_from(Client::Aria2, Version::V1).await;
    serve_to(Client::Aria2, Version::V1).await;
    // Of a hybrid's dictionary it makes another hash than everybody else.
}

/// Runs where rqbit is: in `PEERS_BIN` or among the programs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs rqbit"]
async fn rqbit_seeds_and_fetches() {
    if rqbit().is_none() {
        println!("no rqbit in PEERS_BIN or PATH: not tried");
        return;
    }
    fetch_from(Client::Rqbit, Version::V1).await;
    serve_to(Client::Rqbit, Version::V1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_seeds() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        fetch_from(Client::Libtorrent, version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_fetches() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        serve_to(Client::Libtorrent, version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs transmission"]
async fn transmission_seeds() {
    // Version 3 knows no v2 and takes no hybrid.
    fetch_from(Client::Transmission, Version::V1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs transmission"]
async fn transmission_fetches() {
    serve_to(Client::Transmission, Version::V1).await;
}

/// They seed a torrent of which we know the hash and a peer.
async fn magnet_from(client: Client, version: Version) {
    let info = plan(version);
    let scratch = Scratch::new(&info);
    let port = free_port();
    let _process = client.start(&scratch.seed(), port, None);
    let mut leech = Peer::start(options(1));
    let mut topic = Torrent::topic(info.info_hashes()[0]);
    topic.fetch_info = true;
    let topic = leech.node.add(topic).await.unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    leech.node.add_peers(topic, &[addr]);
    let raw = leech.until(|event| match event {
        Event::Metadata { info, .. } => Some(info.clone()),
        _ => None,
    });
    let fetched = Info::read(&raw.await).unwrap();
    leech.node.remove(topic).await;
    let store = Memory::new();
    let torrent = leech.add(&fetched, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
}

/// We seed a torrent of which they know the hash.
async fn magnet_to(client: Client, version: Version) {
    let info = plan(version);
    let scratch = Scratch::new(&info);
    let seed = Peer::start(options(0));
    let id = seed.add(&info, Arc::new(original())).await;
    let mut theirs = scratch.empty("leech");
    let mut magnet = Magnet::default();
    magnet.v1 = info.v1_hash();
    magnet.v2 = info.v2_hash();
    theirs.torrent = magnet.to_string();
    let port = free_port();
    let _process = client.start(&theirs, port, Some(seed.addr));
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    seed.node.add_peers(id, &[addr]);
    theirs.wait(&seed, id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_and_magnets() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        magnet_from(Client::Libtorrent, version).await;
        magnet_to(Client::Libtorrent, version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs aria2"]
async fn aria2_and_magnets() {
    magnet_from(Client::Aria2, Version::V1).await;
    magnet_to(Client::Aria2, Version::V1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs transmission"]
async fn transmission_gives_its_metadata() {
    magnet_from(Client::Transmission, Version::V1).await;
}

/// Both directions over IPv6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_by_ipv6() {
    let info = plan(Version::Hybrid);
    let scratch = Scratch::new(&info);
    let six = || {
        let mut options = options(1);
        options.listen = vec!["[::1]:0".parse().unwrap()];
        options
    };
    let port = free_port();
    let mut home = scratch.seed();
    home.host = Ipv6Addr::LOCALHOST.into();
    let theirs = Client::Libtorrent.start(&home, port, None);
    let store = Memory::new();
    let mut leech = Peer::start(six());
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    let addr = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    leech.node.add_peers(torrent, &[addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    drop(theirs);
    let mut home = scratch.empty("leech");
    home.host = Ipv6Addr::LOCALHOST.into();
    let _theirs = Client::Libtorrent.start(&home, free_port(), Some(leech.addr));
    home.wait(&leech, torrent).await;
}

/// They call by uTP, and by nothing else.
#[cfg(feature = "utp")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libtorrent"]
async fn libtorrent_calls_by_utp() {
    for crypt in [Crypt::Off, Crypt::Require] {
        called_by_utp(crypt).await;
    }
}

#[cfg(feature = "utp")]
async fn called_by_utp(crypt: Crypt) {
    let info = plan(Version::V2);
    let scratch = Scratch::new(&info);
    let mut speaks = options(0);
    speaks.utp = true;
    let seed = Peer::start(speaks);
    let id = seed.add(&info, Arc::new(original())).await;
    let mut home = scratch.empty("leech");
    home.utp = true;
    home.crypt = crypt;
    let _theirs = Client::Libtorrent.start(&home, free_port(), Some(seed.addr));
    home.wait(&seed, id).await;
}
