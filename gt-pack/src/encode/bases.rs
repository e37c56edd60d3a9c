//! Which objects may be an object's base, in the order in which they are
//! tried.
//!
//! The walk goes forward in time and notes, for each object, what came before
//! it. Later reels are encoded in that direction. The first reel is encoded
//! newest first, so there every note is read from its other end.

use super::recipe::MAX_CANDIDATES;

/// An object of the reel by its index, or one outside of it by its place in
/// the plan's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Base(u32);

/// Set in the number of an object outside the reel.
const OUTSIDE: u32 = 1 << 31;

/// Most objects in a reel, and outside of it.
pub(super) const MAX_OBJECTS: u32 = OUTSIDE - 1;

impl Base {
    const NONE: Self = Self(u32::MAX);

    pub(super) fn inside(index: u32) -> Self {
        Self(index)
    }

    pub(super) fn outside(place: u32) -> Self {
        Self(place | OUTSIDE)
    }

    /// Returns the index in the reel, or else the place outside.
    pub(super) fn place(self) -> Result<u32, u32> {
        if self.0 < OUTSIDE {
            Ok(self.0)
        } else {
            Err(self.0 & !OUTSIDE)
        }
    }

    fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// What the walk notes of one object.
#[derive(Clone, Copy)]
struct Note {
    first: Base,
    second: Base,
    removed: u32,
    count: u8,
}

/// The notes of all objects, by index.
#[derive(Default)]
pub(super) struct Notes {
    notes: Vec<Note>,
    removed: Vec<Base>,
    /// Of each object, the next newer one at its path, and of its name.
    newer: Vec<[Base; 2]>,
}

impl Notes {
    /// Takes the next object, with what its commit's first and second parent
    /// have in its place.
    pub(super) fn push(&mut self, first: Option<Base>, second: Option<Base>) {
        self.notes.push(Note {
            first: first.unwrap_or(Base::NONE),
            second: second.unwrap_or(Base::NONE),
            removed: 0,
            count: 0,
        });
        self.newer.push([Base::NONE; 2]);
    }

    /// Notes which removed objects an object may have been.
    pub(super) fn removed(&mut self, index: u32, removed: impl IntoIterator<Item = Base>) {
        let start = self.removed.len();
        self.removed.extend(removed);
        let note = &mut self.notes[index as usize];
        note.removed = start as u32;
        note.count = (self.removed.len() - start) as u8;
    }

    /// Notes which object came next at an older one's path.
    pub(super) fn next_at_path(&mut self, older: u32, newer: u32) {
        self.newer[older as usize][0] = Base::inside(newer);
    }

    /// Notes which object came next with an older one's base name.
    pub(super) fn next_of_name(&mut self, older: u32, newer: u32) {
        self.newer[older as usize][1] = Base::inside(newer);
    }

    fn removed_of(&self, note: &Note) -> &[Base] {
        &self.removed[note.removed as usize..][..usize::from(note.count)]
    }
}

/// Who may be whose base.
pub(super) enum Bases {
    /// Older objects.
    Forward(Notes),
    /// Newer objects.
    Backward {
        newer: Vec<[Base; 2]>,
        /// Of each object, the nearest newer one whose first and second
        /// parent have it in their place.
        children: Vec<[Base; 2]>,
        /// Removed objects and what they may have become, sorted.
        became: Vec<(Base, Base)>,
    },
}

impl Bases {
    pub(super) fn backward(notes: Notes) -> Self {
        let mut children = vec![[Base::NONE; 2]; notes.notes.len()];
        let mut became = Vec::new();
        for (index, note) in notes.notes.iter().enumerate() {
            let newer = Base::inside(index as u32);
            for (side, older) in [note.first, note.second].into_iter().enumerate() {
                if let Some(Ok(older)) = older.some().map(Base::place) {
                    let child = &mut children[older as usize][side];
                    if *child == Base::NONE {
                        *child = newer;
                    }
                }
            }
            became.extend(notes.removed_of(note).iter().map(|older| (*older, newer)));
        }
        became.sort();
        Self::Backward {
            newer: notes.newer,
            children,
            became,
        }
    }

    /// Returns the candidates of an object, none twice.
    pub(super) fn of(&self, index: u32) -> Vec<Base> {
        let mut list: Vec<Base> = Vec::with_capacity(MAX_CANDIDATES);
        let mut add = |base: Base| {
            if base != Base::NONE && list.len() < MAX_CANDIDATES && !list.contains(&base) {
                list.push(base);
            }
        };
        match self {
            Self::Forward(notes) => {
                let note = &notes.notes[index as usize];
                add(note.first);
                add(note.second);
                notes.removed_of(note).iter().copied().for_each(add);
            }
            Self::Backward {
                newer,
                children,
                became,
            } => {
                children[index as usize].into_iter().for_each(&mut add);
                newer[index as usize].into_iter().for_each(&mut add);
                let me = Base::inside(index);
                let start = became.partition_point(|(older, _)| *older < me);
                became[start..]
                    .iter()
                    .take_while(|(older, _)| *older == me)
                    .take(super::recipe::MAX_RENAMES)
                    .for_each(|(_, newer)| add(*newer));
            }
        }
        list
    }
}
