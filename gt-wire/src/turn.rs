//! `gt_turn` (BEP 10): turns between peers of our own kind.
//!
//! A turn is the permission to fetch one piece. Stock peers are let in for
//! ten seconds or more and cut whatever they like out of an uplink that they
//! share; a turn hands the whole uplink to one peer for one piece, and costs
//! no choke and unchoke (SWARM.md, U1 to U3).
//!
//! ```text
//! giver ── grant: up to 1 MiB, of piece 7 if that suits you ──▶ taker
//!       ◀── take: 131,072 bytes ── request ── request ── … ──
//!       ── piece ── piece ── … ──▶                    (or: take 0, a pass)
//! ```
//!
//! Each grant is answered by one take, in order. Requests beyond what was
//! taken are refused as those of a choked peer are.
//!
//! An origin that gives away what nobody else has need not ask: a gift is a
//! grant whose blocks follow at once, and its answer tells whether to go on.
//!
//! ```text
//! origin ── have 7 ── gift: 7 ── piece ── piece ── … ──▶ taker
//!        ◀── take: 131,072 bytes ──                (or: take 0, no more of it)
//! ```
//!
//! In v2 a proof may go before: the hashes by which each block of a piece is
//! known for right as soon as it is there, so that it can be given on while the
//! rest of the piece comes. Each message is a number and big-endian fields:
//!
//! | number | message | fields |
//! |---|---|---|
//! | 1 | grant | bytes: u32 |
//! | 2 | grant of a piece | bytes: u32, piece: u32 |
//! | 3 | take | bytes: u32 |
//! | 4 | promise | bytes: u32, piece: u32 |
//! | 5 | proof | piece: u32, hashes: 32 bytes each |
//! | 6 | gift | piece: u32 |
//! | 7 | take of a whole piece | piece: u32 |
//! | 8 | pieces that the sender has | the first and the steps to the next ones, as below |
//! | 9 | the sender knows all piece layers | |
//!
//! Gifts, takes of whole pieces, lists of pieces and word of piece layers go to those alone who said
//! in their handshake that they know them
//! ([`Abilities::turns`](crate::handshake::Abilities::turns)). A take of a whole
//! piece stands for the take of its length and the requests of all of its blocks
//! in order. A list of pieces stands for as many BEP 3 haves; its numbers rise,
//! and the first and each step are written in groups of seven bits, the lowest
//! first, each but the last with its highest bit set.

use bytes::{Buf, BufMut, Bytes};

use crate::geometry::PieceIndex;

/// The extension's name in the extension handshake.
pub const NAME: &str = "gt_turn";

/// The number of the extension with whoever has turns from the handshake on.
pub const NUMBER: u8 = 3;

/// The most bytes of one turn.
pub const MOST: u32 = 1 << 20;

const GRANT: u8 = 1;
const HAND: u8 = 2;
const TAKE: u8 = 3;
const PROMISE: u8 = 4;
const PROOF: u8 = 5;
const GIFT: u8 = 6;
const WHOLE: u8 = 7;
const PIECES: u8 = 8;
const LAYERS: u8 = 9;

/// The most pieces of one list.
pub(crate) const PIECES_MOST: usize = 1024;

/// The most hashes of a proof: the leaves of the longest turn, and uncles.
pub(crate) const PROOF_MOST: usize = 64 + 32;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// The other end may fetch blocks of one piece.
    Grant {
        /// How many bytes of it.
        bytes: u32,
        /// The piece that the giver would like to be fetched, which the taker
        /// need not follow.
        piece: Option<PieceIndex>,
    },
    /// As a grant, of a piece that the giver does not have yet, but expects to
    /// have by the time the requests come. They wait for it; should it turn
    /// out wrong, or not come, they are refused.
    Promise {
        /// How many bytes of it.
        bytes: u32,
        /// The piece. The taker may ask for another one that the giver has.
        piece: PieceIndex,
    },
    /// The answer: so many bytes are asked for, none for a pass.
    Take {
        /// How many.
        bytes: u32,
    },
    /// The hashes of the blocks of a piece, as many as its tree is wide, those
    /// that lack as zeros; for who may not know the piece's own hash, the
    /// uncles up to the file's root after them (BEP 52). Nobody asks for it and
    /// nobody answers it; it goes before the grant or the blocks.
    Proof {
        /// The piece.
        piece: PieceIndex,
        /// 32 bytes each.
        hashes: Bytes,
    },
    /// A grant of a piece all of whose blocks follow, in order and unasked. It
    /// is answered as a grant is.
    Gift {
        /// The piece.
        piece: PieceIndex,
    },
    /// The answer to a grant: all blocks of a piece are asked for.
    Whole {
        /// The piece.
        piece: PieceIndex,
    },
    /// Pieces that the sender has now.
    Pieces {
        /// Which; they are written each once, in order.
        pieces: Vec<PieceIndex>,
    },
    /// The sender knows the piece layers of all files, and tells them to who
    /// asks (BEP 52). Who lacks them asks there first.
    Layers,
}

impl Message {
    /// Writes the payload.
    pub fn write(&self) -> Bytes {
        let length = match self {
            Self::Layers => 1,
            Self::Grant { piece: None, .. }
            | Self::Take { .. }
            | Self::Gift { .. }
            | Self::Whole { .. } => 5,
            Self::Grant { .. } | Self::Promise { .. } => 9,
            Self::Proof { hashes, .. } => 5 + hashes.len(),
            Self::Pieces { pieces } => 1 + 2 * pieces.len(),
        };
        let mut out = Vec::with_capacity(length);
        match *self {
            Self::Grant { bytes, piece: None } => {
                out.put_u8(GRANT);
                out.put_u32(bytes);
            }
            Self::Grant {
                bytes,
                piece: Some(piece),
            } => {
                out.put_u8(HAND);
                out.put_u32(bytes);
                out.put_u32(piece.0);
            }
            Self::Promise { bytes, piece } => {
                out.put_u8(PROMISE);
                out.put_u32(bytes);
                out.put_u32(piece.0);
            }
            Self::Take { bytes } => {
                out.put_u8(TAKE);
                out.put_u32(bytes);
            }
            Self::Proof { piece, ref hashes } => {
                out.put_u8(PROOF);
                out.put_u32(piece.0);
                out.put_slice(hashes);
            }
            Self::Gift { piece } => {
                out.put_u8(GIFT);
                out.put_u32(piece.0);
            }
            Self::Whole { piece } => {
                out.put_u8(WHOLE);
                out.put_u32(piece.0);
            }
            Self::Layers => out.put_u8(LAYERS),
            Self::Pieces { ref pieces } => {
                out.put_u8(PIECES);
                let mut pieces = pieces.clone();
                pieces.sort_unstable();
                pieces.dedup();
                let mut before = 0;
                for piece in pieces {
                    put_step(&mut out, piece.0 - before);
                    before = piece.0;
                }
            }
        }
        out.into()
    }

    /// Reads a payload; `None` for what a later version may say.
    pub fn read(payload: &Bytes) -> Option<Self> {
        let (id, length) = (*payload.first()?, payload.len());
        let mut payload = payload.slice(1..);
        Some(match (id, length) {
            (GRANT, 5) => Self::Grant {
                bytes: payload.get_u32(),
                piece: None,
            },
            (HAND, 9) => Self::Grant {
                bytes: payload.get_u32(),
                piece: Some(PieceIndex(payload.get_u32())),
            },
            (PROMISE, 9) => Self::Promise {
                bytes: payload.get_u32(),
                piece: PieceIndex(payload.get_u32()),
            },
            (TAKE, 5) => Self::Take {
                bytes: payload.get_u32(),
            },
            (PROOF, 37..) if (length - 5).is_multiple_of(32) && length <= 5 + 32 * PROOF_MOST => {
                Self::Proof {
                    piece: PieceIndex(payload.get_u32()),
                    hashes: payload,
                }
            }
            (GIFT, 5) => Self::Gift {
                piece: PieceIndex(payload.get_u32()),
            },
            (WHOLE, 5) => Self::Whole {
                piece: PieceIndex(payload.get_u32()),
            },
            (LAYERS, 1) => Self::Layers,
            (PIECES, 2..) => Self::Pieces {
                pieces: get_pieces(payload)?,
            },
            _ => return None,
        })
    }
}

/// Writes a number in groups of seven bits.
fn put_step(out: &mut Vec<u8>, mut step: u32) {
    while step > 0x7f {
        out.put_u8(step as u8 | 0x80);
        step >>= 7;
    }
    out.put_u8(step as u8);
}

/// Reads a list of pieces to its end; `None` where its numbers do not rise, are
/// not written in the shortest way, or are too many.
fn get_pieces(mut payload: Bytes) -> Option<Vec<PieceIndex>> {
    let mut pieces: Vec<PieceIndex> = Vec::new();
    while payload.has_remaining() {
        let (mut step, mut shift) = (0, 0);
        loop {
            let byte = payload.try_get_u8().ok()?;
            let group = u32::from(byte & 0x7f);
            step |= group.checked_shl(shift).filter(|n| n >> shift == group)?;
            shift += 7;
            if byte & 0x80 == 0 {
                if group == 0 && shift > 7 {
                    return None;
                }
                break;
            }
        }
        let next = match pieces.last() {
            Some(_) if step == 0 => return None,
            Some(last) => last.0.checked_add(step)?,
            None => step,
        };
        if pieces.len() >= PIECES_MOST {
            return None;
        }
        pieces.push(PieceIndex(next));
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(
            kind in 0u8..9,
            bytes: u32,
            piece: u32,
            hashes in 1usize..=PROOF_MOST,
            pieces in prop::collection::btree_set(any::<u32>(), 1..40),
        ) {
            let message = match kind {
                5 => Message::Gift { piece: PieceIndex(piece) },
                6 => Message::Whole { piece: PieceIndex(piece) },
                8 => Message::Layers,
                7 => Message::Pieces { pieces: pieces.into_iter().map(PieceIndex).collect() },
                4 => Message::Proof {
                    piece: PieceIndex(piece),
                    hashes: vec![bytes as u8; 32 * hashes].into(),
                },
                0 => Message::Grant { bytes, piece: None },
                1 => Message::Grant { bytes, piece: Some(PieceIndex(piece)) },
                2 => Message::Promise { bytes, piece: PieceIndex(piece) },
                _ => Message::Take { bytes },
            };
            prop_assert_eq!(Message::read(&message.write()), Some(message));
        }

        #[test]
        fn strange_payloads_are_passed_over(
            kind in 0u8..11,
            mut raw in prop::collection::vec(any::<u8>(), 0..12),
            more in prop_oneof![Just(0), 0usize..4000],
        ) {
            raw.extend(std::iter::repeat_n(7, more));
            if let Some(first) = raw.first_mut() {
                *first = kind;
            }
            let raw = Bytes::from(raw);
            if let Some(message) = Message::read(&raw) {
                prop_assert_eq!(&message.write()[..], &raw[..]);
            }
        }
    }

    #[test]
    fn a_list_of_pieces_costs_little_and_has_one_form() {
        for pieces in [&[0, 1, 129, 130][..], &[129, 1, 0, 130, 1]] {
            let pieces = pieces.iter().copied().map(PieceIndex).collect();
            let written = Message::Pieces { pieces }.write();
            assert_eq!(&written[..], [PIECES, 0, 1, 0x80, 1, 1]);
        }
        for wrong in [
            // No end, a piece twice, a step in two bytes that fits into one,
            // more than 32 bits, and past the last piece.
            &[PIECES, 0x80][..],
            &[PIECES, 3, 0],
            &[PIECES, 0x83, 0],
            &[PIECES, 0xff, 0xff, 0xff, 0xff, 0x1f],
            &[PIECES, 0xff, 0xff, 0xff, 0xff, 0x0f, 1],
        ] {
            assert_eq!(Message::read(&Bytes::copy_from_slice(wrong)), None);
        }
        let mut many = vec![1; PIECES_MOST + 1];
        many[0] = PIECES;
        assert!(Message::read(&Bytes::from(many.clone())).is_some());
        many.push(1);
        assert_eq!(Message::read(&Bytes::from(many)), None);
    }
}
