//! Files in a folder of the file system.
//!
//! Every step from the root to a file is taken with `openat` and without
//! following symbolic links, so that a link planted inside leads nowhere.
//! Partial files lie in `.gt-partial` of the same folder, under the same
//! names, and move into place by one rename.

mod partial;
mod whole;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::{Entry, ReadAt, VPath, Vfs, WriteAt};

use partial::Partial;
use whole::{Whole, nanoseconds};

/// Where partial files lie.
const PARTIAL: &[u8] = b".gt-partial";

/// How often the folder of a partial file is made again.
const TRIES: usize = 16;

/// A [`Vfs`] over one folder. It accepts every file that is closed.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    dir: OwnedFd,
}

impl Folder {
    /// Opens a folder, which is made if there is none.
    ///
    /// # Errors
    /// What the file system says, with the folder's name.
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = root.as_ref().to_path_buf();
        let named = |e: io::Error| {
            io::Error::new(
                e.kind(),
                format!("folder {} cannot be used: {e}", root.display()),
            )
        };
        std::fs::create_dir_all(&root).map_err(named)?;
        let dir = rustix::fs::open(&root, dir_flags(), Mode::empty())
            .map_err(io::Error::from)
            .map_err(named)?;
        Ok(Self { root, dir })
    }

    /// Returns the folder's name.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns what [`list`](Vfs::list) tells of one file, without looking at
    /// the others; `None` where there is no such file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn entry(&self, path: &VPath) -> io::Result<Option<Entry>> {
        let stat = self.parent(Place::Whole, path, false).and_then(|dir| {
            Ok(rustix::fs::statat(
                &dir,
                path.name(),
                AtFlags::SYMLINK_NOFOLLOW,
            )?)
        });
        match stat {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(entry_of(path.clone(), &stat)))
            }
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Puts a whole file back among the partial ones, where
    /// [`create`](Vfs::create) finds its bytes; what was partial under its name
    /// before gives way.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no such regular file, and
    /// what else the file system says. The file is in one place or the other.
    pub fn reopen(&self, path: &VPath) -> io::Result<()> {
        if self.entry(path)?.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("expected a regular file at {path}"),
            ));
        }
        let from = self.parent(Place::Whole, path, false)?;
        let name = path.name();
        let into = self.again(path, || {
            let into = self.parent(Place::Partial, path, true)?;
            rustix::fs::renameat(&from, name, &into, name)?;
            Ok(into)
        })?;
        rustix::fs::fsync(&into)?;
        rustix::fs::fsync(&from)?;
        Ok(())
    }

    /// Returns where a whole file lies, for programs that want a path.
    pub fn path_of(&self, path: &VPath) -> PathBuf {
        path.components().fold(self.root.clone(), |at, c| {
            at.join(std::ffi::OsStr::from_bytes(c))
        })
    }

    /// Opens the folder that holds the last component, one step at a time.
    fn parent(&self, place: Place, path: &VPath, make: bool) -> io::Result<OwnedFd> {
        if path.components().next() == Some(PARTIAL) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("expected a name outside of .gt-partial, got {path}"),
            ));
        }
        let mut steps: Vec<&[u8]> = path.components().collect();
        steps.pop();
        if place == Place::Partial {
            steps.insert(0, PARTIAL);
        }
        let mut dir = self.dir.try_clone()?;
        for step in steps {
            if make {
                match rustix::fs::mkdirat(&dir, step, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            dir = rustix::fs::openat(&dir, step, dir_flags(), Mode::empty())?;
        }
        Ok(dir)
    }

    /// Opens the file that is filled in, and the folder that it lies in.
    fn begin(&self, path: &VPath) -> io::Result<(OwnedFd, File)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        self.again(path, || {
            let from = self.parent(Place::Partial, path, true)?;
            let file = rustix::fs::openat(&from, path.name(), flags, mode)?;
            Ok((from, File::from(file)))
        })
    }

    /// Does something in the folder of a partial file, which another file that
    /// is closed may take away while it is empty.
    fn again<T>(&self, path: &VPath, mut deed: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for _ in 0..TRIES {
            match deed() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                done => return done,
            }
        }
        Err(io::Error::other(format!(
            "the folder of the partial {path} is removed again and again"
        )))
    }

    fn whole_exists(&self, path: &VPath) -> io::Result<bool> {
        let dir = match self.parent(Place::Whole, path, false) {
            Ok(dir) => dir,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        match rustix::fs::statat(&dir, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Partial,
}

fn dir_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

impl Vfs for Folder {
    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        walk(&self.dir, b"", &mut entries)?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        let dir = self.parent(Place::Whole, path, false)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&dir, path.name(), flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("expected a regular file, got something else at {path}"),
            ));
        }
        Ok(Box::new(Whole::new(file)?))
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        if self.whole_exists(path)? {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{path} is whole already"),
            ));
        }
        let into = self.parent(Place::Whole, path, true)?;
        let (from, file) = self.begin(path)?;
        if file.metadata()?.len() != size {
            file.set_len(size)?;
        }
        Ok(Box::new(Partial {
            file,
            size,
            path: path.clone(),
            root: self.dir.try_clone()?,
            from,
            into,
        }))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        for place in [Place::Whole, Place::Partial] {
            let removed = self
                .parent(place, path, false)
                .and_then(|dir| Ok(rustix::fs::unlinkat(&dir, path.name(), AtFlags::empty())?));
            match removed {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Lists regular files below `dir`; links, devices and names that are no
/// [`VPath`] are passed over, since they could not be opened.
fn walk(dir: &OwnedFd, prefix: &[u8], entries: &mut Vec<Entry>) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." || (prefix.is_empty() && name == PARTIAL) {
            continue;
        }
        let mut path = prefix.to_vec();
        path.extend_from_slice(name);
        let Ok(vpath) = VPath::parse(&path) else {
            continue;
        };
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Somebody removed it meanwhile.
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                entries.push(entry_of(vpath, &stat));
            }
            FileType::Directory => {
                path.push(b'/');
                let below = rustix::fs::openat(dir, name, dir_flags(), Mode::empty())?;
                walk(&below, &path, entries)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn entry_of(path: VPath, stat: &rustix::fs::Stat) -> Entry {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Entry {
        modified: nanoseconds(stat),
        ..Entry::new(path, size)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::FileExt as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Verdict;
    use crate::contract::{self, Subject};

    #[derive(Default)]
    struct InFolders(RefCell<Vec<tempfile::TempDir>>);

    impl Subject for InFolders {
        fn fresh(&self) -> Box<dyn Vfs> {
            let dir = tempfile::tempdir().unwrap();
            let vfs = Folder::open(dir.path()).unwrap();
            self.0.borrow_mut().push(dir);
            Box::new(vfs)
        }

        fn sample(&self, n: u8) -> (VPath, Vec<u8>) {
            contract::plain_sample(n)
        }
    }

    #[test]
    fn keeps_the_contract() {
        contract::run(&InFolders::default());
    }

    #[test]
    fn dotgit_tree_refused_by_every_backend() {
        contract::refuses_dotgit(&InFolders::default());
        // What lies in the folder already is neither shown nor served.
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".git/hooks")).unwrap();
        std::fs::write(dir.path().join(".git/hooks/x"), b"#!/bin/sh").unwrap();
        let listed = Folder::open(dir.path()).unwrap().list();
        assert!(
            listed.as_ref().is_ok_and(|entries| entries.is_empty()),
            "{listed:?}"
        );
    }

    #[test]
    fn a_planted_link_leads_nowhere() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("reels")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
        let vfs = Folder::open(dir.path()).unwrap();
        for path in ["reels/secret", "file", "reels/new"] {
            let path = VPath::parse(path.as_bytes()).unwrap();
            assert!(vfs.open(&path).is_err(), "{path} was opened");
            assert!(vfs.create(&path, 4).is_err(), "{path} was created");
        }
        assert!(vfs.list().unwrap().is_empty());
        assert!(!outside.path().join("new").exists());
    }

    #[test]
    fn nothing_empty_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = Folder::open(dir.path()).unwrap();
        let write = |path: &str| {
            let path = VPath::parse(path.as_bytes()).unwrap();
            let writer = vfs.create(&path, 1).unwrap();
            writer.write_at(0, b"x").unwrap();
            writer
        };
        let (one, two) = (write("a/b/one"), write("a/two"));
        assert_eq!(one.close().unwrap(), Verdict::Accept);
        assert!(!dir.path().join(".gt-partial/a/b").exists());
        assert!(dir.path().join(".gt-partial/a/two").exists());
        assert_eq!(two.close().unwrap(), Verdict::Accept);
        assert!(!dir.path().join(".gt-partial").exists());
        assert_eq!(vfs.list().unwrap().len(), 2);
        // Many at once do not take each other's folders away.
        std::thread::scope(|scope| {
            for n in 0..4 {
                let write = &write;
                scope.spawn(move || {
                    for m in 0..50 {
                        let verdict = write(&format!("c/d/{n}-{m}")).close();
                        assert_eq!(verdict.unwrap(), Verdict::Accept);
                    }
                });
            }
        });
        assert_eq!(vfs.list().unwrap().len(), 202);
        assert!(!dir.path().join(".gt-partial").exists());
    }

    #[test]
    fn partial_bytes_survive_another_opening() {
        let dir = tempfile::tempdir().unwrap();
        let path = VPath::parse(b"a/b").unwrap();
        let writer = Folder::open(dir.path()).unwrap().create(&path, 8).unwrap();
        writer.write_at(2, b"hello").unwrap();
        drop(writer);
        let vfs = Folder::open(dir.path()).unwrap();
        let writer = vfs.create(&path, 8).unwrap();
        let mut back = [0; 8];
        (&*writer as &dyn ReadAt)
            .read_exact_at(0, &mut back)
            .unwrap();
        assert_eq!(&back, b"\0\0hello\0");
        assert!(writer.close().unwrap().is_accept());
        assert_eq!(std::fs::read(vfs.path_of(&path)).unwrap(), back);
    }

    #[test]
    fn a_whole_file_can_be_filled_in_again() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = Folder::open(dir.path()).unwrap();
        let path = VPath::parse(b"a/b").unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b"), "right and wrong").unwrap();
        vfs.reopen(&path).unwrap();
        assert!(vfs.list().unwrap().is_empty());
        assert!(vfs.open(&path).is_err());
        let writer = vfs.create(&path, 14).unwrap();
        writer.write_at(10, b"good").unwrap();
        assert!(writer.close().unwrap().is_accept());
        assert_eq!(
            std::fs::read(vfs.path_of(&path)).unwrap(),
            b"right and good"
        );
        // Neither a folder nor a link is a file, nor what is not there.
        symlink("b", dir.path().join("a/link")).unwrap();
        for none in ["a", "a/link", "a/c"] {
            let path = VPath::parse(none.as_bytes()).unwrap();
            let refused = vfs.reopen(&path).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NotFound, "{none}");
        }
    }

    #[test]
    fn one_entry_is_as_it_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b"), "text").unwrap();
        symlink("b", dir.path().join("a/link")).unwrap();
        let vfs = Folder::open(dir.path()).unwrap();
        let path = |text: &str| VPath::parse(text.as_bytes()).unwrap();
        let entry = vfs.entry(&path("a/b")).unwrap();
        assert!(entry.as_ref().is_some_and(|e| e.modified.is_some()));
        assert_eq!(vfs.list().unwrap(), Vec::from_iter(entry));
        for none in ["a", "a/link", "a/c", "b/c"] {
            assert_eq!(vfs.entry(&path(none)).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn a_file_that_is_written_to_is_read_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = VPath::parse(b"a").unwrap();
        let vfs = Folder::open(dir.path()).unwrap();
        let at = vfs.path_of(&path);
        std::fs::write(&at, "before").unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        File::open(&at).unwrap().set_modified(long_ago).unwrap();
        let reader = vfs.open(&path).unwrap();
        let mut back = [0; 6];
        assert_eq!(reader.read_at(0, &mut back).unwrap(), 6);
        // In place, as many editors do it, and the length stays.
        let file = std::fs::OpenOptions::new().write(true).open(&at).unwrap();
        file.write_all_at(b"B", 0).unwrap();
        let refused = reader.read_at(0, &mut back).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        // Whoever opens it now has another file before him.
        let reader = vfs.open(&path).unwrap();
        assert_eq!(reader.read_at(0, &mut back).unwrap(), 6);
        assert_eq!(&back, b"Before");
        // Another of the same name, as others do it.
        std::fs::write(dir.path().join("b"), "behind").unwrap();
        std::fs::rename(dir.path().join("b"), &at).unwrap();
        assert_eq!(reader.read_at(0, &mut back).unwrap(), 6);
        assert_eq!(&back, b"Before");
    }

    #[test]
    fn the_partial_folder_is_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = Folder::open(dir.path()).unwrap();
        let path = VPath::parse(b".gt-partial/x").unwrap();
        assert!(vfs.create(&path, 1).is_err());
        assert!(vfs.open(&path).is_err());
    }
}
