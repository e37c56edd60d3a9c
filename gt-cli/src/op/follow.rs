//! Following a repository: a node that learns statements, judges them, brings
//! what they name, and serves all of it to others.
//!
//! ```text
//! topic swarm ── have / want / pack ──▶ judge ──▶ mark on disk ──▶ snapshot swarm
//!                                                                     │ reels close in order
//!                                       refs (of a mirror) ◀── complete
//! ```

mod asked;
mod gather;
mod hold;
mod line;
mod make;
mod peers;
mod snapshot;
mod talk;
mod wants;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gt_pack::import::Leniency;
use gt_trust::{Charter, Rid, Watermark};
use gt_wire::net::{self, Event, Node, Torrent, TorrentId};
use gt_wire::references::Rid as Secret;
use gt_wire::swarm::ConnId;
use gt_wire::{InfoHash, PeerId, PeerSource};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::ways::{self, Router};
use crate::args::ways::Ways;
use crate::believed::Believed;
use crate::git::{self, Git};
use crate::state::{self, Sealed, State};
use crate::told::{PeerTraffic, Told, Traffic};
use asked::Asked;
use gather::Gathering;
use snapshot::Snapshot;
use wants::Wants;

pub use peers::{Places, Tried};

/// How often the repository is looked at for a statement that was published
/// in it, and for figures to tell.
const TICK: Duration = Duration::from_millis(100);
/// After how many ticks it is looked whether what is served is still there.
const LOOK_AGAIN: u32 = 50;
/// After how many ticks it is looked whether something was proposed or sealed.
const LOOK_AT_PROPOSALS: u32 = 10;
/// A reel up to this size rides along with the statement (PROTOCOL: 64 KiB).
const RIDES_ALONG: u64 = 64 * 1024;
/// Snapshots that are served beside the newest one.
const KEPT: usize = 1;

/// What to follow, and how.
pub struct Options {
    /// Git, for history and refs.
    pub git: Git,
    /// The repository's state.
    pub state: State,
    /// Which repository.
    pub rid: Rid,
    /// Trackers and peers.
    pub places: Places,
    /// Where to listen; empty for a free port on every interface.
    pub listen: Vec<SocketAddr>,
    /// Where the reels of a first clone wait until all are there.
    pub cache: Option<PathBuf>,
    /// Whom the person believes of those whom a charter lists.
    pub believed: Believed,
    /// Whether a first statement may have expired.
    pub allow_stale: bool,
    /// Whether a statement is only learnt and nothing brought yet; see
    /// [`Follow::bring`].
    pub only_learn: bool,
    /// Makes the repository ready for objects of the format that the statement
    /// names, before the first snapshot is opened over it; `None` where it is
    /// there already.
    pub prepare: Option<Prepare>,
    /// Ways to peers beside trackers and TCP.
    pub ways: Ways,
    /// The address as it was typed by whom this repository is taken for a clone
    /// of what it names. It is kept when the first charter has come: one that
    /// nobody answers to leaves nothing behind.
    pub adopt: Option<String>,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

/// What is done before a repository takes its first reel.
pub type Prepare = Box<dyn Fn(gt_vfs::ObjectFormat) -> Result<(), git::Error> + Send + Sync>;

/// A repository that is being followed.
pub struct Follow {
    options: Options,
    node: Node,
    events: mpsc::Receiver<Event>,
    router: Router,
    tick: Interval,
    topic: TorrentId,
    sources: Vec<Arc<dyn PeerSource>>,
    told: VecDeque<Told>,
    charters: Vec<Sealed<Charter>>,
    newest: Option<Sealed<gt_trust::Statement>>,
    watermark: Option<Watermark>,
    snapshots: VecDeque<Snapshot>,
    /// Connections on which the repository is shared, and with whom: a peer may
    /// have several, in several swarms. Its id alone is a word that another
    /// one can say too.
    shared: BTreeMap<ConnId, (IpAddr, PeerId)>,
    peers: BTreeMap<ConnId, (SocketAddr, PeerId)>,
    asked: Asked,
    gathering: Gathering,
    wants: Wants,
    /// Ticks since it was looked whether what is served is still there.
    ticks: u32,
    bringing: bool,
    /// What git's configuration said of the checks before the newest snapshot
    /// was opened; `None` where it cannot be read.
    checks: Option<Leniency>,
    /// Whether a reel of the newest statement was refused under them.
    refused: bool,
    last_traffic: Vec<Traffic>,
}

impl Follow {
    /// Starts a node and begins to look for others who follow the repository.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: Options) -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| Error::Io(std::io::Error::other(e.to_string())))?;
        let mut net = net::Options::new(seed).resume(match &options.cache {
            Some(cache) => cache.join("resume"),
            None => options.state.resume(),
        });
        if options.listen.is_empty() {
            net = net.listen_everywhere(0);
        }
        for address in &options.listen {
            net = net.listen(*address);
        }
        ways::tune(&options.ways, &mut net)?;
        let node = Node::start(net)?;
        let events = node.events();
        let mut sources = options.places.sources(&node.peer_id())?;
        sources.extend(ways::table(&options.ways)?);
        let router = Router::ask(&options.ways, &node);
        let mut topic = Torrent::topic(InfoHash(options.rid.topic()));
        topic.sources.clone_from(&sources);
        node.follow(Secret(*options.rid.as_bytes()));
        let charters = options.state.charters()?;
        let newest = options.state.accepted()?;
        let watermark = options.state.watermark()?;
        let topic = node.add(topic).await?;
        node.add_peers(topic, &options.places.peers);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut follow = Self {
            bringing: !options.only_learn,
            options,
            node,
            events,
            router,
            tick,
            topic,
            sources,
            told: VecDeque::new(),
            charters,
            newest,
            watermark,
            snapshots: VecDeque::new(),
            shared: BTreeMap::new(),
            peers: BTreeMap::new(),
            asked: Asked::default(),
            gathering: Gathering::default(),
            wants: Wants::default(),
            ticks: 0,
            checks: None,
            refused: false,
            last_traffic: Vec::new(),
        };
        follow.asked.holds(follow.watermark.map(|w| w.mark));
        for address in follow.node.local_addrs().to_vec() {
            let id = hex(&follow.node.peer_id().0);
            follow.told.push_back(Told::Listening { address, id });
        }
        if let Some(newest) = &follow.newest {
            follow.told.push_back(Told::Statement {
                sequence: newest.text.sequence.0,
                stale: stale(&newest.text, (follow.options.now)()),
                from: None,
            });
        }
        if follow.bringing {
            follow.open_newest().await?;
            follow.open_before().await?;
        }
        Ok(follow)
    }

    /// Returns the statement that holds now.
    pub fn statement(&self) -> Option<&gt_trust::Statement> {
        self.newest.as_ref().map(|n| &n.text)
    }

    /// Returns what was tried to find others, for a message to the person.
    pub fn tried(&self) -> Tried {
        let followers: Vec<_> = self.shared.keys().map(|c| self.address_of(*c)).collect();
        self.options.places.tried(&followers)
    }

    /// Tells whether everything of the newest statement is here, and for a
    /// mirror its refs have moved.
    pub fn is_settled(&self) -> bool {
        match (self.snapshots.back(), &self.newest) {
            (Some(snapshot), Some(newest)) => {
                snapshot.complete && snapshot.identity == newest.text.identity()
            }
            _ => false,
        }
    }

    /// Returns what has happened and was not yet told.
    pub fn drain(&mut self) -> impl Iterator<Item = Told> + '_ {
        self.told.drain(..)
    }

    /// Begins to bring what the newest statement names, where
    /// [`Options::only_learn`] kept it from doing so.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bring(&mut self) -> Result<(), Error> {
        self.bringing = true;
        self.open_newest().await
    }

    /// Waits for the next thing that happens, and not for long: `None` where
    /// nothing was to be told for a tenth of a second.
    ///
    /// It must not be cancelled while it works on something, so a caller with
    /// a time limit looks at the clock between calls.
    ///
    /// # Errors
    /// See [`Error`]; following cannot go on then.
    pub async fn next(&mut self) -> Result<Option<Told>, Error> {
        if let Some(told) = self.told.pop_front() {
            return Ok(Some(told));
        }
        tokio::select! {
            event = self.events.recv() => match event {
                Some(event) => self.happened(event).await?,
                None => return Err(Error::Stopped),
            },
            _ = self.tick.tick() => self.look().await?,
        }
        Ok(self.told.pop_front())
    }

    /// Ends the node in good order: last announces, resume data on the disk.
    pub async fn stop(&mut self) {
        self.router.end().await;
        self.node.shutdown().await;
    }

    async fn happened(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::PeerConnected {
                torrent,
                conn,
                addr,
                peer_id,
            } => {
                self.peers.insert(conn, (addr, peer_id));
                if torrent == self.topic
                    && let Some(snapshot) = self.snapshots.back()
                    && let Some(id) = snapshot.torrent
                {
                    self.node.add_peers(id, &[addr]);
                }
            }
            Event::PeerDisconnected { conn, .. } => {
                self.peers.remove(&conn);
                self.shared.remove(&conn);
                self.wants.gone(conn);
                self.asked.gone(conn);
                self.gathering.gone(conn);
                self.ask_next();
            }
            Event::References(reference) => self.referenced(reference).await?,
            Event::Progress {
                torrent,
                have,
                pieces,
            } if self.is_newest(torrent) => {
                let bytes = match self.node.stats(torrent).await {
                    Some(stats) => stats.totals.downloaded,
                    None => 0,
                };
                self.told.push_back(Told::Progress {
                    have: have.into(),
                    total: pieces.into(),
                    bytes,
                });
            }
            Event::FileClosed {
                torrent,
                path,
                verdict,
                ..
            } => self.told.push_back(match verdict {
                gt_vfs::Verdict::Accept => Told::Reel(path.to_string()),
                gt_vfs::Verdict::Reject { why } => {
                    self.refused |= self.is_newest(torrent);
                    Told::Failed(format!("{path}: {why}"))
                }
            }),
            Event::Complete { torrent } if self.is_newest(torrent) => self.complete().await?,
            Event::Failed { torrent, why } if self.is_newest(torrent) => {
                self.told.push_back(Told::Failed(why));
            }
            Event::Stalled { torrent, why } if self.is_newest(torrent) => {
                self.told.push_back(Told::Stalled(why));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_newest(&self, torrent: TorrentId) -> bool {
        self.snapshots
            .back()
            .is_some_and(|s| s.torrent == Some(torrent))
    }

    /// Looks whether a statement was published in this repository, and at the
    /// figures.
    async fn look(&mut self) -> Result<(), Error> {
        // While it is being replaced the file is one or the other.
        let watermark = self.options.state.watermark()?;
        if let Some(there) = watermark
            && self.watermark.as_ref().is_none_or(|w| w.mark < there.mark)
            && let Some(sealed) = self.options.state.accepted()?
        {
            self.charters = self.options.state.charters()?;
            self.told.push_back(Told::Statement {
                sequence: sealed.text.sequence.0,
                stale: None,
                from: None,
            });
            self.take_up(sealed, there, None).await?;
        }
        if let Some(said) = self.router.said().await {
            self.told.push_back(Told::Router(said));
        }
        self.ticks += 1;
        if self.ticks >= LOOK_AGAIN {
            self.ticks = 0;
            self.notice_loss().await?;
            self.judge_again().await?;
        }
        if self.ticks.is_multiple_of(LOOK_AT_PROPOSALS) && !self.options.only_learn {
            self.gather()?;
        }
        self.ask_next();
        for (conn, want) in self.wants.due(Instant::now()) {
            self.answer(conn, &want)?;
        }
        let mut rows = Vec::new();
        for snapshot in &self.snapshots {
            let Some(torrent) = snapshot.torrent else {
                continue;
            };
            if let Some(stats) = self.node.stats(torrent).await {
                rows.push(Traffic {
                    sequence: snapshot.statement.sequence.0,
                    uploaded: stats.totals.uploaded,
                    downloaded: stats.totals.downloaded,
                    peers: stats
                        .peers
                        .iter()
                        .map(|row| PeerTraffic {
                            id: row.peer_id.map(|id| hex(&id.0)).unwrap_or_default(),
                            address: row.addr,
                            gave: row.got,
                            got: row.given,
                        })
                        .collect(),
                });
            }
        }
        for row in &rows {
            if !self.last_traffic.contains(row) {
                self.told.push_back(Told::Traffic(row.clone()));
            }
        }
        self.last_traffic = rows;
        Ok(())
    }
}

/// For how many seconds a statement has been expired.
fn stale(statement: &gt_trust::Statement, now: u64) -> Option<u64> {
    now.checked_sub(statement.expires.0).filter(|s| *s > 0)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

impl Error {
    /// Tells whether what was asked for cannot be, and nothing is broken.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Snapshot(snapshot::Error::Format { .. }))
    }
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state of gt in the repository.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The disk or a socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A place to find peers at.
    #[error(transparent)]
    Place(#[from] peers::Error),
    /// The node does not take a torrent.
    #[error(transparent)]
    Add(#[from] net::AddError),
    /// A snapshot cannot be opened.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// A proposal that is kept.
    #[error(transparent)]
    Proposal(#[from] crate::op::proposal::Error),
    /// The chain of reels.
    #[error(transparent)]
    Chain(#[from] gt_pack::chain::Error),
    /// Another way to peers.
    #[error(transparent)]
    Ways(#[from] ways::Error),
    /// The node ended.
    #[error("the node has stopped")]
    Stopped,
    /// A thread of work ended.
    #[error("a task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}
