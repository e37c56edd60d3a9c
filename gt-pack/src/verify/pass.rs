//! The first pass: the front on this thread, the naming of whole objects on
//! the others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::front::{Content, Front, RawEntry};
use super::resolve::show;
use super::{Error, Progress, Stage, Visitor};
use crate::hash;
use crate::kind::Kind;
use crate::limits::Limits;

/// What the first pass found.
pub(super) struct Pass {
    pub(super) entries: Vec<RawEntry>,
    /// Whole objects: place, name, kind; sorted by place.
    pub(super) whole: Vec<(u32, ObjectId, Kind)>,
    pub(super) checksum: ObjectId,
}

/// Bytes read at a time.
const STEP: usize = 256 << 10;
/// Bytes, and objects, that are named by one task.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_OBJECTS: usize = 512;

pub(super) fn read(
    source: &dyn ReadAt,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Pass, Error> {
    let mut front = Front::new(format, limits, source.size());
    let mut entries = Vec::new();
    let namer = Namer {
        format,
        visitor,
        whole: Mutex::default(),
        fault: Mutex::default(),
        failed: AtomicBool::new(false),
        running: AtomicUsize::new(0),
    };
    let most = 2 * rayon::current_num_threads();
    let outcome = rayon::in_place_scope(|scope| -> Result<(), Error> {
        let mut batch = Batch::default();
        let mut at = 0;
        let mut buffer = vec![0; STEP];
        while at < source.size() {
            let read = match source.read_at(at, &mut buffer) {
                Ok(0) => break,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            at += read as u64;
            front.push(&buffer[..read], &mut |entry, content| {
                let place = u32::try_from(entries.len()).map_err(std::io::Error::other)?;
                entries.push(entry);
                match content {
                    Content::Delta => {}
                    Content::Streamed(kind, oid) => {
                        show(visitor, &oid, kind, entry.result, None)?;
                        namer.add([(place, oid, kind)]);
                    }
                    Content::Whole(kind, bytes) => batch.push(place, kind, bytes),
                }
                if batch.is_full() {
                    let full = std::mem::take(&mut batch);
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
                }
                Ok(())
            })?;
            if namer.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            if progress.at(Stage::Reading, at, source.size()).is_break() {
                return Err(Error::Stopped);
            }
        }
        namer.name(batch);
        Ok(())
    });
    // A fault of an object that came before is the better answer.
    if let Some(fault) = into_inner(namer.fault) {
        return Err(fault);
    }
    outcome?;
    let (checksum, _) = front.finish()?;
    let mut whole = into_inner(namer.whole);
    whole.sort_unstable();
    Ok(Pass {
        entries,
        whole,
        checksum,
    })
}

#[derive(Default)]
struct Batch {
    objects: Vec<(u32, Kind, Vec<u8>)>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, place: u32, kind: Kind, content: Vec<u8>) {
        self.bytes += content.len();
        self.objects.push((place, kind, content));
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.objects.len() >= BATCH_OBJECTS
    }
}

struct Namer<'a> {
    format: ObjectFormat,
    visitor: &'a dyn Visitor,
    whole: Mutex<Vec<(u32, ObjectId, Kind)>>,
    fault: Mutex<Option<Error>>,
    failed: AtomicBool,
    running: AtomicUsize,
}

impl Namer<'_> {
    fn name(&self, batch: Batch) {
        let named: Result<Vec<_>, Error> = batch
            .objects
            .iter()
            .map(|(place, kind, content)| {
                let oid = hash::object_id(self.format, *kind, content)?;
                show(
                    self.visitor,
                    &oid,
                    *kind,
                    content.len() as u64,
                    Some(content),
                )?;
                Ok((*place, oid, *kind))
            })
            .collect();
        match named {
            Ok(named) => self.add(named),
            Err(fault) => {
                self.failed.store(true, Ordering::Relaxed);
                lock(&self.fault).get_or_insert(fault);
            }
        }
    }

    fn add(&self, named: impl IntoIterator<Item = (u32, ObjectId, Kind)>) {
        lock(&self.whole).extend(named);
    }
}

/// What a panicked thread left is no worse for it: the panic goes on anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(|e| e.into_inner())
}
