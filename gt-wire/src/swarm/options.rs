//! What a swarm is told when it begins.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use crate::bitfield::Bitfield;
use crate::geometry::{FileIndex, Geometry};
use crate::{InfoHash, PeerId};

/// What a swarm is about and how it shall behave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Who we are.
    pub peer_id: PeerId,
    /// The name by which we connect; cut to 20 bytes for v2.
    pub info_hash: InfoHash,
    /// The other name of a hybrid torrent, which is understood too.
    pub other_hash: Option<InfoHash>,
    /// Where chance begins; the same seed and inputs give the same outputs.
    pub seed: u64,
    /// What to exchange; `None` for a topic swarm, in which only handshakes
    /// and extension messages are spoken.
    pub content: Option<Content>,
    /// The info dictionary to serve to magnet links (BEP 9).
    pub info: Option<Bytes>,
    /// Whether a swarm without content asks its peers for the info dictionary.
    pub fetch_info: bool,
    /// The caller's own extensions, by name, such as `gt_references`.
    pub extensions: Vec<String>,
    /// Whether the torrent is private: peers come from its trackers and from
    /// nowhere else (BEP 27).
    pub private: bool,
    /// How many HTTP sources there are; the driver knows them by their
    /// number (BEP 19).
    pub mirrors: usize,
    /// Whether peers tell each other of peers (BEP 11).
    pub exchange: bool,
    /// Whether peers that nobody can reach are met through others (BEP 55):
    /// the driver must be able to do [`Output::Punch`](super::Output::Punch).
    pub punch: bool,
    /// Where we listen, told in the extension handshake.
    pub port: Option<u16>,
    /// Our client's name in the extension handshake.
    pub client: String,
    /// The most connections at a time.
    pub connections: usize,
    /// Connections that we open ourselves until there are this many.
    pub outgoing: usize,
    /// Whether peers of our own kind are served by turns (`gt_turn`), and
    /// take them.
    pub turns: bool,
    /// Whether a seed goes on showing no more than it hands out (BEP 16),
    /// however few come and whoever else has everything.
    pub super_seed: bool,
    /// Peers that are served at a time by ordinary slots; with 0 nothing is
    /// given at all, by turns neither.
    pub slots: usize,
    /// The share of the content that an origin may send beyond one copy
    /// before it leaves repairs to the peers (SWARM: `extra_F`).
    pub extra: f64,
    /// Bytes that may wait in the driver for one connection.
    pub send_window: usize,
    /// When a connection on which nothing was exchanged ends.
    pub idle: Duration,
}

impl Options {
    /// Returns options with the defaults of this crate and no content.
    pub fn new(peer_id: PeerId, info_hash: InfoHash, seed: u64) -> Self {
        Self {
            peer_id,
            info_hash,
            other_hash: None,
            seed,
            content: None,
            info: None,
            fetch_info: false,
            extensions: Vec::new(),
            private: false,
            mirrors: 0,
            exchange: true,
            punch: false,
            port: None,
            client: concat!("gittorrent ", env!("CARGO_PKG_VERSION")).to_owned(),
            connections: 80,
            outgoing: 40,
            turns: true,
            super_seed: false,
            slots: 4,
            extra: 0.05,
            send_window: 256 * 1024,
            idle: Duration::from_secs(240),
        }
    }
}

/// What is exchanged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Content {
    /// Pieces, files, and what they are checked against.
    pub geometry: Geometry,
    /// Pieces that were verified before; they are believed.
    pub have: Bitfield,
    /// Files that were closed and accepted before.
    pub closed: BTreeSet<FileIndex>,
    /// Files that are wanted; padding counts for nothing.
    pub wanted: BTreeSet<FileIndex>,
    /// Whether a file is closed only after every wanted file before it was.
    pub close_in_order: bool,
    /// Whether pieces are asked for in order and not rarest first.
    pub sequential: bool,
}

impl Content {
    /// Returns content of which nothing is there and everything is wanted.
    pub fn new(geometry: Geometry) -> Self {
        let files = 0..geometry.files().len() as u32;
        Self {
            have: Bitfield::empty(geometry.pieces()),
            closed: BTreeSet::new(),
            wanted: files.map(FileIndex).collect(),
            close_in_order: false,
            sequential: false,
            geometry,
        }
    }

    /// Returns content that is there whole: a seed's.
    pub fn whole(geometry: Geometry) -> Self {
        let files = 0..geometry.files().len() as u32;
        Self {
            have: Bitfield::full(geometry.pieces()),
            closed: files.map(FileIndex).collect(),
            ..Self::new(geometry)
        }
    }
}
