//! What the world holds already, and what it may be given.

use std::collections::HashMap;

use gt_vfs::ObjectId;

/// The objects of a chain of reels.
///
/// A chain is closed: with a commit it holds the commit's whole history, with
/// a tree everything below it.
pub trait Published: Sync {
    /// Tells whether the chain has no object at all, so that the next reel is
    /// its first one.
    fn is_empty(&self) -> bool;

    /// Tells whether the chain holds the object.
    ///
    /// # Errors
    /// What the chain meets while it looks.
    fn contains(&self, id: &ObjectId) -> Result<bool, Error>;

    /// Returns how many deltas a reader of the reels applies to get the
    /// object, wherever its copy on the disk may lie; `None` where the chain
    /// does not hold it.
    ///
    /// # Errors
    /// What the chain meets while it looks.
    fn depth(&self, id: &ObjectId) -> Result<Option<u32>, Error>;

    /// Returns the object of an earlier reel that the object is built on: the
    /// first one that the deltas of its own reel lead to and that reel does
    /// not hold. `None` where they end in that reel.
    ///
    /// # Errors
    /// What the chain meets while it looks.
    fn base(&self, id: &ObjectId) -> Result<Option<ObjectId>, Error>;
}

/// An object of a reel, and how it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// Its name.
    pub id: ObjectId,
    /// See [`Published::depth`].
    pub depth: u32,
    /// See [`Published::base`].
    pub base: Option<ObjectId>,
}

impl Placed {
    /// Returns an object that stands whole.
    pub fn whole(id: ObjectId) -> Self {
        Self {
            id,
            depth: 0,
            base: None,
        }
    }

    pub(crate) fn new(id: ObjectId, depth: u32, base: Option<ObjectId>) -> Self {
        Self { id, depth, base }
    }
}

/// Why a chain does not tell what it holds.
#[derive(Debug, thiserror::Error)]
#[error("cannot look into the published reels")]
pub struct Error(#[from] Box<dyn std::error::Error + Send + Sync>);

/// A chain without reels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Published for Nothing {
    fn is_empty(&self) -> bool {
        true
    }

    fn contains(&self, _: &ObjectId) -> Result<bool, Error> {
        Ok(false)
    }

    fn depth(&self, _: &ObjectId) -> Result<Option<u32>, Error> {
        Ok(None)
    }

    fn base(&self, _: &ObjectId) -> Result<Option<ObjectId>, Error> {
        Ok(None)
    }
}

/// A chain's objects in memory.
#[derive(Clone, Debug, Default)]
pub struct Known {
    depths: HashMap<ObjectId, u32>,
    bases: HashMap<ObjectId, ObjectId>,
}

impl Extend<Placed> for Known {
    fn extend<T: IntoIterator<Item = Placed>>(&mut self, objects: T) {
        for object in objects {
            self.depths.insert(object.id, object.depth);
            self.bases.extend(object.base.map(|base| (object.id, base)));
        }
    }
}

impl FromIterator<Placed> for Known {
    fn from_iter<T: IntoIterator<Item = Placed>>(objects: T) -> Self {
        let mut known = Self::default();
        known.extend(objects);
        known
    }
}

impl Published for Known {
    fn is_empty(&self) -> bool {
        self.depths.is_empty()
    }

    fn contains(&self, id: &ObjectId) -> Result<bool, Error> {
        Ok(self.depths.contains_key(id))
    }

    fn depth(&self, id: &ObjectId) -> Result<Option<u32>, Error> {
        Ok(self.depths.get(id).copied())
    }

    fn base(&self, id: &ObjectId) -> Result<Option<ObjectId>, Error> {
        Ok(self.bases.get(id).copied())
    }
}

/// Namespaces that are one person's own, or git's: no pattern publishes them.
const PRIVATE: [&[u8]; 8] = [
    b"refs/replace",
    b"refs/gt",
    b"refs/stash",
    b"refs/remotes",
    b"refs/bisect",
    b"refs/worktree",
    b"refs/rewritten",
    b"refs/original",
];

/// Returns the refs that a publication may name, out of `refs`: branches,
/// tags, and what `patterns` add. A pattern is a full name, or a namespace
/// that ends in `/*` (`refs/notes/*`).
///
/// Whatever the patterns say, a ref outside `refs/` and one in a namespace
/// that peers refuse (`refs/remotes`, `refs/stash`, …) is left out.
pub fn published_refs<'a>(
    refs: &'a [(Vec<u8>, ObjectId)],
    patterns: &[Vec<u8>],
) -> Vec<&'a (Vec<u8>, ObjectId)> {
    let named = |name: &[u8]| {
        below(name, b"refs/heads")
            || below(name, b"refs/tags")
            || patterns
                .iter()
                .any(|pattern| match pattern.strip_suffix(b"/*") {
                    Some(space) => below(name, space),
                    None => name == pattern,
                })
    };
    let private = |name: &[u8]| {
        PRIVATE
            .iter()
            .any(|space| name == *space || below(name, space))
    };
    refs.iter()
        .filter(|(name, _)| below(name, b"refs") && named(name) && !private(name))
        .collect()
}

fn below(name: &[u8], space: &[u8]) -> bool {
    name.strip_prefix(space)
        .is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use gt_vfs::ObjectFormat;

    use super::*;

    fn names(patterns: &[&str]) -> Vec<String> {
        let refs: Vec<_> = [
            "HEAD",
            "refs/bisect/bad",
            "refs/gt/heads/x",
            "refs/heads/main",
            "refs/headstone/x",
            "refs/notes/commits",
            "refs/notes/x/y",
            "refs/remotes/origin/main",
            "refs/replace/0123",
            "refs/stash",
            "refs/tags/v1",
            "refs/x",
        ]
        .iter()
        .map(|name| (name.as_bytes().to_vec(), ObjectId::null(ObjectFormat::Sha1)))
        .collect();
        let patterns: Vec<_> = patterns.iter().map(|p| p.as_bytes().to_vec()).collect();
        published_refs(&refs, &patterns)
            .into_iter()
            .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    #[test]
    fn branches_and_tags_by_default() {
        assert_eq!(names(&[]), ["refs/heads/main", "refs/tags/v1"]);
    }

    #[test]
    fn patterns_add() {
        let both = ["refs/heads/main", "refs/notes/commits", "refs/tags/v1"];
        assert_eq!(names(&["refs/notes/commits"]), both);
        assert_eq!(names(&["refs/notes/*"]).len(), 4);
        assert_eq!(names(&["refs/x", "refs/heads/*"]).len(), 3);
    }

    #[test]
    fn no_pattern_opens_a_private_namespace() {
        let all = names(&["refs/*", "*", "HEAD", "refs/stash", "refs/gt/*", "/*"]);
        let refused = [
            "HEAD",
            "refs/bisect",
            "refs/gt",
            "refs/remotes",
            "refs/replace",
        ];
        for space in refused.iter().chain(&["refs/stash"]) {
            assert!(!all.iter().any(|name| name.starts_with(space)), "{space}");
        }
        assert_eq!(all.len(), 6);
    }
}
