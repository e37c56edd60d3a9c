//! A pack on the disk: a file that is there, or one that fills as bytes come.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gt_vfs::{ContentId, ReadAt};

/// A file of the system, read at any offset by many threads.
///
/// Its length is what it was when it was opened, and what was appended since.
pub struct Spool {
    file: File,
    length: AtomicU64,
}

impl Spool {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::IsADirectory`] for a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(File::open(path)?)
    }

    /// Takes a file that is open: for reading, and for writing where bytes
    /// are to be appended.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::IsADirectory`] for a folder.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self {
            file,
            length: AtomicU64::new(metadata.len()),
        })
    }

    /// Appends bytes. One thread appends at a time; others may read what is
    /// there already.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let at = self.length.load(Ordering::Acquire);
        write_all_at(&self.file, at, bytes)?;
        self.length
            .store(at + bytes.len() as u64, Ordering::Release);
        Ok(())
    }
}

impl ReadAt for Spool {
    fn size(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.size().saturating_sub(offset);
        let want = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if want == 0 {
            // The system takes no offset that is no length of a file.
            return Ok(0);
        }
        read_at(&self.file, offset, &mut buf[..want])
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => {
                offset += n as u64;
                bytes = &bytes[n..];
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read() {
        let spool = Spool::new(tempfile::tempfile().unwrap()).unwrap();
        spool.append(b"abc").unwrap();
        spool.append(b"defg").unwrap();
        assert_eq!(spool.size(), 7);
        let mut buffer = [0; 10];
        assert_eq!(spool.read_at(2, &mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"cdefg");
        assert_eq!(spool.read_at(7, &mut buffer).unwrap(), 0);
        assert_eq!(spool.read_at(u64::MAX, &mut buffer).unwrap(), 0);
        assert!(Spool::open(&std::env::temp_dir()).is_err());
    }
}
