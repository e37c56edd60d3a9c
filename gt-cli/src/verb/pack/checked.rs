//! The check of objects, with the levels that git's configuration sets.

use gt_pack::fsck::{Finding, Fsck, Object, Policy};
use gt_pack::verify::{Error, Verified};
use gt_vfs::ReadAt;
use serde_json::json;

use super::{Failure, broken};
use crate::Env;
use crate::git::Git;

/// A blob that git reads may be this long; it streams longer ones
/// (`core.bigFileThreshold`).
const LARGE: u64 = 512 << 20;

/// Returns what is refused: git's defaults, then `fsck.*` of git's
/// configuration, then `-c fsck.<id>=<level>` of the command line.
pub(super) fn policy(env: &Env, options: &[String]) -> Result<Policy, Failure> {
    let mut policy = Policy::strict();
    let git = Git::at(env, &env.cwd);
    let words = ["config", "--null", "--get-regexp", "^fsck[.]"];
    // No configuration, or no git: nothing is relaxed.
    let listed = git.ask(words).unwrap_or_default();
    for line in listed.split('\0') {
        if let Some((name, value)) = line.split_once('\n') {
            // A name that this version does not know must not stop the other.
            let _ = configure(env, &mut policy, name, value);
        }
    }
    for option in options {
        let (name, value) = option.split_once('=').ok_or_else(|| {
            Failure::Broken(format!("expected -c fsck.<id>=<level>, got {option:?}"))
        })?;
        configure(env, &mut policy, name, value)?;
    }
    Ok(policy)
}

fn configure(env: &Env, policy: &mut Policy, name: &str, value: &str) -> Result<(), Failure> {
    let lower = name.to_ascii_lowercase();
    let id = ["fsck.", "fetch.fsck.", "receive.fsck."]
        .iter()
        .find_map(|prefix| lower.strip_prefix(prefix))
        .ok_or_else(|| Failure::Broken(format!("expected fsck.<id>, got {name:?}")))?;
    if id == "skiplist" {
        let list = std::fs::read_to_string(env.cwd.join(value))
            .map_err(|e| Failure::Broken(format!("{value}: {e}")))?;
        return policy.skip(&list).map_err(broken);
    }
    policy.configure(id, value).map_err(broken)
}

/// Returns what was found, and how much of it refuses the pack.
pub(super) fn finish(
    fsck: Fsck,
    source: &dyn ReadAt,
    verified: &Verified,
) -> Result<(Vec<Finding>, u64), Failure> {
    let find = |oid: &_| match verified.entry(oid) {
        None => Ok(Object::Missing),
        Some(entry) if entry.size > LARGE => Ok(Object::Large),
        Some(_) => match verified.object(source, oid) {
            Ok(None) => Ok(Object::Missing),
            Ok(Some((kind, content))) => Ok(Object::Whole(kind, content)),
            Err(Error::Io(e)) => Err(e),
            Err(other) => Err(std::io::Error::other(other)),
        },
    };
    fsck.finish(&find).map_err(broken)
}

/// Returns a finding as JSON.
pub(super) fn to_json(finding: &Finding) -> serde_json::Value {
    json!({
        "oid": finding.oid.to_string(),
        "kind": finding.kind.name(),
        "id": finding.id.name(),
        "level": finding.level.to_string(),
        "detail": finding.detail,
    })
}
