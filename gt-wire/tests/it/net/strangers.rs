//! Strangers at the door, two thousand a second.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::*;

/// Connects again and again: silent, with nonsense, with a torrent that is
/// not here, and with what looks like an encrypted handshake.
const STRANGERS: &str = r#"
import socket, sys, time
host, port, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
first = [b'', b'GET / HTTP/1.1\r\n\r\n', b'\x13BitTorrent protocol' + bytes(48), bytes(range(96)) * 2]
held, n, begun = [], 0, time.time()
while True:
    while n < (time.time() - begun) * rate:
        s = socket.socket()
        s.setblocking(False)
        try:
            s.connect((host, port))
        except BlockingIOError:
            pass
        held.append((s, first[n % 4]))
        n += 1
        if len(held) > 400:
            old, _ = held.pop(0)
            old.close()
        if len(held) > 3:
            try:
                held[-3][0].send(held[-3][1])
            except OSError:
                pass
    time.sleep(0.002)
"#;

struct Strangers(Child);

impl Drop for Strangers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Strangers {
    fn begin(addr: SocketAddr) -> Self {
        let mut command = Command::new("python3");
        command
            .args(["-c", STRANGERS, &addr.ip().to_string()])
            .args([addr.port().to_string(), "2000".to_owned()]);
        let quiet = command.stdin(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().expect("python3 is installed"))
    }
}

/// Returns this process's time on the processors so far, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // User and system time, in hundredths.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// One file that takes a while.
fn large() -> (Memory, Info) {
    let vfs = Memory::new();
    vfs.insert(vpath("large.bin"), sample(1, 192 << 20));
    let plan = Create::new("large.bin").piece_length(1 << 20);
    let info = plan.version(Version::V1).hash(&vfs).unwrap().info;
    (vfs, info)
}

async fn transfer(vfs: &Memory, info: &Info, strangers: bool) -> (f64, Duration) {
    let seed = Peer::start(options(0));
    seed.add(info, Arc::new(vfs.clone())).await;
    let _strangers = strangers.then(|| Strangers::begin(seed.addr));
    // They are at it when the transfer begins.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (used, begun) = (cpu(), std::time::Instant::now());
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(info, Arc::new(Memory::new())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    (cpu() - used, begun.elapsed())
}

/// What strangers cost is seen in the time on the processors: they use this
/// machine themselves, so that the time on the clock says nothing. What they
/// take of a second is what a transfer lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3"]
async fn strangers_slow_nothing_down() {
    let (vfs, info) = large();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        without.push(transfer(&vfs, &info, false).await);
        with.push(transfer(&vfs, &info, true).await);
    }
    println!("with {with:?}, without {without:?}");
    let alone = without.iter().map(|r| r.0).fold(f64::MAX, f64::min);
    let share = |(used, took): &(f64, Duration)| (used - alone) / took.as_secs_f64();
    let least = with.iter().map(share).fold(f64::MAX, f64::min);
    assert!(least < 0.10, "strangers take {least} of a second");
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
