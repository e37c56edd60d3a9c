//! Deltas that name their bases, sorted by those names.

use gt_vfs::{ObjectFormat, ObjectId};

/// Deltas and the names of their bases, 24 or 36 bytes each.
pub(super) struct Refs {
    records: Records,
    /// Where names begin, by their first two bytes; empty for few.
    fan: Vec<u32>,
}

/// The base's name and the delta's place, high byte first, so that they sort
/// as they stand.
enum Records {
    Sha1(Vec<[u8; 24]>),
    Sha256(Vec<[u8; 36]>),
}

/// From how many on a search begins in the fan.
const MANY: usize = 1 << 12;

impl Refs {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            records: match format {
                ObjectFormat::Sha256 => Records::Sha256(Vec::new()),
                _ => Records::Sha1(Vec::new()),
            },
            fan: Vec::new(),
        }
    }

    /// Adds a delta. All names are of one format.
    pub(super) fn push(&mut self, base: &ObjectId, delta: u32) {
        match &mut self.records {
            Records::Sha1(all) => all.extend(joined(base, delta)),
            Records::Sha256(all) => all.extend(joined(base, delta)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.records {
            Records::Sha1(all) => all.len(),
            Records::Sha256(all) => all.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes everything below possible.
    pub(super) fn sort(&mut self) {
        match &mut self.records {
            Records::Sha1(all) => all.sort_unstable(),
            Records::Sha256(all) => all.sort_unstable(),
        }
        if self.len() >= MANY {
            let mut fan = vec![0; (1 << 16) + 1];
            for n in 0..self.len() {
                fan[prefix(self.get(n).0) + 1] += 1;
            }
            for n in 1..fan.len() {
                fan[n] += fan[n - 1];
            }
            self.fan = fan;
        }
    }

    /// Returns the base's name and the delta at a place in the order.
    fn get(&self, n: usize) -> (&[u8], u32) {
        let record: &[u8] = match &self.records {
            Records::Sha1(all) => &all[n],
            Records::Sha256(all) => &all[n],
        };
        let (name, place) = record.split_at(record.len() - 4);
        let place = [place[0], place[1], place[2], place[3]];
        (name, u32::from_be_bytes(place))
    }

    /// Returns the deltas on an object, in the order of the pack.
    pub(super) fn on(&self, base: &ObjectId) -> impl Iterator<Item = u32> + '_ {
        let begins = self.fan.get(prefix(base.as_bytes())..);
        let (mut from, mut to) = match begins {
            Some([from, to, ..]) => (*from as usize, *to as usize),
            _ => (0, self.len()),
        };
        while from < to {
            let middle = from + (to - from) / 2;
            match self.get(middle).0 < base.as_bytes() {
                true => from = middle + 1,
                false => to = middle,
            }
        }
        let base = *base;
        let all = (from..self.len()).map(|n| self.get(n));
        all.take_while(move |(name, _)| *name == base.as_bytes())
            .map(|(_, delta)| delta)
    }

    /// Returns each base of which `is_wanted` says so of one of its deltas,
    /// with its first delta, those whose first delta comes first in front.
    pub(super) fn bases(&self, is_wanted: impl Fn(u32) -> bool) -> Vec<(u32, ObjectId)> {
        let mut bases = Vec::new();
        let mut n = 0;
        while n < self.len() {
            let (name, first) = self.get(n);
            let begin = n;
            while n < self.len() && self.get(n).0 == name {
                n += 1;
            }
            if (begin..n).any(|n| is_wanted(self.get(n).1)) {
                bases.extend(ObjectId::from_bytes(name).map(|name| (first, name)));
            }
        }
        bases.sort_unstable();
        bases
    }

    /// Returns the base that a delta names.
    pub(super) fn base_of(&self, delta: u32) -> Option<ObjectId> {
        let mut all = (0..self.len()).map(|n| self.get(n));
        let (name, _) = all.find(|(_, place)| *place == delta)?;
        ObjectId::from_bytes(name)
    }
}

/// Returns the first two bytes of a name.
fn prefix(name: &[u8]) -> usize {
    usize::from(name[0]) << 8 | usize::from(name[1])
}

fn joined<const N: usize>(base: &ObjectId, delta: u32) -> Option<[u8; N]> {
    let mut record = [0; N];
    let (name, place) = record.split_at_mut_checked(base.as_bytes().len())?;
    name.copy_from_slice(base.as_bytes());
    place
        .try_into()
        .ok()
        .map(|place: &mut [u8; 4]| *place = delta.to_be_bytes())?;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_are_found_by_their_bases() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let oid = |n: u8| ObjectId::from_bytes(&vec![n; format.raw_len()]).unwrap();
            let mut refs = Refs::new(format);
            for (base, delta) in [(9, 4), (7, 300), (9, 2), (7, 256), (8, 1)] {
                refs.push(&oid(base), delta);
            }
            refs.sort();
            let on = |n| refs.on(&oid(n)).collect::<Vec<_>>();
            assert_eq!((on(7), on(8), on(9)), (vec![256, 300], vec![1], vec![2, 4]));
            assert_eq!((on(6), on(10)), (vec![], vec![]));
            assert_eq!(refs.base_of(300), Some(oid(7)));
            assert_eq!(refs.base_of(5), None);
            let bases = refs.bases(|_| true);
            assert_eq!(bases, [(1, oid(8)), (2, oid(9)), (256, oid(7))]);
            assert_eq!(refs.bases(|delta| delta == 300), [(256, oid(7))]);
        }
    }

    #[test]
    fn many_are_found_by_the_fan() {
        let oid = |n: u32| {
            let mut name = [0; 20];
            name[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b1).to_be_bytes());
            // The first and the last prefix are there, too.
            match n {
                0 => ObjectId::Sha1([0; 20]),
                1 => ObjectId::Sha1([0xff; 20]),
                _ => ObjectId::Sha1(name),
            }
        };
        let mut refs = Refs::new(ObjectFormat::Sha1);
        let count = 2 * MANY as u32;
        for delta in 0..count {
            refs.push(&oid(delta / 2), delta);
        }
        refs.sort();
        assert!(!refs.fan.is_empty());
        for n in 0..count / 2 {
            let on: Vec<u32> = refs.on(&oid(n)).collect();
            assert_eq!(on, [2 * n, 2 * n + 1]);
        }
        assert_eq!(refs.on(&oid(count)).count(), 0);
        assert_eq!(refs.on(&ObjectId::Sha1([0xfe; 20])).count(), 0);
    }
}
