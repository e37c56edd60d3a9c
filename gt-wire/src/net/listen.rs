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
use tokio::time::Instant;

use super::Encryption;
use super::crypt::Lock;
use super::driver::News;
use super::pipe::Pipe;
use super::seats::{Seat, Seats};
use crate::InfoHash;
use crate::handshake::Handshake;

/// How long a connection may take to stand, and to say which torrent it is
/// about.
pub(super) const SET_UP: Duration = Duration::from_secs(10);

/// The same while many stand at the door.
const CROWDED: Duration = Duration::from_secs(2);

/// Everything by which connections come and go.
pub(super) struct Doors {
    pub(super) seats: Arc<Seats>,
    pub(super) lock: Arc<Lock>,
    pub(super) listeners: Vec<Listener>,
}
/// Bytes that may wait in the kernel beyond what is on its way.
const UNSENT: u32 = 64 * 1024;

/// A stranger who has named a torrent.
pub(super) struct Guest {
    pub(super) stream: Pipe,
    pub(super) addr: SocketAddr,
    pub(super) info_hash: InfoHash,
    /// What was read to learn that.
    pub(super) first: BytesMut,
    pub(super) seat: Seat,
}

/// Connections that are taken a second, after a first rush of as many. Whoever
/// comes in excess waits in the kernel, or is turned away there, where it
/// costs next to nothing.
const ACCEPTS: f64 = 400.0;

/// How fast connections are taken.
struct Pace {
    at: Instant,
    left: f64,
}

impl Pace {
    fn new() -> Self {
        Self {
            at: Instant::now(),
            left: ACCEPTS,
        }
    }

    /// Waits until one more may be taken.
    async fn wait(&mut self) {
        let now = Instant::now();
        let since = now - std::mem::replace(&mut self.at, now);
        self.left = (self.left + since.as_secs_f64() * ACCEPTS).min(ACCEPTS);
        if self.left < 1.0 {
            // Several at a time, so that waiting costs little too.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.left -= 1.0;
    }
}

/// A bound port; it is let go when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) addr: SocketAddr,
    task: AbortHandle,
    #[cfg(feature = "utp")]
    utp: Option<AbortHandle>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
        #[cfg(feature = "utp")]
        if let Some(utp) = &self.utp {
            utp.abort();
        }
    }
}

/// Binds and begins to listen.
pub(super) fn listen(
    addr: SocketAddr,
    seats: Arc<Seats>,
    lock: Arc<Lock>,
    news: mpsc::Sender<News>,
) -> io::Result<Listener> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen at {addr}: {e}"));
    let listener = bind(addr).map_err(named)?;
    let addr = listener.local_addr()?;
    #[cfg(feature = "utp")]
    let utp = lock.speaks_utp.then(|| {
        let serve = super::utp::listen(addr, seats.clone(), lock.clone(), news.clone());
        tokio::spawn(serve).abort_handle()
    });
    let task = tokio::spawn(async move {
        let mut pace = Pace::new();
        loop {
            pace.wait().await;
            match listener.accept().await {
                Ok((stream, addr)) => {
                    // No seat: the door closes before a byte is read.
                    if let Some(seat) = seats.take_lobby(addr.ip()) {
                        let patience = match seats.is_crowded() {
                            true => CROWDED,
                            false => SET_UP,
                        };
                        let (news, lock) = (news.clone(), lock.clone());
                        tokio::spawn(async move {
                            // Without it small words wait for others.
                            let _ = stream.set_nodelay(true);
                            keep_order(&stream);
                            let stream = Pipe::Tcp(stream);
                            let greeted =
                                tokio::time::timeout(patience, greet(stream, addr, seat, lock));
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
        #[cfg(feature = "utp")]
        utp,
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

/// Reads until a stranger has named a torrent.
pub(super) async fn greet(
    mut stream: Pipe,
    addr: SocketAddr,
    mut seat: Seat,
    lock: Arc<Lock>,
) -> io::Result<Guest> {
    let mut hidden = false;
    let mut first = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let hash = match (Handshake::info_hash_in(&first), stream) {
            // No plain words: an encrypted handshake, or nothing of ours.
            (Err(_), Pipe::Tcp(socket)) if !hidden => {
                stream = lock.answer(socket, std::mem::take(&mut first)).await?;
                hidden = true;
                continue;
            }
            (Ok(Some(_)), _) if !hidden && lock.encryption == Encryption::Require => {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            (hash, same) => {
                stream = same;
                hash.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?
            }
        };
        if let Some(info_hash) = hash {
            seat.enter();
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
    keep_order(&stream);
    Ok(stream)
}

/// Has the kernel take little more than it can send: the swarm serves one
/// piece after the other, and what waits in the kernel is out of its hands.
fn keep_order(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, UNSENT);
}
