//! What a new object may have been before: objects that its commit removed.
//!
//! Only commits that bring an object at a path where their first parent has
//! none are looked at. Of the removed objects of the same kind those with the
//! same base name come first, then those of the nearest size.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gt_vfs::ObjectId;

use super::Error;
use super::links::Tree;
use super::names::{Name, Names};
use super::recipe::MAX_RENAMES;
use super::walk::{Beside, Trees};
use crate::Kind;
use crate::repository::Repository;

/// Most removed objects that are looked at in one commit: whoever removes
/// more at once moves no file by hand.
const MAX_GONE: usize = 4096;

/// What a commit took away against its first parent.
#[derive(Default)]
pub(super) struct Gone {
    entries: Vec<(Kind, Name, ObjectId)>,
    /// Trees at the same path, the newer one first, that were not gone
    /// through yet.
    pairs: Vec<(ObjectId, ObjectId)>,
}

/// An object that stands where the first parent has nothing.
pub(super) struct Orphan {
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) size: u64,
}

impl Gone {
    pub(super) fn entry(&mut self, names: &mut Names, tree: &Tree, entry: usize) {
        let name = names.name(tree.name(entry));
        self.entries.push((tree.kind(entry), name, tree.id(entry)));
    }

    pub(super) fn pair(&mut self, new: ObjectId, old: ObjectId) {
        self.pairs.push((new, old));
    }

    /// Goes through all that was put off and returns what is gone, sorted by
    /// kind, size and id.
    pub(super) fn list(
        mut self,
        repository: &dyn Repository,
        trees: &mut Trees<'_>,
        names: &mut Names,
    ) -> Result<Removed, Error> {
        let mut next = 0;
        while let Some((new, old)) = self.pairs.get(next).copied() {
            next += 1;
            if self.entries.len() > MAX_GONE || next > MAX_GONE {
                break;
            }
            let (new, old) = (trees.read(&new)?, trees.read(&old)?);
            self.compare(&new, old, names);
        }
        let mut next = 0;
        while let Some((kind, _, id)) = self.entries.get(next).copied() {
            next += 1;
            if self.entries.len() > MAX_GONE {
                break;
            }
            if kind == Kind::Tree {
                let tree = trees.read(&id)?;
                for entry in 0..tree.len() {
                    self.entry(names, &tree, entry);
                }
            }
        }
        self.entries.truncate(MAX_GONE);
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for (kind, name, id) in self.entries {
            if seen.insert(id) {
                let (got, size) = repository.header(&id)?;
                if got != kind {
                    let expected = kind;
                    return Err(Error::Kind { id, expected, got });
                }
                list.push((kind, size, id, name));
            }
        }
        list.sort();
        Ok(Removed::new(list))
    }

    fn compare(&mut self, new: &Tree, old: Arc<Tree>, names: &mut Names) {
        let mut side = Beside::new(old);
        for entry in 0..new.len() {
            let before = side.follow(new, entry, |t, e| self.entry(names, t, e));
            if let Some(before) = before
                && new.kind(entry) == Kind::Tree
                && before != new.id(entry)
            {
                self.pair(new.id(entry), before);
            }
        }
        side.end(|t, e| self.entry(names, t, e));
    }
}

/// Removed objects, ready to be asked.
pub(super) struct Removed {
    all: Vec<(Kind, u64, ObjectId, Name)>,
    by_name: BTreeMap<(Kind, Name), Vec<usize>>,
}

impl Removed {
    fn new(all: Vec<(Kind, u64, ObjectId, Name)>) -> Self {
        let mut by_name = BTreeMap::<_, Vec<_>>::new();
        for (place, (kind, _, _, name)) in all.iter().enumerate() {
            by_name.entry((*kind, *name)).or_default().push(place);
        }
        Self { all, by_name }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the objects that `orphan` most likely was before, best first.
    pub(super) fn likely(&self, orphan: &Orphan) -> Vec<ObjectId> {
        let Orphan {
            kind, name, size, ..
        } = *orphan;
        let first = self.all.partition_point(|(k, ..)| *k < kind);
        let last = self.all.partition_point(|(k, ..)| *k <= kind);
        let of_kind: Vec<_> = near(first..last, |place| self.all[place].1 < size).collect();
        let named = self
            .by_name
            .get(&(kind, name))
            .map_or(&[][..], Vec::as_slice);
        let named = near(0..named.len(), |n| self.all[named[n]].1 < size).map(|n| named[n]);
        let mut list: Vec<_> = named
            .chain(of_kind)
            .map(|place| &self.all[place])
            .map(|(_, s, id, n)| (*n != name, s.abs_diff(size), *id))
            .filter(|(_, difference, _)| *difference < size.max(64))
            .collect();
        list.sort();
        list.dedup();
        list.truncate(MAX_RENAMES);
        list.into_iter().map(|(_, _, id)| id).collect()
    }
}

/// Returns the places round the one up to which `below` holds.
fn near(
    range: std::ops::Range<usize>,
    below: impl Fn(usize) -> bool,
) -> impl Iterator<Item = usize> {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let from = low.saturating_sub(MAX_RENAMES).max(range.start);
    from..(low + MAX_RENAMES).min(range.end)
}
