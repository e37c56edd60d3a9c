//! A router of the test's own, which speaks PCP (RFC 6887).

use gt_wire::net::portmap::{self, Error};
use tokio::net::UdpSocket;

use super::*;

/// Answers one request: result 0 is yes, with another port than was asked for.
async fn router(at: &str, result: u8) -> tokio::task::JoinHandle<u16> {
    let socket = UdpSocket::bind((at, 5351)).await.unwrap();
    tokio::spawn(async move {
        let mut asked = [0; 1100];
        let (length, from) = socket.recv_from(&mut asked).await.unwrap();
        assert!(length >= 60 && asked[..2] == [2, 1], "{:?}", &asked[..2]);
        let internal = u16::from_be_bytes([asked[40], asked[41]]);
        let mut answer = [0; 60];
        answer[..4].copy_from_slice(&[2, 0x81, 0, result]);
        answer[4..8].copy_from_slice(&7200u32.to_be_bytes());
        // The nonce, the protocol and the port as they were asked for.
        answer[24..42].copy_from_slice(&asked[24..42]);
        answer[42..44].copy_from_slice(&54_321u16.to_be_bytes());
        answer[44..60].copy_from_slice(&asked[44..60]);
        socket.send_to(&answer, from).await.unwrap();
        internal
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_leads_in() {
    let asked = router("127.0.0.77", 0).await;
    let local: SocketAddr = "127.0.0.1:6881".parse().unwrap();
    let mapped = portmap::map("127.0.0.77".parse().unwrap(), local).await;
    assert_eq!(mapped.unwrap().external, 54_321);
    assert_eq!(asked.await.unwrap(), 6881);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_says_no() {
    // Not authorised.
    router("127.0.0.78", 2).await;
    let local: SocketAddr = "127.0.0.1:6881".parse().unwrap();
    let refused = portmap::map("127.0.0.78".parse().unwrap(), local).await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    let nowhere = portmap::map(
        "127.0.0.78".parse().unwrap(),
        "127.0.0.1:0".parse().unwrap(),
    );
    assert!(matches!(nowhere.await, Err(Error::Port)));
}
