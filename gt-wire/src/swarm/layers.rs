//! Learning piece layers from peers, and telling them (BEP 52): peers of our
//! own kind know only the roots, which stand in the statement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gt_vfs::content::{BLOCK, Hash};

use super::Swarm;
use super::input::ConnId;
use super::output::{Event, Reason};
use super::torrent::Torrent;
use crate::geometry::{FileIndex, PieceIndex};
use crate::hashes::{HashSpan, LayerFetch, Served, Tree};
use crate::message::Message;
use crate::turn;

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(2);

/// How long a peer that refused is left alone about a file.
const REST: Duration = Duration::from_secs(1);

/// Requests to one peer at a time.
const AT_ONCE: usize = 8;

/// Trees that are kept ready to answer from.
const SERVED: usize = 8;

/// Bytes that may wait for a peer beyond its blocks when it asks for more
/// hashes.
const QUEUE: usize = 256 * 1024;

/// State of the layers.
#[derive(Debug, Default)]
pub(super) struct Layers {
    fetches: BTreeMap<FileIndex, LayerFetch>,
    asked: BTreeMap<HashSpan, (ConnId, Duration)>,
    /// Who refused, and until when it is left alone.
    refused: BTreeMap<(ConnId, FileIndex), Duration>,
    served: BTreeMap<FileIndex, Served>,
    /// Who says that it knows all of them.
    knows: BTreeSet<ConnId>,
}

fn tree(torrent: &Torrent, file: FileIndex) -> Option<Tree> {
    let found = torrent.geometry.file(file)?;
    Some(Tree {
        root: found.root?,
        blocks: found.length.div_ceil(BLOCK as u64),
        piece_row: (torrent.geometry.piece_length() / BLOCK as u64).trailing_zeros(),
    })
}

impl Layers {
    /// Finds the layers that lack.
    pub(super) fn new(torrent: &Torrent) -> Self {
        let mut layers = Self::default();
        if !torrent.geometry.has_v2() || torrent.geometry.has_v1() {
            return layers;
        }
        let files = torrent.geometry.files();
        for (file, n) in files.iter().zip(0u32..) {
            let file_index = FileIndex(n);
            let lacks = torrent
                .geometry
                .pieces_of(file_index)
                .any(|p| torrent.lacks(p));
            if file.length > torrent.geometry.piece_length()
                && torrent.geometry.layer(file_index).is_none()
                && lacks
                && let Some(tree) = tree(torrent, file_index)
            {
                layers.fetches.insert(file_index, LayerFetch::new(tree));
            }
        }
        layers
    }

    /// Tells whether every layer that is needed is known.
    pub(super) fn are_whole(&self) -> bool {
        self.fetches.is_empty()
    }

    /// Tells whether a peer says that it knows all layers.
    pub(super) fn are_known_to(&self, conn: ConnId) -> bool {
        self.knows.contains(&conn)
    }

    /// Tells whether hashes without which pieces cannot be judged are on
    /// their way.
    pub(super) fn are_learnt_soon(&self) -> bool {
        !self.fetches.is_empty() && !self.asked.is_empty()
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.asked.retain(|_, (asked, _)| *asked != conn);
        self.refused.retain(|(refused, _), _| *refused != conn);
        self.knows.remove(&conn);
    }
}

impl Swarm {
    /// Asks for hashes that lack and were asked of nobody.
    pub(super) fn ask_layers(&mut self) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.layers.fetches.is_empty() || torrent.failed || self.stopped {
            return;
        }
        // The bit is for hybrids; where there is no v1 half, everybody knows v2.
        let pure = !torrent.geometry.has_v1();
        let mut load: BTreeMap<ConnId, usize> = self
            .links
            .values()
            .filter(|link| link.is_open() && link.errands.is_none())
            .filter(|link| pure || link.peer.abilities().v2())
            .map(|link| (link.conn, 0))
            .collect();
        for (conn, _) in torrent.layers.asked.values() {
            *load.entry(*conn).or_default() += 1;
        }
        let mut asks = Vec::new();
        for (file, fetch) in &torrent.layers.fetches {
            for span in fetch.missing() {
                if torrent.layers.asked.contains_key(&span) {
                    continue;
                }
                let mut fit: Vec<ConnId> = load
                    .iter()
                    .filter(|(conn, n)| {
                        **n < AT_ONCE && !torrent.layers.refused.contains_key(&(**conn, *file))
                    })
                    .map(|(conn, _)| *conn)
                    .collect();
                let knows = |conn: &ConnId| torrent.layers.knows.contains(conn);
                if fit.iter().any(knows) {
                    fit.retain(knows);
                }
                if fit.is_empty() {
                    break;
                }
                let conn = fit[self.chance.below(fit.len())];
                *load.entry(conn).or_default() += 1;
                asks.push((conn, span));
                torrent.layers.asked.insert(span, (conn, self.now));
            }
        }
        if !asks.is_empty() {
            self.alarm(self.now + WAIT);
        }
        for (conn, span) in asks {
            self.say(conn, Message::HashRequest(span));
        }
    }

    /// A peer knows all layers.
    pub(super) fn hear_layers(&mut self, conn: ConnId) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        torrent.layers.knows.insert(conn);
        self.ask_layers();
    }

    /// Tells a peer that we know all layers, if we do. Whoever has no piece may
    /// lack them, and would have to ask one peer after the other.
    pub(super) fn tell_layers(&mut self, conn: ConnId) {
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get(&conn)) else {
            return;
        };
        if let Some(id) = link.turns.number.filter(|_| link.turns.gives)
            && torrent.cuts_through()
            && torrent.layers.are_whole()
            && !link.is_seed()
        {
            let payload = turn::Message::Layers.write();
            self.say(conn, Message::Extended { id, payload });
        }
    }

    pub(super) fn got_hashes(&mut self, conn: ConnId, span: HashSpan, hashes: &[u8]) {
        if self.got_proof(conn, span, hashes) {
            return;
        }
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let layers = &mut torrent.layers;
        if layers
            .asked
            .get(&span)
            .is_none_or(|(from, _)| *from != conn)
        {
            return;
        }
        layers.asked.remove(&span);
        let mut whole = Vec::new();
        for (file, fetch) in &mut layers.fetches {
            match fetch.take(&span, hashes) {
                Ok(true) => whole.extend(fetch.finish().map(|layer| (*file, layer))),
                Ok(false) => {}
                Err(_) => {
                    self.ban(conn, Reason::WrongHashes);
                    return self.ask_layers();
                }
            }
        }
        self.learn_layers(whole);
    }

    /// Takes in whole layers: what they tell of can be asked for, and what was
    /// verified without them can be verified again after a restart.
    pub(super) fn learn_layers(&mut self, whole: Vec<(FileIndex, Vec<Hash>)>) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let mut learnt = BTreeSet::new();
        let mut done = Vec::new();
        for (file, layer) in whole {
            torrent.layers.fetches.remove(&file);
            if torrent.geometry.learn_layer(file, layer) {
                learnt.insert(file);
                for piece in torrent.geometry.pieces_of(file).map(PieceIndex) {
                    torrent.offer(piece);
                    done.extend(torrent.leaves.is_claimed(piece).then_some(piece));
                }
            }
        }
        for file in &learnt {
            self.event(Event::LayerLearnt(*file));
        }
        for piece in done {
            self.event(Event::PieceDone(piece));
        }
        self.ask_layers();
        if self.torrent.as_ref().is_some_and(|t| t.layers.are_whole()) && !learnt.is_empty() {
            for conn in self.conns() {
                self.tell_layers(conn);
            }
        }
        if !learnt.is_empty() {
            self.take_held_turns();
            self.refill_all();
        }
    }

    pub(super) fn hashes_refused(&mut self, conn: ConnId, span: HashSpan) {
        if self.proof_refused(conn, span) {
            return;
        }
        if let Some(torrent) = &mut self.torrent
            && torrent
                .layers
                .asked
                .get(&span)
                .is_some_and(|(from, _)| *from == conn)
        {
            torrent.layers.asked.remove(&span);
            self.rest_layers(conn, span);
            self.ask_layers();
        }
    }

    fn rest_layers(&mut self, conn: ConnId, span: HashSpan) {
        let until = self.now + REST;
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        for (file, fetch) in &torrent.layers.fetches {
            if fetch.missing().any(|s| s == span) {
                torrent.layers.refused.insert((conn, *file), until);
            }
        }
        self.alarm(until);
    }

    pub(super) fn time_layers(&mut self) {
        let now = self.now;
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.layers.fetches.is_empty() {
            return;
        }
        torrent.layers.refused.retain(|_, until| *until > now);
        let late: Vec<(HashSpan, ConnId)> = torrent
            .layers
            .asked
            .iter()
            .filter(|(_, (_, at))| *at + WAIT <= now)
            .map(|(span, (conn, _))| (*span, *conn))
            .collect();
        for (span, conn) in late {
            if let Some(torrent) = &mut self.torrent {
                torrent.layers.asked.remove(&span);
            }
            self.rest_layers(conn, span);
        }
        self.ask_layers();
        self.take_held_turns();
        if let Some(torrent) = &self.torrent {
            let asked = torrent.layers.asked.values().map(|(_, at)| *at + WAIT);
            let next = asked.chain(torrent.layers.refused.values().copied()).min();
            if let Some(at) = next {
                self.alarm(at);
            }
        }
    }

    pub(super) fn was_asked_hashes(&mut self, conn: ConnId, span: HashSpan) {
        let stuffed = self
            .links
            .get(&conn)
            .is_none_or(|l| l.queued > QUEUE + self.options.send_window)
            || span.base != 0 && self.keeps_layer(conn, 32 * u64::from(span.length));
        let answer = if stuffed { None } else { self.hashes(&span) };
        if answer.is_none() && !stuffed && self.leaves_asked(conn, span) {
            return;
        }
        self.say(
            conn,
            match answer {
                Some(hashes) => Message::Hashes { span, hashes },
                None => Message::HashReject(span),
            },
        );
    }

    fn hashes(&mut self, span: &HashSpan) -> Option<bytes::Bytes> {
        let torrent = self.torrent.as_ref()?;
        let files = torrent.geometry.files();
        let file = files.iter().position(|f| f.root == Some(span.root))?;
        self.rows(FileIndex(file as u32), |rows| rows.answer(span))
    }

    /// Looks into the rows of the file that a piece belongs to.
    pub(super) fn rows_of<T>(
        &mut self,
        piece: PieceIndex,
        look: impl FnOnce(&Served) -> Option<T>,
    ) -> Option<T> {
        let (file, _) = self.torrent.as_ref()?.geometry.tree_of(piece)?;
        self.rows(file, look)
    }

    fn rows<T>(&mut self, file: FileIndex, look: impl FnOnce(&Served) -> Option<T>) -> Option<T> {
        let torrent = self.torrent.as_mut()?;
        if !torrent.layers.served.contains_key(&file) {
            let tree = tree(torrent, file)?;
            // A file of one piece has no layer to tell of.
            let layer = torrent.geometry.layer(file)?;
            let rows = Served::from_layer(tree, layer);
            if torrent.layers.served.len() >= SERVED {
                torrent.layers.served.pop_first();
            }
            torrent.layers.served.insert(file, rows);
        }
        look(torrent.layers.served.get(&file)?)
    }
}
