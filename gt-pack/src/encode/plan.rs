//! What goes into a reel, in which order, on which bases.
//!
//! Objects get their index on a walk forward in time: the commits in their
//! order, each commit's trees depth first in stored order, a tree before what
//! is in it; then tags, then trees and blobs that tags or refs name. The pack
//! holds commits, tags, trees and blobs, one kind after the other; within a
//! kind the first reel of a chain goes from the newest index to the oldest,
//! a later one from the oldest to the newest.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use gt_vfs::ObjectId;

use super::alike::Alike;
use super::bases::{Base, Bases, MAX_OBJECTS, Notes};
use super::commits::Commits;
use super::history::{History, read};
use super::links::{self, Tree};
use super::listed::{Listed, Objects};
use super::names::{Name, Names, Path, ROOT};
use super::renames::{Gone, Orphan};
use super::walk::{Beside, Trees};
use super::{Error, Moment, Options, Progress, recipe};
use crate::Kind;
use crate::published::Published;
use crate::repository::Repository;

/// The order of kinds in a pack.
pub(super) const KINDS: [Kind; 4] = [Kind::Commit, Kind::Tag, Kind::Tree, Kind::Blob];

/// A published object that may be a base.
pub(super) struct Outside {
    pub(super) id: ObjectId,
    pub(super) kind: Kind,
    pub(super) depth: u32,
    /// What a delta on it may stand on instead; `None` while nobody asked.
    pub(super) skips: Option<Vec<Skip>>,
}

/// An object on which another is built, some deltas further on.
pub(super) struct Skip {
    pub(super) base: Base,
    /// Bytes of the objects that are passed by: what a reader does not make.
    pub(super) saved: u64,
}

pub(super) struct Plan {
    /// By index.
    pub(super) objects: Objects,
    /// The indices in the order of the pack.
    pub(super) order: Vec<u32>,
    pub(super) outside: Vec<Outside>,
    pub(super) bases: Bases,
    pub(super) prerequisites: Vec<ObjectId>,
}

pub(super) fn plan(
    repository: &dyn Repository,
    published: &dyn Published,
    moment: &Moment,
    options: &Options<'_>,
) -> Result<Plan, Error> {
    let history = History::find(repository, published, moment, options.progress)?;
    let first_reel = published.is_empty();
    let mut planner = Planner {
        repository,
        published,
        // The trees of a few commits. What is kept here lies in small pieces,
        // and is not there for what comes later.
        trees: Trees::new(repository, options.cache / 4),
        names: Names::default(),
        listed: Listed::new(repository.format()),
        outside: Vec::new(),
        outside_places: HashMap::new(),
        notes: Notes::default(),
        last: first_reel.then(Last::default),
        alike: (!first_reel).then(Alike::default),
    };
    for (n, place) in history.order.iter().enumerate() {
        planner.commit(&history.commits, *place)?;
        if let Some(progress) = options.progress.filter(|_| n % 64 == 0) {
            let objects = planner.listed.objects().len() as u64;
            progress(Progress::Listing { objects });
        }
    }
    for id in &history.tags {
        planner.tag(*id)?;
    }
    for id in &history.trees {
        planner.tree(*id, [None, None])?;
    }
    for id in &history.blobs {
        if !planner.known(id, Kind::Blob)? {
            planner.add(*id, Kind::Blob, None, None)?;
        }
    }
    Ok(planner.end(first_reel, history.prerequisites))
}

struct Planner<'a> {
    repository: &'a dyn Repository,
    published: &'a dyn Published,
    trees: Trees<'a>,
    names: Names,
    listed: Listed,
    outside: Vec<Outside>,
    outside_places: HashMap<ObjectId, u32>,
    notes: Notes,
    last: Option<Last>,
    /// In later reels.
    alike: Option<Alike>,
}

/// The latest object at each path and of each name, by kind, and what comes
/// in the place of a path for commits and tags: the first reel only.
#[derive(Default)]
struct Last {
    paths: HashMap<(Path, Kind), u32>,
    names: HashMap<(Name, Kind), u32>,
    /// The latest commit by the same people.
    people: HashMap<u32, u32>,
    /// The latest two tags.
    tags: [Option<u32>; 2],
}

/// A tree that is being gone through, beside the parents' at the same path.
struct Frame {
    tree: Arc<Tree>,
    entry: usize,
    first: Option<Beside>,
    second: Option<Beside>,
    path: Path,
}

impl Planner<'_> {
    fn commit(&mut self, commits: &Commits, place: u32) -> Result<(), Error> {
        let commit = commits.commit(place);
        let mut parents = [None; 2];
        for (slot, parent) in parents.iter_mut().zip(commit.parents.iter().flatten()) {
            *slot = self.base(parent, Kind::Commit)?;
        }
        let index = self.add(commit.id, Kind::Commit, parents[0], parents[1])?;
        if let Some(alike) = &mut self.alike
            && let Some(older) = alike.find(self.repository, &commit)?
        {
            let older = self.base(&older, Kind::Commit)?;
            self.notes.removed(index, older);
        }
        if let Some(last) = &mut self.last
            && let Some(older) = last.people.insert(commits.people(place), index)
        {
            self.notes.next_at_path(older, index);
        }
        let mut beside = [None; 2];
        for (slot, parent) in beside.iter_mut().zip(commit.parents.iter().flatten()) {
            *slot = match commits.find(parent) {
                Some(place) => Some(commits.tree(place)),
                None => Some(self.root_of(parent)?),
            };
        }
        self.tree(commit.tree, beside)
    }

    /// Takes a tag. Tags of one project are much alike, whatever they name.
    fn tag(&mut self, id: ObjectId) -> Result<(), Error> {
        let index = self.add(id, Kind::Tag, None, None)?;
        if let Some(last) = &mut self.last {
            let [one, two] = last.tags;
            last.tags = [Some(index), one];
            if let Some(older) = one {
                self.notes.next_at_path(older, index);
            }
            if let Some(older) = two {
                self.notes.next_of_name(older, index);
            }
        }
        Ok(())
    }

    /// Returns the root tree of a published commit.
    fn root_of(&self, id: &ObjectId) -> Result<ObjectId, Error> {
        let text = read(self.repository, id, Kind::Commit)?;
        let malformed = Error::Malformed {
            id: *id,
            kind: Kind::Commit,
        };
        let (tree, _) = links::commit(&text, id.format()).ok_or(malformed)?;
        Ok(tree)
    }

    /// Takes what is new in and below a root tree.
    fn tree(&mut self, root: ObjectId, beside: [Option<ObjectId>; 2]) -> Result<(), Error> {
        let mut gone = Gone::default();
        let mut orphans = Vec::new();
        let mut open = Vec::new();
        if !self.known(&root, Kind::Tree)? {
            self.enter(root, beside, ROOT, &mut open)?;
        }
        while let Some(frame) = open.last_mut() {
            if frame.entry == frame.tree.len() {
                if let Some(first) = open.pop().and_then(|frame| frame.first) {
                    first.end(|tree, entry| gone.entry(&mut self.names, tree, entry));
                }
                continue;
            }
            let entry = frame.entry;
            frame.entry += 1;
            let tree = Arc::clone(&frame.tree);
            let (id, kind) = (tree.id(entry), tree.kind(entry));
            let first = frame.first.as_mut().and_then(|side| {
                side.follow(&tree, entry, |t, e| gone.entry(&mut self.names, t, e))
            });
            let second = frame
                .second
                .as_mut()
                .and_then(|side| side.follow(&tree, entry, |_, _| {}));
            if first == Some(id) {
                continue;
            }
            if self.known(&id, kind)? {
                if let (Kind::Tree, Some(before)) = (kind, first) {
                    gone.pair(id, before);
                }
                continue;
            }
            let name = self.names.name(tree.name(entry));
            let path = self.names.path(frame.path, name);
            let index = self.listed.objects().len() as u32;
            if kind == Kind::Tree {
                self.enter(id, [first, second], path, &mut open)?;
            } else {
                let bases = [
                    self.maybe_base(first, kind)?,
                    self.maybe_base(second, kind)?,
                ];
                self.add(id, kind, bases[0], bases[1])?;
            }
            self.remember(index, kind, path, name);
            if first.is_none() && beside[0].is_some() {
                orphans.push((index, kind, name));
            }
        }
        self.renames(gone, orphans)
    }

    /// Takes a tree that is new and opens it.
    fn enter(
        &mut self,
        id: ObjectId,
        [first, second]: [Option<ObjectId>; 2],
        path: Path,
        open: &mut Vec<Frame>,
    ) -> Result<(), Error> {
        let bases = [
            self.maybe_base(first, Kind::Tree)?,
            self.maybe_base(second, Kind::Tree)?,
        ];
        let index = self.add(id, Kind::Tree, bases[0], bases[1])?;
        if path == ROOT {
            let name = self.names.name(b"");
            self.remember(index, Kind::Tree, ROOT, name);
        }
        let mut side = |id: Option<ObjectId>| id.map(|id| self.trees.read(&id)).transpose();
        let (first, second) = (side(first)?, side(second)?);
        open.push(Frame {
            tree: self.trees.read(&id)?,
            entry: 0,
            first: first.map(Beside::new),
            second: second.map(Beside::new),
            path,
        });
        Ok(())
    }

    fn renames(&mut self, gone: Gone, orphans: Vec<(u32, Kind, Name)>) -> Result<(), Error> {
        if orphans.is_empty() {
            return Ok(());
        }
        let removed = gone.list(self.repository, &mut self.trees, &mut self.names)?;
        if removed.is_empty() {
            return Ok(());
        }
        for (index, kind, name) in orphans {
            let size = self.repository.header(&self.listed.objects().id(index))?.1;
            let orphan = Orphan { kind, name, size };
            let mut bases = Vec::new();
            for id in removed.likely(&orphan) {
                bases.extend(self.base(&id, kind)?.filter(|b| *b != Base::inside(index)));
            }
            self.notes.removed(index, bases);
        }
        Ok(())
    }

    /// Tells whether an object is in the reel already, or published.
    fn known(&self, id: &ObjectId, expected: Kind) -> Result<bool, Error> {
        match self.listed.find(id) {
            Some(place) => {
                let got = self.listed.objects().kind(place);
                let id = *id;
                (got == expected)
                    .then_some(true)
                    .ok_or(Error::Kind { id, expected, got })
            }
            None => Ok(self.published.contains(id)?),
        }
    }

    fn add(
        &mut self,
        id: ObjectId,
        kind: Kind,
        first: Option<Base>,
        second: Option<Base>,
    ) -> Result<u32, Error> {
        let index = self.listed.objects().len() as u32;
        if index == MAX_OBJECTS {
            return Err(Error::TooMany { limit: MAX_OBJECTS });
        }
        self.listed.push(&id, kind);
        self.notes.push(first, second);
        Ok(index)
    }

    fn remember(&mut self, index: u32, kind: Kind, path: Path, name: Name) {
        let Some(last) = &mut self.last else { return };
        if let Some(older) = last.paths.insert((path, kind), index) {
            self.notes.next_at_path(older, index);
        }
        if let Some(older) = last.names.insert((name, kind), index) {
            self.notes.next_of_name(older, index);
        }
    }

    fn maybe_base(&mut self, id: Option<ObjectId>, kind: Kind) -> Result<Option<Base>, Error> {
        match id {
            Some(id) => self.base(&id, kind),
            None => Ok(None),
        }
    }

    /// Returns an object as a base: one of the reel, or a published one.
    fn base(&mut self, id: &ObjectId, kind: Kind) -> Result<Option<Base>, Error> {
        if let Some(place) = self.listed.find(id) {
            let same = self.listed.objects().kind(place) == kind;
            return Ok(same.then(|| Base::inside(place)));
        }
        let Some(place) = self.outside(id, kind)? else {
            return Ok(None);
        };
        if kind == Kind::Blob && self.outside[place as usize].skips.is_none() {
            let skips = self.skips(id)?;
            self.outside[place as usize].skips = Some(skips);
        }
        Ok(Some(Base::outside(place)))
    }

    /// Returns what a blob is built on, at distances that double, so that a
    /// reader of a large file that many pushes change need not make every
    /// version of it.
    fn skips(&mut self, id: &ObjectId) -> Result<Vec<Skip>, Error> {
        let mut skips = Vec::new();
        let mut next = *id;
        let mut saved = self.repository.header(id)?.1;
        if !(recipe::LARGE..=recipe::MAX_DELTA_OBJECT).contains(&saved) {
            return Ok(skips);
        }
        for distance in 1..=recipe::MAX_SKIP {
            let Some(id) = self.published.base(&next)? else {
                break;
            };
            next = id;
            if distance.is_power_of_two() {
                let Some(place) = self.outside(&next, Kind::Blob)? else {
                    break;
                };
                let base = Base::outside(place);
                skips.push(Skip { base, saved });
            }
            saved += self.repository.header(&next)?.1;
        }
        Ok(skips)
    }

    /// Returns the place of a published object of this kind.
    fn outside(&mut self, id: &ObjectId, kind: Kind) -> Result<Option<u32>, Error> {
        let place = match self.outside_places.entry(*id) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(vacant) => {
                let Some(depth) = self.published.depth(id)? else {
                    return Ok(None);
                };
                let place = self.outside.len() as u32;
                if place == MAX_OBJECTS {
                    return Err(Error::TooMany { limit: MAX_OBJECTS });
                }
                self.outside.push(Outside {
                    id: *id,
                    kind,
                    depth,
                    skips: None,
                });
                *vacant.insert(place)
            }
        };
        let same = self.outside[place as usize].kind == kind;
        Ok(same.then_some(place))
    }

    fn end(self, first_reel: bool, prerequisites: Vec<ObjectId>) -> Plan {
        let objects = self.listed.into_objects();
        let mut order = Vec::with_capacity(objects.len());
        for kind in KINDS {
            let of_kind = (0..objects.len() as u32).filter(|index| objects.kind(*index) == kind);
            if first_reel {
                order.extend(of_kind.rev());
            } else {
                order.extend(of_kind);
            }
        }
        Plan {
            objects,
            order,
            outside: self.outside,
            bases: if first_reel {
                Bases::backward(self.notes)
            } else {
                Bases::Forward(self.notes)
            },
            prerequisites,
        }
    }
}
