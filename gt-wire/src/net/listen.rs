//! The listener of all torrents: it reads no more of a stranger than the
//! torrent's hash before the swarm of that hash takes over.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::driver::News;
use super::seats::{Seat, Seats};
use crate::InfoHash;
use crate::handshake::Handshake;

/// How long a connection may take to stand, and to say which torrent it is
/// about.
pub(super) const SET_UP: Duration = Duration::from_secs(10);

/// A stranger who has named a torrent.
pub(super) struct Guest {
    pub(super) stream: TcpStream,
    pub(super) addr: SocketAddr,
    pub(super) info_hash: InfoHash,
    /// What was read to learn that.
    pub(super) first: BytesMut,
    pub(super) seat: Seat,
}

/// A bound port; it is let go when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) addr: SocketAddr,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds and begins to listen.
pub(super) fn listen(
    addr: SocketAddr,
    seats: Arc<Seats>,
    news: mpsc::Sender<News>,
) -> io::Result<Listener> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen at {addr}: {e}"));
    let listener = bind(addr).map_err(named)?;
    let addr = listener.local_addr()?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, addr)) => {
                    // No seat: the door closes before a byte is read.
                    if let Some(seat) = seats.take(addr.ip()) {
                        let news = news.clone();
                        tokio::spawn(async move {
                            let greeted = tokio::time::timeout(SET_UP, greet(stream, addr, seat));
                            if let Ok(Ok(guest)) = greeted.await {
                                let _ = news.send(News::Guest(Box::new(guest))).await;
                            }
                        });
                    }
                }
                // Out of files, mostly: others may end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(Listener {
        addr,
        task: task.abort_handle(),
    })
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for the kernel to forget old connections.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

async fn greet(mut stream: TcpStream, addr: SocketAddr, seat: Seat) -> io::Result<Guest> {
    stream.set_nodelay(true)?;
    let mut first = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let hash = Handshake::info_hash_in(&first);
        let hash = hash.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        if let Some(info_hash) = hash {
            return Ok(Guest {
                stream,
                addr,
                info_hash,
                first,
                seat,
            });
        }
    }
}

/// Connects within a bounded time.
pub(super) async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(SET_UP, TcpStream::connect(addr));
    let stream = stream.await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
