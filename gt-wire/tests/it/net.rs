//! Whole nodes in one process, over loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gt_vfs::{Folder, Memory, VPath, Verdict, Vfs};
use gt_wire::metainfo::{Create, Info, Metainfo, Version};
#[cfg(feature = "utp")]
use gt_wire::net::Encryption;
use gt_wire::net::{Event, Node, Options, Torrent, TorrentId};
use tokio::sync::mpsc;
use tokio::time::timeout;

mod clients;
mod closing;
mod connections;
mod encrypted;
mod exchange;
mod faults;
mod interop;
mod limits;
mod many;
mod mirrors;
#[cfg(feature = "utp")]
mod punched;
mod resume;
#[cfg(feature = "portmap")]
mod router;
mod strangers;
#[cfg(feature = "dht")]
mod table;
mod talk;
mod through;
mod traced;

const PATIENCE: Duration = Duration::from_secs(60);

fn vpath(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

/// Bytes that differ everywhere, so that no block fits another place.
fn sample(n: u64, length: usize) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = vec![0; length];
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    bytes
}

const LENGTHS: [usize; 5] = [700_001, 0, 5, 300_000, 65_536];

fn original() -> Memory {
    let vfs = Memory::new();
    for (n, length) in LENGTHS.into_iter().enumerate() {
        vfs.insert(
            vpath(&format!("dir{}/{n}.bin", n % 2)),
            sample(n as u64, length),
        );
    }
    vfs
}

fn plan(version: Version) -> Info {
    let plan = Create::new("sample")
        .version(version)
        .piece_length(32 << 10);
    plan.hash(&original()).unwrap().info
}

fn contents(vfs: &dyn Vfs) -> Vec<(VPath, Vec<u8>)> {
    let entries = vfs.list().unwrap().into_iter();
    entries
        .map(|entry| {
            let file = vfs.open(&entry.path).unwrap();
            let mut bytes = vec![0; entry.size as usize];
            file.read_exact_at(0, &mut bytes).unwrap();
            (entry.path, bytes)
        })
        .collect()
}

fn options(n: u8) -> Options {
    Options::new([n; 32]).listen("127.0.0.1:0".parse().unwrap())
}

/// A node, what it tells, and where it listens.
struct Peer {
    node: Node,
    events: mpsc::Receiver<Event>,
    addr: SocketAddr,
}

impl Peer {
    fn start(options: Options) -> Self {
        let node = Node::start(options).unwrap();
        Self {
            events: node.events(),
            addr: node.local_addr().unwrap(),
            node,
        }
    }

    async fn add(&self, info: &Info, vfs: Arc<dyn Vfs>) -> TorrentId {
        self.node.add(Torrent::new(info, vfs)).await.unwrap()
    }

    /// Waits for an event; what else happens is passed over.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let mut seen = vec![];
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the node runs");
                if let Some(found) = wanted(&event) {
                    return found;
                }
                seen.push(event);
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("not within {PATIENCE:?}; seen {seen:?}"),
        }
    }

    async fn complete(&mut self) {
        self.until(|event| matches!(event, Event::Complete { .. }).then_some(()))
            .await;
    }
}

async fn one_seed_three_leeches(version: Version) {
    let info = plan(version);
    let seed = Peer::start(options(0));
    let torrent = seed.add(&info, Arc::new(original())).await;
    assert!(seed.node.stats(torrent).await.unwrap().complete);
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn Vfs>; 3] = [
        Arc::new(Memory::new()),
        Arc::new(Folder::open(folder.path()).unwrap()),
        Arc::new(Memory::new()),
    ];
    let mut peers: Vec<Peer> = (1..4).map(|n| Peer::start(options(n))).collect();
    let mut addrs: Vec<SocketAddr> = peers.iter().map(|p| p.addr).collect();
    addrs.push(seed.addr);
    let mut torrents = vec![];
    for (peer, store) in peers.iter().zip(&stores) {
        let torrent = peer.add(&info, store.clone()).await;
        peer.node.add_peers(torrent, &addrs);
        torrents.push(torrent);
    }
    for peer in &mut peers {
        peer.complete().await;
    }
    let wanted = contents(&original());
    let total: usize = LENGTHS.iter().sum();
    for ((peer, store), torrent) in peers.iter().zip(&stores).zip(torrents) {
        assert!(contents(&**store) == wanted, "the files differ");
        let stats = peer.node.stats(torrent).await.unwrap();
        assert!(stats.complete && stats.have == stats.pieces);
        assert_eq!(stats.banned, []);
        let got: u64 = stats.peers.iter().map(|row| row.got).sum();
        assert!(got >= total as u64, "{got} of {total} in the table");
    }
    let stats = seed.node.stats(torrent).await.unwrap();
    let share = stats.totals.uploaded as f64 / total as f64;
    assert!(share < 2.5, "the seed gave {share} copies to three");
    let given: u64 = stats.peers.iter().map(|row| row.given).sum();
    assert_eq!(given, stats.totals.uploaded);
    for peer in &peers {
        timeout(PATIENCE, peer.node.shutdown()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v1_crosses() {
    one_seed_three_leeches(Version::V1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v2_crosses() {
    one_seed_three_leeches(Version::V2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hybrid_crosses() {
    one_seed_three_leeches(Version::Hybrid).await;
}

/// Blocks that are nothing but padding are known by everybody (BEP 47), so
/// nobody asks for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn padding_stays_where_it_is() {
    let originals = Memory::new();
    for (n, length) in [3_000, 20_000, 150_000, 1].into_iter().enumerate() {
        originals.insert(vpath(&format!("f{n}")), sample(n as u64, length));
    }
    let plan = Create::new("sample")
        .version(Version::Hybrid)
        .piece_length(128 << 10);
    let info = plan.hash(&originals).unwrap().info;
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(originals.clone())).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&originals), "the files differ");
    let stats = leech.node.stats(torrent).await.unwrap();
    // Each file up to the end of its last block.
    let blocks = 1 + 2 + 10 + 1;
    assert!(
        stats.totals.downloaded <= blocks * 16_384,
        "{} bytes came",
        stats.totals.downloaded
    );
}

/// The statement is the torrent: names, lengths and roots are enough, piece
/// layers come from peers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_alone_are_enough() {
    let made = plan(Version::V2);
    let files = made.geometry().files().iter();
    let roots = files.map(|f| (f.path.clone(), f.length, f.root.unwrap()));
    let bare = Info::from_roots(b"sample", 32 << 10, roots).unwrap();
    let seed = Peer::start(options(0));
    // The seed too has to make its layers first.
    seed.add(&bare, Arc::new(original())).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(&bare, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_wanted_files_are_closed_in_order() {
    let info = plan(Version::V2);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let mut torrent = Torrent::new(&info, Arc::new(store.clone()));
    let content = torrent.content.as_mut().unwrap();
    let files = info.geometry().files().iter().enumerate();
    let wanted = files.filter(|(_, f)| f.length != 300_000);
    content.wanted = Some(wanted.map(|(n, _)| gt_wire::FileIndex(n as u32)).collect());
    content.close_in_order = true;
    let torrent = leech.node.add(torrent).await.unwrap();
    leech.node.add_peers(torrent, &[seed.addr]);
    let mut closed = vec![];
    leech
        .until(|event| {
            if let Event::FileClosed { path, verdict, .. } = event {
                assert_eq!(*verdict, Verdict::Accept);
                closed.push(path.to_string());
            }
            matches!(event, Event::Complete { .. }).then_some(())
        })
        .await;
    let expected: Vec<String> = info
        .geometry()
        .files()
        .iter()
        .filter(|f| f.length != 300_000)
        .map(|f| f.path.to_string())
        .collect();
    assert_eq!(closed, expected);
    assert_eq!(store.list().unwrap().len(), 4);
}

/// Copies the files of a folder while others write there; one that moves away
/// meanwhile is passed over.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    // Partial files first: they become whole ones, and not the other way.
    entries.sort();
    for entry in entries {
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            let _ = std::fs::copy(entry, to);
        }
    }
}

/// Where nobody listens by TCP, uTP is tried.
#[cfg(feature = "utp")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn utp_crosses() {
    by_utp(Encryption::Accept).await;
}

#[cfg(feature = "utp")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn utp_crosses_encrypted() {
    by_utp(Encryption::Require).await;
}

#[cfg(feature = "utp")]
async fn by_utp(encryption: Encryption) {
    let speaks = |n| {
        let mut options = options(n);
        options.utp = true;
        options.encryption = encryption;
        options
    };
    let info = plan(Version::V2);
    // Before the seed stands somebody who passes on packets and takes no
    // connections.
    let seed = Peer::start(speaks(0));
    seed.add(&info, Arc::new(original())).await;
    let front = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let front_addr = front.local_addr().unwrap();
    let seed_addr = seed.addr;
    tokio::spawn(async move {
        let (mut caller, mut packet) = (None, [0; 2048]);
        while let Ok((length, from)) = front.recv_from(&mut packet).await {
            let to = if from == seed_addr {
                caller
            } else {
                caller = Some(from);
                Some(seed_addr)
            };
            if let Some(to) = to {
                let _ = front.send_to(&packet[..length], to).await;
            }
        }
    });
    let store = Memory::new();
    let mut leech = Peer::start(speaks(1));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[front_addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
}
