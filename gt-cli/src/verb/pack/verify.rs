//! `gt pack verify`.

use std::io::Write as _;

use gt_pack::fsck::{Finding, Fsck};
use gt_pack::verify::{NoVisitor, Verified};
use serde_json::{Value, json};

use super::opened::Opened;
use super::{Failure, broken, checked, read};
use crate::Env;
use crate::args::pack::Verify;
use crate::meter::size;

/// Says whether a pack is good, and what it holds.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(env: &mut Env, words: &Verify) -> Result<(), Failure> {
    let mut found = Vec::new();
    let outcome = judge(env, words, &mut found);
    if words.reading.json {
        let mut value = match &outcome {
            Ok((opened, verified)) => good(opened, verified),
            Err(Failure::Refused(why)) => json!({"verdict": "refused", "why": why}),
            Err(Failure::Broken(_) | Failure::Verdict(..)) => return outcome.map(|_| ()),
        };
        if words.fsck {
            value["fsck"] = found.iter().map(checked::to_json).collect::<Value>();
        }
        writeln!(env.stdout, "{value}").map_err(broken)?;
        return outcome.map(|_| ());
    }
    for finding in &found {
        writeln!(env.stderr, "{finding}").map_err(broken)?;
    }
    let (opened, verified) = outcome?;
    let bundle = match &opened.bundle {
        Some(header) => format!(
            "; a bundle of {} tips that needs {} commits",
            header.tips.len(),
            header.prerequisites.len()
        ),
        None => String::new(),
    };
    writeln!(
        env.stdout,
        "{} good: {} objects, {} of them deltas, {} in {}{bundle}",
        verified.checksum,
        verified.entries.len(),
        deltas(&verified),
        size(verified.inflated),
        size(verified.length),
    )
    .map_err(broken)
}

fn judge(
    env: &mut Env,
    words: &Verify,
    found: &mut Vec<Finding>,
) -> Result<(Opened, Verified), Failure> {
    let how = &words.reading;
    if !words.fsck {
        return read(env, &words.file, how, &NoVisitor);
    }
    let fsck = Fsck::new(checked::policy(env, &words.config)?);
    let (opened, verified) = read(env, &words.file, how, &fsck)?;
    let refused;
    (*found, refused) = checked::finish(fsck, &opened.pack(), &verified)?;
    if refused == 0 {
        return Ok((opened, verified));
    }
    let first = found.iter().find(|f| f.level.refuses());
    let first = first.map_or_else(String::new, |f| format!(", the first of them {f}"));
    Err(Failure::Refused(format!(
        "expected good objects, got {refused} faults{first}"
    )))
}

fn deltas(verified: &Verified) -> usize {
    verified.entries.iter().filter(|e| e.base.is_some()).count()
}

fn good(opened: &Opened, verified: &Verified) -> Value {
    let mut value = json!({
        "verdict": "good",
        "checksum": verified.checksum.to_string(),
        "objects": verified.entries.len(),
        "deltas": deltas(verified),
        "depth": verified.entries.iter().map(|e| e.depth).max().unwrap_or(0),
        "bytes": verified.length,
        "inflated": verified.inflated,
    });
    if let Some(header) = &opened.bundle {
        let (tips, prerequisites) = (header.tips.len(), header.prerequisites.len());
        value["bundle"] = json!({"tips": tips, "prerequisites": prerequisites});
    }
    value
}
