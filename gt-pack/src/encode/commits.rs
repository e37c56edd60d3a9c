//! The commits of a reel, in few bytes each: there may be millions.

use gt_vfs::{ObjectFormat, ObjectId};

use super::listed::{Listed, Objects};
use crate::Kind;

/// Commits by place: the order in which they were found.
pub(super) struct Commits {
    listed: Listed,
    trees: Objects,
    parents: Objects,
    /// Of each commit the number of parents up to its last one.
    ends: Vec<u32>,
    people: Vec<u32>,
}

/// What is asked of one commit.
#[derive(Clone, Copy)]
pub(super) struct Commit {
    pub(super) id: ObjectId,
    pub(super) tree: ObjectId,
    /// Of its parents the first two.
    pub(super) parents: [Option<ObjectId>; 2],
}

impl Commits {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            listed: Listed::new(format),
            trees: Objects::new(format),
            parents: Objects::new(format),
            ends: Vec::new(),
            people: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a commit that is not there yet; `people` is a number for its
    /// author and committer together. Returns false, and does nothing, where
    /// there are too many.
    pub(super) fn push(
        &mut self,
        id: &ObjectId,
        tree: &ObjectId,
        parents: &[ObjectId],
        people: u32,
    ) -> bool {
        let Ok(end) = u32::try_from(self.parents.len() + parents.len()) else {
            return false;
        };
        if u32::try_from(self.len()).is_err() {
            return false;
        }
        self.listed.push(id, Kind::Commit);
        self.trees.push(tree, Kind::Tree);
        for parent in parents {
            self.parents.push(parent, Kind::Commit);
        }
        self.ends.push(end);
        self.people.push(people);
        true
    }

    pub(super) fn find(&self, id: &ObjectId) -> Option<u32> {
        self.listed.find(id)
    }

    pub(super) fn tree(&self, place: u32) -> ObjectId {
        self.trees.id(place)
    }

    pub(super) fn people(&self, place: u32) -> u32 {
        self.people[place as usize]
    }

    pub(super) fn commit(&self, place: u32) -> Commit {
        let mut parents = [None; 2];
        for (slot, parent) in parents.iter_mut().zip(self.parents(place)) {
            *slot = Some(parent);
        }
        Commit {
            id: self.listed.objects().id(place),
            tree: self.tree(place),
            parents,
        }
    }

    fn parents(&self, place: u32) -> impl Iterator<Item = ObjectId> {
        let before = place.checked_sub(1);
        let start = before.map_or(0, |before| self.ends[before as usize]);
        (start..self.ends[place as usize]).map(|parent| self.parents.id(parent))
    }

    /// Returns the places ordered by generation, then id. A commit's
    /// generation is 0 where none of its parents is here, else one more than
    /// the latest of theirs.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let count = self.len() as u32;
        let parents = |child| self.parents(child).filter_map(|id| self.find(&id));
        // The children of all commits in one list; of each commit the place
        // in it up to which its own go.
        let mut ends = vec![0_u32; self.len()];
        let mut waiting = vec![0_u32; self.len()];
        for child in 0..count {
            for parent in parents(child) {
                ends[parent as usize] += 1;
                waiting[child as usize] += 1;
            }
        }
        let mut all = 0;
        for end in &mut ends {
            all += *end;
            *end = all;
        }
        let mut children = vec![0_u32; all as usize];
        let mut starts = ends.clone();
        for child in 0..count {
            for parent in parents(child) {
                let start = &mut starts[parent as usize];
                *start -= 1;
                children[*start as usize] = child;
            }
        }
        let mut generations = vec![0_u32; self.len()];
        let mut ready: Vec<_> = (0..count).filter(|n| waiting[*n as usize] == 0).collect();
        while let Some(parent) = ready.pop() {
            let own = starts[parent as usize]..ends[parent as usize];
            let next = generations[parent as usize] + 1;
            for child in &children[own.start as usize..own.end as usize] {
                let at = *child as usize;
                generations[at] = generations[at].max(next);
                waiting[at] -= 1;
                if waiting[at] == 0 {
                    ready.push(*child);
                }
            }
        }
        drop((ends, starts, children, waiting, ready));
        let mut order: Vec<_> = (0..count).collect();
        let objects = self.listed.objects();
        order.sort_unstable_by(|a, b| {
            let generation = |place: u32| generations[place as usize];
            let by_name = || objects.name(*a).cmp(objects.name(*b));
            generation(*a).cmp(&generation(*b)).then_with(by_name)
        });
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_then_names_decide() {
        let id = |byte: u8| ObjectId::from_bytes(&[byte; 20]).unwrap();
        let mut commits = Commits::new(ObjectFormat::Sha1);
        // 9 is the root, 3 and 5 stand on it, 1 merges both and the root, 7
        // stands on what is elsewhere.
        let all: [(u8, &[u8]); 5] = [
            (1, &[5, 3, 9]),
            (5, &[9]),
            (3, &[9, 9]),
            (9, &[]),
            (7, &[8]),
        ];
        for (name, parents) in all {
            let parents: Vec<_> = parents.iter().map(|parent| id(*parent)).collect();
            assert!(commits.push(&id(name), &id(name + 100), &parents, name.into()));
        }
        let order: Vec<_> = commits.in_order();
        let names: Vec<_> = order.iter().map(|n| commits.people(*n)).collect();
        assert_eq!(names, [7, 9, 3, 5, 1]);
        let merge = commits.commit(commits.find(&id(1)).unwrap());
        assert_eq!((merge.id, merge.tree), (id(1), id(101)));
        assert_eq!(merge.parents, [Some(id(5)), Some(id(3))]);
        let other = commits.commit(commits.find(&id(7)).unwrap());
        assert_eq!(other.parents, [Some(id(8)), None]);
        assert_eq!(commits.find(&id(8)), None);
    }
}
