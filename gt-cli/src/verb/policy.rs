//! `gt verify --policy`: is what stands here what was published, by enough
//! delegates, under the charter's rules?

use gt_trust::judge::{Judgement, check_history_narrowed};
use gt_trust::{Offer, Time, judge};

use super::endorse::code_of;
use super::{Code, Failure, unusable};
use crate::Env;
use crate::convert;
use crate::git::Git;
use crate::held::Held;
use crate::history::Ancestry;
use crate::state::State;

/// Judges the accepted statement anew, as a newcomer would, and holds the refs
/// that were named against it. Returns what is wrong.
pub(super) fn check(
    env: &Env,
    git: &Git,
    state: &State,
    names: &[String],
    now: Time,
) -> Result<Option<Failure>, Failure> {
    let wrong = |code: Code, words: String| Ok(Some(Failure::Verdict(code, words)));
    let (Some(rid), Some(accepted)) = (
        state.rid().map_err(unusable)?,
        state.accepted().map_err(unusable)?,
    ) else {
        return Err(unusable(
            "--policy: expected a repository that was published or cloned with gt",
        ));
    };
    let held = Held::read(state).map_err(unusable)?;
    let believed = super::trust::narrows(env, git, None).map_err(unusable)?;
    let receiver = held
        .receiver(rid, &[], None, believed.narrows())
        .map_err(unusable)?
        .watermark(None)
        .held(None)
        .allow_stale(true);
    let offer = Offer::new(
        Vec::new(),
        accepted.text.as_bytes().to_vec(),
        accepted.seals.clone(),
        Vec::new(),
    );
    let stale = match judge(&receiver, &offer, now) {
        Judgement::Accept(fine) => fine.stale,
        Judgement::Proposal(proposal) => {
            let mut lacks = vec![format!(
                "{} of {} seals",
                proposal.sealed_by.len(),
                proposal.needed
            )];
            for short in &proposal.short {
                lacks.push(format!("{}: {} of {}", short.name, short.got, short.needed));
            }
            return wrong(Code::Policy, format!("too few seals: {}", lacks.join(", ")));
        }
        Judgement::Refused(why) => return wrong(code_of(&why), why.to_string()),
        _ => None,
    };
    for name in names {
        let full = git
            .ask([
                "rev-parse",
                "--symbolic-full-name",
                "--verify",
                "--quiet",
                "--end-of-options",
                name,
            ])
            .unwrap_or_default();
        let published = accepted
            .text
            .refs
            .iter()
            .find(|line| line.name.to_string() == full);
        let here = git
            .ask(["rev-parse", "--verify", "--quiet", "--end-of-options", name])
            .map_err(unusable)?;
        match published {
            Some(line) if convert::object_id(&line.oid).is_some_and(|o| o.to_string() == here) => {}
            Some(line) => {
                let words = format!(
                    "{name}: expected {} as it is published, got {here}",
                    line.oid
                );
                return wrong(Code::Policy, words);
            }
            None => {
                return wrong(
                    Code::Policy,
                    format!("{name}: expected a ref that is published"),
                );
            }
        }
    }
    if let Some(charter) = state.charter().map_err(unusable)? {
        let history = Ancestry::new(git.elsewhere(state.common_dir()));
        let keyrings = held.keyrings();
        let ruled = check_history_narrowed(
            &charter.text,
            None,
            &accepted.text,
            &keyrings,
            &history,
            believed.narrows(),
            now,
        );
        if let Err(why) = ruled {
            return wrong(Code::Policy, why.to_string());
        }
    }
    if let Some(name) = state.evidence().map_err(unusable)?.first() {
        let words =
            format!("a delegate has sealed two statements of one place: gt/evidence/{name}");
        return wrong(Code::Rollback, words);
    }
    match stale {
        Some(age) => wrong(
            Code::Stale,
            format!("the statement went stale {} seconds ago", age.0),
        ),
        None => Ok(None),
    }
}
