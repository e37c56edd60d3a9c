//! Pieces that are being put together: who was asked for which block, and who
//! sent it.

use std::net::SocketAddr;
use std::time::Duration;

use gt_vfs::content::{BLOCK, Hash};

use super::input::ConnId;
use crate::geometry::{Block, PieceIndex};

/// Who sent something. The address outlives the connection.
pub(super) type Sender = (ConnId, SocketAddr);

/// One piece on its way.
#[derive(Debug)]
pub(super) struct Partial {
    piece: PieceIndex,
    length: u32,
    slots: Vec<Slot>,
    senders: Vec<Sender>,
    free: u32,
    /// Blocks that came, and when the first of them did.
    came: u32,
    began: Duration,
    written: u32,
    /// What is known of the bytes of each block; empty as long as that is
    /// nothing.
    marks: Vec<Mark>,
    /// The only peer that may be asked: a piece that failed once is fetched
    /// from one peer, so that a second failure names its liar.
    pub(super) only: Option<ConnId>,
    pub(super) phase: Phase,
}

/// How far a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Blocks come in.
    Filling,
    /// Every block is written; the hash is awaited.
    Hashing,
    /// It failed; the hashes of its blocks are awaited, to find the liar:
    /// ours from the disk, or the right ones from a peer.
    Blaming,
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    Asked(ConnId, Option<ConnId>),
    Writing(u16),
    Written(u16),
}

/// What is known of a block's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Unknown,
    /// They have this hash, which nothing was held against.
    Is(Hash),
    /// They are right.
    Right,
}

/// What became of a block that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is the first; these others were asked too and need not send it.
    New(Vec<ConnId>),
    /// It is there already.
    Duplicate,
}

impl Partial {
    pub(super) fn new(piece: PieceIndex, length: u32) -> Self {
        let blocks = length.div_ceil(BLOCK as u32);
        Self {
            piece,
            length,
            slots: vec![Slot::Free; blocks as usize],
            senders: Vec::new(),
            free: blocks,
            came: 0,
            began: Duration::ZERO,
            written: 0,
            marks: Vec::new(),
            only: None,
            phase: Phase::Filling,
        }
    }

    fn block(&self, n: usize) -> Block {
        let offset = (n * BLOCK) as u32;
        Block {
            piece: self.piece,
            offset,
            length: (self.length - offset).min(BLOCK as u32),
        }
    }

    /// Returns the slot of a block that is cut as we cut.
    fn slot(&mut self, block: Block) -> Option<&mut Slot> {
        let n = block.offset as usize / BLOCK;
        if n >= self.slots.len() || self.block(n) != block {
            return None;
        }
        self.slots.get_mut(n)
    }

    /// Returns how many blocks nobody was asked for.
    pub(super) fn free(&self) -> u32 {
        self.free
    }

    /// Returns how many blocks have not come.
    pub(super) fn missing(&self) -> u32 {
        (self.slots.len() as u32).saturating_sub(self.came)
    }

    /// Notes when a block came.
    pub(super) fn note(&mut self, now: Duration) {
        if self.came == 0 {
            self.began = now;
        }
        self.came += 1;
    }

    /// Returns the time from one block to the next, once two are here.
    pub(super) fn pace(&self, now: Duration) -> Option<Duration> {
        let later = self.came.checked_sub(1).filter(|n| *n > 0)?;
        Some(now.saturating_sub(self.began) / later)
    }

    /// Notes up to `most` free blocks as asked of `conn`, and returns them.
    pub(super) fn ask(&mut self, conn: ConnId, most: usize) -> Vec<Block> {
        if self.only.is_some_and(|only| only != conn) || self.free == 0 {
            return Vec::new();
        }
        let free = |(n, slot): (usize, &Slot)| (*slot == Slot::Free).then_some(n);
        let taken: Vec<usize> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(free)
            .take(most)
            .collect();
        for n in &taken {
            self.slots[*n] = Slot::Asked(conn, None);
        }
        self.free -= taken.len() as u32;
        taken.into_iter().map(|n| self.block(n)).collect()
    }

    /// Notes up to `most` blocks that one other peer was asked for as asked of
    /// `conn` too: from the end, where that peer comes last. `slow` tells
    /// whether the other is slow enough.
    pub(super) fn ask_again(
        &mut self,
        conn: ConnId,
        most: usize,
        slow: impl Fn(ConnId, Block) -> bool,
    ) -> Vec<Block> {
        if self.only.is_some() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for n in (0..self.slots.len()).rev() {
            let block = self.block(n);
            match &mut self.slots[n] {
                Slot::Asked(other, second @ None) if *other != conn && slow(*other, block) => {
                    *second = Some(conn);
                    taken.push(block);
                }
                _ => {}
            }
            if taken.len() == most {
                break;
            }
        }
        taken
    }

    /// Returns who owes blocks, and how many, where all that lack are asked of
    /// one peer.
    pub(super) fn debtor(&self) -> Option<(ConnId, usize)> {
        if self.only.is_some() || self.free > 0 || self.phase != Phase::Filling {
            return None;
        }
        let mut debtor = None;
        for slot in &self.slots {
            let Slot::Asked(one, two) = slot else {
                continue;
            };
            let (_, blocks) = debtor.get_or_insert((*one, 0));
            *blocks += 1;
            if two.is_some() || debtor.is_some_and(|(who, _)| who != *one) {
                return None;
            }
        }
        debtor
    }

    /// Notes the last so many blocks that one peer owes as asked of `conn`
    /// instead, and returns them.
    pub(super) fn pass(&mut self, conn: ConnId, blocks: usize) -> Vec<Block> {
        let owed = |n: &usize| matches!(self.slots[*n], Slot::Asked(_, None));
        let all = (0..self.slots.len()).rev();
        let mut last: Vec<usize> = all.filter(owed).take(blocks).collect();
        last.reverse();
        for n in &last {
            self.slots[*n] = Slot::Asked(conn, None);
        }
        last.into_iter().map(|n| self.block(n)).collect()
    }

    /// Notes that `conn` will not send a block.
    pub(super) fn release(&mut self, block: Block, conn: ConnId) {
        let Some(slot) = self.slot(block) else { return };
        match *slot {
            Slot::Asked(one, Some(two)) if one == conn => *slot = Slot::Asked(two, None),
            Slot::Asked(one, Some(two)) if two == conn => *slot = Slot::Asked(one, None),
            Slot::Asked(one, None) if one == conn => {
                *slot = Slot::Free;
                self.free += 1;
            }
            _ => {}
        }
    }

    /// Notes a block that came.
    pub(super) fn arrive(&mut self, block: Block, from: Sender) -> Arrival {
        let at = match self.senders.iter().position(|s| *s == from) {
            Some(at) => at,
            None => {
                self.senders.push(from);
                self.senders.len() - 1
            }
        };
        let Some(slot) = self.slot(block) else {
            return Arrival::Duplicate;
        };
        let others = match *slot {
            Slot::Free => Vec::new(),
            Slot::Asked(one, two) => std::iter::once(one)
                .chain(two)
                .filter(|c| *c != from.0)
                .collect(),
            Slot::Writing(_) | Slot::Written(_) => return Arrival::Duplicate,
        };
        let was_free = *slot == Slot::Free;
        // A piece has at most 16,384 blocks, so no more senders.
        *slot = Slot::Writing(at as u16);
        self.free -= u32::from(was_free);
        Arrival::New(others)
    }

    /// Notes that a block is on the disk, and its hash, where it was made.
    pub(super) fn wrote(&mut self, block: Block, leaf: Option<Hash>) {
        if let Some(slot) = self.slot(block)
            && let Slot::Writing(from) = *slot
        {
            *slot = Slot::Written(from);
            self.written += 1;
            if let Some(leaf) = leaf {
                self.marks.resize(self.slots.len(), Mark::Unknown);
                self.marks[block.offset as usize / BLOCK] = Mark::Is(leaf);
            }
        }
    }

    /// Tells whether all blocks are on the disk.
    pub(super) fn is_written(&self) -> bool {
        self.written as usize == self.slots.len()
    }

    /// Holds the hashes of blocks against the right ones, where that was not
    /// done before: returns the blocks that are right, and the numbers of
    /// those that are not.
    pub(super) fn compare(&mut self, right: &[Hash]) -> (Vec<Block>, Vec<usize>) {
        let (mut proven, mut wrong) = (Vec::new(), Vec::new());
        for (n, leaf) in (0..self.marks.len()).zip(right) {
            match self.marks[n] {
                Mark::Is(is) if is == *leaf => {
                    self.marks[n] = Mark::Right;
                    proven.push(self.block(n));
                }
                Mark::Is(_) => wrong.push(n),
                Mark::Unknown | Mark::Right => {}
            }
        }
        (proven, wrong)
    }

    /// Tells whether all bytes of a part are here and right.
    pub(super) fn is_right(&self, part: Block) -> bool {
        let from = part.offset as usize / BLOCK;
        let to = (part.offset as usize + part.length as usize).div_ceil(BLOCK);
        let marks = self.marks.get(from..to);
        marks.is_some_and(|marks| marks.iter().all(|mark| *mark == Mark::Right))
    }

    /// Notes that a block could not be written.
    pub(super) fn lost(&mut self, block: Block) {
        if let Some(slot) = self.slot(block)
            && matches!(slot, Slot::Writing(_))
        {
            *slot = Slot::Free;
            self.free += 1;
            self.came = self.came.saturating_sub(1);
        }
    }

    /// Frees a block whose bytes are wrong, and returns who sent it.
    pub(super) fn spoil(&mut self, n: usize) -> Option<Sender> {
        let from = self.by_block().get(n).copied().flatten();
        if let Some(slot) = self.slots.get_mut(n)
            && matches!(slot, Slot::Written(_))
        {
            *slot = Slot::Free;
            self.free += 1;
            self.came = self.came.saturating_sub(1);
            self.written -= 1;
            if let Some(mark) = self.marks.get_mut(n) {
                *mark = Mark::Unknown;
            }
        }
        from
    }

    /// Returns those who sent blocks that are in the piece now.
    pub(super) fn contributors(&self) -> Vec<Sender> {
        let mut seen: Vec<Sender> = self.by_block().into_iter().flatten().collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// Returns for each block who sent it.
    pub(super) fn by_block(&self) -> Vec<Option<Sender>> {
        self.slots
            .iter()
            .map(|slot| match slot {
                Slot::Writing(n) | Slot::Written(n) => self.senders.get(*n as usize).copied(),
                Slot::Free | Slot::Asked(..) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn from(conn: ConnId) -> Sender {
        (conn, SocketAddr::from(([127, 0, 0, 1], conn.0 as u16)))
    }

    fn partial() -> Partial {
        Partial::new(PieceIndex(0), 3 * BLOCK as u32 + 5)
    }

    #[test]
    fn blocks_are_asked_once_until_released() {
        let mut p = partial();
        let first = p.ask(A, 3);
        assert_eq!(first.len(), 3);
        let rest = p.ask(B, 9);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].length, 5);
        assert!(p.ask(B, 9).is_empty());
        p.release(first[1], B);
        assert_eq!(p.free(), 0);
        p.release(first[1], A);
        assert_eq!(p.ask(B, 9), [first[1]]);
    }

    #[test]
    fn the_second_copy_is_a_duplicate_and_the_others_are_cancelled() {
        let mut p = partial();
        let blocks = p.ask(A, 9);
        assert_eq!(p.ask_again(B, 1, |_, _| true), [blocks[3]]);
        assert!(p.ask_again(ConnId(3), 9, |c, _| c == B).is_empty());
        assert_eq!(p.arrive(blocks[3], from(B)), Arrival::New(vec![A]));
        assert_eq!(p.arrive(blocks[3], from(A)), Arrival::Duplicate);
        for block in &blocks[..3] {
            assert_eq!(p.arrive(*block, from(A)), Arrival::New(vec![]));
            p.wrote(*block, None);
            assert!(!p.is_written());
        }
        p.wrote(blocks[3], None);
        assert!(p.is_written());
        assert_eq!(p.contributors(), [from(A), from(B)]);
    }

    #[test]
    fn blocks_cut_otherwise_are_none_of_ours() {
        let mut p = partial();
        let odd = Block {
            piece: PieceIndex(0),
            offset: 7,
            length: 9,
        };
        assert_eq!(p.arrive(odd, from(A)), Arrival::Duplicate);
        p.release(odd, A);
        p.lost(odd);
        p.wrote(odd, Some([1; 32]));
        assert!(!p.is_right(odd));
        assert_eq!(p.free(), 4);
    }
}
