//! `gt torrent create`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gt_vfs::{Folder, VPath, Vfs};
use gt_wire::metainfo::{Create as Plan, Failed, Metainfo, Version};
use serde_json::json;

use super::super::{Failure, broken, refused};
use super::place::Only;
use super::{left, plain, show};
use crate::Env;
use crate::args::torrent::Create;
use crate::files;
use crate::meter::Meter;

/// Makes a .torrent file.
///
/// # Errors
/// Where there is nothing to share, it cannot be read, or the result not be
/// written.
pub(super) fn run(env: &mut Env, words: &Create) -> Result<(), Failure> {
    for url in words.trackers.iter().chain(&words.web_seeds) {
        check_url(url)?;
    }
    let path = env.cwd.join(&words.path);
    let path = std::fs::canonicalize(&path)
        .map_err(|e| Failure::Broken(format!("cannot open {}: {e}", words.path.display())))?;
    let name = path
        .file_name()
        .ok_or_else(|| refused("expected a file or folder with a name, got the root"))?;
    let name = name.as_bytes().to_vec();
    let vfs: Box<dyn Vfs> = if path.is_dir() {
        Box::new(Folder::open(&path).map_err(broken)?)
    } else {
        let only = VPath::from_components([&name[..]]).map_err(refused)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        Box::new(Only::new(Folder::open(parent).map_err(broken)?, only))
    };
    let mut plan = Plan::new(name.clone()).version(match (words.v1, words.v2) {
        (true, _) => Version::V1,
        (_, true) => Version::V2,
        _ => Version::Hybrid,
    });
    plan.piece_length = words.piece;
    plan.private = words.private;
    let folder = match path.is_dir() {
        true => path.as_path(),
        false => path.parent().unwrap_or(Path::new("/")),
    };
    let output = match &words.output {
        Some(output) => env.cwd.join(output),
        None => env.cwd.join(with_suffix(&name)),
    };
    check_output(&output)?;
    let mut shared = BTreeSet::new();
    for entry in vfs.list().map_err(broken)? {
        // A file that goes meanwhile is told of when it is hashed.
        let found = folder.join(OsStr::from_bytes(entry.path.as_bytes()));
        let mode = std::fs::symlink_metadata(found).map_or(0, |found| found.permissions().mode());
        if mode & 0o100 != 0 {
            plan.executable.insert(entry.path.clone());
        }
        shared.insert(entry.path);
    }
    let left = match path.is_dir() {
        true => left::out(&path, &shared).map_err(broken)?,
        false => Vec::new(),
    };
    if !words.json {
        for (path, why) in &left {
            let words = format!("warning: {path} is left out: {why}");
            writeln!(env.stderr, "{}", plain(&words)).map_err(broken)?;
        }
    }
    let mut made = hash(env, &plan, &*vfs)?;
    made.trackers = words.trackers.iter().map(|url| vec![url.clone()]).collect();
    made.web_seeds.clone_from(&words.web_seeds);
    made.comment.clone_from(&words.comment);
    made.created_by = Some(concat!("gittorrent ", env!("CARGO_PKG_VERSION")).to_owned());
    made.created = i64::try_from((env.now)()).ok();
    files::write(&output, &made.write()).map_err(broken)?;
    if words.json {
        let mut value = show::value(&made);
        value["output"] = json!(output.display().to_string());
        let left = left.iter();
        let left = left.map(|(path, why)| json!({"path": path, "why": why}));
        value["left_out"] = left.collect();
        return super::json(env, &value);
    }
    let magnet = show::link(&made);
    writeln!(env.stdout, "{}\n{magnet}", output.display()).map_err(broken)
}

fn hash(env: &mut Env, plan: &Plan, vfs: &dyn Vfs) -> Result<Metainfo, Failure> {
    let terminal = env.terminal;
    let mut meter = Meter::new("Hashing pieces", terminal);
    let mut told = (0, 0);
    let made = plan.hash_telling(vfs, &mut |done, all| {
        told = (u64::from(done), u64::from(all));
        if terminal {
            let _ = meter.show(&mut *env.stderr, told.0, told.1, None);
        }
    });
    if terminal {
        let _ = meter.done(&mut *env.stderr, told.0, told.1, None);
    }
    made.map_err(|e| match e {
        Failed::Io(_) => broken(e),
        other => refused(other),
    })
}

/// Refuses what no client can make a request of, before anything is hashed.
fn check_url(url: &str) -> Result<(), Failure> {
    let wrong = |what: &str| {
        Err(Failure::Broken(format!(
            "expected {what}, got {}",
            plain(url)
        )))
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return wrong("a URL such as http://host/path");
    };
    let known = ["http", "https", "udp", "ws", "wss", "ftp"];
    if !known.contains(&scheme.to_ascii_lowercase().as_str()) {
        return wrong("a URL of http, https, udp, ws, wss or ftp");
    }
    match rest.starts_with(['/', '?', '#', ':']) || rest.is_empty() {
        true => wrong("a URL with a host"),
        false if !url.bytes().all(|b| b.is_ascii_graphic()) => {
            wrong("a URL without spaces, in ASCII")
        }
        false => Ok(()),
    }
}

/// Refuses a place that cannot be written to, before anything is hashed.
fn check_output(output: &Path) -> Result<(), Failure> {
    let wrong = |path: &Path, why| Err(Failure::Broken(format!("{}: {why}", path.display())));
    if output.is_dir() {
        return wrong(output, "it is a folder");
    }
    match output.parent() {
        Some(folder) if !folder.is_dir() => wrong(folder, "there is no such folder"),
        _ => Ok(()),
    }
}

fn with_suffix(name: &[u8]) -> PathBuf {
    let mut name = name.to_vec();
    name.extend_from_slice(b".torrent");
    PathBuf::from(OsStr::from_bytes(&name))
}
