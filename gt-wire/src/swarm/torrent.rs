//! What is exchanged: the pieces we have, want, and are putting together.

use std::time::Duration;

use super::chance::Chance;
use super::files::Files;
use super::layers::Layers;
use super::leaves::Leaves;
use super::options::Content;
use super::picker::Picker;
use super::pieces::Partial;
use super::promises::Promises;
use super::proof::Proofs;
use super::sorted::Sorted;
use super::verify::Suspects;
use crate::bitfield::Bitfield;
use crate::geometry::{Geometry, Layer, PieceHash, PieceIndex};

/// State of the content.
#[derive(Debug)]
pub(super) struct Torrent {
    pub(super) geometry: Geometry,
    pub(super) have: Bitfield,
    /// Pieces of wanted files.
    pub(super) wanted: Bitfield,
    pub(super) picker: Picker,
    pub(super) partials: Sorted<PieceIndex, Partial>,
    /// Started pieces with blocks that nobody was asked for.
    pub(super) loose: Sorted<PieceIndex, ()>,
    pub(super) suspects: Suspects,
    pub(super) proofs: Proofs,
    pub(super) files: Files,
    pub(super) layers: Layers,
    pub(super) leaves: Leaves,
    pub(super) promises: Promises,
    /// Peers that have everything.
    pub(super) seeds: u32,
    /// Bytes of blocks that are being written.
    pub(super) writing: usize,
    /// How often in a row the disk refused.
    pub(super) refusals: u32,
    /// While the disk refuses, when it is tried again.
    pub(super) stalled: Option<Duration>,
    pub(super) failed: bool,
}

impl Torrent {
    pub(super) fn new(content: Content, chance: &mut Chance) -> Self {
        let Content {
            geometry,
            have,
            closed,
            wanted,
            close_in_order,
            sequential,
        } = content;
        let pieces = geometry.pieces();
        // A set of another size is a caller's slip; nothing of it is believed.
        let have = if have.len() == pieces {
            have
        } else {
            Bitfield::empty(pieces)
        };
        let mut needed = Bitfield::empty(pieces);
        for file in &wanted {
            for piece in geometry.pieces_of(*file) {
                needed.insert(piece);
            }
        }
        let mut torrent = Self {
            picker: Picker::new(pieces, sequential, chance),
            files: Files::new(&geometry, &have, closed, wanted, close_in_order),
            layers: Layers::default(),
            leaves: Leaves::default(),
            promises: Promises::default(),
            partials: Sorted::default(),
            loose: Sorted::default(),
            suspects: Suspects::default(),
            proofs: Proofs::default(),
            wanted: needed,
            seeds: 0,
            writing: 0,
            refusals: 0,
            stalled: None,
            failed: false,
            geometry,
            have,
        };
        for n in 0..pieces {
            torrent.offer(PieceIndex(n));
        }
        torrent.layers = Layers::new(&torrent);
        torrent
    }

    /// Tells whether a piece is wanted and lacks.
    pub(super) fn lacks(&self, piece: u32) -> bool {
        self.wanted.has(piece) && !self.have.has(piece)
    }

    /// Tells whether no wanted piece lacks.
    pub(super) fn is_whole(&self) -> bool {
        !self.wanted.has_more_than(&self.have)
    }

    /// Tells whether every piece is there, wanted or not.
    pub(super) fn is_seed(&self) -> bool {
        self.have.is_full()
    }

    /// Returns how many bytes of wanted pieces lack.
    pub(super) fn left(&self) -> u64 {
        (0..self.geometry.pieces())
            .filter(|n| self.lacks(*n))
            .map(|n| u64::from(self.geometry.piece_len(PieceIndex(n))))
            .sum()
    }

    /// Tells whether a piece's hash is known, by the torrent or its layer.
    pub(super) fn knows_hash(&self, piece: PieceIndex) -> bool {
        !matches!(
            self.geometry.piece_hash(piece),
            Some(PieceHash::V2(Layer::Unknown)) | None
        )
    }

    /// Puts a piece on offer if it lacks, is not begun, and can be verified:
    /// bytes that cannot be judged are not asked for.
    pub(super) fn offer(&mut self, piece: PieceIndex) {
        let known = self.knows_hash(piece) || self.leaves.has(piece);
        if known && self.lacks(piece.0) && !self.partials.contains_key(&piece) {
            self.picker.open(piece);
        }
    }

    /// Keeps `loose` true after blocks of a piece changed.
    pub(super) fn tidy(&mut self, piece: PieceIndex) {
        if self.partials.get(&piece).is_some_and(|p| p.free() > 0) {
            self.loose.insert(piece, ());
        } else {
            self.loose.remove(&piece);
        }
    }
}
