//! The reels of a repository as the files of a torrent.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use gt_vfs::{Entry, ObjectId, ReadAt, VPath, Vfs, WriteAt};

use crate::chain::Reel;
use crate::import::Gate;

/// A [`Vfs`] over the packs of a repository.
pub struct ReelVfs {}

/// What a [`ReelVfs`] is opened for.
pub struct Options {
    /// The reels of the statement, in order.
    pub reels: Vec<Reel>,
    /// The refs of the statement.
    pub refs: BTreeMap<Vec<u8>, ObjectId>,
    /// The ref that HEAD names.
    pub head: Option<Vec<u8>>,
    /// The folder for partial reels, which need not exist; on any file system.
    pub partial: PathBuf,
    /// Asked for every reel.
    pub gate: Box<dyn Gate>,
    /// What one pack may cost.
    pub limits: crate::limits::Limits,
}

impl ReelVfs {
    /// Opens the reels of a repository by its common directory.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(common_dir: &Path, options: Options) -> io::Result<Self> {
        let _ = (common_dir, options);
        unimplemented!()
    }
}

impl Vfs for ReelVfs {
    fn list(&self) -> io::Result<Vec<Entry>> {
        unimplemented!()
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        let _ = path;
        unimplemented!()
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        let _ = (path, size);
        unimplemented!()
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        let _ = path;
        unimplemented!()
    }
}
