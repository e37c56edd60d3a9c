//! The first pass: the front on one thread, the naming of whole objects on
//! the others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gt_vfs::{ObjectFormat, ObjectId};

use super::batch::{Batch, Hands};
use super::front::{Content, Front, Inflated, RawEntry};
use super::kept::Kept;
use super::names::{Named, Names, lock};
use super::resolve::show;
use super::table::Rows;
use super::{Error, Progress, Stage, Visitor};
use crate::kind::Kind;
use crate::limits::Limits;

/// What the first pass found.
pub(super) struct Pass {
    pub(super) rows: Rows,
    pub(super) kept: Kept,
    pub(super) names: Names,
    pub(super) checksum: ObjectId,
    pub(super) inflated: Inflated,
    pub(super) length: u64,
}

/// Bytes read at a time.
const STEP: usize = 256 << 10;

/// Reads bytes into the front of the buffer: 0 at the end.
pub(super) type Next<'a> = dyn FnMut(&mut [u8]) -> std::io::Result<usize> + 'a;

/// Reads a pack of `length` bytes, if that is known, in order.
pub(super) fn read(
    next: &mut Next<'_>,
    length: Option<u64>,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Pass, Error> {
    let mut taker = Taker::new(format, limits, length);
    let namer = Namer::new(format, limits, visitor);
    let most = 2 * rayon::current_num_threads();
    let outcome = rayon::in_place_scope(|scope| -> Result<(), Error> {
        let mut at = 0;
        let mut buffer = vec![0; STEP];
        loop {
            let read = match next(&mut buffer) {
                Ok(0) => break,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            at += read as u64;
            taker.push(&buffer[..read], &namer, &mut |full| {
                // Nobody waits here: when the others are behind, this
                // thread helps, which also bounds what lies in memory.
                if namer.running.load(Ordering::Relaxed) < most {
                    namer.running.fetch_add(1, Ordering::Relaxed);
                    let namer = &namer;
                    scope.spawn(move |_| {
                        namer.name(full);
                        namer.running.fetch_sub(1, Ordering::Relaxed);
                    });
                } else {
                    namer.name(full);
                }
            })?;
            if namer.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let total = length.unwrap_or(at);
            if progress.at(Stage::Reading, at, total).is_break() {
                return Err(Error::Stopped);
            }
        }
        namer.name(taker.last());
        Ok(())
    });
    taker.finish(namer, outcome)
}

/// Cuts bytes into entries and gathers objects to be named.
pub(super) struct Taker {
    front: Front,
    limits: Limits,
    rows: Rows,
    batch: Batch,
    /// Entries for whose names there is room.
    room: usize,
    /// What deltas make was compared with what is allowed when they came.
    is_exact: bool,
}

impl Taker {
    pub(super) fn new(format: ObjectFormat, limits: &Limits, length: Option<u64>) -> Self {
        Self {
            front: Front::new(format, limits, length),
            limits: limits.clone(),
            rows: Rows::new(format),
            batch: Batch::default(),
            room: 0,
            is_exact: length.is_some(),
        }
    }

    /// Takes the next bytes, and hands out objects to be named.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        namer: &Namer<'_>,
        full: &mut dyn FnMut(Batch),
    ) -> Result<(), Error> {
        let Self {
            front,
            limits,
            rows,
            batch,
            room,
            is_exact,
        } = self;
        front.push(bytes, &mut |entry: RawEntry, content| {
            let place = rows.push(&entry, limits)?;
            if rows.len() > *room {
                *room = namer.names.grow(rows.len());
            }
            match content {
                Content::Delta(Some(bytes)) => {
                    let base = rows.base_before(place);
                    // A base outside raises what is allowed, if it is there.
                    *is_exact &= base.is_some();
                    let taken = base.filter(|_| *is_exact).is_some_and(|base| {
                        batch.delta(place, entry.offset, base, entry.result, bytes)
                    });
                    if !taken {
                        lock(&namer.kept).put(place, bytes);
                    }
                }
                Content::Delta(None) => *is_exact &= rows.base_before(place).is_some(),
                Content::Streamed(kind, oid) => {
                    show(namer.visitor, &oid, kind, entry.result, None)?;
                    namer.add(place, oid, kind);
                }
                Content::Whole(kind, bytes) => batch.whole(place, kind, bytes),
            }
            if batch.is_full(place) {
                full(std::mem::replace(batch, namer.empty()));
            }
            Ok(())
        })
    }

    /// Returns the objects that were not handed out yet.
    pub(super) fn last(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Ends the pass.
    pub(super) fn finish(
        self,
        namer: Namer<'_>,
        outcome: Result<(), Error>,
    ) -> Result<Pass, Error> {
        // A fault of an object that came before is the better answer.
        if let Some(fault) = namer.fault.into_inner().unwrap_or_else(|e| e.into_inner()) {
            return Err(fault);
        }
        outcome?;
        let (checksum, inflated, length) = self.front.finish()?;
        Ok(Pass {
            rows: self.rows,
            kept: namer.kept.into_inner().unwrap_or_else(|e| e.into_inner()),
            names: namer.names,
            checksum,
            inflated,
            length,
        })
    }
}

pub(super) struct Namer<'a> {
    format: ObjectFormat,
    waiting: u64,
    visitor: &'a dyn Visitor,
    names: Names,
    kept: Mutex<Kept>,
    /// What is at work no longer.
    hands: Mutex<Vec<Hands>>,
    empty: Mutex<Vec<Batch>>,
    fault: Mutex<Option<Error>>,
    failed: AtomicBool,
    running: AtomicUsize,
}

impl<'a> Namer<'a> {
    pub(super) fn new(format: ObjectFormat, limits: &Limits, visitor: &'a dyn Visitor) -> Self {
        Self {
            format,
            waiting: limits.waiting,
            visitor,
            names: Names::new(format),
            kept: Mutex::default(),
            hands: Mutex::default(),
            empty: Mutex::default(),
            fault: Mutex::default(),
            failed: AtomicBool::new(false),
            running: AtomicUsize::new(0),
        }
    }

    /// Names objects; a fault is kept for the end.
    pub(super) fn name(&self, mut batch: Batch) {
        let hands = lock(&self.hands).pop();
        let mut hands = hands.unwrap_or_else(|| Hands::new(self.format));
        let mut left = |place, bytes: &[u8]| lock(&self.kept).put(place, bytes);
        let named = hands.name(
            &mut batch,
            &self.names,
            self.visitor,
            self.waiting,
            &mut left,
        );
        lock(&self.hands).push(hands);
        lock(&self.empty).push(batch);
        if let Err(fault) = named {
            self.failed.store(true, Ordering::Relaxed);
            lock(&self.fault).get_or_insert(fault);
        }
    }

    /// Returns a batch with nothing in it.
    fn empty(&self) -> Batch {
        lock(&self.empty).pop().unwrap_or_default()
    }

    /// Tells whether an object was refused.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn add(&self, place: u32, oid: ObjectId, kind: Kind) {
        let depth = 0;
        self.names.put(place, &Named { oid, kind, depth });
    }
}
