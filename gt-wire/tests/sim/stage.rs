//! One swarm, and peers whose every word is written by the test.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;
use gt_wire::extended::Extensions;
use gt_wire::handshake::{Abilities, Handshake};
use gt_wire::message::{Decoder, Message};
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content, Event, Input, Options, Output, ReadId};
use gt_wire::{Block, InfoHash, PeerId, PieceIndex, Swarm, turn};

const HANDSHAKE: usize = 68;

/// Blocks that we say that we take at a time.
pub const QUEUE: usize = 500;

/// The peers' number for turns.
const TURN: u8 = 9;

const INFO: InfoHash = InfoHash([7; 20]);

/// What one peer has heard.
struct Ear {
    heard: Decoder,
    /// Bytes of the handshake that did not come yet.
    hello: usize,
    /// The swarm's number for turns.
    number: u8,
    /// Whether it has turns from the handshake on.
    gives: bool,
    /// Gifts without an answer.
    gifts: VecDeque<PieceIndex>,
    /// Grants without an answer.
    grants: VecDeque<(u32, Option<PieceIndex>)>,
    /// Hashes that it was told, and how many grants it had before.
    proofs: Vec<(PieceIndex, Bytes, usize)>,
    messages: Vec<Message>,
}

impl Ear {
    /// Its number for turns.
    fn turn(&self) -> u8 {
        if self.gives { turn::NUMBER } else { TURN }
    }
}

pub struct Stage {
    swarm: Swarm,
    pub now: Duration,
    pub matter: Matter,
    ears: BTreeMap<ConnId, Ear>,
    pub reads: VecDeque<(ReadId, Block)>,
    /// Pieces whose hash is awaited.
    pub hashing: Vec<PieceIndex>,
    /// Who was thrown out.
    pub gone: Vec<ConnId>,
    /// Pieces that were said to be here.
    pub done: Vec<PieceIndex>,
}

impl Stage {
    /// A swarm that has everything, or nothing, of some v1 pieces.
    pub fn new(pieces: usize, piece: usize, whole: bool) -> Self {
        let matter = Matter::v1(pieces * piece, piece);
        let known = matter.known.clone();
        let content = match whole {
            true => Content::whole(known),
            false => Content::new(known),
        };
        Self::with(matter, content)
    }

    /// A swarm with some of a torrent.
    pub fn with(matter: Matter, content: Content) -> Self {
        let mut options = Options::new(PeerId([1; 20]), INFO, 5);
        options.content = Some(content);
        Self {
            swarm: Swarm::new(options),
            now: Duration::from_secs(1),
            matter,
            ears: BTreeMap::new(),
            reads: VecDeque::new(),
            hashing: Vec::new(),
            gone: Vec::new(),
            done: Vec::new(),
        }
    }

    /// A peer comes that takes turns once it has said so, or one of another kind.
    pub fn join(&mut self, conn: ConnId, turns: bool) {
        self.shake(conn, Abilities::OURS.without_turns());
        let mut said = Extensions::default();
        if turns {
            said.numbers.insert(turn::NAME.into(), TURN);
        }
        let payload = said.write();
        self.say(conn, Message::Extended { id: 0, payload });
    }

    /// A peer comes and says its handshake, and nothing else yet.
    pub fn shake(&mut self, conn: ConnId, abilities: Abilities) {
        let gives = abilities.turns();
        let ear = Ear {
            gives,
            gifts: VecDeque::new(),
            heard: Decoder::new(self.matter.known.pieces()),
            hello: HANDSHAKE,
            number: turn::NUMBER,
            grants: VecDeque::new(),
            proofs: Vec::new(),
            messages: Vec::new(),
        };
        self.ears.insert(conn, ear);
        let n = conn.0 as u8;
        self.handle(Input::Connected {
            conn,
            addr: SocketAddr::from(([9, n, 9, 9], 9)),
            outgoing: false,
        });
        let shake = Handshake {
            abilities,
            info_hash: INFO,
            peer_id: PeerId([n + 1; 20]),
        };
        self.hear(conn, Bytes::copy_from_slice(&shake.encode()));
    }

    fn hear(&mut self, conn: ConnId, bytes: Bytes) {
        self.handle(Input::Received { conn, bytes });
    }

    pub fn say(&mut self, conn: ConnId, message: Message) {
        self.hear(conn, message.to_bytes());
    }

    /// A peer sends a block.
    pub fn send(&mut self, conn: ConnId, block: Block) {
        let data = self.matter.read(block);
        let Block { piece, offset, .. } = block;
        let message = Message::Piece {
            piece,
            offset,
            data,
        };
        self.say(conn, message);
    }

    /// All of a v1 piece has come, is right, and nobody was sent away.
    pub fn finish(&mut self, piece: PieceIndex) {
        assert_eq!(self.hashing, [piece]);
        let result = Ok(self.matter.digests(piece, true, false, |_| true));
        self.handle(Input::PieceHashed { piece, result });
        assert_eq!(self.done, [piece]);
        assert!(self.gone.is_empty());
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.handle(Input::Tick);
    }

    pub fn handle(&mut self, input: Input) {
        self.swarm.handle(self.now, input);
        loop {
            let answer = match self.swarm.poll() {
                Output::Wait(_) => return,
                Output::Send { conn, bytes } => {
                    let sent = bytes.len();
                    self.listen(conn, bytes);
                    Input::Sent { conn, bytes: sent }
                }
                Output::Read { id, block } => {
                    self.reads.push_back((id, block));
                    continue;
                }
                Output::Write { block, bytes } => {
                    let right = self.matter.read(block) == bytes;
                    let result = Ok(self.matter.leaf(block, right));
                    Input::Written { block, result }
                }
                Output::Hash { piece, .. } => {
                    self.hashing.push(piece);
                    continue;
                }
                Output::Disconnect { conn, .. } => {
                    self.gone.push(conn);
                    continue;
                }
                Output::Event(Event::PieceDone(piece)) => {
                    self.done.push(piece);
                    continue;
                }
                _ => continue,
            };
            self.swarm.handle(self.now, answer);
        }
    }

    fn listen(&mut self, conn: ConnId, bytes: Bytes) {
        let ear = self.ears.get_mut(&conn).unwrap();
        let hello = ear.hello.min(bytes.len());
        ear.hello -= hello;
        ear.heard.push(bytes.slice(hello..));
        while let Some(message) = ear.heard.next().unwrap() {
            match &message {
                Message::Extended { id: 0, payload } => {
                    let said = Extensions::read(payload).unwrap();
                    ear.number = said.number(turn::NAME).unwrap();
                    assert_eq!(said.queue, Some(QUEUE as u32));
                }
                Message::Extended { id, payload } if *id == ear.turn() => {
                    match turn::Message::read(payload) {
                        Some(turn::Message::Grant { bytes, piece }) => {
                            ear.grants.push_back((bytes, piece));
                        }
                        Some(turn::Message::Promise { bytes, piece }) => {
                            ear.grants.push_back((bytes, Some(piece)));
                        }
                        Some(turn::Message::Proof { piece, hashes }) => {
                            ear.proofs.push((piece, hashes, ear.grants.len()));
                        }
                        Some(turn::Message::Gift { piece }) if ear.gives => {
                            ear.gifts.push_back(piece);
                        }
                        Some(turn::Message::Layers | turn::Message::Pieces { .. }) if ear.gives => {
                        }
                        Some(turn::Message::Whole { .. }) if ear.gives => {}
                        Some(turn::Message::Take { .. }) => {}
                        other => panic!("{other:?}"),
                    }
                }
                _ => {}
            }
            ear.messages.push(message);
        }
    }

    /// What a peer was granted and did not answer.
    pub fn grants(&self, conn: ConnId) -> &VecDeque<(u32, Option<PieceIndex>)> {
        &self.ears[&conn].grants
    }

    /// What a peer was given unasked and did not answer.
    pub fn gifts(&self, conn: ConnId) -> &VecDeque<PieceIndex> {
        &self.ears[&conn].gifts
    }

    /// Answers a peer's oldest gift; returns which piece it is.
    pub fn answer(&mut self, conn: ConnId, bytes: u32) -> PieceIndex {
        let gifts = &mut self.ears.get_mut(&conn).unwrap().gifts;
        let piece = gifts.pop_front().unwrap();
        self.turn(conn, &turn::Message::Take { bytes });
        piece
    }

    /// What a peer was told about turns.
    pub fn turns(&self, conn: ConnId) -> Vec<turn::Message> {
        let ear = &self.ears[&conn];
        let turns = ear.messages.iter().filter_map(|message| match message {
            Message::Extended { id, payload } if *id == ear.turn() => turn::Message::read(payload),
            _ => None,
        });
        turns.collect()
    }

    /// The hashes that a peer was told: of which piece, and how many grants it
    /// had then.
    pub fn proofs(&self, conn: ConnId) -> &[(PieceIndex, Bytes, usize)] {
        &self.ears[&conn].proofs
    }

    /// A peer says something about turns.
    pub fn turn(&mut self, conn: ConnId, message: &turn::Message) {
        let id = self.ears[&conn].number;
        let payload = message.write();
        self.say(conn, Message::Extended { id, payload });
    }

    /// What a peer has heard.
    pub fn heard(&self, conn: ConnId, what: impl Fn(&Message) -> bool) -> usize {
        let messages = self.ears[&conn].messages.iter();
        messages.filter(|message| what(message)).count()
    }

    /// Blocks that a peer was asked for and has not sent.
    pub fn asked(&mut self, conn: ConnId) -> Vec<Block> {
        let messages = &mut self.ears.get_mut(&conn).unwrap().messages;
        let asked = messages.extract_if(.., |m| matches!(m, Message::Request(_)));
        let block = |message| match message {
            Message::Request(block) => Some(block),
            _ => None,
        };
        asked.filter_map(block).collect()
    }

    /// Answers a peer's oldest grant: so many bytes of a piece, none for a
    /// pass.
    pub fn take(&mut self, conn: ConnId, piece: PieceIndex, from: u32, bytes: u32) {
        let ear = self.ears.get_mut(&conn).unwrap();
        ear.grants.pop_front().unwrap();
        self.turn(conn, &turn::Message::Take { bytes });
        for n in 0..bytes / BLOCK as u32 {
            let block = Block {
                piece,
                offset: from + n * BLOCK as u32,
                length: BLOCK as u32,
            };
            self.say(conn, Message::Request(block));
        }
    }

    /// Lets the swarm send all that it was asked for.
    pub fn serve(&mut self) {
        while let Some((id, block)) = self.reads.pop_front() {
            let result = Ok(self.matter.read(block));
            self.handle(Input::BlockRead { id, result });
        }
    }

    /// The same for as long as some round trips take: what a connection by a
    /// long line is given follows its answers.
    pub fn serve_on(&mut self) {
        for _ in 0..16 {
            self.serve();
            self.pass(Duration::from_millis(25));
        }
    }
}
