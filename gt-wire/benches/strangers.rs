//! What a flood of strangers costs a transfer: `cargo bench -p gt-wire --bench strangers`.
//!
//! One node gives 512 MiB to another, both in this process, again and again:
//! alone, while another process calls the seed two thousand times a second,
//! and while that process calls somebody else as often. The last is the
//! measure for the second: the caller works on this machine too. Rates and
//! seconds on the processors are medians of alternating runs; the ratio of
//! each pair is shown too, because whatever else runs here changes both.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gt_vfs::{Memory, VPath, Vfs};
use gt_wire::Info;
use gt_wire::metainfo::{Create, Version};
use gt_wire::net::{Event, Node, Options, Torrent};

const SIZE: usize = 512 << 20;
const CALLS: f64 = 2_000.0;
const RUNS: usize = 7;
/// The word by which this program is a caller.
const CALL: &str = "call-as-strangers";
/// The same for somebody who lets everybody in and does nothing.
const DOOR: &str = "be-called-by-strangers";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flood {
    None,
    Elsewhere,
    Here,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some(CALL) => call(words[2].parse().unwrap()),
        Some(DOOR) => door(),
        _ => measure(),
    }
}

fn measure() {
    let vfs = Memory::new();
    let name = VPath::parse(b"large.bin").unwrap();
    vfs.insert(
        name,
        (0..SIZE)
            .map(|n| (n * 31 + n / 253) as u8)
            .collect::<Vec<u8>>(),
    );
    let plan = Create::new("large.bin").piece_length(1 << 20);
    let info = plan.version(Version::V1).hash(&vfs).unwrap().info;
    let shared: Arc<dyn Vfs> = Arc::new(vfs);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let elsewhere = Other::start(DOOR, None);
    let kinds = [Flood::None, Flood::Elsewhere, Flood::Here];
    let mut rows: Vec<[(f64, f64); 3]> = Vec::new();
    for _ in 0..RUNS {
        let run = |flood| runtime.block_on(transfer(&shared, &info, flood, elsewhere.addr));
        rows.push(kinds.map(run));
    }
    println!("{RUNS} runs, medians       MiB/s   CPU seconds a GiB, of seed and leech");
    for (n, kind) in kinds.into_iter().enumerate() {
        let rate = median(rows.iter().map(|row| row[n].0));
        let cpu = median(rows.iter().map(|row| row[n].1));
        println!("strangers {kind:<10?} {rate:10.0} {cpu:10.3}");
    }
    let ratio = median(rows.iter().map(|row| row[2].0 / row[1].0));
    let cpu = median(rows.iter().map(|row| row[2].1 / row[1].1));
    println!("here against elsewhere: rate {ratio:.3}, CPU {cpu:.3}");
}

/// Returns the rate in MiB a second and the CPU seconds a GiB.
async fn transfer(
    shared: &Arc<dyn Vfs>,
    info: &Info,
    flood: Flood,
    elsewhere: SocketAddr,
) -> (f64, f64) {
    let options = |n| Options::new([n; 32]).listen("127.0.0.1:0".parse().unwrap());
    let seed = Node::start(options(1)).unwrap();
    let addr = seed.local_addr().unwrap();
    seed.add(Torrent::new(info, shared.clone())).await.unwrap();
    let _other = match flood {
        Flood::None => None,
        Flood::Elsewhere => Some(Other::start(CALL, Some(elsewhere))),
        Flood::Here => Some(Other::start(CALL, Some(addr))),
    };
    // Past the first rush.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (used, begun) = (cpu(), Instant::now());
    let leech = Node::start(options(2)).unwrap();
    let mut events = leech.events();
    let wanted = Torrent::new(info, Arc::new(Memory::new()));
    let torrent = leech.add(wanted).await.unwrap();
    leech.add_peers(torrent, &[addr]);
    while !matches!(events.recv().await.unwrap(), Event::Complete { .. }) {}
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu() - used);
    leech.shutdown().await;
    let visitors = seed.visitors();
    seed.shutdown().await;
    if flood == Flood::Here {
        eprintln!("{visitors:?} in {took:.2} s");
    }
    let mib = (SIZE >> 20) as f64;
    (mib / took, used * 1024.0 / mib)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns this process's time on the processors so far, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // User and system time, in hundredths.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// This program in another process, which ends with its input.
struct Other {
    child: Child,
    addr: SocketAddr,
}

impl Other {
    fn start(role: &str, addr: Option<SocketAddr>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(role).args(addr.map(|addr| addr.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let addr = addr.unwrap_or_else(|| {
            let mut said = [0; 64];
            let count = child.stdout.as_mut().unwrap().read(&mut said).unwrap();
            let said = String::from_utf8_lossy(&said[..count]);
            said.trim().parse().unwrap()
        });
        Self { child, addr }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn door() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    while let Ok((stream, _)) = listener.accept() {
        drop(stream);
    }
}

/// Calls silently, with nonsense, for a torrent that is not there, and with what
/// looks like an encrypted handshake, and keeps four hundred connections.
fn call(addr: SocketAddr) {
    let elsewhere = [&b"\x13BitTorrent protocol"[..], &[0; 48]].concat();
    let sealed: Vec<u8> = (0..=191).collect();
    let words: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\n\r\n", &elsewhere, &sealed];
    let mut held = VecDeque::new();
    let (begun, mut count) = (Instant::now(), 0);
    loop {
        while f64::from(count) < begun.elapsed().as_secs_f64() * CALLS {
            let patience = Duration::from_millis(100);
            if let Ok(mut stream) = TcpStream::connect_timeout(&addr, patience) {
                let _ = stream.write_all(words[count as usize % 4]);
                held.push_back(stream);
            }
            count += 1;
            if held.len() > 400 {
                held.pop_front();
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
