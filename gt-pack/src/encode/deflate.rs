//! One object, one call, one way to deflate it.

use zlib_rs::{Deflate, DeflateError, DeflateFlush, Status};

use super::recipe::MAX_DELTA_OBJECT;

/// Bytes of a piece of an object that is larger.
pub(super) const PIECE: usize = MAX_DELTA_OBJECT as usize;

/// A compressor that is reused: level 6, zlib wrapper, window of 32 KiB.
///
/// Zlib-rs is called itself, at a pinned version, since the bytes of a reel
/// follow from it; and it is given each object whole, since input in pieces
/// makes other bytes. Only objects above [`PIECE`] come in pieces, of exactly
/// that length but for the last.
pub(crate) struct Deflater(Deflate);

impl Deflater {
    pub(crate) fn new() -> Self {
        Self(Deflate::new(6, true, 15))
    }

    /// Begins with another object.
    pub(super) fn begin(&mut self) {
        self.0.reset();
    }

    /// Takes the next piece of an object, and appends what comes out so far.
    pub(super) fn piece(&mut self, input: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let start = self.0.total_in();
        loop {
            let read = (self.0.total_in() - start) as usize;
            let rest = input.get(read..).unwrap_or_default();
            if rest.is_empty() && !is_last {
                return;
            }
            let flush = match is_last {
                true => DeflateFlush::Finish,
                false => DeflateFlush::NoFlush,
            };
            let have = out.len();
            out.resize(have + (1 << 16), 0);
            let before = self.0.total_out();
            let status = self.0.compress(rest, &mut out[have..], flush);
            out.truncate(have + (self.0.total_out() - before) as usize);
            match status {
                Ok(Status::StreamEnd) => return,
                Ok(Status::Ok | Status::BufError) => {}
                Err(e) => unreachable!("deflate into memory failed: {}", e.as_str()),
            }
        }
    }

    pub(crate) fn deflate(&mut self, input: &[u8]) -> Vec<u8> {
        self.0.reset();
        let mut out = vec![0; input.len() / 2 + 64];
        loop {
            let read = self.0.total_in() as usize;
            let written = self.0.total_out() as usize;
            let rest = input.get(read..).unwrap_or_default();
            // One call takes at most 4 GiB; up to there it takes everything.
            let last = rest.len() <= u32::MAX as usize;
            let flush = if last {
                DeflateFlush::Finish
            } else {
                DeflateFlush::NoFlush
            };
            match self.0.compress(rest, &mut out[written..], flush) {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => out.resize(out.len() * 2, 0),
                Err(
                    e @ (DeflateError::StreamError
                    | DeflateError::DataError
                    | DeflateError::MemError),
                ) => {
                    // The state is sound and the output never full for good:
                    // the compressor cannot fail.
                    unreachable!("deflate into memory failed: {}", e.as_str())
                }
            }
        }
        out.truncate(self.0.total_out() as usize);
        out
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn any_size_inflates_to_itself() {
        let mut deflater = Deflater::new();
        let mut noise = 1_u32;
        for size in [0, 1, 7, 100, 1_000, 70_000, 1_000_000] {
            let bytes: Vec<u8> = (0..size)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 24) as u8
                })
                .collect();
            let deflated = deflater.deflate(&bytes);
            let mut back = Vec::new();
            flate2::read::ZlibDecoder::new(&deflated[..])
                .read_to_end(&mut back)
                .unwrap();
            assert_eq!(back, bytes);
            assert_eq!(
                deflater.deflate(&bytes),
                deflated,
                "a reset leaves nothing behind"
            );
        }
    }

    #[test]
    fn pieces_inflate_to_the_whole() {
        let bytes: Vec<u8> = (0..300_000_u32)
            .map(|n| (n % 251 * (n >> 12)) as u8)
            .collect();
        let mut deflater = Deflater::new();
        for length in [70_000, 100_000, 300_000] {
            let mut out = b"before".to_vec();
            deflater.begin();
            let mut pieces = bytes.chunks(length).peekable();
            while let Some(piece) = pieces.next() {
                deflater.piece(piece, pieces.peek().is_none(), &mut out);
            }
            let mut back = Vec::new();
            flate2::read::ZlibDecoder::new(&out[6..])
                .read_to_end(&mut back)
                .unwrap();
            assert_eq!(back, bytes, "pieces of {length}");
            if length == bytes.len() {
                assert_eq!(out[6..], deflater.deflate(&bytes));
            }
        }
    }
}
