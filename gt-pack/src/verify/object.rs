//! One object out of a pack that was verified.

use gt_vfs::{ObjectId, ReadAt};

use super::{Error, Link, Verified};
use crate::delta::apply;
use crate::entry::EntryHeader;
use crate::inflate::{self, Inflater};
use crate::kind::Kind;

impl Verified {
    /// Reads an object of the pack that this describes, and returns `None`
    /// where the pack does not hold it, or builds it on a base from outside.
    ///
    /// `source` must be the pack that was verified; the bytes are taken to be
    /// those that were hashed, and every number is checked again.
    ///
    /// # Errors
    /// [`Error::Io`] where the source breaks, the other errors where it holds
    /// other bytes now.
    pub fn object(
        &self,
        source: &dyn ReadAt,
        oid: &ObjectId,
    ) -> Result<Option<(Kind, Vec<u8>)>, Error> {
        let mut inflater = Inflater::new();
        let mut deltas = Vec::new();
        let Some(mut entry) = self.entry(oid) else {
            return Ok(None);
        };
        let kind = entry.kind;
        while let Some(base) = entry.base {
            deltas.push((entry.offset, entry.size));
            // A chain is as long as the pack at most: nothing goes round.
            match base {
                Link::Inside(place) if deltas.len() <= self.entries.len() => {
                    let Some(next) = self.entries.at(place) else {
                        return Ok(None);
                    };
                    entry = next;
                }
                _ => return Ok(None),
            }
        }
        let mut content = self.inflate(source, entry.offset, &mut inflater)?;
        for (offset, size) in deltas.into_iter().rev() {
            let delta = self.inflate(source, offset, &mut inflater)?;
            content = apply::apply(&content, &delta, size)
                .map_err(|source| Error::Delta { offset, source })?;
        }
        Ok(Some((kind, content)))
    }

    /// Inflates the entry that begins at `offset`.
    fn inflate(
        &self,
        source: &dyn ReadAt,
        offset: u64,
        inflater: &mut Inflater,
    ) -> Result<Vec<u8>, Error> {
        const STEP: usize = 16 << 10;
        let end = self.length - self.format.raw_len() as u64;
        let mut at = offset;
        let mut out = Vec::new();
        let mut header = None;
        inflater.reset();
        let mut bytes = vec![0; STEP];
        loop {
            let want = STEP.min(end.saturating_sub(at) as usize);
            if want == 0 {
                return Err(Error::Truncated(at));
            }
            source.read_exact_at(at, &mut bytes[..want])?;
            at += want as u64;
            let mut rest = &bytes[..want];
            let size = match header {
                Some(size) => size,
                None => {
                    let read = EntryHeader::read(rest, self.format)
                        .map_err(|source| Error::Header { offset, source })?;
                    let (read, length) = read.ok_or(Error::Truncated(at))?;
                    rest = &rest[length..];
                    *header.insert(read.size)
                }
            };
            while !rest.is_empty() {
                inflate::make_room(&mut out, size);
                let (used, ended) = inflater.step(rest, &mut out).map_err(|e| Error::Deflate {
                    offset,
                    what: e.to_string(),
                })?;
                let got = out.len() as u64;
                if got > size || ended && got != size {
                    return Err(Error::Size {
                        offset,
                        expected: size,
                        got,
                    });
                }
                if ended {
                    return Ok(out);
                }
                rest = &rest[used..];
            }
        }
    }
}
