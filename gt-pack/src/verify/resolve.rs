//! Resolves the deltas of a pack, from their bases outward.
//!
//! A tree of deltas is walked with a stack of its own, never by recursion. Of
//! the deltas on one base the one that carries most comes last: while it is
//! followed the base is no longer needed, so at most log2(n) bases wait at a
//! time however deep the tree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gt_vfs::{ObjectFormat, ObjectId};
use rayon::prelude::*;

use super::table::Table;
use super::{Base, Bases, Error, Progress, Seen, Stage, Visitor};
use crate::delta;
use crate::entry::EntryKind;
use crate::hash;
use crate::inflate::Inflater;
use crate::kind::Kind;
use crate::limits::{Exceeded, Limits};

/// A delta of which the object is known now.
pub(super) struct Resolved {
    pub(super) place: u32,
    pub(super) oid: ObjectId,
    pub(super) kind: Kind,
    pub(super) base: ObjectId,
    pub(super) depth: u32,
}

pub(super) struct Resolver<'a> {
    pub(super) format: ObjectFormat,
    pub(super) limits: &'a Limits,
    pub(super) table: &'a Table<'a>,
    pub(super) visitor: &'a dyn Visitor,
    pub(super) progress: &'a dyn Progress,
    /// Entries that are resolved, or being resolved.
    claimed: Vec<AtomicBool>,
    waiting: Arc<AtomicU64>,
    done: AtomicU64,
    stop: AtomicBool,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        format: ObjectFormat,
        limits: &'a Limits,
        table: &'a Table<'a>,
        visitor: &'a dyn Visitor,
        progress: &'a dyn Progress,
    ) -> Self {
        let claimed = (0..table.len()).map(|_| AtomicBool::new(false)).collect();
        Self {
            format,
            limits,
            table,
            visitor,
            progress,
            claimed,
            waiting: Arc::default(),
            done: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Resolves what stands on the whole objects of the pack, which are given
    /// by place, name and kind.
    pub(super) fn inside(&self, roots: &[(u32, ObjectId, Kind)]) -> Result<Vec<Resolved>, Error> {
        for (place, ..) in roots {
            self.claimed[*place as usize].store(true, Ordering::Relaxed);
        }
        self.done.store(roots.len() as u64, Ordering::Relaxed);
        let parts: Result<Vec<Vec<Resolved>>, Error> = roots
            .par_iter()
            .map_init(Worker::default, |worker, (place, oid, kind)| {
                let deltas = self.table.deltas_on(Some(*place), oid);
                let mut out = Vec::new();
                if !deltas.is_empty() {
                    let Worker { inflater, buffer } = worker;
                    let content = self.table.inflate(*place, inflater, buffer)?;
                    self.walk(worker, oid, Base::new(*kind, content, 0), deltas, &mut out)?;
                }
                Ok(out)
            })
            .map(|part: Result<_, Error>| self.or_stop(part))
            .collect();
        Ok(parts?.into_iter().flatten().collect())
    }

    /// Resolves what stands on objects outside, and says which of them were
    /// used, in the order of the deltas.
    pub(super) fn outside(
        &self,
        bases: &dyn Bases,
    ) -> Result<(Vec<Resolved>, Vec<ObjectId>), Error> {
        let mut asked = self.table.named_bases();
        asked.retain(|(_, oid)| {
            let deltas = self.table.deltas_on(None, oid);
            deltas.iter().any(|d| !self.is_claimed(*d))
        });
        let parts: Result<Vec<_>, Error> = asked
            .par_iter()
            .map_init(Worker::default, |worker, (_, oid)| {
                let mut out = Vec::new();
                if let Some(base) = bases.find(oid)? {
                    let deltas = self.table.deltas_on(None, oid);
                    self.walk(worker, oid, base, deltas, &mut out)?;
                }
                Ok(out)
            })
            .map(|part| self.or_stop(part))
            .collect();
        let mut resolved = Vec::new();
        let mut used = Vec::new();
        for ((first, oid), part) in asked.iter().zip(parts?) {
            if !part.is_empty() {
                used.push((*first, *oid));
                resolved.extend(part);
            }
        }
        used.sort_unstable();
        Ok((resolved, used.into_iter().map(|(_, oid)| oid).collect()))
    }

    /// Returns the base of the first delta without one, and how many there are.
    pub(super) fn left_over(&self) -> Option<(ObjectId, u64)> {
        let mut left = (0..self.table.len() as u32).filter(|place| !self.is_claimed(*place));
        let first = left.next()?;
        let count = 1 + left.count() as u64;
        // The first that is left has no offset base: that would be left too.
        match self.table.entry(first).header.kind {
            EntryKind::RefDelta(oid) => Some((oid, count)),
            _ => Some((ObjectId::null(self.format), count)),
        }
    }

    fn is_claimed(&self, place: u32) -> bool {
        self.claimed[place as usize].load(Ordering::Relaxed)
    }

    fn or_stop<T>(&self, part: Result<T, Error>) -> Result<T, Error> {
        if part.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        part
    }

    /// Resolves all that stands on `base`.
    fn walk(
        &self,
        worker: &mut Worker,
        oid: &ObjectId,
        base: Base,
        deltas: Vec<u32>,
        out: &mut Vec<Resolved>,
    ) -> Result<(), Error> {
        let mut stack = Vec::new();
        self.put(&mut stack, *oid, base, deltas)?;
        while let Some((place, base)) = stack.pop() {
            if self.claimed[place as usize].swap(true, Ordering::Relaxed) {
                continue;
            }
            let delta = self
                .table
                .inflate(place, &mut worker.inflater, &mut worker.buffer)?;
            let content = delta::apply::apply(&base.content, &delta, self.limits.object).map_err(
                |source| Error::Delta {
                    offset: self.table.entry(place).offset,
                    source,
                },
            )?;
            let (kind, depth, base_oid) = (base.kind, base.depth + 1, base.oid);
            drop((base, delta));
            if depth > self.limits.depth {
                return Err(Exceeded::Depth {
                    limit: self.limits.depth,
                    got: depth,
                }
                .into());
            }
            let oid = hash::object_id(self.format, kind, &content)?;
            show(
                self.visitor,
                &oid,
                kind,
                content.len() as u64,
                Some(&content),
            )?;
            self.count()?;
            out.push(Resolved {
                place,
                oid,
                kind,
                base: base_oid,
                depth,
            });
            let deltas = self.table.deltas_on(Some(place), &oid);
            self.put(&mut stack, oid, Base::new(kind, content, depth), deltas)?;
        }
        Ok(())
    }

    fn put(
        &self,
        stack: &mut Vec<(u32, Arc<Waiting>)>,
        oid: ObjectId,
        base: Base,
        deltas: Vec<u32>,
    ) -> Result<(), Error> {
        if deltas.is_empty() {
            return Ok(());
        }
        let length = base.content.len() as u64;
        let got = self.waiting.fetch_add(length, Ordering::Relaxed) + length;
        let base = Arc::new(Waiting {
            oid,
            kind: base.kind,
            content: base.content,
            depth: base.depth,
            count: Arc::clone(&self.waiting),
        });
        if got > self.limits.waiting {
            return Err(Exceeded::Waiting {
                limit: self.limits.waiting,
                got,
            }
            .into());
        }
        stack.extend(deltas.into_iter().map(|delta| (delta, Arc::clone(&base))));
        Ok(())
    }

    fn count(&self) -> Result<(), Error> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        if done.is_multiple_of(1024) || done == self.table.len() as u64 {
            let go_on = self
                .progress
                .at(Stage::Resolving, done, self.table.len() as u64);
            if go_on.is_break() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }
}

/// A base some of whose deltas are still to come.
struct Waiting {
    oid: ObjectId,
    kind: Kind,
    content: Vec<u8>,
    depth: u32,
    count: Arc<AtomicU64>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let length = self.content.len() as u64;
        self.count.fetch_sub(length, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Worker {
    inflater: Inflater,
    buffer: Vec<u8>,
}

/// Shows an object to the visitor.
pub(super) fn show(
    visitor: &dyn Visitor,
    oid: &ObjectId,
    kind: Kind,
    size: u64,
    content: Option<&[u8]>,
) -> Result<(), Error> {
    visitor
        .object(&Seen {
            oid,
            kind,
            size,
            content,
        })
        .map_err(|why| Error::Refused { oid: *oid, why })
}
