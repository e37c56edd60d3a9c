//! One node: a swarm with a disk in memory, or somebody wild.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::Verdict;
use gt_vfs::content::BLOCK;
use gt_wire::bitfield::Bitfield;
use gt_wire::handshake::{Abilities, Handshake};
use gt_wire::message::{Decoder, Message};
use gt_wire::swarm::{
    ConnId, Content, Digests, Event, Failure, Fault, Input, Options, Output, Reason,
};
use gt_wire::{FileIndex, Geometry, InfoHash, PeerId, PieceIndex, Swarm};
use sha1::Digest;

use crate::world::Pipe;

/// How a node behaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Nature {
    Honest,
    /// Every n-th block that it sends is wrong.
    Corrupt(u64),
    /// It says it has everything, and rejects every request.
    Empty,
    /// It lets everybody in and never sends.
    Silent,
    /// It answers hash requests from a layer of its own making.
    FalseHashes,
    /// It says these bytes after the handshake, again and again.
    Wild(Bytes),
    /// Its files are refused when closed.
    Rejected,
    /// Its disk refuses this many writes.
    FullDisk(u32),
}

pub struct Node {
    pub addr: SocketAddr,
    pub capacity: f64,
    pub nature: Nature,
    pub pipes: BTreeMap<ConnId, Pipe>,
    pub turns: VecDeque<ConnId>,
    pub sending: bool,
    pub sent: u64,
    pub wake: Option<Duration>,
    pub done_at: Option<Duration>,
    pub banned: BTreeSet<SocketAddr>,
    pub failed: Option<Fault>,
    pub closed: Vec<FileIndex>,
    pub fetched: u64,
    pub begun_done: u32,
    pub origin: bool,
    pub gone: Vec<Reason>,
    pub stalls: u32,
    pub keep: Option<Arc<Vec<Vec<u8>>>>,
    pub disk: Vec<Vec<u8>>,
    pub have: Bitfield,
    pub swarm: Option<Swarm>,
    pub in_order: bool,
    now: Duration,
    options: Options,
    geometry: Geometry,
    hellos: VecDeque<Output>,
    written: u32,
    sends: u64,
    spoken: BTreeMap<ConnId, (Decoder, bool)>,
}

pub enum Deed {
    Nothing,
    Later(Duration, Input),
}

const DISK: Duration = Duration::from_micros(200);

impl Node {
    /// Makes a node that is not started. `data` is what it has on its disk;
    /// an origin has all.
    pub fn new(
        id: u64,
        seed: u64,
        geometry: Geometry,
        data: Option<&[Vec<u8>]>,
        capacity: f64,
    ) -> Self {
        let mut peer_id = [0; 12];
        peer_id[..8].copy_from_slice(&id.to_be_bytes());
        peer_id[8] = seed as u8;
        let options = Options::new(PeerId::ours(peer_id), InfoHash([7; 20]), seed ^ (id << 20));
        let pieces = geometry.pieces();
        let lengths = (0..pieces).map(|p| geometry.piece_len(PieceIndex(p)) as usize);
        Self {
            addr: SocketAddr::from(([0, 0, 0, 0], 0)),
            capacity,
            nature: Nature::Honest,
            pipes: BTreeMap::new(),
            turns: VecDeque::new(),
            sending: false,
            sent: 0,
            wake: None,
            done_at: None,
            banned: BTreeSet::new(),
            failed: None,
            closed: Vec::new(),
            fetched: 0,
            begun_done: 0,
            origin: data.is_some(),
            gone: Vec::new(),
            stalls: 0,
            keep: None,
            disk: match data {
                Some(data) => data.to_vec(),
                None => lengths.map(|l| vec![0; l]).collect(),
            },
            have: match data {
                Some(_) => Bitfield::full(pieces),
                None => Bitfield::empty(pieces),
            },
            swarm: None,
            in_order: false,
            now: Duration::ZERO,
            options,
            geometry,
            hellos: VecDeque::new(),
            written: 0,
            sends: 0,
            spoken: BTreeMap::new(),
        }
    }

    pub fn with(mut self, nature: Nature) -> Self {
        self.nature = nature;
        self
    }

    pub fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    pub fn is_up(&self) -> bool {
        self.swarm.is_some()
    }

    pub fn is_done(&self) -> bool {
        self.done_at.is_some()
    }

    pub fn start(&mut self) {
        let mut content = Content::new(self.geometry.clone());
        content.have = self.have.clone();
        content.close_in_order = self.in_order;
        content.closed = self.closed.iter().copied().collect();
        self.begun_done = self.have.count();
        if self.origin {
            content = Content::whole(self.geometry.clone());
            self.done_at = Some(self.now);
        }
        let mut options = self.options.clone();
        options.content = Some(content);
        self.swarm = Some(Swarm::new(options));
        self.wake = None;
    }

    pub fn crash(&mut self) {
        self.swarm = None;
        self.turns.clear();
        // What was not verified is lost.
        for n in (0..self.have.len()).filter(|n| !self.have.has(*n)) {
            self.disk[n as usize].fill(0xee);
        }
    }

    pub fn handle(&mut self, now: Duration, input: Input) {
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

    pub fn poll(&mut self, _now: Duration) -> Option<Output> {
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
        let pieces = self.geometry.pieces();
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

    pub fn act(&mut self, output: Output) -> Deed {
        match output {
            Output::Read { id, block } => {
                let piece = &self.disk[block.piece.0 as usize];
                let from = block.offset as usize;
                let mut data = piece[from..from + block.length as usize].to_vec();
                self.sends += 1;
                let result = match self.nature {
                    Nature::Corrupt(n) if self.sends.is_multiple_of(n) => {
                        data[7 % block.length as usize] ^= 1;
                        Ok(data.into())
                    }
                    Nature::Empty => Err(Failure::lasting("nothing there")),
                    Nature::Silent => return Deed::Nothing,
                    _ => Ok(data.into()),
                };
                Deed::Later(DISK, Input::BlockRead { id, result })
            }
            Output::Write { block, bytes } => {
                self.written += 1;
                let full = matches!(self.nature, Nature::FullDisk(n) if self.written <= n);
                let result = if full {
                    Err(Failure::passing("no space left"))
                } else {
                    let from = block.offset as usize;
                    self.disk[block.piece.0 as usize][from..from + bytes.len()]
                        .copy_from_slice(&bytes);
                    Ok(())
                };
                Deed::Later(DISK, Input::Written { block, result })
            }
            Output::Hash {
                piece,
                sha1,
                leaves,
            } => {
                let data = &self.disk[piece.0 as usize];
                let digests = Digests {
                    sha1: sha1.then(|| sha1::Sha1::digest(data).into()),
                    leaves: if leaves { leaves_of(data) } else { Vec::new() },
                };
                let result = Ok(digests);
                Deed::Later(DISK, Input::PieceHashed { piece, result })
            }
            Output::CloseFile { file } => {
                let verdict = if self.nature == Nature::Rejected {
                    Verdict::reject("not a bundle")
                } else {
                    self.closed.push(file);
                    Verdict::Accept
                };
                let result = Ok(verdict);
                Deed::Later(DISK, Input::FileClosed { file, result })
            }
            Output::Event(event) => {
                self.note(event);
                Deed::Nothing
            }
            _ => Deed::Nothing,
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::PieceDone(piece) => {
                if let Some(truth) = &self.keep {
                    assert_eq!(self.disk[piece.0 as usize], truth[piece.0 as usize]);
                }
                self.have.insert(piece.0);
            }
            Event::Complete => self.done_at = Some(self.now),
            Event::Banned { addr, .. } => {
                self.banned.insert(addr);
            }
            Event::Failed(fault) => self.failed = Some(fault),
            Event::PeerGone { why, .. } => self.gone.push(why),
            Event::Stalled { .. } => self.stalls += 1,
            Event::LayerLearnt(_) => {
                if let Some(geometry) = self.swarm.as_ref().and_then(Swarm::geometry) {
                    self.geometry = geometry.clone();
                }
            }
            _ => {}
        }
    }
}

pub fn leaves_of(data: &[u8]) -> Vec<[u8; 32]> {
    data.chunks(BLOCK)
        .map(|block| sha2::Sha256::digest(block).into())
        .collect()
}
