//! Four hundred peers of one torrent: what each connection costs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::many::anonymous;
use super::*;

const PEERS: usize = 400;

/// The most that one may cost beyond bytes that are on their way.
const EACH: usize = 64 << 10;

#[test]
fn a_connection_costs_little() {
    let tests = std::env::current_exe().unwrap();
    let words = [
        "--ignored",
        "--exact",
        "net::connections::connections_inside",
    ];
    let output = std::process::Command::new(tests)
        .args(words)
        .arg("--nocapture")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32 + 1;
    [&length.to_be_bytes()[..], &[kind], payload].concat()
}

/// A stock peer that says everything such a peer says, and stays.
fn stock(addr: SocketAddr, hash: &[u8; 20], n: usize) -> TcpStream {
    let mut socket = TcpStream::connect(addr).unwrap();
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04".to_vec();
    hello.extend_from_slice(hash);
    hello.extend_from_slice(format!("-XX0000-{n:012}").as_bytes());
    socket.write_all(&hello).unwrap();
    let mut answer = [0; 68];
    socket.read_exact(&mut answer).unwrap();
    let introduction = b"\0d1:md11:ut_metadatai2e6:ut_pexi1ee1:pi6881e4:reqqi500e1:v10:stock 1.00e";
    let mut told = Vec::new();
    for k in 0..50u8 {
        told.extend_from_slice(&[127, n as u8, (n >> 8) as u8, k + 1, 0x1a, 0xe1]);
    }
    let exchange = [&b"\x02d5:added300:"[..], &told, b"e"].concat();
    let request = |piece: u32| {
        let words = [piece, 0, 16 << 10].map(u32::to_be_bytes).concat();
        message(6, &words)
    };
    let mut said = message(20, introduction);
    said.extend(message(15, &[]));
    said.extend(message(20, &exchange));
    said.extend(message(2, &[]));
    for piece in 0..40 {
        said.extend(request(piece));
        said.extend(message(4, &u32::to_be_bytes(piece)));
    }
    socket.write_all(&said).unwrap();
    socket
}

/// Takes what has come, so that nothing is on its way.
fn drain(sockets: &mut [TcpStream]) {
    let mut buffer = vec![0; 1 << 20];
    for socket in sockets {
        socket.set_nonblocking(true).unwrap();
        while socket.read(&mut buffer).is_ok_and(|n| n > 0) {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_connection_costs_little, in a process of its own"]
async fn connections_inside() {
    let vfs = Memory::new();
    vfs.insert(vpath("large.bin"), sample(1, 32 << 20));
    let plan = Create::new("large.bin").piece_length(16 << 10);
    let info = plan.version(Version::V1).hash(&vfs).unwrap().info;
    let mut many = options(1);
    many.connections = 2 * PEERS;
    many.tune = |options| {
        options.connections = 2 * PEERS;
        options.outgoing = 0;
    };
    let seed = Peer::start(many);
    let torrent = seed.add(&info, Arc::new(vfs)).await;
    let hash = info.info_hashes()[0].0;
    // The first ones pay for what all share.
    let mut sockets: Vec<TcpStream> = (0..20).map(|n| stock(seed.addr, &hash, n)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = anonymous();
    sockets.extend((20..20 + PEERS).map(|n| stock(seed.addr, &hash, n)));
    for _ in 0..100 {
        drain(&mut sockets);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stats = seed.node.stats(torrent).await.unwrap();
        if stats.connected.iter().filter(|p| p.pieces == 40).count() == PEERS + 20 {
            break;
        }
    }
    drain(&mut sockets);
    let stats = seed.node.stats(torrent).await.unwrap();
    assert_eq!(stats.connected.len(), PEERS + 20);
    let each = anonymous().saturating_sub(before) / PEERS;
    println!("{PEERS} connections, {each} bytes each");
    let alone = std::env::args().any(|word| word == "--exact");
    assert!(!alone || each <= EACH, "{each} bytes each");
}

/// Who listens everywhere is reached by both families at one port.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_families_reach_who_listens_everywhere() {
    let info = plan(Version::V2);
    let seed = Peer::start(Options::new([0; 32]).listen_everywhere(0));
    seed.add(&info, Arc::new(original())).await;
    let addrs = seed.node.local_addrs().to_vec();
    assert!(addrs.iter().all(|addr| addr.port() == addrs[0].port()));
    assert!(addrs[0].is_ipv4());
    let port = addrs[0].port();
    let six = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(addrs.len(), 1 + usize::from(six));
    let mut hosts = vec![SocketAddr::from(([127, 0, 0, 1], port))];
    if six {
        hosts.push(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
    }
    for (n, host) in (1..).zip(hosts) {
        let store = Memory::new();
        let mut leech = Peer::start(options(n));
        let torrent = leech.add(&info, Arc::new(store.clone())).await;
        leech.node.add_peers(torrent, &[host]);
        leech.complete().await;
        assert!(contents(&store) == contents(&original()));
    }
    // The port is taken, and that is said.
    let Err(error) = Node::start(Options::new([9; 32]).listen_everywhere(port)) else {
        panic!("two listen at one port");
    };
    assert!(error.to_string().contains("cannot listen"), "{error}");
}
