//! Small pieces of bytes, side by side in large ones.

use bytes::{Bytes, BytesMut};

/// Bytes of one chunk.
const CHUNK: usize = 256 << 10;
/// Longer pieces stand alone.
const SMALL: usize = CHUNK / 16;

/// Copies small pieces into chunks. A chunk goes when the last piece in it is
/// dropped: fit for what is kept and forgotten together.
#[derive(Default)]
pub(crate) struct Chunks {
    free: BytesMut,
}

impl Chunks {
    /// Returns the same bytes, in the chunk where they are few.
    pub(crate) fn place(&mut self, bytes: &Bytes) -> Bytes {
        if bytes.len() > SMALL {
            return bytes.clone();
        }
        if self.free.capacity() < bytes.len() {
            self.free = BytesMut::with_capacity(CHUNK);
        }
        self.free.extend_from_slice(bytes);
        self.free.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_what_they_are() {
        let mut chunks = Chunks::default();
        let pieces: Vec<Bytes> = (0..600_usize)
            .map(|n| vec![n as u8; n * n % (SMALL + 100)].into())
            .collect();
        let placed: Vec<_> = pieces.iter().map(|piece| chunks.place(piece)).collect();
        assert!(placed == pieces);
        let mut chunks = Chunks::default();
        let placed: Vec<_> = pieces[1..9].iter().map(|p| chunks.place(p)).collect();
        for two in placed.windows(2) {
            assert_eq!(two[0].as_ptr_range().end, two[1].as_ptr());
        }
    }
}
