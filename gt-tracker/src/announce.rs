//! An announce and its answer, as values; [`Request`] and [`Answer`] also
//! write and read the forms that HTTP trackers use (BEP 3, 7, 23).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gt_wire::PeerId;
use gt_wire::source::{Announce, Announced};

/// What a peer asks a tracker: the announce and how it wants to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// What the peer says of itself.
    pub announce: Announce,
    /// The form of the answer; `None` leaves it to the tracker (BEP 23).
    pub compact: Option<bool>,
    /// Asks for dictionaries without peer ids (BEP 3).
    pub no_peer_id: bool,
    /// Proves to the tracker that a peer whose address changed is the same.
    pub key: Option<Vec<u8>>,
    /// What the tracker called itself in its last answer, echoed.
    pub tracker_id: Option<Vec<u8>>,
    /// Where the peer says it is; trackers have reasons not to believe it.
    pub ip: Option<IpAddr>,
}

/// What a tracker answers to an announce.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Peers, and when to come again.
    Peers(Peers),
    /// The tracker refuses, in its own words.
    Failure(String),
}

/// The answer of a tracker that is willing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peers {
    /// When to announce again.
    pub interval: Duration,
    /// When to announce again at the earliest.
    pub min_interval: Option<Duration>,
    /// Peers that have everything.
    pub complete: Option<u64>,
    /// Peers that lack something.
    pub incomplete: Option<u64>,
    /// To be echoed in the next announce.
    pub tracker_id: Option<Vec<u8>>,
    /// A remark for the person.
    pub warning: Option<String>,
    /// The peers, IPv4 and IPv6 in one list.
    pub peers: Vec<Peer>,
}

/// One peer in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who it is; compact answers do not tell.
    pub id: Option<PeerId>,
}

/// How peers are written into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// 6 bytes a peer (BEP 23), 18 for IPv6 (BEP 7).
    Compact,
    /// A dictionary each (BEP 3).
    Dictionaries {
        /// Whether the ids are in it.
        ids: bool,
    },
}
impl From<Peers> for Announced {
    fn from(_: Peers) -> Self {
        unimplemented!()
    }
}
