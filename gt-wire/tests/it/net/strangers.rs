//! Strangers at the door, two thousand a second. What they cost is measured by
//! `cargo bench -p gt-wire --bench strangers`; here is what holds at any speed.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use gt_wire::net::Visitors;

use super::*;

/// Connections that strangers hold at a time.
const HELD: usize = 200;

/// Connects again and again: silent, with nonsense, with a torrent that is
/// not here, and with what looks like an encrypted handshake.
struct Flood {
    over: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn begin(addr: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicUsize::new(0));
        let (ends, counts) = (over.clone(), calls.clone());
        let thread = std::thread::spawn(move || {
            let elsewhere = [&b"\x13BitTorrent protocol"[..], &[0; 48]].concat();
            let sealed: Vec<u8> = (0..=191).collect();
            let words: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\n\r\n", &elsewhere, &sealed];
            let mut held = VecDeque::new();
            while !ends.load(Ordering::Relaxed) {
                // Two thousand a second, where the machine is as fast.
                std::thread::sleep(Duration::from_micros(500));
                let patience = Duration::from_millis(200);
                // Who is turned away at once may not see that he was let in.
                let count = counts.fetch_add(1, Ordering::Relaxed);
                if let Ok(mut stream) = TcpStream::connect_timeout(&addr, patience) {
                    let _ = stream.write_all(words[count % 4]);
                    held.push_back(stream);
                }
                if held.len() > HELD {
                    held.pop_front();
                }
            }
        });
        Self {
            over,
            calls,
            thread: Some(thread),
        }
    }

    /// Waits for so many calls.
    async fn reach(&self, calls: usize) {
        while self.calls.load(Ordering::Relaxed) < calls {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Waits until nobody is there any more.
async fn empty(node: &Node) -> Visitors {
    let begun = std::time::Instant::now();
    loop {
        let here = node.visitors();
        if here.taken == 0 {
            return here;
        }
        assert!(begun.elapsed() < PATIENCE, "{here:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The leech calls while the flood is there, by plain words: it is let in, and
/// everything crosses. Strangers have their quarter and no more, the others
/// are turned away, and nothing of them stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_keeps_nobody_out_and_leaves_nothing() {
    let info = plan(Version::V2);
    let mut few = options(0);
    few.connections = 40;
    let seed = Peer::start(few);
    let torrent = seed.add(&info, Arc::new(original())).await;
    let flood = Flood::begin(seed.addr);
    flood.reach(1_000).await;
    for n in 1..4 {
        let store = Memory::new();
        let mut leech = Peer::start(options(n));
        let fetched = leech.add(&info, Arc::new(store.clone())).await;
        leech.node.add_peers(fetched, &[seed.addr]);
        leech.complete().await;
        assert!(contents(&store) == contents(&original()));
        leech.node.shutdown().await;
    }
    flood.reach(3_000).await;
    let calls = flood.calls.clone();
    drop(flood);
    let here = empty(&seed.node).await;
    assert_eq!((here.seats, here.strangers), (40, 0));
    assert!(here.most_strangers <= 10, "{here:?}");
    // Nobody is told of twice; leeches call too, some of them more than once.
    let told = here.heard + here.turned_away;
    let calls = calls.load(Ordering::Relaxed) as u64;
    assert!(told <= calls + 16, "{here:?} of {calls}");
    assert!(here.turned_away > 0, "{here:?}");
    assert!(seed.node.stats(torrent).await.unwrap().connected.is_empty());
}

/// While the silent fill the lobby, one who says what he wants gets in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_silent_do_not_keep_others_out() {
    let info = plan(Version::V2);
    let mut few = options(0);
    few.connections = 40;
    let seed = Peer::start(few);
    seed.add(&info, Arc::new(original())).await;
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(seed.addr).unwrap())
        .collect();
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    drop(silent);
}
