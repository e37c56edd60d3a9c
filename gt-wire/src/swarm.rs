//! Many peers and one torrent: everything that happens is an [`Input`],
//! everything to do an [`Output`].
//!
//! The rooms, each with the part of the state that is its own:
//!
//! | room | its question |
//! |---|---|
//! | `peers`, `exchange`, `punch` | whom to connect to, whom never again, whom to tell of whom, whom to meet through whom |
//! | `link`, `connect`, `talk`, `describe` | one connection: its bytes, its life, its words, among them what the torrent is |
//! | `picker`, `pieces`, `requests`, `mirrors` | what to ask of whom |
//! | `verify`, `proof`, `layers`, `leaves`, `files` | is it right, and where does it go |
//! | `taking`, `intake` | what to fetch by a turn, and how much at a time |
//! | `serve`, `fast`, `turns`, `merit`, `choker`, `dispatch` | whom to give what, and in which order |

mod chance;
mod choker;
mod connect;
mod describe;
mod dispatch;
mod exchange;
mod fast;
mod files;
mod giveway;
mod input;
mod intake;
mod layers;
mod leaves;
mod link;
mod links;
mod merit;
mod mirrors;
mod options;
mod output;
mod peers;
mod picker;
mod pieces;
mod priority;
mod promises;
mod proof;
mod punch;
mod ramp;
mod requests;
mod serve;
mod sorted;
mod stats;
mod taking;
mod talk;
mod torrent;
mod turns;
mod verify;

use std::collections::VecDeque;
use std::time::Duration;

pub use input::{ConnId, Digests, Failure, Input, ReadId, Source};
pub use mirrors::{MirrorId, MirrorStats};
pub use options::{Content, Options};
pub use output::{Event, Fault, Output, Reason, Totals};
pub use stats::PeerStats;

use crate::bitfield::Bitfield;
use crate::geometry::{Geometry, PieceIndex};
use crate::source;

use chance::Chance;
use choker::Choker;
use describe::Describe;
use dispatch::Dispatch;
use intake::Intake;
use link::Link;
use links::Links;
use merit::Merit;
use mirrors::Mirror;
use peers::Book;
use punch::Punches;
use serve::Server;
use sorted::Sorted;
use torrent::Torrent;
use turns::Turns;

/// Extensions that the swarm itself understands, by our numbers from 1.
const OURS: [&str; 2] = [crate::metadata::NAME, crate::exchange::NAME];

/// The most HTTP sources of one torrent that are used.
const MIRRORS: usize = 16;

/// How soon a failed announce is tried again, doubled each time.
const ANNOUNCE_RETRY: Duration = Duration::from_secs(5);

/// The longest time between two announces, whatever a tracker asks for.
const ANNOUNCE_MOST: Duration = Duration::from_secs(7200);

/// The shortest.
const ANNOUNCE_LEAST: Duration = Duration::from_secs(5);

/// One torrent's or topic's peers, without clock, socket, file or thread.
///
/// The contract is in the crate's documentation: hand in one thing that
/// happened, poll until [`Output::Wait`], then wait for the next thing or for
/// that time (then hand in [`Input::Tick`]).
#[derive(Debug)]
pub struct Swarm {
    options: Options,
    /// Extensions that we understand; the first has number 1.
    names: Vec<String>,
    now: Duration,
    /// No later than the next thing to do for time's sake.
    wake: Duration,
    /// The same without what is due within milliseconds and cheap to look at.
    slow: Duration,
    /// Pieces that came in of late, which not all peers were told of.
    news: Vec<PieceIndex>,
    /// When they are.
    haves_at: Duration,
    chance: Chance,
    outputs: VecDeque<Output>,
    /// Connections with words not handed to the driver yet.
    dirty: Sorted<ConnId, ()>,
    links: Links,
    book: Book,
    punches: Punches,
    describe: Describe,
    mirrors: Vec<Mirror>,
    torrent: Option<Torrent>,
    server: Server,
    choker: Choker,
    dispatch: Dispatch,
    turns: Turns,
    intake: Intake,
    merit: Merit,
    totals: Totals,
    /// Peers that would send us something now; `None` until they are counted
    /// again.
    sources: Option<usize>,
    announcing: bool,
    announce_at: Duration,
    announce_failures: u32,
    /// When peers are told of each other next.
    exchange_at: Duration,
    stopped: bool,
}

impl Swarm {
    /// Begins a swarm; its first [`poll`](Self::poll) announces.
    pub fn new(mut options: Options) -> Self {
        let mut chance = Chance::new(options.seed);
        let content = options.content.take();
        let mut names = OURS.map(str::to_owned).to_vec();
        if content.is_some() && options.turns {
            names.push(crate::turn::NAME.to_owned());
        }
        if options.punch {
            names.push(crate::punch::NAME.to_owned());
        }
        names.extend(options.extensions.iter().take(32).cloned());
        let torrent = content.map(|content| Torrent::new(content, &mut chance));
        let mut swarm = Self {
            names,
            now: Duration::ZERO,
            wake: Duration::ZERO,
            slow: Duration::ZERO,
            news: Vec::new(),
            haves_at: Duration::MAX,
            outputs: VecDeque::new(),
            dirty: Sorted::default(),
            links: Links::default(),
            book: Book::default(),
            punches: Punches::default(),
            describe: Describe::default(),
            mirrors: (0..options.mirrors.min(MIRRORS))
                .map(|_| Mirror::default())
                .collect(),
            server: Server::default(),
            choker: Choker::default(),
            dispatch: Dispatch::new(),
            turns: Turns::new(),
            intake: Intake::default(),
            merit: Merit::default(),
            totals: Totals::default(),
            sources: None,
            announcing: true,
            announce_at: Duration::MAX,
            announce_failures: 0,
            exchange_at: Duration::MAX,
            stopped: false,
            torrent,
            chance,
            options,
        };
        swarm.totals.left = swarm.torrent.as_ref().map_or(0, Torrent::left);
        swarm.announce(Some(source::Event::Started));
        swarm.begin_dispatch();
        swarm.close_files();
        swarm
    }

    /// Takes one thing that happened at `now`, a time since an arbitrary
    /// start that never goes back.
    pub fn handle(&mut self, now: Duration, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Connected {
                conn,
                addr,
                outgoing,
            } => self.connected(conn, addr, outgoing),
            Input::ConnectFailed { addr } => self.connect_failed(addr),
            Input::OverDatagrams { conn } => self.goes_by_datagrams(conn),
            Input::Received { conn, bytes } => self.received(conn, bytes),
            Input::Sent { conn, bytes } => self.sent(conn, bytes),
            Input::Disconnected { conn } => self.lose(conn, Reason::Closed, false),
            Input::BlockRead { id, result } => self.block_read(id, result),
            Input::Written { block, result } => self.written(block, result),
            Input::PieceHashed { piece, result } => self.piece_hashed(piece, result),
            Input::FileClosed { file, result } => self.file_closed(file, result),
            Input::Peers { addrs, source } => {
                // Of a private torrent's peers its trackers alone may tell.
                if !(self.options.private && source.is_hint()) {
                    self.book.learn(self.now, &addrs, source);
                    self.alarm(self.now);
                }
            }
            Input::Fetched {
                mirror,
                block,
                result,
            } => self.fetched(mirror, block, result),
            Input::Announced { interval } => self.announced(interval),
            Input::SendExtended {
                conn,
                name,
                payload,
            } => self.say_extended(conn, &name, payload),
            Input::Ban { conn, why } => self.ban(conn, Reason::Caller(why)),
            Input::Want { piece, by } => {
                if let Some(torrent) = &mut self.torrent {
                    torrent.picker.want_by(piece, by);
                }
            }
            Input::Stop => self.stop(),
            Input::Tick => {}
        }
        if self.now >= self.wake {
            self.on_time();
            // What that brought about may be due at once; a wait is never over
            // when it is returned, whatever comes of it.
            if self.now >= self.wake {
                self.on_time();
                self.alarm_after(Duration::from_millis(1));
            }
        }
        self.settle();
    }

    /// Returns the next thing to do; [`Output::Wait`] when there is none.
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.links.is_empty() {
            // A node keeps thousands of torrents that nobody asks for.
            self.outputs.shrink_to_fit();
            self.news = Vec::new();
        }
        Output::Wait(self.wake)
    }

    /// Returns the layout, with the piece layers learnt so far.
    pub fn geometry(&self) -> Option<&Geometry> {
        self.torrent.as_ref().map(|t| &t.geometry)
    }

    /// Returns the verified pieces.
    pub fn have(&self) -> Option<&Bitfield> {
        self.torrent.as_ref().map(|t| &t.have)
    }

    /// Returns the figures so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Tells whether every wanted file was accepted.
    pub fn is_complete(&self) -> bool {
        self.torrent.as_ref().is_some_and(|t| t.files.is_complete())
    }

    /// Returns the figures of each open connection, by name.
    pub fn peers(&self) -> Vec<PeerStats> {
        self.links
            .values()
            .filter(|link| link.errands.is_none())
            .map(|link| PeerStats {
                conn: link.conn,
                addr: link.addr,
                peer_id: link.peer.handshake().map(|h| h.peer_id),
                client: link.extensions.as_ref().and_then(|e| e.client.clone()),
                uploaded: link.uploaded,
                downloaded: link.downloaded,
                down_rate: link.down.value(self.now),
                up_rate: link.up.value(self.now),
                outgoing: link.outgoing,
                datagrams: link.ways.datagrams,
                interested: (link.interested, link.peer.is_interested()),
                pieces: link.peer.have().count(),
                outstanding: link.asks.len(),
            })
            .collect()
    }

    /// Makes sure that everything in [`on_time`](Self::on_time) runs at `at`.
    fn alarm(&mut self, at: Duration) {
        self.wake = self.wake.min(at);
        self.slow = self.slow.min(at);
    }

    /// Makes sure that the part of it runs that serves and gives turns.
    fn alarm_soon(&mut self, at: Duration) {
        self.wake = self.wake.min(at);
    }

    /// Puts the next time off to no sooner than `wait` from now.
    fn alarm_after(&mut self, wait: Duration) {
        self.wake = self.wake.max(self.now + wait);
    }

    /// Does everything that is due, and finds out when the next thing is.
    fn on_time(&mut self) {
        self.wake = Duration::MAX;
        if self.stopped {
            return;
        }
        if self.haves_at <= self.now {
            self.tell_haves();
        }
        self.alarm_soon(self.haves_at);
        self.measure_turns();
        self.feed();
        self.grant_turns();
        if self.slow > self.now {
            return self.alarm_soon(self.slow);
        }
        self.slow = Duration::MAX;
        self.time_links();
        self.time_requests();
        self.judge_merit();
        self.time_promises();
        self.time_turns();
        self.time_layers();
        self.time_proofs();
        self.time_choker();
        self.time_dispatch();
        self.time_files();
        self.time_exchange();
        self.time_connects();
        self.time_mirrors();
        if self.announce_at <= self.now && !self.announcing {
            self.announce(None);
        }
        if !self.announcing {
            self.alarm(self.announce_at);
        }
    }

    /// Hands what was said to the driver.
    fn settle(&mut self) {
        while let Some((conn, ())) = self.dirty.pop_first() {
            let Some(link) = self.links.get_mut(&conn) else {
                continue;
            };
            let sends = link.flush().map(|bytes| Output::Send { conn, bytes });
            self.outputs.extend(sends);
            if let Some(errands) = &mut link.errands {
                self.outputs.extend(errands.outputs());
            }
        }
    }

    /// Tells own peers of the pieces that came in of late.
    fn tell_haves(&mut self) {
        self.haves_at = Duration::MAX;
        for link in self.links.values_mut() {
            if link.tell(self.now, &self.news) {
                self.dirty.insert(link.conn, ());
            }
            link.told = 0;
        }
        self.news.clear();
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn announce(&mut self, event: Option<source::Event>) {
        self.announcing = true;
        let want = self.options.outgoing.min(200) as u32;
        self.outputs.push_back(Output::Announce {
            event,
            totals: self.totals,
            want,
        });
    }

    fn announced(&mut self, interval: Option<Duration>) {
        self.announcing = false;
        let wait = match interval {
            Some(wait) => {
                self.announce_failures = 0;
                wait
            }
            None => {
                self.announce_failures += 1;
                ANNOUNCE_RETRY * 2_u32.pow(self.announce_failures.min(9) - 1)
            }
        };
        self.announce_at = self.now + wait.clamp(ANNOUNCE_LEAST, ANNOUNCE_MOST);
        self.alarm(self.announce_at);
    }

    fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        for conn in self.conns() {
            self.lose(conn, Reason::Stopped, true);
        }
        self.announce(Some(source::Event::Stopped));
        self.wake = Duration::MAX;
        self.slow = Duration::MAX;
    }

    fn conns(&self) -> Vec<ConnId> {
        self.links.keys().copied().collect()
    }
}
