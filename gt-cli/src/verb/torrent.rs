//! `gt torrent …`: plain torrents, for any client.

mod check;
mod create;
mod get;
mod left;
mod place;
mod seed;
mod show;
mod swarm;

use std::path::Path;

use gt_wire::{Magnet, Metainfo, limits};

use super::{Failure, broken, refused};
use crate::Env;
use crate::args::torrent::Torrent;

/// Runs one of them.
///
/// # Errors
/// What the verb says.
pub fn run(env: &mut Env, words: &Torrent) -> Result<(), Failure> {
    match words {
        Torrent::Create(words) => create::run(env, words),
        Torrent::Show(words) => show::run(env, words),
        Torrent::Check(words) => check::run(env, words),
        Torrent::Seed(words) => seed::run(env, words),
        Torrent::Get(words) => get::run(env, words),
    }
}

/// What a person names a torrent by.
enum Named {
    File(Box<Metainfo>),
    Magnet(Magnet),
}

impl Named {
    fn read(env: &Env, text: &str) -> Result<Self, Failure> {
        let scheme = text.get(..7).map(str::to_ascii_lowercase);
        if scheme.as_deref() == Some("magnet:") {
            return Ok(Self::Magnet(text.parse().map_err(refused)?));
        }
        read_file(env, Path::new(text)).map(|metainfo| Self::File(Box::new(metainfo)))
    }
}

/// Reads a .torrent file: what cannot be read is a broken machine, what is no
/// torrent is refused.
fn read_file(env: &Env, path: &Path) -> Result<Metainfo, Failure> {
    use std::io::Read as _;
    let shown = path.display();
    let file = std::fs::File::open(env.cwd.join(path))
        .map_err(|e| Failure::Broken(format!("cannot open {shown}: {e}")))?;
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there are too many.
    file.take(limits::METAINFO_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::Broken(format!("cannot read {shown}: {e}")))?;
    Metainfo::read(&bytes)
        .map_err(|e| refused(format!("{shown} is refused: {}", plain(&e.to_string()))))
}

/// Returns a text that may quote strangers without what would steer a
/// terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Prints one JSON value on its own line.
fn json(env: &mut Env, value: &serde_json::Value) -> Result<(), Failure> {
    writeln!(env.stdout, "{value}")
        .and_then(|()| env.stdout.flush())
        .map_err(broken)
}
