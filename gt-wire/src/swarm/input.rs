//! Everything that can happen to a swarm.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::Verdict;
use gt_vfs::content::Hash;

use super::mirrors::MirrorId;
use crate::geometry::{Block, FileIndex, PieceIndex};

/// The driver's name of a connection; never used twice in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// The swarm's name of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A connection stands. `outgoing` where it answers
    /// [`Output::Connect`](super::Output::Connect).
    Connected {
        /// The driver's name for it.
        conn: ConnId,
        /// The other end.
        addr: SocketAddr,
        /// Whether we asked for it.
        outgoing: bool,
    },
    /// An asked-for connection did not come about.
    ConnectFailed {
        /// The address of the request.
        addr: SocketAddr,
    },
    /// A connection that stands goes over UDP (BEP 29), so that its address is
    /// the one at which the peer is met; said after
    /// [`Connected`](Self::Connected).
    OverDatagrams {
        /// Which.
        conn: ConnId,
    },
    /// Bytes came; an incoming connection's first ones, by which the driver
    /// found this swarm, among them.
    Received {
        /// Where from.
        conn: ConnId,
        /// The bytes. Blocks are cut out of them without a copy.
        bytes: Bytes,
    },
    /// Bytes of earlier [`Output::Send`](super::Output::Send)s went to the
    /// socket. It is a difference and not a level, so that a report that was
    /// on its way while more was sent is still right.
    Sent {
        /// The connection.
        conn: ConnId,
        /// How many since the last report.
        bytes: usize,
    },
    /// A connection ended, except by
    /// [`Output::Disconnect`](super::Output::Disconnect), which needs no
    /// answer.
    Disconnected {
        /// The connection.
        conn: ConnId,
    },
    /// A read ended.
    BlockRead {
        /// Which.
        id: ReadId,
        /// Exactly the bytes of the block, or what failed.
        result: Result<Bytes, Failure>,
    },
    /// A write ended.
    Written {
        /// Which.
        block: Block,
        /// Its SHA-256, where the torrent is v2 alone and the driver has made
        /// it on the way, or what failed. Blocks without it are not given on
        /// before their piece is whole.
        result: Result<Option<Hash>, Failure>,
    },
    /// A piece was hashed.
    PieceHashed {
        /// Which.
        piece: PieceIndex,
        /// What [`Output::Hash`](super::Output::Hash) asked for.
        result: Result<Digests, Failure>,
    },
    /// A file was closed.
    FileClosed {
        /// Which.
        file: FileIndex,
        /// What the backend said of it.
        result: Result<Verdict, Failure>,
    },
    /// Addresses of peers became known. They are hints.
    Peers {
        /// The addresses.
        addrs: Vec<SocketAddr>,
        /// Who told.
        source: Source,
    },
    /// An [`Output::Fetch`](super::Output::Fetch) ended. A failure that is
    /// not passing is the end of the mirror.
    Fetched {
        /// Which was asked.
        mirror: MirrorId,
        /// For what.
        block: Block,
        /// Exactly the bytes of the block, or what failed.
        result: Result<Bytes, Failure>,
    },
    /// An [`Output::Announce`](super::Output::Announce) is through; the peers
    /// come by [`Input::Peers`].
    Announced {
        /// When to announce again; `None` where it failed.
        interval: Option<Duration>,
    },
    /// The caller has something to say by an extension of its own, one of
    /// [`Options::extensions`](super::Options::extensions). It is dropped
    /// where the peer does not understand the extension, and a connection
    /// whose queue it overfills ends.
    SendExtended {
        /// Whom to tell.
        conn: ConnId,
        /// The extension's name.
        name: String,
        /// What to say, at most [`MAX_EXTENDED`](crate::message::MAX_EXTENDED)
        /// bytes.
        payload: Bytes,
    },
    /// The caller finds that a peer has misbehaved in an extension.
    Ban {
        /// The peer.
        conn: ConnId,
        /// What it did, for people.
        why: String,
    },
    /// The caller wants a piece by a time, such as a reader that plays along:
    /// it comes before pieces that are wanted later or whenever.
    Want {
        /// Which.
        piece: PieceIndex,
        /// By when; `None` takes the wish back.
        by: Option<Duration>,
    },
    /// The caller wants no more: every connection ends, a last announce goes
    /// out, nothing more is asked for.
    Stop,
    /// Time has passed.
    Tick,
}

/// What the hashing of a piece gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// SHA-1 of the piece as v1 counts it, padding of a hybrid as zeros;
    /// where asked for.
    pub sha1: Option<[u8; 20]>,
    /// SHA-256 of each 16 KiB block (the last as short as it is), padding of
    /// a hybrid left out; empty where not asked for.
    pub leaves: Vec<Hash>,
}

/// What failed on our side: never a peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// Whether waiting may help, as with a full disk.
    pub passing: bool,
    /// What happened, for people.
    pub why: String,
}

impl Failure {
    /// Returns a failure that may pass.
    pub fn passing(why: impl Into<String>) -> Self {
        Self {
            passing: true,
            why: why.into(),
        }
    }

    /// Returns a failure that will stay.
    pub fn lasting(why: impl Into<String>) -> Self {
        Self {
            passing: false,
            why: why.into(),
        }
    }
}

impl Source {
    /// Tells whether it passes on what strangers told it.
    pub(crate) fn is_hint(self) -> bool {
        matches!(self, Self::Exchange | Self::Dht)
    }
}

/// Who told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The person: an address, a configuration, the command line.
    Person,
    /// A tracker or a list.
    Tracker,
    /// A neighbour on the local network.
    Neighbour,
    /// Another peer (BEP 11).
    Exchange,
    /// The distributed hash table (BEP 5).
    Dht,
    /// Another swarm of the same process, such as a repository's topic.
    Swarm,
}
