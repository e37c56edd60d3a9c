//! The reels that a repository has accepted, and where their bytes lie.
//!
//! The state is one text file for each reel in `gt/reels/` of the common
//! directory, named by the reel's root. The bytes are in `objects/pack`: a
//! reel is held as long as the packs that its file names are there.

mod join;
mod layout;
mod multi;
mod on_disk;
mod packs;
mod published;
mod selection;
mod splice;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, Root};

pub(crate) use self::layout::{Layout, Range};
pub(crate) use self::on_disk::{OnDisk, read_inside};
pub(crate) use self::packs::Pack;
pub use self::selection::Selection;
use crate::git_program;
use crate::kind::Kind;

/// A reel as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reel {
    /// The number of its first publication.
    pub first: u64,
    /// The number of its last publication; another than the first for a
    /// splice.
    pub last: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The root of its bytes.
    pub root: Root,
    /// The name of the recipe that makes it, if one does.
    pub recipe: Option<String>,
}

impl Reel {
    /// Returns `reels/<first>-<last>.bundle`.
    pub fn file_name(&self) -> String {
        format!("reels/{}-{}.bundle", self.first, self.last)
    }

    /// Tells whether it was made of several.
    pub fn is_splice(&self) -> bool {
        self.first != self.last
    }
}

/// The accepted reels of one repository.
///
/// Only objects of reels count here: what else the repository holds is not
/// asked, so that no answer depends on it.
#[derive(Clone)]
pub struct Chain {
    common_dir: PathBuf,
    format: ObjectFormat,
    /// Sorted by number.
    reels: Vec<Layout>,
    packs: BTreeMap<String, Arc<Pack>>,
}

impl Chain {
    /// Opens the chain of a repository by its common directory (`.git`, or
    /// the bare repository itself). A repository without any has an empty one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(common_dir: &Path) -> Result<Self, Error> {
        let format = git_program::object_format(common_dir)?;
        let mut chain = Self {
            common_dir: common_dir.to_path_buf(),
            format,
            reels: Vec::new(),
            packs: BTreeMap::new(),
        };
        chain.refresh()?;
        Ok(chain)
    }

    /// Reads the state again, which another process may have changed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn refresh(&mut self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            self.read_state()?;
            // Another process may have joined packs between what was read of
            // the state and what was opened of the packs.
            if self.reels.iter().all(|layout| self.is_there(layout)) {
                break;
            }
        }
        Ok(())
    }

    fn read_state(&mut self) -> Result<(), Error> {
        let mut reels = Vec::new();
        let folder = match std::fs::read_dir(self.state()) {
            Ok(folder) => Some(folder),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e.into()),
        };
        for file in folder.into_iter().flatten() {
            let file = file?;
            let name = file.file_name();
            let Some(root) = name.to_str().and_then(|name| name.parse::<Root>().ok()) else {
                continue;
            };
            // A file that cannot be read is a reel that is not held: it will
            // be fetched again, and the file written anew.
            let layout = Layout::read(&std::fs::read(file.path())?);
            reels.extend(layout.filter(|l| l.reel.root == root && l.format == self.format));
        }
        reels.sort_by_key(|l| (l.reel.first, l.reel.last, l.reel.root));
        let mut packs = BTreeMap::new();
        for name in reels.iter().flat_map(|l| &l.ranges).map(|r| &r.pack) {
            if packs.contains_key(name) {
                continue;
            }
            let open = self.packs.get(name).filter(|pack| pack.is_there());
            let pack = match open {
                Some(pack) => Some(Arc::clone(pack)),
                None => Pack::open(&self.objects(), name, self.format)?.map(Arc::new),
            };
            if let Some(pack) = pack {
                packs.insert(name.clone(), pack);
            }
        }
        self.reels = reels;
        self.packs = packs;
        Ok(())
    }

    /// Returns the hash of the repository.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns the reels, in order, whether their packs are there or not.
    pub fn reels(&self) -> impl Iterator<Item = &Reel> {
        self.reels.iter().map(|l| &l.reel)
    }

    /// Tells whether a reel with this root was accepted and its packs are
    /// still there now.
    pub fn holds(&self, root: &Root) -> bool {
        self.layout(root)
            .is_some_and(|layout| self.is_there(layout))
    }

    /// Returns the part of the chain that these reels are.
    ///
    /// # Errors
    /// [`Error::NotHeld`] with the first reel that is not held.
    pub fn select<'a>(
        &self,
        reels: impl IntoIterator<Item = &'a Reel>,
    ) -> Result<Selection, Error> {
        let mut layouts = Vec::new();
        for reel in reels {
            match self.layout(&reel.root).filter(|l| self.is_there(l)) {
                Some(layout) => layouts.push(layout),
                None => return Err(Error::NotHeld(reel.file_name())),
            }
        }
        Ok(Selection::new(self.format, &layouts, &self.packs))
    }

    /// Returns all reels that are held.
    pub fn all(&self) -> Selection {
        let layouts: Vec<_> = self.reels.iter().filter(|l| self.is_there(l)).collect();
        Selection::new(self.format, &layouts, &self.packs)
    }

    /// Tells whether a reel of the chain has this object.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn contains(&self, oid: &ObjectId) -> Result<bool, Error> {
        self.all().contains(oid)
    }

    /// Returns the number of deltas between an object and a whole one,
    /// counted by the reels' own entries; `None` where no reel has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn depth(&self, oid: &ObjectId) -> Result<Option<u32>, Error> {
        self.all().depth(oid)
    }

    /// Returns an object of the chain; `None` where no reel has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(&self, oid: &ObjectId) -> Result<Option<(Kind, Vec<u8>)>, Error> {
        self.all().read(oid)
    }

    pub(crate) fn layout(&self, root: &Root) -> Option<&Layout> {
        self.reels.iter().find(|l| l.reel.root == *root)
    }

    pub(crate) fn pack(&self, name: &str) -> Option<&Arc<OnDisk>> {
        self.packs.get(name).map(|pack| &pack.file)
    }

    fn is_there(&self, layout: &Layout) -> bool {
        let mut names = layout.ranges.iter().map(|range| &range.pack);
        names.all(|name| self.packs.get(name).is_some_and(|pack| pack.is_there()))
    }

    pub(crate) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.common_dir.join("objects")
    }

    /// Returns the folder of the state.
    pub(crate) fn state(&self) -> PathBuf {
        self.common_dir.join("gt").join("reels")
    }

    /// Writes the file of a reel so that it is there whole or not at all, and
    /// takes it into the chain.
    pub(crate) fn add(&mut self, layout: &Layout) -> Result<(), Error> {
        self.write_all(std::slice::from_ref(layout))?;
        self.refresh()
    }

    /// Forgets a reel. Its objects stay in the repository, whose refs may need
    /// them; only what kept their packs from being repacked is removed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn forget(&mut self, root: &Root) -> Result<(), Error> {
        let Some(at) = self.reels.iter().position(|l| l.reel.root == *root) else {
            return Ok(());
        };
        remove(&self.state().join(root.to_string()))?;
        let layout = self.reels.remove(at);
        for range in layout.ranges {
            let shared = self.reels.iter().flat_map(|l| &l.ranges);
            if !shared.into_iter().any(|other| other.pack == range.pack) {
                let keep = self
                    .objects()
                    .join("pack")
                    .join(range.pack)
                    .with_extension("keep");
                match std::fs::read(&keep) {
                    Ok(text) if text.starts_with(KEPT_BY) => remove(&keep)?,
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
                    _ => {}
                }
            }
        }
        self.refresh()
    }
}

/// How often the state is read again because packs that it names are not there.
const ATTEMPTS: u32 = 3;

/// How the `.keep` files begin that are gt's own.
pub(crate) const KEPT_BY: &[u8] = b"gt: ";

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Makes new names in a folder survive a loss of power.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

/// Why the chain cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A reel's packs were taken away, or it never came.
    #[error("expected {0} to be held, got none of its bytes")]
    NotHeld(String),
    /// A pack that was good is not any more.
    #[error("expected {pack} as it was accepted, got damage at offset {offset}")]
    Damaged {
        /// Its name.
        pack: String,
        /// Where.
        offset: u64,
    },
    /// An index that was good is not any more.
    #[error(transparent)]
    Index(#[from] crate::index::Error),
    /// The reels make no splice.
    #[error(transparent)]
    Splice(#[from] crate::splice::Error),
    /// The state on the disk cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(e) => e,
            Error::NotHeld(_) => Self::new(io::ErrorKind::NotFound, error),
            other => Self::other(other),
        }
    }
}
