//! A swarm that is fed with anything in any order, from the bytes of a fuzzer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::Verdict;
use gt_vfs::content::BLOCK;

use super::Matter;
use crate::geometry::{Block, FileIndex, PieceIndex};
use crate::handshake::{Abilities, Handshake};
use crate::hashes::HashSpan;
use crate::message::Message;
use crate::swarm::{
    ConnId, Content, Digests, Failure, Input, MirrorId, Options, Output, ReadId, Source,
};
use crate::turn;
use crate::{InfoHash, PeerId, Swarm};

/// The most outputs that one input may bring about: as many as 12 pieces and
/// 5 connections can, many times over.
const OUTPUTS: usize = 5000;

/// Reads numbers off the bytes; zeros after the end.
struct Bits<'a>(&'a [u8]);

impl Bits<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, n: u32) -> u32 {
        u32::from(self.byte()) % n
    }

    fn number(&mut self) -> u32 {
        match self.byte() {
            0..240 => self.below(20),
            _ => u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
        }
    }
}

/// Feeds a swarm with what the bytes say, and panics where it breaks its
/// contract: a wait that is over, outputs without end, connections that nobody
/// made.
///
/// # Panics
/// Where the swarm is at fault.
pub fn garble(raw: &[u8]) {
    let mut bits = Bits(raw);
    let matter = Matter::v2(&[12 * BLOCK, 0, 5], 2 * BLOCK);
    let mut options = Options::new(PeerId([200; 20]), InfoHash([7; 20]), 5);
    options.extensions = vec!["a".into()];
    options.mirrors = bits.below(4) as usize;
    options.content = match bits.below(4) {
        0 => None,
        1 => Some(Content::whole(matter.known.clone())),
        2 => Some(Content::new(matter.known.clone())),
        _ => Some(Content::new(matter.roots.clone())),
    };
    let mut swarm = Swarm::new(options);
    let mut now = Duration::ZERO;
    while !bits.0.is_empty() {
        now += Duration::from_micros(u64::from(bits.byte()).pow(3) / 8);
        let input = input(&mut bits, &matter);
        swarm.handle(now, input);
        let mut outputs = 0;
        loop {
            if let Output::Wait(at) = swarm.poll() {
                assert!(at > now, "a wait that is over");
                break;
            }
            outputs += 1;
            assert!(outputs < OUTPUTS, "outputs without end");
        }
        assert!(swarm.peers().len() <= 5, "connections that nobody made");
    }
}

fn block(bits: &mut Bits<'_>) -> Block {
    Block {
        piece: PieceIndex(bits.number()),
        offset: bits.below(4) * BLOCK as u32,
        length: match bits.below(4) {
            0 => bits.number(),
            _ => BLOCK as u32,
        },
    }
}

fn span(bits: &mut Bits<'_>, matter: &Matter) -> HashSpan {
    let file = bits.below(3) as usize;
    let root = matter.known.files().get(file).and_then(|f| f.root);
    HashSpan {
        root: root.unwrap_or(gt_vfs::Root([3; 32])),
        base: bits.below(4),
        index: bits.number(),
        length: 1 << bits.below(5),
        proofs: bits.below(6),
    }
}

fn words(bits: &mut Bits<'_>, matter: &Matter) -> Bytes {
    let message = match bits.below(22) {
        0 | 1 => {
            let hello = Handshake {
                abilities: Abilities::OURS,
                info_hash: InfoHash([7; 20]),
                peer_id: PeerId([bits.byte() % 5; 20]),
            };
            return Bytes::copy_from_slice(&hello.encode());
        }
        2 => Message::Choke,
        3 => Message::Unchoke,
        4 => Message::Interested,
        5 => Message::NotInterested,
        6 => Message::HaveAll,
        7 => Message::HaveNone,
        8 => Message::Have(PieceIndex(bits.number())),
        9 => Message::Request(block(bits)),
        10 => Message::Cancel(block(bits)),
        11 => Message::Reject(block(bits)),
        12 => {
            let block = block(bits);
            Message::Piece {
                piece: block.piece,
                offset: block.offset,
                data: matter_or_noise(bits, matter, block),
            }
        }
        13 => Message::HashRequest(span(bits, matter)),
        14 => Message::Hashes {
            span: span(bits, matter),
            hashes: vec![1; 32 * bits.below(40) as usize].into(),
        },
        15 => Message::HashReject(span(bits, matter)),
        16 => Message::Extended {
            id: 0,
            payload: Bytes::from_static(b"d1:md7:gt_turni2e1:ai3ee4:reqqi9ee"),
        },
        17 => Message::Extended {
            id: bits.byte() % 5,
            payload: turn::Message::Take {
                bytes: bits.number(),
            }
            .write(),
        },
        18 => Message::Extended {
            id: bits.byte() % 5,
            payload: turn::Message::Grant {
                bytes: bits.number() << 12,
                piece: Some(PieceIndex(bits.number())),
            }
            .write(),
        },
        19 => Message::Extended {
            id: bits.byte() % 5,
            payload: turn::Message::Promise {
                bytes: bits.number() << 12,
                piece: PieceIndex(bits.number()),
            }
            .write(),
        },
        20 => Message::Extended {
            id: bits.byte() % 5,
            payload: proof(bits, matter).write(),
        },
        _ => {
            let length = (bits.byte() as usize).min(bits.0.len());
            let (said, rest) = bits.0.split_at(length);
            bits.0 = rest;
            return Bytes::copy_from_slice(said);
        }
    };
    message.to_bytes()
}

/// The leaves of a piece, right or not.
fn proof(bits: &mut Bits<'_>, matter: &Matter) -> turn::Message {
    let piece = PieceIndex(bits.number());
    let hashes = match bits.below(3) {
        0 => vec![1; 32 * (1 + bits.below(8) as usize)],
        _ if piece.0 < matter.known.pieces() => {
            let digests = matter.digests(piece, false, true, |_| true);
            digests.leaves.concat()
        }
        _ => vec![2; 64],
    };
    let hashes = hashes.into();
    turn::Message::Proof { piece, hashes }
}

fn matter_or_noise(bits: &mut Bits<'_>, matter: &Matter, block: Block) -> Bytes {
    let known = block.piece.0 < matter.known.pieces();
    if bits.below(2) == 0 && known && matter.known.blocks(block.piece).any(|b| b == block) {
        matter.read(block)
    } else {
        vec![9; 1 + bits.byte() as usize].into()
    }
}

fn input(bits: &mut Bits<'_>, matter: &Matter) -> Input {
    let failure = |bits: &mut Bits<'_>| match bits.below(3) {
        0 => Some(Failure::passing("x")),
        1 => Some(Failure::lasting("x")),
        _ => None,
    };
    let conn = ConnId(u64::from(bits.below(5)));
    let addr = SocketAddr::from(([20, (conn.0 + 1) as u8, 1, 1], 6881));
    match bits.below(32) {
        0 | 1 => Input::Connected {
            conn,
            addr,
            outgoing: bits.below(2) == 0,
        },
        2 => Input::ConnectFailed { addr },
        3 => Input::Sent {
            conn,
            bytes: bits.number() as usize,
        },
        4 => Input::Disconnected { conn },
        5 | 6 => Input::BlockRead {
            id: ReadId(u64::from(bits.below(40))),
            result: match failure(bits) {
                Some(why) => Err(why),
                None => Ok(vec![1; BLOCK].into()),
            },
        },
        7 | 8 => {
            let block = block(bits);
            let leaf = match bits.below(3) {
                0 => None,
                right => matter.leaf(block, right == 1),
            };
            let result = failure(bits).map_or(Ok(leaf), Err);
            Input::Written { block, result }
        }
        9 | 10 => {
            let piece = PieceIndex(bits.below(8));
            let right = bits.below(2) == 0;
            let known = piece.0 < matter.known.pieces();
            let result = match failure(bits) {
                Some(why) => Err(why),
                None if known => Ok(matter.digests(piece, false, true, |_| right)),
                None => Ok(Digests::default()),
            };
            Input::PieceHashed { piece, result }
        }
        11 => Input::FileClosed {
            file: FileIndex(bits.below(4)),
            result: match (failure(bits), bits.below(4)) {
                (Some(why), _) => Err(why),
                (None, 0) => Ok(Verdict::reject("x")),
                (None, _) => Ok(Verdict::Accept),
            },
        },
        12 => Input::Peers {
            addrs: vec![addr, SocketAddr::from(([20, bits.byte(), 1, 1], 6881))],
            source: match bits.below(6) {
                0 => Source::Person,
                1 => Source::Tracker,
                2 => Source::Neighbour,
                3 => Source::Exchange,
                4 => Source::Dht,
                _ => Source::Swarm,
            },
        },
        13 => Input::Announced {
            interval: match bits.below(3) {
                0 => None,
                1 => Some(Duration::ZERO),
                _ => Some(Duration::from_secs(u64::from(bits.number()))),
            },
        },
        14 => Input::SendExtended {
            conn,
            name: "a".into(),
            payload: vec![0; bits.byte() as usize].into(),
        },
        15 => Input::Want {
            piece: PieceIndex(bits.number()),
            by: Some(Duration::from_secs(u64::from(bits.byte()))),
        },
        16 => Input::Tick,
        17 => Input::OverDatagrams { conn },
        18 | 19 => {
            let block = block(bits);
            let result = match failure(bits) {
                Some(why) => Err(why),
                None => Ok(matter_or_noise(bits, matter, block)),
            };
            Input::Fetched {
                mirror: MirrorId(bits.below(4)),
                block,
                result,
            }
        }
        20 => match bits.below(8) {
            // What ends all is rare: nothing comes of anything after it.
            0 => Input::Stop,
            1 | 2 => Input::Ban {
                conn,
                why: "x".into(),
            },
            _ => Input::Tick,
        },
        _ => Input::Received {
            conn,
            bytes: words(bits, matter),
        },
    }
}
