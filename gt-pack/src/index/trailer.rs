//! The sum over everything before it, in which each kind of index ends.

use std::io;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use crate::hash::FileHasher;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 16;

/// Reads the sum or name that begins at byte `at`.
pub(super) fn sum_at(source: &dyn ReadAt, format: ObjectFormat, at: u64) -> io::Result<ObjectId> {
    let mut raw = [0; 32];
    let raw = &mut raw[..format.raw_len()];
    source.read_exact_at(at, raw)?;
    ObjectId::from_bytes(raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Returns the sum of all bytes before the trailer, and the one that it holds.
/// The file must not be shorter than its trailer.
pub(super) fn sums(source: &dyn ReadAt, format: ObjectFormat) -> io::Result<(ObjectId, ObjectId)> {
    let end = source.size() - format.raw_len() as u64;
    let mut hasher = FileHasher::new(format);
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < end {
        let want = BUFFER.min((end - at) as usize);
        source.read_exact_at(at, &mut buffer[..want])?;
        hasher.update(&buffer[..want]);
        at += want as u64;
    }
    Ok((hasher.finish(), sum_at(source, format, end)?))
}
