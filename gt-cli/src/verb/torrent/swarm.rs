//! One node and one torrent, as `seed` and `get` run them.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use gt_tracker::client::Reach;
use gt_tracker::{HttpTracker, Tiers};
use gt_wire::mirror::Mirror;
use gt_wire::net::{AddError, Event, Node, Options, Stats, Torrent, TorrentId};
use gt_wire::{Info, PeerId, PeerSource};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::super::{Failure, asked_to_end, broken, refused};
use super::plain;
use crate::Env;
use crate::args::torrent::Net;
use crate::meter::{Meter, size};
use crate::op::ways::{self, Router};

/// How often figures are asked for.
pub(super) const FIGURES: Duration = Duration::from_millis(500);

/// How often everybody who takes part is told of, by `--json`.
const ROWS: Duration = Duration::from_secs(5);

/// A running node.
pub(super) struct Swarm {
    pub(super) node: Node,
    pub(super) events: mpsc::Receiver<Event>,
    tiers: Vec<Vec<Arc<dyn PeerSource>>>,
    table: Option<Arc<dyn PeerSource>>,
    router: Router,
}

impl Swarm {
    /// Starts a node that keeps notes about what lies in `folder`.
    pub(super) fn start(env: &mut Env, net: &Net, folder: &Path) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(broken)?;
        let mut options = Options::new(seed);
        options.listen.clone_from(&net.listen);
        if options.listen.is_empty() {
            options.everywhere = Some(0);
        }
        if let Some(notes) = notes(env, folder) {
            options = options.resume(notes);
        }
        options.limits.up = net.limit_up;
        options.limits.down = net.limit_down;
        ways::tune(&net.ways, &mut options).map_err(broken)?;
        let node = Node::start(options).map_err(broken)?;
        let swarm = Self {
            events: node.events(),
            router: Router::ask(&net.ways, &node),
            table: ways::table(&net.ways).map_err(broken)?,
            node,
            tiers: Vec::new(),
        };
        for address in swarm.node.local_addrs() {
            let id = HEXLOWER.encode(&swarm.node.peer_id().0);
            let line = json!({"event": "listening", "address": address.to_string(), "id": id});
            tell(env, net.json, &line, || format!("Listening on {address}"))?;
        }
        Ok(swarm)
    }

    /// Adds trackers, in tiers. What the person typed or chose may lead
    /// anywhere.
    pub(super) fn trackers(
        &mut self,
        env: &mut Env,
        net: &Net,
        tiers: &[Vec<String>],
    ) -> Result<(), Failure> {
        let typed = net.trackers.iter().map(|url| vec![url.clone()]);
        for (n, tier) in typed.chain(tiers.iter().cloned()).enumerate() {
            let mut sources: Vec<Arc<dyn PeerSource>> = Vec::new();
            for url in &tier {
                match HttpTracker::new(url, Reach::Any) {
                    Ok(tracker) => sources.push(Arc::new(tracker)),
                    Err(e) if n < net.trackers.len() => {
                        return Err(Failure::Broken(format!("tracker {}: {e}", plain(url))));
                    }
                    Err(e) => {
                        let line = json!({"event": "source_failed", "why": e.to_string()});
                        let words = || format!("warning: tracker {}: {e}", plain(url));
                        tell(env, net.json, &line, words)?;
                    }
                }
            }
            if !sources.is_empty() {
                self.tiers.push(sources);
            }
        }
        Ok(())
    }

    /// Returns a torrent with what is known of its peers.
    pub(super) fn with_sources(&self, mut torrent: Torrent) -> Torrent {
        if let Some(table) = &self.table {
            torrent = torrent.source(Arc::clone(table));
        }
        if self.tiers.is_empty() {
            return torrent;
        }
        let PeerId(id) = self.node.peer_id();
        let seed = u64::from_be_bytes(id[12..].try_into().unwrap_or_default());
        torrent.source(Arc::new(Tiers::new(self.tiers.clone(), seed)))
    }

    /// Returns a torrent with HTTP sources, as far as they can be used.
    pub(super) fn with_mirrors(
        env: &mut Env,
        net: &Net,
        mut torrent: Torrent,
        info: &Info,
        urls: &[String],
    ) -> Result<Torrent, Failure> {
        for url in urls {
            match Mirror::new(url, Reach::Any, info.name(), info.is_single()) {
                Ok(mirror) => torrent = torrent.mirror(mirror),
                Err(e) => {
                    let line = json!({"event": "source_failed", "why": e.to_string()});
                    let words = || format!("warning: web seed {}: {e}", plain(url));
                    tell(env, net.json, &line, words)?;
                }
            }
        }
        Ok(torrent)
    }

    /// Tells what came of asking the router, when it is known.
    pub(super) async fn hear_router(&mut self, env: &mut Env, net: &Net) -> Result<(), Failure> {
        match self.router.said().await {
            Some(said) => {
                let said = plain(&said);
                let line = json!({"event": "router", "said": said});
                tell(env, net.json, &line, || said.clone())
            }
            None => Ok(()),
        }
    }

    /// Ends the node in good order.
    pub(super) async fn end(&mut self) {
        self.router.end().await;
        self.node.shutdown().await;
    }

    pub(super) async fn add(&self, torrent: Torrent) -> Result<TorrentId, Failure> {
        self.node.add(torrent).await.map_err(|e| match e {
            AddError::Occupied { .. } => refused(plain(&e.to_string())),
            other => broken(other),
        })
    }
}

/// Returns a runtime for one node: sockets and swarm in this thread, files in
/// a few others.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(broken)
}

/// Serves until it is asked to end.
pub(super) async fn stay(
    env: &mut Env,
    swarm: &mut Swarm,
    torrent: TorrentId,
    net: &Net,
    began: Instant,
) -> Result<(), Failure> {
    let as_json = net.json;
    let mut figures = Figures::new(env, "Seeding pieces");
    let mut asked = std::pin::pin!(asked_to_end());
    let mut ticks = tokio::time::interval(FIGURES);
    let failed = loop {
        tokio::select! {
            () = &mut asked => break None,
            event = swarm.events.recv() => match event {
                Some(Event::Failed { why, .. }) => break Some(plain(&why)),
                Some(event) => figures.event(env, as_json, &event)?,
                None => break Some("the node has stopped".to_owned()),
            },
            _ = ticks.tick() => {
                swarm.hear_router(env, net).await?;
                if let Some(stats) = swarm.node.stats(torrent).await {
                    figures.show(env, as_json, &stats)?;
                }
            }
        }
    };
    let stats = swarm.node.stats(torrent).await;
    swarm.end().await;
    figures.wipe(env)?;
    if let Some(stats) = stats {
        summary(env, as_json, &stats, began.elapsed())?;
    }
    failed.map_or(Ok(()), |why| Err(Failure::Refused(why)))
}

/// Returns the addresses of peers that a link names.
pub(super) fn resolve(peers: &[String]) -> Vec<SocketAddr> {
    let found = peers.iter().filter_map(|peer| peer.to_socket_addrs().ok());
    let found: BTreeSet<SocketAddr> = found.flatten().collect();
    found.into_iter().collect()
}

/// Returns where notes about a folder of downloads lie: in the person's cache,
/// so that nothing of ours stands among the files.
fn notes(env: &Env, folder: &Path) -> Option<PathBuf> {
    let name = Sha256::digest(folder.as_os_str().as_bytes());
    let name = HEXLOWER.encode(&name[..16]);
    Some(env.cache_folder()?.join("torrents").join(name))
}

/// Tells of one event: a line of JSON, or a sentence for a person.
pub(super) fn tell(
    env: &mut Env,
    as_json: bool,
    line: &Value,
    words: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if !as_json {
        return writeln!(env.stderr, "{}", words()).map_err(broken);
    }
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let mut line = line.clone();
    line["at"] = at.into();
    super::json(env, &line)
}

/// What an event is to `seed` and `get`.
pub(super) fn shown(event: &Event) -> Option<(Value, String)> {
    Some(match event {
        Event::FileClosed { path, verdict, .. } => {
            let path = plain(&path.to_string());
            let line = json!({"event": "file", "path": path, "accepted": verdict.is_accept()});
            (line, format!("{path}: {verdict}"))
        }
        Event::PeerConnected { addr, .. } => {
            let line = json!({"event": "peer", "address": addr.to_string()});
            (line, format!("Peer {addr} is connected"))
        }
        Event::PeerDisconnected { addr, why, .. } => {
            let why = plain(why);
            let line = json!({"event": "peer_gone", "address": addr.to_string(), "why": why});
            (line, format!("Peer {addr} is gone: {why}"))
        }
        Event::Banned { addr, why, .. } => {
            let why = plain(why);
            let line = json!({"event": "banned", "address": addr.to_string(), "why": why});
            (line, format!("warning: peer {addr} is banned: {why}"))
        }
        Event::Stalled { why, .. } => {
            let why = plain(why);
            let line = json!({"event": "stalled", "why": why});
            (line, format!("warning: waiting: {why}"))
        }
        Event::SourceFailed { why, .. } => {
            let why = plain(why);
            let line = json!({"event": "source_failed", "why": why});
            (line, format!("warning: {why}"))
        }
        _ => return None,
    })
}

/// Tells whether a person wants to hear of an event without asking for all of
/// them by `--json`.
pub(super) fn is_news(event: &Event) -> bool {
    matches!(
        event,
        Event::Banned { .. } | Event::Stalled { .. } | Event::SourceFailed { .. }
    )
}

/// Shows figures: a line that changes on a terminal, a line of JSON when they
/// have changed.
pub(super) struct Figures {
    meter: Option<Meter>,
    last: Option<(u32, u64, u64, usize)>,
    /// When every peer was last told of.
    rows_at: Option<Instant>,
    /// What a person was warned of last: it is tried again every few seconds.
    warned: Option<String>,
}

impl Figures {
    pub(super) fn new(env: &Env, title: &str) -> Self {
        Self {
            meter: env.terminal.then(|| Meter::new(title, true)),
            last: None,
            rows_at: None,
            warned: None,
        }
    }

    pub(super) fn show(
        &mut self,
        env: &mut Env,
        as_json: bool,
        stats: &Stats,
    ) -> Result<(), Failure> {
        let (up, down) = (stats.totals.uploaded, stats.totals.downloaded);
        let now = (stats.have, up, down, stats.connected.len());
        if self.last == Some(now) {
            return Ok(());
        }
        self.last = Some(now);
        if as_json {
            tell(env, true, &progress(stats), String::new)?;
            if self.rows_at.is_none_or(|at| at.elapsed() >= ROWS) {
                self.rows_at = Some(Instant::now());
                tell(env, true, &rows(stats), String::new)?;
            }
            return Ok(());
        }
        match &mut self.meter {
            Some(meter) => meter
                .show(
                    &mut *env.stderr,
                    stats.have.into(),
                    stats.pieces.into(),
                    Some(up.max(down)),
                )
                .map_err(broken),
            None => Ok(()),
        }
    }

    /// Takes the figures off a terminal, before something else is said.
    pub(super) fn wipe(&mut self, env: &mut Env) -> Result<(), Failure> {
        match &mut self.meter {
            Some(meter) => meter.wipe(&mut *env.stderr).map_err(broken),
            None => Ok(()),
        }
    }

    /// Tells of an event where the reader wants it.
    pub(super) fn event(
        &mut self,
        env: &mut Env,
        as_json: bool,
        event: &Event,
    ) -> Result<(), Failure> {
        let Some((line, words)) = shown(event) else {
            return Ok(());
        };
        if !as_json && (!is_news(event) || self.warned.as_ref() == Some(&words)) {
            return Ok(());
        }
        self.warned = Some(words.clone());
        self.wipe(env)?;
        tell(env, as_json, &line, || words)
    }
}

fn progress(stats: &Stats) -> Value {
    json!({
        "event": "progress",
        "have": stats.have,
        "pieces": stats.pieces,
        "uploaded": stats.totals.uploaded,
        "downloaded": stats.totals.downloaded,
        "wasted": stats.totals.wasted,
        "peers": stats.connected.len(),
        "up_rate": stats.rates.up.round(),
        "down_rate": stats.rates.down.round(),
        "ratio": stats.ratio(),
    })
}

/// Returns a line about everybody who takes part: peers, HTTP sources and those
/// who know peers.
fn rows(stats: &Stats) -> Value {
    let peers = stats.connected.iter().map(|peer| {
        json!({
            "address": peer.addr.to_string(),
            "client": peer.client.as_deref().map(plain),
            "id": peer.peer_id.map(|PeerId(id)| HEXLOWER.encode(&id)),
            "outgoing": peer.outgoing,
            "utp": peer.datagrams,
            "uploaded": peer.uploaded,
            "downloaded": peer.downloaded,
            "up_rate": peer.up_rate.round(),
            "down_rate": peer.down_rate.round(),
            "pieces": peer.pieces,
        })
    });
    let mirrors = stats.mirrors.iter().map(|mirror| {
        json!({"url": plain(&mirror.url), "downloaded": mirror.got, "given_up": mirror.given_up})
    });
    let sources = stats.sources.iter().map(|source| {
        let failed = source.failed.as_deref().map(plain);
        json!({"name": plain(&source.name), "peers": source.peers, "failed": failed})
    });
    let banned = stats.banned.iter().map(ToString::to_string);
    json!({
        "event": "peers",
        "peers": peers.collect::<Vec<_>>(),
        "web_seeds": mirrors.collect::<Vec<_>>(),
        "sources": sources.collect::<Vec<_>>(),
        "banned": banned.collect::<Vec<_>>(),
    })
}

/// Tells how a transfer ended.
pub(super) fn summary(
    env: &mut Env,
    as_json: bool,
    stats: &Stats,
    took: Duration,
) -> Result<(), Failure> {
    let (up, down) = (stats.totals.uploaded, stats.totals.downloaded);
    if as_json {
        tell(env, true, &rows(stats), String::new)?;
    }
    let mut line = progress(stats);
    line["event"] = json!(if stats.complete { "complete" } else { "ended" });
    line["seconds"] = json!(took.as_secs_f64());
    tell(env, as_json, &line, || {
        let state = match stats.complete {
            true => "Complete".to_owned(),
            false => format!("{} of {} pieces", stats.have, stats.pieces),
        };
        format!(
            "{state}: received {}, sent {} in {:.1} s",
            size(down),
            size(up),
            took.as_secs_f64()
        )
    })
}
