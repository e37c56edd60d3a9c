//! What can be told of a reel before those that it stands on are here.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use gt_vfs::content::TreeHasher;
use gt_vfs::{ContentId, ObjectFormat, ReadAt, Root};

use super::{Broken, Checks, Error, Reason, broken, read_header};
use crate::bundle::Header;
use crate::chain::Reel;
use crate::limits::Limits;
use crate::verify::{self, Arriving, Begun, Progress};

/// A reel that was read once from its first byte to its last. What is left
/// needs the reels before it, and is done by [`arrived`](super::arrived).
///
/// Its deltas wait, and so do its links and the verdict of git's checks.
pub struct Arrival {
    pub(super) header: Header,
    /// Bytes of the header.
    pub(super) length: u64,
    pub(super) begun: Begun,
    pub(super) checks: Checks,
    root: Root,
    size: u64,
}

impl Arrival {
    /// Reads a reel in order, each byte once. `bundle` may be a file that is
    /// still on its way: its reads wait for the bytes, and all that is done
    /// here is done when the last of them is there.
    ///
    /// Nothing of `common_dir`, the common directory of the repository that it
    /// is for, is read but git's configuration.
    ///
    /// # Errors
    /// As of [`reel`](super::reel); the root is not among them, since it
    /// depends on the statement.
    pub fn read(
        bundle: &dyn Arriving,
        format: ObjectFormat,
        common_dir: &Path,
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let (header, length) = read_header(bundle)?;
        let mut bytes = vec![0; length as usize];
        let file: &dyn ReadAt = bundle;
        file.read_exact_at(0, &mut bytes).map_err(broken)?;
        let mut summed = TreeHasher::new();
        summed.update(&bytes);
        let summed = Summed {
            inner: bundle,
            begin: length,
            sum: Mutex::new((0, summed)),
        };
        let checks = Checks::new(format, common_dir)?;
        let begun = verify::arrive(&summed, format, limits, &checks, progress).map_err(of_pack)?;
        Ok(Self {
            root: summed.finish().map_err(broken)?,
            size: bundle.size(),
            header,
            length,
            begun,
            checks,
        })
    }

    /// Compares what was read with what a statement says.
    pub(super) fn check(&self, reel: &Reel) -> Result<(), Error> {
        if self.size != reel.length {
            return Err(Error::Reject(Reason::Length {
                expected: reel.length,
                got: self.size,
            }));
        }
        if self.root != reel.root {
            return Err(Error::Reject(Reason::Root {
                expected: reel.root,
                got: self.root,
            }));
        }
        Ok(())
    }
}

/// Tells whose fault it is that a pack cannot be verified.
pub(super) fn of_pack(e: verify::Error) -> Error {
    match e {
        verify::Error::Io(e) => broken(e),
        verify::Error::Stopped => Error::Broken(Broken::Stopped),
        fault => Error::Reject(Reason::Pack(fault)),
    }
}

/// A file that is summed as it is read in order.
struct Summed<'a> {
    inner: &'a dyn Arriving,
    /// Bytes before it, which were summed.
    begin: u64,
    /// How far, and the sum to there.
    sum: Mutex<(u64, TreeHasher)>,
}

impl Summed<'_> {
    fn sum(&self) -> MutexGuard<'_, (u64, TreeHasher)> {
        self.sum.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Returns the root of all that was read; an error where that is not all.
    fn finish(self) -> std::io::Result<Root> {
        let size = self.size();
        let (at, sum) = self.sum.into_inner().unwrap_or_else(|e| e.into_inner());
        if at != size {
            let why = format!("expected {size} bytes to be read, got {at}");
            return Err(std::io::Error::other(why));
        }
        Ok(sum.finish().root())
    }
}

impl ReadAt for Summed<'_> {
    fn size(&self) -> u64 {
        self.inner.size().saturating_sub(self.begin)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read_at(self.begin.saturating_add(offset), buf)?;
        let mut sum = self.sum();
        if sum.0 == offset {
            sum.0 += read as u64;
            sum.1.update(&buf[..read]);
        }
        Ok(read)
    }

    // What is lent would not be summed.
    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl Arriving for Summed<'_> {
    fn there(&self) -> u64 {
        self.inner.there().saturating_sub(self.begin)
    }
}
