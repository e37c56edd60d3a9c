//! Files that are opened as they are needed, and shut for want of room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard, Weak};

use gt_vfs::{ReadAt, VPath, Verdict, WriteAt};

use super::{READ, Store, failure};
use crate::geometry::FileIndex;
use crate::net::pool::Pool;
use crate::swarm::Failure;

/// One file.
pub(super) enum Slot {
    /// Not open; whether it is whole.
    Shut(bool),
    /// Being filled in; served from there too.
    Partial(Box<dyn WriteAt>),
    /// Being closed, which may take long; served from there meanwhile.
    Closing(Box<dyn ReadAt>),
    /// Closed and accepted.
    Whole(Box<dyn ReadAt>),
}

impl Slot {
    pub(super) fn reader(&self) -> Option<&dyn ReadAt> {
        match self {
            Self::Shut(_) => None,
            Self::Partial(file) => Some(&**file),
            Self::Closing(file) | Self::Whole(file) => Some(&**file),
        }
    }
}

/// The files that are open in all torrents of a node: the oldest gives way
/// when there are too many. A writer that is dropped leaves its bytes for the
/// next one.
pub(in crate::net) struct OpenFiles {
    limit: usize,
    queue: Mutex<VecDeque<(Weak<Store>, FileIndex)>>,
    /// What blocks are read into.
    pub(super) buffers: Arc<Pool>,
}

/// Such buffers that are kept when nobody reads.
const KEEP: usize = 8;

impl OpenFiles {
    pub(in crate::net) fn new(limit: usize) -> Self {
        Self {
            limit,
            queue: Mutex::default(),
            buffers: Pool::new(READ, KEEP, usize::MAX),
        }
    }

    fn opened(&self, store: &Arc<Store>, file: FileIndex) {
        // A panic elsewhere leaves the queue as good as it was.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry of an earlier opening would shut the file that was just
        // opened.
        let this = Arc::downgrade(store);
        queue.retain(|(other, f)| *f != file || !other.ptr_eq(&this));
        queue.push_back((this, file));
        while queue.len() > self.limit
            && let Some((store, file)) = queue.pop_front()
        {
            if let Some(store) = store.upgrade() {
                store.shut(file);
            }
        }
    }
}

impl Store {
    /// Closes a file, which asks the backend for its verdict.
    pub(in crate::net) fn close(self: &Arc<Self>, file: FileIndex) -> Result<Verdict, Failure> {
        self.close_io(file).map_err(|e| failure("closed", &e))
    }

    fn close_io(self: &Arc<Self>, file: FileIndex) -> io::Result<Verdict> {
        drop(self.opened(file)?);
        let writer = {
            let mut slot = self.slot_mut(file)?;
            let writer = match std::mem::replace(&mut *slot, Slot::Shut(false)) {
                Slot::Partial(writer) => writer,
                // It was shut again at once.
                Slot::Shut(false) => {
                    let entry = self.entry(file)?;
                    self.vfs.create(&entry.path, entry.length)?
                }
                whole => {
                    *slot = whole;
                    return Ok(Verdict::Accept);
                }
            };
            match writer.reader() {
                Ok(reader) => *slot = Slot::Closing(reader),
                Err(e) => {
                    *slot = Slot::Partial(writer);
                    return Err(e);
                }
            }
            writer
        };
        // Nobody waits for the verdict but who asked for it.
        let verdict = writer.close();
        let accepted = verdict.as_ref().is_ok_and(Verdict::is_accept);
        let mut slot = self.slot_mut(file)?;
        let closed = std::mem::replace(&mut *slot, Slot::Shut(accepted));
        if accepted && let Some(Ok(Some(modified))) = closed.reader().map(ReadAt::modified) {
            self.saw(file, modified);
        }
        drop(slot);
        if verdict.is_ok() {
            self.partial_times().remove(&file);
            self.tell_no_more(file);
        }
        verdict
    }

    /// Remembers when a file that is believed or was verified was written.
    pub(in crate::net) fn saw(&self, file: FileIndex, modified: i64) {
        self.times().insert(file, modified);
    }

    /// Refuses a whole file that is opened again and was written to since it
    /// was seen first.
    fn is_as_it_was(&self, file: FileIndex, modified: Option<i64>) -> io::Result<()> {
        let Some(modified) = modified else {
            return Ok(());
        };
        match *self.times().entry(file).or_insert(modified) {
            first if first == modified => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "expected the file as it was when it was verified, \
                 but somebody has written to it since",
            )),
        }
    }

    /// Returns when a file that is not whole was last written, where the
    /// backend knows, and remembers it.
    pub(in crate::net) fn partial_modified(
        self: &Arc<Self>,
        file: FileIndex,
    ) -> io::Result<Option<i64>> {
        let slot = self.opened(file)?;
        self.saw_partial(file, &slot)
    }

    /// Remembers when a file that is not whole was last written.
    fn saw_partial(&self, file: FileIndex, slot: &Slot) -> io::Result<Option<i64>> {
        let Slot::Partial(writer) = slot else {
            return Ok(None);
        };
        let modified = writer.modified()?;
        match modified {
            Some(modified) => self.partial_times().insert(file, modified),
            None => self.partial_times().remove(&file),
        };
        Ok(modified)
    }

    /// Makes what was written so far survive a loss of power.
    pub(in crate::net) fn sync(&self) -> io::Result<()> {
        for (n, slot) in self.slots.iter().enumerate() {
            let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
            if let Slot::Partial(file) = &*slot {
                file.sync()?;
                self.saw_partial(FileIndex(n as u32), &slot)?;
            }
        }
        Ok(())
    }

    /// Returns when files were last written, where the backend knows: closed
    /// ones as they were seen first, others as they were synced last.
    pub(in crate::net) fn modified(
        &self,
        closed: &BTreeSet<FileIndex>,
    ) -> io::Result<BTreeMap<FileIndex, i64>> {
        let unknown =
            |times: &BTreeMap<FileIndex, i64>| closed.iter().any(|f| !times.contains_key(f));
        if unknown(&self.times()) {
            let entries = self.vfs.list()?.into_iter();
            let listed: BTreeMap<VPath, Option<i64>> =
                entries.map(|entry| (entry.path, entry.modified)).collect();
            let mut times = self.times();
            for file in closed {
                let path = self.geometry.file(*file).map(|f| &f.path);
                if let Some(Some(modified)) = path.and_then(|path| listed.get(path)) {
                    times.entry(*file).or_insert(*modified);
                }
            }
        }
        let mut known = self.partial_times().clone();
        let times = self.times();
        for file in closed {
            match times.get(file) {
                Some(modified) => known.insert(*file, *modified),
                None => known.remove(file),
            };
        }
        Ok(known)
    }

    fn partial_times(&self) -> MutexGuard<'_, BTreeMap<FileIndex, i64>> {
        // An entry is there or not.
        self.partial_times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<FileIndex, i64>> {
        // An entry is there or not.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot_mut(&self, file: FileIndex) -> io::Result<RwLockWriteGuard<'_, Slot>> {
        self.entry(file)?;
        let slot = self.slots[file.0 as usize].write();
        Ok(slot.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns an open file: whole ones for reading, others for both.
    pub(super) fn opened(
        self: &Arc<Self>,
        file: FileIndex,
    ) -> io::Result<RwLockReadGuard<'_, Slot>> {
        let entry = self.entry(file)?;
        let lock = &self.slots[file.0 as usize];
        // Between opening and reading it may be shut again by others, though
        // hardly twice.
        for _ in 0..8 {
            let slot = lock.read().unwrap_or_else(PoisonError::into_inner);
            if slot.reader().is_some() {
                return Ok(slot);
            }
            drop(slot);
            let mut slot = self.slot_mut(file)?;
            if let Slot::Shut(whole) = *slot {
                *slot = if whole {
                    let reader = self.vfs.open(&entry.path)?;
                    self.is_as_it_was(file, reader.modified()?)?;
                    Slot::Whole(reader)
                } else {
                    let writer = self.vfs.create(&entry.path, entry.length)?;
                    self.tell_all(file, &*writer);
                    Slot::Partial(writer)
                };
                drop(slot);
                self.open.opened(self, file);
            }
        }
        Err(shut_again())
    }

    /// Shuts a file that nobody uses at the moment.
    fn shut(&self, file: FileIndex) {
        let Some(Ok(mut slot)) = self.slots.get(file.0 as usize).map(|s| s.try_write()) else {
            return;
        };
        let whole = match &*slot {
            Slot::Shut(_) | Slot::Closing(_) => return,
            Slot::Whole(_) => true,
            // What cannot be made safe now stays open.
            Slot::Partial(writer)
                if writer.sync().is_err() || self.saw_partial(file, &slot).is_err() =>
            {
                return;
            }
            Slot::Partial(_) => false,
        };
        *slot = Slot::Shut(whole);
    }
}

pub(super) fn shut_again() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the file was shut for want of room",
    )
}
