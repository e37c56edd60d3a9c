//! Which blocks of a wrong piece are wrong (BEP 52): the leaves below the
//! piece's hash are asked of a peer that has it, proved up to the file's root.
//! Then every block names its sender, the right ones stay, and the liar is
//! known by 16 KiB, without fetching the piece again.
//!
//! ```text
//! piece 7 fails; its blocks came from A A B A C A A A
//! leaves from D, proved:  = = ≠ = = = = =   B lied; one block is fetched again
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::{BLOCK, Hash};

use super::Swarm;
use super::input::ConnId;
use super::output::{Output, Reason};
use super::pieces::Phase;
use super::torrent::Torrent;
use crate::geometry::{FileIndex, PieceIndex};
use crate::hashes::{HashSpan, MAX_HASHES, Served, Tree};
use crate::message::Message;

/// How long an answer may take: the other side hashes a piece for it.
const WAIT: Duration = Duration::from_secs(5);

/// How often one peer is answered: each time costs us the hashing of a piece,
/// and an honest peer asks once for each lie that it met.
const ANSWERS: u32 = 64;

/// Peers that wait for leaves at a time.
const WAITING: usize = 64;

/// Pieces whose leaves are asked for, and those that others ask us for.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    open: BTreeMap<PieceIndex, Proof>,
    wanted: BTreeMap<PieceIndex, Vec<(ConnId, HashSpan)>>,
    answered: BTreeMap<ConnId, u32>,
}

/// A wrong piece.
#[derive(Debug)]
struct Proof {
    /// What its blocks are.
    leaves: Vec<Hash>,
    span: HashSpan,
    asked: Option<(ConnId, Duration)>,
    refused: BTreeSet<ConnId>,
}

impl Proofs {
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.answered.remove(&conn);
        for waiting in self.wanted.values_mut() {
            waiting.retain(|(other, _)| *other != conn);
        }
    }

    /// Takes what was kept of a piece, for judging it without proof.
    pub(super) fn give_up(&mut self, piece: PieceIndex) -> Option<Vec<Hash>> {
        self.open.remove(&piece).map(|proof| proof.leaves)
    }
}

pub(super) fn tree_of(torrent: &Torrent, file: FileIndex) -> Option<Tree> {
    let found = torrent.geometry.file(file)?;
    Some(Tree {
        root: found.root?,
        blocks: found.length.div_ceil(BLOCK as u64),
        piece_row: (torrent.geometry.piece_length() / BLOCK as u64).trailing_zeros(),
    })
}

/// Returns the request for the leaves of a piece; `None` where there is one
/// block only, or more than one request could bring.
pub(super) fn span_of(torrent: &Torrent, piece: PieceIndex) -> Option<HashSpan> {
    let (file, n) = torrent.geometry.tree_of(piece)?;
    let tree = tree_of(torrent, file)?;
    let width = torrent.geometry.tree_width(piece) as u32;
    let span = HashSpan {
        root: tree.root,
        base: 0,
        index: n.checked_mul(width)?,
        length: width,
        proofs: tree.height().checked_sub(1)?,
    };
    (width <= MAX_HASHES && span.fits(tree.height())).then_some(span)
}

impl Swarm {
    /// Begins to find out which blocks of a piece are wrong; `false` where
    /// nobody can tell.
    pub(super) fn begin_proof(&mut self, piece: PieceIndex, leaves: &[Hash]) -> bool {
        let Some(torrent) = &mut self.torrent else {
            return false;
        };
        let Some(span) = span_of(torrent, piece).filter(|_| !leaves.is_empty()) else {
            return false;
        };
        let proof = Proof {
            leaves: leaves.to_vec(),
            span,
            asked: None,
            refused: BTreeSet::new(),
        };
        torrent.proofs.open.insert(piece, proof);
        if let Some(partial) = torrent.partials.get_mut(&piece) {
            partial.phase = Phase::Blaming;
        }
        self.ask_proof(piece)
    }

    /// Asks the next peer, one that sent none of the piece if there is one.
    fn ask_proof(&mut self, piece: PieceIndex) -> bool {
        let Some(torrent) = &mut self.torrent else {
            return false;
        };
        let (Some(proof), Some(partial)) = (
            torrent.proofs.open.get_mut(&piece),
            torrent.partials.get(&piece),
        ) else {
            return false;
        };
        let pure = !torrent.geometry.has_v1();
        let senders: Vec<ConnId> = partial.contributors().iter().map(|s| s.0).collect();
        let able = self.links.values().filter(|link| {
            link.is_open()
                && link.peer.have().has(piece.0)
                && (pure || link.peer.abilities().v2())
                && !proof.refused.contains(&link.conn)
        });
        let chosen = able.min_by_key(|link| (senders.contains(&link.conn), link.asks.len()));
        let Some(conn) = chosen.map(|link| link.conn) else {
            return false;
        };
        proof.refused.insert(conn);
        proof.asked = Some((conn, self.now));
        let span = proof.span;
        self.alarm(self.now + WAIT);
        self.say(conn, Message::HashRequest(span));
        true
    }

    /// Takes an answer; tells whether it was one about a wrong piece.
    pub(super) fn got_proof(&mut self, conn: ConnId, span: HashSpan, hashes: &[u8]) -> bool {
        let Some(piece) = self.proof_asked(conn, span) else {
            return false;
        };
        let Some(torrent) = &mut self.torrent else {
            return false;
        };
        let height = torrent
            .geometry
            .tree_of(piece)
            .and_then(|(file, _)| tree_of(torrent, file))
            .map_or(0, |tree| tree.height());
        let Ok(right) = span.check(height, hashes) else {
            self.ban(conn, Reason::WrongHashes);
            self.next_proof(piece);
            return true;
        };
        let Some(proof) = torrent.proofs.open.remove(&piece) else {
            return true;
        };
        if torrent.cuts_through() {
            torrent.keep_leaves(piece, &right, Bytes::new());
        }
        let Some(partial) = torrent.partials.get_mut(&piece) else {
            return true;
        };
        let mut liars = BTreeSet::new();
        let mut spoilt = 0;
        for (n, (leaf, right)) in proof.leaves.iter().zip(&right).enumerate() {
            if leaf != right {
                liars.extend(partial.spoil(n));
                spoilt += 1;
            }
        }
        if spoilt == 0 {
            // The leaves lead where they should, and yet the piece failed.
            self.begin_anew(piece);
            return true;
        }
        partial.phase = Phase::Filling;
        torrent.tidy(piece);
        for (conn, addr) in liars {
            self.condemn(conn, addr, piece);
        }
        self.refill_all();
        true
    }

    /// Takes a refusal; tells whether it was one about a wrong piece.
    pub(super) fn proof_refused(&mut self, conn: ConnId, span: HashSpan) -> bool {
        let piece = self.proof_asked(conn, span);
        if let Some(piece) = piece {
            self.next_proof(piece);
        }
        piece.is_some()
    }

    fn proof_asked(&self, conn: ConnId, span: HashSpan) -> Option<PieceIndex> {
        let open = &self.torrent.as_ref()?.proofs.open;
        let asked =
            |proof: &Proof| proof.span == span && proof.asked.is_some_and(|(from, _)| from == conn);
        let found = open.iter().find(|(_, proof)| asked(proof));
        found.map(|(piece, _)| *piece)
    }

    fn next_proof(&mut self, piece: PieceIndex) {
        if !self.ask_proof(piece) {
            self.without_proof(piece);
        }
    }

    /// Looks for answers that do not come.
    pub(super) fn time_proofs(&mut self) {
        let now = self.now;
        let Some(torrent) = &self.torrent else { return };
        if torrent.proofs.open.is_empty() {
            return;
        }
        let (mut late, mut next) = (Vec::new(), Duration::MAX);
        for (piece, proof) in &torrent.proofs.open {
            let stands = proof
                .asked
                .filter(|(conn, _)| self.links.contains_key(conn));
            match stands {
                Some((_, at)) if at + WAIT > now => next = next.min(at + WAIT),
                _ => late.push(*piece),
            }
        }
        self.alarm(next);
        for piece in late {
            self.next_proof(piece);
        }
    }

    /// A peer asks for leaves: they are answered when the piece was hashed.
    /// Tells whether that will be.
    pub(super) fn leaves_asked(&mut self, conn: ConnId, span: HashSpan) -> bool {
        let (Some(torrent), Some(link)) = (&mut self.torrent, self.links.get(&conn)) else {
            return false;
        };
        let files = torrent.geometry.files();
        let Some(n) = files.iter().position(|f| f.root == Some(span.root)) else {
            return false;
        };
        let file = FileIndex(n as u32);
        let Some(tree) = tree_of(torrent, file).filter(|t| span.fits(t.height())) else {
            return false;
        };
        let number = torrent.geometry.pieces_of(file).start + (span.index >> tree.piece_row);
        let piece = PieceIndex(number);
        let answered = torrent.proofs.answered.entry(conn).or_default();
        let whole = span_of_bounds(&span, torrent.geometry.tree_width(piece));
        if span.base != 0
            || !whole
            || !torrent.have.has(number)
            || !link.was_shown(piece)
            || *answered >= ANSWERS
            || torrent.proofs.wanted.values().map(Vec::len).sum::<usize>() >= WAITING
        {
            return false;
        }
        *answered += 1;
        let waiting = torrent.proofs.wanted.entry(piece).or_default();
        waiting.push((conn, span));
        if waiting.len() == 1 {
            self.outputs.push_back(Output::Hash {
                piece,
                sha1: false,
                leaves: true,
            });
        }
        true
    }

    /// Answers those who wait for the leaves of a piece that we have.
    pub(super) fn tell_leaves(&mut self, piece: PieceIndex, leaves: &[Hash]) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(waiting) = torrent.proofs.wanted.remove(&piece) else {
            return;
        };
        let Some((file, _)) = torrent.geometry.tree_of(piece) else {
            return;
        };
        let rows = tree_of(torrent, file).and_then(|tree| match torrent.geometry.layer(file) {
            Some(layer) => Some(Served::from_layer(tree, layer)),
            None => (tree.height() <= tree.piece_row).then(|| Served::from_leaves(tree, leaves)),
        });
        for (conn, span) in waiting {
            let answer = rows.as_ref().and_then(|rows| {
                rows.answer(&span)
                    .or_else(|| rows.answer_leaves(&span, leaves))
            });
            self.say(
                conn,
                match answer {
                    Some(hashes) => Message::Hashes { span, hashes },
                    None => Message::HashReject(span),
                },
            );
        }
    }
}

/// Tells whether leaves lie inside of one piece.
fn span_of_bounds(span: &HashSpan, width: usize) -> bool {
    let width = width as u32;
    width > 0
        && span.length <= width
        && span.index / width == (span.index + span.length - 1) / width
}
