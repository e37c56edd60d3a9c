//! The loop: what happened goes into a swarm, what it wants done goes out.

mod act;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::announce::Told;
use super::crypt::Lock;
use super::disk::{Disk, Done, Job};
use super::feed::Feed;
use super::link::{Link, READ, Way};
use super::listen::{Doors, Guest, Listener};
use super::pipe::Pipe;
use super::pool::Pool;
use super::room::{NOTE_SOON, Room};
use super::seats::{Seat, Seats};
use super::valve::{Valve, Valves};
use super::{AddError, Event, Limits, Stats, TorrentId};
use crate::geometry::Block;
use crate::references::{self, References};
use crate::swarm::{ConnId, Failure, Input, MirrorId, Source};
use crate::{InfoHash, PeerId};

/// How long a stop may take.
const STOP: Duration = Duration::from_secs(8);
/// How often listeners who are behind are looked after.
const CATCH_UP: Duration = Duration::from_millis(20);
/// Buffers for received bytes that may be in use, until their blocks are on
/// the disk, before sockets are left to wait: 4 MiB.
const RECEIVED: usize = 32;
/// Such buffers that are kept when nothing comes.
const KEEP: usize = 16;
/// News that are taken at a time before commands are looked at.
const BATCH: usize = 64;

/// What sockets, files and sources tell.
pub(super) enum News {
    Guest(Box<Guest>),
    Dialled {
        torrent: TorrentId,
        addr: SocketAddr,
        stream: Option<(Pipe, Seat)>,
    },
    Received {
        conn: ConnId,
        bytes: Bytes,
    },
    Sent {
        conn: ConnId,
        bytes: usize,
    },
    Gone {
        conn: ConnId,
    },
    Disk {
        torrent: TorrentId,
        done: Vec<Done>,
    },
    Told {
        torrent: TorrentId,
        told: Told,
    },
    Fetched {
        torrent: TorrentId,
        mirror: MirrorId,
        block: Block,
        result: Result<Bytes, Failure>,
    },
}

/// What a handle asks for.
pub(super) enum Command {
    Add(Box<Room>, oneshot::Sender<Result<TorrentId, AddError>>),
    Peers(TorrentId, Vec<SocketAddr>),
    Remove(TorrentId, oneshot::Sender<()>),
    Stats(TorrentId, oneshot::Sender<Option<Stats>>),
    Follow(references::Rid),
    Unfollow(references::Rid),
    Say(ConnId, references::Input),
    Ban(ConnId, String),
    Listen(mpsc::Sender<Event>),
    /// Where others reach us.
    Port(u16),
    /// Of one torrent, or of all together.
    Limit(Option<TorrentId>, Limits),
    Stop(oneshot::Sender<()>),
}

/// Everything that the one task owns.
pub(super) struct Driver {
    pub(super) peer_id: PeerId,
    pub(super) port: u16,
    pub(super) resume: Option<PathBuf>,
    pub(super) seats: Arc<Seats>,
    pub(super) lock: Arc<Lock>,
    pub(super) disk: Disk,
    pub(super) news: mpsc::Sender<News>,
    /// What is read from sockets.
    buffers: Arc<Pool>,
    up: Arc<Valve>,
    down: Arc<Valve>,
    started: Instant,
    feed: Feed,
    behind: bool,
    references: References,
    /// Boxed, since a tree keeps half as much again free for growth.
    rooms: BTreeMap<TorrentId, Box<Room>>,
    routes: BTreeMap<InfoHash, TorrentId>,
    links: BTreeMap<ConnId, Link>,
    wakes: BTreeSet<(Duration, TorrentId)>,
    todo: VecDeque<(TorrentId, Input)>,
    last_torrent: u64,
    last_conn: u64,
    stopping: Option<Duration>,
    stoppers: Vec<oneshot::Sender<()>>,
    _listeners: Vec<Listener>,
}

impl Driver {
    pub(super) fn new(
        peer_id: PeerId,
        resume: Option<PathBuf>,
        doors: Doors,
        disk: Disk,
        news: mpsc::Sender<News>,
        limits: Limits,
    ) -> Self {
        let Doors {
            seats,
            lock,
            listeners,
        } = doors;
        let started = Instant::now();
        Self {
            peer_id,
            port: listeners.first().map_or(0, |l| l.addr.port()),
            resume,
            seats,
            lock,
            disk,
            news,
            buffers: Pool::new(READ, KEEP, RECEIVED),
            up: Valve::new(limits.up, started),
            down: Valve::new(limits.down, started),
            started,
            feed: Feed::default(),
            behind: false,
            references: References::new(peer_id, references::Limits::default()),
            rooms: BTreeMap::new(),
            routes: BTreeMap::new(),
            links: BTreeMap::new(),
            wakes: BTreeSet::new(),
            todo: VecDeque::new(),
            last_torrent: 0,
            last_conn: 0,
            stopping: None,
            stoppers: Vec::new(),
            _listeners: listeners,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs until it is told to stop, or every handle was dropped.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut news: mpsc::Receiver<News>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake = self.next_wake().map(|at| self.started + at);
            let alarm = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                _ = news.recv_many(&mut batch, BATCH) => {
                    for news in batch.drain(..) {
                        self.take(news);
                        self.work();
                    }
                }
                () = alarm => {}
            }
            self.work();
            self.on_time();
            self.disk_now();
            self.behind = self.feed.catch_up();
            if self.is_over() {
                for stopper in self.stoppers.drain(..) {
                    let _ = stopper.send(());
                }
                return;
            }
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let swarm = self.wakes.first().map(|(at, _)| *at);
        let behind = self.behind.then(|| self.now() + CATCH_UP);
        [swarm, behind, self.stopping].into_iter().flatten().min()
    }

    fn on_time(&mut self) {
        let now = self.now();
        while let Some((at, torrent)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            if let Some(room) = self.rooms.get_mut(&torrent) {
                room.wake = None;
            }
            self.todo.push_back((torrent, Input::Tick));
            self.work();
        }
    }

    fn is_over(&self) -> bool {
        self.stopping.is_some_and(|until| {
            let now = self.now();
            now >= until || self.rooms.values().all(|room| room.is_quiet())
        })
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(room, answer) => {
                let _ = answer.send(self.add(room));
            }
            Command::Peers(torrent, addrs) => {
                let source = Source::Person;
                self.todo
                    .push_back((torrent, Input::Peers { addrs, source }));
            }
            Command::Remove(torrent, answer) => match self.rooms.get_mut(&torrent) {
                Some(room) => {
                    room.leavers.push(answer);
                    self.stop_room(torrent);
                }
                None => {
                    let _ = answer.send(());
                }
            },
            Command::Stats(torrent, answer) => {
                let _ = answer.send(self.rooms.get_mut(&torrent).map(|room| room.stats()));
            }
            Command::Follow(rid) => {
                self.references.follow(rid);
                self.refer();
            }
            Command::Unfollow(rid) => self.references.unfollow(rid),
            Command::Say(conn, input) => {
                self.references.handle(conn, input);
                self.refer();
            }
            Command::Ban(conn, why) => self.ban(conn, why),
            Command::Listen(channel) => self.feed.add(channel),
            Command::Port(port) => self.port = port,
            Command::Limit(torrent, limits) => {
                let room = torrent.map(|torrent| self.rooms.get(&torrent));
                let valves = match room {
                    None => Some((&self.up, &self.down)),
                    Some(room) => room.map(|room| (&room.up, &room.down)),
                };
                if let Some((up, down)) = valves {
                    up.set(limits.up);
                    down.set(limits.down);
                }
            }
            Command::Stop(answer) => {
                self.stoppers.push(answer);
                self.stopping.get_or_insert(self.started.elapsed() + STOP);
                let torrents: Vec<TorrentId> = self.rooms.keys().copied().collect();
                torrents.into_iter().for_each(|t| self.stop_room(t));
            }
        }
    }

    fn add(&mut self, room: Box<Room>) -> Result<TorrentId, AddError> {
        if self.stopping.is_some() {
            return Err(AddError::Stopped);
        }
        if room
            .hashes
            .iter()
            .any(|hash| self.routes.contains_key(hash))
        {
            return Err(AddError::Twice);
        }
        self.last_torrent += 1;
        let torrent = TorrentId(self.last_torrent);
        for hash in &room.hashes {
            self.routes.insert(*hash, torrent);
            self.lock.learn(*hash);
        }
        self.rooms.insert(torrent, room);
        let now = self.now();
        if let Some(room) = self.rooms.get_mut(&torrent)
            && room.store.is_some()
            && room.resume().is_some_and(|found| !found.is_empty())
        {
            // Layers that took hashing shall not take it again.
            room.changed(now, true);
        }
        self.todo.push_back((torrent, Input::Tick));
        Ok(torrent)
    }

    fn stop_room(&mut self, torrent: TorrentId) {
        let Some(room) = self.rooms.get_mut(&torrent) else {
            return;
        };
        if !std::mem::replace(&mut room.stopping, true) {
            self.todo.push_back((torrent, Input::Stop));
            if room.store.is_some() {
                room.note_at = Some(Duration::ZERO);
            }
        }
        self.work();
    }

    fn take(&mut self, news: News) {
        match news {
            News::Guest(guest) => self.welcome(*guest),
            News::Dialled {
                torrent,
                addr,
                stream,
            } => match stream {
                Some((stream, seat)) => {
                    self.connected(torrent, stream, addr, seat, true);
                }
                None => self
                    .todo
                    .push_back((torrent, Input::ConnectFailed { addr })),
            },
            News::Received { conn, bytes } => {
                self.about(conn, Input::Received { conn, bytes });
            }
            News::Sent { conn, bytes } => self.about(conn, Input::Sent { conn, bytes }),
            News::Gone { conn } => {
                if let Some(link) = self.links.get(&conn) {
                    let torrent = link.torrent;
                    if let Some(room) = self.rooms.get_mut(&torrent) {
                        room.look();
                    }
                    self.todo.push_back((torrent, Input::Disconnected { conn }));
                }
            }
            News::Disk { torrent, done } => {
                for done in done {
                    self.disk_done(torrent, done);
                }
            }
            News::Told { torrent, told } => self.told(torrent, told),
            News::Fetched {
                torrent,
                mirror,
                block,
                result,
            } => self.todo.push_back((
                torrent,
                Input::Fetched {
                    mirror,
                    block,
                    result,
                },
            )),
        }
    }

    /// Hands in what happened on a connection that is still known.
    fn about(&mut self, conn: ConnId, input: Input) {
        if let Some(link) = self.links.get(&conn) {
            self.todo.push_back((link.torrent, input));
        }
    }

    fn welcome(&mut self, guest: Guest) {
        let Some(torrent) = self.routes.get(&guest.info_hash).copied() else {
            return;
        };
        let conn = self.connected(torrent, guest.stream, guest.addr, guest.seat, false);
        if let Some(conn) = conn {
            let bytes = guest.first.freeze();
            self.todo
                .push_back((torrent, Input::Received { conn, bytes }));
        }
    }

    fn connected(
        &mut self,
        torrent: TorrentId,
        stream: Pipe,
        addr: SocketAddr,
        seat: Seat,
        outgoing: bool,
    ) -> Option<ConnId> {
        let room = self.rooms.get(&torrent)?;
        if room.stopping {
            return None;
        }
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let way = Way {
            news: self.news.clone(),
            buffers: self.buffers.clone(),
            up: Valves([self.up.clone(), room.up.clone()]),
            down: Valves([self.down.clone(), room.down.clone()]),
        };
        let datagrams = stream.is_datagrams();
        let span = super::trace::peer(&room.span, conn, addr, outgoing);
        let link = Link::start(stream, addr, torrent, conn, seat, way, span);
        self.links.insert(conn, link);
        let connected = Input::Connected {
            conn,
            addr,
            outgoing,
        };
        self.todo.push_back((torrent, connected));
        if datagrams {
            self.todo
                .push_back((torrent, Input::OverDatagrams { conn }));
        }
        Some(conn)
    }

    /// Does or hands on what swarms want done with files, and what comes of
    /// that.
    fn disk_now(&mut self) {
        loop {
            let done = self.disk.flush();
            if done.is_empty() {
                return;
            }
            for (torrent, done) in done {
                for done in done {
                    self.disk_done(torrent, done);
                }
            }
            self.work();
        }
    }

    fn disk_done(&mut self, torrent: TorrentId, done: Done) {
        match done {
            Done::Input(input) => {
                if let Input::FileClosed {
                    file,
                    result: Ok(verdict),
                } = &input
                {
                    self.file_closed(torrent, *file, verdict.clone());
                }
                self.todo.push_back((torrent, input));
            }
            Done::Noted(result) => {
                let Some(room) = self.rooms.get_mut(&torrent) else {
                    return;
                };
                room.pending -= 1;
                room.noting = false;
                if let Err(e) = result {
                    let why = format!("cannot write resume data: {e}");
                    self.feed.tell(&Event::Stalled { torrent, why });
                }
                // What changed meanwhile is written next.
                self.todo.push_back((torrent, Input::Tick));
            }
        }
    }

    fn told(&mut self, torrent: TorrentId, told: Told) {
        let input = match told {
            Told::Peers(number, source, addrs) => {
                if let Some(room) = self.rooms.get_mut(&torrent) {
                    room.source_told(number, Ok(addrs.len()));
                }
                Input::Peers { addrs, source }
            }
            Told::Failed(number, why) => {
                let Some(room) = self.rooms.get_mut(&torrent) else {
                    return;
                };
                room.source_told(number, Err(why.clone()));
                let event = Event::SourceFailed { torrent, why };
                super::trace::event(&room.span, &event);
                self.feed.tell(&event);
                return;
            }
            Told::Through(interval) => {
                if let Some(room) = self.rooms.get_mut(&torrent) {
                    room.pending -= 1;
                }
                Input::Announced { interval }
            }
        };
        self.todo.push_back((torrent, input));
    }

    /// Does all that is to be done now: each input, then all that the swarm
    /// makes of it.
    fn work(&mut self) {
        while let Some((torrent, input)) = self.todo.pop_front() {
            let now = self.now();
            let Some(room) = self.rooms.get_mut(&torrent) else {
                continue;
            };
            room.swarm.handle(now, input);
            self.drain(torrent);
            self.note(torrent);
            self.leave(torrent);
        }
    }

    /// Writes resume data if it is time.
    fn note(&mut self, torrent: TorrentId) {
        let now = self.now();
        let Some(room) = self.rooms.get_mut(&torrent) else {
            return;
        };
        let (Some(at), Some(store), false) = (room.note_at, &room.store, room.noting) else {
            return;
        };
        if at > now {
            return;
        }
        room.note_at = None;
        let Some(folder) = &self.resume else {
            return;
        };
        if let Some(resume) = room.resume() {
            let path = super::check::resume_path(folder, resume.info_hash);
            room.noting = true;
            room.pending += 1;
            let job = if std::mem::take(&mut room.learnt) && !room.stopping {
                room.laid = Some(now);
                room.note_at = Some(now + NOTE_SOON);
                Job::Lay(path, Box::new(resume.of_layers()))
            } else {
                Job::Note(path, Box::new(resume))
            };
            self.disk.push(torrent, store, job);
        }
    }

    /// Forgets a torrent that was stopped and has nothing under way.
    fn leave(&mut self, torrent: TorrentId) {
        let leaves = |room: &Room| room.is_quiet() && !room.leavers.is_empty();
        if !self.rooms.get(&torrent).is_some_and(|room| leaves(room)) {
            return;
        }
        if let Some(room) = self.rooms.remove(&torrent) {
            if let Some(at) = room.wake {
                self.wakes.remove(&(at, torrent));
            }
            self.routes.retain(|_, t| *t != torrent);
            room.hashes.iter().for_each(|hash| self.lock.forget(*hash));
            self.links.retain(|_, link| link.torrent != torrent);
            for leaver in room.leavers {
                let _ = leaver.send(());
            }
        }
    }
}
