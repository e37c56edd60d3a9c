//! The driver: sockets, disk and time round the swarms, on tokio.
//!
//! It decides nothing. One task owns every swarm; sockets, files and peer
//! sources run beside it and tell it what happened, and what a swarm wants
//! done is handed back to them.

mod torrent;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use gt_vfs::{VPath, Verdict};
use tokio::sync::mpsc;

use crate::PeerId;
use crate::references::Rid;
use crate::swarm::{ConnId, PeerStats, Totals};

pub use torrent::{Content, Torrent, TorrentId};

/// How a node shall run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where to listen; port 0 picks a free one. None: only outgoing
    /// connections.
    pub listen: Vec<SocketAddr>,
    /// Where chance begins: the peer id and the choices of swarms. Give
    /// random bytes; a test gives a constant.
    pub seed: [u8; 32],
    /// Where to note which pieces were verified; without it every start
    /// hashes what is there.
    pub resume: Option<PathBuf>,
    /// The most connections of all torrents together.
    pub connections: usize,
    /// Disk work that may run at a time.
    pub disk_jobs: usize,
    /// Changes the options of each swarm before it begins.
    pub tune: fn(&mut crate::swarm::Options),
}

impl Options {
    /// Returns options that listen nowhere and keep no resume data.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            listen: Vec::new(),
            seed,
            resume: None,
            connections: 500,
            disk_jobs: 8,
            tune: |_| {},
        }
    }

    /// Returns options that listen at `addr` too.
    #[must_use]
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen.push(addr);
        self
    }

    /// Returns options that keep resume data in a folder, which is made.
    #[must_use]
    pub fn resume(self, folder: impl Into<PathBuf>) -> Self {
        Self {
            resume: Some(folder.into()),
            ..self
        }
    }
}

/// A running node: a handle that can be cloned. When the last one is dropped
/// the node stops, without flushing; see [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct Node {}

impl Node {
    /// Binds and begins, in the tokio runtime of the caller.
    ///
    /// # Errors
    /// Where an address cannot be bound, or the resume folder not be made.
    pub fn start(_options: Options) -> io::Result<Self> {
        unimplemented!()
    }

    /// Returns the first address that it listens at.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        unimplemented!()
    }

    /// Returns who it is.
    pub fn peer_id(&self) -> PeerId {
        unimplemented!()
    }

    /// Checks what is on the disk and begins to exchange a torrent, or to
    /// talk in a topic.
    ///
    /// # Errors
    /// See [`AddError`].
    pub async fn add(&self, _torrent: Torrent) -> Result<TorrentId, AddError> {
        unimplemented!()
    }

    /// Tells a torrent of peers that the person named.
    pub fn add_peers(&self, _torrent: TorrentId, _addrs: &[SocketAddr]) {
        unimplemented!()
    }

    /// Ends a torrent: its connections, after a last announce and a flush of
    /// its resume data. Files stay.
    pub async fn remove(&self, _torrent: TorrentId) {
        unimplemented!()
    }

    /// Returns the figures of a torrent.
    pub async fn stats(&self, _torrent: TorrentId) -> Option<Stats> {
        unimplemented!()
    }

    /// Looks for peers that follow a repository, on every connection.
    pub fn follow(&self, _rid: Rid) {
        unimplemented!()
    }

    /// Stops to follow a repository.
    pub fn unfollow(&self, _rid: Rid) {
        unimplemented!()
    }

    /// Tells a peer of a head. Dropped where the repository is not shared.
    pub fn send_have(&self, _conn: ConnId, _rid: Rid, _bytes: Bytes) {
        unimplemented!()
    }

    /// Asks a peer for a pack.
    pub fn send_want(&self, _conn: ConnId, _rid: Rid, _bytes: Bytes) {
        unimplemented!()
    }

    /// Answers a want, with a small reel where there is one.
    pub fn send_pack(&self, _conn: ConnId, _rid: Rid, _pack: Bytes, _reel: Option<Bytes>) {
        unimplemented!()
    }

    /// Ends a connection for what its peer said in an extension; the address
    /// is not used again.
    pub fn ban(&self, _conn: ConnId, _why: &str) {
        unimplemented!()
    }

    /// Returns what happens from now on. A receiver that falls far behind is
    /// closed; progress is left out first.
    pub fn events(&self) -> mpsc::Receiver<Event> {
        unimplemented!()
    }

    /// Stops: last announces, resume data flushed, connections closed, all
    /// within ten seconds.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A peer's handshake and extension handshake came.
    PeerConnected {
        /// In which torrent.
        torrent: TorrentId,
        /// The connection; no two of a node have the same name.
        conn: ConnId,
        /// The other end.
        addr: SocketAddr,
        /// Who it is.
        peer_id: PeerId,
    },
    /// A connection ended.
    PeerDisconnected {
        /// In which torrent.
        torrent: TorrentId,
        /// The connection.
        conn: ConnId,
        /// The other end.
        addr: SocketAddr,
        /// Why, for people.
        why: String,
    },
    /// A peer was caught in a lie.
    Banned {
        /// In which torrent.
        torrent: TorrentId,
        /// Its address.
        addr: SocketAddr,
        /// What proves it, for people.
        why: String,
    },
    /// Pieces came in.
    Progress {
        /// Of which torrent.
        torrent: TorrentId,
        /// Verified pieces.
        have: u32,
        /// All pieces.
        pieces: u32,
    },
    /// A file came whole and was closed.
    FileClosed {
        /// Of which torrent.
        torrent: TorrentId,
        /// Which file.
        path: VPath,
        /// What the store said of it.
        verdict: Verdict,
    },
    /// Every wanted file was accepted.
    Complete {
        /// Which torrent.
        torrent: TorrentId,
    },
    /// A torrent cannot be completed.
    Failed {
        /// Which torrent.
        torrent: TorrentId,
        /// Why, for people.
        why: String,
    },
    /// The disk refuses; nothing is asked for until it takes bytes again.
    Stalled {
        /// Which torrent.
        torrent: TorrentId,
        /// Why, for people.
        why: String,
    },
    /// A peer source failed; it is asked again later.
    SourceFailed {
        /// Of which torrent.
        torrent: TorrentId,
        /// Why, for people.
        why: String,
    },
    /// Something about a repository that peers share with us: `Shared`,
    /// `Have`, `Want`, `Pack` or `Crowded`.
    References(crate::references::Output),
    /// An info dictionary came from a peer and fits the torrent's hash (see
    /// [`Torrent::fetch_info`]).
    Metadata {
        /// Which torrent.
        torrent: TorrentId,
        /// The dictionary.
        info: Bytes,
    },
}

/// Figures of one torrent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of payload in both directions, left, and wasted.
    pub totals: Totals,
    /// Open connections and those that ended, one row for each peer address:
    /// what each gave and got.
    pub peers: Vec<PeerRow>,
    /// Open connections as the swarm sees them.
    pub connected: Vec<PeerStats>,
    /// Verified pieces.
    pub have: u32,
    /// All pieces; 0 for a topic.
    pub pieces: u32,
    /// Whether every wanted file was accepted.
    pub complete: bool,
    /// Addresses that were caught in a lie.
    pub banned: Vec<SocketAddr>,
}

/// What one peer gave and got, over all its connections in one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerRow {
    /// Its address.
    pub addr: SocketAddr,
    /// Who it is, where it said.
    pub peer_id: Option<PeerId>,
    /// Bytes of blocks that we got from it.
    pub got: u64,
    /// Bytes of blocks that we gave it.
    pub given: u64,
}

/// Why a torrent cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It is there already.
    #[error("the torrent is there already")]
    Twice,
    /// A whole file lies where another one should.
    #[error("{path} is a whole file of other content than the torrent's")]
    Occupied {
        /// Which.
        path: VPath,
    },
    /// What is on the disk cannot be read.
    #[error("cannot read what is there: {0}")]
    Io(#[from] io::Error),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}
