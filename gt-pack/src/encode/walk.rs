//! One walk through the trees of a commit, beside those of its parents.

use std::cmp::Ordering;
use std::sync::Arc;

use gt_vfs::ObjectId;

use super::Error;
use super::history::read;
use super::links::Tree;
use crate::Kind;
use crate::repository::Repository;
use crate::repository::cache::{Cache, Keep};
use crate::repository::chunk::Chunks;

impl Keep for Arc<Tree> {
    fn settled(self, _: &mut Chunks) -> Self {
        self
    }
}

/// Trees, parsed, read again when they have been forgotten.
pub(super) struct Trees<'a> {
    repository: &'a dyn Repository,
    cache: Cache<ObjectId, Arc<Tree>>,
}

impl<'a> Trees<'a> {
    pub(super) fn new(repository: &'a dyn Repository, capacity: usize) -> Self {
        Self {
            repository,
            cache: Cache::new(capacity),
        }
    }

    pub(super) fn read(&mut self, id: &ObjectId) -> Result<Arc<Tree>, Error> {
        if let Some(tree) = self.cache.find(id) {
            return Ok(tree);
        }
        let bytes = read(self.repository, id, Kind::Tree)?;
        let tree = Tree::parse(bytes, id.format()).ok_or(Error::Malformed {
            id: *id,
            kind: Kind::Tree,
        })?;
        let tree = Arc::new(tree);
        self.cache.insert(*id, Arc::clone(&tree), tree.cost());
        Ok(tree)
    }
}

/// A tree beside another one, both gone through in the order of their names.
pub(super) struct Beside {
    tree: Arc<Tree>,
    at: usize,
}

impl Beside {
    pub(super) fn new(tree: Arc<Tree>) -> Self {
        Self { tree, at: 0 }
    }

    /// Goes on to the place of an entry of `tree`; returns the id of the
    /// entry that has the same name and kind here. What was passed by is not
    /// in `tree`, and handed to `gone`.
    pub(super) fn follow(
        &mut self,
        tree: &Tree,
        entry: usize,
        mut gone: impl FnMut(&Tree, usize),
    ) -> Option<ObjectId> {
        while self.at < self.tree.len() {
            match order(&self.tree, self.at, tree, entry) {
                Ordering::Less => gone(&self.tree, self.at),
                Ordering::Greater => return None,
                Ordering::Equal => {
                    self.at += 1;
                    let same = self.tree.kind(self.at - 1) == tree.kind(entry);
                    return same.then(|| self.tree.id(self.at - 1));
                }
            }
            self.at += 1;
        }
        None
    }

    /// Hands the rest to `gone`.
    pub(super) fn end(self, mut gone: impl FnMut(&Tree, usize)) {
        for entry in self.at..self.tree.len() {
            gone(&self.tree, entry);
        }
    }
}

/// Compares as entries of a tree are sorted: a folder as if its name ended in
/// a slash.
fn order(a: &Tree, entry_a: usize, b: &Tree, entry_b: usize) -> Ordering {
    let (name_a, name_b) = (a.name(entry_a), b.name(entry_b));
    let common = name_a.len().min(name_b.len());
    let next = |tree: &Tree, entry, name: &[u8]| match name.get(common) {
        Some(byte) => *byte,
        None if tree.kind(entry) == Kind::Tree => b'/',
        None => 0,
    };
    name_a[..common]
        .cmp(&name_b[..common])
        .then_with(|| next(a, entry_a, name_a).cmp(&next(b, entry_b, name_b)))
        .then_with(|| name_a.len().cmp(&name_b.len()))
}
