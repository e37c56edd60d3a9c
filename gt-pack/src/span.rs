//! A part of a file, as a file.

use std::io;

use bytes::Bytes;
use gt_vfs::{ContentId, ReadAt};

/// `length` bytes of another file, from `begin` on.
pub struct Span<'a> {
    inner: &'a dyn ReadAt,
    begin: u64,
    length: u64,
}

impl<'a> Span<'a> {
    /// Returns the part, cut off where the file ends.
    pub fn new(inner: &'a dyn ReadAt, begin: u64, length: u64) -> Self {
        let begin = begin.min(inner.size());
        Self {
            inner,
            begin,
            length: length.min(inner.size() - begin),
        }
    }

    /// Returns all from `begin` on.
    pub fn behind(inner: &'a dyn ReadAt, begin: u64) -> Self {
        Self::new(inner, begin, u64::MAX)
    }
}

impl ReadAt for Span<'_> {
    fn size(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(offset);
        let want = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        self.inner.read_at(self.begin + offset, &mut buf[..want])
    }

    fn lend(&self, offset: u64, length: usize) -> Option<Bytes> {
        let end = offset.checked_add(length as u64)?;
        if end > self.length {
            return None;
        }
        self.inner.lend(self.begin + offset, length)
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

#[cfg(test)]
mod tests {
    use gt_vfs::{Memory, VPath, Vfs};

    use super::*;

    #[test]
    fn a_span_ends_where_it_says() {
        let memory = Memory::new();
        let path = VPath::parse(b"a").unwrap();
        memory.insert(path.clone(), b"0123456789".to_vec());
        let file = memory.open(&path).unwrap();
        let span = Span::new(&*file, 2, 5);
        let mut buffer = [0; 10];
        assert_eq!(span.read_at(1, &mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"3456");
        assert_eq!(span.read_at(5, &mut buffer).unwrap(), 0);
        assert!(span.lend(1, 5).is_none());
        assert_eq!(Span::behind(&*file, 8).size(), 2);
        assert_eq!(Span::behind(&*file, 80).size(), 0);
    }
}
