//! One pack with its index, whoever made them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use gt_vfs::{ContentId, ObjectFormat, ObjectId, ReadAt};

use super::{INFLATER, Shared, lock};
use crate::Kind;
use crate::delta::apply::Sizes;
use crate::entry::{EntryHeader, EntryKind, MAX_ENTRY_HEADER};
use crate::hash::FileHasher;
use crate::index::{self, Index};
use crate::inflate::{Inflater, SCRATCH, make_room};
use crate::repository::Out;

/// Bytes of a pack that are read at once.
const BLOCK: u64 = 128 << 10;

pub(super) struct Pack {
    /// Of the index.
    path: PathBuf,
    /// Other than that of any pack which was opened before.
    number: u32,
    format: ObjectFormat,
    file: File,
    size: u64,
    index: Index,
    /// Objects whose bytes were found to be those that their names stand for:
    /// a bit for each, in the order of the index.
    known: Vec<AtomicU64>,
}

/// Where an index says that an object lies.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// Its place in the index.
    place: u32,
    /// Where its entry begins in the pack.
    pub(super) offset: u64,
}

impl Pack {
    /// Opens the pack of an index; `None` where one of both has gone, or is
    /// none.
    pub(super) fn open(path: &Path, format: ObjectFormat) -> io::Result<Option<Self>> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        let (bytes, file) = match (std::fs::read(path), File::open(path.with_extension("pack"))) {
            (Ok(bytes), Ok(file)) => (bytes, file),
            (Err(e), _) | (_, Err(e)) if gone(&e) => return Ok(None),
            (Err(e), _) | (_, Err(e)) => return Err(e),
        };
        let size = file.metadata()?.len();
        let index = match Index::open(Arc::new(InMemory(bytes.into())), format, size) {
            Ok(index) => index,
            Err(index::Error::Io(e)) => return Err(e),
            Err(_) => return Ok(None),
        };
        Ok(Some(Self {
            path: path.to_path_buf(),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            format,
            file,
            size,
            known: (0..index.len().div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            index,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.path == path
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Looks where the index says that an object lies; whether it does is for
    /// [`check`](Self::check) to see.
    pub(super) fn find(&self, id: &ObjectId) -> io::Result<Option<Found>> {
        let found = match self.index.find(id) {
            Ok(Some(place)) => {
                let offset = self.index.offset_at(place);
                offset.map(|offset| Some(Found { place, offset }))
            }
            Ok(None) => Ok(None),
            Err(e) => Err(e),
        };
        found.map_err(|e| io::Error::other(format!("{}: {e}", self.path.display())))
    }

    /// Compares the bytes found under a name with it: an index may lead to
    /// another object. Done once for each: that the bytes stay what they are
    /// is zlib's sum for. The plain hash will do: the bytes are in the
    /// repository already, and two objects that were made to share a name come
    /// into it only past git, which looks for that, as all do who get a reel.
    pub(super) fn check(
        &self,
        found: Found,
        id: &ObjectId,
        kind: Kind,
        content: &[u8],
    ) -> io::Result<()> {
        if self.is_known(found) {
            return Ok(());
        }
        let mut hasher = FileHasher::of_object(self.format, kind, content.len() as u64);
        hasher.update(content);
        self.compare(found, id, hasher.finish())
    }

    /// Compares the name of the bytes that were found under a name with it.
    pub(super) fn compare(&self, found: Found, id: &ObjectId, got: ObjectId) -> io::Result<()> {
        if got == *id {
            let (word, bit) = (found.place / 64, 1 << (found.place % 64));
            self.known[word as usize].fetch_or(bit, Ordering::Relaxed);
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{}: expected object {id} at offset {}, got {got}",
                self.path.with_extension("pack").display(),
                found.offset
            ),
        ))
    }

    fn is_known(&self, found: Found) -> bool {
        let word = self.known[found.place as usize / 64].load(Ordering::Relaxed);
        word & 1 << (found.place % 64) != 0
    }

    /// Returns the header of an entry, and where its stream begins.
    pub(super) fn header_at(&self, offset: u64, shared: &Shared) -> io::Result<(EntryHeader, u64)> {
        let block = self.bytes_at(offset, shared)?;
        let mut found = EntryHeader::read(&block, self.format);
        if matches!(found, Ok(None)) {
            let mut raw = [0; MAX_ENTRY_HEADER];
            let have = self.read_up_to(offset, &mut raw)?;
            found = EntryHeader::read(&raw[..have], self.format);
        }
        match found {
            Ok(Some((header, length))) => Ok((header, offset + length as u64)),
            _ => Err(self.damaged(offset)),
        }
    }

    /// Returns where the base of a delta at `offset` begins.
    pub(super) fn base_of(&self, offset: u64, kind: &EntryKind) -> io::Result<u64> {
        let base = match kind {
            EntryKind::OfsDelta(distance) => offset.checked_sub(*distance).filter(|b| *b != offset),
            EntryKind::RefDelta(base) => self.find(base)?.map(|found| found.offset),
            EntryKind::Whole(_) => None,
        };
        base.ok_or_else(|| self.damaged(offset))
    }

    /// Inflates the stream that begins at `begin`.
    pub(super) fn inflate(
        &self,
        begin: u64,
        size: u64,
        shared: &Shared,
        inflater: &mut Inflater,
    ) -> io::Result<Vec<u8>> {
        inflater.reset();
        let mut out = Vec::new();
        if size < BLOCK {
            out.reserve_exact(size as usize + 1);
        }
        let mut at = begin;
        loop {
            let block = self.bytes_at(at, shared)?;
            let mut rest = &block[..];
            at += rest.len() as u64;
            while !rest.is_empty() {
                make_room(&mut out, size);
                let (used, ended) = inflater
                    .step(rest, &mut out)
                    .map_err(|_| self.damaged(begin))?;
                rest = &rest[used..];
                if out.len() as u64 > size || ended && out.len() as u64 != size {
                    return Err(self.damaged(begin));
                }
                if ended {
                    return Ok(out);
                }
            }
        }
    }

    /// Inflates the stream that begins at `begin` in pieces. Its bytes are not
    /// kept: whoever reads a large object reads it once.
    pub(super) fn stream(
        &self,
        begin: u64,
        size: u64,
        inflater: &mut Inflater,
        out: &mut Out<'_>,
    ) -> io::Result<()> {
        inflater.reset();
        let mut block = vec![0; BLOCK as usize];
        let (mut at, mut done) = (begin, 0);
        loop {
            let have = self.read_up_to(at, &mut block)?;
            if have == 0 {
                return Err(self.damaged(begin));
            }
            at += have as u64;
            let mut rest = &block[..have];
            loop {
                let step = inflater.fill(rest, 0);
                let (used, filled, ended) = step.map_err(|_| self.damaged(begin))?;
                rest = &rest[used..];
                done += filled as u64;
                if done > size || ended && done != size {
                    return Err(self.damaged(begin));
                }
                out(inflater.filled(filled))?;
                if ended {
                    return Ok(());
                }
                // What does not fill the room has used all there was.
                if rest.is_empty() && filled < SCRATCH {
                    break;
                }
                if used == 0 && filled == 0 {
                    return Err(self.damaged(begin));
                }
            }
        }
    }

    /// Returns the size of what the delta makes that begins at `begin`.
    pub(super) fn result_size(&self, begin: u64, size: u64, shared: &Shared) -> io::Result<u64> {
        INFLATER.with_borrow_mut(|inflater| self.sizes(begin, size, shared, inflater))
    }

    fn sizes(
        &self,
        begin: u64,
        size: u64,
        shared: &Shared,
        inflater: &mut Inflater,
    ) -> io::Result<u64> {
        inflater.reset();
        // Two numbers of ten bytes at most.
        let mut out = Vec::with_capacity(20);
        let mut at = begin;
        while out.len()
            < out
                .capacity()
                .min(usize::try_from(size).unwrap_or(usize::MAX))
        {
            let block = self.bytes_at(at, shared)?;
            let step = inflater.step(&block, &mut out);
            let (used, ended) = step.map_err(|_| self.damaged(begin))?;
            at += used as u64;
            if ended {
                break;
            }
        }
        match Sizes::read(&out) {
            Ok(Some((sizes, _))) => Ok(sizes.result),
            _ => Err(self.damaged(begin)),
        }
    }

    /// Returns the bytes of the pack from `offset` up to the end of a block;
    /// at least one.
    fn bytes_at(&self, offset: u64, shared: &Shared) -> io::Result<Bytes> {
        if offset >= self.size {
            return Err(self.damaged(offset));
        }
        let number = offset / BLOCK;
        let key = (self.number, number);
        let kept = lock(&shared.blocks).find(&key);
        let block = match kept {
            Some(block) => block,
            None => {
                let begin = number * BLOCK;
                let mut bytes = vec![0; BLOCK.min(self.size - begin) as usize];
                if self.read_up_to(begin, &mut bytes)? < bytes.len() {
                    return Err(self.damaged(offset));
                }
                let block = Bytes::from(bytes);
                lock(&shared.blocks).insert(key, block.clone(), block.len());
                block
            }
        };
        Ok(block.slice((offset % BLOCK) as usize..))
    }

    fn read_up_to(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < buffer.len() {
            match read_at(&self.file, offset + have as u64, &mut buffer[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(have)
    }

    pub(super) fn damaged(&self, offset: u64) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{}: expected a sound entry, got damage at offset {offset}",
                self.path.with_extension("pack").display()
            ),
        )
    }
}

fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// An index, all of it: it is asked for every object.
struct InMemory(Bytes);

impl ReadAt for InMemory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(from..).unwrap_or_default();
        let length = rest.len().min(buf.len());
        buf[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn lend(&self, offset: u64, length: usize) -> Option<Bytes> {
        let from = usize::try_from(offset).ok()?;
        let to = from.checked_add(length)?;
        (to <= self.0.len()).then(|| self.0.slice(from..to))
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}
