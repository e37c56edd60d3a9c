//! Cuts a stream of bytes into messages.

use bytes::{Buf, Bytes, BytesMut};
use gt_vfs::content::BLOCK;

use super::{MAX_EXTENDED, MAX_FRAME, Message, id};
use crate::geometry::{Block, PieceIndex};
use crate::hashes::HashSpan;

/// Takes bytes as they come and gives messages.
///
/// A message that lies whole in one chunk is a slice of it, and so are the
/// bytes of a block that do, wherever its numbers lie; only what straddles two
/// chunks is copied, once.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a message whose end has not come.
    part: BytesMut,
    /// What follows it.
    rest: Bytes,
    /// Longest payload of a bitfield.
    bitfield: usize,
}

impl Decoder {
    /// Returns a decoder for a torrent of `pieces` pieces.
    pub fn new(pieces: u32) -> Self {
        Self {
            part: BytesMut::new(),
            rest: Bytes::new(),
            bitfield: pieces.div_ceil(8) as usize,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        if self.rest.is_empty() {
            self.rest = bytes;
        } else {
            // The caller has not drained the messages before: order first.
            let mut both = BytesMut::with_capacity(self.rest.len() + bytes.len());
            both.extend_from_slice(&self.rest);
            both.extend_from_slice(&bytes);
            self.rest = both.freeze();
        }
    }

    /// Returns how many bytes wait for the end of their message.
    pub fn waiting(&self) -> usize {
        self.part.len() + self.rest.len()
    }

    /// Takes exactly `N` bytes off the front, for a handshake before the
    /// messages.
    pub fn take_prefix<const N: usize>(&mut self) -> Option<[u8; N]> {
        if !self.fill(N) {
            return None;
        }
        let mut raw = [0; N];
        raw.copy_from_slice(&self.take(N));
        Some(raw)
    }

    /// Returns the bytes of an unfinished message or handshake.
    pub fn peek(&self) -> &[u8] {
        if self.part.is_empty() {
            &self.rest
        } else {
            &self.part
        }
    }

    /// Returns the next message, or `None` until more bytes come.
    ///
    /// # Errors
    /// Where a length or a payload cannot be. The stream is of no use then.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would hide that an error is the end"
    )]
    pub fn next(&mut self) -> Result<Option<Message>, Error> {
        if !self.fill(4) {
            return Ok(None);
        }
        let prefix = self.peek();
        let length = u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
        if length == 0 {
            self.skip(4);
            return Ok(Some(Message::KeepAlive));
        }
        // Before the id has come no more than the greatest ceiling is known.
        let longest = MAX_FRAME.max(1 + self.bitfield);
        if length > longest {
            return Err(Error::Length {
                id: None,
                got: length,
            });
        }
        if !self.fill(5) {
            return Ok(None);
        }
        let id = self.peek()[4];
        self.check_length(id, length)?;
        if id == id::PIECE
            && let Some(piece) = self.piece_in_two(length)
        {
            return Ok(Some(piece));
        }
        if !self.fill(4 + length) {
            return Ok(None);
        }
        if let Some(message) = plain(id, &self.peek()[5..4 + length]) {
            self.skip(4 + length);
            return Ok(Some(message));
        }
        let mut frame = self.take(4 + length);
        frame.advance(5);
        Ok(Some(parse(id, frame)))
    }

    /// Takes a block whose numbers came before its bytes, which then lie whole in
    /// one chunk and need no copy: a sender that hands its kernel a header and a
    /// slice of a file sends such.
    fn piece_in_two(&mut self, length: usize) -> Option<Message> {
        const NUMBERS: usize = 4 + 9;
        let bytes = length - 9;
        let begun = !self.part.is_empty() && self.part.len() <= NUMBERS;
        if !begun || self.rest.len() < NUMBERS - self.part.len() + bytes {
            return None;
        }
        self.fill(NUMBERS);
        let mut numbers = &self.peek()[5..NUMBERS];
        let (piece, offset) = (PieceIndex(numbers.get_u32()), numbers.get_u32());
        self.skip(NUMBERS);
        Some(Message::Piece {
            piece,
            offset,
            data: self.rest.split_to(bytes),
        })
    }

    /// Collects `n` bytes at the front, if they have come. They lie in `part`
    /// if it is not empty, and else in `rest`.
    fn fill(&mut self, n: usize) -> bool {
        if self.part.is_empty() && self.rest.len() >= n {
            return true;
        }
        if self.part.len() < n {
            let more = (n - self.part.len()).min(self.rest.len());
            if self.part.is_empty() && 2 * more >= n {
                // Most of it is there: no more room than it takes.
                self.part.reserve(n);
            }
            self.part.extend_from_slice(&self.rest[..more]);
            self.rest.advance(more);
        }
        self.part.len() >= n
    }

    /// Takes `n` bytes that [`fill`](Self::fill) has collected.
    fn take(&mut self, n: usize) -> Bytes {
        if self.part.is_empty() {
            self.rest.split_to(n)
        } else {
            // It is all there is, and its room goes with it: thousands of
            // connections each keeping the room of a block is memory.
            debug_assert_eq!(self.part.len(), n, "no more is collected than asked for");
            std::mem::take(&mut self.part).freeze()
        }
    }

    /// Drops `n` bytes that [`fill`](Self::fill) has collected.
    fn skip(&mut self, n: usize) {
        if self.part.is_empty() {
            self.rest.advance(n);
        } else {
            debug_assert_eq!(self.part.len(), n, "no more is collected than asked for");
            self.part = BytesMut::new();
        }
    }

    fn check_length(&self, id: u8, length: usize) -> Result<(), Error> {
        let payload = length - 1;
        let good = match id {
            id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED => payload == 0,
            id::HAVE_ALL | id::HAVE_NONE => payload == 0,
            id::HAVE | id::SUGGEST | id::ALLOWED_FAST => payload == 4,
            id::REQUEST | id::CANCEL | id::REJECT => payload == 12,
            id::PORT => payload == 2,
            id::BITFIELD => payload <= self.bitfield,
            id::PIECE => (9..=8 + BLOCK).contains(&payload),
            id::EXTENDED => (1..=1 + MAX_EXTENDED).contains(&payload),
            id::HASH_REQUEST | id::HASH_REJECT => payload == HashSpan::LENGTH,
            id::HASHES => {
                payload >= HashSpan::LENGTH && (payload - HashSpan::LENGTH).is_multiple_of(32)
            }
            _ => payload <= MAX_EXTENDED,
        };
        if good {
            Ok(())
        } else {
            Err(Error::Length {
                id: Some(id),
                got: length,
            })
        }
    }
}

/// Reads a message that is nothing but numbers: most are, and no room is shared
/// for them.
fn plain(id: u8, mut frame: &[u8]) -> Option<Message> {
    Some(match id {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(PieceIndex(frame.get_u32())),
        id::REQUEST => Message::Request(block(frame)),
        id::CANCEL => Message::Cancel(block(frame)),
        id::PORT => Message::Port(frame.get_u16()),
        id::SUGGEST => Message::Suggest(PieceIndex(frame.get_u32())),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(block(frame)),
        id::ALLOWED_FAST => Message::AllowedFast(PieceIndex(frame.get_u32())),
        id::HASH_REQUEST => Message::HashRequest(HashSpan::decode(&mut frame)),
        id::HASH_REJECT => Message::HashReject(HashSpan::decode(&mut frame)),
        _ => return None,
    })
}

/// Reads a message that carries bytes.
fn parse(id: u8, mut frame: Bytes) -> Message {
    match id {
        id::BITFIELD => Message::Bitfield(frame),
        id::PIECE => Message::Piece {
            piece: PieceIndex(frame.get_u32()),
            offset: frame.get_u32(),
            data: frame,
        },
        id::EXTENDED => Message::Extended {
            id: frame.get_u8(),
            payload: frame,
        },
        id::HASHES => Message::Hashes {
            span: HashSpan::decode(&mut frame),
            hashes: frame,
        },
        other => Message::Unknown(other),
    }
}

fn block(mut frame: &[u8]) -> Block {
    Block {
        piece: PieceIndex(frame.get_u32()),
        offset: frame.get_u32(),
        length: frame.get_u32(),
    }
}

/// Why a stream is no stream of messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A message is too long, or not as long as its kind must be.
    #[error("expected another length of message {}, got {got}", id.map_or("any".to_owned(), |id| id.to_string()))]
    Length {
        /// The message's number, where it has come.
        id: Option<u8>,
        /// Its length, the number counted.
        got: usize,
    },
}
