//! The objects of a repository, out of its own files: packs first, loose
//! objects beside them, the same in its alternates (gitrepository-layout,
//! `objects/`).
//!
//! Packs are read in blocks that stay for a while, and what a delta stands on
//! is kept, so that whoever asks for objects in about the order of history
//! has each of them inflated once. What an index says of where an object lies
//! is not believed: its bytes are named again when they are read first. What
//! kind and size it has is, where nothing else is asked.

mod loose;
mod pack;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use gt_vfs::{ObjectFormat, ObjectId};

use self::pack::{Found, Pack};
use super::cache::Cache;
use super::{Content, Error, Out};
use crate::Kind;
use crate::delta;
use crate::entry::{EntryHeader, EntryKind};
use crate::hash::FileHasher;
use crate::inflate::Inflater;

/// Bytes of objects that are kept because a delta may stand on them.
const KEPT: usize = 32 << 20;
/// Bytes of packs as they are that are kept.
const BLOCKS: usize = 12 << 20;
/// How far alternates may name alternates, as in git.
const ALTERNATES: u32 = 5;
/// More deltas than git ever makes and than any limit of ours lets in: an
/// index that was changed leads round.
const ENDLESS: usize = 10_000_000;

thread_local! {
    static INFLATER: RefCell<Inflater> = RefCell::default();
}

/// All object folders of a repository.
pub(super) struct Store {
    format: ObjectFormat,
    folders: Vec<PathBuf>,
    packs: RwLock<Arc<Vec<Arc<Pack>>>>,
    shared: Shared,
}

/// What all packs keep together. A pack has a number, so that one that was
/// replaced leaves nothing wrong behind.
pub(super) struct Shared {
    objects: Mutex<Cache<(u32, u64), (Kind, Bytes)>>,
    blocks: Mutex<Cache<(u32, u64), Bytes>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the objects below `objects`.
    pub(super) fn open(objects: &Path, format: ObjectFormat) -> io::Result<Self> {
        let mut folders = Vec::new();
        add_folder(objects.to_path_buf(), &mut folders, ALTERNATES)?;
        let store = Self {
            format,
            folders,
            packs: RwLock::default(),
            shared: Shared {
                objects: Mutex::new(Cache::new(KEPT)),
                blocks: Mutex::new(Cache::new(BLOCKS)),
            },
        };
        store.list_packs()?;
        Ok(store)
    }

    pub(super) fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns an object.
    pub(super) fn read(&self, id: &ObjectId) -> Result<(Kind, Bytes), Error> {
        self.find(
            id,
            |pack, found| self.named(&pack, found, id),
            |path| loose::read(path, id),
        )
    }

    /// Returns an object, or kind and size of one that is larger than `most`
    /// and no delta: those are what the index leads to.
    pub(super) fn read_up_to(&self, id: &ObjectId, most: u64) -> Result<Content, Error> {
        let content = |(kind, bytes)| Content::Whole(kind, bytes);
        self.find(
            id,
            |pack, found| match pack.header_at(found.offset, &self.shared)?.0 {
                EntryHeader {
                    kind: EntryKind::Whole(kind),
                    size,
                } if size > most => Ok(Content::Larger(kind, size)),
                _ => self.named(&pack, found, id).map(content),
            },
            |path| match loose::header(path)? {
                (kind, size) if size > most => Ok(Content::Larger(kind, size)),
                _ => loose::read(path, id).map(content),
            },
        )
    }

    /// Hands out an object in pieces. One that is a delta is made first.
    pub(super) fn stream(&self, id: &ObjectId, out: &mut Out<'_>) -> Result<(Kind, u64), Error> {
        // What has been handed out cannot be taken back: no second try then.
        let begun = Cell::new(false);
        let out = RefCell::new(|bytes: &[u8]| {
            begun.set(true);
            out(bytes)
        });
        let again = || io::Error::other("the object broke off before");
        self.find(
            id,
            |pack, found| {
                if begun.get() {
                    return Err(again());
                }
                let (header, begin) = pack.header_at(found.offset, &self.shared)?;
                if let EntryKind::Whole(kind) = header.kind {
                    let mut inflater = Inflater::new();
                    let mut hasher = FileHasher::of_object(self.format, kind, header.size);
                    let mut out = out.borrow_mut();
                    pack.stream(begin, header.size, &mut inflater, &mut |bytes| {
                        hasher.update(bytes);
                        out(bytes)
                    })?;
                    pack.compare(found, id, hasher.finish())?;
                    return Ok((kind, header.size));
                }
                let (kind, bytes) = self.named(&pack, found, id)?;
                out.borrow_mut()(&bytes)?;
                Ok((kind, bytes.len() as u64))
            },
            |path| {
                if begun.get() {
                    return Err(again());
                }
                loose::stream(path, id, &mut *out.borrow_mut())
            },
        )
    }

    /// Returns an object's kind and size.
    pub(super) fn header(&self, id: &ObjectId) -> Result<(Kind, u64), Error> {
        self.find(
            id,
            |pack, found| self.size(&pack, found.offset),
            loose::header,
        )
    }

    /// Looks in the packs, in the loose objects, and in packs that have come
    /// meanwhile: a repack may have moved the object.
    fn find<T>(
        &self,
        id: &ObjectId,
        packed: impl Fn(Arc<Pack>, Found) -> io::Result<T>,
        loose: impl Fn(&Path) -> io::Result<T>,
    ) -> Result<T, Error> {
        let failed = |e: io::Error| Error::Read {
            id: *id,
            source: e.into(),
        };
        let mut broken = None;
        for again in [false, true] {
            if again {
                self.list_packs().map_err(failed)?;
            }
            for pack in self.packs().iter() {
                let Some(found) = pack.find(id).map_err(failed)? else {
                    continue;
                };
                match packed(Arc::clone(pack), found) {
                    Ok(found) => return Ok(found),
                    // Another copy may be sound, as git has it too.
                    Err(e) => _ = broken.get_or_insert(e),
                }
            }
            let hex = id.to_string();
            for folder in &self.folders {
                let path = folder.join(&hex[..2]).join(&hex[2..]);
                match loose(&path) {
                    Ok(found) => return Ok(found),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => _ = broken.get_or_insert(e),
                }
            }
        }
        Err(broken.map_or(Error::Missing(*id), failed))
    }

    fn packs(&self) -> Arc<Vec<Arc<Pack>>> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&packs)
    }

    /// Takes note of the packs that are there now; the largest are asked
    /// first.
    fn list_packs(&self) -> io::Result<()> {
        let before = self.packs();
        let mut packs = Vec::new();
        for folder in &self.folders {
            let folder = folder.join("pack");
            let names = match std::fs::read_dir(&folder) {
                Ok(names) => names,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            for name in names {
                let path = folder.join(name?.file_name());
                if path.extension().is_none_or(|e| e != "idx") {
                    continue;
                }
                match before.iter().find(|pack| pack.is_at(&path)) {
                    Some(pack) => packs.push(Arc::clone(pack)),
                    None => packs.extend(Pack::open(&path, self.format)?.map(Arc::new)),
                }
            }
        }
        packs.sort_by(|a, b| b.size().cmp(&a.size()).then_with(|| a.path().cmp(b.path())));
        *self.packs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(packs);
        Ok(())
    }

    /// Returns the object of this name.
    fn named(&self, pack: &Pack, found: Found, id: &ObjectId) -> io::Result<(Kind, Bytes)> {
        let (kind, content) = self.object(pack, found.offset)?;
        pack.check(found, id, kind, &content)?;
        Ok((kind, content))
    }

    /// Returns the object of an entry.
    fn object(&self, pack: &Pack, offset: u64) -> io::Result<(Kind, Bytes)> {
        INFLATER.with_borrow_mut(|inflater| self.object_with(pack, offset, inflater))
    }

    fn object_with(
        &self,
        pack: &Pack,
        mut offset: u64,
        inflater: &mut Inflater,
    ) -> io::Result<(Kind, Bytes)> {
        let mut steps = Vec::new();
        let (kind, mut content) = loop {
            if let Some(kept) = lock(&self.shared.objects).find(&(pack.number(), offset)) {
                break kept;
            }
            if steps.len() > ENDLESS {
                return Err(pack.damaged(offset));
            }
            let (header, begin) = pack.header_at(offset, &self.shared)?;
            match header.kind {
                EntryKind::Whole(kind) => {
                    let bytes = pack.inflate(begin, header.size, &self.shared, inflater)?;
                    let content = Bytes::from(bytes);
                    self.keep(pack, offset, kind, &content);
                    break (kind, content);
                }
                EntryKind::OfsDelta(_) | EntryKind::RefDelta(_) => {
                    steps.push((offset, begin, header.size));
                    offset = pack.base_of(offset, &header.kind)?;
                }
            }
        };
        for (offset, begin, size) in steps.into_iter().rev() {
            let delta = pack.inflate(begin, size, &self.shared, inflater)?;
            let result = delta::apply::apply(&content, &delta, u64::MAX);
            content = Bytes::from(result.map_err(|_| pack.damaged(offset))?);
            self.keep(pack, offset, kind, &content);
        }
        Ok((kind, content))
    }

    fn keep(&self, pack: &Pack, offset: u64, kind: Kind, content: &Bytes) {
        let kept = (kind, content.clone());
        lock(&self.shared.objects).insert((pack.number(), offset), kept, content.len());
    }

    /// Returns the kind and the size of an entry's object: of a delta the
    /// size stands in its first bytes, the kind at the end of its chain.
    fn size(&self, pack: &Pack, offset: u64) -> io::Result<(Kind, u64)> {
        let (header, begin) = pack.header_at(offset, &self.shared)?;
        let size = match header.kind {
            EntryKind::Whole(kind) => return Ok((kind, header.size)),
            _ => pack.result_size(begin, header.size, &self.shared)?,
        };
        let mut offset = offset;
        let mut kind = header.kind;
        for _ in 0..ENDLESS {
            if let EntryKind::Whole(kind) = kind {
                return Ok((kind, size));
            }
            offset = pack.base_of(offset, &kind)?;
            kind = pack.header_at(offset, &self.shared)?.0.kind;
        }
        Err(pack.damaged(offset))
    }
}

/// Adds an object folder and, first come first, its alternates.
fn add_folder(folder: PathBuf, folders: &mut Vec<PathBuf>, depth: u32) -> io::Result<()> {
    let same = |other: &PathBuf| match (other.canonicalize(), folder.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => *other == folder,
    };
    if folders.iter().any(same) {
        return Ok(());
    }
    let text = match std::fs::read(folder.join("info").join("alternates")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    folders.push(folder.clone());
    if depth == 0 {
        return Ok(());
    }
    for line in text.split(|b| *b == b'\n') {
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        #[cfg(unix)]
        let line = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(line);
        #[cfg(not(unix))]
        let line = String::from_utf8_lossy(line).into_owned();
        // Relative to the folder that names it.
        add_folder(folder.join(line), folders, depth - 1)?;
    }
    Ok(())
}
