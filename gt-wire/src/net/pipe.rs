//! What a connection is made of: a plain socket, or something that is read and
//! written like one.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::driver::News;
use super::link::{LINGER, Way};
use crate::mse::{Cipher, Opened};
use crate::swarm::ConnId;

/// Bytes that are encrypted at a time.
const CHUNK: usize = 64 << 10;

/// One connection's bytes.
pub(super) enum Pipe {
    /// A socket, for which there are quick ways.
    Tcp(TcpStream),
    /// Anything else.
    Other {
        /// Its bytes.
        stream: Box<dyn Duplex>,
        /// Whether it goes over UDP.
        datagrams: bool,
    },
}

/// Both ways at once.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Pipe {
    /// Returns what a socket is after an encrypted handshake.
    pub(super) fn opened(socket: Self, opened: Opened) -> Self {
        if opened.early.is_empty() && opened.incoming.is_none() {
            return socket;
        }
        let datagrams = socket.is_datagrams();
        let stream = Box::new(Sealed {
            socket,
            early: Bytes::from(opened.early),
            incoming: opened.incoming,
            outgoing: opened.outgoing,
            waiting: BytesMut::new(),
        });
        Self::Other { stream, datagrams }
    }

    /// Tells whether it goes over UDP.
    pub(super) fn is_datagrams(&self) -> bool {
        matches!(
            self,
            Self::Other {
                datagrams: true,
                ..
            }
        )
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(context, buf),
            Self::Other { stream, .. } => Pin::new(stream).poll_read(context, buf),
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Other { stream, .. } => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(context),
            Self::Other { stream, .. } => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Other { stream, .. } => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A connection on which everything is encrypted, or which was opened so.
struct Sealed {
    socket: Pipe,
    /// What came with the handshake, in clear.
    early: Bytes,
    incoming: Option<Cipher>,
    outgoing: Option<Cipher>,
    /// Encrypted and not yet taken by the socket.
    waiting: BytesMut,
}

impl AsyncRead for Sealed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.early.is_empty() {
            let count = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(context, buf))?;
        if let Some(cipher) = &mut this.incoming {
            cipher.apply(&mut buf.filled_mut()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(cipher) = &mut this.outgoing else {
            return Pin::new(&mut this.socket).poll_write(context, bytes);
        };
        // What was taken was taken: the cipher does not go back.
        while !this.waiting.is_empty() {
            let count = ready!(Pin::new(&mut this.socket).poll_write(context, &this.waiting))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.waiting.advance(count);
        }
        let count = bytes.len().min(CHUNK);
        this.waiting.extend_from_slice(&bytes[..count]);
        cipher.apply(&mut this.waiting);
        // As much as goes at once; the rest with the next write or flush.
        match Pin::new(&mut this.socket).poll_write(context, &this.waiting) {
            Poll::Ready(Ok(sent)) => this.waiting.advance(sent),
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Pending => {}
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.waiting.is_empty() {
            let count = ready!(Pin::new(&mut this.socket).poll_write(context, &this.waiting))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.waiting.advance(count);
        }
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this).poll_flush(context))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}

/// Reads until the end.
pub(super) async fn read_all(mut stream: ReadHalf<Box<dyn Duplex>>, conn: ConnId, way: Way) {
    let news = &way.news;
    let mut buffer = BytesMut::new();
    loop {
        // What is taken out is kept alive by those who hold it.
        buffer.reserve(CHUNK / 4);
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(some) => {
                let bytes = buffer.split().freeze();
                way.down.spend(some).await;
                // Waits while the loop is busy, and so does the sender.
                if news.send(News::Received { conn, bytes }).await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = news.send(News::Gone { conn }).await;
}

/// Writes what is to be sent, until nobody can send more; what was to be sent
/// before the end still goes out.
pub(super) async fn write_all(
    mut stream: WriteHalf<Box<dyn Duplex>>,
    conn: ConnId,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    way: Way,
) -> io::Result<()> {
    let news = &way.news;
    let mut waiting = VecDeque::new();
    while let Some(first) = queue.recv().await {
        waiting.push_back(first);
        while let Ok(next) = queue.try_recv() {
            waiting.push_back(next);
        }
        while let Some(mut bytes) = waiting.pop_front() {
            let closing = queue.is_closed();
            let all = bytes.len();
            way.up.spend(all).await;
            let write = async {
                stream.write_all_buf(&mut bytes).await?;
                match waiting.is_empty() {
                    true => stream.flush().await,
                    false => Ok(()),
                }
            };
            let written = match closing {
                true => tokio::time::timeout(LINGER, write)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
                false => write.await,
            };
            if let Err(e) = written {
                let _ = news.send(News::Gone { conn }).await;
                return Err(e);
            }
            if !closing {
                let _ = news.send(News::Sent { conn, bytes: all }).await;
            }
        }
    }
    let _ = tokio::time::timeout(LINGER, stream.shutdown()).await;
    Ok(())
}
