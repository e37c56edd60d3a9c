//! `gt status`.

use std::io::Write as _;

use gt_pack::chain::Chain;

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
    let now = (env.now)();
    let out = &mut env.stdout;
    let mut lines = vec![
        format!("Repository  {} gt://{rid}", charter.text.name),
        format!(
            "Delegates   {} of {}: {}",
            charter.text.threshold,
            charter.text.delegates.len(),
            charter
                .text
                .delegates
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    ];
    if let Some(address) = state.address().map_err(broken)? {
        lines.push(format!("Cloned from {address}"));
    }
    match state.accepted().map_err(broken)? {
        None => lines.push("Statement   none yet".into()),
        Some(accepted) => {
            let text = &accepted.text;
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
            for tracker in &text.trackers {
                lines.push(format!("Tracker     {tracker}"));
            }
            let chain = Chain::open(&common_dir).map_err(broken)?;
            for reel in convert::reels(text) {
                let held = if chain.holds(&reel.root) {
                    "held"
                } else {
                    "missing"
                };
                lines.push(format!(
                    "Reel        {}-{}  {:>10}  {held}",
                    reel.first,
                    reel.last,
                    size(reel.length)
                ));
            }
        }
    }
    for name in state.evidence().map_err(broken)? {
        lines.push(format!(
            "Equivocation: one key sealed two statements of one sequence: gt/evidence/{name}"
        ));
    }
    for line in lines {
        writeln!(out, "{line}").map_err(broken)?;
    }
    Ok(())
}
