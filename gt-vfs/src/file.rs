//! Positioned reading and writing of one file.

use std::io;

use bytes::Bytes;

use crate::{ContentId, Verdict};

/// A file that can be read at any offset by many threads at once.
pub trait ReadAt: Send + Sync {
    /// Returns the length in bytes.
    fn size(&self) -> u64;

    /// Reads at `offset` into `buf` and returns how many bytes were read; 0
    /// only at or after the end, or for an empty buffer.
    ///
    /// # Errors
    /// What the backend meets; [`io::ErrorKind::NotFound`] where the bytes
    /// were taken away since the file was opened, and
    /// [`io::ErrorKind::InvalidData`] where they are seen to be others.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Lends `length` bytes at `offset` without a copy, where the backend
    /// holds them in one piece of memory.
    fn lend(&self, offset: u64, length: usize) -> Option<Bytes>;

    /// Returns the identity of the content, where the backend knows it.
    fn id(&self) -> Option<ContentId>;

    /// Returns when the file was last written, as [`Entry::modified`] of the
    /// list, where the backend knows: of a whole file as it was when it was
    /// opened, so that whoever opens it again notices what came between, and of
    /// one that is filled in as it is now.
    ///
    /// # Errors
    /// What the backend meets.
    ///
    /// [`Entry::modified`]: crate::Entry::modified
    fn modified(&self) -> io::Result<Option<i64>> {
        Ok(None)
    }
}

impl dyn ReadAt + '_ {
    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the file ends before.
    pub fn read_exact_at(&self, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(offset, buf) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!(
                            "file of {} bytes ends {} bytes before the read does",
                            self.size(),
                            buf.len()
                        ),
                    ));
                }
                Ok(n) => {
                    buf = &mut buf[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// A file that is being filled in, in any order, by many threads at once.
///
/// Dropping a writer without [`close`](Self::close) keeps what was written as
/// partial data for the next writer of the same path.
pub trait WriteAt: ReadAt {
    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where the write would pass the end.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Tells that these bytes are what they should be: verified where they lie,
    /// and not written again. A backend that reads a file from its beginning
    /// can do so while its end is still on its way.
    ///
    /// It is told in any order, of parts as large as they happen to be, and of
    /// some more than once; what lies beyond the end means nothing. It returns
    /// at once. A writer that was told nothing can be closed all the same.
    fn verified(&self, offset: u64, length: u64);

    /// Returns a reader of the same bytes that is good while the writer is
    /// closed, which may take long, and from then on until it is dropped,
    /// whatever came of the file.
    ///
    /// # Errors
    /// What the backend meets.
    fn reader(&self) -> io::Result<Box<dyn ReadAt>>;

    /// Makes what was written so far survive a loss of power.
    ///
    /// # Errors
    /// What the backend meets.
    fn sync(&self) -> io::Result<()>;

    /// Ends the writing and asks the backend what it makes of the file.
    ///
    /// It takes the writer itself: a file is closed once, or never. After
    /// [`Verdict::Accept`] the file is whole and listed; after
    /// [`Verdict::Reject`] it is gone.
    ///
    /// # Errors
    /// An error is no verdict: the bytes are kept as partial data.
    fn close(self: Box<Self>) -> io::Result<Verdict>;
}
