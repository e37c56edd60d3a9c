//! A tracker that people can run.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use crate::registry;

/// A tracker over HTTP: `/announce`, `/scrape`, and `/` for people.
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// Binds to an address; port 0 lets the system choose.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(_address: SocketAddr, _options: Options) -> io::Result<Self> {
        unimplemented!()
    }

    /// Returns where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Serves until `shutdown` ends, then lets the running answers finish.
    pub async fn run(self, _shutdown: impl Future<Output = ()> + Send) {
        unimplemented!()
    }
}

/// What a server does with strangers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The registry's own.
    pub registry: registry::Options,
    /// Believes the `ip` of a query that comes from a loopback or private
    /// address.
    pub ip_from_private: bool,
}
