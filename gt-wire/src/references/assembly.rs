//! A pack that is arriving in parts.

use bytes::{Bytes, BytesMut};

use super::wire::Part;
use super::{Limits, Misbehaviour};

/// The parts so far. Memory grows with the bytes that came, never with the
/// sizes that were announced.
#[derive(Debug)]
pub(super) struct Assembly {
    pack_size: u64,
    reel_size: Option<u64>,
    pack: BytesMut,
    reel: BytesMut,
    /// Let go for want of room: the rest is counted and thrown away.
    crowded_at: Option<u64>,
}

impl Assembly {
    /// Begins with the sizes that the first part announces.
    pub(super) fn begin(part: &Part, limits: &Limits) -> Result<Self, Misbehaviour> {
        let too_long = |what, limit, got| Err(Misbehaviour::TooLong { what, limit, got });
        if part.pack_size > limits.pack as u64 {
            return too_long("pack", limits.pack, part.pack_size);
        }
        if let Some(size) = part.reel_size.filter(|size| *size > limits.reel as u64) {
            return too_long("reel", limits.reel, size);
        }
        Ok(Self {
            pack_size: part.pack_size,
            reel_size: part.reel_size,
            pack: BytesMut::new(),
            reel: BytesMut::new(),
            crowded_at: None,
        })
    }

    fn total(&self) -> u64 {
        self.pack_size + self.reel_size.unwrap_or(0)
    }

    fn seen(&self) -> u64 {
        let kept = (self.pack.len() + self.reel.len()) as u64;
        self.crowded_at.unwrap_or(kept)
    }

    /// Returns the bytes that it holds.
    pub(super) fn held(&self) -> usize {
        self.pack.len() + self.reel.len()
    }

    /// Lets go of what it holds; later parts are only counted.
    pub(super) fn crowd(&mut self) {
        self.crowded_at = Some(self.seen());
        self.pack = BytesMut::new();
        self.reel = BytesMut::new();
    }

    /// Takes the next part; tells whether it was the last.
    pub(super) fn take(&mut self, part: &Part) -> Result<bool, Misbehaviour> {
        if part.pack_size != self.pack_size || part.reel_size != self.reel_size {
            return Err(Misbehaviour::Malformed("sizes that change between parts"));
        }
        if part.offset != self.seen() {
            return Err(Misbehaviour::Gap {
                expected: self.seen(),
                got: part.offset,
            });
        }
        let end = part.offset + (part.pack.len() + part.reel.len()) as u64;
        let pack_end = part.offset + part.pack.len() as u64;
        let fits = end <= self.total()
            && (part.pack.is_empty() || pack_end <= self.pack_size)
            && (part.reel.is_empty() || pack_end >= self.pack_size);
        if !fits {
            return Err(Misbehaviour::Malformed("a part past its pack"));
        }
        // Parts that bring nothing cost us time and the peer little.
        if end == part.offset && end < self.total() {
            return Err(Misbehaviour::Malformed("an empty part"));
        }
        match &mut self.crowded_at {
            Some(at) => *at = end,
            None => {
                self.pack.extend_from_slice(&part.pack);
                self.reel.extend_from_slice(&part.reel);
            }
        }
        Ok(end == self.total())
    }

    /// Returns the pack and its reel; `None` if they were let go.
    pub(super) fn finish(self) -> Option<(Bytes, Option<Bytes>)> {
        if self.crowded_at.is_some() {
            return None;
        }
        let reel = self.reel_size.map(|_| self.reel.freeze());
        Some((self.pack.freeze(), reel))
    }
}
