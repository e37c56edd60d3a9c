//! What a node tells: events, figures, and why a torrent was not taken.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use gt_vfs::{VPath, Verdict};

use crate::PeerId;
use crate::references;
use crate::swarm::{ConnId, PeerStats, Totals};

use super::TorrentId;

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
    /// A peer source failed, and is asked again later; or an HTTP source is
    /// not used any more.
    SourceFailed {
        /// Of which torrent.
        torrent: TorrentId,
        /// Why, for people.
        why: String,
    },
    /// Something about a repository that peers share with us: `Shared`,
    /// `Have`, `Want`, `Pack` or `Crowded`.
    References(references::Output),
    /// An info dictionary came from a peer and fits the torrent's hash (see
    /// [`Torrent::fetch_info`](super::Torrent::fetch_info)).
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
    /// Bytes of blocks a second that go out, and that come in, of late.
    pub rates: Rates,
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
    /// HTTP sources.
    pub mirrors: Vec<MirrorRow>,
    /// Who is asked for peers, and what they last said.
    pub sources: Vec<SourceRow>,
}

impl Stats {
    /// Returns how many bytes went out for each that came in; `None` where
    /// none came.
    pub fn ratio(&self) -> Option<f64> {
        let down = self.totals.downloaded;
        (down > 0).then(|| self.totals.uploaded as f64 / down as f64)
    }
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rates {
    /// Sent.
    pub up: f64,
    /// Received.
    pub down: f64,
}

/// What somebody who knows peers last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceRow {
    /// Its name: a URL, a list, the distributed hash table.
    pub name: String,
    /// Peers in its last answer; `None` before the first.
    pub peers: Option<usize>,
    /// Why it last failed, unless it has answered since.
    pub failed: Option<String>,
}

/// What came from one HTTP source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorRow {
    /// Its URL.
    pub url: String,
    /// Bytes that came from it.
    pub got: u64,
    /// Whether it is not used any more: it lied, or was of no use.
    pub given_up: bool,
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
