//! Giving blocks on before their piece is whole (v2).
//!
//! Whoever has the hashes of a piece's blocks, proven against the piece layer or
//! the root, knows each block for right as soon as it is here. So peers of our
//! own kind tell each other these hashes before the first block, promise a piece
//! as soon as they fetch it, and give on what has come of it:
//!
//! ```text
//! origin ── proof 3, hand 3 ──▶ A ── proof 3, promise 3 ──▶ B ── promise 3 ──▶ C
//!        ◀── take, requests ───   ◀── take, requests ──────   ◀── requests ───
//!        ── block 0 ──▶        checked, ── block 0 ──▶      checked, ── block 0 ──▶
//! ```
//!
//! A piece then costs each further peer the way of a block and not five round
//! trips, in which a connection that was idle starts up: all connections of its
//! way start up at once (N = 100: 0.908 of the bound at 25 ms, 0.868
//! without; 0.855 and 0.791 at 50 ms; 0.954 and 0.945 at 5 ms).
//!
//! What was tried beside it, and did not help at 25 ms: more turns for the share
//! of them that is passed (0.892 where it was 0.904), more of them while no block
//! is asked for (0.901 for 0.907), taking over from who promised and still waits
//! (0.905 for 0.904), whole pieces before promised ones that are rarer (0.903
//! for 0.909), at least 12 turns all the time (0.905 for 0.907).
//!
//! A newcomer takes such a piece before it knows the layer. Should whoever knows
//! it be gone, those who have pieces prove them to each other, and all pieces
//! together make the layer again.
//!
//! A block that differs from its leaf ends where it came in, and so does the
//! connection that it came by.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use gt_vfs::content::{BLOCK, Hash, merkle};

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use super::output::{Event, Output, Reason};
use super::pieces::Phase;
use super::proof::span_of;
use super::torrent::Torrent;
use crate::geometry::{FileIndex, Layer, PieceHash, PieceIndex};
use crate::message::Message;
use crate::turn;

/// The most pieces whose leaves are kept.
const MOST: usize = 512;

/// Pieces hashed ahead of being handed out.
const AHEAD: usize = 4;

/// The same before anything is handed out.
const FIRST_AHEAD: usize = 16;

/// The shortest pieces that are given on block by block on short lines: of two
/// blocks there is little to win, and turns that wait cost more (8 peers,
/// pieces of 32 KiB, 5 ms: 0.884 with it, 0.906 without; of 64 KiB 0.966 and
/// 0.961).
const SHORT_LEAST: u64 = 4 * BLOCK as u64;

/// The leaves of some pieces, all proven.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    known: BTreeMap<PieceIndex, Known>,
    order: VecDeque<PieceIndex>,
    /// Pieces that we have and are hashing for their leaves.
    hashing: BTreeSet<PieceIndex>,
    /// Pieces that are here while their layer is not: nobody is told that they
    /// are on the disk, since after a restart nothing would prove them.
    unclaimed: BTreeSet<PieceIndex>,
}

#[derive(Debug)]
struct Known {
    /// As many as the piece's tree is wide.
    leaves: Vec<Hash>,
    /// The uncles up to the root, where they came along.
    uncles: Bytes,
    told: BTreeSet<ConnId>,
}

impl Leaves {
    /// Tells whether a piece's leaves are known.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.known.contains_key(&piece)
    }

    /// Returns the leaves of a piece, as many as its tree is wide.
    pub(super) fn of(&self, piece: PieceIndex) -> Option<&[Hash]> {
        self.known.get(&piece).map(|known| &known.leaves[..])
    }

    /// Tells whether a piece waited for its layer, which has come.
    pub(super) fn is_claimed(&mut self, piece: PieceIndex) -> bool {
        self.unclaimed.remove(&piece)
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        for known in self.known.values_mut() {
            known.told.remove(&conn);
        }
    }
}

impl Torrent {
    /// Tells whether blocks are given on one by one: in v2 alone, where pieces
    /// have several blocks and are no longer than a turn.
    pub(super) fn cuts_through(&self) -> bool {
        let length = self.geometry.piece_length();
        let fits = length > BLOCK as u64 && length <= u64::from(turn::MOST);
        fits && self.geometry.has_v2() && !self.geometry.has_v1()
    }

    /// Keeps proven leaves, in the place of older ones that are needed no more;
    /// tells whether there was room.
    pub(super) fn keep_leaves(
        &mut self,
        piece: PieceIndex,
        leaves: &[Hash],
        uncles: Bytes,
    ) -> bool {
        if self.leaves.has(piece) {
            return true;
        }
        if self.leaves.known.len() >= MOST {
            // Without its leaves a piece under way could not be judged, nor one
            // whose layer lacks be proven to others.
            let dispensable = |piece: &PieceIndex| self.is_proven_without_leaves(*piece);
            let Some(at) = self.leaves.order.iter().position(dispensable) else {
                return false;
            };
            if let Some(old) = self.leaves.order.remove(at) {
                self.leaves.known.remove(&old);
            }
        }
        let mut leaves = leaves.to_vec();
        leaves.resize(self.geometry.tree_width(piece), [0; 32]);
        let told = BTreeSet::new();
        let known = Known {
            leaves,
            uncles,
            told,
        };
        self.leaves.known.insert(piece, known);
        self.leaves.order.push_back(piece);
        true
    }

    /// Tells whether we have a piece, and what proves it but its leaves.
    fn is_proven_without_leaves(&self, piece: PieceIndex) -> bool {
        self.have.has(piece.0) && self.knows_hash(piece)
    }

    /// Drops leaves that are not needed while there is nobody to tell.
    pub(super) fn drop_leaves(&mut self) {
        let kept = std::mem::take(&mut self.leaves.order);
        for piece in kept {
            if self.is_proven_without_leaves(piece) {
                self.leaves.known.remove(&piece);
            } else {
                self.leaves.order.push_back(piece);
            }
        }
        self.leaves.hashing.clear();
    }

    /// Tells whether a peer may not know a piece's hash. Who has no piece may
    /// know no layer, and whoever has some neither, if we do not.
    fn may_lack_hash(&self, link: &Link, piece: PieceIndex) -> bool {
        let new = link.peer.have().is_empty() || !self.knows_hash(piece);
        new && !self.layers.are_known_to(link.conn)
    }

    /// Makes the layer of a piece's file where all of its pieces are proven by
    /// their leaves.
    fn layer_of_leaves(&self, piece: PieceIndex) -> Option<(FileIndex, Vec<Hash>)> {
        let (file, _) = self.geometry.tree_of(piece)?;
        let pieces = self.geometry.pieces_of(file).map(PieceIndex);
        let node = |piece| {
            let leaves = self.leaves.of(piece)?;
            Some(merkle(leaves, leaves.len(), [0; 32]))
        };
        Some((file, pieces.map(node).collect::<Option<_>>()?))
    }

    /// Checks what a peer says of a piece's blocks; `None` where that cannot be
    /// told.
    fn check_leaves(&self, piece: PieceIndex, hashes: &[u8]) -> Option<Result<Vec<Hash>, Reason>> {
        let span = span_of(self, piece)?;
        let (width, uncles) = (span.length as usize, span.uncles() as usize);
        let count = hashes.len() / 32;
        if count != width && count != width + uncles {
            let why = format!("expected {width} or {} hashes, got {count}", width + uncles);
            return Some(Err(Reason::Protocol(why)));
        }
        if count == width + uncles {
            let height = width.trailing_zeros() + uncles as u32;
            let right = span.check(height, hashes);
            return Some(right.map_err(|_| Reason::WrongHashes));
        }
        let Some(PieceHash::V2(Layer::Known(node))) = self.geometry.piece_hash(piece) else {
            return None;
        };
        let leaves: Vec<Hash> = hashes.as_chunks::<32>().0.to_vec();
        Some(match merkle(&leaves, width, [0; 32]) == node {
            true => Ok(leaves),
            false => Err(Reason::WrongHashes),
        })
    }
}

impl Swarm {
    /// A peer tells the leaves of a piece.
    pub(super) fn hear_proof(&mut self, conn: ConnId, piece: PieceIndex, hashes: &Bytes) {
        let Some(torrent) = self.torrent.as_mut().filter(|t| t.cuts_through()) else {
            return;
        };
        if !torrent.lacks(piece.0) || torrent.leaves.has(piece) {
            return;
        }
        let leaves = match torrent.check_leaves(piece, hashes) {
            Some(Ok(leaves)) => leaves,
            Some(Err(why @ Reason::WrongHashes)) => return self.ban(conn, why),
            Some(Err(why)) => return self.lose(conn, why, true),
            None => return,
        };
        let uncles = hashes.slice(leaves.len() * 32..);
        if torrent.keep_leaves(piece, &leaves, uncles) {
            // Without its layer it could not be asked for before.
            torrent.offer(piece);
            if let Some(link) = self.links.get_mut(&conn) {
                link.proves = true;
            }
            let learns = torrent.layers.are_learnt_soon();
            for conn in torrent.promises.who_waits(piece, &self.links) {
                self.tell_proof(conn, piece);
            }
            self.check_blocks(piece);
            self.promise_through(piece, true);
            if learns {
                self.take_held_turns();
            }
        }
    }

    /// Tells a peer the leaves of a piece, if we know them and did not tell it.
    pub(super) fn tell_proof(&mut self, conn: ConnId, piece: PieceIndex) {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get(&conn)) else {
            return;
        };
        let Some(id) = link.turns.number else { return };
        if link.peer.have().has(piece.0) {
            return;
        }
        let is_new = torrent.may_lack_hash(link, piece);
        let uncles = match torrent.leaves.known.get(&piece) {
            Some(known) if is_new && known.uncles.is_empty() => self.uncles(piece),
            _ => Bytes::new(),
        };
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(known) = torrent.leaves.known.get_mut(&piece) else {
            return;
        };
        if !known.told.insert(conn) {
            return;
        }
        if known.uncles.is_empty() {
            known.uncles = uncles;
        }
        let mut hashes = BytesMut::with_capacity(known.leaves.len() * 32 + known.uncles.len());
        known.leaves.iter().for_each(|leaf| hashes.put_slice(leaf));
        if is_new {
            hashes.put_slice(&known.uncles);
        }
        let hashes = hashes.freeze();
        let payload = turn::Message::Proof { piece, hashes }.write();
        self.say(conn, Message::Extended { id, payload });
    }

    /// Tells a peer what it needs to take the piece that it is granted or,
    /// where our own layer lacks, some of those that we have.
    pub(super) fn prove_to(&mut self, conn: ConnId, piece: Option<PieceIndex>) {
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get(&conn)) else {
            return;
        };
        let have = link.peer.have();
        let pieces: Vec<PieceIndex> = match piece {
            Some(piece) if torrent.may_lack_hash(link, piece) => vec![piece],
            None if !torrent.layers.are_whole() => {
                let untold = torrent.leaves.known.iter().filter(|(piece, known)| {
                    torrent.have.has(piece.0)
                        && !have.has(piece.0)
                        && !torrent.knows_hash(**piece)
                        && !known.told.contains(&conn)
                });
                untold.map(|(piece, _)| *piece).take(AHEAD).collect()
            }
            _ => return,
        };
        for piece in pieces {
            self.tell_proof(conn, piece);
        }
    }

    /// A piece is here: says so to the caller, or waits until its layer is
    /// here too.
    pub(super) fn claim(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.knows_hash(piece) {
            return self.event(Event::PieceDone(piece));
        }
        torrent.leaves.unclaimed.insert(piece);
        if let Some(made) = torrent.layer_of_leaves(piece) {
            self.learn_layers(vec![made]);
        }
    }

    /// Returns the uncles of a piece up to the root; none where the layer is
    /// not known, or the piece is the whole file.
    fn uncles(&mut self, piece: PieceIndex) -> Bytes {
        let Some(torrent) = &self.torrent else {
            return Bytes::new();
        };
        let (Some(span), Some(known)) = (span_of(torrent, piece), torrent.leaves.of(piece)) else {
            return Bytes::new();
        };
        let leaves = known.to_vec();
        let answer = self.rows_of(piece, |rows| rows.answer_leaves(&span, &leaves));
        answer.map_or_else(Bytes::new, |all| all.slice(span.length as usize * 32..))
    }

    /// Holds the blocks of a piece that are on the disk against its leaves: the
    /// right ones are given on, and who sent a wrong one is banned.
    pub(super) fn check_blocks(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let (Some(known), Some(partial)) = (
            torrent.leaves.known.get(&piece),
            torrent.partials.get_mut(&piece),
        ) else {
            return;
        };
        if partial.phase != Phase::Filling {
            return;
        }
        let (proven, wrong) = partial.compare(&known.leaves);
        let mut liars = BTreeSet::new();
        for n in &wrong {
            liars.extend(partial.spoil(*n));
        }
        torrent.tidy(piece);
        self.totals.wasted += (wrong.len() * BLOCK) as u64;
        self.serve_proven(piece, &proven);
        for (conn, addr) in liars {
            self.condemn(conn, addr, piece);
        }
        if !wrong.is_empty() {
            self.refill_all();
        }
    }

    /// Notes the leaves of a piece that was hashed and is right.
    pub(super) fn learn_leaves(&mut self, piece: PieceIndex, leaves: &[Hash]) {
        let alone = self.links.is_empty();
        let Some(torrent) = self.torrent.as_mut().filter(|t| t.cuts_through()) else {
            return;
        };
        if alone || span_of(torrent, piece).is_none() {
            return;
        }
        torrent.keep_leaves(piece, leaves, Bytes::new());
    }

    /// The leaves of a piece that we have were asked for to be told.
    pub(super) fn hashed_for_leaves(&mut self, piece: PieceIndex, leaves: &[Hash]) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if !torrent.leaves.hashing.remove(&piece) {
            return;
        }
        let width = torrent.geometry.tree_width(piece);
        let known = torrent.geometry.piece_hash(piece);
        let node = merkle(leaves, width, [0; 32]);
        // What lies on the disk may not be what it was.
        if !leaves.is_empty() && known == Some(PieceHash::V2(Layer::Known(node))) {
            self.learn_leaves(piece, leaves);
            if let Some(conn) = self.dispatch_holder(piece) {
                self.tell_proof(conn, piece);
            }
        }
    }

    /// Tells whether a peer can judge the blocks or the whole of a piece: it
    /// knows the piece's hash, or is told of it first.
    pub(super) fn may_judge(&self, conn: ConnId, piece: PieceIndex) -> bool {
        self.torrent.as_ref().is_some_and(|torrent| {
            torrent.geometry.has_v1()
                || torrent.leaves.has(piece)
                || torrent.layers.are_known_to(conn)
        })
    }

    /// Tells whether there is more than one to give blocks on to each other.
    pub(super) fn has_takers(&self) -> bool {
        let takers = self.links.values().filter(|link| match link.is_open() {
            true => link.takes_turns(),
            false => link.errands.is_none(),
        });
        takers.take(2).count() == 2
    }

    /// Has the pieces hashed that are handed out next, so that they can be
    /// given on block by block. The first go out as soon as somebody has said
    /// who he is, and are hashed while he is about to.
    pub(super) fn prepare_leaves(&mut self) {
        if !self.has_takers() {
            return;
        }
        let next = self.dispatch_next(match self.turns.delay().is_zero() {
            true => FIRST_AHEAD,
            false => AHEAD,
        });
        let Some(torrent) = self.torrent.as_mut().filter(|t| t.cuts_through()) else {
            return;
        };
        for piece in next {
            if !torrent.leaves.has(piece) && torrent.leaves.hashing.insert(piece) {
                self.outputs.push_back(Output::Hash {
                    piece,
                    sha1: false,
                    leaves: true,
                });
            }
        }
    }

    /// Tells whether blocks are given on one by one: on long lines, and where a
    /// piece takes its time on short ones.
    pub(super) fn is_through(&self) -> bool {
        self.torrent.as_ref().is_some_and(|torrent| {
            let large = torrent.geometry.piece_length() >= SHORT_LEAST;
            torrent.cuts_through() && (large || self.turns.is_long())
        })
    }
}
