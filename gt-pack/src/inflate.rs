//! Inflates zlib streams, with state that is made once and used for many
//! objects: making it anew costs more than a small object does.

use flate2::{Decompress, DecompressError, FlushDecompress, Status};

/// A zlib decoder to be used again and again.
pub struct Inflater {
    stream: Decompress,
    /// Inflated bytes go here first: memory that is cleared once.
    scratch: Box<[u8]>,
}

/// Bytes that are inflated at a time.
pub(crate) const SCRATCH: usize = 64 << 10;

impl Inflater {
    /// Returns a decoder at the start of a stream.
    pub fn new() -> Self {
        Self {
            stream: Decompress::new(true),
            scratch: vec![0; SCRATCH].into(),
        }
    }

    /// Begins with another stream.
    pub fn reset(&mut self) {
        self.stream.reset(true);
    }

    /// Inflates from `input` into the spare capacity of `out`, and says how
    /// many bytes of `input` were used and whether the stream has ended.
    ///
    /// # Errors
    /// [`Error::Stream`] where the bytes are no such stream.
    pub fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), Error> {
        let before = self.stream.total_in();
        let status = self
            .stream
            .decompress_vec(input, out, FlushDecompress::None)
            .map_err(fault)?;
        let used = (self.stream.total_in() - before) as usize;
        Ok((used, status == Status::StreamEnd))
    }

    /// Inflates from `input` into memory of the decoder, behind the `filled`
    /// bytes that are there; says how many bytes of `input` were used, how
    /// many there are now, and whether the stream has ended.
    pub(crate) fn fill(
        &mut self,
        input: &[u8],
        filled: usize,
    ) -> Result<(usize, usize, bool), Error> {
        let (used, made) = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(input, &mut self.scratch[filled..], FlushDecompress::None)
            .map_err(fault)?;
        let used = (self.stream.total_in() - used) as usize;
        let filled = filled + (self.stream.total_out() - made) as usize;
        Ok((used, filled, status == Status::StreamEnd))
    }

    /// Returns the first bytes of what [`fill`](Self::fill) made.
    pub(crate) fn filled(&self, length: usize) -> &[u8] {
        &self.scratch[..length]
    }

    /// Inflates one stream of exactly `size` bytes, which is all of `input`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn whole(&mut self, input: &[u8], size: u64) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.whole_to(input, size, &mut out)?;
        Ok(out)
    }

    /// Inflates one stream of exactly `size` bytes, which is all of `input`,
    /// into `out`, instead of what is there.
    pub(crate) fn whole_to(
        &mut self,
        input: &[u8],
        size: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.reset();
        out.clear();
        let mut rest = input;
        loop {
            let (used, filled, ended) = self.fill(rest, 0)?;
            rest = &rest[used..];
            let got = out.len() as u64 + filled as u64;
            if got > size || ended && got != size {
                return Err(Error::Size(got));
            }
            append(out, self.filled(filled), size);
            if ended && rest.is_empty() {
                return Ok(());
            }
            if ended {
                return Err(Error::Stream(format!("{} bytes after it", rest.len())));
            }
            if used == 0 && filled == 0 {
                return Err(Error::Stream("its end inside".into()));
            }
        }
    }
}

fn fault(e: DecompressError) -> Error {
    Error::Stream(match e.needs_dictionary() {
        Some(_) => "one that needs a preset dictionary".into(),
        None => format!("other bytes: {e}"),
    })
}

/// Appends bytes of an object that claims to have `size`: the memory doubles,
/// so that no more is ever allocated than twice what came.
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8], size: u64) {
    let need = out.len() + bytes.len();
    if need > out.capacity() {
        let want = (2 * need as u64).min(size).max(need as u64);
        out.reserve_exact((want - out.len() as u64) as usize);
    }
    out.extend_from_slice(bytes);
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes room for the next bytes of an object that claims to have `size`: it
/// doubles, so that no more is ever allocated than twice what came, and has
/// one byte to spare at the end, so that a byte too many is noticed.
pub(crate) fn make_room(out: &mut Vec<u8>, size: u64) {
    const FIRST: u64 = 16 << 10;
    if out.len() < out.capacity() {
        return;
    }
    let have = out.len() as u64;
    let want = (2 * have).max(FIRST).min(size.max(have) + 1);
    out.reserve_exact((want - have) as usize);
}

/// Why bytes cannot be inflated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// They are no zlib stream, or more or less than one.
    #[error("expected a zlib stream, got {0}")]
    Stream(String),
    /// They make another size than promised.
    #[error("expected another size, got {0} bytes")]
    Size(u64),
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn one_decoder_many_streams(all in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..50_000), 1..4)) {
            let mut inflater = Inflater::new();
            for bytes in all {
                let packed = deflate(&bytes);
                let size = bytes.len() as u64;
                prop_assert_eq!(inflater.whole(&packed, size).unwrap(), &bytes[..]);
                prop_assert!(inflater.whole(&packed, size + 1).is_err());
                prop_assert!(inflater.whole(&packed[..packed.len() - 1], size).is_err());
                if size > 0 {
                    prop_assert!(inflater.whole(&packed, size - 1).is_err());
                }
            }
        }
    }

    #[test]
    fn preset_dictionary_is_refused() {
        // FDICT set, then the Adler-32 of the dictionary.
        let error = Inflater::new().whole(&[0x78, 0xbb, 0, 1, 2, 3, 3, 0], 10);
        assert!(
            matches!(&error, Err(Error::Stream(what)) if what.contains("dictionary")),
            "{error:?}"
        );
    }

    #[test]
    fn claimed_size_is_not_allocated() {
        let mut out = Vec::new();
        make_room(&mut out, 1 << 60);
        assert!(out.capacity() <= 32 << 10);
    }
}
