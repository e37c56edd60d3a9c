//! The recipe's delta: which copies and literals lead from one object to
//! another (gitformat-pack, "Deltified representation").
//!
//! The common prefix and suffix are copied. What lies between is matched
//! against the base by keys of 8 bytes: at every offset round what the base
//! has in its place, since that is where most of it comes from, and at every
//! 8th elsewhere (every 16th in bases above 1 MiB). Of the first 16 offsets in
//! a key's bucket the longest match wins, the lowest offset where two are
//! equally long, and a match one byte on is preferred where it is clearly
//! longer.

use std::ops::Range;

/// Bytes of a key.
const KEY: usize = 8;
/// Offsets of a bucket that are tried.
const TRIES: usize = 16;
/// From one indexed offset to the next: what is lost is a part of the matches
/// shorter than both together, which hardly pay for their copies.
const STEP: usize = 8;
/// How far round the place in question every offset is indexed.
const NEAR: usize = 256;
/// Bases above this size are indexed evenly and more thinly.
const DENSE: usize = 1 << 20;
/// The step in those.
const SPARSE_STEP: usize = 16;
/// A match of this length is taken without a look at the next byte.
const LONG: usize = 4096;
/// Most bytes of one literal.
const MAX_LITERAL: usize = 127;
/// Most bytes of one copy.
const MAX_COPY: usize = 0x1_0000;

/// Makes deltas, one after the other, with the same memory.
#[derive(Default)]
pub(crate) struct Differ {
    /// The first entry of each bucket, plus 1.
    heads: Vec<u32>,
    /// The next entry of the same bucket, plus 1, for each entry.
    nexts: Vec<u32>,
}

impl Differ {
    /// Returns a delta from `base` to `target` of at most `limit` bytes, or
    /// none where the recipe's delta is longer, or one of both is shorter
    /// than a key.
    pub(crate) fn delta(&mut self, base: &[u8], target: &[u8], limit: usize) -> Option<Vec<u8>> {
        if base.len() < KEY || target.len() < KEY || base.len() > u32::MAX as usize {
            return None;
        }
        let mut prefix = common_prefix(base, target);
        if prefix < KEY {
            prefix = 0;
        }
        let mut suffix = common_suffix(base, &target[prefix..]);
        if suffix < KEY {
            suffix = 0;
        }
        let mut out = Instructions::new(base.len(), target.len(), limit);
        out.copy(0, prefix);
        let middle = &target[..target.len() - suffix];
        let place = prefix..base.len() - suffix;
        self.middle(base, place, middle, prefix, &mut out);
        out.copy(base.len() - suffix, suffix);
        out.finish()
    }

    /// Describes `target[from..]`, in the place of which the base has `place`;
    /// the range may be turned round, where prefix and suffix overlap there.
    fn middle(
        &mut self,
        base: &[u8],
        place: Range<usize>,
        target: &[u8],
        from: usize,
        out: &mut Instructions,
    ) {
        if target.len() - from < KEY {
            out.literal(&target[from..]);
            return;
        }
        let index = Index::new(base.len(), place);
        self.fill(&index, base);
        let mut literal = from;
        let mut at = from;
        while at + KEY <= target.len() && !out.too_long() {
            let Some(mut found) = self.longest(&index, base, target, at, literal) else {
                at += 1;
                continue;
            };
            let mut shift = 0;
            while found.length() < LONG && at + 1 + KEY <= target.len() {
                match self.longest(&index, base, target, at + 1, literal) {
                    Some(next) if next.length() > found.length() + 1 + shift / 4 => {
                        found = next;
                        at += 1;
                        shift += 1;
                    }
                    _ => break,
                }
            }
            out.literal(&target[literal..at - found.back]);
            out.copy(found.offset - found.back, found.length());
            at += found.ahead;
            literal = at;
        }
        out.literal(&target[literal..]);
    }

    /// Enters the base's offsets, backwards, so that a bucket begins with its
    /// lowest one.
    fn fill(&mut self, index: &Index, base: &[u8]) {
        self.heads.clear();
        self.heads.resize(1 << index.bits, 0);
        if self.nexts.len() < index.entries() {
            self.nexts.resize(index.entries(), 0);
        }
        let near = index.near.clone();
        for entry in (near.end.div_ceil(index.step)..index.even).rev() {
            self.enter(index, base, entry, entry * index.step);
        }
        for offset in near.clone().rev() {
            self.enter(index, base, index.even + offset - near.start, offset);
        }
        for entry in (0..near.start.div_ceil(index.step).min(index.even)).rev() {
            self.enter(index, base, entry, entry * index.step);
        }
    }

    fn enter(&mut self, index: &Index, base: &[u8], entry: usize, offset: usize) {
        let bucket = index.bucket(&base[offset..offset + KEY]);
        self.nexts[entry] = self.heads[bucket];
        self.heads[bucket] = entry as u32 + 1;
    }

    fn longest(
        &self,
        index: &Index,
        base: &[u8],
        target: &[u8],
        at: usize,
        literal: usize,
    ) -> Option<Match> {
        let key = &target[at..at + KEY];
        let mut best: Option<Match> = None;
        let mut entry = self.heads[index.bucket(key)] as usize;
        for _ in 0..TRIES {
            if entry == 0 {
                break;
            }
            let offset = index.offset(entry - 1);
            entry = self.nexts[entry - 1] as usize;
            if base[offset..offset + KEY] != *key {
                continue;
            }
            let found = Match {
                offset,
                ahead: common_prefix(&base[offset..], &target[at..]),
                back: common_suffix(&base[..offset], &target[literal..at]),
            };
            if best
                .as_ref()
                .is_none_or(|best| found.length() > best.length())
            {
                best = Some(found);
            }
        }
        best
    }
}

struct Match {
    offset: usize,
    ahead: usize,
    back: usize,
}

impl Match {
    fn length(&self) -> usize {
        self.ahead + self.back
    }
}

/// How a base is indexed. Entries of even steps come first, then those near
/// the place in question.
struct Index {
    step: usize,
    /// Entries of even steps, those in `near` included, which stay unused.
    even: usize,
    near: Range<usize>,
    bits: u32,
}

impl Index {
    fn new(length: usize, place: Range<usize>) -> Self {
        let last = length - KEY;
        let (step, near) = if length > DENSE {
            (SPARSE_STEP, 0..0)
        } else {
            let start = place.start.saturating_sub(NEAR).min(last + 1);
            let end = (place.end + NEAR).min(last + 1);
            (STEP, start..end.max(start))
        };
        let even = last / step + 1;
        let entries = even + near.len();
        let bits = entries.next_power_of_two().trailing_zeros().max(4);
        Self {
            step,
            even,
            near,
            bits,
        }
    }

    fn entries(&self) -> usize {
        self.even + self.near.len()
    }

    fn offset(&self, entry: usize) -> usize {
        match entry.checked_sub(self.even) {
            None => entry * self.step,
            Some(near) => self.near.start + near,
        }
    }

    fn bucket(&self, key: &[u8]) -> usize {
        let mut x = word(key);
        x ^= x >> 29;
        (x.wrapping_mul(0xff51_afd7_ed55_8ccd) >> (64 - self.bits)) as usize
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut length = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let differ = word(a) ^ word(b);
        if differ != 0 {
            return length + differ.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = a[length..].iter().zip(&b[length..]);
    length + rest.take_while(|(a, b)| a == b).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let mut length = 0;
    for (a, b) in a.rchunks_exact(8).zip(b.rchunks_exact(8)) {
        let differ = word(a) ^ word(b);
        if differ != 0 {
            return length + differ.leading_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = a[..a.len() - length]
        .iter()
        .rev()
        .zip(b[..b.len() - length].iter().rev());
    length + rest.take_while(|(a, b)| a == b).count()
}

/// A delta's bytes, growing; copies that continue each other become one.
struct Instructions {
    bytes: Vec<u8>,
    offset: usize,
    length: usize,
    limit: usize,
}

impl Instructions {
    fn new(base: usize, target: usize, limit: usize) -> Self {
        let mut bytes = Vec::new();
        varint(&mut bytes, base);
        varint(&mut bytes, target);
        Self {
            bytes,
            offset: 0,
            length: 0,
            limit,
        }
    }

    /// Tells that the delta is longer than the limit; it only grows.
    fn too_long(&self) -> bool {
        self.bytes.len() > self.limit
    }

    fn copy(&mut self, offset: usize, length: usize) {
        if length == 0 {
            return;
        }
        if self.length > 0 && self.offset + self.length == offset {
            self.length += length;
            return;
        }
        self.flush();
        (self.offset, self.length) = (offset, length);
    }

    fn literal(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.flush();
        for part in bytes.chunks(MAX_LITERAL) {
            self.bytes.push(part.len() as u8);
            self.bytes.extend_from_slice(part);
        }
    }

    fn flush(&mut self) {
        while self.length > 0 {
            let length = self.length.min(MAX_COPY);
            let at = self.bytes.len();
            self.bytes.push(0x80);
            let size = if length == MAX_COPY { 0 } else { length };
            let parts = [(self.offset, 4, 0), (size, 3, 4)];
            for (number, count, bit) in parts {
                for n in 0..count {
                    let byte = (number >> (8 * n)) as u8;
                    if byte != 0 {
                        self.bytes[at] |= 1 << (bit + n);
                        self.bytes.push(byte);
                    }
                }
            }
            self.offset += length;
            self.length -= length;
        }
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.flush();
        (!self.too_long()).then_some(self.bytes)
    }
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delta::apply::apply;

    fn check(base: &[u8], target: &[u8]) -> Vec<u8> {
        let mut differ = Differ::default();
        let delta = differ.delta(base, target, usize::MAX).unwrap();
        assert_eq!(apply(base, &delta, u64::MAX).unwrap(), target);
        assert_eq!(differ.delta(base, target, delta.len()), Some(delta.clone()));
        assert_eq!(differ.delta(base, target, delta.len() - 1), None);
        delta
    }

    proptest! {
        #[test]
        fn a_delta_leads_to_its_target(
            base in proptest::collection::vec(0..4_u8, 8..400),
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..60_usize, proptest::collection::vec(any::<u8>(), 0..30)), 1..8),
        ) {
            let mut target = Vec::new();
            for (from, length, words) in cuts {
                let from = from.index(base.len());
                target.extend_from_slice(&base[from..(from + length).min(base.len())]);
                target.extend_from_slice(&words);
            }
            target.extend_from_slice(b"12345678");
            check(&base, &target);
            check(&target, &base);
        }
    }

    fn noise(length: usize, seed: u32) -> Vec<u8> {
        let mut x = seed;
        (0..length)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn long_copies_are_cut() {
        let base = noise(300_000, 1);
        let mut target = base.clone();
        target.insert(200_000, 7);
        assert!(check(&base, &target).len() < 45);
        assert_eq!(check(&base, &base)[6..].len(), 1 + 3 * 2 + 4);
    }

    #[test]
    fn big_bases_are_indexed_sparsely() {
        let base = noise(DENSE + 1000, 2);
        let mut target = noise(100, 3);
        target.extend_from_slice(&base[500_000..500_400]);
        target.extend_from_slice(&noise(100, 4));
        assert!(check(&base, &target).len() < 250);
    }

    #[test]
    fn moved_blocks_are_found() {
        let base = noise(5_000, 5);
        let target = [&base[2_500..], &base[..2_500]].concat();
        assert!(check(&base, &target).len() < 20);
    }

    #[test]
    fn runs_do_not_take_for_ever() {
        check(
            &[0; 100_000],
            &[&[1; 9][..], &[0; 90_000], &[1; 9]].concat(),
        );
    }

    #[test]
    fn short_objects_have_no_delta() {
        let mut differ = Differ::default();
        assert_eq!(differ.delta(b"1234567", b"12345678", usize::MAX), None);
        assert_eq!(differ.delta(b"12345678", b"1234567", usize::MAX), None);
    }
}
