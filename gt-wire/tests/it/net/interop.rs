//! Other people's clients, each in a process of its own, over loopback.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use gt_wire::metainfo::Metainfo;

use super::*;

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A libtorrent session that takes part in one torrent and nothing else.
const LIBTORRENT: &str = r#"
import sys, time, libtorrent as lt
torrent, folder, port = sys.argv[1:4]
session = lt.session({
    'listen_interfaces': '127.0.0.1:' + port, 'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False, 'allow_multiple_connections_per_ip': True,
    'enable_outgoing_utp': False, 'enable_incoming_utp': False,
})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
handle = session.add_torrent(params)
for peer in sys.argv[4:]:
    host, port = peer.rsplit(':', 1)
    handle.connect_peer((host, int(port)))
while True:
    time.sleep(0.1)
"#;

#[derive(Clone, Copy, PartialEq)]
enum Client {
    Aria2,
    Libtorrent,
}

impl Client {
    fn start(self, torrent: &Path, folder: &Path, port: u16, peer: Option<SocketAddr>) -> Process {
        let mut command = match self {
            Self::Aria2 => {
                let mut command = Command::new("aria2c");
                command
                    .args(["--no-conf", "--enable-dht=false", "--enable-dht6=false"])
                    .args([
                        "--bt-enable-lpd=false",
                        "--seed-ratio=0.0",
                        "--check-integrity=true",
                    ])
                    .args(["--file-allocation=none", "--interface=127.0.0.1"])
                    .arg(format!("--listen-port={port}"))
                    .arg("-d")
                    .args([folder, torrent]);
                command
            }
            Self::Libtorrent => {
                let mut command = Command::new("/usr/bin/python3");
                command.args(["-c", LIBTORRENT]).args([torrent, folder]);
                command.arg(port.to_string());
                command.args(peer.map(|p| p.to_string()));
                command
            }
        };
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process(quiet.spawn().expect("the client is installed"));
        // It listens when it has read what it has.
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        process
    }
}

/// Returns a port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn lay_out(folder: &Path) {
    for (path, bytes) in contents(&original()) {
        let path = folder.join(path.to_string());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn is_laid_out(folder: &Path) -> bool {
    let files = contents(&original());
    files.iter().all(|(path, bytes)| {
        std::fs::read(folder.join(path.to_string())).is_ok_and(|b| b == *bytes)
    })
}

/// They seed, we fetch.
async fn fetch_from(client: Client, version: Version) {
    let scratch = tempfile::tempdir().unwrap();
    let torrent = scratch.path().join("sample.torrent");
    let info = plan(version);
    std::fs::write(&torrent, Metainfo::new(info.clone()).write()).unwrap();
    lay_out(&scratch.path().join("theirs/sample"));
    let port = free_port();
    let theirs = scratch.path().join("theirs");
    let _process = client.start(&torrent, &theirs, port, None);
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    // As from the statement: roots and no layers, where there are roots.
    let bare = Info::read(info.raw()).unwrap();
    let torrent = leech.add(&bare, Arc::new(store.clone())).await;
    leech
        .node
        .add_peers(torrent, &[([127, 0, 0, 1], port).into()]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    assert_eq!(leech.node.stats(torrent).await.unwrap().banned, []);
}

/// We seed, they fetch.
async fn serve_to(client: Client, version: Version) {
    let scratch = tempfile::tempdir().unwrap();
    let torrent = scratch.path().join("sample.torrent");
    let info = plan(version);
    std::fs::write(&torrent, Metainfo::new(info.clone()).write()).unwrap();
    let seed = Peer::start(options(0));
    let id = seed.add(&info, Arc::new(original())).await;
    let port = free_port();
    let theirs = scratch.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let _process = client.start(&torrent, &theirs, port, Some(seed.addr));
    if client == Client::Aria2 {
        // It cannot be told of a peer, so the seed calls.
        seed.node.add_peers(id, &[([127, 0, 0, 1], port).into()]);
    }
    let begun = std::time::Instant::now();
    while !is_laid_out(&theirs.join("sample")) {
        if begun.elapsed() > PATIENCE {
            panic!("not within {PATIENCE:?}: {:?}", seed.node.stats(id).await);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
