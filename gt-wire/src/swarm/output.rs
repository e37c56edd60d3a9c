//! Everything that a swarm wants done, and everything it tells.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::input::{ConnId, Failure, ReadId};
use super::mirrors::MirrorId;
use crate::PeerId;
use crate::extended::Extensions;
use crate::geometry::{Block, FileIndex, PieceIndex};
use crate::source;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Connect, and say [`Input::Connected`](super::Input::Connected) or
    /// [`Input::ConnectFailed`](super::Input::ConnectFailed) within a bounded
    /// time.
    Connect {
        /// Where to.
        addr: SocketAddr,
    },
    /// Connect to a peer that connects to us at this moment, both through
    /// routers that let nobody in (BEP 55): over UDP, trying on for some
    /// seconds. Answered as [`Connect`](Self::Connect); both may be under way
    /// to one address. Only where [`Options::punch`](super::Options::punch).
    Punch {
        /// Where to.
        addr: SocketAddr,
    },
    /// Send these bytes after those before, and report by
    /// [`Input::Sent`](super::Input::Sent).
    Send {
        /// The connection.
        conn: ConnId,
        /// The bytes; a block is lent as it was read.
        bytes: Bytes,
    },
    /// End a connection after what was to be sent. Its name means nothing to
    /// the swarm from here on.
    Disconnect {
        /// The connection.
        conn: ConnId,
        /// Why.
        why: Reason,
    },
    /// Read a block for a peer; answer
    /// [`Input::BlockRead`](super::Input::BlockRead).
    Read {
        /// The name of the answer.
        id: ReadId,
        /// What to read; padding of a hybrid reads as zeros.
        block: Block,
    },
    /// Write a block that came; answer [`Input::Written`](super::Input::Written).
    Write {
        /// Where.
        block: Block,
        /// The bytes; those of padding go nowhere.
        bytes: Bytes,
    },
    /// Hash a piece, every block of which was written; answer
    /// [`Input::PieceHashed`](super::Input::PieceHashed).
    Hash {
        /// Which.
        piece: PieceIndex,
        /// Whether its SHA-1 is wanted.
        sha1: bool,
        /// Whether the SHA-256 of its blocks are.
        leaves: bool,
    },
    /// Close a file whose every piece was verified; answer
    /// [`Input::FileClosed`](super::Input::FileClosed). Asked again after an
    /// error.
    CloseFile {
        /// Which; never padding.
        file: FileIndex,
    },
    /// Fetch a block from an HTTP source (BEP 19); answer
    /// [`Input::Fetched`](super::Input::Fetched) within a bounded time.
    /// Blocks that lie side by side are asked for one after the other, and
    /// should be asked of the server as one range.
    Fetch {
        /// Which source.
        mirror: MirrorId,
        /// What to fetch; padding of a hybrid is zeros that no server has.
        block: Block,
    },
    /// A block is not needed any more. An answer may come and is not awaited.
    Unfetch {
        /// Which source.
        mirror: MirrorId,
        /// What not to fetch.
        block: Block,
    },
    /// Tell trackers and ask for peers; answer
    /// [`Input::Announced`](super::Input::Announced) when all have answered.
    Announce {
        /// What it is about.
        event: Option<source::Event>,
        /// Figures for it.
        totals: Totals,
        /// How many peers are wanted.
        want: u32,
    },
    /// A peer said something by an extension of the caller's.
    Extended {
        /// Who.
        conn: ConnId,
        /// The extension.
        name: String,
        /// What.
        payload: Bytes,
    },
    /// A peer's extension handshake came, the first or another. A peer
    /// without the extension protocol is never ready.
    PeerReady {
        /// The connection.
        conn: ConnId,
        /// The peer's id.
        peer_id: PeerId,
        /// What it said.
        extensions: Extensions,
    },
    /// Something that the caller may want to know.
    Event(Event),
    /// Nothing more to do before this time, unless something happens.
    Wait(Duration),
}

/// Figures of a torrent, as announces carry them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of blocks sent.
    pub uploaded: u64,
    /// Bytes of blocks received, wasted ones counted.
    pub downloaded: u64,
    /// Bytes of wanted pieces not verified yet.
    pub left: u64,
    /// Bytes received that were of no use: duplicates and lies.
    pub wasted: u64,
}

/// Something that happened inside.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A piece was verified and is on the disk; a resume file may say so. A
    /// piece that was proven by itself before its piece layer was known is told
    /// of when the layer is: after a restart nothing else would prove it.
    PieceDone(PieceIndex),
    /// A piece did not have its hash; its blocks are asked for again.
    PieceFailed(PieceIndex),
    /// A file's piece layer was learnt from peers and checked; see
    /// [`Swarm::geometry`](super::Swarm::geometry).
    LayerLearnt(FileIndex),
    /// A file was accepted.
    FileDone(FileIndex),
    /// Every wanted file was accepted.
    Complete,
    /// The torrent cannot be completed: a publisher's fault, never a peer's.
    Failed(Fault),
    /// The disk refused; the swarm asks for nothing and tries again at the
    /// given time, or gives up where that cannot help.
    Stalled {
        /// What failed.
        failure: Failure,
        /// When it goes on.
        until: Option<Duration>,
    },
    /// Bytes that we should have could not be read for a peer.
    ReadFailed {
        /// Where they should be.
        piece: PieceIndex,
        /// What failed.
        failure: Failure,
    },
    /// A peer that cannot be mistaken was caught; its address is not used
    /// again.
    Banned {
        /// Its address.
        addr: SocketAddr,
        /// What proves it.
        why: Reason,
    },
    /// An info dictionary came whole from a peer. It is unchecked: the
    /// caller compares its hash, and says [`Input::Ban`](super::Input::Ban)
    /// where it differs.
    Metadata {
        /// Who sent it.
        conn: ConnId,
        /// The dictionary.
        info: Bytes,
    },
    /// An HTTP source is not used any more: it sent wrong bytes, proven, or
    /// nothing of use.
    MirrorGone {
        /// Which.
        mirror: MirrorId,
        /// Why, for people.
        why: String,
    },
    /// A connection ended, whoever ended it.
    PeerGone {
        /// The connection.
        conn: ConnId,
        /// The other end.
        addr: SocketAddr,
        /// Why.
        why: Reason,
    },
}

/// Why a torrent cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A file of verified bytes was refused.
    #[error("file {file} was rejected: {why}")]
    Rejected {
        /// Which.
        file: FileIndex,
        /// The backend's words.
        why: String,
    },
    /// The v1 and v2 halves of a hybrid do not say the same.
    #[error("piece {piece} fits one half of the hybrid torrent and not the other")]
    Divergent {
        /// Which.
        piece: PieceIndex,
    },
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The other end, or the network.
    #[error("closed by the other end")]
    Closed,
    /// We stopped.
    #[error("stopped")]
    Stopped,
    /// It is ourselves.
    #[error("connected to ourselves")]
    Ourselves,
    /// Another connection to the same peer stays.
    #[error("connected twice")]
    Twice,
    /// No room.
    #[error("too many connections")]
    Full,
    /// No room, and another is to be preferred (BEP 40).
    #[error("gave way to another")]
    GaveWay,
    /// Both have everything.
    #[error("nothing to exchange")]
    Idle,
    /// Nothing came for too long.
    #[error("nothing came within {0:?}")]
    Silent(Duration),
    /// It did not take what we sent.
    #[error("it does not read what is sent")]
    Stuffed,
    /// It broke the protocol.
    #[error("broke the protocol: {0}")]
    Protocol(String),
    /// It was banned before.
    #[error("banned")]
    Banned,
    /// It sent wrong bytes, proven.
    #[error("sent wrong bytes in piece {0}")]
    WrongBytes(PieceIndex),
    /// It sent hashes that do not lead to their root.
    #[error("sent hashes that do not lead to their root")]
    WrongHashes,
    /// The caller's judgement.
    #[error("{0}")]
    Caller(String),
}

impl Reason {
    /// Tells whether the reason is proof of a lie, so that the address is
    /// banned.
    pub fn is_proof(&self) -> bool {
        matches!(
            self,
            Self::WrongBytes(_) | Self::WrongHashes | Self::Caller(_)
        )
    }
}
