//! Numbers kept for each entry, in as few bytes as most of them need.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers most of which are small: two bytes each, and more for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Short {
    low: Vec<u16>,
    /// Place, number (its high half first), sorted: those that say [`LARGE`].
    large: Vec<[u32; 3]>,
}

const LARGE: u16 = u16::MAX;

impl Short {
    pub(super) fn push(&mut self, number: u64) {
        let low = u16::try_from(number).unwrap_or(LARGE);
        if low == LARGE {
            self.large.push(split(self.low.len() as u32, number));
        }
        self.low.push(low);
    }

    /// Returns the number at a place that was pushed.
    pub(super) fn get(&self, place: u32) -> u64 {
        let low = self.low[place as usize];
        let large = || self.large.binary_search_by_key(&place, |n| n[0]);
        match low {
            LARGE => large().map_or(0, |n| {
                let [_, high, low] = self.large[n];
                u64::from(high) << 32 | u64::from(low)
            }),
            low => low.into(),
        }
    }

    /// Sets the numbers at places that hold small ones.
    pub(super) fn set(&mut self, numbers: impl Iterator<Item = (u32, u64)>) {
        for (place, number) in numbers {
            let low = u16::try_from(number).unwrap_or(LARGE);
            if low == LARGE {
                self.large.push(split(place, number));
            }
            self.low[place as usize] = low;
        }
        self.large.sort_unstable();
    }
}

fn split(place: u32, number: u64) -> [u32; 3] {
    [place, (number >> 32) as u32, number as u32]
}

/// Where entries begin: four bytes each, and a few for each 4 GiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    low: Vec<u32>,
    /// (place, what stands above the low half from there on).
    high: Vec<(u32, u32)>,
}

impl Offsets {
    pub(super) fn push(&mut self, offset: u64) {
        let high = (offset >> 32) as u32;
        if self.high.last().map_or(0, |last| last.1) != high {
            self.high.push((self.low.len() as u32, high));
        }
        self.low.push(offset as u32);
    }

    pub(super) fn len(&self) -> usize {
        self.low.len()
    }

    /// Returns the offset at a place that was pushed.
    pub(super) fn get(&self, place: u32) -> u64 {
        let low = self.low[place as usize].into();
        if self.high.is_empty() {
            return low;
        }
        let runs = self.high.partition_point(|run| run.0 <= place);
        let high = runs.checked_sub(1).map_or(0, |run| self.high[run].1);
        u64::from(high) << 32 | low
    }

    /// Returns the place of an offset, all of which were pushed in order.
    pub(super) fn find(&self, offset: u64) -> Option<u32> {
        let (mut from, mut to) = (0, self.low.len() as u32);
        while from < to {
            let middle = from + (to - from) / 2;
            match self.get(middle).cmp(&offset) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }
}

/// A bit for each entry.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<AtomicU64>,
}

impl Bits {
    /// Returns `count` bits that are not set.
    pub(super) fn new(count: usize) -> Self {
        let words = (0..count.div_ceil(64)).map(|_| AtomicU64::new(0));
        Self {
            words: words.collect(),
        }
    }

    /// Makes room for one at `place`, the next.
    pub(super) fn grow(&mut self, place: u32) {
        if self.words.len() <= place as usize / 64 {
            self.words.push(AtomicU64::new(0));
        }
    }

    /// Sets a bit that nobody else has a hand on.
    pub(super) fn put(&mut self, place: u32) {
        *self.words[place as usize / 64].get_mut() |= 1 << (place % 64);
    }

    /// Sets a bit, and tells whether it was set before.
    pub(super) fn set(&self, place: u32) -> bool {
        let bit = 1 << (place % 64);
        self.words[place as usize / 64].fetch_or(bit, Ordering::Relaxed) & bit != 0
    }

    pub(super) fn get(&self, place: u32) -> bool {
        self.words[place as usize / 64].load(Ordering::Relaxed) & 1 << (place % 64) != 0
    }

    /// Counts those that are set.
    pub(super) fn count(&self) -> u64 {
        let words = self.words.iter();
        let ones = words.map(|word| word.load(Ordering::Relaxed).count_ones());
        ones.map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_kept() {
        let mut numbers = [0, 1, 65_534, 65_535, 65_536, 1 << 32, u64::MAX, 7];
        let mut short = Short::default();
        numbers.iter().for_each(|n| short.push(*n));
        short.set([(7, 1 << 40), (0, 70_000), (1, 65_534)].into_iter());
        (numbers[7], numbers[0], numbers[1]) = (1 << 40, 70_000, 65_534);
        for (number, place) in numbers.iter().zip(0..) {
            assert_eq!(short.get(place), *number);
        }
    }

    #[test]
    fn offsets_are_found() {
        let at = [12, 99, u32::MAX.into(), 1 << 32, (1 << 32) + 5, 1 << 40];
        let at = [&at[..], &[(1 << 40) + 1, u64::MAX]].concat();
        let mut offsets = Offsets::default();
        at.iter().for_each(|offset| offsets.push(*offset));
        for (offset, place) in at.iter().zip(0..) {
            assert_eq!(offsets.get(place), *offset);
            assert_eq!(offsets.find(*offset), Some(place));
            assert_ne!(offsets.find(offset - 1), Some(place));
        }
        assert_eq!(offsets.find(13), None);
        assert_eq!(Offsets::default().find(0), None);
    }

    #[test]
    fn bits_are_set_once() {
        let mut bits = Bits::default();
        for place in 0..200 {
            bits.grow(place);
        }
        for place in [0, 63, 64, 199] {
            assert!(!bits.get(place) && !bits.set(place) && bits.set(place) && bits.get(place));
        }
        assert_eq!(bits.count(), 4);
        assert_eq!(Bits::new(65).count(), 0);
    }
}
