//! The messages after the handshake: BEP 3, BEP 6, BEP 10 and BEP 52.

mod decoder;

use bytes::{BufMut, Bytes};
use gt_vfs::content::BLOCK;

use crate::geometry::{Block, PieceIndex};
use crate::hashes::{HashSpan, MAX_HASHES};

pub use decoder::{Decoder, Error};

/// Longest payload of an extended message (BEP 10), its id left out: a part
/// of 16 KiB and a dictionary before it.
pub const MAX_EXTENDED: usize = BLOCK + 1024;

/// Longest frame other than a bitfield, its length prefix left out: hashes
/// are the longest, with up to [`MAX_HASHES`] and a proof of 32 more.
pub const MAX_FRAME: usize = 1 + HashSpan::LENGTH + 32 * (MAX_HASHES as usize + 32);

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Nothing but a sign of life.
    KeepAlive,
    /// Requests will not be answered.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The receiver has something that the sender wants.
    Interested,
    /// It has not.
    NotInterested,
    /// The sender has one more piece.
    Have(PieceIndex),
    /// The pieces that the sender has, as bits; see
    /// [`Bitfield::read`](crate::bitfield::Bitfield::read).
    Bitfield(Bytes),
    /// Asks for a block.
    Request(Block),
    /// A block.
    Piece {
        /// The piece that it belongs to.
        piece: PieceIndex,
        /// Where it begins in the piece.
        offset: u32,
        /// Its bytes.
        data: Bytes,
    },
    /// Takes a request back.
    Cancel(Block),
    /// The port of the sender's DHT node (BEP 5).
    Port(u16),
    /// The sender would be glad to send this piece (BEP 6).
    Suggest(PieceIndex),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// A request that will not be answered (BEP 6).
    Reject(Block),
    /// A piece that is served in spite of a choke (BEP 6).
    AllowedFast(PieceIndex),
    /// A message of an extension (BEP 10); id 0 is the extension handshake.
    Extended {
        /// The receiver's number for the extension.
        id: u8,
        /// What it says.
        payload: Bytes,
    },
    /// Asks for hashes (BEP 52).
    HashRequest(HashSpan),
    /// Hashes and their proof (BEP 52).
    Hashes {
        /// What was asked for.
        span: HashSpan,
        /// 32 bytes for each.
        hashes: Bytes,
    },
    /// A hash request that will not be answered (BEP 52).
    HashReject(HashSpan),
    /// A message that this crate does not know; receivers pass over it.
    Unknown(u8),
}

/// Numbers of messages.
mod id {
    pub(super) const CHOKE: u8 = 0;
    pub(super) const UNCHOKE: u8 = 1;
    pub(super) const INTERESTED: u8 = 2;
    pub(super) const NOT_INTERESTED: u8 = 3;
    pub(super) const HAVE: u8 = 4;
    pub(super) const BITFIELD: u8 = 5;
    pub(super) const REQUEST: u8 = 6;
    pub(super) const PIECE: u8 = 7;
    pub(super) const CANCEL: u8 = 8;
    pub(super) const PORT: u8 = 9;
    pub(super) const SUGGEST: u8 = 13;
    pub(super) const HAVE_ALL: u8 = 14;
    pub(super) const HAVE_NONE: u8 = 15;
    pub(super) const REJECT: u8 = 16;
    pub(super) const ALLOWED_FAST: u8 = 17;
    pub(super) const EXTENDED: u8 = 20;
    pub(super) const HASH_REQUEST: u8 = 21;
    pub(super) const HASHES: u8 = 22;
    pub(super) const HASH_REJECT: u8 = 23;
}

impl Message {
    /// Writes the message with its length, but for the bytes of a block,
    /// bitfield or payload, which are returned to follow without a copy.
    pub fn encode(self, out: &mut Vec<u8>) -> Option<Bytes> {
        match self {
            Self::KeepAlive => out.put_u32(0),
            Self::Choke => bare(out, id::CHOKE),
            Self::Unchoke => bare(out, id::UNCHOKE),
            Self::Interested => bare(out, id::INTERESTED),
            Self::NotInterested => bare(out, id::NOT_INTERESTED),
            Self::Have(piece) => about_piece(out, id::HAVE, piece),
            Self::Bitfield(bits) => {
                head(out, id::BITFIELD, bits.len());
                return Some(bits);
            }
            Self::Request(block) => about_block(out, id::REQUEST, block),
            Self::Piece {
                piece,
                offset,
                data,
            } => {
                head(out, id::PIECE, 8 + data.len());
                out.put_u32(piece.0);
                out.put_u32(offset);
                return Some(data);
            }
            Self::Cancel(block) => about_block(out, id::CANCEL, block),
            Self::Port(port) => {
                head(out, id::PORT, 2);
                out.put_u16(port);
            }
            Self::Suggest(piece) => about_piece(out, id::SUGGEST, piece),
            Self::HaveAll => bare(out, id::HAVE_ALL),
            Self::HaveNone => bare(out, id::HAVE_NONE),
            Self::Reject(block) => about_block(out, id::REJECT, block),
            Self::AllowedFast(piece) => about_piece(out, id::ALLOWED_FAST, piece),
            Self::Extended { id, payload } => {
                head(out, id::EXTENDED, 1 + payload.len());
                out.put_u8(id);
                return Some(payload);
            }
            Self::HashRequest(span) => about_hashes(out, id::HASH_REQUEST, &span, 0),
            Self::Hashes { span, hashes } => {
                about_hashes(out, id::HASHES, &span, hashes.len());
                return Some(hashes);
            }
            Self::HashReject(span) => about_hashes(out, id::HASH_REJECT, &span, 0),
            Self::Unknown(id) => bare(out, id),
        }
        None
    }

    /// Returns the whole message as bytes, for tests and small tools.
    pub fn to_bytes(self) -> Bytes {
        let mut out = Vec::new();
        if let Some(tail) = self.encode(&mut out) {
            out.extend_from_slice(&tail);
        }
        out.into()
    }
}

fn head(out: &mut Vec<u8>, id: u8, payload: usize) {
    out.put_u32(u32::try_from(1 + payload).expect("payloads are bounded far below 4 GiB"));
    out.put_u8(id);
}

fn bare(out: &mut Vec<u8>, id: u8) {
    head(out, id, 0);
}

fn about_piece(out: &mut Vec<u8>, id: u8, piece: PieceIndex) {
    head(out, id, 4);
    out.put_u32(piece.0);
}

fn about_block(out: &mut Vec<u8>, id: u8, block: Block) {
    head(out, id, 12);
    out.put_u32(block.piece.0);
    out.put_u32(block.offset);
    out.put_u32(block.length);
}

fn about_hashes(out: &mut Vec<u8>, id: u8, span: &HashSpan, hashes: usize) {
    head(out, id, HashSpan::LENGTH + hashes);
    span.encode(out);
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use gt_vfs::Root;
    use proptest::prelude::*;

    use super::*;

    fn block() -> impl Strategy<Value = Block> {
        any::<(u32, u32, u32)>().prop_map(|(piece, offset, length)| Block {
            piece: PieceIndex(piece),
            offset,
            length,
        })
    }

    fn span() -> impl Strategy<Value = HashSpan> {
        any::<([u8; 32], u32, u32, u32, u32)>().prop_map(|(root, base, index, length, proofs)| {
            HashSpan {
                root: Root(root),
                base,
                index,
                length,
                proofs,
            }
        })
    }

    fn payload(most: usize) -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 1..most).prop_map(Bytes::from)
    }

    fn message() -> impl Strategy<Value = Message> {
        let piece = || any::<u32>().prop_map(PieceIndex);
        prop_oneof![
            Just(Message::KeepAlive),
            Just(Message::Choke),
            Just(Message::Unchoke),
            Just(Message::Interested),
            Just(Message::NotInterested),
            Just(Message::HaveAll),
            Just(Message::HaveNone),
            piece().prop_map(Message::Have),
            piece().prop_map(Message::Suggest),
            piece().prop_map(Message::AllowedFast),
            any::<u16>().prop_map(Message::Port),
            payload(125).prop_map(Message::Bitfield),
            block().prop_map(Message::Request),
            block().prop_map(Message::Cancel),
            block().prop_map(Message::Reject),
            (piece(), any::<u32>(), payload(300)).prop_map(|(piece, offset, data)| {
                Message::Piece {
                    piece,
                    offset,
                    data,
                }
            }),
            (any::<u8>(), payload(300)).prop_map(|(id, payload)| Message::Extended { id, payload }),
            span().prop_map(Message::HashRequest),
            span().prop_map(Message::HashReject),
            (span(), 0usize..9).prop_map(|(span, n)| Message::Hashes {
                span,
                hashes: vec![7; 32 * n].into()
            }),
            (24u8..).prop_map(Message::Unknown),
        ]
    }

    proptest! {
        #[test]
        fn round_trip_whatever_the_cuts(messages in prop::collection::vec(message(), 1..12), cuts in prop::collection::vec(1usize..200, 1..60)) {
            let mut stream = BytesMut::new();
            for message in messages.clone() {
                stream.put(message.to_bytes());
            }
            let mut stream = stream.freeze();
            let mut decoder = Decoder::new(1000);
            let mut seen = Vec::new();
            let mut cuts = cuts.into_iter().cycle();
            while !stream.is_empty() {
                let cut = cuts.next().unwrap().min(stream.len());
                decoder.push(stream.split_to(cut));
                while let Some(message) = decoder.next().unwrap() {
                    seen.push(message);
                }
            }
            prop_assert_eq!(seen, messages);
            prop_assert_eq!(decoder.waiting(), 0);
        }

        #[test]
        fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::new(10);
            decoder.push(raw.into());
            while let Ok(Some(_)) = decoder.next() {}
        }
    }

    #[test]
    fn a_whole_message_is_not_copied() {
        let raw = Message::Piece {
            piece: PieceIndex(1),
            offset: 0,
            data: vec![5; BLOCK].into(),
        }
        .to_bytes();
        let mut decoder = Decoder::new(10);
        decoder.push(raw.clone());
        let Some(Message::Piece { data, .. }) = decoder.next().unwrap() else {
            panic!("no piece");
        };
        assert_eq!(data.as_ptr(), raw[13..].as_ptr());
    }

    #[test]
    fn nor_are_the_bytes_of_a_block_that_come_after_its_numbers() {
        let raw = Message::Piece {
            piece: PieceIndex(1),
            offset: 16384,
            data: vec![5; BLOCK].into(),
        }
        .to_bytes();
        for cuts in [&[13][..], &[4], &[5], &[2, 5, 13], &[9]] {
            let mut decoder = Decoder::new(10);
            let mut from = 0;
            for cut in cuts {
                decoder.push(raw.slice(from..*cut));
                assert_eq!(decoder.next(), Ok(None));
                from = *cut;
            }
            decoder.push(raw.slice(from..));
            let Ok(Some(Message::Piece {
                piece,
                offset,
                data,
            })) = decoder.next()
            else {
                panic!("no piece after {cuts:?}");
            };
            assert_eq!((piece, offset, data.len()), (PieceIndex(1), 16384, BLOCK));
            assert_eq!(data.as_ptr(), raw[13..].as_ptr(), "{cuts:?}");
            assert_eq!(decoder.waiting(), 0);
        }
    }

    #[test]
    fn wrong_lengths_by_name() {
        let refuse = |name: &str, raw: &[u8]| {
            let mut decoder = Decoder::new(9);
            decoder.push(Bytes::copy_from_slice(raw));
            assert!(decoder.next().is_err(), "{name}");
        };
        refuse("four gigabytes", &[0xff; 4]);
        refuse("choke with a payload", &[0, 0, 0, 2, 0, 0]);
        refuse("have of three bytes", &[0, 0, 0, 4, 4, 0, 0, 0]);
        refuse("bitfield of three bytes for nine pieces", &[0, 0, 0, 4, 5]);
        refuse("request of eleven bytes", &[0, 0, 0, 12, 6]);
        refuse("a block of nothing", &[0, 0, 0, 9, 7]);
        refuse("a block past 16 KiB", &[0, 0, 0x40, 10, 7]);
        refuse("an extension past its part", &[0, 0, 0x44, 3, 20]);
        refuse("an extension without a number", &[0, 0, 0, 1, 20]);
        refuse("half a hash", &[0, 0, 0, 65, 22]);
    }
}
