//! `gt torrent show`.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use gt_wire::geometry::File;
use gt_wire::metainfo::{Metainfo, Version};
use gt_wire::{Info, Magnet};
use serde_json::{Value, json};

use super::super::{Failure, broken};
use super::{Named, plain};
use crate::Env;
use crate::args::torrent::Show;
use crate::meter::size;

/// Addresses of each kind that a link to a torrent names: it is to be handed
/// on by hand.
const ADDRESSES: usize = 16;

/// Shows a .torrent file or a magnet link.
///
/// # Errors
/// Where it is refused, with the reason.
pub(super) fn run(env: &mut Env, words: &Show) -> Result<(), Failure> {
    let (value, text) = match Named::read(env, &words.torrent)? {
        Named::File(metainfo) => (value(&metainfo), text(&metainfo)),
        Named::Magnet(magnet) => (magnet_value(&magnet), magnet_text(&magnet)),
    };
    match words.json {
        true => super::json(env, &value),
        false => env.stdout.write_all(text.as_bytes()).map_err(broken),
    }
}

/// Returns the link to a torrent, with those who know peers and the sources.
pub(super) fn link(metainfo: &Metainfo) -> Magnet {
    let mut magnet = Magnet::of(&metainfo.info);
    let trackers = metainfo.trackers.iter().flatten();
    magnet.trackers = trackers.take(ADDRESSES).cloned().collect();
    let sources = metainfo.web_seeds.iter();
    magnet.web_seeds = sources.take(ADDRESSES).cloned().collect();
    magnet
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn version(info: &Info) -> &'static str {
    match info.version() {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::Hybrid => "hybrid",
    }
}

fn hashes(v1: Option<String>, v2: Option<[u8; 32]>) -> [(&'static str, Option<String>); 2] {
    [
        ("info_hash_v1", v1),
        ("info_hash_v2", v2.map(|hash| HEXLOWER.encode(&hash))),
    ]
}

/// Returns everything that a torrent says.
pub(super) fn value(metainfo: &Metainfo) -> Value {
    let info = &metainfo.info;
    let geometry = info.geometry();
    let files = geometry.files().iter().filter(|f| !f.padding);
    let mut value = json!({
        "version": version(info),
        "name": lossy(info.name()),
        "single": info.single().is_some(),
        "private": info.is_private(),
        "length": geometry.content_length(),
        "piece_length": geometry.piece_length(),
        "pieces": geometry.pieces(),
        "files": files.map(file_value).collect::<Vec<_>>(),
        "symlinks": info.symlinks().iter().map(|link| json!({
            "path": link.path.to_string(), "target": lossy(&link.target),
        })).collect::<Vec<_>>(),
        "trackers": metainfo.trackers,
        "web_seeds": metainfo.web_seeds,
        "http_seeds": metainfo.http_seeds,
        "nodes": metainfo.nodes,
        "comment": metainfo.comment,
        "created_by": metainfo.created_by,
        "created": metainfo.created,
        "magnet": link(metainfo).to_string(),
    });
    for (key, hash) in hashes(info.v1_hash().map(|h| h.to_string()), info.v2_hash()) {
        value[key] = json!(hash);
    }
    value
}

fn file_value(file: &File) -> Value {
    let mut value = json!({"path": file.path.to_string(), "length": file.length});
    if let Some(root) = file.root.filter(|_| file.length > 0) {
        value["root"] = json!(root.to_string());
    }
    if file.executable {
        value["executable"] = json!(true);
    }
    if file.hidden {
        value["hidden"] = json!(true);
    }
    value
}

fn text(metainfo: &Metainfo) -> String {
    let info = &metainfo.info;
    let geometry = info.geometry();
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(out, "{key:<13} {}", plain(value));
    };
    line("Name", &lossy(info.name()));
    line("Version", version(info));
    if let Some(hash) = info.v1_hash() {
        line("Info-hash v1", &hash.to_string());
    }
    if let Some(hash) = info.v2_hash() {
        line("Info-hash v2", &HEXLOWER.encode(&hash));
    }
    let length = geometry.content_length();
    line("Length", &format!("{length} ({})", size(length)));
    let pieces = format!("{} of {}", geometry.pieces(), size(geometry.piece_length()));
    line("Pieces", &pieces);
    if info.is_private() {
        line("Private", "yes");
    }
    for (n, tier) in metainfo.trackers.iter().enumerate() {
        let tier: Vec<&str> = tier.iter().map(String::as_str).collect();
        line(&format!("Tracker {}", n + 1), &tier.join(", "));
    }
    for url in metainfo.web_seeds.iter().chain(&metainfo.http_seeds) {
        line("Web seed", url);
    }
    if let Some(comment) = &metainfo.comment {
        line("Comment", comment);
    }
    if let Some(maker) = &metainfo.created_by {
        line("Created by", maker);
    }
    if let Some(seconds) = metainfo.created {
        line("Created", &format!("{seconds} (Unix seconds)"));
    }
    line("Magnet", &link(metainfo).to_string());
    let files = geometry.files().iter().filter(|f| !f.padding);
    line("Files", &files.clone().count().to_string());
    for file in files {
        let path = plain(&file.path.to_string());
        let _ = write!(out, "{:>15} {path}", file.length);
        if let Some(root) = file.root.filter(|_| file.length > 0) {
            let _ = write!(out, "  {root}");
        }
        out.push('\n');
    }
    for link in info.symlinks() {
        let path = plain(&link.path.to_string());
        let target = plain(&lossy(&link.target));
        let _ = writeln!(
            out,
            "{:>15} {path} -> {target} (links are not made)",
            "link"
        );
    }
    out
}

fn magnet_value(magnet: &Magnet) -> Value {
    let select = magnet.select.iter();
    let mut value = json!({
        "version": match (magnet.v1, magnet.v2) {
            (Some(_), Some(_)) => "hybrid",
            (None, Some(_)) => "v2",
            _ => "v1",
        },
        "name": magnet.name,
        "trackers": magnet.trackers,
        "peers": magnet.peers,
        "web_seeds": magnet.web_seeds,
        "select": select.map(|(first, last)| json!([first.0, last.0])).collect::<Vec<_>>(),
        "magnet": magnet.to_string(),
    });
    for (key, hash) in hashes(magnet.v1.map(|h| h.to_string()), magnet.v2) {
        value[key] = json!(hash);
    }
    value
}

fn magnet_text(magnet: &Magnet) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(out, "{key:<13} {}", plain(value));
    };
    if let Some(name) = &magnet.name {
        line("Name", name);
    }
    if let Some(hash) = magnet.v1 {
        line("Info-hash v1", &hash.to_string());
    }
    if let Some(hash) = magnet.v2 {
        line("Info-hash v2", &HEXLOWER.encode(&hash));
    }
    for (key, list) in [
        ("Tracker", &magnet.trackers),
        ("Peer", &magnet.peers),
        ("Web seed", &magnet.web_seeds),
    ] {
        list.iter().for_each(|value| line(key, value));
    }
    for (first, last) in &magnet.select {
        line("Files", &format!("{first} to {last}"));
    }
    out
}
