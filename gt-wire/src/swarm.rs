//! Many peers and one torrent: everything that happens is an [`Input`],
//! everything to do an [`Output`].

mod input;
mod options;
mod output;

use std::time::Duration;

pub use input::{ConnId, Digests, Failure, Input, ReadId, Source};
pub use options::{Content, Options};
pub use output::{Event, Fault, Output, Reason, Totals};

use crate::bitfield::Bitfield;
use crate::geometry::Geometry;

/// One torrent's or topic's peers, without clock, socket, file or thread.
#[derive(Debug)]
pub struct Swarm {}

impl Swarm {
    /// Begins a swarm; its first [`poll`](Self::poll) announces.
    pub fn new(_options: Options) -> Self {
        unimplemented!()
    }

    /// Takes one thing that happened at `now`, a time since an arbitrary
    /// start that never goes back.
    pub fn handle(&mut self, _now: Duration, _input: Input) {
        unimplemented!()
    }

    /// Returns the next thing to do; [`Output::Wait`] when there is none.
    pub fn poll(&mut self) -> Output {
        unimplemented!()
    }

    /// Returns the layout, with the piece layers learnt so far.
    pub fn geometry(&self) -> Option<&Geometry> {
        unimplemented!()
    }

    /// Returns the verified pieces.
    pub fn have(&self) -> Option<&Bitfield> {
        unimplemented!()
    }

    /// Returns the figures so far.
    pub fn totals(&self) -> Totals {
        unimplemented!()
    }

    /// Returns the figures of each open connection, by name.
    pub fn peers(&self) -> Vec<PeerStats> {
        unimplemented!()
    }

    /// Tells whether every wanted file was accepted.
    pub fn is_complete(&self) -> bool {
        unimplemented!()
    }
}

/// Figures of one connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Its name.
    pub conn: ConnId,
    /// The other end.
    pub addr: std::net::SocketAddr,
    /// The peer, once it has said.
    pub peer_id: Option<crate::PeerId>,
    /// Its client's name.
    pub client: Option<String>,
    /// Bytes of blocks sent to it.
    pub uploaded: u64,
    /// Bytes of blocks received from it.
    pub downloaded: u64,
    /// Pieces that it says it has.
    pub pieces: u32,
    /// Requests that it has not answered.
    pub outstanding: usize,
}
