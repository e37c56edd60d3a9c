//! Which piece next: the rarest first, and among equally rare ones each node
//! its own order, so that nodes that begin together ask for different pieces.
//!
//! Rarest first is second order once an origin gives each piece out once
//! (SWARM: 0.951 against 0.936 for random), but it is what keeps a last copy
//! from leaving with its holder.

use std::collections::BTreeSet;

use super::chance::Chance;
use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;

/// The pieces that nobody has been asked for yet, in order.
#[derive(Debug)]
pub(super) struct Picker {
    /// Peers that have each piece, those that have all left out.
    counts: Vec<u32>,
    /// The order among equals.
    keys: Vec<u32>,
    open: BTreeSet<(u32, u32, u32)>,
    is_open: Bitfield,
    sequential: bool,
}

impl Picker {
    pub(super) fn new(pieces: u32, sequential: bool, chance: &mut Chance) -> Self {
        let mut keys: Vec<u32> = (0..pieces).collect();
        if !sequential {
            for n in (1..keys.len()).rev() {
                keys.swap(n, chance.below(n + 1));
            }
        }
        Self {
            counts: vec![0; pieces as usize],
            keys,
            open: BTreeSet::new(),
            is_open: Bitfield::empty(pieces),
            sequential,
        }
    }

    fn rank(&self, piece: u32) -> (u32, u32, u32) {
        let count = if self.sequential {
            0
        } else {
            self.counts[piece as usize]
        };
        (count, self.keys[piece as usize], piece)
    }

    /// Offers a piece.
    pub(super) fn open(&mut self, piece: PieceIndex) {
        if self.is_open.insert(piece.0) {
            self.open.insert(self.rank(piece.0));
        }
    }

    /// Withdraws a piece.
    pub(super) fn close(&mut self, piece: PieceIndex) {
        if self.is_open.remove(piece.0) {
            self.open.remove(&self.rank(piece.0));
        }
    }

    /// Notes that one more peer has a piece.
    pub(super) fn more(&mut self, piece: u32) {
        self.recount(piece, 1);
    }

    /// Notes that one peer less has a piece.
    pub(super) fn fewer(&mut self, piece: u32) {
        self.recount(piece, -1);
    }

    fn recount(&mut self, piece: u32, by: i32) {
        let open = self.is_open.has(piece);
        if open {
            self.open.remove(&self.rank(piece));
        }
        let count = &mut self.counts[piece as usize];
        *count = count.saturating_add_signed(by);
        if open {
            self.open.insert(self.rank(piece));
        }
    }

    /// Returns how many peers have a piece, those that have all left out.
    pub(super) fn count(&self, piece: PieceIndex) -> u32 {
        self.counts.get(piece.0 as usize).copied().unwrap_or(0)
    }

    /// Returns the first offered piece that is in `have`, but not in `not`.
    pub(super) fn choose(&self, have: &Bitfield, not: &BTreeSet<PieceIndex>) -> Option<PieceIndex> {
        let fits = |piece: &u32| have.has(*piece) && !not.contains(&PieceIndex(*piece));
        if (have.count() as usize) < self.open.len() {
            // A peer with little to offer: look through its pieces instead.
            return have
                .iter()
                .filter(|piece| self.is_open.has(*piece) && fits(piece))
                .min_by_key(|piece| self.rank(*piece))
                .map(PieceIndex);
        }
        self.open
            .iter()
            .map(|(_, _, piece)| *piece)
            .find(fits)
            .map(PieceIndex)
    }

    /// Tells whether nothing is on offer.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(sequential: bool) -> Picker {
        let mut picker = Picker::new(20, sequential, &mut Chance::new(3));
        (0..20).for_each(|n| picker.open(PieceIndex(n)));
        picker
    }

    #[test]
    fn the_rarest_comes_first() {
        let mut picker = picker(false);
        for n in (0..20).filter(|n| *n != 7) {
            picker.more(n);
        }
        let all = Bitfield::full(20);
        assert_eq!(picker.choose(&all, &BTreeSet::new()), Some(PieceIndex(7)));
        picker.more(7);
        picker.more(7);
        assert_ne!(picker.choose(&all, &BTreeSet::new()), Some(PieceIndex(7)));
        picker.fewer(3);
        assert_eq!(picker.choose(&all, &BTreeSet::new()), Some(PieceIndex(3)));
        picker.close(PieceIndex(3));
        assert_ne!(picker.choose(&all, &BTreeSet::new()), Some(PieceIndex(3)));
    }

    #[test]
    fn sequential_goes_in_order_whatever_is_rare() {
        let mut picker = picker(true);
        picker.more(0);
        let all = Bitfield::full(20);
        for n in 0..20 {
            assert_eq!(picker.choose(&all, &BTreeSet::new()), Some(PieceIndex(n)));
            picker.close(PieceIndex(n));
        }
        assert!(picker.is_empty());
    }

    #[test]
    fn a_peer_with_few_pieces_gives_one_of_them() {
        let picker = picker(false);
        let mut few = Bitfield::empty(20);
        few.insert(4);
        few.insert(9);
        let not = BTreeSet::from([PieceIndex(4)]);
        assert_eq!(picker.choose(&few, &not), Some(PieceIndex(9)));
        assert_eq!(picker.choose(&Bitfield::empty(20), &not), None);
    }

    #[test]
    fn nodes_differ_in_order() {
        let all = Bitfield::full(20);
        let firsts: BTreeSet<_> = (0..9)
            .map(|seed| {
                let mut p = Picker::new(20, false, &mut Chance::new(seed));
                (0..20).for_each(|n| p.open(PieceIndex(n)));
                p.choose(&all, &BTreeSet::new())
            })
            .collect();
        assert!(firsts.len() > 3);
    }
}
