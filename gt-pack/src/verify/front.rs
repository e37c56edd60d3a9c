//! Takes the bytes of a pack in order, in pieces of any length, and cuts them
//! into entries.
//!
//! It never looks back and keeps no bytes but those of the object at hand, so
//! that it can run while the pack is still on its way.

use std::borrow::Cow;
use std::collections::BTreeSet;

use gt_vfs::ObjectFormat;

use super::Error;
use crate::delta::apply::{self, Sizes};
use crate::entry::{EntryHeader, EntryKind, MAX_ENTRY_HEADER};
use crate::hash::{FileHasher, ObjectHasher};
use crate::inflate::{Inflater, SCRATCH};
use crate::kind::Kind;
use crate::limits::{Exceeded, Limits};
use crate::{ObjectId, inflate, verify};

/// An entry that has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawEntry {
    pub(super) offset: u64,
    pub(super) header: EntryHeader,
    pub(super) crc32: u32,
    /// Bytes of the object, which for a delta is what its head promises.
    pub(super) result: u64,
}

/// What is known of the content of an entry when it has been read.
pub(super) enum Content<'a> {
    /// A delta; its bytes, if they are few.
    Delta(Option<&'a [u8]>),
    /// The bytes of an object.
    Whole(Kind, Cow<'a, [u8]>),
    /// An object that was hashed as it came.
    Streamed(Kind, ObjectId),
}

/// Where the entries go.
pub(super) type Sink<'a> = dyn FnMut(RawEntry, Content<'_>) -> Result<(), Error> + 'a;

pub(super) struct Front {
    format: ObjectFormat,
    limits: Limits,
    /// Inflated bytes that may come; all, while the length is not known.
    allowed: u64,
    state: State,
    sum: FileHasher,
    position: u64,
    left: u32,
    inflated: Inflated,
    inflater: Inflater,
    held: Vec<u8>,
    checksum: Option<ObjectId>,
    body: Body,
}

/// Inflated bytes, as they were promised.
#[derive(Clone, Debug, Default)]
pub(super) struct Inflated {
    /// Of entries: whole objects, and deltas themselves.
    pub(super) entries: u64,
    /// Of what the deltas make.
    pub(super) results: u64,
    /// How much more may come because bases lie outside, if they do.
    outside: u64,
    /// Those bases, the large ones.
    bases: BTreeSet<ObjectId>,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    EntryHead(u64),
    Body,
    Trailer,
    Done,
}

/// The entry at hand.
struct Body {
    entry: RawEntry,
    crc: crc32fast::Hasher,
    /// What came before the bytes that the inflater holds.
    out: Vec<u8>,
    filled: usize,
    produced: u64,
    kind: BodyKind,
}

enum BodyKind {
    Delta(Option<Sizes>),
    Whole(Kind),
    Streamed(Kind, ObjectHasher),
}

/// The longest pair of sizes before a delta.
const DELTA_HEAD: usize = 20;

impl Front {
    /// Returns a front for a pack of `length` bytes in all, if that is known.
    pub(super) fn new(format: ObjectFormat, limits: &Limits, length: Option<u64>) -> Self {
        Self {
            format,
            limits: limits.clone(),
            allowed: length.map_or(u64::MAX, |length| limits.inflated(length)),
            state: State::Head,
            sum: FileHasher::new(format),
            position: 0,
            left: 0,
            inflated: Inflated::default(),
            inflater: Inflater::new(),
            held: Vec::with_capacity(MAX_ENTRY_HEADER),
            checksum: None,
            body: Body {
                entry: RawEntry {
                    offset: 0,
                    header: EntryHeader {
                        kind: EntryKind::Whole(Kind::Blob),
                        size: 0,
                    },
                    crc32: 0,
                    result: 0,
                },
                crc: crc32fast::Hasher::new(),
                out: Vec::new(),
                filled: 0,
                produced: 0,
                kind: BodyKind::Delta(None),
            },
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut at = 0;
        // The trailer sums all bytes before it: in long runs, not by entry.
        let mut summed = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let used = match self.state {
                State::Head => self.head(rest)?,
                State::EntryHead(offset) => self.entry_head(offset, rest)?,
                State::Body => self.body(rest, sink)?,
                State::Trailer => {
                    if summed < at {
                        self.sum.update(&bytes[summed..at]);
                    }
                    let used = self.trailer(rest)?;
                    summed = at + used;
                    used
                }
                State::Done => return Err(Error::Trailing(rest.len() as u64)),
            };
            at += used;
            self.position += used as u64;
        }
        if !matches!(self.state, State::Done) {
            // Bytes of a trailer that has begun are behind `summed`.
            let end = if matches!(self.state, State::Trailer) {
                at - self.held.len().min(at)
            } else {
                at
            };
            if summed < end {
                self.sum.update(&bytes[summed..end]);
            }
        }
        Ok(())
    }

    /// Ends the pack: its trailer, the inflated bytes of its entries, its
    /// length.
    pub(super) fn finish(mut self) -> Result<(ObjectId, Inflated, u64), Error> {
        let Some(checksum) = self.checksum else {
            return Err(Error::Truncated(self.position));
        };
        self.allowed = self.limits.inflated(self.position);
        self.check_inflated()?;
        Ok((checksum, self.inflated, self.position))
    }

    /// Gathers `want` bytes in `held` and says how many of `bytes` went there.
    fn gather(&mut self, want: usize, bytes: &[u8]) -> usize {
        let used = bytes.len().min(want - self.held.len());
        self.held.extend_from_slice(&bytes[..used]);
        used
    }

    fn head(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let used = self.gather(12, bytes);
        let &[a, b, c, d, v0, v1, v2, v3, n0, n1, n2, n3] = &self.held[..] else {
            self.state = State::Head;
            return Ok(used);
        };
        if [a, b, c, d] != *b"PACK" {
            return Err(Error::Signature([a, b, c, d]));
        }
        let version = u32::from_be_bytes([v0, v1, v2, v3]);
        if version != 2 && version != 3 {
            return Err(Error::Version(version));
        }
        self.left = u32::from_be_bytes([n0, n1, n2, n3]);
        if self.left > self.limits.objects {
            return Err(Exceeded::Objects {
                limit: self.limits.objects,
                got: self.left,
            }
            .into());
        }
        self.held.clear();
        self.next_entry(12);
        Ok(used)
    }

    fn next_entry(&mut self, offset: u64) {
        self.state = match self.left {
            0 => State::Trailer,
            _ => State::EntryHead(offset),
        };
    }

    fn entry_head(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let before = self.held.len();
        let used = self.gather(MAX_ENTRY_HEADER, bytes);
        let read = EntryHeader::read(&self.held, self.format)
            .map_err(|source| Error::Header { offset, source })?;
        let Some((header, length)) = read else {
            self.state = State::EntryHead(offset);
            return Ok(used);
        };
        if header.size > self.limits.object {
            return Err(Exceeded::Object {
                limit: self.limits.object,
                got: header.size,
                offset,
            }
            .into());
        }
        self.inflated.entries = self.inflated.entries.saturating_add(header.size);
        self.check_inflated()?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.held[..length]);
        self.held.clear();
        self.inflater.reset();
        self.body = Body {
            entry: RawEntry {
                offset,
                header,
                crc32: 0,
                result: header.size,
            },
            crc,
            out: Vec::new(),
            filled: 0,
            produced: 0,
            kind: match header.kind {
                EntryKind::Whole(kind @ Kind::Blob) if header.size > verify::STREAMED => {
                    BodyKind::Streamed(kind, ObjectHasher::new(self.format, kind, header.size))
                }
                EntryKind::Whole(kind) => BodyKind::Whole(kind),
                EntryKind::OfsDelta(_) | EntryKind::RefDelta(_) => BodyKind::Delta(None),
            },
        };
        self.state = State::Body;
        Ok(length - before)
    }

    fn body(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<usize, Error> {
        let body = &mut self.body;
        let offset = body.entry.offset;
        let size = body.entry.header.size;
        let before = body.filled;
        let filled = self.inflater.fill(bytes, before);
        let (used, filled, ended) = filled.map_err(|e| Error::Deflate {
            offset,
            what: match e {
                inflate::Error::Stream(what) => what,
                other => other.to_string(),
            },
        })?;
        body.crc.update(&bytes[..used]);
        body.produced += (filled - before) as u64;
        body.filled = filled;
        if body.produced > size || ended && body.produced != size {
            return Err(Error::Size {
                offset,
                expected: size,
                got: body.produced,
            });
        }
        if used == 0 && filled == before && !ended {
            return Err(Error::Deflate {
                offset,
                what: "one that does not go on".into(),
            });
        }
        if ended {
            self.end_entry(self.position + used as u64, sink)?;
        } else if filled == SCRATCH {
            self.flush()?;
        }
        Ok(used)
    }

    /// Takes what the inflater holds.
    fn flush(&mut self) -> Result<(), Error> {
        let body = &mut self.body;
        let fresh = self.inflater.filled(body.filled);
        body.filled = 0;
        match &mut body.kind {
            BodyKind::Whole(_) => inflate::append(&mut body.out, fresh, body.entry.header.size),
            BodyKind::Streamed(_, hasher) => hasher.update(fresh),
            BodyKind::Delta(Some(_)) => {}
            BodyKind::Delta(sizes @ None) => {
                let offset = body.entry.offset;
                let head = &fresh[..fresh.len().min(DELTA_HEAD)];
                let read = Sizes::read(head).map_err(|source| Error::Delta { offset, source })?;
                let (read, _) = read.ok_or(Error::Delta {
                    offset,
                    source: apply::Error::NoSizes,
                })?;
                *sizes = Some(read);
                body.entry.result = read.result;
                if read.result > self.limits.object {
                    return Err(Exceeded::Object {
                        limit: self.limits.object,
                        got: read.result,
                        offset,
                    }
                    .into());
                }
            }
        }
        Ok(())
    }

    fn end_entry(&mut self, end: u64, sink: &mut Sink<'_>) -> Result<(), Error> {
        let last = self.body.filled;
        // Most objects never leave the memory of the inflater.
        let is_small = last as u64 == self.body.entry.header.size;
        if !(is_small && matches!(self.body.kind, BodyKind::Whole(_))) {
            self.flush()?;
        }
        let body = &mut self.body;
        let mut entry = body.entry;
        entry.crc32 = std::mem::take(&mut body.crc).finalize();
        let kind = std::mem::replace(&mut body.kind, BodyKind::Delta(None));
        let content = match kind {
            BodyKind::Whole(kind) => Content::Whole(
                kind,
                match is_small {
                    true => Cow::Borrowed(self.inflater.filled(last)),
                    false => Cow::Owned(std::mem::take(&mut body.out)),
                },
            ),
            BodyKind::Streamed(kind, hasher) => Content::Streamed(kind, hasher.finish()?),
            BodyKind::Delta(sizes) => {
                if let (EntryKind::RefDelta(base), Some(sizes)) = (entry.header.kind, sizes) {
                    self.inflated.may_lie_outside(base, sizes.base);
                }
                let results = &mut self.inflated.results;
                *results = results.saturating_add(entry.result);
                self.check_inflated()?;
                // All of it, unless the inflater was emptied before.
                Content::Delta(is_small.then(|| self.inflater.filled(last)))
            }
        };
        sink(entry, content)?;
        self.left -= 1;
        self.next_entry(end);
        Ok(())
    }

    /// Compares what is promised with what is allowed, before it is made: more
    /// than the promise is refused when it comes.
    fn check_inflated(&self) -> Result<(), Error> {
        let Inflated {
            entries, results, ..
        } = &self.inflated;
        let got = entries.saturating_add(*results);
        let limit = self.allowed.saturating_add(self.inflated.outside);
        if got > limit {
            return Err(Exceeded::Inflated { limit, got }.into());
        }
        Ok(())
    }

    fn trailer(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let used = self.gather(self.format.raw_len(), bytes);
        match ObjectId::from_bytes(&self.held) {
            Some(got) if self.held.len() == self.format.raw_len() => {
                let expected = self.sum.clone().finish();
                if expected != got {
                    return Err(Error::Checksum { expected, got });
                }
                self.checksum = Some(got);
                self.state = State::Done;
            }
            _ => self.state = State::Trailer,
        }
        Ok(used)
    }
}

impl Inflated {
    /// Takes note of a base that may lie outside. Whether it does, and is as
    /// large as the delta says, is seen before anything is built on it.
    fn may_lie_outside(&mut self, base: ObjectId, size: u64) {
        const LARGE: u64 = 64 << 10;
        const MOST: usize = 1 << 16;
        if size >= LARGE && self.bases.len() < MOST && self.bases.insert(base) {
            self.outside = self.outside.saturating_add(Limits::on_base(size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_may_come_in_any_pieces() {
        let mut pack = b"PACK\0\0\0\x02\0\0\0\x01".to_vec();
        let mut sum = FileHasher::new(ObjectFormat::Sha1);
        EntryHeader {
            kind: EntryKind::Whole(Kind::Blob),
            size: 5,
        }
        .write(&mut pack);
        // A stored block.
        pack.extend_from_slice(&[0x78, 1, 1, 5, 0, 0xfa, 0xff]);
        pack.extend_from_slice(b"hello");
        pack.extend_from_slice(&0x062c_0215_u32.to_be_bytes());
        sum.update(&pack);
        pack.extend_from_slice(sum.finish().as_bytes());
        for length in 1..=pack.len() {
            let limits = Limits::default();
            let mut front = Front::new(ObjectFormat::Sha1, &limits, Some(pack.len() as u64));
            let mut seen = Vec::new();
            for piece in pack.chunks(length) {
                front
                    .push(piece, &mut |entry, content| {
                        if let Content::Whole(kind, bytes) = content {
                            seen.push((entry.offset, kind, bytes.into_owned()));
                        }
                        Ok(())
                    })
                    .unwrap();
            }
            assert!(front.finish().is_ok(), "pieces of {length}");
            assert_eq!(seen, [(12, Kind::Blob, b"hello".to_vec())]);
        }
    }
}
