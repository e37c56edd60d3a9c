//! The driver: sockets, disk and time round the swarms, on tokio.
//!
//! It decides nothing. One task owns every swarm; sockets, files and peer
//! sources run beside it and tell it what happened, and what a swarm wants
//! done is handed back to them.

mod announce;
mod blocks;
mod check;
mod crypt;
#[cfg(feature = "dht")]
pub mod dht;
mod disk;
mod driver;
mod feed;
mod link;
mod listen;
mod mirror;
mod options;
mod pace;
mod pipe;
mod pool;
#[cfg(feature = "portmap")]
pub mod portmap;
mod report;
mod room;
mod seats;
mod store;
mod torrent;
mod trace;
#[cfg(feature = "utp")]
mod utp;
mod valve;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::references::{self, Rid};
use crate::swarm::{self, ConnId, Swarm};
use crate::{PeerId, limits};

use crypt::Lock;
use disk::Disk;
use driver::{Command, Driver};
use listen::Doors;
use room::Room;
use seats::Seats;
use store::OpenFiles;

pub use options::{Encryption, Limits, Options};
pub use report::{AddError, Event, MirrorRow, PeerRow, Rates, SourceRow, Stats};
pub use seats::Visitors;
pub use torrent::{Content, Torrent, TorrentId};

/// News that may wait for the loop; sockets are not read while it is behind.
const NEWS: usize = 512;
/// Events that may wait for a listener in its channel.
const EVENTS: usize = 1024;

/// A running node: a handle that can be cloned. When the last one is dropped
/// the node ends at once; [`shutdown`](Self::shutdown) lets it finish.
#[derive(Clone)]
pub struct Node {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// What does not change while a node runs.
struct Shared {
    peer_id: PeerId,
    addrs: Vec<SocketAddr>,
    /// Where others reach us.
    port: AtomicU16,
    seed: [u8; 32],
    resume: Option<PathBuf>,
    open: Arc<OpenFiles>,
    tune: fn(&mut swarm::Options),
    /// Whether calls through others can be made.
    punches: bool,
    seats: Arc<Seats>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.shared.peer_id)
    }
}

impl Node {
    /// Binds and begins, in the tokio runtime of the caller, whose timers and
    /// sockets must be on.
    ///
    /// # Errors
    /// Where an address cannot be bound, or the resume folder not be made.
    pub fn start(options: Options) -> io::Result<Self> {
        if let Some(folder) = &options.resume {
            std::fs::create_dir_all(folder)?;
        }
        let mut random = [0; 12];
        random.copy_from_slice(&Sha256::digest(options.seed)[..12]);
        let peer_id = PeerId::ours(random);
        let (commands, orders) = mpsc::unbounded_channel();
        let (tell, news) = mpsc::channel(NEWS);
        let seats = Seats::new(options.connections);
        let lock = Arc::new(Lock::new(&options));
        let mut bound = Vec::new();
        if let Some(port) = options.everywhere {
            bound.extend(listen::everywhere(port)?);
        }
        for addr in &options.listen {
            bound.push(listen::bind(*addr)?);
        }
        let mut listeners = Vec::new();
        for listener in bound {
            let (seats, lock) = (seats.clone(), lock.clone());
            listeners.push(listen::listen(listener, seats, lock, tell.clone())?);
        }
        let shared = Arc::new(Shared {
            peer_id,
            addrs: listeners.iter().map(|l| l.addr).collect(),
            port: AtomicU16::new(listeners.first().map_or(0, |l| l.addr.port())),
            seed: options.seed,
            resume: options.resume.clone(),
            open: Arc::new(OpenFiles::new(limits::OPEN_FILES)),
            tune: options.tune,
            punches: lock.punches() && !listeners.is_empty(),
            seats: seats.clone(),
        });
        let disk = Disk::new(options.disk_jobs, tell.clone());
        let doors = Doors {
            seats,
            lock,
            listeners,
        };
        let driver = Driver::new(peer_id, options.resume, doors, disk, tell, options.limits);
        tokio::spawn(driver.run(orders, news));
        Ok(Self { commands, shared })
    }

    /// Returns the first address that it listens at.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.addrs.first().copied()
    }

    /// Returns all addresses that it listens at.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.shared.addrs
    }

    /// Returns who it is.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// Checks what is on the disk and begins to exchange a torrent, or to
    /// talk in a topic.
    ///
    /// # Errors
    /// See [`AddError`].
    pub async fn add(&self, torrent: Torrent) -> Result<TorrentId, AddError> {
        let hashes: Vec<_> = std::iter::once(torrent.info_hash)
            .chain(torrent.other_hash)
            .collect();
        let chance = Sha256::new()
            .chain_update(self.shared.seed)
            .chain_update(torrent.info_hash.0)
            .finalize();
        let mut seed = [0; 8];
        seed.copy_from_slice(&chance[..8]);
        let mut options = swarm::Options::new(
            self.shared.peer_id,
            torrent.info_hash,
            u64::from_le_bytes(seed),
        );
        options.other_hash = torrent.other_hash;
        options.info = torrent.info;
        options.fetch_info = torrent.fetch_info;
        options.super_seed = torrent.super_seed;
        options.private = torrent.private;
        options.mirrors = torrent.mirrors.len();
        options.extensions = vec![references::EXTENSION.to_owned()];
        options.punch = self.shared.punches;
        options.port = self
            .local_addr()
            .map(|_| self.shared.port.load(Ordering::Relaxed));
        (self.shared.tune)(&mut options);
        let mut store = None;
        if let Some(content) = torrent.content {
            let shared = self.shared.clone();
            let look = move || {
                let folder = shared.resume.as_deref();
                check::check(content, torrent.info_hash, folder, shared.open.clone())
            };
            let checked = tokio::task::spawn_blocking(look).await;
            let checked = checked.map_err(|e| AddError::Io(io::Error::other(e)))??;
            store = Some(checked.store);
            options.content = Some(checked.content);
        }
        let closed = options.content.as_ref().map(|c| c.closed.clone());
        let closed = closed.unwrap_or_default();
        let swarm = Swarm::new(options);
        let mut room = Room::new(
            swarm,
            hashes,
            store,
            torrent.sources,
            closed,
            torrent.limits,
        );
        room.mirrors = torrent.mirrors;
        if torrent.private {
            room.sources.retain(|source| !source.kind().is_hint());
        }
        self.ask(|answer| Command::Add(Box::new(room), answer))
            .await
            .unwrap_or(Err(AddError::Stopped))
    }

    /// Tells a torrent of peers that the person named.
    pub fn add_peers(&self, torrent: TorrentId, addrs: &[SocketAddr]) {
        self.tell(Command::Peers(torrent, addrs.to_vec()));
    }

    /// Ends a torrent: its connections, after a last announce and a flush of
    /// its resume data. Files stay.
    pub async fn remove(&self, torrent: TorrentId) {
        let _ = self.ask(|answer| Command::Remove(torrent, answer)).await;
    }

    /// Returns the figures of a torrent.
    pub async fn stats(&self, torrent: TorrentId) -> Option<Stats> {
        self.ask(|answer| Command::Stats(torrent, answer)).await?
    }

    /// Returns who is at the doors, and who came in vain.
    pub fn visitors(&self) -> Visitors {
        self.shared.seats.visitors()
    }

    /// Says that others reach us at another port than the one we listen at,
    /// such as a router's; trackers are told from their next announce on, peers
    /// of torrents that are added later.
    pub fn reached_at(&self, port: u16) {
        self.shared.port.store(port, Ordering::Relaxed);
        self.tell(Command::Port(port));
    }

    /// Changes how fast bytes may go, of all torrents together.
    pub fn limit(&self, limits: Limits) {
        self.tell(Command::Limit(None, limits));
    }

    /// Changes how fast the bytes of one torrent may go.
    pub fn limit_torrent(&self, torrent: TorrentId, limits: Limits) {
        self.tell(Command::Limit(Some(torrent), limits));
    }

    /// Looks for peers that follow a repository, on every connection.
    pub fn follow(&self, rid: Rid) {
        self.tell(Command::Follow(rid));
    }

    /// Stops to follow a repository.
    pub fn unfollow(&self, rid: Rid) {
        self.tell(Command::Unfollow(rid));
    }

    /// Tells a peer of a head. Dropped where the repository is not shared.
    pub fn send_have(&self, conn: ConnId, rid: Rid, bytes: Bytes) {
        self.tell(Command::Say(conn, references::Input::Have { rid, bytes }));
    }

    /// Asks a peer for a pack.
    pub fn send_want(&self, conn: ConnId, rid: Rid, bytes: Bytes) {
        self.tell(Command::Say(conn, references::Input::Want { rid, bytes }));
    }

    /// Answers a want, with a small reel where there is one.
    pub fn send_pack(&self, conn: ConnId, rid: Rid, pack: Bytes, reel: Option<Bytes>) {
        let answer = references::Input::Pack { rid, pack, reel };
        self.tell(Command::Say(conn, answer));
    }

    /// Ends a connection for what its peer said in an extension; the address
    /// is not used again.
    pub fn ban(&self, conn: ConnId, why: &str) {
        self.tell(Command::Ban(conn, why.to_owned()));
    }

    /// Returns what happens from now on. A receiver that falls far behind is
    /// closed; progress is left out first.
    pub fn events(&self) -> mpsc::Receiver<Event> {
        let (tell, events) = mpsc::channel(EVENTS);
        self.tell(Command::Listen(tell));
        events
    }

    /// Stops: last announces, resume data flushed, connections closed, all
    /// within ten seconds.
    pub async fn shutdown(&self) {
        let _ = self.ask(Command::Stop).await;
    }

    /// A node that has stopped does nothing more.
    fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.tell(command(answer));
        answered.await.ok()
    }
}
