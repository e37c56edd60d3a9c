//! Clients that would keep a tracker busy.

use std::time::Duration;

use gt_tracker::client::Reach;
use gt_tracker::{HttpTracker, server};
use gt_wire::PeerSource;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::rig::{Running, announce};

fn options() -> server::Options {
    let mut options = server::Options::default();
    options.request_time = Duration::from_millis(400);
    options
}

/// Waits until the other side has closed.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    // An end and a reset are both a close.
    let _ = read.expect("still open");
}

#[tokio::test]
async fn a_dripping_head_is_hung_up_on() {
    let running = Running::start(options()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"GET /announce").await.unwrap();
    while stream.write_all(b"x").await.is_ok() && began.elapsed() < Duration::from_secs(4) {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_silent_connection_is_hung_up_on() {
    let running = Running::start(options()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let running = Running::start(server::Options::default()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let began = Instant::now();
    stream
        .write_all(b"GET /announce HTTP/1.1\r\nX: ")
        .await
        .unwrap();
    while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    closed(&mut stream).await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn idlers_take_places_only_for_their_time() {
    let mut options = options();
    options.connections = 4;
    let running = Running::start(options).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(running.address).await.unwrap());
    }
    sleep(Duration::from_millis(50)).await;
    let tracker = HttpTracker::new(&running.url(), Reach::Any).unwrap();
    assert!(tracker.announce(announce(1, 1, 1, None)).await.is_err());
    sleep(Duration::from_millis(600)).await;
    tracker.announce(announce(1, 1, 1, None)).await.unwrap();
}

#[tokio::test]
async fn an_idler_does_not_hold_up_the_end() {
    let running = Running::start(options()).await;
    let _idle = TcpStream::connect(running.address).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    running.stop.send(()).unwrap();
    timeout(Duration::from_secs(2), running.task)
        .await
        .unwrap()
        .unwrap();
}
