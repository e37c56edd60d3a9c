//! Takes the bytes of a pack in order, in pieces of any length, and cuts them
//! into entries.
//!
//! It never looks back and keeps no bytes but those of the object at hand, so
//! that it can run while the pack is still on its way.

use gt_vfs::ObjectFormat;

use super::Error;
use crate::delta::apply::Sizes;
use crate::entry::{EntryHeader, EntryKind, MAX_ENTRY_HEADER};
use crate::hash::{FileHasher, ObjectHasher};
use crate::inflate::{Inflater, make_room};
use crate::kind::Kind;
use crate::limits::{Exceeded, Limits};
use crate::{ObjectId, inflate, verify};

/// An entry that has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawEntry {
    pub(super) offset: u64,
    pub(super) header: EntryHeader,
    pub(super) header_length: u8,
    pub(super) crc32: u32,
    /// Bytes of the object, which for a delta is what its head promises.
    pub(super) result: u64,
}

/// What is known of the content of an entry when it has been read.
pub(super) enum Content {
    /// A delta; its bytes were not kept.
    Delta,
    /// The bytes of an object.
    Whole(Kind, Vec<u8>),
    /// An object that was hashed as it came.
    Streamed(Kind, ObjectId),
}

/// Where the entries go.
pub(super) type Sink<'a> = dyn FnMut(RawEntry, Content) -> Result<(), Error> + 'a;

pub(super) struct Front<'a> {
    format: ObjectFormat,
    limits: &'a Limits,
    allowed: u64,
    state: State,
    sum: FileHasher,
    position: u64,
    left: u32,
    inflated: u64,
    inflater: Inflater,
    held: Vec<u8>,
    checksum: Option<ObjectId>,
}

enum State {
    Head,
    EntryHead(u64),
    Body(Box<Body>),
    Trailer,
    Done,
}

struct Body {
    entry: RawEntry,
    crc: crc32fast::Hasher,
    out: Vec<u8>,
    produced: u64,
    kind: BodyKind,
}

enum BodyKind {
    Delta { head: Vec<u8>, sizes: Option<Sizes> },
    Whole(Kind),
    Streamed(Kind, ObjectHasher),
}

/// The longest pair of sizes before a delta.
const DELTA_HEAD: usize = 20;
const SCRATCH: usize = 64 << 10;

impl<'a> Front<'a> {
    /// Returns a front for a pack of `length` bytes in all.
    pub(super) fn new(format: ObjectFormat, limits: &'a Limits, length: u64) -> Self {
        Self {
            format,
            limits,
            allowed: limits.inflated(length),
            state: State::Head,
            sum: FileHasher::new(format),
            position: 0,
            left: 0,
            inflated: 0,
            inflater: Inflater::new(),
            held: Vec::with_capacity(MAX_ENTRY_HEADER),
            checksum: None,
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut at = 0;
        // The trailer sums all bytes before it: in long runs, not by entry.
        let mut summed = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let used = match std::mem::replace(&mut self.state, State::Done) {
                State::Head => self.head(rest)?,
                State::EntryHead(offset) => self.entry_head(offset, rest)?,
                State::Body(body) => self.body(body, rest, sink)?,
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

    /// Ends the pack: its trailer and the inflated bytes of its entries.
    pub(super) fn finish(self) -> Result<(ObjectId, u64), Error> {
        match self.checksum {
            Some(checksum) => Ok((checksum, self.inflated)),
            None => Err(Error::Truncated(self.position)),
        }
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
        self.charge(header.size)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.held[..length]);
        self.held.clear();
        let kind = match header.kind {
            EntryKind::Whole(kind @ Kind::Blob) if header.size > verify::STREAMED => {
                BodyKind::Streamed(kind, ObjectHasher::new(self.format, kind, header.size))
            }
            EntryKind::Whole(kind) => BodyKind::Whole(kind),
            EntryKind::OfsDelta(_) | EntryKind::RefDelta(_) => BodyKind::Delta {
                head: Vec::with_capacity(DELTA_HEAD),
                sizes: None,
            },
        };
        self.inflater.reset();
        self.state = State::Body(Box::new(Body {
            entry: RawEntry {
                offset,
                header,
                header_length: length as u8,
                crc32: 0,
                result: header.size,
            },
            crc,
            out: Vec::new(),
            produced: 0,
            kind,
        }));
        Ok(length - before)
    }

    fn body(
        &mut self,
        mut body: Box<Body>,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<usize, Error> {
        let offset = body.entry.offset;
        let size = body.entry.header.size;
        if let BodyKind::Whole(_) = body.kind {
            make_room(&mut body.out, size);
        } else {
            body.out.reserve_exact(SCRATCH - body.out.len());
        }
        let before = body.out.len();
        let (used, ended) =
            self.inflater
                .step(bytes, &mut body.out)
                .map_err(|e| Error::Deflate {
                    offset,
                    what: match e {
                        inflate::Error::Stream(what) => what,
                        other => other.to_string(),
                    },
                })?;
        body.crc.update(&bytes[..used]);
        let fresh = &body.out[before..];
        body.produced += fresh.len() as u64;
        if body.produced > size || ended && body.produced != size {
            return Err(Error::Size {
                offset,
                expected: size,
                got: body.produced,
            });
        }
        if used == 0 && fresh.is_empty() && !ended {
            return Err(Error::Deflate {
                offset,
                what: "one that does not go on".into(),
            });
        }
        match &mut body.kind {
            BodyKind::Whole(_) => {}
            BodyKind::Streamed(_, hasher) => {
                hasher.update(fresh);
                body.out.clear();
            }
            BodyKind::Delta { head, sizes } => {
                if sizes.is_none() {
                    head.extend_from_slice(&fresh[..fresh.len().min(DELTA_HEAD - head.len())]);
                    let read =
                        Sizes::read(head).map_err(|source| Error::Delta { offset, source })?;
                    if let Some((read, _)) = read {
                        *sizes = Some(read);
                        body.entry.result = read.result;
                    }
                }
                body.out.clear();
            }
        }
        if let BodyKind::Delta { sizes: Some(_), .. } = body.kind
            && body.entry.result > self.limits.object
        {
            return Err(Exceeded::Object {
                limit: self.limits.object,
                got: body.entry.result,
                offset,
            }
            .into());
        }
        if ended {
            self.end_entry(*body, self.position + used as u64, sink)?;
        } else {
            self.state = State::Body(body);
        }
        Ok(used)
    }

    fn end_entry(&mut self, body: Body, end: u64, sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut entry = body.entry;
        entry.crc32 = body.crc.finalize();
        let content = match body.kind {
            BodyKind::Whole(kind) => Content::Whole(kind, body.out),
            BodyKind::Streamed(kind, hasher) => Content::Streamed(kind, hasher.finish()?),
            BodyKind::Delta { sizes, .. } => {
                if sizes.is_none() {
                    return Err(Error::Delta {
                        offset: entry.offset,
                        source: crate::delta::apply::Error::NoSizes,
                    });
                }
                self.charge(entry.result)?;
                Content::Delta
            }
        };
        sink(entry, content)?;
        self.left -= 1;
        self.next_entry(end);
        Ok(())
    }

    /// Counts inflated bytes before they are made, by what is promised: more
    /// than the promise is refused when it comes.
    fn charge(&mut self, bytes: u64) -> Result<(), Error> {
        self.inflated = self.inflated.saturating_add(bytes);
        if self.inflated > self.allowed {
            return Err(Exceeded::Inflated {
                limit: self.allowed,
                got: self.inflated,
            }
            .into());
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
            let mut front = Front::new(ObjectFormat::Sha1, &limits, pack.len() as u64);
            let mut seen = Vec::new();
            for piece in pack.chunks(length) {
                front
                    .push(piece, &mut |entry, content| {
                        if let Content::Whole(kind, bytes) = content {
                            seen.push((entry.offset, kind, bytes));
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
