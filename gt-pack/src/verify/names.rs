//! What each entry turned out to be, told by several threads.

use std::sync::{Mutex, RwLock};

use gt_vfs::{ObjectFormat, ObjectId};

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
/// Beside the name: depth and kind in one number, and the base.
const BESIDE: usize = 8;

/// An entry that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) oid: ObjectId,
    pub(super) kind: Kind,
    /// Deltas between it and a whole object.
    pub(super) depth: u32,
    /// The entry that it is a delta on; [`OUTSIDE`] where it is one on another
    /// object, and for whole objects its own.
    pub(super) base: u32,
}

/// No entry of the pack.
pub(super) const OUTSIDE: u32 = u32::MAX;
/// Depths that fit beside a kind.
const DEEPEST: u32 = (1 << 29) - 2;

impl Names {
    /// Returns room for no entries.
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            runs: RwLock::default(),
        }
    }

    /// Makes room for `count` entries.
    pub(super) fn grow(&self, count: usize) {
        let mut runs = self.runs.write().unwrap_or_else(|e| e.into_inner());
        while runs.len() * RUN < count {
            runs.push(Mutex::new(vec![0; self.width() * RUN]));
        }
    }

    fn runs(&self) -> std::sync::RwLockReadGuard<'_, Vec<Mutex<Vec<u8>>>> {
        self.runs.read().unwrap_or_else(|e| e.into_inner())
    }

    fn width(&self) -> usize {
        self.format.raw_len() + BESIDE
    }

    /// Takes note of an entry.
    pub(super) fn put(&self, place: u32, named: &Named) {
        let width = self.width();
        let number = (named.depth.min(DEEPEST) + 1) << 2
            | Kind::ALL.iter().position(|k| *k == named.kind).unwrap_or(0) as u32;
        let runs = self.runs();
        let mut run = lock(&runs[place as usize / RUN]);
        let record = &mut run[place as usize % RUN * width..][..width];
        let (oid, beside) = record.split_at_mut(width - BESIDE);
        oid.copy_from_slice(named.oid.as_bytes());
        beside[..4].copy_from_slice(&number.to_le_bytes());
        beside[4..].copy_from_slice(&named.base.to_le_bytes());
    }

    /// Returns what an entry is; `None` while nobody said.
    pub(super) fn find(&self, place: u32) -> Option<Named> {
        let runs = self.runs();
        let run = lock(&runs[place as usize / RUN]);
        read(&run[place as usize % RUN * self.width()..][..self.width()])
    }

    /// Ends the telling.
    pub(super) fn settle(self) -> Settled {
        let width = self.width();
        let runs = self.runs.into_inner().unwrap_or_else(|e| e.into_inner());
        let plain = |run: Mutex<_>| run.into_inner().unwrap_or_else(|e| e.into_inner());
        Settled {
            width,
            runs: runs.into_iter().map(plain).collect(),
        }
    }
}

/// [`Names`] that do not change any more.
pub(super) struct Settled {
    width: usize,
    runs: Vec<Vec<u8>>,
}

impl Settled {
    fn record(&self, place: u32) -> &[u8] {
        &self.runs[place as usize / RUN][place as usize % RUN * self.width..][..self.width]
    }

    /// Gives up what is known of the entries from the `count`th on.
    pub(super) fn truncate(&mut self, count: usize) {
        self.runs.truncate(count.div_ceil(RUN));
    }

    /// Returns what an entry is; `None` where nobody said.
    pub(super) fn find(&self, place: u32) -> Option<Named> {
        read(self.record(place))
    }
}

fn read(record: &[u8]) -> Option<Named> {
    let (oid, beside) = record.split_at(record.len() - BESIDE);
    let number = |at: usize| {
        u32::from_le_bytes([beside[at], beside[at + 1], beside[at + 2], beside[at + 3]])
    };
    let depth = (number(0) >> 2).checked_sub(1)?;
    Some(Named {
        oid: ObjectId::from_bytes(oid)?,
        kind: Kind::ALL[(number(0) & 3) as usize],
        depth,
        base: number(4),
    })
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
                    base: [OUTSIDE, 7][n % 2],
                };
                names.put(place, &named);
                assert_eq!(names.find(place), Some(named));
            }
        }
    }
}
