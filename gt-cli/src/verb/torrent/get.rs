//! `gt torrent get`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use gt_wire::metainfo::{Info, Metainfo};
use gt_wire::net::{Event, Stats, Torrent};
use gt_wire::{FileIndex, Magnet};
use serde_json::json;

use super::super::{Failure, asked_to_end, broken, end, refused};
use super::swarm::{self, FIGURES, Figures, Swarm};
use super::{Named, place, plain};
use crate::Env;
use crate::args::torrent::Get;
use crate::meter::Meter;

/// Fetches a torrent.
///
/// # Errors
/// Refused where it did not come whole, with the reason.
pub(super) fn run(env: &mut Env, words: &Get) -> Result<(), Failure> {
    let named = Named::read(env, &words.torrent)?;
    let folder = env.cwd.join(&words.folder);
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::Broken(format!("cannot make {}: {e}", folder.display())))?;
    let runtime = swarm::runtime()?;
    let result = runtime.block_on(async {
        let mut swarm = Swarm::start(env, &words.net, &folder)?;
        let began = Instant::now();
        let ended = tokio::select! {
            biased;
            () = asked_to_end() => None,
            ended = fetch(env, &mut swarm, words, named, &folder) => Some(ended),
        };
        match ended {
            Some(Ok(torrent)) if words.stay => {
                swarm::stay(env, &mut swarm, torrent, &words.net, began).await
            }
            Some(ended) => {
                swarm.end().await;
                ended.map(|_| ())
            }
            None => {
                swarm.end().await;
                if env.terminal && !words.net.json {
                    // Below the figures.
                    writeln!(env.stderr).map_err(broken)?;
                }
                Err(refused("asked to end before everything was here"))
            }
        }
    });
    end(runtime);
    result
}

async fn fetch(
    env: &mut Env,
    swarm: &mut Swarm,
    words: &Get,
    named: Named,
    folder: &Path,
) -> Result<gt_wire::net::TorrentId, Failure> {
    let (metainfo, magnet) = match named {
        Named::File(metainfo) => {
            swarm.trackers(env, &words.net, &metainfo.trackers)?;
            (*metainfo, None)
        }
        Named::Magnet(magnet) => {
            let tiers: Vec<Vec<String>> = magnet.trackers.iter().map(|t| vec![t.clone()]).collect();
            swarm.trackers(env, &words.net, &tiers)?;
            let info = metadata(env, swarm, words, &magnet).await?;
            (Metainfo::new(info), Some(magnet))
        }
    };
    let info = &metainfo.info;
    for link in info.symlinks() {
        let path = plain(&link.path.to_string());
        let line = json!({"event": "link", "path": path});
        let words_ = || format!("warning: {path} is a symbolic link, which is not made");
        swarm::tell(env, words.net.json, &line, words_)?;
    }
    let mut peers = words.net.peers.clone();
    let mut wanted = None;
    if let Some(magnet) = &magnet {
        peers.extend(swarm::resolve(&magnet.peers));
        wanted = selected(info, magnet)?;
    }
    if words.repair {
        reopen(env, words, folder, info, wanted.as_ref())?;
    }
    let mut torrent = Torrent::new(info, place::store(folder, info, true)?);
    if let Some(content) = &mut torrent.content {
        content.wanted = wanted;
    }
    let mirrors = match &magnet {
        Some(magnet) => &magnet.web_seeds,
        None => &metainfo.web_seeds,
    };
    let torrent = Swarm::with_mirrors(env, &words.net, torrent, info, mirrors)?;
    let torrent = swarm.add(swarm.with_sources(torrent)).await;
    let torrent = torrent.map_err(|failure| match failure {
        Failure::Refused(why) if !words.repair => Failure::Refused(format!(
            "{why} (--repair keeps what is right of it and fetches the rest)"
        )),
        other => other,
    })?;
    swarm.node.add_peers(torrent, &peers);
    complete(env, swarm, words, torrent).await?;
    place::let_run(folder, info)
        .map_err(|e| Failure::Broken(format!("cannot let a file run: {e}")))?;
    Ok(torrent)
}

/// Makes room for the right bytes in whole files that have wrong ones.
fn reopen(
    env: &mut Env,
    words: &Get,
    folder: &Path,
    info: &Info,
    wanted: Option<&BTreeSet<FileIndex>>,
) -> Result<(), Failure> {
    let terminal = env.terminal && !words.net.json;
    let mut meter = Meter::new("Checking pieces", terminal);
    let total = u64::from(info.geometry().pieces());
    let reopened = place::reopen(folder, info, wanted, &mut |done| {
        if terminal {
            let _ = meter.show(&mut *env.stderr, done.into(), total, None);
        }
    })?;
    if terminal {
        let _ = meter.done(&mut *env.stderr, total, total, None);
    }
    for path in reopened {
        let path = plain(&path.to_string());
        let line = json!({"event": "repair", "path": path});
        let words_ = || format!("{path} is not the torrent's: what is right of it is kept");
        swarm::tell(env, words.net.json, &line, words_)?;
    }
    Ok(())
}

/// Returns the files that a link selects (BEP 53).
fn selected(info: &Info, magnet: &Magnet) -> Result<Option<BTreeSet<FileIndex>>, Failure> {
    if magnet.select.is_empty() {
        return Ok(None);
    }
    let files = info
        .geometry()
        .files()
        .iter()
        .filter(|f| !f.padding)
        .count();
    let mut wanted = BTreeSet::new();
    // The link counts files as people see them, without padding.
    let real = info.geometry().files().iter().enumerate();
    let real = real
        .filter(|(_, f)| !f.padding)
        .map(|(n, _)| FileIndex(n as u32));
    for (n, file) in real.enumerate() {
        if magnet.wants(FileIndex(n as u32)) {
            wanted.insert(file);
        }
    }
    match wanted.is_empty() {
        true => Err(Failure::Refused(format!(
            "the link selects none of the torrent's {files} files"
        ))),
        false => Ok(Some(wanted)),
    }
}

/// Asks peers for the info dictionary of a link (BEP 9).
async fn metadata(
    env: &mut Env,
    swarm: &mut Swarm,
    words: &Get,
    magnet: &Magnet,
) -> Result<Info, Failure> {
    let mut hashes = magnet.info_hashes().into_iter();
    let first = hashes
        .next()
        .ok_or_else(|| refused("the link names no torrent"))?;
    let mut topic = Torrent::topic(first);
    topic.other_hash = hashes.next();
    topic.fetch_info = true;
    let topic = swarm.add(swarm.with_sources(topic)).await?;
    let mut peers = swarm::resolve(&magnet.peers);
    peers.extend(&words.net.peers);
    swarm.node.add_peers(topic, &peers);
    let mut figures = Figures::new(env, "Asking for the torrent");
    let limit = words.wait.map(Duration::from_secs);
    let info = loop {
        let event = swarm.events.recv();
        let event = match limit {
            Some(limit) => tokio::time::timeout(limit, event)
                .await
                .map_err(|_| refused("nobody gave the torrent's description in time"))?,
            None => event.await,
        };
        match event {
            Some(Event::Metadata { info, .. }) => {
                let info = Info::read(&info).map_err(|e| {
                    refused(format!("the torrent is refused: {}", plain(&e.to_string())))
                })?;
                if !magnet.names(&info) {
                    return Err(refused(
                        "the torrent has one hash of the link and not the other",
                    ));
                }
                break info;
            }
            Some(event) => figures.event(env, words.net.json, &event)?,
            None => return Err(broken("the node has stopped")),
        }
    };
    swarm.node.remove(topic).await;
    let name = plain(&String::from_utf8_lossy(info.name()));
    let line =
        json!({"event": "metadata", "name": name, "length": info.geometry().content_length()});
    swarm::tell(env, words.net.json, &line, || {
        format!("The torrent is {name}")
    })?;
    Ok(info)
}

/// Waits until everything wanted is here, and tells how that went.
async fn complete(
    env: &mut Env,
    swarm: &mut Swarm,
    words: &Get,
    torrent: gt_wire::net::TorrentId,
) -> Result<(), Failure> {
    let began = Instant::now();
    let mut figures = Figures::new(env, "Receiving pieces");
    let came = come(env, swarm, words, torrent, &mut figures).await;
    figures.wipe(env)?;
    swarm::summary(env, words.net.json, &came?, began.elapsed())
}

async fn come(
    env: &mut Env,
    swarm: &mut Swarm,
    words: &Get,
    torrent: gt_wire::net::TorrentId,
    figures: &mut Figures,
) -> Result<Stats, Failure> {
    let as_json = words.net.json;
    let mut ticks = tokio::time::interval(FIGURES);
    let mut moved = (Instant::now(), (0, 0));
    let limit = words.wait.map(Duration::from_secs);
    loop {
        let stats = tokio::select! {
            event = swarm.events.recv() => match event {
                Some(Event::Complete { .. }) => swarm.node.stats(torrent).await,
                Some(Event::Failed { why, .. }) => return Err(refused(plain(&why))),
                Some(event) => {
                    if matches!(event, Event::FileClosed { .. }) {
                        // Thousands of files take their time when all bytes are here.
                        moved.0 = Instant::now();
                    }
                    figures.event(env, as_json, &event)?;
                    continue;
                }
                None => return Err(broken("the node has stopped")),
            },
            _ = ticks.tick() => {
                swarm.hear_router(env, &words.net).await?;
                swarm.node.stats(torrent).await
            }
        };
        let Some(stats) = stats else {
            return Err(broken("the node has stopped"));
        };
        figures.show(env, as_json, &stats)?;
        if stats.complete {
            return Ok(stats);
        }
        let now = (stats.totals.downloaded, stats.have);
        if now != moved.1 {
            moved = (Instant::now(), now);
        }
        if limit.is_some_and(|limit| moved.0.elapsed() >= limit) {
            return Err(Failure::Refused(format!(
                "{} of {} pieces are here and nothing came for {} s from {} peers",
                stats.have,
                stats.pieces,
                moved.0.elapsed().as_secs(),
                stats.connected.len()
            )));
        }
    }
}
