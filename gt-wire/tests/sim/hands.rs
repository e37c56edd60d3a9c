//! One origin and one peer whose every word is written here: what it is handed
//! when it takes all, and when it passes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;
use gt_wire::extended::Extensions;
use gt_wire::handshake::{Abilities, Handshake};
use gt_wire::message::{Decoder, Message};
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content, Input, Options, Output, ReadId};
use gt_wire::{Block, InfoHash, PeerId, PieceIndex, Swarm, turn};

const CONN: ConnId = ConnId(1);
const PIECES: u32 = 40;
const HANDSHAKE: usize = 68;

/// Blocks that we say that we take at a time.
const QUEUE: usize = 500;

struct Stage {
    origin: Swarm,
    now: Duration,
    matter: Matter,
    heard: Decoder,
    /// Bytes of the handshake that did not come yet.
    hello: usize,
    /// Grants without an answer.
    grants: VecDeque<(u32, PieceIndex)>,
    reads: VecDeque<(ReadId, Block)>,
    blocks: usize,
    number: u8,
}

impl Stage {
    /// The peer has nothing and wants everything.
    fn new(piece: usize) -> Self {
        let matter = Matter::v1(PIECES as usize * piece, piece);
        let hash = InfoHash([7; 20]);
        let mut options = Options::new(PeerId([1; 20]), hash, 5);
        options.content = Some(Content::whole(matter.known.clone()));
        let mut stage = Self {
            origin: Swarm::new(options),
            now: Duration::from_secs(1),
            heard: Decoder::new(PIECES),
            matter,
            hello: HANDSHAKE,
            grants: VecDeque::new(),
            reads: VecDeque::new(),
            blocks: 0,
            number: 0,
        };
        stage.handle(Input::Connected {
            conn: CONN,
            addr: SocketAddr::from(([9, 9, 9, 9], 9)),
            outgoing: false,
        });
        let shake = Handshake {
            abilities: Abilities::OURS,
            info_hash: hash,
            peer_id: PeerId([2; 20]),
        };
        stage.hear(Bytes::copy_from_slice(&shake.encode()));
        let mut said = Extensions::default();
        said.numbers.insert(turn::NAME.into(), 9);
        let payload = said.write();
        stage.say(Message::Extended { id: 0, payload });
        stage.say(Message::HaveNone);
        stage.say(Message::Interested);
        stage
    }

    fn hear(&mut self, bytes: Bytes) {
        self.handle(Input::Received { conn: CONN, bytes });
    }

    fn say(&mut self, message: Message) {
        self.hear(message.to_bytes());
    }

    fn handle(&mut self, input: Input) {
        self.origin.handle(self.now, input);
        loop {
            match self.origin.poll() {
                Output::Wait(_) => return,
                Output::Send { bytes, .. } => {
                    let sent = bytes.len();
                    let hello = self.hello.min(sent);
                    self.hello -= hello;
                    self.heard.push(bytes.slice(hello..));
                    self.listen();
                    let conn = CONN;
                    self.origin
                        .handle(self.now, Input::Sent { conn, bytes: sent });
                }
                Output::Read { id, block } => self.reads.push_back((id, block)),
                Output::Disconnect { why, .. } => panic!("{why:?}"),
                _ => {}
            }
        }
    }

    fn listen(&mut self) {
        while let Some(message) = self.heard.next().unwrap() {
            match message {
                Message::Extended { id: 0, payload } => {
                    let said = Extensions::read(&payload).unwrap();
                    self.number = said.number(turn::NAME).unwrap();
                    assert_eq!(said.queue, Some(QUEUE as u32));
                }
                Message::Extended { id: 9, payload } => match turn::Message::read(&payload) {
                    Some(turn::Message::Grant { bytes, piece }) => {
                        self.grants.push_back((bytes, piece.unwrap()));
                    }
                    other => panic!("{other:?}"),
                },
                Message::Piece { .. } => self.blocks += 1,
                _ => {}
            }
        }
    }

    /// Answers the oldest grant.
    fn answer(&mut self, from: u32, bytes: u32) -> PieceIndex {
        let (_, piece) = self.grants.pop_front().unwrap();
        let payload = turn::Message::Take { bytes }.write();
        let id = self.number;
        self.say(Message::Extended { id, payload });
        for n in 0..bytes / BLOCK as u32 {
            self.say(Message::Request(Block {
                piece,
                offset: from + n * BLOCK as u32,
                length: BLOCK as u32,
            }));
        }
        piece
    }

    /// Lets the origin send all that it was asked for.
    fn serve(&mut self) {
        while let Some((id, block)) = self.reads.pop_front() {
            let result = Ok(self.matter.read(block));
            self.handle(Input::BlockRead { id, result });
        }
    }
}

/// It would pass on the rest, and pieces that are not wanted are lost to others
/// for a while.
#[test]
fn a_peer_is_handed_no_more_than_it_takes_requests_for() {
    let mut stage = Stage::new(64 * BLOCK);
    let mut most = 0;
    for n in 0..PIECES as usize {
        assert!(!stage.grants.is_empty(), "nothing after {n} pieces");
        most = most.max(stage.grants.len());
        // One at a time, so that the line is idle between them and the origin
        // finds that more should be under way.
        let piece = stage.answer(0, 64 * BLOCK as u32);
        stage.serve();
        assert_eq!(stage.blocks, 64 * (n + 1));
        stage.say(Message::Have(piece));
    }
    assert!(most > 4, "the window never grew");
    assert!(most <= QUEUE / 64, "{most} grants at a time");
}

/// It passed because it has enough, and that is over when it was served.
#[test]
fn who_passes_while_it_is_served_is_handed_the_next_piece_at_once() {
    let mut stage = Stage::new(64 * BLOCK);
    stage.answer(0, 64 * BLOCK as u32);
    let passed = stage.answer(0, 0);
    while !stage.grants.is_empty() {
        stage.answer(0, 0);
    }
    stage.serve();
    assert_eq!(stage.blocks, 64);
    assert!(!stage.grants.is_empty(), "left alone for its passes");
    // What was not wanted is last in the order, not first.
    assert!(stage.grants.iter().all(|(_, piece)| *piece != passed));
}

/// A piece that is longer than a turn does not wait for each of its turns.
#[test]
fn the_turns_of_a_long_piece_come_together() {
    let blocks = (turn::MOST / BLOCK as u32) as usize;
    let mut stage = Stage::new(4 * blocks * BLOCK);
    let first = stage.grants[0];
    let of_it = stage.grants.iter().filter(|grant| **grant == first).count();
    assert_eq!(of_it, 4, "{:?}", stage.grants);
    for n in 0..4 {
        stage.answer(n * turn::MOST, turn::MOST);
    }
    stage.serve();
    assert_eq!(stage.blocks, 4 * blocks);
}
