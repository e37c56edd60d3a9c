//! What a reel holds, told of each object in few bytes: there may be millions.

use std::fmt;

use gt_vfs::ObjectId;

use super::bases::Base;
use super::listed::Objects;
use crate::published::Placed;

/// The objects of a reel in the order of its pack, and how each is built.
#[derive(Clone)]
pub struct Contents {
    /// By index, as the columns that follow.
    pub(super) objects: Objects,
    pub(super) depths: Vec<u32>,
    /// Of each object the one at the beginning of its chain.
    pub(super) roots: Vec<Base>,
    /// The names of objects outside the reel.
    pub(super) outside: Vec<ObjectId>,
    /// The indices in the order of the pack.
    pub(super) order: Vec<u32>,
}

impl Contents {
    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Tells whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the objects, one after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Placed> {
        self.order.iter().map(|index| {
            let at = *index as usize;
            let base = self.roots[at].place().err();
            let base = base.map(|place| self.outside[place as usize]);
            Placed::new(self.objects.id(*index), self.depths[at], base)
        })
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Contents {}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
