//! Whole files, which are read as they were opened or not at all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use crate::{ContentId, ReadAt};

/// Returns when a file was last written, unless that is centuries away.
pub(super) fn nanoseconds(stat: &rustix::fs::Stat) -> Option<i64> {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    stat.st_mtime.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// When a file was last written or otherwise changed, and its length.
#[derive(PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: Option<i64>,
    size: i64,
}

impl Stamp {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self {
            modified: nanoseconds(&stat),
            size: stat.st_size,
        })
    }
}

/// A whole file. It is read by those who know what it should hold, some of them
/// for weeks: once somebody has written to it, no more is read than from one
/// that was taken away. (A file that is replaced by another of its name goes on
/// as it was, for whoever has it open.)
pub(super) struct Whole {
    file: File,
    size: u64,
    stamp: Stamp,
}

impl Whole {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let stamp = Stamp::of(&file)?;
        let size = u64::try_from(stamp.size).unwrap_or(0);
        Ok(Self { file, size, stamp })
    }
}

impl ReadAt for Whole {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let read = read_inside(&self.file, self.size, offset, buf)?;
        // Afterwards: what was read before a change is as good as ever.
        if Stamp::of(&self.file)? != self.stamp {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "expected the file as it was when it was opened, \
                 but somebody has written to it since",
            ));
        }
        Ok(read)
    }

    fn lend(&self, _offset: u64, _length: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }

    fn modified(&self) -> io::Result<Option<i64>> {
        Ok(self.stamp.modified)
    }
}

/// Reads not further than the size that was promised, though the file may
/// have been extended by others.
pub(super) fn read_inside(
    file: &File,
    size: u64,
    offset: u64,
    buf: &mut [u8],
) -> io::Result<usize> {
    let left = size.saturating_sub(offset);
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
    if length == 0 {
        return Ok(0);
    }
    file.read_at(&mut buf[..length], offset)
}
