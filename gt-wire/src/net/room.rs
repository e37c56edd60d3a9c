//! One torrent as the driver keeps it: a swarm, its files, and what has to be
//! remembered to answer questions about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::driver::News;
use super::mirror::Door;
use super::store::Store;
use super::valve::Valve;
use super::{Limits, MirrorRow, PeerRow, Rates, SourceRow, Stats, TorrentId, trace};
use crate::geometry::{Block, FileIndex};
use crate::mirror::Mirror;
use crate::resume::Resume;
use crate::swarm::{ConnId, MirrorId, PeerStats, Swarm};
use crate::{InfoHash, PeerSource};

/// How long after a change the resume data is written.
const NOTE_LATER: Duration = Duration::from_secs(10);
/// The same for what costs much to find again by hashing: closed files, and
/// layers that were made from them.
pub(super) const NOTE_SOON: Duration = Duration::from_secs(1);
/// The least time between notes of layers: there may be thousands of files.
pub(super) const LAY_APART: Duration = Duration::from_millis(100);

pub(super) struct Room {
    pub(super) swarm: Swarm,
    /// The first is the name in resume data.
    pub(super) hashes: Vec<InfoHash>,
    pub(super) store: Option<Arc<Store>>,
    pub(super) sources: Vec<Arc<dyn PeerSource>>,
    /// What each of them last said.
    said: Vec<SourceRow>,
    pub(super) span: tracing::Span,
    /// HTTP sources, and those that are open.
    pub(super) mirrors: Vec<Mirror>,
    doors: BTreeMap<MirrorId, Door>,
    /// Files that were accepted.
    pub(super) closed: BTreeSet<FileIndex>,
    /// When the swarm wants to be woken, as noted in the driver's table.
    pub(super) wake: Option<Duration>,
    /// When the resume data shall be written, if something changed.
    pub(super) note_at: Option<Duration>,
    /// Announces and notes that are under way.
    pub(super) pending: usize,
    pub(super) noting: bool,
    /// Whether there are layers that no note has.
    pub(super) learnt: bool,
    /// When layers were noted last.
    pub(super) laid: Option<Duration>,
    pub(super) stopping: bool,
    /// Who wants to know when it has ended.
    pub(super) leavers: Vec<oneshot::Sender<()>>,
    /// Connections that a listener was told of.
    pub(super) ready: BTreeSet<ConnId>,
    rows: BTreeMap<ConnId, PeerStats>,
    past: BTreeMap<SocketAddr, PeerRow>,
    pub(super) banned: BTreeSet<SocketAddr>,
    pub(super) up: Arc<Valve>,
    pub(super) down: Arc<Valve>,
}

impl Room {
    pub(super) fn new(
        swarm: Swarm,
        hashes: Vec<InfoHash>,
        store: Option<Arc<Store>>,
        sources: Vec<Arc<dyn PeerSource>>,
        closed: BTreeSet<FileIndex>,
        limits: Limits,
    ) -> Self {
        let now = Instant::now();
        Self {
            span: trace::torrent(hashes.first()),
            swarm,
            hashes,
            store,
            sources,
            said: Vec::new(),
            mirrors: Vec::new(),
            doors: BTreeMap::new(),
            closed,
            wake: None,
            note_at: None,
            pending: 0,
            noting: false,
            learnt: false,
            laid: None,
            stopping: false,
            leavers: Vec::new(),
            ready: BTreeSet::new(),
            rows: BTreeMap::new(),
            past: BTreeMap::new(),
            banned: BTreeSet::new(),
            up: Valve::new(limits.up, now),
            down: Valve::new(limits.down, now),
        }
    }

    /// Asks a mirror for a block.
    pub(super) fn fetch(
        &mut self,
        torrent: TorrentId,
        id: MirrorId,
        block: Block,
        news: &mpsc::Sender<News>,
    ) {
        if !self.doors.contains_key(&id) {
            let mirror = self.mirrors.get(id.0 as usize).cloned();
            let (Some(mirror), Some(geometry)) = (mirror, self.swarm.geometry()) else {
                return;
            };
            // Layers that are learnt later say nothing of where files lie.
            let geometry = Arc::new(geometry.clone());
            let door = Door::open(mirror, geometry, torrent, id, news.clone());
            self.doors.insert(id, door);
        }
        if let Some(door) = self.doors.get(&id) {
            door.fetch(block);
        }
    }

    pub(super) fn unfetch(&self, id: MirrorId, block: Block) {
        if let Some(door) = self.doors.get(&id) {
            door.unfetch(block);
        }
    }

    /// Closes a mirror and returns its URL.
    pub(super) fn close_mirror(&mut self, id: MirrorId) -> String {
        self.doors.remove(&id);
        let mirror = self.mirrors.get(id.0 as usize);
        mirror.map_or(String::new(), |m| m.url().to_string())
    }

    /// Ends the connections to mirrors; they are made again when they are
    /// needed.
    pub(super) fn close_mirrors(&mut self) {
        self.doors.clear();
    }

    /// Notes what a source said, or why it said nothing.
    pub(super) fn source_told(&mut self, number: usize, said: Result<usize, String>) {
        if number >= self.sources.len() {
            return;
        }
        self.said
            .resize_with(self.sources.len(), SourceRow::default);
        let row = &mut self.said[number];
        match said {
            Ok(peers) => (row.peers, row.failed) = (Some(peers), None),
            Err(why) => row.failed = Some(why),
        }
    }

    fn sources(&self) -> Vec<SourceRow> {
        let named = self.sources.iter().enumerate().map(|(number, source)| {
            let said = self.said.get(number).cloned().unwrap_or_default();
            SourceRow {
                name: source.name(),
                ..said
            }
        });
        named.collect()
    }

    /// Notes that the resume data is out of date.
    pub(super) fn changed(&mut self, now: Duration, soon: bool) {
        let at = now + if soon { NOTE_SOON } else { NOTE_LATER };
        self.note_at = Some(self.note_at.map_or(at, |before| before.min(at)));
    }

    /// Returns what may be claimed of the disk.
    pub(super) fn resume(&self) -> Option<Resume> {
        let geometry = self.swarm.geometry()?;
        let files = (0..geometry.files().len() as u32).map(FileIndex);
        let long = files.filter(|f| geometry.pieces_of(*f).len() > 1);
        let layers = long.filter_map(|f| Some((f, geometry.layer(f)?.to_vec())));
        Some(Resume {
            info_hash: *self.hashes.first()?,
            pieces: self.swarm.have()?.clone(),
            closed: self.closed.clone(),
            modified: BTreeMap::new(),
            layers: layers.collect(),
        })
    }

    /// Remembers the figures of open connections.
    pub(super) fn look(&mut self) {
        let open = self.swarm.peers().into_iter();
        self.rows.extend(open.map(|row| (row.conn, row)));
    }

    /// Adds the figures of a connection that has ended to those of its
    /// address.
    pub(super) fn settle(&mut self, conn: ConnId) {
        self.ready.remove(&conn);
        if let Some(row) = self.rows.remove(&conn) {
            add(&mut self.past, &row);
        }
    }

    pub(super) fn stats(&mut self) -> Stats {
        self.look();
        let mut table = self.past.clone();
        self.rows.values().for_each(|row| add(&mut table, row));
        let geometry = self.swarm.geometry();
        let connected = self.swarm.peers();
        Stats {
            // The sum of nothing is minus zero.
            rates: Rates {
                up: connected.iter().map(|peer| peer.up_rate).sum::<f64>() + 0.0,
                down: connected.iter().map(|peer| peer.down_rate).sum::<f64>() + 0.0,
            },
            sources: self.sources(),
            totals: self.swarm.totals(),
            peers: table.into_values().collect(),
            connected,
            have: self.swarm.have().map_or(0, |have| have.count()),
            pieces: geometry.map_or(0, |g| g.pieces()),
            complete: self.swarm.is_complete(),
            banned: self.banned.iter().copied().collect(),
            mirrors: self
                .mirrors
                .iter()
                .zip(self.swarm.mirrors())
                .map(|(mirror, stats)| MirrorRow {
                    url: mirror.url().to_string(),
                    got: stats.downloaded,
                    given_up: stats.given_up,
                })
                .collect(),
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.stopping && self.pending == 0
    }
}

fn add(table: &mut BTreeMap<SocketAddr, PeerRow>, row: &PeerStats) {
    let known = table.entry(row.addr).or_insert(PeerRow {
        addr: row.addr,
        peer_id: None,
        got: 0,
        given: 0,
    });
    known.peer_id = row.peer_id.or(known.peer_id);
    known.got += row.downloaded;
    known.given += row.uploaded;
}
