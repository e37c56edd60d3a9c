//! Small files that are whole or absent, whatever happens while they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Writes a file so that after a crash it holds the old or the new bytes, and
/// makes it survive a loss of power before it returns.
///
/// # Errors
/// What the file system says, with the file's name; the old bytes are kept.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with_mode(path, 0o644, |file| file.write_all(bytes))
}

/// A file that is written, and on the disk, but has its name not yet. Without
/// [`keep`](Self::keep) it goes.
pub struct Ready {
    temporary: PathBuf,
    path: PathBuf,
}

impl Ready {
    /// Writes what is to be the file at `path` by a function that is given the
    /// file.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn new(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Self> {
        Self::with_mode(path, 0o644, fill)
    }

    fn with_mode(
        path: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let parent = folder(path);
        fs::create_dir_all(parent).map_err(|e| named(parent, e))?;
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.new", std::process::id()));
        let ready = Self {
            temporary: parent.join(name),
            path: path.to_path_buf(),
        };
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(&ready.temporary)?;
            fill(&mut file)?;
            file.sync_all()
        })();
        written.map(|()| ready).map_err(|e| named(path, e))
    }

    /// Gives the file its name. After a loss of power the name may be that of
    /// the old bytes, or of none, until its [folder](sync_folder) was waited for.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn keep(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path).map_err(|e| named(&self.path, e))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // After a renaming it is gone; else the first error is the one to report.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Writes a file that only the person may read, in a folder that only the
/// person may look into.
///
/// # Errors
/// As [`write()`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| named(parent, e))?;
        fs::set_permissions(parent, fs::Permissions::from_mode(0o700))
            .map_err(|e| named(parent, e))?;
    }
    write_with_mode(path, 0o600, |file| file.write_all(bytes))
}

fn write_with_mode(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    Ready::with_mode(path, mode, fill)?.keep()?;
    sync_folder(path)
}

/// Waits until the name of a file, and those of others in its folder, outlast a
/// loss of power.
///
/// # Errors
/// What the file system says, with the file's name.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let synced = File::open(folder(path)).and_then(|folder| folder.sync_all());
    synced.map_err(|e| named(path, e))
}

/// Reads a file of at most `limit` bytes; `None` where there is none.
///
/// # Errors
/// What the file system says, with the file's name, and
/// [`io::ErrorKind::InvalidData`] for a longer file.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > limit => Err(named(
            path,
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("expected at most {limit} bytes, got {}", meta.len()),
            ),
        )),
        Ok(_) => fs::read(path).map(Some).map_err(|e| named(path, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(named(path, e)),
    }
}

fn named(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_or_new_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
        assert_eq!(
            read(&path, 2).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert!(read(&dir.path().join("c"), 2).unwrap().is_none());
    }

    #[test]
    fn what_is_not_kept_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let ready = |name: &str| Ready::new(&path(name), |file| file.write_all(b"x")).unwrap();
        drop(ready("a"));
        assert!(Ready::new(&path("b"), |_| Err(io::ErrorKind::Other.into())).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        ready("a").keep().unwrap();
        assert_eq!(read(&path("a"), 2).unwrap().unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn secrets_are_for_the_person_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/secret");
        write_secret(&path, b"s").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }
}
