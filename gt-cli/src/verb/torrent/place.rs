//! Where a torrent's files lie: a folder of the torrent's name, or one file.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gt_vfs::{Entry, Folder, ReadAt, VPath, Vfs, WriteAt};
use gt_wire::verify::{FileState, Verify};
use gt_wire::{FileIndex, Info};

use super::super::{Failure, broken};

/// One file of a folder, as if there were no other: a folder of downloads may
/// hold anything.
pub(super) struct Only {
    folder: Folder,
    path: VPath,
}

impl Only {
    pub(super) fn new(folder: Folder, path: VPath) -> Self {
        Self { folder, path }
    }
}

impl Vfs for Only {
    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(Vec::from_iter(self.folder.entry(&self.path)?))
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        self.folder.open(path)
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        self.folder.create(path, size)
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        self.folder.remove(path)
    }
}

/// Returns the store of a torrent below `folder`, which is made if `make`.
pub(super) fn store(folder: &Path, info: &Info, make: bool) -> Result<Arc<dyn Vfs>, Failure> {
    let root = root_of(folder, info, make);
    if !make && !root.is_dir() {
        let shown = root.display();
        return Err(Failure::Broken(format!("there is no folder {shown}")));
    }
    let root = Folder::open(&root).map_err(broken)?;
    Ok(match info.single() {
        Some(path) => Arc::new(Only::new(root, path.clone())),
        None => Arc::new(root),
    })
}

/// Puts those files of a torrent that are whole and not right back among the
/// partial ones, and returns their names; `tell` hears how many pieces were
/// looked at. Files that are not wanted stay where they are: nobody would fill
/// them in.
pub(super) fn reopen(
    folder: &Path,
    info: &Info,
    wanted: Option<&BTreeSet<FileIndex>>,
    tell: &mut dyn FnMut(u32),
) -> Result<Vec<VPath>, Failure> {
    let geometry = info.geometry();
    let store = store(folder, info, true)?;
    let report = Verify::new(geometry, &*store).run(tell).map_err(broken)?;
    let root = Folder::open(root_of(folder, info, true)).map_err(broken)?;
    let mut reopened = Vec::new();
    let files = geometry.files().iter().zip(&report.files).enumerate();
    for (n, (file, state)) in files {
        if wanted.is_some_and(|wanted| !wanted.contains(&FileIndex(n as u32))) {
            continue;
        }
        if let FileState::Wrong { .. } | FileState::Length { .. } = state {
            root.reopen(&file.path)
                .map_err(|e| Failure::Broken(format!("cannot fill in {} again: {e}", file.path)))?;
            reopened.push(file.path.clone());
        }
    }
    Ok(reopened)
}

/// Lets those files run that the torrent marks so (BEP 47), for everybody who
/// may read them. What is not there whole, or is no plain file, is left alone.
pub(super) fn let_run(folder: &Path, info: &Info) -> io::Result<()> {
    let root = root_of(folder, info, true);
    let files = info.geometry().files().iter();
    for file in files.filter(|f| f.executable && !f.padding) {
        let path = root.join(OsStr::from_bytes(file.path.as_bytes()));
        let Ok(found) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = found.permissions().mode();
        let runs = mode | (mode & 0o444) >> 2;
        if found.is_file() && found.len() == file.length && runs != mode {
            std::fs::set_permissions(&path, Permissions::from_mode(runs))?;
        }
    }
    Ok(())
}

/// Files of a torrent of several lie in a folder of its name; whoever names
/// that very folder means it too, if it is only looked at. It may have one of the
/// same name in it, as `src/src`: then it is the one with more of the files.
fn root_of(folder: &Path, info: &Info, make: bool) -> PathBuf {
    if info.single().is_some() {
        return folder.to_path_buf();
    }
    let name = OsStr::from_bytes(info.folder());
    let below = folder.join(name);
    let there = |root: &Path| {
        let files = info.geometry().files().iter().filter(|file| !file.padding);
        let paths = files.map(|file| root.join(OsStr::from_bytes(file.path.as_bytes())));
        paths.filter(|path| path.symlink_metadata().is_ok()).count()
    };
    let is_it = || !below.is_dir() || there(folder) > there(&below);
    if !make && folder.file_name() == Some(name) && is_it() {
        return folder.to_path_buf();
    }
    below
}
