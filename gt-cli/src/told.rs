//! What happens while a repository is followed, as values and as lines of JSON.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// The node listens.
    Listening {
        /// Where.
        address: SocketAddr,
        /// Its id as a peer, hexadecimal.
        id: String,
    },
    /// What came of asking the router for a port, in words.
    Router(String),
    /// A peer that follows the repository too is connected.
    Follower(SocketAddr),
    /// A statement was accepted.
    Statement {
        /// Its sequence.
        sequence: u64,
        /// For how many seconds it has been expired, if it is.
        stale: Option<u64>,
        /// Who sent it; `None` where it was found in the repository.
        from: Option<SocketAddr>,
    },
    /// The first statement of a new charter goes back behind what was held.
    Shortened {
        /// The epoch of the charter.
        epoch: u64,
    },
    /// A peer says that what we hold is the newest.
    Confirmed(SocketAddr),
    /// Something that a peer said was refused.
    Refused {
        /// Who said it.
        from: SocketAddr,
        /// Why.
        why: String,
    },
    /// A text that waits for seals, or holds, has more of them than before.
    Gathered {
        /// A charter, or else a statement.
        charter: bool,
        /// Its epoch.
        epoch: u64,
        /// Its sequence; 0 for a charter.
        sequence: u64,
        /// Its identity, by which it is endorsed.
        identity: String,
        /// How many delegates have sealed it, as far as is known.
        seals: usize,
        /// Whether it holds; else it is a proposal.
        holds: bool,
    },
    /// Pieces arrived.
    Progress {
        /// Pieces verified.
        have: u64,
        /// Pieces in all.
        total: u64,
        /// Bytes received since the transfer began.
        bytes: u64,
    },
    /// A reel was verified and taken in.
    Reel(String),
    /// A reel was made here by its recipe, and not fetched.
    Made(String),
    /// Everything of a statement is here.
    Complete {
        /// Its sequence.
        sequence: u64,
    },
    /// The refs of the mirror are those of the statement.
    Refs {
        /// Its sequence.
        sequence: u64,
        /// How many refs moved.
        moved: usize,
    },
    /// Who gave and who got, as figures change.
    Traffic(Traffic),
    /// A snapshot cannot be completed: its publisher's fault, or the disk's.
    Failed(String),
    /// The transfer waits for something that may pass, such as disk space.
    Stalled(String),
}

/// Payload that went over the wire for one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Sequence of the statement.
    pub sequence: u64,
    /// Bytes sent.
    pub uploaded: u64,
    /// Bytes received.
    pub downloaded: u64,
    /// Each peer: where it listens or came from, what it gave us, what it got.
    pub peers: Vec<PeerTraffic>,
}

/// Payload that one peer gave and got.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerTraffic {
    /// Its id as a peer, hexadecimal.
    pub id: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Bytes it gave us.
    pub gave: u64,
    /// Bytes it got from us.
    pub got: u64,
}

impl Told {
    /// Returns the line that `--json` prints; `at` is in Unix milliseconds.
    pub fn to_json(&self, at: u64) -> Value {
        let mut value = match self {
            Self::Listening { address, id } => {
                json!({"event": "listening", "address": address.to_string(), "id": id})
            }
            Self::Router(said) => json!({"event": "router", "said": said}),
            Self::Follower(address) => json!({"event": "follower", "address": address.to_string()}),
            Self::Statement {
                sequence,
                stale,
                from,
            } => json!({
                "event": "statement", "sequence": sequence, "stale": stale,
                "from": from.map(|a| a.to_string()),
            }),
            Self::Shortened { epoch } => json!({"event": "shortened", "epoch": epoch}),
            Self::Confirmed(address) => {
                json!({"event": "confirmed", "address": address.to_string()})
            }
            Self::Refused { from, why } => {
                json!({"event": "refused", "from": from.to_string(), "why": why})
            }
            Self::Gathered {
                charter,
                epoch,
                sequence,
                identity,
                seals,
                holds,
            } => json!({
                "event": if *holds { "sealed" } else { "proposal" },
                "kind": if *charter { "charter" } else { "statement" },
                "epoch": epoch, "sequence": sequence, "identity": identity, "seals": seals,
            }),
            Self::Progress { have, total, bytes } => {
                json!({"event": "progress", "have": have, "total": total, "bytes": bytes})
            }
            Self::Reel(name) => json!({"event": "reel", "name": name}),
            Self::Made(name) => json!({"event": "made", "name": name}),
            Self::Complete { sequence } => json!({"event": "complete", "sequence": sequence}),
            Self::Refs { sequence, moved } => {
                json!({"event": "refs", "sequence": sequence, "moved": moved})
            }
            Self::Traffic(traffic) => json!({
                "event": "traffic",
                "sequence": traffic.sequence,
                "uploaded": traffic.uploaded,
                "downloaded": traffic.downloaded,
                "peers": traffic.peers.iter().map(|p| json!({
                    "id": p.id, "address": p.address.to_string(), "gave": p.gave, "got": p.got,
                })).collect::<Vec<_>>(),
            }),
            Self::Failed(why) => json!({"event": "failed", "why": why}),
            Self::Stalled(why) => json!({"event": "stalled", "why": why}),
        };
        value["at"] = at.into();
        value
    }
}
