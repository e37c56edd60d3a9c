//! `gt status`.

use std::io::Write as _;

use gt_pack::chain::{Chain, Reel};
use gt_trust::Statement;
use serde_json::{Value, json};

use super::show::span;
use super::{Failure, broken, git_at, refused};
use crate::Env;
use crate::args::Status;
use crate::convert;
use crate::meter::size;
use crate::state::State;

/// Prints what is published or cloned here, who says so, and what is held.
///
/// # Errors
/// Where the repository has nothing of gt's.
pub fn run(env: &mut Env, words: &Status) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let common_dir = git.common_dir().map_err(refused)?;
    let state = State::of(&common_dir);
    let Some(charter) = state.charter().map_err(broken)? else {
        return Err(Failure::Refused(format!(
            "{} is neither published nor cloned with gt",
            common_dir.display()
        )));
    };
    let rid = state
        .rid()
        .map_err(broken)?
        .ok_or_else(|| broken("no first charter"))?;
    let held = Held {
        name: charter.text.name.clone(),
        rid: rid.to_string(),
        threshold: charter.text.threshold,
        delegates: charter
            .text
            .delegates
            .iter()
            .map(ToString::to_string)
            .collect(),
        format: charter.text.object_format.to_string(),
        from: state.address().map_err(broken)?,
        mirror: state.is_mirror(),
        statement: match state.accepted().map_err(broken)? {
            Some(accepted) => {
                let chain = Chain::open(&common_dir).map_err(broken)?;
                let reels = convert::reels(&accepted.text).into_iter();
                let reels = reels.map(|reel| (chain.holds(&reel.root), reel)).collect();
                Some((accepted.text, reels))
            }
            None => None,
        },
        evidence: state.evidence().map_err(broken)?,
        now: (env.now)(),
    };
    if words.json {
        return writeln!(env.stdout, "{}", held.to_json()).map_err(broken);
    }
    for line in held.lines() {
        writeln!(env.stdout, "{line}").map_err(broken)?;
    }
    Ok(())
}

/// What there is to say.
struct Held {
    name: String,
    rid: String,
    threshold: u64,
    delegates: Vec<String>,
    format: String,
    /// The address it was cloned from.
    from: Option<String>,
    mirror: bool,
    /// The newest one, and its reels: whether each is held.
    statement: Option<(Statement, Vec<(bool, Reel)>)>,
    evidence: Vec<String>,
    now: u64,
}

impl Held {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("Repository  {} gt://{}", self.name, self.rid),
            format!(
                "Delegates   {} of {}: {}",
                self.threshold,
                self.delegates.len(),
                self.delegates.join(", ")
            ),
        ];
        if let Some(address) = &self.from {
            lines.push(format!("Cloned from {address}"));
        }
        match &self.statement {
            None => lines.push("Statement   none yet".into()),
            Some((text, reels)) => {
                let now = self.now;
                let age = now.saturating_sub(text.created.0);
                let end = match text.expires.0.checked_sub(now) {
                    Some(left) => format!("expires in {}", span(left)),
                    None => format!("stale: expired {} ago", span(now - text.expires.0)),
                };
                lines.push(format!(
                    "Statement   {} of epoch {}, {} refs, made {} ago, {end}",
                    text.sequence,
                    text.epoch,
                    text.refs.len(),
                    span(age)
                ));
                let trackers = text.trackers.iter();
                lines.extend(trackers.map(|tracker| format!("Tracker     {tracker}")));
                for (held, reel) in reels {
                    let (first, last) = (reel.first, reel.last);
                    let held = if *held { "held" } else { "missing" };
                    let size = size(reel.length);
                    lines.push(format!("Reel        {first}-{last}  {size:>10}  {held}"));
                }
            }
        }
        lines.extend(self.evidence.iter().map(|name| {
            format!(
                "Equivocation: one key sealed two statements of one sequence: gt/evidence/{name}"
            )
        }));
        lines
    }

    fn to_json(&self) -> Value {
        let statement = self.statement.as_ref().map(|(text, reels)| {
            let reels = reels.iter().map(|(held, reel)| {
                json!({
                    "first": reel.first, "last": reel.last, "length": reel.length,
                    "root": reel.root.to_string(), "recipe": reel.recipe, "held": held,
                })
            });
            json!({
                "epoch": text.epoch.0, "sequence": text.sequence.0,
                "identity": text.identity().to_string(),
                "created": text.created.0, "expires": text.expires.0,
                "stale": text.expires.0 < self.now,
                "refs": text.refs.len(), "trackers": text.trackers,
                "reels": reels.collect::<Value>(),
            })
        });
        json!({
            "name": self.name, "rid": self.rid, "address": format!("gt://{}", self.rid),
            "object_format": self.format, "threshold": self.threshold,
            "delegates": self.delegates, "cloned_from": self.from, "mirror": self.mirror,
            "statement": statement, "equivocations": self.evidence,
        })
    }
}
