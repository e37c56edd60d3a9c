//! Resolves the deltas of a pack, from their bases outward.
//!
//! A tree of deltas is walked with a stack of its own, never by recursion. Of
//! the deltas on one base the one that carries most comes last: while it is
//! followed the base is no longer needed, so at most log2(n) bases wait at a
//! time however deep the tree. A thread that has nothing to do takes over half
//! of what another has stacked up, so that one great tree keeps all busy.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gt_vfs::{ObjectFormat, ObjectId};

use super::columns::Bits;
use super::names::{Held, Named, Names, lock};
use super::spare::Spare;
use super::table::{Table, changed};
use super::{Base, Bases, Error, Progress, Seen, Stage, Visitor};
use crate::delta::apply;
use crate::hash::Namer;
use crate::inflate::Inflater;
use crate::kind::Kind;
use crate::limits::{Exceeded, Limits};

pub(super) struct Resolver<'a> {
    pub(super) format: ObjectFormat,
    pub(super) limits: &'a Limits,
    pub(super) table: &'a Table<'a>,
    pub(super) names: &'a Names,
    pub(super) visitor: &'a dyn Visitor,
    pub(super) progress: &'a dyn Progress,
    /// Entries that are resolved, or being resolved.
    claimed: Bits,
    /// Deltas that had a name when the pack had been read.
    early: Bits,
    /// Deltas that name a base which is in the pack, and where that is.
    linked: Mutex<Vec<(u32, u32)>>,
    waiting: AtomicU64,
    /// Inflated bytes that may still be made.
    allowed: AtomicU64,
    /// All that there is to make is allowed.
    is_allowed: bool,
    most: u64,
    done: AtomicU64,
    /// Threads at work.
    busy: AtomicUsize,
    fault: Mutex<Option<Error>>,
    stop: AtomicBool,
}

/// A delta to be resolved, and its base.
type Step<'a> = (u32, Arc<Waiting<'a>>);

impl<'a> Resolver<'a> {
    /// Returns a resolver; `spent` inflated bytes of a pack of `length` bytes
    /// have been made.
    #[allow(clippy::too_many_arguments, reason = "all of them are the pack's")]
    pub(super) fn new(
        format: ObjectFormat,
        limits: &'a Limits,
        table: &'a Table<'a>,
        names: &'a Names,
        known: &Bits,
        visitor: &'a dyn Visitor,
        progress: &'a dyn Progress,
        spent: u64,
        length: u64,
    ) -> Self {
        let (mut claimed, mut early) = (Bits::new(table.len()), Bits::new(table.len()));
        let (mut spent, mut open) = (spent, 0_u64);
        for place in 0..table.len() as u32 {
            if !table.is_delta(place) {
                claimed.put(place);
            } else if known.get(place) {
                early.put(place);
                spent = spent.saturating_add(table.size(place));
            } else {
                open = open.saturating_add(table.size(place));
            }
        }
        let most = limits.inflated(length);
        Self {
            format,
            limits,
            table,
            names,
            visitor,
            progress,
            claimed,
            early,
            linked: Mutex::default(),
            waiting: AtomicU64::new(0),
            allowed: AtomicU64::new(most.saturating_sub(spent)),
            is_allowed: open <= most.saturating_sub(spent),
            most,
            done: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            fault: Mutex::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// Resolves what stands on the whole objects of the pack.
    pub(super) fn inside(&self) -> Result<(), Error> {
        let roots = self.table.roots(self.names);
        // Whole objects were claimed when they came.
        let done = self.early.count() + self.claimed.count();
        self.done.store(done, Ordering::Relaxed);
        self.spread(roots, |worker, place| {
            let Some(named) = worker.names.find(place) else {
                return Ok(());
            };
            let Worker {
                inflater,
                buffer,
                spare,
                ..
            } = worker;
            let mut content = spare.take(self.table.size(place));
            self.table.inflate(place, inflater, buffer, &mut content)?;
            let base = Base::new(named.kind, content, 0);
            self.put(worker, Some(place), named.oid, base, None)
        })
    }

    /// Resolves what stands on objects outside, and returns those that were
    /// used, in the order of the deltas.
    pub(super) fn outside(&self, bases: &dyn Bases) -> Result<Vec<ObjectId>, Error> {
        let asked = self.table.named_bases(|delta| !self.is_claimed(delta));
        let places = (0..asked.len() as u32).collect();
        let found: Vec<AtomicBool> = asked.iter().map(|_| AtomicBool::new(false)).collect();
        self.spread(places, |worker, n| {
            let oid = asked[n as usize].1;
            if let Some(base) = bases.find(&oid)? {
                found[n as usize].store(true, Ordering::Relaxed);
                let quota = Limits::on_base(base.content.len() as u64);
                let quota = Arc::new(AtomicU64::new(quota));
                self.put(worker, None, oid, base, Some(quota))?;
            }
            Ok(())
        })?;
        let used = asked.iter().zip(&found);
        let used = used.filter(|(_, found)| found.load(Ordering::Relaxed));
        Ok(used.map(|((_, oid), _)| *oid).collect())
    }

    /// Returns the base of the first delta without one, and how many there are.
    pub(super) fn left_over(&self) -> Option<(ObjectId, u64)> {
        let mut left = (0..self.table.len() as u32).filter(|place| !self.is_claimed(*place));
        let first = left.next()?;
        let count = 1 + left.count() as u64;
        // The first that is left has no offset base: that would be left too.
        let base = self.table.named_base(first);
        Some((base.unwrap_or(ObjectId::null(self.format)), count))
    }

    fn is_claimed(&self, place: u32) -> bool {
        self.early.get(place) || self.claimed.get(place)
    }

    /// Returns, for deltas that name a base which is in the pack, where that
    /// is.
    pub(super) fn into_linked(self) -> Vec<(u32, u32)> {
        self.linked.into_inner().unwrap_or_else(|e| e.into_inner())
    }

    /// Runs `begin` for each root, and then what it stacked up, on all threads.
    fn spread<'s>(
        &'s self,
        roots: Vec<u32>,
        begin: impl Fn(&mut Worker<'s>, u32) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        if roots.is_empty() {
            return Ok(());
        }
        let threads = rayon::current_num_threads();
        let next = AtomicUsize::new(0);
        let (roots, next, begin) = (&roots, &next, &begin);
        self.busy.store(0, Ordering::Relaxed);
        rayon::in_place_scope(|scope| {
            for _ in 0..threads {
                scope.spawn(move |scope| {
                    let mut worker = Worker::new(self);
                    self.work(|| {
                        loop {
                            let run = next_run(roots, next, threads);
                            if run.is_empty() {
                                return self.count_up(&mut worker);
                            }
                            for place in run {
                                begin(&mut worker, *place)?;
                                self.walk(&mut worker, scope, threads)?;
                            }
                        }
                    });
                });
            }
        });
        match lock(&self.fault).take() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Counts a thread as busy, and stops all at a fault.
    fn work(&self, work: impl FnOnce() -> Result<(), Error>) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = work() {
            self.stop.store(true, Ordering::Relaxed);
            let mut first = lock(&self.fault);
            // That the others were stopped says nothing.
            if first.is_none() || matches!(*first, Some(Error::Stopped)) {
                *first = Some(fault);
            }
        }
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// Resolves all that the worker has stacked up.
    fn walk<'s: 'scope, 'scope>(
        &'s self,
        worker: &mut Worker<'s>,
        scope: &rayon::Scope<'scope>,
        threads: usize,
    ) -> Result<(), Error> {
        while let Some(step) = worker.stack.pop() {
            if worker.stack.len() > 1 && self.busy.load(Ordering::Relaxed) < threads {
                // What lies at the bottom is the largest part.
                let half: Vec<Step<'s>> = worker.stack.drain(..worker.stack.len() / 2).collect();
                self.busy.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move |scope| {
                    self.busy.fetch_sub(1, Ordering::Relaxed);
                    let mut worker = Worker::new(self);
                    worker.stack = half;
                    self.work(|| {
                        self.walk(&mut worker, scope, threads)?;
                        self.count_up(&mut worker)
                    });
                });
            }
            self.step(worker, step)?;
        }
        Ok(())
    }

    fn step<'s>(&'s self, worker: &mut Worker<'s>, (place, base): Step<'s>) -> Result<(), Error> {
        if self.claimed.set(place) {
            return Ok(());
        }
        let offset = self.table.offset(place);
        let early = self.early.get(place);
        if !early {
            self.charge(base.quota.as_deref(), self.table.size(place))?;
        }
        let Worker {
            inflater,
            buffer,
            delta,
            spare,
            ..
        } = worker;
        let mut content = spare.take(self.table.size(place));
        let delta = self.table.delta(place, inflater, buffer, delta)?;
        apply::apply_to(&base.content, delta, self.limits.object, &mut content)
            .map_err(|source| Error::Delta { offset, source })?;
        if content.len() as u64 != self.table.size(place) {
            return Err(changed(offset));
        }
        let (kind, depth, quota) = (base.kind, base.depth + 1, base.quota.clone());
        let base_place = base.place;
        // The last that needed it gives its memory to the next.
        if let Some(mut done) = Arc::into_inner(base) {
            spare.give(done.take());
        }
        if depth > self.limits.depth {
            return Err(Exceeded::Depth {
                limit: self.limits.depth,
                got: depth,
            }
            .into());
        }
        if early && let Some(named) = worker.names.find(place) {
            // It is built once more for those on it that came too late.
            let base = Base::new(kind, content, depth);
            return self.put(worker, Some(place), named.oid, base, quota);
        }
        let oid = worker.namer.name(kind, &content)?;
        let size = content.len() as u64;
        show(self.visitor, &oid, kind, size, Some(&content))?;
        self.count(worker)?;
        worker.names.put(place, &Named { oid, kind, depth });
        if let Some(base) = base_place
            && self.table.is_by_name(place)
        {
            lock(&self.linked).push((place, base));
        }
        let base = Base::new(kind, content, depth);
        self.put(worker, Some(place), oid, base, quota)
    }

    /// Counts bytes before they are made: what deltas on a base outside may
    /// make first, then what all together may.
    fn charge(&self, quota: Option<&AtomicU64>, bytes: u64) -> Result<(), Error> {
        if self.is_allowed {
            return Ok(());
        }
        let take = |from: &AtomicU64, want: u64| {
            let had = from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |had| {
                Some(had.saturating_sub(want))
            });
            want - want.min(had.unwrap_or_default())
        };
        let rest = quota.map_or(bytes, |quota| take(quota, bytes));
        match take(&self.allowed, rest) {
            0 => Ok(()),
            over => Err(Exceeded::Inflated {
                limit: self.most,
                got: self.most.saturating_add(over),
            }
            .into()),
        }
    }

    /// Stacks up the deltas on an object.
    fn put<'s>(
        &'s self,
        worker: &mut Worker<'s>,
        place: Option<u32>,
        oid: ObjectId,
        base: Base,
        quota: Option<Arc<AtomicU64>>,
    ) -> Result<(), Error> {
        self.table.deltas_on(place, &oid, &mut worker.deltas);
        if worker.deltas.is_empty() {
            worker.spare.give(base.content);
            return Ok(());
        }
        let length = base.content.len() as u64;
        let got = self.waiting.fetch_add(length, Ordering::Relaxed) + length;
        let base = Arc::new(Waiting {
            place,
            kind: base.kind,
            content: base.content,
            depth: base.depth,
            quota,
            count: &self.waiting,
        });
        if got > self.limits.waiting {
            return Err(Exceeded::Waiting {
                limit: self.limits.waiting,
                got,
            }
            .into());
        }
        let deltas = worker.deltas.iter();
        worker.stack.extend(deltas.map(|d| (*d, Arc::clone(&base))));
        Ok(())
    }

    /// Counts an object that was named: many at a time, because all threads
    /// count together.
    fn count(&self, worker: &mut Worker<'_>) -> Result<(), Error> {
        const MANY: u64 = 64;
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        worker.uncounted += 1;
        match worker.uncounted {
            MANY.. => self.count_up(worker),
            _ => Ok(()),
        }
    }

    /// Counts what a worker has done.
    fn count_up(&self, worker: &mut Worker<'_>) -> Result<(), Error> {
        const STEP: u64 = 1024;
        let fresh = std::mem::take(&mut worker.uncounted);
        let before = self.done.fetch_add(fresh, Ordering::Relaxed);
        let (done, total) = (before + fresh, self.table.len() as u64);
        let is_due = done / STEP > before / STEP || done == total && fresh > 0;
        if is_due && self.progress.at(Stage::Resolving, done, total).is_break() {
            return Err(Error::Stopped);
        }
        Ok(())
    }
}

/// Takes the next of `all` behind those that `next` counts: neighbours in the
/// pack are read together, but towards the end all threads must have some.
fn next_run<'a>(all: &'a [u32], next: &AtomicUsize, threads: usize) -> &'a [u32] {
    const RUN: usize = 16;
    let length = |at: usize| (all.len().saturating_sub(at) / (4 * threads)).clamp(1, RUN);
    let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
        Some(at + length(at))
    });
    let at = taken.unwrap_or(all.len()).min(all.len());
    &all[at..all.len().min(at + length(at))]
}

/// A base some of whose deltas are still to come.
struct Waiting<'a> {
    /// Where in the pack, if it is there.
    place: Option<u32>,
    kind: Kind,
    content: Vec<u8>,
    depth: u32,
    /// What deltas on a base outside may still make.
    quota: Option<Arc<AtomicU64>>,
    count: &'a AtomicU64,
}

impl Waiting<'_> {
    /// Takes the content, which waits no longer.
    fn take(&mut self) -> Vec<u8> {
        let length = self.content.len() as u64;
        self.count.fetch_sub(length, Ordering::Relaxed);
        std::mem::take(&mut self.content)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

/// What one thread works with.
struct Worker<'a> {
    names: Held<'a>,
    inflater: Inflater,
    namer: Namer,
    buffer: Vec<u8>,
    delta: Vec<u8>,
    spare: Spare,
    deltas: Vec<u32>,
    stack: Vec<Step<'a>>,
    /// Objects that it named and that were not counted yet.
    uncounted: u64,
}

impl<'a> Worker<'a> {
    fn new(resolver: &'a Resolver<'a>) -> Self {
        Self {
            names: resolver.names.hold(),
            inflater: Inflater::new(),
            namer: Namer::new(resolver.format),
            buffer: Vec::new(),
            delta: Vec::new(),
            spare: Spare::default(),
            deltas: Vec::new(),
            stack: Vec::new(),
            uncounted: 0,
        }
    }
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
