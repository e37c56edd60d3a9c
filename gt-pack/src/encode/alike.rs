//! Commits that look like a new one: what its people wrote before.
//!
//! Most of a commit's bytes are its message and its signature, which no other
//! commit has; but names, addresses and the frame of a signature come again
//! with everything that the same people do.

use std::collections::HashMap;

use gt_vfs::ObjectId;

use super::Error;
use super::commits::Commit;
use super::history::read;
use super::links;
use super::recipe::MAX_ANCESTORS;
use crate::Kind;
use crate::repository::Repository;

/// What is remembered of a commit.
#[derive(Clone)]
struct Known {
    people: u32,
    first_parent: Option<ObjectId>,
}

/// Commits that were looked at.
#[derive(Default)]
pub(super) struct Alike {
    commits: HashMap<ObjectId, Known>,
    people: HashMap<Vec<u8>, u32>,
}

impl Alike {
    /// Returns the nearest of a commit's ancestors, along first parents, that
    /// is by the same author and committer; the first parent, which is a
    /// candidate in any case, is passed by.
    pub(super) fn find(
        &mut self,
        repository: &dyn Repository,
        commit: &Commit,
    ) -> Result<Option<ObjectId>, Error> {
        let people = self.known(repository, &commit.id)?.people;
        let mut next = commit.parents[0];
        for distance in 1..=MAX_ANCESTORS {
            let Some(id) = next else { break };
            let known = self.known(repository, &id)?;
            if distance > 1 && known.people == people {
                return Ok(Some(id));
            }
            next = known.first_parent;
        }
        Ok(None)
    }

    fn known(&mut self, repository: &dyn Repository, id: &ObjectId) -> Result<Known, Error> {
        if let Some(known) = self.commits.get(id) {
            return Ok(known.clone());
        }
        let kind = Kind::Commit;
        let text = read(repository, id, kind)?;
        let malformed = Error::Malformed { id: *id, kind };
        let (_, parents) = links::commit(&text, id.format()).ok_or(malformed)?;
        let next = self.people.len() as u32;
        let people = *self.people.entry(links::people(&text)).or_insert(next);
        let first_parent = parents.first().copied();
        let known = Known {
            people,
            first_parent,
        };
        self.commits.insert(*id, known.clone());
        Ok(known)
    }
}
