//! Reels that are read while they come in.
//!
//! ```text
//!   verified ──▶ ranges ─ contiguous from 0 ─▶ reader waits ──▶ inflated, named, summed
//!   close    ──────────── all of it ─────────▶   ends   ──────▶ deltas, links, gate
//! ```
//!
//! Pieces come in any order, and a pack can only be read in one: how much is
//! done before the last piece is here depends on the order. A reel that comes
//! otherwise loses nothing by it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use bytes::Bytes;
use gt_vfs::{ContentId, ObjectFormat, ReadAt};

use crate::chain::read_inside;
use crate::import::Arrival;
use crate::limits::Limits;
use crate::verify::{Arriving, Progress, Stage};

/// Reels that are read at a time: each has a thread and a table of the objects
/// that came so far.
const MOST: usize = 4;

/// A smaller reel is imported in less time than it takes to see.
const LEAST: u64 = 256 << 10;

/// What has to be there before anybody reads: most headers of a bundle.
const BEGIN: u64 = 16 << 10;

/// The reels that are coming in, by their place in the statement.
pub(super) struct Arrivals {
    format: ObjectFormat,
    common_dir: PathBuf,
    limits: Limits,
    coming: Mutex<BTreeMap<usize, Coming>>,
}

/// One of them.
#[derive(Default)]
struct Coming {
    ranges: Ranges,
    reader: Option<Reader>,
}

impl Arrivals {
    pub(super) fn new(format: ObjectFormat, common_dir: PathBuf, limits: Limits) -> Self {
        Self {
            format,
            common_dir,
            limits,
            coming: Mutex::default(),
        }
    }

    fn coming(&self) -> MutexGuard<'_, BTreeMap<usize, Coming>> {
        self.coming.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Takes note that bytes of a reel of `size` bytes are what they should be.
    pub(super) fn verified(&self, place: usize, file: &File, size: u64, offset: u64, length: u64) {
        if size < LEAST {
            return;
        }
        let mut coming = self.coming();
        let busy = coming.values().filter(|c| c.reader.is_some()).count();
        let reel = coming.entry(place).or_default();
        if !reel
            .ranges
            .add(offset, offset.saturating_add(length).min(size))
        {
            return;
        }
        let there = reel.ranges.beginning();
        match &reel.reader {
            Some(reader) => reader.shared.grow(there),
            None if there >= BEGIN && busy < MOST => {
                reel.reader = self.read(file, size, there);
            }
            None => {}
        }
    }

    /// Begins to read a reel; `None` where the system has no thread for it or
    /// no second handle: it is read when it is whole.
    fn read(&self, file: &File, size: u64, there: u64) -> Option<Reader> {
        let shared = Arc::new(Shared {
            file: file.try_clone().ok()?,
            size,
            state: Mutex::new(State {
                there,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let source = Arc::clone(&shared);
        let (format, limits) = (self.format, self.limits.clone());
        let common_dir = self.common_dir.clone();
        let read = move || {
            // Whatever is wrong with it is found again, and told of, when the
            // reel is closed.
            Arrival::read(&*source, format, &common_dir, &limits, &*source).ok()
        };
        let thread = std::thread::Builder::new().name("gt-arrival".into());
        Some(Reader {
            thread: Some(thread.spawn(read).ok()?),
            shared,
        })
    }

    /// Ends the reading of a reel all of whose bytes are there now, and returns
    /// what came of it, if it was read.
    pub(super) fn whole(&self, place: usize) -> Option<Arrival> {
        let reader = self.coming().remove(&place)?.reader?;
        reader.finish()
    }

    /// Forgets what was told of a reel.
    pub(super) fn forget(&self, place: usize) {
        let gone = self.coming().remove(&place);
        // Its thread is waited for while others may go on.
        drop(gone);
    }
}

/// A thread that reads a reel.
struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Option<Arrival>>>,
}

impl Reader {
    fn finish(mut self) -> Option<Arrival> {
        self.shared.grow(self.shared.size);
        self.thread.take()?.join().ok()?
    }
}

impl Drop for Reader {
    /// Ends the thread: it stops at its next read, or among the deltas.
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A file that is still coming in. Its reads wait for bytes that are verified:
/// until they come, or until nobody wants the reel any more.
struct Shared {
    file: File,
    size: u64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// How many bytes from the beginning on may be read.
    there: u64,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn grow(&self, there: u64) {
        let mut state = self.state();
        if state.there < there {
            state.there = there;
            self.changed.notify_all();
        }
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }
}

impl ReadAt for Shared {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size || buf.is_empty() {
            return Ok(0);
        }
        let lacks = |state: &mut State| !state.ended && state.there <= offset;
        let state = self.changed.wait_while(self.state(), lacks);
        let State { there, ended } = *state.unwrap_or_else(|e| e.into_inner());
        if ended {
            let why = "expected the reel to come in, got an end before";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, why));
        }
        read_inside(&self.file, there, offset, buf)
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl Progress for Shared {
    fn at(&self, _: Stage, _: u64, _: u64) -> ControlFlow<()> {
        match self.state().ended {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Arriving for Shared {
    fn there(&self) -> u64 {
        self.state().there
    }
}

/// Which parts of a file are there.
#[derive(Debug, Default)]
struct Ranges {
    /// All before this.
    beginning: u64,
    /// Further ones, each with its end, none of which touches the beginning.
    others: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds a part, and tells whether the beginning grew.
    fn add(&mut self, from: u64, to: u64) -> bool {
        if from > self.beginning {
            if from < to {
                let end = self.others.entry(from).or_insert(to);
                *end = to.max(*end);
            }
            return false;
        }
        let before = self.beginning;
        self.beginning = before.max(to);
        while let Some(next) = self.others.first_entry()
            && *next.key() <= self.beginning
        {
            self.beginning = self.beginning.max(next.remove());
        }
        self.beginning > before
    }

    fn beginning(&self) -> u64 {
        self.beginning
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    proptest::proptest! {
        #[test]
        fn the_beginning_is_what_a_map_of_bytes_says(
            parts in proptest::collection::vec((0u64..40, 0u64..12), 0..40),
        ) {
            let mut ranges = Ranges::default();
            let mut there = [false; 64];
            for (from, length) in parts {
                let before = ranges.beginning();
                let grew = ranges.add(from, from + length);
                there[from as usize..(from + length) as usize].fill(true);
                let beginning = there.iter().position(|b| !b).unwrap() as u64;
                proptest::prop_assert_eq!(ranges.beginning(), beginning);
                proptest::prop_assert_eq!(grew, beginning > before);
            }
        }
    }

    fn shared(size: u64) -> (File, Arc<Shared>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; size as usize]).unwrap();
        let shared = Arc::new(Shared {
            file: file.try_clone().unwrap(),
            size,
            state: Mutex::new(State {
                there: 10,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        (file, shared)
    }

    #[test]
    fn a_read_waits_for_its_bytes_and_sees_no_others() {
        let (_file, shared) = shared(100);
        let mut buffer = [0; 50];
        assert_eq!(shared.read_at(4, &mut buffer).unwrap(), 6);
        let (told, hears) = mpsc::channel();
        let reader = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 50];
            told.send(reader.read_at(10, &mut buffer)).unwrap();
        });
        assert!(hears.recv_timeout(Duration::from_millis(50)).is_err());
        shared.grow(30);
        assert_eq!(hears.recv().unwrap().unwrap(), 20);
        thread.join().unwrap();
        assert_eq!(shared.read_at(100, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn who_waits_is_told_when_nobody_wants_it_any_more() {
        let (_file, shared) = shared(100);
        let reader = Arc::clone(&shared);
        let thread = std::thread::spawn(move || reader.read_at(10, &mut [0; 5]));
        shared.end();
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(shared.at(Stage::Resolving, 1, 2).is_break());
    }
}
