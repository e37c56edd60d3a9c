//! The first pass: the front on one thread, the naming of whole objects on
//! the others, which look for entries ahead of the front when they have time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::ahead::{Part, Scouts};
use super::batch::{Batch, Hands};
use super::early::Early;
use super::front::Front;
use super::inflated::Inflated;
use super::kept::Kept;
use super::names::{Named, Names, lock};
use super::raw::{Content, RawEntry};
use super::resolve::{Resolver, show};
use super::table::{Rows, Table};
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
    /// Memory that it was done with, which is not needed any more. To give it
    /// back takes a while: somebody who has nothing else to do may.
    pub(super) worn: Vec<Box<dyn Send>>,
}

/// Bytes read at a time.
pub(super) const STEP: usize = 64 << 10;

/// Reads bytes into the front of the buffer: 0 at the end.
pub(super) type Next<'a> = dyn FnMut(&mut [u8]) -> std::io::Result<usize> + 'a;

/// Parts of a pack that are read ahead for each thread, and at most. While the
/// front is busy with one that nobody looked at in time, the others must have
/// enough of them: it takes the longest where objects are small.
const AHEAD: usize = 3;
const WINDOW: usize = 32;

/// Reads a pack of `length` bytes, if that is known, in order. Where it
/// `is_whole` nobody waits for bytes, and parts are read ahead.
pub(super) fn read(
    next: &mut Next<'_>,
    is_whole: bool,
    length: Option<u64>,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Pass, Error> {
    let mut taker = Taker::new(format, limits, length);
    let namer = Namer::new(format, limits, visitor);
    let scouts = Scouts::new(format, limits);
    let threads = rayon::current_num_threads();
    let most = 2 * threads;
    let window = match is_whole && threads > 1 {
        true => (AHEAD * threads).min(WINDOW),
        false => 0,
    };
    let outcome = rayon::in_place_scope_fifo(|scope| -> Result<(), Error> {
        let mut parts = VecDeque::new();
        let mut reader = Reader::new(next);
        loop {
            while parts.len() <= window
                && let Some(part) = reader.next()?
            {
                let part = Arc::new(part);
                if !parts.is_empty() {
                    // The front may be done with it before its turn comes.
                    let (part, scouts) = (Arc::downgrade(&part), &scouts);
                    scope.spawn_fifo(move |_| {
                        if let Some(part) = part.upgrade() {
                            scouts.look(&part);
                        }
                    });
                }
                parts.push_back(part);
            }
            let Some(part) = parts.pop_front() else {
                break;
            };
            if let Some(length) = length.filter(|_| window > 0) {
                taker.share.at(part.offset, length, threads);
            }
            let early = part.take();
            let mut full = lend(&namer, scope, most);
            taker.push(&part.bytes, early.as_ref(), &namer, &mut full)?;
            if namer.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let at = part.offset + part.bytes.len() as u64;
            reader.give(Arc::into_inner(part));
            let total = length.unwrap_or(at);
            if progress.at(Stage::Reading, at, total).is_break() {
                return Err(Error::Stopped);
            }
        }
        namer.name(taker.last());
        Ok(())
    });
    let mut pass = taker.finish(namer, outcome)?;
    pass.worn.push(Box::new(scouts));
    Ok(pass)
}

/// Returns what has a batch named: by another thread, or, when `most` of them
/// are behind, by this one, which also bounds what lies in memory.
pub(super) fn lend<'a, 'scope>(
    namer: &'scope Namer<'scope>,
    scope: &'a rayon::ScopeFifo<'scope>,
    most: usize,
) -> impl FnMut(Batch) + 'a {
    move |full| {
        if namer.running.load(Ordering::Relaxed) < most {
            namer.running.fetch_add(1, Ordering::Relaxed);
            scope.spawn_fifo(move |_| {
                namer.name(full);
                namer.running.fetch_sub(1, Ordering::Relaxed);
            });
        } else {
            namer.name(full);
        }
    }
}

/// Reads the parts of a pack.
struct Reader<'a, 'b> {
    next: &'a mut Next<'b>,
    offset: u64,
    /// Memory for the next part.
    spare: Vec<Vec<u8>>,
}

impl<'a, 'b> Reader<'a, 'b> {
    fn new(next: &'a mut Next<'b>) -> Self {
        Self {
            next,
            offset: 0,
            spare: Vec::new(),
        }
    }

    /// Returns the next part; `None` at the end.
    fn next(&mut self) -> std::io::Result<Option<Part>> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.resize(STEP, 0);
        let read = loop {
            match (self.next)(&mut bytes) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        bytes.truncate(read);
        let offset = self.offset;
        self.offset += read as u64;
        Ok((read > 0).then(|| Part::new(offset, bytes)))
    }

    /// Takes back a part that is done with, unless somebody still has it.
    fn give(&mut self, part: Option<Part>) {
        self.spare.extend(part.map(|part| part.bytes));
    }
}

/// How much work one batch is: less and less towards the end of a pack, so
/// that all threads are done at the same time.
struct Share {
    /// Work that was handed out.
    work: u64,
    most: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            work: 0,
            most: u64::MAX,
        }
    }
}

impl Share {
    /// Looks how far it is to the end of a pack of `length` bytes.
    fn at(&mut self, at: u64, length: u64, threads: usize) {
        /// The smallest share that is worth its while.
        const LEAST: u64 = 1 << 20;
        let left =
            u128::from(self.work) * u128::from(length.saturating_sub(at)) / u128::from(at.max(1));
        let share = u64::try_from(left / (4 * threads) as u128).unwrap_or(u64::MAX);
        self.most = share.max(LEAST);
    }
}

/// Cuts bytes into entries and gathers objects to be named.
pub(super) struct Taker {
    front: Front,
    limits: Limits,
    rows: Rows,
    batch: Batch,
    /// Entries for whose names there is room.
    room: usize,
    share: Share,
    /// Deltas that nobody resolves before it is asked for.
    waiting: usize,
    /// Where the last entry ends.
    end: u64,
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
            share: Share::default(),
            waiting: 0,
            end: 0,
            is_exact: length.is_some(),
        }
    }

    /// Takes the next bytes, and hands out objects to be named.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        early: Option<&Early>,
        namer: &Namer<'_>,
        full: &mut dyn FnMut(Batch),
    ) -> Result<(), Error> {
        let Self {
            front,
            limits,
            rows,
            batch,
            room,
            share,
            waiting,
            end,
            is_exact,
        } = self;
        front.push(bytes, early, &mut |entry: RawEntry, content| {
            let place = rows.push(&entry, limits)?;
            *end = entry.end;
            if rows.len() > *room {
                *room = namer.names.grow(rows.len());
            }
            let is_whole = matches!(content, Content::Whole(..));
            if is_whole && batch.is_due(share.most) {
                share.work += batch.work();
                full(std::mem::replace(batch, namer.empty()));
            }
            match content {
                Content::Delta(Some(bytes)) => {
                    let base = rows.base_before(place);
                    // A base outside raises what is allowed, if it is there.
                    *is_exact &= base.is_some();
                    let taken = base.filter(|_| *is_exact).is_some_and(|base| {
                        batch.delta(place, entry.offset, base, entry.result, &bytes)
                    });
                    if !taken {
                        *waiting += 1;
                        lock(&namer.kept).put(place, &bytes);
                    }
                }
                Content::Delta(None) => {
                    *waiting += 1;
                    *is_exact &= rows.base_before(place).is_some();
                }
                Content::Streamed(kind, oid) => {
                    show(namer.visitor, &oid, kind, entry.result, None)?;
                    namer.add(place, oid, kind);
                }
                Content::Whole(kind, bytes) => batch.whole(place, kind, bytes),
            }
            if batch.is_full(place, share.most) {
                share.work += batch.work();
                full(std::mem::replace(batch, namer.empty()));
            }
            Ok(())
        })
    }

    /// Tells whether enough deltas wait, compared with all that came: what was
    /// built before may have to be built again for them. Deltas that name
    /// their bases may stand on objects that are still to come.
    pub(super) fn is_worth_resolving(&self) -> bool {
        const LEAST: usize = 4096;
        self.is_exact && self.waiting >= LEAST.max(self.rows.len() / 16)
    }

    /// Resolves all deltas that came. Nobody names anything meanwhile.
    pub(super) fn resolve(
        &mut self,
        namer: &mut Namer<'_>,
        source: &dyn ReadAt,
        length: u64,
        visitor: &dyn Visitor,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let format = namer.format;
        let mut rows = std::mem::replace(&mut self.rows, Rows::new(format));
        let kept = namer.kept.get_mut().unwrap_or_else(|e| e.into_inner());
        let kept = std::mem::take(kept);
        let known = namer.names.known(rows.len());
        let depths = std::mem::take(&mut rows.depths);
        let end = self.end + format.raw_len() as u64;
        let table = Table::new(source, format, end, rows, kept, &known);
        let resolver = Resolver::new(
            format,
            &self.limits,
            &table,
            &namer.names,
            &known,
            visitor,
            progress,
            self.front.inflated(),
            length,
        );
        let outcome = resolver.inside();
        drop(resolver);
        self.rows = table.into_rows();
        self.rows.depths = depths;
        self.waiting = 0;
        outcome
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
            worn: vec![Box::new((namer.hands, namer.empty))],
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
    pub(super) failed: AtomicBool,
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
