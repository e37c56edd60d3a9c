//! Which commits and tags belong to a reel, and in which order.
//!
//! A commit's generation is 0 where no parent lies in the reel, else one more
//! than its latest parent's there; commits are ordered by generation, then id.
//! Dates, names of refs and the order of discovery have no say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use gt_vfs::ObjectId;

use super::commits::Commits;
use super::{Error, Moment, Progress, links};
use crate::Kind;
use crate::published::Published;
use crate::repository::Repository;

/// What a moment's tips lead to, trees and blobs below commits apart.
pub(super) struct History {
    pub(super) commits: Commits,
    /// Their places in order, parents before children.
    pub(super) order: Vec<u32>,
    /// Tags, inner before outer, then by id.
    pub(super) tags: Vec<ObjectId>,
    /// Trees that refs or tags name themselves, by id.
    pub(super) trees: BTreeSet<ObjectId>,
    /// Blobs that refs or tags name themselves, by id.
    pub(super) blobs: BTreeSet<ObjectId>,
    /// Parents outside the reel, by id.
    pub(super) prerequisites: Vec<ObjectId>,
}

impl History {
    pub(super) fn find(
        repository: &dyn Repository,
        published: &dyn Published,
        moment: &Moment,
        progress: Option<&(dyn Fn(Progress) + Sync)>,
    ) -> Result<Self, Error> {
        let mut search = Search {
            repository,
            published,
            heights: BTreeMap::new(),
            trees: BTreeSet::new(),
            blobs: BTreeSet::new(),
            commits: Commits::new(repository.format()),
            people: HashMap::new(),
            outside: BTreeSet::new(),
        };
        for (_, id) in moment.tips() {
            search.tip(*id)?;
            if let Some(progress) = progress {
                let objects = search.commits.len() as u64;
                progress(Progress::Listing { objects });
            }
        }
        let mut tags: Vec<_> = search
            .heights
            .into_iter()
            .map(|(id, height)| (height, id))
            .collect();
        tags.sort();
        Ok(Self {
            order: search.commits.in_order(),
            commits: search.commits,
            tags: tags.into_iter().map(|(_, id)| id).collect(),
            trees: search.trees,
            blobs: search.blobs,
            prerequisites: search.outside.into_iter().collect(),
        })
    }
}

struct Search<'a> {
    repository: &'a dyn Repository,
    published: &'a dyn Published,
    /// How many tags lie between a tag and what is none.
    heights: BTreeMap<ObjectId, u32>,
    trees: BTreeSet<ObjectId>,
    blobs: BTreeSet<ObjectId>,
    commits: Commits,
    people: HashMap<Box<[u8]>, u32>,
    outside: BTreeSet<ObjectId>,
}

impl Search<'_> {
    /// Follows a tip through its tags.
    fn tip(&mut self, mut id: ObjectId) -> Result<(), Error> {
        let mut chain = Vec::new();
        let mut expected = None;
        let height = loop {
            if let Some(height) = self.heights.get(&id) {
                break height + 1;
            }
            if self.published.contains(&id)? {
                break 0;
            }
            let kind = match expected {
                Some(kind) => kind,
                None => self.repository.header(&id)?.0,
            };
            match kind {
                Kind::Commit => self.history(id)?,
                Kind::Tree => _ = self.trees.insert(id),
                Kind::Blob => _ = self.blobs.insert(id),
                Kind::Tag => {
                    let text = read(self.repository, &id, kind)?;
                    let (object, kind) =
                        links::tag(&text, id.format()).ok_or(Error::Malformed { id, kind })?;
                    chain.push(id);
                    (id, expected) = (object, Some(kind));
                    continue;
                }
            }
            break 0;
        };
        for (id, height) in chain.into_iter().rev().zip(height..) {
            self.heights.insert(id, height);
        }
        Ok(())
    }

    /// Takes a commit and what is not published of its history.
    fn history(&mut self, tip: ObjectId) -> Result<(), Error> {
        let kind = Kind::Commit;
        let mut open = vec![tip];
        while let Some(id) = open.pop() {
            if self.commits.find(&id).is_some() {
                continue;
            }
            let text = read(self.repository, &id, kind)?;
            let (tree, parents) =
                links::commit(&text, id.format()).ok_or(Error::Malformed { id, kind })?;
            for parent in &parents {
                if self.commits.find(parent).is_some() || self.outside.contains(parent) {
                    continue;
                }
                if self.published.contains(parent)? {
                    self.outside.insert(*parent);
                } else {
                    open.push(*parent);
                }
            }
            let next = self.people.len() as u32;
            let people = links::people(&text).into();
            let people = *self.people.entry(people).or_insert(next);
            if !self.commits.push(&id, &tree, &parents, people) {
                return Err(Error::TooMany { limit: u32::MAX });
            }
        }
        Ok(())
    }
}

/// Reads an object that must be of a kind.
pub(super) fn read(
    repository: &dyn Repository,
    id: &ObjectId,
    expected: Kind,
) -> Result<Bytes, Error> {
    let (got, bytes) = repository.read(id)?;
    if got == expected {
        Ok(bytes)
    } else {
        let id = *id;
        Err(Error::Kind { id, expected, got })
    }
}
