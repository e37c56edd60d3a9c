//! A file that somebody may take away.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gt_vfs::{ContentId, ReadAt};

/// An open file that knows its path.
pub(crate) struct OnDisk {
    file: File,
    size: u64,
    inode: (u64, u64),
    path: PathBuf,
}

impl OnDisk {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("expected a file at {}", path.display()),
            ));
        }
        Ok(Self {
            size: meta.len(),
            inode: (meta.dev(), meta.ino()),
            file,
            path: path.to_path_buf(),
        })
    }

    /// Tells whether the file still has a name: an open one can be read after
    /// it was removed, but it is lost with this process.
    pub(crate) fn is_there(&self) -> bool {
        std::fs::metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode && meta.len() == self.size)
    }
}

/// Reads from a file whose first `size` bytes are all that is shown of it.
pub(crate) fn read_inside(
    file: &File,
    size: u64,
    offset: u64,
    buf: &mut [u8],
) -> io::Result<usize> {
    let left = size.saturating_sub(offset);
    let want = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    if want == 0 {
        return Ok(0);
    }
    file.read_at(&mut buf[..want], offset)
}

impl ReadAt for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_inside(&self.file, self.size, offset, buf)
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}
