//! A tracker that people can run.

mod answer;
mod doors;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::answer::Desk;
use self::doors::Doors;
use crate::{limits, registry};

/// A tracker over HTTP: `/announce`, `/scrape`, and `/` for people.
///
/// It keeps everything in memory and forgets it when it ends; peers announce
/// again soon.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
    options: Options,
}

/// What a server does with strangers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the registry keeps, and its pace.
    pub registry: registry::Options,
    /// Believes the `ip` of a query that comes from a loopback or private
    /// address: for a tracker behind a proxy, or beside its peers behind one
    /// router. Off by default.
    pub ip_from_private: bool,
    /// [`limits::CONNECTIONS`].
    pub connections: usize,
    /// [`limits::CONNECTIONS_PER_SOURCE`].
    pub connections_per_source: usize,
    /// [`limits::REQUEST_TIME`].
    pub request_time: Duration,
    /// Decides which peers are given; `None` takes a seed from the system.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            registry: registry::Options::default(),
            ip_from_private: false,
            connections: limits::CONNECTIONS,
            connections_per_source: limits::CONNECTIONS_PER_SOURCE,
            request_time: limits::REQUEST_TIME,
            seed: None,
        }
    }
}

impl Server {
    /// Binds to an address; port 0 lets the system choose.
    ///
    /// # Errors
    /// Where the address cannot be bound, or the system has no randomness.
    pub async fn bind(address: SocketAddr, options: Options) -> io::Result<Self> {
        let seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(io::Error::other)?,
        };
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            desk: Arc::new(Desk::new(&options, seed)),
            options,
        })
    }

    /// Returns where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends, then lets the running answers finish,
    /// for [`limits::GRACE`] at most.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let doors = Doors::new(&self.options);
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = running.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        // Whoever finds no door open is hung up on.
                        if let Some(pass) = doors.enter(from.ip()) {
                            let desk = Arc::clone(&self.desk);
                            let time = self.options.request_time;
                            running.spawn(async move {
                                let _pass = pass;
                                // What is not done in time is dropped, which
                                // closes the connection.
                                let _ = timeout(time, converse(stream, from, desk)).await;
                            });
                        }
                    }
                    // Out of file descriptors, or a connection that was gone
                    // at once: others may be served, but not in a hot loop.
                    Err(_) => sleep(Duration::from_millis(20)).await,
                },
            }
        }
        drop(self.listener);
        let finish = async { while running.join_next().await.is_some() {} };
        let _ = timeout(limits::GRACE, finish).await;
        running.shutdown().await;
    }
}

/// Answers one request and closes: peers come again in minutes, and an idle
/// connection is worth less than its place.
async fn converse(stream: TcpStream, from: SocketAddr, desk: Arc<Desk>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = desk.answer(from.ip(), request.method(), request.uri());
        async { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_TIME)
        .max_headers(limits::HEADERS)
        .max_buf_size(limits::REQUEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that hangs up or speaks no HTTP has harmed only itself.
    let _ = connection.await;
}
