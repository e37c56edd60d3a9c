//! Objects' bytes, at hand while they are still asked for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Error;
use super::bases::Base;
use super::history::read;
use super::plan::Plan;
use crate::repository::Repository;
use crate::repository::cache::Cache;

/// Reads objects, and keeps those that are still to be a candidate.
pub(super) struct Store<'a> {
    repository: &'a dyn Repository,
    plan: &'a Plan,
    /// How often each object of the reel will be asked for as a candidate.
    uses: Vec<AtomicU32>,
    kept: Mutex<Cache<Base, Bytes>>,
}

impl<'a> Store<'a> {
    pub(super) fn new(repository: &'a dyn Repository, plan: &'a Plan, capacity: usize) -> Self {
        let uses: Vec<AtomicU32> = plan.objects.iter().map(|_| AtomicU32::new(0)).collect();
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
        }
    }

    pub(super) fn fetch(&self, base: Base) -> Result<Bytes, Error> {
        if let Some(bytes) = self.cache().find(&base) {
            return Ok(bytes);
        }
        let (id, kind, wanted) = match base.place() {
            Ok(inside) => {
                let object = &self.plan.objects[inside as usize];
                let uses = self.uses[inside as usize].load(Ordering::Relaxed);
                (&object.id, object.kind, uses > 0)
            }
            Err(outside) => {
                let object = &self.plan.outside[outside as usize];
                (&object.id, object.kind, true)
            }
        };
        let bytes = read(self.repository, id, kind)?;
        if wanted {
            self.cache().insert(base, bytes.clone(), bytes.len() + 64);
        }
        Ok(bytes)
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
