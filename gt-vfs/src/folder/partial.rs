//! Files that are being filled in.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode};

use super::whole::{Stamp, read_inside};
use super::{PARTIAL, dir_flags};
use crate::memory::beyond_end;
use crate::{ContentId, ReadAt, VPath, Verdict, WriteAt};

/// A file that lies among the partial ones, and where it will go.
pub(super) struct Partial {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) path: VPath,
    /// The folder of the [`Vfs`](crate::Vfs).
    pub(super) root: OwnedFd,
    /// The folder that it lies in, and that which it moves to.
    pub(super) from: OwnedFd,
    pub(super) into: OwnedFd,
}

impl Partial {
    /// Removes the folders of partial files that have become empty, from the
    /// inside out; what is not empty, or is in use, stays.
    fn tidy(&self) {
        let mut steps: Vec<&[u8]> = std::iter::once(PARTIAL)
            .chain(self.path.components())
            .collect();
        steps.pop();
        while let Some(last) = steps.pop() {
            let above = steps.iter().try_fold(None, |above: Option<OwnedFd>, step| {
                let above = above.as_ref().unwrap_or(&self.root);
                rustix::fs::openat(above, *step, dir_flags(), Mode::empty()).map(Some)
            });
            let Ok(above) = above else { return };
            let above = above.as_ref().unwrap_or(&self.root);
            if rustix::fs::unlinkat(above, last, AtFlags::REMOVEDIR).is_err() {
                return;
            }
        }
    }
}

impl ReadAt for Partial {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_inside(&self.file, self.size, offset, buf)
    }

    fn lend(&self, _offset: u64, _length: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }

    fn modified(&self) -> io::Result<Option<i64>> {
        Ok(Stamp::of(&self.file)?.modified)
    }
}

impl WriteAt for Partial {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match offset.checked_add(data.len() as u64) {
            Some(end) if end <= self.size => self.file.write_all_at(data, offset),
            _ => Err(beyond_end(self.size, offset, data.len())),
        }
    }

    // A file is read when it is whole.
    fn verified(&self, _: u64, _: u64) {}

    fn reader(&self) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(Closing {
            file: self.file.try_clone()?,
            size: self.size,
        }))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        self.file.sync_all()?;
        let name = self.path.name();
        rustix::fs::renameat(&self.from, name, &self.into, name)?;
        // The new name must survive a loss of power as well.
        rustix::fs::fsync(&self.into)?;
        self.tidy();
        Ok(Verdict::Accept)
    }
}

/// A file that is being closed, or has been, by the handle of who wrote it.
struct Closing {
    file: File,
    size: u64,
}

impl ReadAt for Closing {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_inside(&self.file, self.size, offset, buf)
    }

    fn lend(&self, _offset: u64, _length: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }

    fn modified(&self) -> io::Result<Option<i64>> {
        Ok(Stamp::of(&self.file)?.modified)
    }
}
