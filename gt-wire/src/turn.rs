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

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::geometry::PieceIndex;

/// The extension's name in the extension handshake.
pub const NAME: &str = "gt_turn";

/// The most bytes of one turn.
pub const MOST: u32 = 1 << 20;

const GRANT: u8 = 1;
const HAND: u8 = 2;
const TAKE: u8 = 3;
const PROMISE: u8 = 4;
const PROOF: u8 = 5;

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
}

impl Message {
    /// Writes the payload.
    pub fn write(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(9);
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
        }
        out.freeze()
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
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(kind in 0u8..5, bytes: u32, piece: u32, hashes in 1usize..=PROOF_MOST) {
            let message = match kind {
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
            kind in 0u8..8,
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
}
