//! The files of one torrent, opened as they are needed.
//!
//! Everything here blocks and runs on threads for blocking work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};

use bytes::Bytes;
use gt_vfs::content::{BLOCK, Hash};
use gt_vfs::{ReadAt, VPath, Verdict, Vfs, WriteAt};

use super::blocks::{Blocks, leaf};
use super::pool::Pool;
use crate::digest::{Running, Scratch, Wanted};
use crate::geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
use crate::swarm::{Digests, Failure};

/// Where the bytes of one torrent lie.
pub(super) struct Store {
    vfs: Arc<dyn Vfs>,
    geometry: Geometry,
    slots: Vec<RwLock<Slot>>,
    open: Arc<OpenFiles>,
    /// Pieces that are hashed as their blocks are written.
    running: Mutex<BTreeMap<PieceIndex, Running>>,
    /// In v2 alone, in the place of these: blocks as they are written.
    blocks: Option<Blocks>,
    /// When closed files were last written, as they were seen first: what
    /// they are later is not our doing.
    times: Mutex<BTreeMap<FileIndex, i64>>,
    buffers: Arc<Pool>,
    verified: Mutex<Verified>,
}

/// What the files are told of that are not whole.
#[derive(Default)]
struct Verified {
    /// Pieces that were verified.
    pieces: BTreeSet<PieceIndex>,
    /// Those of them that their files were not told of.
    untold: BTreeSet<PieceIndex>,
}

/// Pieces that are hashed on the way at a time; others are read again.
const RUNNING: usize = 256;

/// One file.
enum Slot {
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
    fn reader(&self) -> Option<&dyn ReadAt> {
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
pub(super) struct OpenFiles {
    limit: usize,
    queue: Mutex<VecDeque<(Weak<Store>, FileIndex)>>,
    /// What blocks are read into.
    buffers: Arc<Pool>,
}

/// Bytes that are read at once for peers.
pub(super) const READ: usize = 8 * BLOCK;

/// Such buffers that are kept when nobody reads.
const KEEP: usize = 8;

impl OpenFiles {
    pub(super) fn new(limit: usize) -> Self {
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
    /// Returns the files of a torrent, of which `whole` tells which are whole.
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        geometry: Geometry,
        whole: impl Fn(FileIndex) -> bool,
        open: Arc<OpenFiles>,
    ) -> Arc<Self> {
        let buffers = open.buffers.clone();
        let files = 0..geometry.files().len() as u32;
        let slots = files.map(|n| RwLock::new(Slot::Shut(whole(FileIndex(n)))));
        let by_block = geometry.has_v2() && !geometry.has_v1();
        Arc::new(Self {
            slots: slots.collect(),
            vfs,
            geometry,
            open,
            running: Mutex::default(),
            blocks: by_block.then(Blocks::default),
            times: Mutex::default(),
            buffers,
            verified: Mutex::default(),
        })
    }

    /// Takes note that a piece is what it should be, and tells its files.
    pub(super) fn verified(&self, piece: PieceIndex) {
        let mut verified = self.told();
        if !verified.pieces.insert(piece) {
            return;
        }
        verified.untold.insert(piece);
        // A file that somebody else opens or closes at this moment is not
        // waited for, and is told with the next piece.
        let untold = std::mem::take(&mut verified.untold);
        let untold = untold.into_iter().filter(|piece| !self.tell(*piece));
        verified.untold = untold.collect();
    }

    /// Tells the files of a piece; `false` where one could not be told now.
    fn tell(&self, piece: PieceIndex) -> bool {
        let spans = self.geometry.spans(self.geometry.whole(piece));
        let told = spans.into_iter().map(|span| {
            let Some(slot) = self.slots.get(span.file.0 as usize) else {
                return true;
            };
            match slot.try_read() {
                Ok(slot) => {
                    if let Slot::Partial(file) = &*slot {
                        file.verified(span.offset, span.length);
                    }
                    true
                }
                Err(_) => false,
            }
        });
        told.fold(true, |all, one| all & one)
    }

    /// Tells a file that was just opened what of it is verified.
    fn tell_all(&self, file: FileIndex, writer: &dyn WriteAt) {
        let verified = self.told();
        for piece in verified.pieces.range(self.pieces_of(file)) {
            let spans = self.geometry.spans(self.geometry.whole(*piece));
            for span in spans.into_iter().filter(|span| span.file == file) {
                writer.verified(span.offset, span.length);
            }
        }
    }

    /// Forgets the pieces of a file that is whole.
    fn tell_no_more(&self, file: FileIndex) {
        let mut verified = self.told();
        let gone = self.pieces_of(file);
        verified.pieces.retain(|piece| !gone.contains(piece));
        verified.untold.retain(|piece| !gone.contains(piece));
    }

    fn pieces_of(&self, file: FileIndex) -> Range<PieceIndex> {
        let Range { start, end } = self.geometry.pieces_of(file);
        PieceIndex(start)..PieceIndex(end)
    }

    fn told(&self) -> MutexGuard<'_, Verified> {
        // Whoever is told too little reads later.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a block; padding is zeros, and so is what lies behind the end of a
    /// short piece of v2.
    pub(super) fn read(self: &Arc<Self>, block: Block) -> Result<Bytes, Failure> {
        self.read_io(block).map_err(|e| failure("read", &e))
    }

    fn read_io(self: &Arc<Self>, block: Block) -> io::Result<Bytes> {
        let inside = match self.geometry.serves(block) {
            true => {
                let left = self.geometry.piece_len(block.piece) - block.offset;
                let length = block.length.min(left);
                Block { length, ..block }
            }
            false => block,
        };
        let spans = self.spans(inside)?;
        if inside == block
            && let [span] = spans[..]
            && !self.is_padding(span)
        {
            let slot = self.opened(span.file)?;
            let lent = slot
                .reader()
                .and_then(|f| f.lend(span.offset, span.length as usize));
            if let Some(bytes) = lent {
                return Ok(bytes);
            }
        }
        let length = block.length as usize;
        let mut lease = None;
        let mut own = Vec::new();
        let bytes = if length <= READ {
            &mut lease.insert(self.buffers.take()).room()[..length]
        } else {
            own = vec![0; length];
            &mut own[..]
        };
        let mut rest = &mut bytes[..];
        for span in spans {
            let (now, later) = rest.split_at_mut(span.length as usize);
            match self.is_padding(span) {
                true => now.fill(0),
                false => self.read_span(span.file, span.offset, now)?,
            }
            rest = later;
        }
        rest.fill(0);
        Ok(match lease {
            Some(lease) => lease.freeze(length),
            None => own.into(),
        })
    }

    /// Returns two blocks as one, where the second follows the first and both
    /// are read at once.
    pub(super) fn join(&self, first: Block, next: Block) -> Option<Block> {
        let both = Block {
            length: first.length.checked_add(next.length)?,
            ..first
        };
        let follows = first.piece == next.piece
            && first.offset.checked_add(first.length) == Some(next.offset)
            && both.length as usize <= READ;
        (follows && self.geometry.contains(both)).then_some(both)
    }

    pub(super) fn read_span(
        self: &Arc<Self>,
        file: FileIndex,
        at: u64,
        buf: &mut [u8],
    ) -> io::Result<()> {
        let slot = self.opened(file)?;
        let reader = slot.reader().ok_or_else(shut_again)?;
        reader.read_exact_at(at, buf)
    }

    /// Writes a block, and returns its leaf in v2 alone. A file that is whole
    /// already is only compared with it.
    pub(super) fn write(
        self: &Arc<Self>,
        block: Block,
        bytes: &[u8],
    ) -> Result<Option<Hash>, Failure> {
        let written = self.write_io(block, bytes);
        let leaf = match &self.blocks {
            Some(blocks) => blocks.wrote(&self.geometry, block, bytes, written.is_ok()),
            None => {
                self.hash_on_the_way(block, bytes, written.is_ok());
                None
            }
        };
        written.map(|()| leaf).map_err(|e| failure("written", &e))
    }

    /// Hashes blocks as they come, if they come in order. What is written
    /// over something that was hashed ends that: the disk is what counts.
    fn hash_on_the_way(&self, block: Block, bytes: &[u8], written: bool) {
        let mut running = self.running();
        let begin = block.offset == 0 && running.len() < RUNNING && written;
        let state = running.remove(&block.piece);
        let state = match state {
            Some(state) if block.offset > state.at() => Some(state),
            Some(state) if written && block.offset == state.at() && state.at() > 0 => Some(state),
            _ => begin.then(|| {
                Running::new(Wanted {
                    sha1: self.geometry.has_v1(),
                    leaves: self.geometry.has_v2(),
                })
            }),
        };
        // Others write other pieces meanwhile.
        drop(running);
        if let Some(mut state) = state {
            if block.offset == state.at() {
                state.feed(&self.geometry, block, bytes);
            }
            self.running().insert(block.piece, state);
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<PieceIndex, Running>> {
        // An entry is taken out while it changes.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_io(self: &Arc<Self>, block: Block, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        for span in self.spans(block)? {
            let Some((now, later)) = rest.split_at_checked(span.length as usize) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "expected a block of {} bytes, got {}",
                        block.length,
                        bytes.len()
                    ),
                ));
            };
            rest = later;
            if self.is_padding(span) {
                continue;
            }
            let slot = self.opened(span.file)?;
            match &*slot {
                Slot::Partial(file) => file.write_at(span.offset, now)?,
                Slot::Closing(file) | Slot::Whole(file) => {
                    let mut there = vec![0; now.len()];
                    file.read_exact_at(span.offset, &mut there)?;
                    if there != now {
                        let path = &self.geometry.files()[span.file.0 as usize].path;
                        return Err(io::Error::new(
                            io::ErrorKind::AlreadyExists,
                            format!("{path} is a whole file of other content"),
                        ));
                    }
                }
                Slot::Shut(_) => return Err(shut_again()),
            }
        }
        Ok(())
    }

    /// Hashes a piece as it lies on the disk.
    pub(super) fn hash(
        self: &Arc<Self>,
        piece: PieceIndex,
        sha1: bool,
        leaves: bool,
    ) -> Result<Digests, Failure> {
        self.hash_io(piece, sha1, leaves)
            .map_err(|e| failure("hashed", &e))
    }

    pub(super) fn hash_io(
        self: &Arc<Self>,
        piece: PieceIndex,
        sha1: bool,
        leaves: bool,
    ) -> io::Result<Digests> {
        let wanted = Wanted { sha1, leaves };
        let known = match &self.blocks {
            Some(blocks) if leaves && !sha1 => blocks.take(piece),
            _ => Vec::new(),
        };
        if !known.is_empty() {
            return self.hash_rest(piece, &known);
        }
        let running = self.running().remove(&piece);
        let running = running.filter(|state| state.sees(wanted));
        let running = running.unwrap_or_else(|| Running::new(wanted));
        // A piece that was hashed on the way needs no room to read.
        let mut scratch = match running.at() >= self.geometry.piece_len(piece) {
            true => Scratch::none(),
            false => Scratch::new(),
        };
        running.finish(&self.geometry, piece, &mut scratch, |file, at, buf| {
            self.read_span(file, at, buf)
        })
    }

    /// Reads and hashes those blocks of a piece whose hashes are not known.
    fn hash_rest(
        self: &Arc<Self>,
        piece: PieceIndex,
        known: &[Option<Hash>],
    ) -> io::Result<Digests> {
        let mut room = Vec::new();
        let mut leaves = Vec::with_capacity(known.len());
        for (block, known) in self.geometry.blocks(piece).zip(known) {
            leaves.push(match known {
                Some(hash) => *hash,
                None => {
                    room.clear();
                    for span in self.spans(block)? {
                        let from = room.len();
                        room.resize(from + span.length as usize, 0);
                        self.read_span(span.file, span.offset, &mut room[from..])?;
                    }
                    leaf(&room)
                }
            });
        }
        Ok(Digests { sha1: None, leaves })
    }

    /// Closes a file, which asks the backend for its verdict.
    pub(super) fn close(self: &Arc<Self>, file: FileIndex) -> Result<Verdict, Failure> {
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
        *self.slot_mut(file)? = Slot::Shut(accepted);
        if verdict.is_ok() {
            self.tell_no_more(file);
        }
        verdict
    }

    /// Remembers when a file that is believed or was verified was written.
    pub(super) fn saw(&self, file: FileIndex, modified: i64) {
        self.times().insert(file, modified);
    }

    /// Returns when closed files were last written, where the backend knows.
    pub(super) fn modified(
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
        let times = self.times();
        let closed = closed.iter();
        Ok(closed.filter_map(|f| Some((*f, *times.get(f)?))).collect())
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<FileIndex, i64>> {
        // An entry is there or not.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what was written so far survive a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        for slot in &self.slots {
            let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
            if let Slot::Partial(file) = &*slot {
                file.sync()?;
            }
        }
        Ok(())
    }

    fn entry(&self, file: FileIndex) -> io::Result<&crate::geometry::File> {
        self.geometry.file(file).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("there is no file {file}"),
            )
        })
    }

    fn is_padding(&self, span: FileSpan) -> bool {
        self.geometry.file(span.file).is_some_and(|f| f.padding)
    }

    fn spans(&self, block: Block) -> io::Result<Vec<FileSpan>> {
        match self.geometry.contains(block) {
            true => Ok(self.geometry.spans(block)),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("there is no block {block:?}"),
            )),
        }
    }

    fn slot_mut(&self, file: FileIndex) -> io::Result<RwLockWriteGuard<'_, Slot>> {
        self.entry(file)?;
        let slot = self.slots[file.0 as usize].write();
        Ok(slot.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns an open file: whole ones for reading, others for both.
    fn opened(self: &Arc<Self>, file: FileIndex) -> io::Result<RwLockReadGuard<'_, Slot>> {
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
                    Slot::Whole(self.vfs.open(&entry.path)?)
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
            Slot::Partial(writer) if writer.sync().is_err() => return,
            Slot::Partial(_) => false,
        };
        *slot = Slot::Shut(whole);
    }
}

fn shut_again() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the file was shut for want of room",
    )
}

/// Tells what failed, and whether waiting may help.
fn failure(deed: &str, e: &io::Error) -> Failure {
    let passing = matches!(
        e.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::TimedOut
    );
    // Too many open files, in this process or in the system.
    let passing = passing || matches!(e.raw_os_error(), Some(23 | 24));
    Failure {
        passing,
        why: format!("cannot be {deed}: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use gt_vfs::Memory;
    use sha1::{Digest, Sha1};

    use super::*;
    use crate::geometry::File;

    fn store(limit: usize) -> (Memory, Arc<Store>) {
        let path = |n: usize| VPath::parse(format!("f{n}").as_bytes()).unwrap();
        let files = (0..3).map(|n| File::new(path(n), 10_000)).collect();
        let geometry = Geometry::v1(30_000, files, vec![[0; 20]]).unwrap();
        let vfs = Memory::new();
        vfs.insert(path(1), vec![1; 10_000]);
        let open = Arc::new(OpenFiles::new(limit));
        let store = Store::new(Arc::new(vfs.clone()), geometry, |f| f.0 == 1, open);
        (vfs, store)
    }

    const ALL: Block = Block {
        piece: PieceIndex(0),
        offset: 0,
        length: 30_000,
    };

    #[test]
    fn a_whole_file_is_compared_and_not_written() {
        let (_, store) = store(10);
        let mut bytes = vec![5; 30_000];
        assert!(!store.write(ALL, &bytes).unwrap_err().passing);
        bytes[10_000..20_000].fill(1);
        store.write(ALL, &bytes).unwrap();
        assert_eq!(store.read(ALL).unwrap(), bytes);
        assert!(store.write(ALL, &bytes[1..]).is_err());
    }

    #[test]
    fn files_give_way_and_lose_nothing() {
        let (vfs, store) = store(1);
        let mut bytes: Vec<u8> = (0..30_000).map(|n| n as u8).collect();
        bytes[10_000..20_000].fill(1);
        for _ in 0..3 {
            store.write(ALL, &bytes).unwrap();
            assert_eq!(store.read(ALL).unwrap(), bytes);
        }
        let digests = store.hash(PieceIndex(0), true, false).unwrap();
        assert_eq!(digests.sha1, Some(Sha1::digest(&bytes).into()));
        assert_eq!(store.close(FileIndex(0)), Ok(Verdict::Accept));
        assert_eq!(store.close(FileIndex(2)), Ok(Verdict::Accept));
        assert_eq!(store.close(FileIndex(2)), Ok(Verdict::Accept));
        assert_eq!(store.read(ALL).unwrap(), bytes);
        assert_eq!(vfs.list().unwrap().len(), 3);
        assert!(store.close(FileIndex(3)).is_err());
    }
}
