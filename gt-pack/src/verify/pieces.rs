//! Inflated bytes, and who has them: what was found ahead of the front stays
//! where it is until it is named.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex};

use super::names::lock;

/// The bytes of an entry.
pub(super) enum Bytes<'a> {
    /// In memory that is needed again at once.
    Lent(&'a [u8]),
    /// In memory that may be kept for a while.
    Shared(&'a Arc<Shared>, Range<usize>),
    /// Handed over.
    Own(Vec<u8>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Shared(shared, range) => &shared.bytes[range.clone()],
            Self::Own(bytes) => bytes,
        }
    }
}

/// Bytes that several hold; who is done last gives their memory back.
pub(super) struct Shared {
    bytes: Vec<u8>,
    memory: Memory,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        lock(&self.memory.0).push(bytes);
    }
}

/// Memory that is used again.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

impl Memory {
    /// Returns an empty vector with `room`, or with as much as one had that
    /// was given back.
    pub(super) fn take(&self, room: usize) -> Vec<u8> {
        let found = lock(&self.0).pop();
        found.unwrap_or_else(|| Vec::with_capacity(room))
    }

    /// Makes these bytes known to several.
    pub(super) fn share(&self, bytes: Vec<u8>) -> Arc<Shared> {
        let memory = self.clone();
        Arc::new(Shared { bytes, memory })
    }
}

/// Pieces of bytes, kept together.
#[derive(Default)]
pub(super) struct Pieces {
    /// Copies, one after the other.
    own: Vec<u8>,
    shared: Vec<Arc<Shared>>,
    /// Bytes of all pieces.
    length: usize,
    /// Bytes that are held for them in `shared`.
    held: usize,
}

/// Where a piece is: a batch has many, and no more bytes than a few MiB.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// Which of those that are shared, counted from 1; 0 for a copy.
    of: u32,
    begin: u32,
    end: u32,
}

impl Piece {
    fn new(of: usize, range: Range<usize>) -> Self {
        Self {
            of: of as u32,
            begin: range.start as u32,
            end: range.end as u32,
        }
    }
}

/// Bytes that are held for the sake of pieces of them.
const HELD: usize = 2 << 20;

impl Pieces {
    /// Returns none, with room for copies.
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            own: Vec::with_capacity(room),
            ..Self::default()
        }
    }

    /// Returns the bytes of all.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Keeps these bytes: by a copy where they are lent, or where too much
    /// would be held for them.
    pub(super) fn keep(&mut self, bytes: &Bytes<'_>) -> Piece {
        self.length += bytes.len();
        if let Bytes::Shared(shared, range) = bytes
            && let Some(of) = self.hold(shared)
        {
            return Piece::new(of, range.clone());
        }
        let begin = self.own.len();
        self.own.extend_from_slice(bytes);
        Piece::new(0, begin..self.own.len())
    }

    fn hold(&mut self, shared: &Arc<Shared>) -> Option<usize> {
        // Pieces of one come one after the other.
        let last = self.shared.last();
        if last.is_none_or(|last| !Arc::ptr_eq(last, shared)) {
            let held = self.held + shared.bytes.len();
            if held > HELD {
                return None;
            }
            self.held = held;
            self.shared.push(Arc::clone(shared));
        }
        Some(self.shared.len())
    }

    /// Returns the bytes of a piece.
    pub(super) fn get(&self, piece: Piece) -> &[u8] {
        let of = piece.of.checked_sub(1);
        let bytes = of.map_or(&self.own, |n| &self.shared[n as usize].bytes);
        &bytes[piece.begin as usize..piece.end as usize]
    }

    pub(super) fn clear(&mut self) {
        self.own.clear();
        self.shared.clear();
        self.length = 0;
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_kept_and_memory_is_given_back() {
        let memory = Memory::default();
        let mut bytes = memory.take(10);
        let at = bytes.as_ptr();
        bytes.extend_from_slice(b"hello you");
        let shared = memory.share(bytes);
        let mut pieces = Pieces::default();
        let kept = [
            pieces.keep(&Bytes::Shared(&shared, 0..5)),
            pieces.keep(&Bytes::Lent(b"abc")),
            pieces.keep(&Bytes::Shared(&shared, 6..9)),
            pieces.keep(&Bytes::Own(b"xyz".to_vec())),
        ];
        assert_eq!(
            kept.map(|piece| pieces.get(piece).to_vec()),
            [&b"hello"[..], b"abc", b"you", b"xyz"]
        );
        assert_eq!((pieces.length(), pieces.shared.len()), (14, 1));
        drop(shared);
        let other = memory.take(10);
        assert_ne!(other.as_ptr(), at);
        pieces.clear();
        let again = memory.take(1);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn little_is_held_for_pieces() {
        let memory = Memory::default();
        let part = |n: u8| memory.share(vec![n; HELD / 2]);
        let mut pieces = Pieces::default();
        for n in 0..9 {
            let piece = pieces.keep(&Bytes::Shared(&part(n), 7..10));
            assert_eq!(pieces.get(piece), [n; 3]);
        }
        assert_eq!((pieces.shared.len(), pieces.held), (2, HELD));
        assert_eq!((pieces.own.len(), pieces.length()), (7 * 3, 9 * 3));
        let lent = memory.0.lock().unwrap().len();
        assert_eq!(lent, 7);
    }
}
