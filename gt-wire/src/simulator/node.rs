//! One machine: a swarm with a disk, or somebody wild.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gt_vfs::Verdict;
use gt_vfs::content::BLOCK;

use super::{Matter, Nature};
use crate::bitfield::Bitfield;
use crate::geometry::{Block, FileIndex, PieceIndex};
use crate::handshake::{Abilities, Handshake};
use crate::message::{Decoder, Message};
use crate::swarm::{ConnId, Content, Event, Failure, Fault, Input, Options, Output, Reason};
use crate::{InfoHash, PeerId, Swarm};

/// The time between two blocks of one who lets them drip.
const DRIP: Duration = Duration::from_secs(2);

/// A simulated machine.
#[derive(Debug)]
pub struct Node {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its uplink, in bytes a second.
    pub capacity: f64,
    /// Its downlink, in bytes a second: what comes faster waits before it, and
    /// nothing is dropped there.
    pub down: f64,
    /// How it behaves.
    pub nature: Nature,
    /// Whether others can connect to it.
    pub reachable: bool,
    /// Whether it ends when it has everything.
    pub leaves: bool,
    /// Bytes that left it, of every kind.
    pub sent: u64,
    /// Bytes that reached it, of every kind.
    pub fetched: u64,
    /// When it had everything.
    pub done_at: Option<Duration>,
    /// Who it banned.
    pub banned: BTreeSet<SocketAddr>,
    /// Why its torrent cannot be completed.
    pub failed: Option<Fault>,
    /// Files that it closed, in order.
    pub closed: Vec<FileIndex>,
    /// Pieces that it had when it was last started.
    pub begun_with: u32,
    /// Whether it has everything from the beginning.
    pub origin: bool,
    /// Whether it knows the piece layers from the beginning.
    pub layers: bool,
    /// Why its connections ended.
    pub gone: Vec<Reason>,
    /// How often its disk stopped it.
    pub stalls: u32,
    /// Verified pieces that were not what they should be: none, ever.
    pub wrong: u32,
    /// Verified pieces.
    pub have: Bitfield,
    /// The core, while it is switched on.
    pub swarm: Option<Swarm>,
    /// What the core is told when it begins.
    pub options: Options,
    /// What the core is told about files.
    pub in_order: bool,
    pub(super) wake: Option<Duration>,
    pub(super) ring: VecDeque<u32>,
    /// Until when the uplink is taken.
    pub(super) busy: Duration,
    /// Until when the downlink is taken.
    pub(super) filled: Duration,
    /// When it is looked at next, if it is idle.
    pub(super) kick: Option<Duration>,
    matter: Arc<Matter>,
    learnt: Option<crate::Geometry>,
    /// For each block: absent, right, or wrong.
    disk: Vec<u8>,
    first_block: Vec<u32>,
    now: Duration,
    hellos: VecDeque<Output>,
    written: u32,
    sends: u64,
    spoken: BTreeMap<ConnId, (Decoder, bool)>,
}

const ABSENT: u8 = 0;
const RIGHT: u8 = 1;
const WRONG: u8 = 2;

impl Node {
    /// Makes a node that is not switched on.
    pub fn new(id: u64, seed: u64, matter: &Arc<Matter>, origin: bool, capacity: f64) -> Self {
        let mut peer_id = [0; 12];
        peer_id[..8].copy_from_slice(&id.to_be_bytes());
        peer_id[8..].copy_from_slice(&(seed as u32).to_be_bytes());
        let chance = seed.wrapping_mul(0x9e37_79b9).wrapping_add(id << 20);
        let options = Options::new(PeerId::ours(peer_id), InfoHash([7; 20]), chance);
        let pieces = matter.known.pieces();
        let mut first_block = Vec::new();
        let mut blocks = 0;
        for n in 0..pieces {
            first_block.push(blocks);
            blocks += matter.known.block_count(PieceIndex(n));
        }
        let state = if origin { RIGHT } else { ABSENT };
        Self {
            addr: SocketAddr::from(([0, 0, 0, 0], 0)),
            capacity,
            down: f64::INFINITY,
            nature: Nature::Honest,
            reachable: true,
            leaves: false,
            sent: 0,
            fetched: 0,
            done_at: None,
            banned: BTreeSet::new(),
            failed: None,
            closed: Vec::new(),
            begun_with: 0,
            origin,
            layers: false,
            gone: Vec::new(),
            stalls: 0,
            wrong: 0,
            have: match origin {
                true => Bitfield::full(pieces),
                false => Bitfield::empty(pieces),
            },
            swarm: None,
            options,
            in_order: false,
            wake: None,
            ring: VecDeque::new(),
            busy: Duration::ZERO,
            filled: Duration::ZERO,
            kick: None,
            matter: matter.clone(),
            learnt: None,
            disk: vec![state; blocks as usize],
            first_block,
            now: Duration::ZERO,
            hellos: VecDeque::new(),
            written: 0,
            sends: 0,
            spoken: BTreeMap::new(),
        }
    }

    /// Returns the node with another nature.
    #[must_use]
    pub fn with(mut self, nature: Nature) -> Self {
        self.nature = nature;
        self
    }

    /// Tells whether it is switched on.
    pub fn is_up(&self) -> bool {
        self.swarm.is_some()
    }

    /// Tells whether it has everything.
    pub fn is_done(&self) -> bool {
        self.done_at.is_some()
    }

    /// Tells whether every block on its disk is there and right.
    pub fn holds_everything(&self) -> bool {
        self.disk.iter().all(|state| *state == RIGHT) && self.wrong == 0
    }

    /// Takes bytes that reach the downlink at a time, and tells when they are
    /// through.
    pub(super) fn fill(&mut self, at: Duration, bytes: usize) -> Duration {
        if self.down.is_infinite() || bytes == 0 {
            return at;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / self.down);
        self.filled = self.filled.max(at) + takes;
        self.filled
    }

    pub(super) fn matter(&self) -> Arc<Matter> {
        Arc::clone(&self.matter)
    }

    pub(super) fn start(&mut self, now: Duration) {
        self.now = now;
        let mut content = if self.origin {
            self.done_at = Some(now);
            Content::whole(self.matter.known.clone())
        } else {
            let told = match self.layers {
                true => &self.matter.known,
                false => &self.matter.roots,
            };
            Content::new(self.learnt.as_ref().unwrap_or(told).clone())
        };
        content.have = self.have.clone();
        content.close_in_order = self.in_order;
        if !self.origin {
            content.closed = self.closed.iter().copied().collect();
        }
        self.begun_with = self.have.count();
        let files = self.matter.known.files().len();
        if self.have.is_full() && content.closed.len() == files {
            // It was killed before it could say so.
            self.done_at.get_or_insert(now);
        }
        let mut options = self.options.clone();
        options.content = Some(content);
        self.swarm = Some(Swarm::new(options));
        self.wake = None;
    }

    pub(super) fn crash(&mut self) {
        self.swarm = None;
        self.ring.clear();
        // What was not verified is lost.
        for piece in 0..self.have.len() {
            if !self.have.has(piece) {
                let blocks = self.matter.known.block_count(PieceIndex(piece));
                let first = self.first_block[piece as usize] as usize;
                self.disk[first..first + blocks as usize].fill(ABSENT);
            }
        }
    }

    pub(super) fn handle(&mut self, now: Duration, input: Input) {
        self.now = now;
        if let Nature::Wild(said) = &self.nature {
            let said = said.clone();
            if let Input::Connected { conn, .. } = input {
                let hello = Handshake {
                    abilities: Abilities::OURS,
                    info_hash: self.options.info_hash,
                    peer_id: self.options.peer_id,
                }
                .encode();
                let hello = Bytes::copy_from_slice(&hello);
                self.hellos.push_back(Output::Send { conn, bytes: hello });
                self.hellos.push_back(Output::Send { conn, bytes: said });
            } else if let Input::Received { conn, .. } = input {
                self.sends += 1;
                if self.sends < 2000 {
                    self.hellos.push_back(Output::Send { conn, bytes: said });
                }
            }
            return;
        }
        if let Input::Received { bytes, .. } = &input {
            self.fetched += bytes.len() as u64;
        }
        if let Some(swarm) = &mut self.swarm {
            swarm.handle(now, input);
        }
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        if matches!(self.nature, Nature::Wild(_)) {
            return self.hellos.pop_front();
        }
        let output = self.swarm.as_mut().map(Swarm::poll)?;
        Some(match output {
            Output::Send { conn, bytes } if self.nature == Nature::FalseHashes => {
                let bytes = self.twist(conn, bytes);
                Output::Send { conn, bytes }
            }
            other => other,
        })
    }

    /// Turns every hash that goes out into another.
    fn twist(&mut self, conn: ConnId, bytes: Bytes) -> Bytes {
        let pieces = self.matter.known.pieces();
        let (decoder, shaken) = self
            .spoken
            .entry(conn)
            .or_insert_with(|| (Decoder::new(pieces), false));
        decoder.push(bytes);
        let mut out = Vec::new();
        if !*shaken && let Some(hello) = decoder.take_prefix::<68>() {
            *shaken = true;
            out.extend_from_slice(&hello);
        }
        while *shaken && let Ok(Some(message)) = decoder.next() {
            let message = match message {
                Message::Hashes { span, hashes } => {
                    let mut hashes = hashes.to_vec();
                    hashes[5] ^= 1;
                    let hashes = hashes.into();
                    Message::Hashes { span, hashes }
                }
                other => other,
            };
            out.extend_from_slice(&message.to_bytes());
        }
        out.into()
    }

    /// Does what concerns the disk, and returns what comes of it and how much
    /// later than the disk's usual time.
    pub(super) fn act(&mut self, output: Output) -> Option<(Duration, Input)> {
        let mut later = Duration::ZERO;
        let input = match output {
            Output::Read { id, block } => {
                self.sends += 1;
                let data = self.matter.read(block);
                let result = match self.nature {
                    Nature::Corrupt(n) if self.sends.is_multiple_of(n) => {
                        let mut data = BytesMut::from(&data[..]);
                        data[0] ^= 0xff;
                        Ok(data.freeze())
                    }
                    Nature::Empty => Err(Failure::lasting("nothing there")),
                    Nature::Silent => return None,
                    Nature::Drip => {
                        later = DRIP;
                        Ok(data)
                    }
                    _ => Ok(data),
                };
                Input::BlockRead { id, result }
            }
            Output::Write { block, bytes } => {
                self.written += 1;
                let full = matches!(self.nature, Nature::FullDisk(n) if self.written <= n);
                let result = if full {
                    Err(Failure::passing("no space left"))
                } else {
                    let right = self.matter.is_right(block, &bytes);
                    let at = self.slot(block);
                    self.disk[at] = if right { RIGHT } else { WRONG };
                    Ok(self.matter.leaf(block, right))
                };
                Input::Written { block, result }
            }
            Output::Hash {
                piece,
                sha1,
                leaves,
            } => {
                let first = self.first_block[piece.0 as usize];
                let right = |n: u32| self.disk[(first + n) as usize] == RIGHT;
                let result = Ok(self.matter.digests(piece, sha1, leaves, right));
                Input::PieceHashed { piece, result }
            }
            Output::CloseFile { file } => {
                let verdict = if self.nature == Nature::Rejected {
                    Verdict::reject("not a bundle")
                } else {
                    self.closed.push(file);
                    Verdict::Accept
                };
                let result = Ok(verdict);
                Input::FileClosed { file, result }
            }
            Output::Event(event) => {
                self.note(event);
                return None;
            }
            _ => return None,
        };
        Some((later, input))
    }

    fn slot(&self, block: Block) -> usize {
        self.first_block[block.piece.0 as usize] as usize + block.offset as usize / BLOCK
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::PieceDone(piece) => {
                let first = self.first_block[piece.0 as usize] as usize;
                let count = self.matter.known.block_count(piece) as usize;
                let right = self.disk[first..first + count].iter().all(|s| *s == RIGHT);
                self.wrong += u32::from(!right);
                self.have.insert(piece.0);
            }
            Event::Complete => self.done_at = Some(self.now),
            Event::Banned { addr, .. } => {
                self.banned.insert(addr);
            }
            Event::Failed(fault) => self.failed = Some(fault),
            Event::PeerGone { why, .. } if self.gone.len() < 1000 => self.gone.push(why),
            Event::Stalled { .. } => self.stalls += 1,
            Event::LayerLearnt(_) => {
                self.learnt = self.swarm.as_ref().and_then(Swarm::geometry).cloned();
            }
            _ => {}
        }
    }
}
