//! One socket: a task that reads and a task that writes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::TorrentId;
use super::driver::News;
use super::seats::Seat;
use crate::swarm::ConnId;

/// Room that is made for the next bytes of a socket.
const READ: usize = 64 * 1024;
/// Bytes that are handed to the kernel at a time.
const GATHER: usize = 256 * 1024;
/// How long an ended connection may take to send what was left.
const LINGER: Duration = Duration::from_secs(5);

/// An open connection. When it is dropped, what was to be sent still goes
/// out, and nothing more is read.
pub(super) struct Link {
    pub(super) torrent: TorrentId,
    pub(super) addr: SocketAddr,
    send: mpsc::UnboundedSender<Bytes>,
    reader: AbortHandle,
}

impl Link {
    /// Begins to read and write. How much may wait to be sent is bounded by
    /// the swarm, which counts what was reported.
    pub(super) fn start(
        stream: TcpStream,
        addr: SocketAddr,
        torrent: TorrentId,
        conn: ConnId,
        seat: Seat,
        news: mpsc::Sender<News>,
    ) -> Self {
        let (read, write) = stream.into_split();
        let (send, queue) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read_all(read, conn, news.clone()));
        tokio::spawn(async move {
            let _ = write_all(write, conn, queue, news).await;
            drop(seat);
        });
        Self {
            torrent,
            addr,
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

async fn read_all(mut stream: OwnedReadHalf, conn: ConnId, news: mpsc::Sender<News>) {
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() - buffer.len() < READ / 4 {
            buffer.reserve(READ);
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let bytes = buffer.split().freeze();
                // Waits while the loop is busy, and so does the sender.
                if news.send(News::Received { conn, bytes }).await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = news.send(News::Gone { conn }).await;
}

async fn write_all(
    stream: OwnedWriteHalf,
    conn: ConnId,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    news: mpsc::Sender<News>,
) -> io::Result<()> {
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
        let written = match closing {
            true => tokio::time::timeout(LINGER, write_some(&stream, &mut waiting))
                .await
                .map_err(|_| io::ErrorKind::TimedOut)?,
            false => write_some(&stream, &mut waiting).await,
        };
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

/// Writes as much as the kernel takes at once; at least a byte.
async fn write_some(stream: &OwnedWriteHalf, waiting: &mut VecDeque<Bytes>) -> io::Result<usize> {
    loop {
        stream.writable().await?;
        let slices: Vec<IoSlice<'_>> = waiting.iter().take(64).map(|b| IoSlice::new(b)).collect();
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
