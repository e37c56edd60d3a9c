//! A small BitTorrent client: makes a torrent of a folder, seeds it, fetches
//! it, with the torrent's HTTP trackers as sources of peers.
//!
//! ```text
//! cargo run --example 3-seed-a-folder -- create FOLDER FILE.torrent [TRACKER]
//! cargo run --example 3-seed-a-folder -- seed   FILE.torrent FOLDER IP[:PORT]
//! cargo run --example 3-seed-a-folder -- leech  FILE.torrent FOLDER IP[:PORT] [PEER…]
//! ```
//!
//! Both run until they are ended; `leech` seeds on when it is complete.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use gt_tracker::HttpTracker;
use gt_tracker::client::Reach;
use gt_vfs::Folder;
use gt_wire::metainfo::{Create, Metainfo};
use gt_wire::net::{Event, Node, Options, Torrent};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["create", folder, torrent, ref trackers @ ..] => {
            let name = std::path::Path::new(folder).canonicalize()?;
            let name = name
                .file_name()
                .unwrap_or_default()
                .as_encoded_bytes()
                .to_vec();
            let mut metainfo = Create::new(name).hash(&Folder::open(folder)?)?;
            metainfo.trackers = trackers.iter().map(|url| vec![(*url).to_owned()]).collect();
            Ok(std::fs::write(torrent, metainfo.write())?)
        }
        [
            role @ ("seed" | "leech"),
            torrent,
            folder,
            listen,
            ref peers @ ..,
        ] => {
            let metainfo = Metainfo::read(&std::fs::read(torrent)?)?;
            let listen = listen
                .parse()
                .or_else(|_| format!("{listen}:6881").parse())?;
            let peers: Vec<SocketAddr> = peers
                .iter()
                .map(|p| p.parse())
                .collect::<std::result::Result<_, _>>()?;
            run(role, &metainfo, folder, listen, &peers).await
        }
        _ => Err("expected create, seed or leech and their arguments; see the source".into()),
    }
}

async fn run(
    role: &str,
    metainfo: &Metainfo,
    folder: &str,
    listen: SocketAddr,
    peers: &[SocketAddr],
) -> Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| e.to_string())?;
    let node = Node::start(Options::new(seed).listen(listen))?;
    let mut events = node.events();
    let mut torrent = Torrent::new(&metainfo.info, Arc::new(Folder::open(folder)?));
    for url in metainfo.trackers.iter().flatten() {
        // The person chose the torrent; its other trackers are passed over.
        if let Ok(tracker) = HttpTracker::new(url, Reach::Any) {
            torrent = torrent.source(Arc::new(tracker));
        }
    }
    let torrent = node.add(torrent).await?;
    node.add_peers(torrent, peers);
    if node
        .stats(torrent)
        .await
        .is_some_and(|stats| stats.complete)
    {
        println!("complete from the start");
    } else if role == "seed" {
        return Err("the folder does not hold the torrent's files".into());
    }
    while let Some(event) = events.recv().await {
        match event {
            Event::Complete { .. } => println!("complete"),
            Event::Progress { have, pieces, .. } => println!("{have} of {pieces} pieces"),
            Event::Failed { why, .. } => return Err(why.into()),
            Event::SourceFailed { why, .. } | Event::Stalled { why, .. } => eprintln!("{why}"),
            _ => {}
        }
    }
    Ok(())
}
