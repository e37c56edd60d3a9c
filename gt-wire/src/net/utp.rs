//! Connections over UDP that give way to others (uTP, BEP 29), by the
//! `librqbit-utp` crate, on the port where we listen for TCP.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use librqbit_utp::UtpSocketUdp;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::crypt::Lock;
use super::driver::News;
use super::listen::{SET_UP, greet};
use super::pipe::{Duplex, Pipe};
use super::seats::Seats;

/// How long one attempt to call somebody behind a router may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// The time between two.
const PAUSE: Duration = Duration::from_millis(300);

/// The socket of a node, once it is bound.
#[derive(Default)]
pub(super) struct Utp(OnceLock<Arc<UtpSocketUdp>>);

impl fmt::Debug for Utp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Utp")
    }
}

impl Utp {
    /// Connects within a bounded time.
    pub(super) async fn connect(&self, addr: SocketAddr) -> io::Result<Pipe> {
        let socket = self.0.get().ok_or(io::ErrorKind::NotConnected)?;
        let stream = timeout(SET_UP, socket.connect(addr)).await;
        let stream = stream.map_err(|_| io::ErrorKind::TimedOut)?;
        stream.map(pipe).map_err(io::Error::other)
    }

    /// Connects to a peer that connects to us: what goes out opens our router
    /// for what comes in, so the first attempts are lost and others follow
    /// soon. Within the same time.
    pub(super) async fn punch(&self, addr: SocketAddr) -> io::Result<Pipe> {
        let socket = self.0.get().ok_or(io::ErrorKind::NotConnected)?;
        let tries = async {
            loop {
                if let Ok(Ok(stream)) = timeout(ATTEMPT, socket.connect(addr)).await {
                    return pipe(stream);
                }
                sleep(PAUSE).await;
            }
        };
        Ok(timeout(SET_UP, tries).await?)
    }
}

fn pipe(stream: impl Duplex + 'static) -> Pipe {
    Pipe::Other {
        stream: Box::new(stream),
        datagrams: true,
    }
}

/// Binds and listens until it is dropped. Strangers are bounded as those who
/// come by TCP.
pub(super) async fn listen(
    addr: SocketAddr,
    seats: Arc<Seats>,
    lock: Arc<Lock>,
    news: mpsc::Sender<News>,
) {
    let Ok(socket) = UtpSocketUdp::new_udp(addr).await else {
        // TCP is there; who cannot be reached otherwise is not.
        return;
    };
    let socket = lock.utp.0.get_or_init(|| socket).clone();
    while let Ok(stream) = socket.accept().await {
        let addr = stream.remote_addr();
        if let Some(seat) = seats.take_lobby(addr.ip()) {
            let (news, lock) = (news.clone(), lock.clone());
            tokio::spawn(async move {
                let stream = pipe(stream);
                let greeted = timeout(SET_UP, greet(stream, addr, seat, lock, BytesMut::new()));
                if let Ok(Ok(guest)) = greeted.await {
                    let _ = news.send(News::Guest(Box::new(guest))).await;
                }
            });
        }
    }
}
