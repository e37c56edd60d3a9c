//! The objects of a reel, in few bytes each: there may be millions.

use std::hash::{BuildHasher, RandomState};

use gt_vfs::{ObjectFormat, ObjectId};
use hashbrown::HashTable;

use crate::Kind;

/// Objects by index.
#[derive(Clone)]
pub(super) struct Objects {
    format: ObjectFormat,
    /// Their names, one after the other.
    names: Vec<u8>,
    kinds: Vec<Kind>,
}

impl Objects {
    /// Returns a list of objects named in this format, with none in it.
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            names: Vec::new(),
            kinds: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, id: &ObjectId, kind: Kind) {
        self.names.extend_from_slice(id.as_bytes());
        self.kinds.push(kind);
    }

    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn name(&self, index: u32) -> &[u8] {
        let width = self.format.raw_len();
        &self.names[index as usize * width..][..width]
    }

    pub(super) fn id(&self, index: u32) -> ObjectId {
        ObjectId::from_bytes(self.name(index)).unwrap_or(ObjectId::null(self.format))
    }

    pub(super) fn kind(&self, index: u32) -> Kind {
        self.kinds[index as usize]
    }
}

/// Objects that are also found by their names.
pub(super) struct Listed {
    objects: Objects,
    /// Indices, by a hash with a secret of this process: ids come from
    /// strangers.
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Listed {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            objects: Objects::new(format),
            places: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    /// Adds an object that is not there yet, under the next index.
    pub(super) fn push(&mut self, id: &ObjectId, kind: Kind) {
        let index = self.objects.len() as u32;
        self.objects.push(id, kind);
        let hash = |name: &[u8]| self.hasher.hash_one(name);
        let (own, objects) = (hash(id.as_bytes()), &self.objects);
        self.places
            .insert_unique(own, index, |other| hash(objects.name(*other)));
    }

    pub(super) fn find(&self, id: &ObjectId) -> Option<u32> {
        let hash = self.hasher.hash_one(id.as_bytes());
        let same = |index: &u32| self.objects.name(*index) == id.as_bytes();
        self.places.find(hash, same).copied()
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Forgets how to find them.
    pub(super) fn into_objects(self) -> Objects {
        self.objects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_listed_is_found() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let id = |n: u32| {
                let mut name = vec![0; format.raw_len()];
                // Alike but for the end.
                name[format.raw_len() - 4..].copy_from_slice(&n.to_be_bytes());
                ObjectId::from_bytes(&name).unwrap()
            };
            let mut listed = Listed::new(format);
            assert!(listed.objects().is_empty());
            for n in 0..5000 {
                assert_eq!(listed.find(&id(n)), None);
                listed.push(&id(n), Kind::ALL[n as usize % 4]);
            }
            for n in 0..5000 {
                assert_eq!(listed.find(&id(n)), Some(n));
                let objects = listed.objects();
                assert_eq!(
                    (objects.id(n), objects.kind(n)),
                    (id(n), Kind::ALL[n as usize % 4])
                );
            }
            assert_eq!(listed.find(&id(5000)), None);
            assert_eq!(listed.into_objects().len(), 5000);
        }
    }
}
