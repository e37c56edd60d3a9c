//! The listener of all torrents: it reads no more of a stranger than the
//! torrent's hash before the swarm of that hash takes over.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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
use super::pace::Pace;
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

/// Connections that are taken at a time, before others have their turn.
const BATCH: usize = 32;

/// The pause after a full batch, and while more come than are heard: waking up
/// for each of a crowd would cost more than the crowd. Together with
/// [`BATCH`] it bounds what strangers can cost; beyond that they wait in the
/// kernel or are turned away there.
const PAUSE: Duration = Duration::from_millis(5);

/// Bytes that are looked at of somebody who comes in excess: a handshake has
/// 68.
const LOOK: usize = 512;

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

/// Begins to listen.
pub(super) fn listen(
    listener: std::net::TcpListener,
    seats: Arc<Seats>,
    lock: Arc<Lock>,
    news: mpsc::Sender<News>,
) -> io::Result<Listener> {
    let addr = listener.local_addr()?;
    #[cfg(feature = "utp")]
    let utp = lock.speaks_utp.then(|| {
        let serve = super::utp::listen(addr, seats.clone(), lock.clone(), news.clone());
        tokio::spawn(serve).abort_handle()
    });
    let porter = Porter {
        raw: listener.try_clone()?,
        listener: TcpListener::from_std(listener)?,
        seats,
        lock,
        news,
        started: Instant::now(),
        pace: Pace::new(),
    };
    let task = tokio::spawn(porter.run());
    Ok(Listener {
        addr,
        task: task.abort_handle(),
        #[cfg(feature = "utp")]
        utp,
    })
}

/// How often another port is tried that is free for both families.
const TRIES: u32 = 16;

/// Binds one port on every interface: by IPv4, and by IPv6 where there is any.
pub(super) fn everywhere(port: u16) -> io::Result<Vec<std::net::TcpListener>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let four = bind((Ipv4Addr::UNSPECIFIED, port).into())?;
        let same = four.local_addr()?.port();
        match bind((Ipv6Addr::UNSPECIFIED, same).into()) {
            Ok(six) => return Ok(vec![four, six]),
            // Somebody else has it there.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && port == 0 && tries < TRIES => {}
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => return Err(e),
            // Switched off, or not built in.
            Err(_) => return Ok(vec![four]),
        }
    }
}

/// Binds an address.
pub(super) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen at {addr}: {e}"));
    bound(addr).map_err(named)
}

fn bound(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for the kernel to forget old connections.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Who stands at one door.
///
/// Strangers are heard out at a bounded [`Pace`] and as long as the lobby has
/// seats. Of those who come in excess only the ones are let in who have said at
/// once, in plain words, which of our torrents they want: a flood keeps nobody
/// out, and costs for each stranger a few calls of the kernel, and neither task
/// nor memory.
struct Porter {
    listener: TcpListener,
    /// The same, for those who wait behind the first: they are taken without
    /// asking the runtime for each.
    raw: std::net::TcpListener,
    seats: Arc<Seats>,
    lock: Arc<Lock>,
    news: mpsc::Sender<News>,
    started: Instant,
    pace: Pace,
}

impl Porter {
    async fn run(mut self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, addr)) => {
                    let mut heard = stream.into_std().is_ok_and(|s| self.take(s, addr));
                    let mut taken = 1;
                    while taken < BATCH
                        && let Ok((stream, addr)) = self.raw.accept()
                    {
                        heard &= stream.set_nonblocking(true).is_ok() && self.take(stream, addr);
                        taken += 1;
                    }
                    if taken == BATCH || !heard {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                // Out of files, mostly: others may end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Hears a stranger out, or tells that he came in excess.
    fn take(&mut self, stream: std::net::TcpStream, addr: SocketAddr) -> bool {
        if self.pace.take(self.started.elapsed())
            && let Some(seat) = self.seats.take_lobby(addr.ip())
        {
            self.greet(stream, addr, seat, BytesMut::new());
            return true;
        }
        let mut said = [0; LOOK];
        let said = match (&stream).read(&mut said) {
            Ok(count) => &said[..count],
            Err(_) => &[],
        };
        if self.is_ours(said)
            && let Some(seat) = self.seats.take(addr.ip())
        {
            self.greet(stream, addr, seat, BytesMut::from(said));
        } else {
            self.seats.turn_away();
            // The kernel need not remember him either.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        false
    }

    /// Tells whether these bytes ask for a torrent that is here.
    fn is_ours(&self, said: &[u8]) -> bool {
        self.lock.encryption != Encryption::Require
            && matches!(Handshake::info_hash_in(said), Ok(Some(hash)) if self.lock.knows(hash))
    }

    fn greet(&self, stream: std::net::TcpStream, addr: SocketAddr, seat: Seat, first: BytesMut) {
        let Ok(stream) = TcpStream::from_std(stream) else {
            return;
        };
        let patience = match self.seats.is_crowded() {
            true => CROWDED,
            false => SET_UP,
        };
        let (news, lock) = (self.news.clone(), self.lock.clone());
        tokio::spawn(async move {
            // Without it small words wait for others.
            let _ = stream.set_nodelay(true);
            keep_order(&stream);
            let greeted = greet(Pipe::Tcp(stream), addr, seat, lock, first);
            if let Ok(Ok(guest)) = tokio::time::timeout(patience, greeted).await {
                let _ = news.send(News::Guest(Box::new(guest))).await;
            }
        });
    }
}

/// Reads until a stranger has named a torrent; `first` is what he has said
/// already.
pub(super) async fn greet(
    mut stream: Pipe,
    addr: SocketAddr,
    mut seat: Seat,
    lock: Arc<Lock>,
    mut first: BytesMut,
) -> io::Result<Guest> {
    let mut hidden = false;
    loop {
        if first.is_empty() || Handshake::info_hash_in(&first).is_ok_and(|hash| hash.is_none()) {
            first.reserve(1024);
            if stream.read_buf(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let hash = match (Handshake::info_hash_in(&first), stream) {
            // No plain words: an encrypted handshake, or nothing of ours.
            (Err(_), socket) if !hidden => {
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
