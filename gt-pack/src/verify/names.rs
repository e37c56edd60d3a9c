//! What each entry turned out to be, told by several threads.

use std::sync::{Mutex, RwLock, RwLockReadGuard};

use gt_vfs::{ObjectFormat, ObjectId};

use super::columns::Bits;
use crate::kind::Kind;

/// Name, kind and depth of every entry, in the order of the pack.
///
/// It grows with the entries and lies in runs with a lock each: threads that
/// work on different parts of a pack do not meet.
pub(super) struct Names {
    format: ObjectFormat,
    runs: RwLock<Vec<Mutex<Vec<u8>>>>,
}

/// Entries in one run.
const RUN: usize = 4096;
/// Beside the name: depth and kind in one number.
const BESIDE: usize = 4;

/// An entry that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) oid: ObjectId,
    pub(super) kind: Kind,
    /// Deltas between it and a whole object.
    pub(super) depth: u32,
}

/// Depths that fit beside a kind.
const DEEPEST: u32 = (1 << 30) - 2;

impl Names {
    /// Returns room for no entries.
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            runs: RwLock::default(),
        }
    }

    /// Makes room for `count` entries, and says for how many there is.
    pub(super) fn grow(&self, count: usize) -> usize {
        let mut runs = self.runs.write().unwrap_or_else(|e| e.into_inner());
        while runs.len() * RUN < count {
            runs.push(Mutex::new(vec![0; width(self.format) * RUN]));
        }
        runs.len() * RUN
    }

    fn runs(&self) -> RwLockReadGuard<'_, Vec<Mutex<Vec<u8>>>> {
        self.runs.read().unwrap_or_else(|e| e.into_inner())
    }

    /// Returns a hold on all entries that there is room for: who has much to
    /// do with them does not ask for each. Nothing grows meanwhile.
    pub(super) fn hold(&self) -> Held<'_> {
        Held {
            width: width(self.format),
            runs: self.runs(),
        }
    }

    /// Takes note of an entry.
    pub(super) fn put(&self, place: u32, named: &Named) {
        self.hold().put(place, named);
    }

    /// Takes note of many entries, in the order of the pack.
    pub(super) fn put_all(&self, named: &[(u32, Named)]) {
        let width = width(self.format);
        let run_of = |place: u32| place as usize / RUN;
        let runs = self.runs();
        for here in named.chunk_by(|a, b| run_of(a.0) == run_of(b.0)) {
            let mut run = lock(&runs[run_of(here[0].0)]);
            for (place, named) in here {
                named.write(&mut run[*place as usize % RUN * width..][..width]);
            }
        }
    }

    /// Returns which of `count` entries somebody named.
    pub(super) fn known(&self, count: usize) -> Bits {
        let mut known = Bits::new(count);
        let width = width(self.format);
        for (run, begin) in self.runs().iter().zip((0..).step_by(RUN)) {
            let run = lock(run);
            let records = run.chunks_exact(width).zip(begin..count as u32);
            let named = records.filter(|(record, _)| record[width - BESIDE..] != [0; BESIDE]);
            named.for_each(|(_, place)| known.put(place));
        }
        known
    }

    /// Returns what an entry is; `None` while nobody said.
    pub(super) fn find(&self, place: u32) -> Option<Named> {
        self.hold().find(place)
    }

    /// Ends the telling.
    pub(super) fn settle(self) -> Records {
        let runs = self.runs.into_inner().unwrap_or_else(|e| e.into_inner());
        let plain = |run: Mutex<_>| run.into_inner().unwrap_or_else(|e| e.into_inner());
        Records {
            width: width(self.format),
            count: runs.len() * RUN,
            runs: runs.into_iter().map(plain).collect(),
        }
    }
}

/// [`Names`] of which one thread has a hold.
pub(super) struct Held<'a> {
    width: usize,
    runs: RwLockReadGuard<'a, Vec<Mutex<Vec<u8>>>>,
}

impl Held<'_> {
    /// Takes note of an entry.
    pub(super) fn put(&self, place: u32, named: &Named) {
        let mut run = lock(&self.runs[place as usize / RUN]);
        named.write(&mut run[place as usize % RUN * self.width..][..self.width]);
    }

    /// Returns what an entry is; `None` while nobody said.
    pub(super) fn find(&self, place: u32) -> Option<Named> {
        let run = lock(&self.runs[place as usize / RUN]);
        Named::read(&run[place as usize % RUN * self.width..][..self.width])
    }
}

fn width(format: ObjectFormat) -> usize {
    format.raw_len() + BESIDE
}

impl Named {
    fn write(&self, record: &mut [u8]) {
        let number = (self.depth.min(DEEPEST) + 1) << 2
            | Kind::ALL.iter().position(|k| *k == self.kind).unwrap_or(0) as u32;
        let (oid, beside) = record.split_at_mut(record.len() - BESIDE);
        oid.copy_from_slice(self.oid.as_bytes());
        beside.copy_from_slice(&number.to_le_bytes());
    }

    fn read(record: &[u8]) -> Option<Self> {
        let (oid, beside) = record.split_at(record.len() - BESIDE);
        let number = u32::from_le_bytes([beside[0], beside[1], beside[2], beside[3]]);
        let depth = (number >> 2).checked_sub(1)?;
        Some(Self {
            oid: ObjectId::from_bytes(oid)?,
            kind: Kind::ALL[(number & 3) as usize],
            depth,
        })
    }
}

/// [`Names`] that all have been told.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Records {
    width: usize,
    /// Entries that there is room for, which are those that there are where
    /// they came by [`push`](Self::push).
    count: usize,
    runs: Vec<Vec<u8>>,
}

impl Records {
    /// Returns no records.
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            width: width(format),
            count: 0,
            runs: Vec::new(),
        }
    }

    /// Forgets the room behind the first `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
    }

    pub(super) fn push(&mut self, named: &Named) {
        if self.count == self.runs.len() * RUN {
            self.runs.push(vec![0; self.width * RUN]);
        }
        let at = self.count;
        self.count += 1;
        named.write(&mut self.runs[at / RUN][at % RUN * self.width..][..self.width]);
    }

    fn record(&self, place: u32) -> &[u8] {
        &self.runs[place as usize / RUN][place as usize % RUN * self.width..][..self.width]
    }

    /// Returns the name of an entry.
    pub(super) fn name(&self, place: u32) -> &[u8] {
        &self.record(place)[..self.width - BESIDE]
    }

    /// Returns what an entry is; `None` where nobody said.
    pub(super) fn find(&self, place: u32) -> Option<Named> {
        Named::read(self.record(place))
    }
}

/// What a panicked thread left is no worse for it: the panic goes on anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let names = Names::new(format);
            names.grow(RUN + 3);
            for (n, place) in [0, 1, RUN as u32 - 1, RUN as u32, RUN as u32 + 2]
                .into_iter()
                .enumerate()
            {
                assert_eq!(names.find(place), None);
                let named = Named {
                    oid: ObjectId::from_bytes(&vec![n as u8; format.raw_len()]).unwrap(),
                    kind: Kind::ALL[n % 4],
                    depth: 100_000 * n as u32,
                };
                names.put(place, &named);
                assert_eq!(names.find(place), Some(named));
            }
            let mut records = names.settle();
            records.truncate(RUN + 3);
            let last = records.find(RUN as u32 + 2).unwrap();
            records.push(&last);
            assert_eq!(records.find(RUN as u32 + 3), Some(last));
            assert_eq!(records.name(1), &vec![1; format.raw_len()]);
        }
    }
}
