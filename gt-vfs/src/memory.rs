//! Files in memory: for tests, simulations and small things.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::{ContentId, Entry, ReadAt, VPath, Verdict, Vfs, WriteAt};

/// A [`Vfs`] that holds everything in memory.
///
/// Clones share the same files.
#[derive(Clone, Default)]
pub struct Memory {
    files: Arc<Mutex<Files>>,
}

#[derive(Default)]
struct Files {
    whole: BTreeMap<VPath, Bytes>,
    partial: BTreeMap<VPath, Arc<RwLock<Held>>>,
}

impl Memory {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a whole file in, in place of what was there.
    pub fn insert(&self, path: VPath, bytes: impl Into<Bytes>) {
        let mut files = self.lock();
        files.partial.remove(&path);
        files.whole.insert(path, bytes.into());
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        // A panic elsewhere cannot leave the two maps half changed.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vfs for Memory {
    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(self
            .lock()
            .whole
            .iter()
            .map(|(path, bytes)| Entry::new(path.clone(), bytes.len() as u64))
            .collect())
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        match self.lock().whole.get(path) {
            Some(bytes) => Ok(Box::new(Whole(bytes.clone()))),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("no whole file {path}"),
            )),
        }
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        let mut files = self.lock();
        if files.whole.contains_key(path) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{path} is whole already"),
            ));
        }
        let size = usize::try_from(size).map_err(|_| {
            io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!("{path} of {size} bytes does not fit into memory"),
            )
        })?;
        let bytes = Arc::clone(files.partial.entry(path.clone()).or_default());
        if let Held::Partial(bytes) = &mut *write(&bytes) {
            bytes.resize(size, 0);
        }
        Ok(Box::new(Partial {
            store: self.clone(),
            path: path.clone(),
            bytes,
        }))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        let mut files = self.lock();
        files.whole.remove(path);
        files.partial.remove(path);
        Ok(())
    }
}

struct Whole(Bytes);

impl ReadAt for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        Ok(copy_out(&self.0, offset, buf))
    }

    fn lend(&self, offset: u64, length: usize) -> Option<Bytes> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(length)?;
        (end <= self.0.len()).then(|| self.0.slice(start..end))
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

/// The bytes of a file, as a writer and its readers share them.
#[derive(Debug)]
enum Held {
    Partial(Vec<u8>),
    Whole(Bytes),
}

impl Default for Held {
    fn default() -> Self {
        Self::Partial(Vec::new())
    }
}

impl Held {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Partial(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }
}

fn read(held: &RwLock<Held>) -> RwLockReadGuard<'_, Held> {
    held.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(held: &RwLock<Held>) -> RwLockWriteGuard<'_, Held> {
    held.write().unwrap_or_else(PoisonError::into_inner)
}

struct Partial {
    store: Memory,
    path: VPath,
    bytes: Arc<RwLock<Held>>,
}

/// What a writer has written, whether it was closed or not.
struct Written(Arc<RwLock<Held>>);

impl ReadAt for Written {
    fn size(&self) -> u64 {
        read(&self.0).bytes().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        Ok(copy_out(read(&self.0).bytes(), offset, buf))
    }

    fn lend(&self, _offset: u64, _length: usize) -> Option<Bytes> {
        // The bytes may still change.
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl ReadAt for Partial {
    fn size(&self) -> u64 {
        read(&self.bytes).bytes().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        Ok(copy_out(read(&self.bytes).bytes(), offset, buf))
    }

    fn lend(&self, _offset: u64, _length: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl WriteAt for Partial {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut held = write(&self.bytes);
        let size = held.bytes().len() as u64;
        let target = match &mut *held {
            Held::Partial(bytes) => usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get_mut(start..start.checked_add(data.len())?)),
            // Another writer of the same path closed it.
            Held::Whole(_) => None,
        };
        match target {
            Some(target) => {
                target.copy_from_slice(data);
                Ok(())
            }
            None => Err(beyond_end(size, offset, data.len())),
        }
    }

    // A file is read when it is whole.
    fn verified(&self, _: u64, _: u64) {}

    fn reader(&self) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(Written(Arc::clone(&self.bytes))))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        let mut files = self.store.lock();
        files.partial.remove(&self.path);
        let mut held = write(&self.bytes);
        let bytes = match std::mem::take(&mut *held) {
            Held::Partial(bytes) => Bytes::from(bytes),
            Held::Whole(bytes) => bytes,
        };
        *held = Held::Whole(bytes.clone());
        files.whole.insert(self.path.clone(), bytes);
        Ok(Verdict::Accept)
    }
}

fn copy_out(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|start| bytes.get(start..))
        .unwrap_or(&[]);
    let n = rest.len().min(buf.len());
    buf[..n].copy_from_slice(&rest[..n]);
    n
}

/// The error of a write that would pass the end of its file.
pub(crate) fn beyond_end(size: u64, offset: u64, length: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("expected a write inside of {size} bytes, got {length} bytes at {offset}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{self, Subject};

    struct InMemory;

    impl Subject for InMemory {
        fn fresh(&self) -> Box<dyn Vfs> {
            Box::new(Memory::new())
        }

        fn sample(&self, n: u8) -> (VPath, Vec<u8>) {
            contract::plain_sample(n)
        }
    }

    #[test]
    fn keeps_the_contract() {
        contract::run(&InMemory);
    }

    #[test]
    fn dotgit_tree_refused_by_every_backend() {
        contract::refuses_dotgit(&InMemory);
    }
}
