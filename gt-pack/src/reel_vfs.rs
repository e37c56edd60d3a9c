//! The reels of a repository as the files of a torrent.
//!
//! A reel that is read is put together from its header, the header of its
//! pack, ranges of packs in `objects/pack`, and its trailer; nothing lies on
//! the disk twice. A reel that is written is a partial file until it is
//! closed, which is read from its beginning while its end is still on its way;
//! then it is imported, and the partial file goes. It stays where only
//! the checks of git's configuration refused the reel: when the person has
//! let the fault pass, nothing has to come again.

mod arriving;
mod reader;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use gt_vfs::{ContentId, Entry, ObjectFormat, ObjectId, ReadAt, VPath, Vfs, WriteAt};

use self::arriving::Arrivals;
use self::reader::Reader;
use self::writer::Writer;
use crate::chain::{Chain, Reel};
use crate::import::Gate;
use crate::limits::Limits;
use crate::verify::{Progress, Silent};

/// A [`Vfs`] over the packs of a repository.
///
/// It shows the reels of one statement under `reels/<first>-<last>.bundle`,
/// as far as their packs are there. Reels have to be closed in the order of
/// the statement, since each may lean on those before.
pub struct ReelVfs(Arc<Inner>);

/// What a [`ReelVfs`] is opened for.
#[non_exhaustive]
pub struct Options {
    /// The reels of the statement, in order.
    pub reels: Vec<Reel>,
    /// The refs of the statement, where it is the one that brought its newest
    /// reel: the tips of that reel are held against them. A later statement
    /// may have moved or dropped a ref without a reel of its own.
    pub refs: Option<BTreeMap<Vec<u8>, ObjectId>>,
    /// The ref that HEAD names.
    pub head: Option<Vec<u8>>,
    /// The folder for partial reels, which need not exist; on any file system.
    pub partial: PathBuf,
    /// Whether the partial file of a reel stays when the reel was accepted: for
    /// a clone whose repository may yet be thrown away.
    pub keep_partial: bool,
    /// Asked for every reel.
    pub gate: Box<dyn Gate>,
    /// What one pack may cost.
    pub limits: Limits,
    /// Told how far an import is.
    pub progress: Box<dyn Progress + Send>,
}

impl Options {
    /// Returns options with default limits and nobody who is told.
    pub fn new(
        reels: Vec<Reel>,
        refs: Option<BTreeMap<Vec<u8>, ObjectId>>,
        head: Option<Vec<u8>>,
        partial: impl Into<PathBuf>,
        gate: Box<dyn Gate>,
    ) -> Self {
        Self {
            reels,
            refs,
            head,
            partial: partial.into(),
            keep_partial: false,
            gate,
            limits: Limits::default(),
            progress: Box::new(Silent),
        }
    }
}

struct Inner {
    chain: Mutex<Chain>,
    gate: Mutex<Box<dyn Gate>>,
    reels: Vec<Reel>,
    refs: Option<BTreeMap<Vec<u8>, ObjectId>>,
    head: Option<Vec<u8>>,
    partial: PathBuf,
    keep_partial: bool,
    limits: Limits,
    progress: Box<dyn Progress + Send>,
    arrivals: Arrivals,
}

impl ReelVfs {
    /// Opens the reels of a repository by its common directory. Splices are
    /// made here, as far as their parts are held.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(common_dir: &Path, options: Options) -> io::Result<Self> {
        let mut chain = Chain::open(common_dir)?;
        for reel in options.reels.iter().filter(|reel| reel.is_splice()) {
            chain.make_splice(reel)?;
        }
        let arrivals = Arrivals::new(
            chain.format(),
            common_dir.to_path_buf(),
            options.limits.clone(),
        );
        Ok(Self(Arc::new(Inner {
            arrivals,
            chain: Mutex::new(chain),
            gate: Mutex::new(options.gate),
            reels: options.reels,
            refs: options.refs,
            head: options.head,
            partial: options.partial,
            keep_partial: options.keep_partial,
            limits: options.limits,
            progress: options.progress,
        })))
    }

    /// Returns the hash by which the repository names objects.
    pub fn format(&self) -> ObjectFormat {
        self.0.chain().format()
    }
}

impl Inner {
    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Returns the chain, read again where it lacks a reel of `reels`: another
    /// process may have brought it.
    fn chain_with(&self, reels: &[Reel]) -> io::Result<MutexGuard<'_, Chain>> {
        let mut chain = self.chain();
        if !reels.iter().all(|reel| chain.holds(&reel.root)) {
            chain.refresh()?;
        }
        Ok(chain)
    }

    /// Returns the place of a reel in the statement.
    fn place(&self, path: &VPath) -> io::Result<usize> {
        self.reels
            .iter()
            .position(|reel| reel.file_name().as_bytes() == path.as_bytes())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("expected a reel of the statement, got {path}"),
                )
            })
    }

    /// Where a reel's bytes gather: named by its root, so that they are found
    /// again by whatever statement names the same reel.
    fn partial(&self, reel: &Reel) -> PathBuf {
        self.partial.join(reel.root.to_string())
    }
}

impl Vfs for ReelVfs {
    fn list(&self) -> io::Result<Vec<Entry>> {
        let chain = self.0.chain_with(&self.0.reels)?;
        let mut entries = Vec::new();
        for reel in self.0.reels.iter().filter(|reel| chain.holds(&reel.root)) {
            let path = VPath::parse(reel.file_name().as_bytes()).map_err(io::Error::other)?;
            entries.push(Entry::new(path, reel.length).with_id(ContentId::Root(reel.root)));
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        let reel = &self.0.reels[self.0.place(path)?];
        let chain = self.0.chain_with(std::slice::from_ref(reel))?;
        match Reader::new(&self.0, &chain, &reel.root) {
            Some(reader) => Ok(Box::new(reader)),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{path} is not held"),
            )),
        }
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        let place = self.0.place(path)?;
        let reel = &self.0.reels[place];
        if size != reel.length {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("expected {path} of {} bytes, got {size}", reel.length),
            ));
        }
        let chain = self.0.chain_with(std::slice::from_ref(reel))?;
        if chain.holds(&reel.root) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{path} is held already"),
            ));
        }
        drop(chain);
        Ok(Box::new(Writer::open(Arc::clone(&self.0), place)?))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        let Ok(place) = self.0.place(path) else {
            return Ok(());
        };
        let reel = &self.0.reels[place];
        self.0.arrivals.forget(place);
        match std::fs::remove_file(self.0.partial(reel)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        Ok(self.0.chain().forget(&reel.root)?)
    }
}
