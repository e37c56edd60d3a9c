//! `gt pack import`.

use std::io::{self, Write as _};

use gt_pack::Limits;
use gt_pack::chain::{Chain, Reel};
use gt_pack::import::{self, Broken, Error, Expected, Imported};
use gt_pack::spool::Spool;
use gt_pack::verify::Progress;
use gt_vfs::content::TreeHasher;
use gt_vfs::{ReadAt, Root};
use serde_json::json;

use super::{Failure, Shown, broken, refused};
use crate::Env;
use crate::args::pack::Import;
use crate::verb::git_at;

/// Takes a bundle into the chain of a repository, as its next reel: through
/// the quarantine and the gate. No ref moves.
///
/// # Errors
/// [`Failure::Refused`] with the rule that the bundle breaks.
pub(super) fn run(env: &mut Env, words: &Import) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let common_dir = git.common_dir().map_err(broken)?;
    let path = env.cwd.join(&words.bundle);
    let bundle = Spool::open(&path)
        .map_err(|e| Failure::Broken(format!("{}: {e}", words.bundle.display())))?;
    let shown = Shown::new(env);
    let outcome = take(&common_dir, &bundle, &shown);
    shown.end(env);
    if !words.json {
        let imported = outcome?;
        let already = if imported.already {
            " (it was in before)"
        } else {
            ""
        };
        writeln!(
            env.stdout,
            "accepted: {} objects{already}",
            imported.objects
        )
        .map_err(broken)?;
        for id in &imported.relaxed {
            writeln!(env.stderr, "warning: fetch.fsck.{id} let a fault pass").map_err(broken)?;
        }
        for (name, oid) in &imported.tips {
            writeln!(env.stdout, "{oid} {}", name.escape_ascii()).map_err(broken)?;
        }
        return Ok(());
    }
    let value = match &outcome {
        Ok(imported) => json!({
            "verdict": "accept", "objects": imported.objects, "already": imported.already,
            "packs": imported.packs,
            "relaxed": imported.relaxed.iter().map(|id| id.name()).collect::<Vec<_>>(),
            "tips": imported.tips.iter().map(|(name, oid)| json!({
                "ref": name.escape_ascii().to_string(), "oid": oid.to_string(),
            })).collect::<Vec<_>>(),
        }),
        Err(Failure::Refused(why)) => json!({"verdict": "reject", "why": why}),
        Err(_) => return outcome.map(|_| ()),
    };
    writeln!(env.stdout, "{value}").map_err(broken)?;
    outcome.map(|_| ())
}

fn take(
    common_dir: &std::path::Path,
    bundle: &Spool,
    progress: &dyn Progress,
) -> Result<Imported, Failure> {
    let mut chain = Chain::open(common_dir).map_err(broken)?;
    let root = root_of(bundle).map_err(broken)?;
    let held: Vec<Reel> = chain
        .reels()
        .filter(|r| chain.holds(&r.root))
        .cloned()
        .collect();
    let known = held.iter().position(|reel| reel.root == root);
    let number = held.last().map_or(0, |reel| reel.last + 1);
    let reel = known.map(|place| held[place].clone()).unwrap_or(Reel {
        first: number,
        last: number,
        length: bundle.size(),
        root,
        recipe: None,
    });
    let expected = Expected {
        reel,
        earlier: held[..known.unwrap_or(held.len())].to_vec(),
        refs: None,
        head: None,
    };
    let limits = Limits::default();
    import::reel(
        &mut chain,
        bundle,
        &expected,
        &mut import::Open,
        &limits,
        progress,
    )
    .map_err(|e| match e {
        Error::Reject(reason) => refused(reason),
        Error::Broken(Broken::Chain(e)) => refused(e),
        other => broken(other),
    })
}

fn root_of(bundle: &dyn ReadAt) -> io::Result<Root> {
    let mut hasher = TreeHasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < bundle.size() {
        let want = buffer.len().min((bundle.size() - at) as usize);
        bundle.read_exact_at(at, &mut buffer[..want])?;
        hasher.update(&buffer[..want]);
        at += want as u64;
    }
    Ok(hasher.finish().root())
}
