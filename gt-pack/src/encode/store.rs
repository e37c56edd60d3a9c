//! Objects' bytes, at hand while they are still asked for.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Error;
use super::bases::Base;
use super::deflate::PIECE;
use super::plan::Plan;
use super::recipe::MAX_DELTA_OBJECT;
use crate::repository::cache::Cache;
use crate::repository::{Content, Repository};

/// Reads objects, and keeps those that are still to be a candidate.
pub(super) struct Store<'a> {
    repository: &'a dyn Repository,
    plan: &'a Plan,
    /// How often each object of the reel will be asked for as a candidate.
    uses: Vec<AtomicU32>,
    kept: Mutex<Cache<Base, Bytes>>,
    /// Objects above [`MAX_DELTA_OBJECT`] that were met, and their sizes.
    large: Mutex<HashMap<Base, u64>>,
}

/// An object as the store gives it.
#[derive(Clone)]
pub(super) enum Object {
    /// Its bytes.
    Whole(Bytes),
    /// The size of one above [`MAX_DELTA_OBJECT`]: it is no base and no
    /// delta, and need not lie in memory.
    Large(u64),
}

impl Object {
    /// Returns the length of the object.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Large(size) => *size,
        }
    }

    /// Returns the bytes in memory.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Large(_) => 0,
        }
    }
}

impl<'a> Store<'a> {
    pub(super) fn new(repository: &'a dyn Repository, plan: &'a Plan, capacity: usize) -> Self {
        let uses: Vec<AtomicU32> = (0..plan.objects.len()).map(|_| AtomicU32::new(0)).collect();
        for index in 0..plan.objects.len() as u32 {
            for base in plan.bases.of(index) {
                if let Ok(inside) = base.place() {
                    uses[inside as usize].fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Self {
            repository,
            plan,
            uses,
            kept: Mutex::new(Cache::new(capacity)),
            large: Mutex::default(),
        }
    }

    pub(super) fn fetch(&self, base: Base) -> Result<Object, Error> {
        if let Some(bytes) = self.cache().find(&base) {
            return Ok(Object::Whole(bytes));
        }
        let large = || self.large.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(size) = large().get(&base) {
            return Ok(Object::Large(*size));
        }
        let (id, kind, wanted) = match base.place() {
            Ok(inside) => {
                let objects = &self.plan.objects;
                let uses = self.uses[inside as usize].load(Ordering::Relaxed);
                (objects.id(inside), objects.kind(inside), uses > 0)
            }
            Err(outside) => {
                let object = &self.plan.outside[outside as usize];
                (object.id, object.kind, true)
            }
        };
        let content = self.repository.read_up_to(&id, MAX_DELTA_OBJECT)?;
        let (got, size, bytes) = match content {
            Content::Whole(kind, bytes) => (kind, bytes.len() as u64, Some(bytes)),
            Content::Larger(kind, size) => (kind, size, None),
        };
        if got != kind {
            let expected = kind;
            return Err(Error::Kind { id, expected, got });
        }
        let Some(bytes) = bytes.filter(|_| size <= MAX_DELTA_OBJECT) else {
            large().insert(base, size);
            return Ok(Object::Large(size));
        };
        if wanted {
            self.cache().insert(base, bytes.clone(), bytes.len());
        }
        Ok(Object::Whole(bytes))
    }

    /// Hands out a large object of the reel, in pieces of [`PIECE`] bytes; the
    /// last one, which may be shorter, is told.
    pub(super) fn pieces(
        &self,
        index: u32,
        size: u64,
        out: &mut dyn FnMut(&[u8], bool) -> io::Result<()>,
    ) -> Result<(), Error> {
        let objects = &self.plan.objects;
        let (id, expected) = (objects.id(index), objects.kind(index));
        let mut held = Vec::new();
        let mut done = 0;
        let mut take = |mut bytes: &[u8]| {
            while !bytes.is_empty() {
                let part = bytes.len().min(PIECE - held.len());
                held.extend_from_slice(&bytes[..part]);
                bytes = &bytes[part..];
                done += part as u64;
                let is_last = done == size;
                if held.len() == PIECE || is_last {
                    out(&held, is_last)?;
                    held.clear();
                }
                if done > size {
                    break;
                }
            }
            Ok(())
        };
        let (got, length) = self.repository.stream(&id, &mut take)?;
        if got != expected {
            return Err(Error::Kind { id, expected, got });
        }
        if done != size || length != size {
            let kind = expected;
            return Err(Error::Malformed { id, kind });
        }
        Ok(())
    }

    /// Says that a candidate has served one of its objects.
    pub(super) fn used(&self, base: Base) {
        if let Ok(inside) = base.place()
            && self.uses[inside as usize].fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.cache().forget(&base);
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache<Base, Bytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
