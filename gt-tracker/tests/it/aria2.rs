//! A stock client at our tracker.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gt_tracker::client::Reach;
use gt_tracker::{HttpTracker, server};
use gt_wire::{InfoHash, PeerSource};
use tokio::time::{Instant, sleep};

use crate::rig::{Running, announce};

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn aria2c(folder: &Path, port: u16) -> Killed {
    let child = Command::new("aria2c")
        .args(["--no-conf", "--enable-dht=false", "--bt-enable-lpd=false"])
        .args([
            "--enable-peer-exchange=false",
            "--seed-ratio=0.0",
            "--file-allocation=none",
        ])
        .args([
            "--check-integrity=true",
            "--bt-tracker-connect-timeout=5",
            "--quiet",
        ])
        .arg(format!("--listen-port={port}"))
        .arg("--dir")
        .arg(folder)
        .arg(folder.join("t.torrent"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Killed(child)
}

/// Returns a port that nobody has at the moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes a v1 torrent of one file of one piece, by hand.
fn torrent(url: &str, content: &[u8]) -> Vec<u8> {
    assert!(content.len() <= 16384);
    let mut bytes = format!("d8:announce{}:{url}4:info", url.len()).into_bytes();
    bytes.extend(format!("d6:lengthi{}e4:name4:file", content.len()).bytes());
    bytes.extend(b"12:piece lengthi16384e6:pieces20:".iter());
    bytes.extend(SHA1);
    bytes.extend(b"7:privatei1eee".iter());
    bytes
}

/// The SHA-1 of 10,000 letters `a` (`printf '%010000d' 0 | tr 0 a | sha1sum`).
const SHA1: [u8; 20] = [
    0xa0, 0x80, 0xcb, 0xda, 0x64, 0x85, 0x0a, 0xbb, 0x7b, 0x7f, 0x67, 0xee, 0x87, 0x5b, 0xa0, 0x68,
    0x07, 0x4f, 0xf6, 0xfe,
];
/// The SHA-1 of the info dictionary above, the same way.
const INFO_HASH: &str = "feb5e27ee43f8a2ea789ead15268851779efa563";

/// One copy of aria2c seeds, another learns of it from our tracker and
/// fetches the file; then both are seen as seeds by our client.
#[tokio::test]
#[ignore = "needs aria2"]
async fn two_copies_of_aria2_meet() {
    let running = Running::start(server::Options::default()).await;
    let content = vec![b'a'; 10_000];
    let torrent = torrent(&running.url(), &content);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(one.path().join("file"), &content).unwrap();
    for folder in [&one, &two] {
        std::fs::write(folder.path().join("t.torrent"), &torrent).unwrap();
    }
    let hash: InfoHash = INFO_HASH.parse().unwrap();
    let tracker = HttpTracker::new(&running.url(), Reach::Any).unwrap();
    let seeds = async |wanted: u64| {
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            let counts = tracker.scrape(&[hash]).await.unwrap();
            let seeds = counts.get(&hash).map_or(0, |counts| counts.complete);
            if seeds == wanted {
                return counts[&hash];
            }
            assert!(Instant::now() < end, "{seeds} seeds, {wanted} wanted");
            sleep(Duration::from_millis(100)).await;
        }
    };
    let ports = [free_port(), free_port()];
    let _seed = aria2c(one.path(), ports[0]);
    seeds(1).await;
    let _leech = aria2c(two.path(), ports[1]);
    let counts = seeds(2).await;
    assert_eq!((counts.incomplete, counts.downloaded), (0, 1));
    assert_eq!(std::fs::read(two.path().join("file")).unwrap(), content);

    let mut ask = announce(1, 1, 1, None);
    ask.info_hash = hash;
    let peers = tracker.announce(ask).await.unwrap().peers;
    let found: BTreeSet<_> = peers.iter().map(SocketAddr::port).collect();
    assert_eq!(found, ports.into());
}
