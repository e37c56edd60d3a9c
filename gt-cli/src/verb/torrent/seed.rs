//! `gt torrent seed`.

use std::time::Instant;

use gt_vfs::Vfs;
use gt_wire::net::Torrent;
use gt_wire::{Info, Metainfo};
use serde_json::json;

use super::super::{Failure, end};
use super::swarm::{self, Swarm};
use super::{place, plain, read_file};
use crate::Env;
use crate::args::torrent::Seed;

/// Serves a torrent until it is asked to end.
///
/// # Errors
/// Where the files are not all there, or the node cannot start.
pub(super) fn run(env: &mut Env, words: &Seed) -> Result<(), Failure> {
    let metainfo = read_file(env, &words.file)?;
    let folder = env.cwd.join(&words.folder);
    let store = place::store(&folder, &metainfo.info, false)?;
    all_there(&*store, &metainfo.info)?;
    let runtime = swarm::runtime()?;
    let result = runtime.block_on(async {
        let mut swarm = Swarm::start(env, &words.net, &folder)?;
        swarm.trackers(env, &words.net, &metainfo.trackers)?;
        let mut torrent = swarm.with_sources(Torrent::new(&metainfo.info, store));
        torrent.super_seed = words.super_seed;
        serve(env, &mut swarm, words, &metainfo, torrent).await
    });
    end(runtime);
    result
}

/// Looks whether every file is there with its length, before anything is
/// hashed.
fn all_there(store: &dyn Vfs, info: &Info) -> Result<(), Failure> {
    for file in info.geometry().files().iter().filter(|f| !f.padding) {
        let path = plain(&file.path.to_string());
        let got = match store.open(&file.path) {
            Ok(got) => got.size(),
            Err(e) => return Err(Failure::Refused(format!("{path} cannot be opened: {e}"))),
        };
        if got != file.length {
            let wanted = file.length;
            return Err(Failure::Refused(format!(
                "expected {path} to have {wanted} bytes, got {got}"
            )));
        }
    }
    Ok(())
}

async fn serve(
    env: &mut Env,
    swarm: &mut Swarm,
    words: &Seed,
    metainfo: &Metainfo,
    torrent: Torrent,
) -> Result<(), Failure> {
    let as_json = words.net.json;
    let torrent = swarm.add(torrent).await?;
    swarm.node.add_peers(torrent, &words.net.peers);
    let name = plain(&String::from_utf8_lossy(metainfo.info.name()));
    let pieces = metainfo.info.geometry().pieces();
    let line = json!({"event": "seeding", "name": name, "pieces": pieces});
    swarm::tell(env, as_json, &line, || format!("Seeding {name}"))?;
    swarm::stay(env, swarm, torrent, &words.net, Instant::now()).await
}
