//! Whether a piece is what the torrent promises, and who lied if it is not.

use std::collections::BTreeMap;
use std::time::Duration;

use gt_vfs::content::{BLOCK, Hash, merkle};

use super::Swarm;
use super::input::{Digests, Failure};
use super::link::Link;
use super::output::{Event, Fault, Output, Reason};
use super::pieces::{Phase, Sender};
use crate::geometry::{Block, Geometry, Layer, PieceHash, PieceIndex};
use crate::message::Message;

/// The most failures of one piece that are remembered.
const ATTEMPTS: usize = 4;

/// How long own peers may wait to be told of a piece. Turns carry the news to
/// those whom it concerns at once.
const TELL: Duration = Duration::from_millis(100);

/// Pieces that came out wrong and had several senders: the liar among them is
/// found when the right bytes are known, block by block.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    attempts: BTreeMap<PieceIndex, Vec<Attempt>>,
}

/// What a piece was when it was wrong.
#[derive(Debug)]
struct Attempt {
    leaves: Vec<Hash>,
    from: Vec<Option<Sender>>,
}

impl Suspects {
    /// Tells whether a piece failed before and nobody was caught.
    pub(super) fn doubts(&self, piece: PieceIndex) -> bool {
        self.attempts.contains_key(&piece)
    }

    fn note(&mut self, piece: PieceIndex, leaves: Vec<Hash>, from: Vec<Option<Sender>>) {
        let attempts = self.attempts.entry(piece).or_default();
        if attempts.len() == ATTEMPTS {
            attempts.remove(0);
        }
        attempts.push(Attempt { leaves, from });
    }

    /// Returns who sent blocks other than these, which are right.
    fn liars(&mut self, piece: PieceIndex, right: &[Hash]) -> Vec<Sender> {
        let attempts = self.attempts.remove(&piece).unwrap_or_default();
        let mut liars: Vec<Sender> = attempts
            .iter()
            .flat_map(|attempt| attempt.leaves.iter().zip(&attempt.from).zip(right))
            .filter(|((leaf, _), right)| leaf != right)
            .filter_map(|((_, from), _)| *from)
            .collect();
        liars.sort_unstable();
        liars.dedup();
        liars
    }
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Right,
    Wrong,
    /// Right by one half of a hybrid and wrong by the other.
    Divergent,
}

fn judge_leaves(right: &[Hash], leaves: &[Hash]) -> Judgement {
    let (own, rest) = right.split_at(leaves.len().min(right.len()));
    match own == leaves && rest.iter().all(|hash| *hash == [0; 32]) {
        true => Judgement::Right,
        false => Judgement::Wrong,
    }
}

fn judge(geometry: &Geometry, piece: PieceIndex, digests: &Digests) -> Judgement {
    let right = |good: bool| {
        if good {
            Judgement::Right
        } else {
            Judgement::Wrong
        }
    };
    let blocks = geometry.content_len(piece).div_ceil(BLOCK as u32) as usize;
    let fits = |hash: Hash| {
        digests.leaves.len() == blocks
            && merkle(&digests.leaves, geometry.tree_width(piece), [0; 32]) == hash
    };
    match geometry.piece_hash(piece) {
        Some(PieceHash::V1(sha1)) => right(digests.sha1 == Some(sha1)),
        Some(PieceHash::V2(Layer::Known(hash))) => right(fits(hash)),
        Some(PieceHash::Hybrid {
            sha1,
            layer: Layer::Known(hash),
        }) => match (digests.sha1 == Some(sha1), fits(hash)) {
            (true, true) => Judgement::Right,
            (false, false) => Judgement::Wrong,
            _ => Judgement::Divergent,
        },
        Some(PieceHash::Hybrid {
            sha1,
            layer: Layer::Unknown,
        }) => right(digests.sha1 == Some(sha1)),
        Some(PieceHash::V2(Layer::Unknown)) | None => Judgement::Wrong,
    }
}

impl Swarm {
    pub(super) fn written(&mut self, block: Block, result: Result<Option<Hash>, Failure>) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let before = torrent.writing;
        torrent.writing = torrent.writing.saturating_sub(block.length as usize);
        let crossed = before >= 32 << 20;
        let piece = block.piece;
        if let Some(partial) = torrent.partials.get_mut(&piece) {
            match result {
                Ok(leaf) => {
                    torrent.refusals = 0;
                    partial.wrote(block, leaf);
                    self.check_blocks(piece);
                    self.hash_if_written(piece);
                }
                Err(failure) => {
                    partial.lost(block);
                    torrent.tidy(piece);
                    self.stall(failure);
                }
            }
        }
        if crossed {
            self.refill_all();
        }
    }

    fn hash_if_written(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if let Some(partial) = torrent.partials.get_mut(&piece)
            && partial.is_written()
            && partial.phase == Phase::Filling
        {
            partial.phase = Phase::Hashing;
            self.outputs.push_back(Output::Hash {
                piece,
                sha1: torrent.geometry.has_v1(),
                leaves: torrent.geometry.has_v2(),
            });
        }
    }

    pub(super) fn piece_hashed(&mut self, piece: PieceIndex, result: Result<Digests, Failure>) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.have.has(piece.0) {
            // The right blocks of a piece that was wrong before.
            let leaves = result.map(|digests| digests.leaves).unwrap_or_default();
            self.hashed_for_leaves(piece, &leaves);
            self.tell_leaves(piece, &leaves);
            self.catch(piece, &leaves);
            return;
        }
        let Some(partial) = torrent.partials.get_mut(&piece) else {
            return;
        };
        let digests = match (result, partial.phase) {
            // Nobody asked for a hash.
            (_, Phase::Filling) => return,
            (Ok(digests), Phase::Hashing) => digests,
            (Ok(digests), Phase::Blaming) => return self.suspect(piece, digests.leaves),
            (Err(failure), _) => {
                self.stall(failure);
                return self.begin_anew(piece);
            }
        };
        let judgement = match (torrent.leaves.of(piece), torrent.geometry.piece_hash(piece)) {
            // The layer is still to be learnt, and the leaves were proven.
            (Some(right), Some(PieceHash::V2(Layer::Unknown))) => {
                judge_leaves(right, &digests.leaves)
            }
            _ => judge(&torrent.geometry, piece, &digests),
        };
        match judgement {
            Judgement::Right => self.piece_done(piece, &digests),
            Judgement::Wrong => self.piece_wrong(piece, digests),
            Judgement::Divergent => self.fail(Fault::Divergent { piece }),
        }
    }

    fn piece_wrong(&mut self, piece: PieceIndex, digests: Digests) {
        self.event(Event::PieceFailed(piece));
        self.break_promise(piece);
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        self.totals.wasted += u64::from(torrent.geometry.piece_len(piece));
        let Some(partial) = torrent.partials.get_mut(&piece) else {
            return;
        };
        let senders = partial.contributors();
        if partial.is_right(torrent.geometry.asked(piece)) {
            // Every block was right when it came: the disk holds something
            // else, and nobody is to blame.
            self.begin_anew(piece);
        } else if let [(conn, addr)] = senders[..] {
            // Nobody else had a hand in it.
            self.begin_anew(piece);
            self.condemn(conn, addr, piece);
        } else if digests.leaves.is_empty() {
            partial.phase = Phase::Blaming;
            self.outputs.push_back(Output::Hash {
                piece,
                sha1: false,
                leaves: true,
            });
        } else if !self.begin_proof(piece, &digests.leaves) {
            self.without_proof(piece);
            self.suspect(piece, digests.leaves);
        }
    }

    /// Nobody can tell which blocks of a piece are wrong: its senders are
    /// found out when the right ones are known.
    pub(super) fn without_proof(&mut self, piece: PieceIndex) {
        let leaves = self.torrent.as_mut().and_then(|t| t.proofs.give_up(piece));
        if let Some(leaves) = leaves {
            self.suspect(piece, leaves);
        }
    }

    fn suspect(&mut self, piece: PieceIndex, leaves: Vec<Hash>) {
        if let Some(torrent) = &mut self.torrent
            && let Some(partial) = torrent.partials.get(&piece)
        {
            let from = partial.by_block();
            torrent.suspects.note(piece, leaves, from);
            self.begin_anew(piece);
        }
    }

    pub(super) fn condemn(
        &mut self,
        conn: super::ConnId,
        addr: std::net::SocketAddr,
        piece: PieceIndex,
    ) {
        let why = Reason::WrongBytes(piece);
        self.ban(conn, why.clone());
        if super::MirrorId::of(conn).is_none() {
            self.ban_address(addr, why);
        }
    }

    pub(super) fn begin_anew(&mut self, piece: PieceIndex) {
        self.break_promise(piece);
        if let Some(torrent) = &mut self.torrent {
            torrent.partials.remove(&piece);
            torrent.loose.remove(&piece);
            torrent.offer(piece);
            self.refill_all();
        }
    }

    fn piece_done(&mut self, piece: PieceIndex, digests: &Digests) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        torrent.partials.remove(&piece);
        torrent.loose.remove(&piece);
        torrent.have.insert(piece.0);
        self.totals.left = self
            .totals
            .left
            .saturating_sub(u64::from(torrent.geometry.piece_len(piece)));
        let is_sated = torrent.is_whole();
        let doubted = torrent.suspects.doubts(piece);
        self.learn_leaves(piece, &digests.leaves);
        self.claim(piece);
        self.keep_promise(piece);
        // Most connections need no more than a note of it, and this walk over all
        // of them is one of the most frequent.
        let mut concerned = Vec::new();
        let later = |link: &Link| link.is_open() && link.takes_turns();
        if self.links.values().any(later) {
            self.news.push(piece);
            self.haves_at = self.haves_at.min(self.now + TELL);
        }
        for link in self.links.values_mut() {
            let later = later(link);
            if !later {
                link.told = self.news.len();
            }
            if !link.is_open() {
                continue;
            }
            let had = link.peer.have().has(piece.0);
            if had {
                link.useful = link.useful.saturating_sub(1);
            }
            if let Some(shown) = &mut link.shown {
                shown.insert(piece.0);
            }
            let minds = had && (link.may_be_refilled() || link.interested != (link.useful > 0));
            if minds || !later {
                concerned.push((link.conn, minds, later));
            }
        }
        for (conn, minds, later) in concerned {
            if !later {
                self.say(conn, Message::Have(piece));
            }
            if minds {
                self.mind(conn);
            }
        }
        if doubted {
            if digests.leaves.is_empty() {
                self.outputs.push_back(Output::Hash {
                    piece,
                    sha1: false,
                    leaves: true,
                });
            } else {
                self.catch(piece, &digests.leaves);
            }
        }
        if is_sated {
            self.reintroduce();
        }
        self.alarm_soon(self.haves_at);
        self.count_files(piece);
        self.close_files();
        self.grant_turns();
        self.feed();
    }

    /// Bans whoever sent other blocks than the right ones.
    fn catch(&mut self, piece: PieceIndex, right: &[Hash]) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if right.is_empty() {
            return;
        }
        for (conn, addr) in torrent.suspects.liars(piece, right) {
            self.condemn(conn, addr, piece);
        }
    }

    /// Gives the torrent up.
    pub(super) fn fail(&mut self, fault: Fault) {
        if let Some(torrent) = &mut self.torrent
            && !torrent.failed
        {
            torrent.failed = true;
            self.event(Event::Failed(fault));
            self.stop();
        }
    }
}
