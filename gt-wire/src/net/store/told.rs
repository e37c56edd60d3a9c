//! Telling files that are not whole which of their bytes are right.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};

use gt_vfs::WriteAt;

use super::Store;
use super::files::Slot;
use crate::geometry::{FileIndex, PieceIndex};

/// What the files are told of that are not whole.
#[derive(Default)]
pub(super) struct Verified {
    /// Pieces that were verified.
    pieces: BTreeSet<PieceIndex>,
    /// Those of them that their files were not told of.
    untold: BTreeSet<PieceIndex>,
}

impl Store {
    /// Takes note that a piece is what it should be, and tells its files.
    pub(in crate::net) fn verified(&self, piece: PieceIndex) {
        let mut verified = self.told();
        if !verified.pieces.insert(piece) {
            return;
        }
        verified.untold.insert(piece);
        // A file that somebody else opens or closes at this moment is not
        // waited for, and is told with the next piece.
        let untold = std::mem::take(&mut verified.untold);
        let untold = untold.into_iter().filter(|piece| !self.tell(*piece));
        verified.untold = untold.collect();
    }

    /// Tells the files of a piece; `false` where one could not be told now.
    fn tell(&self, piece: PieceIndex) -> bool {
        let spans = self.geometry.spans(self.geometry.whole(piece));
        let told = spans.into_iter().map(|span| {
            let Some(slot) = self.slots.get(span.file.0 as usize) else {
                return true;
            };
            match slot.try_read() {
                Ok(slot) => {
                    if let Slot::Partial(file) = &*slot {
                        file.verified(span.offset, span.length);
                    }
                    true
                }
                Err(_) => false,
            }
        });
        told.fold(true, |all, one| all & one)
    }

    /// Tells a file that was just opened what of it is verified.
    pub(super) fn tell_all(&self, file: FileIndex, writer: &dyn WriteAt) {
        let verified = self.told();
        for piece in verified.pieces.range(self.pieces_of(file)) {
            let spans = self.geometry.spans(self.geometry.whole(*piece));
            for span in spans.into_iter().filter(|span| span.file == file) {
                writer.verified(span.offset, span.length);
            }
        }
    }

    /// Forgets the pieces of a file that is whole.
    pub(super) fn tell_no_more(&self, file: FileIndex) {
        let mut verified = self.told();
        let gone = self.pieces_of(file);
        verified.pieces.retain(|piece| !gone.contains(piece));
        verified.untold.retain(|piece| !gone.contains(piece));
    }

    fn pieces_of(&self, file: FileIndex) -> Range<PieceIndex> {
        let Range { start, end } = self.geometry.pieces_of(file);
        PieceIndex(start)..PieceIndex(end)
    }

    fn told(&self) -> MutexGuard<'_, Verified> {
        // Whoever is told too little reads later.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
