//! A running tracker, and a server that says whatever a test wants.

use std::net::SocketAddr;

use gt_tracker::{Server, server};
use gt_wire::source::{Announce, Event};
use gt_wire::{InfoHash, PeerId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(options: server::Options) -> Self {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), options)
            .await
            .unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/announce", self.address)
    }
}

/// Serves the same bytes to whoever connects, after a request's head, and
/// keeps the connection open; returns its announce URL.
pub(crate) async fn says(bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    serves(move |mut stream, _| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read_u8().await;
        }
    })
    .await
}

/// Serves every connection in a way of its own, given the request's head;
/// returns its announce URL.
pub(crate) async fn serves<F, A>(act: F) -> String
where
    F: Fn(TcpStream, String) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = head(&mut stream).await;
            tokio::spawn(act(stream, head));
        }
    });
    url
}

/// Returns an answer of status 200 with its length.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Reads until the end of a request's head and returns it.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn announce(peer: u8, port: u16, left: u64, event: Option<Event>) -> Announce {
    Announce {
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([peer; 20]),
        port,
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        want: None,
    }
}
