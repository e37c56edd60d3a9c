//! Counts inflated bytes as they are promised, before they are made.

use std::collections::BTreeSet;

use gt_vfs::ObjectId;

use super::Error;
use crate::limits::{Exceeded, Limits};

/// Inflated bytes, as they were promised.
#[derive(Clone, Debug)]
pub(super) struct Inflated {
    /// Of entries: whole objects, and deltas themselves.
    pub(super) entries: u64,
    /// Of what the deltas make.
    results: u64,
    /// How many may come; all, while the length of the pack is not known.
    allowed: u64,
    /// How much more may come because bases lie outside, if they do.
    outside: u64,
    /// Those bases, the large ones.
    bases: BTreeSet<ObjectId>,
}

impl Inflated {
    /// Returns a count of nothing, which may grow to `allowed` bytes.
    pub(super) fn new(allowed: u64) -> Self {
        Self {
            entries: 0,
            results: 0,
            allowed,
            outside: 0,
            bases: BTreeSet::new(),
        }
    }

    /// Counts an entry that promises `size` bytes.
    pub(super) fn entry(&mut self, size: u64) -> Result<(), Error> {
        self.entries = self.entries.saturating_add(size);
        self.check()
    }

    /// Counts what a delta promises to make of a base of `base` bytes, `name`d
    /// where it may lie outside.
    pub(super) fn delta(
        &mut self,
        name: Option<ObjectId>,
        base: u64,
        result: u64,
    ) -> Result<(), Error> {
        if let Some(name) = name {
            self.may_lie_outside(name, base);
        }
        self.results = self.results.saturating_add(result);
        self.check()
    }

    /// Ends the count, where the length of the pack is known by now.
    pub(super) fn end(&mut self, allowed: u64) -> Result<(), Error> {
        self.allowed = allowed;
        self.check()
    }

    /// Compares what is promised with what is allowed, before it is made: more
    /// than the promise is refused when it comes.
    fn check(&self) -> Result<(), Error> {
        let got = self.entries.saturating_add(self.results);
        let limit = self.allowed.saturating_add(self.outside);
        if got > limit {
            return Err(Exceeded::Inflated { limit, got }.into());
        }
        Ok(())
    }

    /// Takes note of a base that may lie outside. Whether it does, and is as
    /// large as the delta says, is seen before anything is built on it.
    fn may_lie_outside(&mut self, base: ObjectId, size: u64) {
        const LARGE: u64 = 64 << 10;
        const MOST: usize = 1 << 16;
        if size >= LARGE && self.bases.len() < MOST && self.bases.insert(base) {
            self.outside = self.outside.saturating_add(Limits::on_base(size));
        }
    }
}
