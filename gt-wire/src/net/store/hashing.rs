//! Hashing pieces: as their blocks are written, and else from the disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};

use gt_vfs::content::Hash;

use super::{Store, failure};
use crate::digest::{Running, Scratch, Wanted};
use crate::geometry::{Block, PieceIndex};
use crate::net::blocks::leaf;
use crate::swarm::{Digests, Failure};

/// Pieces that are hashed on the way at a time; others are read again.
const RUNNING: usize = 256;

impl Store {
    /// Hashes blocks as they come, if they come in order. What is written
    /// over something that was hashed ends that: the disk is what counts.
    pub(super) fn hash_on_the_way(&self, block: Block, bytes: &[u8], written: bool) {
        let mut running = self.running();
        let begin = block.offset == 0 && running.len() < RUNNING && written;
        let state = running.remove(&block.piece);
        let state = match state {
            Some(state) if block.offset > state.at() => Some(state),
            Some(state) if written && block.offset == state.at() && state.at() > 0 => Some(state),
            _ => begin.then(|| {
                Running::new(Wanted {
                    sha1: self.geometry.has_v1(),
                    leaves: self.geometry.has_v2(),
                })
            }),
        };
        // Others write other pieces meanwhile.
        drop(running);
        if let Some(mut state) = state {
            if block.offset == state.at() {
                state.feed(&self.geometry, block, bytes);
            }
            self.running().insert(block.piece, state);
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<PieceIndex, Running>> {
        // An entry is taken out while it changes.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a piece as it lies on the disk.
    pub(in crate::net) fn hash(
        self: &Arc<Self>,
        piece: PieceIndex,
        sha1: bool,
        leaves: bool,
    ) -> Result<Digests, Failure> {
        self.hash_io(piece, sha1, leaves)
            .map_err(|e| failure("hashed", &e))
    }

    pub(in crate::net) fn hash_io(
        self: &Arc<Self>,
        piece: PieceIndex,
        sha1: bool,
        leaves: bool,
    ) -> io::Result<Digests> {
        let wanted = Wanted { sha1, leaves };
        let known = match &self.blocks {
            Some(blocks) if leaves && !sha1 => blocks.take(piece),
            _ => Vec::new(),
        };
        if !known.is_empty() {
            return self.hash_rest(piece, &known);
        }
        let running = self.running().remove(&piece);
        let running = running.filter(|state| state.sees(wanted));
        let running = running.unwrap_or_else(|| Running::new(wanted));
        // A piece that was hashed on the way needs no room to read.
        let mut scratch = match running.at() >= self.geometry.piece_len(piece) {
            true => Scratch::none(),
            false => Scratch::new(),
        };
        running.finish(&self.geometry, piece, &mut scratch, |file, at, buf| {
            self.read_span(file, at, buf)
        })
    }

    /// Reads and hashes those blocks of a piece whose hashes are not known.
    fn hash_rest(
        self: &Arc<Self>,
        piece: PieceIndex,
        known: &[Option<Hash>],
    ) -> io::Result<Digests> {
        let mut room = Vec::new();
        let mut leaves = Vec::with_capacity(known.len());
        for (block, known) in self.geometry.blocks(piece).zip(known) {
            leaves.push(match known {
                Some(hash) => *hash,
                None => {
                    room.clear();
                    for span in self.spans(block)? {
                        let from = room.len();
                        room.resize(from + span.length as usize, 0);
                        self.read_span(span.file, span.offset, &mut room[from..])?;
                    }
                    leaf(&room)
                }
            });
        }
        Ok(Digests { sha1: None, leaves })
    }
}
