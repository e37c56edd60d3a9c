//! What a node is asked to exchange.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use gt_vfs::Vfs;

use super::Limits;
use crate::geometry::{FileIndex, Geometry};
use crate::mirror::Mirror;
use crate::{Info, InfoHash, PeerSource};

/// The node's name of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentId(pub(super) u64);

/// A torrent, or a topic in which only extension messages are spoken.
#[derive(Clone)]
#[non_exhaustive]
pub struct Torrent {
    /// The name by which we connect.
    pub info_hash: InfoHash,
    /// The other name of a hybrid.
    pub other_hash: Option<InfoHash>,
    /// What to exchange; `None` for a topic.
    pub content: Option<Content>,
    /// The info dictionary, given to those who only know its hash (BEP 9).
    pub info: Option<Bytes>,
    /// Whether peers come from the trackers alone (BEP 27).
    pub private: bool,
    /// Whether a topic asks its peers for the info dictionary.
    pub fetch_info: bool,
    /// Whether a seed never shows more than it hands out (BEP 16), however few
    /// come and whoever else has everything.
    pub super_seed: bool,
    /// HTTP sources (BEP 19).
    pub mirrors: Vec<Mirror>,
    /// Who knows peers.
    pub sources: Vec<Arc<dyn PeerSource>>,
    /// How fast its bytes may go.
    pub limits: Limits,
}

impl Torrent {
    /// Returns a topic: a swarm in which nothing but extensions is spoken.
    pub fn topic(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            other_hash: None,
            content: None,
            info: None,
            private: false,
            fetch_info: false,
            super_seed: false,
            mirrors: Vec::new(),
            sources: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Returns a torrent whose files lie, or shall lie, in `vfs`.
    pub fn new(info: &Info, vfs: Arc<dyn Vfs>) -> Self {
        let hashes = info.info_hashes();
        let mut hashes = hashes.into_iter();
        Self {
            info_hash: hashes.next().expect("an info dictionary has a hash"),
            other_hash: hashes.next(),
            content: Some(Content::new(info.geometry().clone(), vfs)),
            info: Some(Bytes::copy_from_slice(info.raw())),
            private: info.is_private(),
            fetch_info: false,
            super_seed: false,
            mirrors: Vec::new(),
            sources: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Returns the torrent with one more HTTP source.
    #[must_use]
    pub fn mirror(mut self, mirror: Mirror) -> Self {
        self.mirrors.push(mirror);
        self
    }

    /// Returns the torrent with one more that knows peers.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn PeerSource>) -> Self {
        self.sources.push(source);
        self
    }
}

impl fmt::Debug for Torrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Torrent({:?})", self.info_hash)
    }
}

/// What a torrent exchanges and where it lies.
#[derive(Clone)]
#[non_exhaustive]
pub struct Content {
    /// Pieces and files.
    pub geometry: Geometry,
    /// Where the files lie.
    pub vfs: Arc<dyn Vfs>,
    /// The files that are wanted; `None` for all.
    pub wanted: Option<BTreeSet<FileIndex>>,
    /// Whether a file is closed only after every wanted one before it.
    pub close_in_order: bool,
    /// Whether pieces are fetched in order and not rarest first.
    pub sequential: bool,
}

impl Content {
    /// Returns content that is wanted whole, closed in any order.
    pub fn new(geometry: Geometry, vfs: Arc<dyn Vfs>) -> Self {
        Self {
            geometry,
            vfs,
            wanted: None,
            close_in_order: false,
            sequential: false,
        }
    }
}
