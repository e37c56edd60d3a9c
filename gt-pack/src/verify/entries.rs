//! The objects of a pack: some 40 bytes each (SHA-256: 52).

use std::fmt;

use gt_vfs::{ObjectFormat, ObjectId};
use rayon::prelude::*;

use super::columns::{Offsets, Short};
use super::names::{Named, Records};
use super::table::Rows;
use super::{Entry, Link};

/// The objects of a pack, sorted by their names.
///
/// They lie in columns in the order of the pack, and are put together when
/// they are asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Entries {
    records: Records,
    offsets: Offsets,
    crc32: Vec<u32>,
    sizes: Short,
    /// How many entries before it the base stands, modulo 2^32; 0 where it has
    /// none in the pack.
    back: Short,
    /// (delta, place in [`Verified::external`](super::Verified::external)),
    /// sorted.
    outside: Vec<(u32, u32)>,
    /// Places in the pack, sorted by names.
    order: Vec<u32>,
}

impl Entries {
    /// Returns a list for objects named in this format, with none in it.
    pub(crate) fn new(format: ObjectFormat) -> Self {
        Self {
            records: Records::new(format),
            offsets: Offsets::default(),
            crc32: Vec::new(),
            sizes: Short::default(),
            back: Short::default(),
            outside: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Puts together what was learnt of a pack. `linked` has the bases inside
    /// of deltas that name them, `outside` those outside, sorted.
    pub(super) fn settled(
        rows: Rows,
        records: Records,
        linked: Vec<(u32, u32)>,
        outside: Vec<(u32, u32)>,
    ) -> Self {
        let Rows {
            offsets,
            crc32,
            sizes,
            mut back,
            ..
        } = rows;
        back.set(
            linked
                .into_iter()
                .map(|(at, base)| (at, distance(at, base))),
        );
        Self {
            records,
            offsets,
            crc32,
            sizes,
            back,
            outside,
            order: Vec::new(),
        }
    }

    /// Adds an object that lies behind the others; what its
    /// [`Link::Inside`] names may follow. [`sort`](Self::sort) comes after the last.
    pub(crate) fn push(&mut self, entry: &Entry) {
        let place = self.crc32.len() as u32;
        self.records.push(&Named {
            oid: entry.oid,
            kind: entry.kind,
            depth: entry.depth,
        });
        self.offsets.push(entry.offset);
        self.crc32.push(entry.crc32);
        self.sizes.push(entry.size);
        self.back.push(match entry.base {
            Some(Link::Inside(base)) => distance(place, base),
            _ => 0,
        });
        if let Some(Link::Outside(base)) = entry.base {
            self.outside.push((place, base));
        }
    }

    /// Changes the bases of deltas on objects outside of the pack, by their
    /// places in the list of those outside.
    pub(crate) fn relink(&mut self, new: impl Fn(u32) -> Option<Link>) {
        let outside = std::mem::take(&mut self.outside);
        let mut linked = Vec::new();
        for (place, base) in outside {
            match new(base) {
                Some(Link::Inside(base)) => linked.push((place, distance(place, base))),
                Some(Link::Outside(base)) => self.outside.push((place, base)),
                None => {}
            }
        }
        self.back.set(linked.into_iter());
    }

    /// Sorts the objects by their names; returns one that stands twice.
    pub(crate) fn sort(&mut self) -> Option<ObjectId> {
        // Names are as good as random: those that begin alike are as many for
        // each beginning, few enough for the cache.
        let records = &self.records;
        let count = self.crc32.len() as u32;
        let mut ends = vec![0_usize; 256];
        for place in 0..count {
            ends[usize::from(records.name(place)[0])] += 1;
        }
        let lengths = ends.clone();
        let mut sum = 0;
        for end in &mut ends {
            (*end, sum) = (sum, sum + *end);
        }
        self.order = vec![0; count as usize];
        for place in 0..count {
            let end = &mut ends[usize::from(records.name(place)[0])];
            self.order[*end] = place;
            *end += 1;
        }
        let mut runs = Vec::with_capacity(lengths.len());
        let mut rest = &mut self.order[..];
        for length in lengths {
            let (run, behind) = rest.split_at_mut(length);
            runs.push(run);
            rest = behind;
        }
        // Few are sorted before another thread has woken up.
        const FEW: u32 = 1 << 12;
        let at_once = if count < FEW { runs.len() } else { 4 };
        let runs = runs.into_par_iter().with_min_len(at_once);
        let twice: Vec<Option<u32>> = runs.map(|run| sort_run(run, records)).collect();
        Some(self.at(twice.into_iter().flatten().next()?)?.oid)
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Tells whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the object at a place in the order of names, from 0.
    pub fn get(&self, place: usize) -> Option<Entry> {
        self.at(*self.order.get(place)?)
    }

    /// Returns the place of an object in the order of names.
    pub fn find(&self, oid: &ObjectId) -> Option<usize> {
        let name = |place: &u32| self.records.name(*place);
        let found = self
            .order
            .binary_search_by(|place| name(place).cmp(oid.as_bytes()));
        found.ok()
    }

    /// Returns the place of an object in the order of the pack.
    pub fn place(&self, oid: &ObjectId) -> Option<u32> {
        Some(self.order[self.find(oid)?])
    }

    /// Returns the object at a place in the order of the pack, from 0.
    pub fn at(&self, place: u32) -> Option<Entry> {
        if place as usize >= self.crc32.len() {
            return None;
        }
        let Named { oid, kind, depth } = self.records.find(place)?;
        let base = match self.back.get(place) as u32 {
            0 => {
                let found = self.outside.binary_search_by_key(&place, |o| o.0);
                found.ok().map(|n| Link::Outside(self.outside[n].1))
            }
            back => Some(Link::Inside(place.wrapping_sub(back))),
        };
        Some(Entry {
            oid,
            offset: self.offsets.get(place),
            crc32: self.crc32[place as usize],
            kind,
            size: self.sizes.get(place),
            base,
            depth,
        })
    }

    /// Returns the objects in the order of their names.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Entry> + '_ {
        self.order.iter().filter_map(|place| self.at(*place))
    }

    /// Returns the objects in the order of the pack.
    pub fn in_pack(&self) -> impl DoubleEndedIterator<Item = Entry> + '_ {
        (0..self.crc32.len() as u32).filter_map(|place| self.at(place))
    }

    /// Returns the places in the pack, in the order of names.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// Returns the name of the object at a place in the pack.
    pub(crate) fn name(&self, place: u32) -> &[u8] {
        self.records.name(place)
    }

    /// Returns where the object at a place in the pack begins.
    pub(crate) fn offset(&self, place: u32) -> u64 {
        self.offsets.get(place)
    }

    /// Returns the CRC-32 of the entry at a place in the pack.
    pub(crate) fn crc32(&self, place: u32) -> u32 {
        self.crc32[place as usize]
    }

    /// Returns the inflated bytes of all.
    pub(super) fn inflated(&self) -> u64 {
        let sizes = (0..self.crc32.len() as u32).map(|place| self.sizes.get(place));
        sizes.fold(0, u64::saturating_add)
    }
}

/// Sorts places by their names; returns one whose name stands twice.
fn sort_run(run: &mut [u32], records: &Records) -> Option<u32> {
    let name = |place: &u32| records.name(*place);
    let key = |place: &u32| {
        let first = name(place).first_chunk();
        first.map_or(0, |first| u64::from_be_bytes(*first))
    };
    let mut keys: Vec<(u64, u32)> = run.iter().map(|place| (key(place), *place)).collect();
    keys.sort_unstable_by(|(a, m), (b, n)| a.cmp(b).then_with(|| name(m).cmp(name(n))));
    for (place, key) in run.iter_mut().zip(&keys) {
        *place = key.1;
    }
    let mut pairs = keys.windows(2);
    let twice = pairs.find(|two| two[0].0 == two[1].0 && name(&two[0].1) == name(&two[1].1));
    twice.map(|two| two[0].1)
}

fn distance(place: u32, base: u32) -> u64 {
    place.wrapping_sub(base).into()
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    /// Entries of any kind, with bases before and behind them, and outside.
    fn entries(format: ObjectFormat, count: u32) -> Vec<Entry> {
        let entry = |n: u32| {
            let mut name = vec![0; format.raw_len()];
            name[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b1).to_be_bytes());
            Entry {
                oid: ObjectId::from_bytes(&name).unwrap(),
                offset: u64::from(n) * 3_000_000 + 12,
                crc32: n ^ 0xdead_beef,
                kind: Kind::ALL[n as usize % 4],
                size: u64::from(n) << (n % 40),
                base: match n % 5 {
                    0 => None,
                    1 => Some(Link::Inside(n - 1)),
                    2 => Some(Link::Inside(count - 1 - n / 2)),
                    3 => Some(Link::Inside(n / 7)),
                    _ => Some(Link::Outside(n % 3)),
                },
                depth: n % 300_000,
            }
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn what_was_pushed_is_found() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            for count in [0, 1, 100, 9000] {
                let plain = entries(format, count);
                let mut packed = Entries::new(format);
                plain.iter().for_each(|entry| packed.push(entry));
                assert_eq!(packed.sort(), None);
                assert!(packed.in_pack().eq(plain.iter().copied()));
                let mut sorted = plain.clone();
                sorted.sort_by_key(|entry| entry.oid);
                assert!(packed.iter().eq(sorted.iter().copied()));
                assert_eq!(
                    (packed.len(), packed.is_empty()),
                    (sorted.len(), count == 0)
                );
                for (n, entry) in sorted.iter().enumerate() {
                    assert_eq!(packed.find(&entry.oid), Some(n));
                    assert_eq!(packed.get(n), Some(*entry));
                    assert_eq!(packed.at(packed.place(&entry.oid).unwrap()), Some(*entry));
                }
                assert_eq!(
                    packed.find(&ObjectId::from_bytes(&vec![0xff; format.raw_len()]).unwrap()),
                    None
                );
                assert_eq!((packed.get(count as usize), packed.at(count)), (None, None));
                // Bases that were outside come in.
                packed.relink(|n| {
                    (n > 0).then_some(match n {
                        1 => Link::Inside(0),
                        _ => Link::Outside(7),
                    })
                });
                for (mut before, after) in plain.into_iter().zip(packed.in_pack()) {
                    before.base = match before.base {
                        Some(Link::Outside(0)) => None,
                        Some(Link::Outside(1)) => Some(Link::Inside(0)),
                        Some(Link::Outside(_)) => Some(Link::Outside(7)),
                        inside => inside,
                    };
                    assert_eq!(before, after);
                }
            }
        }
    }

    #[test]
    fn what_stands_twice_is_told() {
        for count in [10, 9000] {
            let plain = entries(ObjectFormat::Sha1, count);
            let mut packed = Entries::new(ObjectFormat::Sha1);
            plain.iter().for_each(|entry| packed.push(entry));
            packed.push(&plain[count as usize / 3]);
            assert_eq!(packed.sort(), Some(plain[count as usize / 3].oid));
        }
    }
}
