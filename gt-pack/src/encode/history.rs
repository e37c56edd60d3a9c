//! Which commits and tags belong to a reel, and in which order.
//!
//! A commit's generation is 0 where no parent lies in the reel, else one more
//! than its latest parent's there; commits are ordered by generation, then id.
//! Dates, names of refs and the order of discovery have no say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use gt_vfs::ObjectId;

use super::{Error, Moment, Progress, links};
use crate::Kind;
use crate::published::Published;
use crate::repository::Repository;

/// A commit of the reel.
pub(super) struct Commit {
    pub(super) id: ObjectId,
    pub(super) tree: ObjectId,
    pub(super) parents: Vec<ObjectId>,
    /// A number for its author and committer together.
    pub(super) people: u32,
}

/// What a moment's tips lead to, trees and blobs below commits apart.
pub(super) struct History {
    /// Commits, parents before children.
    pub(super) commits: Vec<Commit>,
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
            places: HashMap::new(),
            commits: Vec::new(),
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
            commits: in_order(search.commits, &search.places),
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
    places: HashMap<ObjectId, u32>,
    commits: Vec<Commit>,
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
            if self.places.contains_key(&id) {
                continue;
            }
            let text = read(self.repository, &id, kind)?;
            let (tree, parents) =
                links::commit(&text, id.format()).ok_or(Error::Malformed { id, kind })?;
            for parent in &parents {
                if self.places.contains_key(parent) || self.outside.contains(parent) {
                    continue;
                }
                if self.published.contains(parent)? {
                    self.outside.insert(*parent);
                } else {
                    open.push(*parent);
                }
            }
            let place = u32::try_from(self.commits.len())
                .map_err(|_| Error::TooMany { limit: u32::MAX })?;
            self.places.insert(id, place);
            let next = self.people.len() as u32;
            let people = links::people(&text).into();
            let people = *self.people.entry(people).or_insert(next);
            self.commits.push(Commit {
                id,
                tree,
                parents,
                people,
            });
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

fn in_order(commits: Vec<Commit>, places: &HashMap<ObjectId, u32>) -> Vec<Commit> {
    let mut children = vec![Vec::new(); commits.len()];
    let mut waiting = vec![0_u32; commits.len()];
    for (child, commit) in commits.iter().enumerate() {
        for parent in commit.parents.iter().filter_map(|id| places.get(id)) {
            children[*parent as usize].push(child as u32);
            waiting[child] += 1;
        }
    }
    let mut generations = vec![0_u32; commits.len()];
    let mut ready: Vec<_> = (0..commits.len()).filter(|n| waiting[*n] == 0).collect();
    while let Some(parent) = ready.pop() {
        for child in &children[parent] {
            let child = *child as usize;
            generations[child] = generations[child].max(generations[parent] + 1);
            waiting[child] -= 1;
            if waiting[child] == 0 {
                ready.push(child);
            }
        }
    }
    let mut commits: Vec<_> = generations.into_iter().zip(commits).collect();
    commits.sort_by_key(|(generation, commit)| (*generation, commit.id));
    commits.into_iter().map(|(_, commit)| commit).collect()
}
