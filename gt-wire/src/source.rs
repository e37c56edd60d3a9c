//! Where peers are learnt: the door that trackers, lists and neighbours fill.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use crate::swarm::Source;
use crate::{InfoHash, PeerId};

/// A future that a [`PeerSource`] returns.
pub type Announcing<'a> = Pin<Box<dyn Future<Output = Result<Announced, SourceError>> + Send + 'a>>;

/// Somebody who knows peers of a torrent: a tracker, a static list, a
/// neighbourhood.
pub trait PeerSource: Send + Sync {
    /// Says that we take part and asks who else does.
    ///
    /// The future ends within a bounded time, with a reason if it failed.
    fn announce(&self, announce: Announce) -> Announcing<'_>;

    /// Returns a name to show to people: a URL, `peer list`, …
    fn name(&self) -> String;

    /// Returns what is made of its addresses: a tracker's, unless it says
    /// otherwise. A source that passes on what strangers say is not asked
    /// about private torrents (BEP 27).
    fn kind(&self) -> Source {
        Source::Tracker
    }
}

/// What a peer says of itself in one torrent (BEP 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The torrent, cut to 20 bytes for v2.
    pub info_hash: InfoHash,
    /// Who we are.
    pub peer_id: PeerId,
    /// Where we listen.
    pub port: u16,
    /// Bytes of payload sent since [`Event::Started`].
    pub uploaded: u64,
    /// Bytes of payload received since [`Event::Started`].
    pub downloaded: u64,
    /// Bytes still missing.
    pub left: u64,
    /// What happened, if anything did.
    pub event: Option<Event>,
    /// How many peers we want; `None` leaves it to the source.
    pub want: Option<u32>,
}

/// What an announce is about (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first announce of a torrent.
    Started,
    /// The last piece arrived; never sent by a seed that began complete.
    Completed,
    /// The last announce.
    Stopped,
}

/// What a source answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// When to announce again.
    pub interval: Duration,
    /// When to announce again at the earliest.
    pub min_interval: Option<Duration>,
    /// Peers, without ourselves where the source could tell.
    pub peers: Vec<SocketAddr>,
    /// Peers that have everything, where told.
    pub complete: Option<u64>,
    /// Peers that lack something, where told.
    pub incomplete: Option<u64>,
    /// A remark for the person.
    pub warning: Option<String>,
}

/// Why a source gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It could not be reached, or not in time.
    #[error("{source_name} cannot be reached: {why}")]
    Unreachable {
        /// The source's name.
        source_name: String,
        /// What happened.
        why: String,
    },
    /// It answered with a refusal of its own.
    #[error("{source_name} refuses: {why}")]
    Refused {
        /// The source's name.
        source_name: String,
        /// Its words.
        why: String,
    },
    /// Its answer makes no sense.
    #[error("{source_name} answered nonsense: {why}")]
    Malformed {
        /// The source's name.
        source_name: String,
        /// What was expected and what came.
        why: String,
    },
}
