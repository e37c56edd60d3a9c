//! Takes the bytes of a pack in order, in pieces of any length, and cuts them
//! into entries.
//!
//! It never looks back and keeps no bytes but those of the object at hand, so
//! that it can run while the pack is still on its way. Entries that were found
//! before their turn came ([`Early`]) are taken as if they had been read here.

use gt_vfs::ObjectFormat;

use super::Error;
use super::early::Early;
use super::inflated::Inflated;
use super::pieces::Bytes;
use super::raw::{Content, RawEntry, Sink};
use crate::delta::apply::{self, Sizes};
use crate::entry::{EntryHeader, EntryKind, MAX_ENTRY_HEADER};
use crate::hash::{FileHasher, ObjectHasher};
use crate::inflate::{Inflater, SCRATCH};
use crate::kind::Kind;
use crate::limits::{Exceeded, Limits};
use crate::{ObjectId, inflate, verify};

pub(super) struct Front {
    format: ObjectFormat,
    limits: Limits,
    state: State,
    /// Of all bytes before the trailer; none where this is but a part.
    sum: Option<FileHasher>,
    position: u64,
    left: u32,
    inflated: Inflated,
    inflater: Inflater,
    held: Vec<u8>,
    checksum: Option<ObjectId>,
    body: Body,
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
    /// Whether its head was read.
    Delta(bool),
    Whole(Kind),
    Streamed(Kind, ObjectHasher),
}

/// The longest pair of sizes before a delta.
const DELTA_HEAD: usize = 20;

impl Front {
    /// Returns a front for a pack of `length` bytes in all, if that is known.
    pub(super) fn new(format: ObjectFormat, limits: &Limits, length: Option<u64>) -> Self {
        let allowed = length.map_or(u64::MAX, |length| limits.inflated(length));
        Self {
            format,
            limits: limits.clone(),
            state: State::Head,
            sum: Some(FileHasher::new(format)),
            position: 0,
            left: 0,
            inflated: Inflated::new(allowed),
            inflater: Inflater::new(),
            held: Vec::with_capacity(MAX_ENTRY_HEADER),
            checksum: None,
            body: Body {
                entry: RawEntry {
                    offset: 0,
                    end: 0,
                    header: EntryHeader {
                        kind: EntryKind::Whole(Kind::Blob),
                        size: 0,
                    },
                    crc32: 0,
                    result: 0,
                    base: 0,
                },
                crc: crc32fast::Hasher::new(),
                out: Vec::new(),
                filled: 0,
                produced: 0,
                kind: BodyKind::Delta(false),
            },
        }
    }

    /// Returns a front for entries from the middle of a pack: after the last
    /// of them it has no end.
    pub(super) fn part(format: ObjectFormat, limits: &Limits) -> Self {
        Self {
            sum: None,
            ..Self::new(format, limits, None)
        }
    }

    /// Begins with the entry at `offset`.
    pub(super) fn restart(&mut self, offset: u64) {
        self.held.clear();
        self.position = offset;
        self.left = u32::MAX;
        self.state = State::EntryHead(offset);
    }

    /// Returns how many inflated bytes of entries there were.
    pub(super) fn inflated(&self) -> u64 {
        self.inflated.entries
    }

    pub(super) fn inflater(&mut self) -> &mut Inflater {
        &mut self.inflater
    }

    /// Takes the next bytes; `early` are entries that may lie in them.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        early: Option<&Early>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let mut at = 0;
        // The trailer sums all bytes before it: in long runs, not by entry.
        let mut summed = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let used = match self.state {
                State::Head => self.head(rest)?,
                State::EntryHead(offset) => match self.early(offset, early, sink)? {
                    0 => self.entry_head(offset, rest)?,
                    used => used,
                },
                State::Body => self.body(rest, sink)?,
                State::Trailer => {
                    self.add_up(&bytes[summed.min(at)..at]);
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
            self.add_up(&bytes[summed.min(end)..end]);
        }
        Ok(())
    }

    fn add_up(&mut self, bytes: &[u8]) {
        if let Some(sum) = &mut self.sum {
            sum.update(bytes);
        }
    }

    /// Takes entries that were found before, from the one at `offset` on, and
    /// says how many bytes they are.
    fn early(
        &mut self,
        offset: u64,
        early: Option<&Early>,
        sink: &mut Sink<'_>,
    ) -> Result<usize, Error> {
        let early = early.filter(|_| self.held.is_empty());
        let mut end = offset;
        for (entry, content) in early.into_iter().flat_map(|early| early.from(offset)) {
            if self.left == 0 {
                break;
            }
            self.begin_entry(&entry)?;
            if entry.is_delta() {
                self.end_delta(&entry)?;
            }
            sink(entry, content)?;
            self.left -= 1;
            end = entry.end;
        }
        if end > offset {
            self.next_entry(end);
        }
        Ok((end - offset) as usize)
    }

    /// Ends the pack: its trailer, the inflated bytes of its entries, its
    /// length.
    pub(super) fn finish(mut self) -> Result<(ObjectId, Inflated, u64), Error> {
        let Some(checksum) = self.checksum else {
            return Err(Error::Truncated(self.position));
        };
        self.inflated.end(self.limits.inflated(self.position))?;
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
        let entry = RawEntry {
            offset,
            end: offset,
            header,
            crc32: 0,
            result: header.size,
            base: 0,
        };
        self.begin_entry(&entry)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.held[..length]);
        self.held.clear();
        self.inflater.reset();
        self.body = Body {
            entry,
            crc,
            out: Vec::new(),
            filled: 0,
            produced: 0,
            kind: match header.kind {
                EntryKind::Whole(kind @ Kind::Blob) if header.size > verify::STREAMED => {
                    BodyKind::Streamed(kind, ObjectHasher::new(self.format, kind, header.size))
                }
                EntryKind::Whole(kind) => BodyKind::Whole(kind),
                EntryKind::OfsDelta(_) | EntryKind::RefDelta(_) => BodyKind::Delta(false),
            },
        };
        self.state = State::Body;
        Ok(length - before)
    }

    /// Looks at what an entry promises.
    fn begin_entry(&mut self, entry: &RawEntry) -> Result<(), Error> {
        self.check_object(entry, entry.header.size)?;
        self.inflated.entry(entry.header.size)
    }

    /// Looks at what a delta promises to make.
    fn end_delta(&mut self, entry: &RawEntry) -> Result<(), Error> {
        self.check_object(entry, entry.result)?;
        let name = match entry.header.kind {
            EntryKind::RefDelta(base) => Some(base),
            _ => None,
        };
        self.inflated.delta(name, entry.base, entry.result)
    }

    fn check_object(&self, entry: &RawEntry, size: u64) -> Result<(), Error> {
        let (limit, offset) = (self.limits.object, entry.offset);
        if size > limit {
            let got = size;
            return Err(Exceeded::Object { limit, got, offset }.into());
        }
        Ok(())
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
            BodyKind::Delta(true) => {}
            BodyKind::Delta(is_read @ false) => {
                let offset = body.entry.offset;
                let head = &fresh[..fresh.len().min(DELTA_HEAD)];
                let read = Sizes::read(head).map_err(|source| Error::Delta { offset, source })?;
                let (read, _) = read.ok_or(Error::Delta {
                    offset,
                    source: apply::Error::NoSizes,
                })?;
                *is_read = true;
                body.entry.result = read.result;
                body.entry.base = read.base;
                let entry = body.entry;
                self.check_object(&entry, read.result)?;
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
        entry.end = end;
        entry.crc32 = std::mem::take(&mut body.crc).finalize();
        let kind = std::mem::replace(&mut body.kind, BodyKind::Delta(false));
        let content = match kind {
            BodyKind::Whole(kind) => Content::Whole(
                kind,
                match is_small {
                    true => Bytes::Lent(self.inflater.filled(last)),
                    false => Bytes::Own(std::mem::take(&mut body.out)),
                },
            ),
            BodyKind::Streamed(kind, hasher) => Content::Streamed(kind, hasher.finish()?),
            BodyKind::Delta(_) => {
                self.end_delta(&entry)?;
                // All of it, unless the inflater was emptied before.
                Content::Delta(is_small.then(|| Bytes::Lent(self.inflater.filled(last))))
            }
        };
        sink(entry, content)?;
        self.left -= 1;
        self.next_entry(end);
        Ok(())
    }

    fn trailer(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let used = self.gather(self.format.raw_len(), bytes);
        match ObjectId::from_bytes(&self.held) {
            Some(got) if self.held.len() == self.format.raw_len() => {
                let sum = self.sum.take();
                let sum = sum.unwrap_or_else(|| FileHasher::new(self.format));
                let expected = sum.finish();
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
                    .push(piece, None, &mut |entry, content| {
                        if let Content::Whole(kind, bytes) = content {
                            seen.push((entry.offset, kind, bytes.to_vec()));
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
