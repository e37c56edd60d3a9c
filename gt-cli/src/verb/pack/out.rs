//! A file that takes its name when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Failure, broken};
use crate::files::sync_folder;

/// What is written beside its place until it is [kept](Self::keep).
///
/// Where the system can, it has no name until then, so that nothing is left
/// whatever ends the process.
pub(super) struct Out {
    file: BufWriter<File>,
    /// Its name meanwhile, which goes when this is dropped; none where it has
    /// no name.
    named: Option<tempfile::TempPath>,
    path: PathBuf,
}

impl Out {
    pub(super) fn beside(path: &Path) -> Result<Self, Failure> {
        let said = |e: io::Error| Failure::Broken(format!("{}: {e}", path.display()));
        let folder = folder(path);
        let (file, named) = match nameless(folder) {
            Some(file) => (file, None),
            None => {
                // As readable as files are that this person makes.
                let file = tempfile::Builder::new()
                    .prefix(PREFIX)
                    .make_in(folder, |path| File::create_new(path))
                    .map_err(said)?;
                let (file, named) = file.into_parts();
                (file, Some(named))
            }
        };
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, file),
            named,
            path: path.to_path_buf(),
        })
    }

    /// Gives the file its name; one that was there of that name is gone then.
    pub(super) fn keep(self) -> Result<(), Failure> {
        let Self { file, named, path } = self;
        let said = |e: io::Error| Failure::Broken(format!("{}: {e}", path.display()));
        let file = file.into_inner().map_err(|e| said(e.into_error()))?;
        file.sync_all().map_err(broken)?;
        let named = match named {
            Some(named) => named,
            None => name(&file, folder(&path)).map_err(said)?,
        };
        named.persist(&path).map_err(|e| said(e.error))?;
        sync_folder(&path).map_err(broken)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

const PREFIX: &str = ".gt-";

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Opens a file without a name; `None` where the system or the file system
/// has none.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::open(folder, flags, mode).ok().map(File::from)
}

/// Gives a nameless file a name of its own in a folder.
#[cfg(target_os = "linux")]
fn name(file: &File, folder: &Path) -> io::Result<tempfile::TempPath> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD, linkat};

    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let named = tempfile::Builder::new()
        .prefix(PREFIX)
        .make_in(folder, |path| {
            let linked = linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW);
            Ok(linked?)
        })?;
    Ok(named.into_temp_path())
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn name(_: &File, _: &Path) -> io::Result<tempfile::TempPath> {
    Err(io::ErrorKind::Unsupported.into())
}
