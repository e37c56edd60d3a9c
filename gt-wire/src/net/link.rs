//! One socket: a task that reads and a task that writes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Span;

use super::TorrentId;
use super::driver::News;
use super::pipe::{self, Pipe};
use super::pool::Pool;
use super::seats::Seat;
use super::valve::Valves;
use crate::swarm::ConnId;

/// Bytes that are taken from a socket at a time.
pub(super) const READ: usize = 128 * 1024;
/// What is shorter does not keep such a buffer.
const SMALL: usize = 4 * 1024;
/// Bytes that are handed to the kernel at a time.
const GATHER: usize = 256 * 1024;
/// How long an ended connection may take to send what was left.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// An open connection. When it is dropped, what was to be sent still goes
/// out, and nothing more is read.
pub(super) struct Link {
    pub(super) torrent: TorrentId,
    pub(super) addr: SocketAddr,
    /// Under which whoever listens is told of it.
    pub(super) span: Span,
    send: mpsc::UnboundedSender<Bytes>,
    reader: AbortHandle,
}

/// What the sockets of a torrent share.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) news: mpsc::Sender<News>,
    pub(super) buffers: Arc<Pool>,
    pub(super) up: Valves,
    pub(super) down: Valves,
}

impl Link {
    /// Begins to read and write. How much may wait to be sent is bounded by
    /// the swarm, which counts what was reported.
    pub(super) fn start(
        stream: Pipe,
        addr: SocketAddr,
        torrent: TorrentId,
        conn: ConnId,
        seat: Seat,
        way: Way,
        span: Span,
    ) -> Self {
        let (send, queue) = mpsc::unbounded_channel();
        let reader = match stream {
            Pipe::Tcp(stream) => {
                let (read, write) = stream.into_split();
                let reader = tokio::spawn(read_all(read, conn, way.clone()));
                tokio::spawn(async move {
                    let _ = write_all(write, conn, queue, way).await;
                    drop(seat);
                });
                reader
            }
            Pipe::Other { stream, .. } => {
                let (read, write) = tokio::io::split(stream);
                let reader = tokio::spawn(pipe::read_all(read, conn, way.clone()));
                tokio::spawn(async move {
                    let _ = pipe::write_all(write, conn, queue, way).await;
                    drop(seat);
                });
                reader
            }
        };
        Self {
            torrent,
            addr,
            span,
            send,
            reader: reader.abort_handle(),
        }
    }

    pub(super) fn send(&self, bytes: Bytes) {
        // The writer ends with the connection, of which the reader tells.
        let _ = self.send.send(bytes);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_all(stream: OwnedReadHalf, conn: ConnId, way: Way) {
    // Nothing is held for a connection on which nothing comes.
    while stream.readable().await.is_ok() {
        way.buffers.room().await;
        let allowed = way.down.pass(READ).await;
        let mut lease = way.buffers.take();
        let read = stream.try_read(&mut lease.room()[..allowed]);
        way.down.unused(allowed, *read.as_ref().unwrap_or(&0));
        let bytes = match read {
            Ok(0) => break,
            Ok(some) if some < SMALL => Bytes::copy_from_slice(&lease.room()[..some]),
            Ok(some) => lease.freeze(some),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        };
        // Waits while the loop is busy, and so does the sender.
        if way.news.send(News::Received { conn, bytes }).await.is_err() {
            return;
        }
    }
    let _ = way.news.send(News::Gone { conn }).await;
}

async fn write_all(
    stream: OwnedWriteHalf,
    conn: ConnId,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    way: Way,
) -> io::Result<()> {
    let news = &way.news;
    let mut waiting: VecDeque<Bytes> = VecDeque::new();
    let mut bytes = 0;
    loop {
        if waiting.is_empty() {
            match queue.recv().await {
                Some(first) => {
                    bytes += first.len();
                    waiting.push_back(first);
                }
                None => return Ok(()),
            }
        }
        while bytes < GATHER
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.len();
            waiting.push_back(next);
        }
        let closing = queue.is_closed();
        let allowed = way.up.pass(bytes).await;
        let written = match closing {
            true => tokio::time::timeout(LINGER, write_some(&stream, &mut waiting, allowed))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            false => write_some(&stream, &mut waiting, allowed).await,
        };
        way.up.unused(allowed, *written.as_ref().unwrap_or(&0));
        let written = match written {
            Ok(written) => written,
            Err(e) => {
                let _ = news.send(News::Gone { conn }).await;
                return Err(e);
            }
        };
        bytes -= written;
        if !closing {
            // A swarm that has ended the connection wants no reports.
            let _ = news
                .send(News::Sent {
                    conn,
                    bytes: written,
                })
                .await;
        }
    }
}

/// Writes as much as the kernel takes at once, up to `most`; at least a byte.
async fn write_some(
    stream: &OwnedWriteHalf,
    waiting: &mut VecDeque<Bytes>,
    most: usize,
) -> io::Result<usize> {
    loop {
        stream.writable().await?;
        let mut room = most;
        let slices: Vec<IoSlice<'_>> = waiting
            .iter()
            .take(64)
            .map_while(|bytes| {
                let some = bytes.len().min(room);
                room -= some;
                (some > 0 || bytes.is_empty()).then(|| IoSlice::new(&bytes[..some]))
            })
            .collect();
        match stream.try_write_vectored(&slices) {
            Ok(0) if waiting.iter().any(|b| !b.is_empty()) => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            Ok(written) => {
                let mut left = written;
                while let Some(first) = waiting.front_mut() {
                    if first.len() > left {
                        first.advance(left);
                        break;
                    }
                    left -= first.len();
                    waiting.pop_front();
                }
                return Ok(written);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}
