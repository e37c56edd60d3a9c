//! The files of one torrent, opened as they are needed.
//!
//! Everything here blocks and runs on threads for blocking work.

mod files;
mod hashing;
mod told;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use gt_vfs::Vfs;
use gt_vfs::content::{BLOCK, Hash};

use super::blocks::Blocks;
use super::pool::Pool;
use crate::digest::Running;
use crate::geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
use crate::swarm::Failure;

pub(super) use self::files::OpenFiles;
use self::files::{Slot, shut_again};
use self::told::Verified;

/// Bytes that are read at once for peers.
pub(super) const READ: usize = 8 * BLOCK;

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
    /// When others were last written, as they were synced last.
    partial_times: Mutex<BTreeMap<FileIndex, i64>>,
    buffers: Arc<Pool>,
    verified: Mutex<Verified>,
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
            partial_times: Mutex::default(),
            buffers,
            verified: Mutex::default(),
        })
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
    use gt_vfs::{Memory, VPath, Verdict};
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
    fn a_file_that_was_written_to_while_it_was_shut_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = gt_vfs::Folder::open(dir.path()).unwrap();
        let path = |n: usize| VPath::parse(format!("f{n}").as_bytes()).unwrap();
        let at = |n: usize| dir.path().join(format!("f{n}"));
        std::fs::write(at(0), vec![0; 10_000]).unwrap();
        let files = (0..3).map(|n| File::new(path(n), 10_000)).collect();
        let geometry = Geometry::v1(30_000, files, vec![[0; 20]]).unwrap();
        let open = Arc::new(OpenFiles::new(1));
        let store = Store::new(Arc::new(vfs), geometry, |f| f.0 == 0, open);
        let part = |n: u32| Block {
            piece: PieceIndex(0),
            offset: n * 10_000,
            length: 10_000,
        };
        // Two writings may fall into one tick of the file system's clock.
        let write_later = |n: usize| {
            std::fs::write(at(n), vec![7; 10_000]).unwrap();
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
            let file = std::fs::OpenOptions::new().write(true).open(at(n));
            file.unwrap().set_modified(later).unwrap();
        };
        // One that was whole, and one that was closed and not opened since.
        assert_eq!(store.read(part(0)).unwrap(), vec![0; 10_000]);
        store.write(part(1), &[1; 10_000]).unwrap();
        assert_eq!(store.close(FileIndex(1)), Ok(Verdict::Accept));
        store.write(part(2), &[2; 10_000]).unwrap();
        assert_eq!(store.read(part(0)).unwrap(), vec![0; 10_000]);
        assert_eq!(store.read(part(2)).unwrap(), vec![2; 10_000]);
        for n in [0, 1] {
            write_later(n);
            let refused = store.read(part(n as u32)).unwrap_err();
            assert!(refused.why.contains("written to"), "{}", refused.why);
            assert!(!refused.passing);
        }
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
