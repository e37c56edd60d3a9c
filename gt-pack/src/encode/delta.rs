//! The recipe's delta: which copies and literals lead from one object to
//! another (gitformat-pack, "Deltified representation").
//!
//! The common prefix and suffix are copied. What lies between is matched
//! against the base by keys of 8 bytes at every offset (every 16th in bases
//! above 1 MiB): of the first 16 offsets in a key's bucket the longest match
//! wins, the lowest offset where two are equally long, and a match one byte
//! on is preferred where it is clearly longer.

/// Bytes of a key.
const KEY: usize = 8;
/// Offsets of a bucket that are tried.
const TRIES: usize = 16;
/// Bases above this size are indexed sparsely.
const DENSE: usize = 1 << 20;
/// The step of a sparse index.
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
    /// The first entry of each bucket, plus 1; all 0 between two deltas.
    heads: Vec<u32>,
    /// The next entry of the same bucket, plus 1, for each indexed offset.
    nexts: Vec<u32>,
    /// Buckets that the target asks for.
    asked: Vec<u64>,
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
        self.middle(base, middle, prefix, &mut out);
        out.copy(base.len() - suffix, suffix);
        out.finish()
    }

    /// Describes `target[from..]`.
    fn middle(&mut self, base: &[u8], target: &[u8], from: usize, out: &mut Instructions) {
        if target.len() - from < KEY {
            out.literal(&target[from..]);
            return;
        }
        let index = Index::new(base.len());
        self.fill(&index, base, &target[from..]);
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
        self.clear(&index, &target[from..]);
    }

    /// Enters the base's offsets, but only into buckets that some key of
    /// `target` asks for: the others are never looked at.
    fn fill(&mut self, index: &Index, base: &[u8], target: &[u8]) {
        if self.heads.len() < index.buckets() {
            self.heads.resize(index.buckets(), 0);
        }
        if self.nexts.len() < index.entries {
            self.nexts.resize(index.entries, 0);
        }
        self.asked.clear();
        self.asked.resize(index.buckets().div_ceil(64), 0);
        for key in target.windows(KEY) {
            let bucket = index.bucket(key);
            self.asked[bucket / 64] |= 1 << (bucket % 64);
        }
        // Backwards, so that a bucket begins with its lowest offset.
        for entry in (0..index.entries).rev() {
            let offset = entry * index.step;
            let bucket = index.bucket(&base[offset..offset + KEY]);
            if self.asked[bucket / 64] >> (bucket % 64) & 1 == 1 {
                self.nexts[entry] = self.heads[bucket];
                self.heads[bucket] = entry as u32 + 1;
            }
        }
    }

    fn clear(&mut self, index: &Index, target: &[u8]) {
        for key in target.windows(KEY) {
            self.heads[index.bucket(key)] = 0;
        }
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
            let offset = (entry - 1) * index.step;
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

/// How a base of some length is indexed.
struct Index {
    step: usize,
    entries: usize,
    bits: u32,
}

impl Index {
    fn new(length: usize) -> Self {
        let step = if length > DENSE { SPARSE_STEP } else { 1 };
        let entries = (length - KEY) / step + 1;
        let bits = entries.next_power_of_two().trailing_zeros().max(4);
        Self {
            step,
            entries,
            bits,
        }
    }

    fn buckets(&self) -> usize {
        1 << self.bits
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
        assert!(differ.heads.iter().all(|head| *head == 0));
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
