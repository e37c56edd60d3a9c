//! `gt endorse`: seal what somebody proposed, carry it on, complete it.

use std::io::Write as _;
use std::path::Path;

use gt_trust::charter::Delegate;
use gt_trust::judge::{LineFault, Refusal};
use gt_trust::push::changes;
use gt_trust::{Rid, Time};
use serde_json::{Value, json};

use super::{Code, Failure, git_at, unusable};
use crate::Env;
use crate::args::Endorse;
use crate::files;
use crate::op::proposal::{self, Progress, Proposal, Text};
use crate::signing::Sealer;
use crate::state::State;

/// Seals a proposal and says how far it has come.
///
/// # Errors
/// [`Failure::Verdict`]: 3 where it can never hold, 5 where sealing it would
/// be equivocation, 64 for files and words that are wrong.
pub fn run(env: &mut Env, words: &Endorse) -> Result<(), Failure> {
    seal(env, words, false)
}

/// Does the same for charters alone, or for any proposal.
pub(super) fn seal(env: &mut Env, words: &Endorse, only_charters: bool) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let state = State::of(&git.common_dir().map_err(unusable)?);
    let rid = state
        .rid()
        .map_err(unusable)?
        .ok_or_else(|| unusable("expected a repository that was published or cloned with gt"))?;
    let now = Time((env.now)());
    let Some(named) = &words.proposal else {
        return list(env, &state, words.json, only_charters);
    };
    let mut found = find(env, &state, named)?;
    if only_charters && !matches!(found.text, Text::Charter(_)) {
        return Err(unusable("expected a charter, got a statement: gt endorse"));
    }
    if let Some(kept) = state.proposal(&found.text.identity()).map_err(unusable)? {
        found.join(&kept);
    }
    check_repository(&found, rid)?;
    let before = state.accepted().map_err(unusable)?;
    if !words.no_seal {
        let keys = env.data_folder().map(|folder| folder.join("keys"));
        let sealer = Sealer::find(&git, keys.as_deref(), now).map_err(unusable)?;
        if let Some(why) = unconfirmed(&state, &found, rid, sealer.delegate(), now)? {
            return Err(Failure::Verdict(Code::NotTrusted, why));
        }
        if !may_seal(&state, &found, sealer.delegate())? {
            return Err(Failure::Verdict(
                Code::NotTrusted,
                format!(
                    "expected to seal with a delegate of the charter, got {}, which is none \
                     (--no-seal collects the seals of others)",
                    sealer.delegate()
                ),
            ));
        }
        found.seal(&state, &sealer, rid, now).map_err(failed)?;
    }
    let believed = super::trust::narrows(env, &git, None).map_err(unusable)?;
    let progress = found.settle(&state, rid, &believed, now).map_err(failed)?;
    let follow = match &found.text {
        Text::Charter(_) if progress.complete => {
            proposal::settle_waiting(&state, rid, &believed, now).map_err(failed)?
        }
        _ => Vec::new(),
    };
    if let Some(path) = &words.output {
        let bytes = found.for_others(&state).map_err(failed)?;
        files::write(&env.cwd.join(path), &bytes).map_err(unusable)?;
    }
    let moved = match (&found.text, &before) {
        (Text::Statement(new), Some(old)) => changes(&old.text, new)
            .iter()
            .map(|change| change.name.to_string())
            .collect(),
        (Text::Statement(new), None) => new.refs.iter().map(|l| l.name.to_string()).collect(),
        _ => Vec::new(),
    };
    show(env, words.json, &found, &progress, &moved).map_err(unusable)?;
    if !words.json {
        for text in follow {
            writeln!(env.stdout, "{} holds: {}", named_as(&text), text.identity())
                .map_err(unusable)?;
        }
    }
    Ok(())
}

/// Says why a delegate's seal on a statement would count for nothing: a later
/// charter lists it, and it has not said that it knows of that.
fn unconfirmed(
    state: &State,
    found: &Proposal,
    rid: Rid,
    who: &Delegate,
    now: Time,
) -> Result<Option<String>, Failure> {
    let Some(newest) = state.charter().map_err(unusable)? else {
        return Ok(None);
    };
    let is_one = matches!(found.text, Text::Statement(_)) && newest.text.delegates.contains(who);
    if !is_one
        || proposal::confirmed(state, rid, now)
            .map_err(failed)?
            .contains(who)
    {
        return Ok(None);
    }
    Ok(Some(format!(
        "expected a delegate who has confirmed charter {}, got {who}: gt charter endorse {} first",
        newest.text.epoch,
        newest.text.identity()
    )))
}

/// Says that a proposal is written as a file or kept here.
fn find(env: &Env, state: &State, named: &Path) -> Result<Proposal, Failure> {
    let path = env.cwd.join(named);
    let identity = named.to_str().and_then(|text| {
        let plain = text.strip_prefix("sha256:").unwrap_or(text);
        plain.parse().ok()
    });
    if !path.exists()
        && let Some(identity) = identity
        && let Some(kept) = state.proposal(&identity).map_err(unusable)?
    {
        return Ok(kept);
    }
    // One that holds may still be sealed.
    if !path.exists()
        && let Some(held) = state.accepted().map_err(unusable)?
        && Some(held.text.identity()) == identity
    {
        let keyring = state.keyring_of(&held.text).map_err(unusable)?;
        let text = Text::Statement(held.text.into());
        let mut whole = Proposal::new(text, keyring.unwrap_or_default());
        whole.seals = held.seals;
        return Ok(whole);
    }
    // So may the newest charter: each delegate confirms it by a seal.
    if !path.exists()
        && let Some(held) = state.charter().map_err(unusable)?
        && Some(held.text.identity()) == identity
    {
        if held.text.epoch.0 == 0 {
            return Err(unusable(
                "the first charter needs no seals: its delegates count by the name of the repository",
            ));
        }
        let keyring = state.certificates().map_err(unusable)?;
        let mut whole = Proposal::new(Text::Charter(held.text.into()), keyring);
        whole.seals = held.seals;
        return Ok(whole);
    }
    Proposal::read_file(&path).map_err(failed)
}

fn check_repository(found: &Proposal, rid: Rid) -> Result<(), Failure> {
    match &found.text {
        Text::Statement(text) if text.repository != rid => Err(Failure::Verdict(
            Code::Policy,
            format!(
                "expected a proposal for gt://{rid}, got one for gt://{}",
                text.repository
            ),
        )),
        _ => Ok(()),
    }
}

/// Tells whether a delegate's seal is of any use: for a statement that of the
/// newest charter, for a charter also that of its own list.
fn may_seal(state: &State, found: &Proposal, who: &Delegate) -> Result<bool, Failure> {
    let held = state.charter().map_err(unusable)?;
    let listed = held.is_some_and(|charter| charter.text.delegates.contains(who));
    Ok(match &found.text {
        Text::Statement(_) => listed,
        Text::Charter(text) => listed || text.delegates.contains(who),
    })
}

pub(super) fn failed(error: proposal::Error) -> Failure {
    let code = match &error {
        proposal::Error::Sealed { .. } | proposal::Error::Overtaken => Code::Rollback,
        proposal::Error::Refused(refusal) => code_of(refusal),
        _ => Code::Usage,
    };
    Failure::Verdict(code, error.to_string())
}

/// Returns the code for a text that is refused.
pub(super) fn code_of(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::Rollback { .. }
        | Refusal::LostRace { .. }
        | Refusal::Line(LineFault::TwoCharters { .. }) => Code::Rollback,
        Refusal::Stale { .. } => Code::Stale,
        _ => Code::Policy,
    }
}

fn kind(text: &Text) -> (&'static str, u64, Option<u64>) {
    match text {
        Text::Statement(text) => ("statement", text.epoch.0, Some(text.sequence.0)),
        Text::Charter(text) => ("charter", text.epoch.0, None),
    }
}

fn named_as(text: &Text) -> String {
    match kind(text) {
        (kind, epoch, Some(sequence)) => format!("{kind} {epoch} {sequence}"),
        (kind, epoch, None) => format!("{kind} {epoch}"),
    }
}

fn list(env: &mut Env, state: &State, as_json: bool, only_charters: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for proposal in state.proposals().map_err(unusable)? {
        let (kind, epoch, sequence) = kind(&proposal.text);
        if only_charters && kind != "charter" {
            continue;
        }
        rows.push(json!({
            "kind": kind, "epoch": epoch, "sequence": sequence,
            "identity": proposal.text.identity().to_string(), "seals": proposal.seals.len(),
        }));
    }
    let out = &mut env.stdout;
    if as_json {
        return writeln!(out, "{}", Value::Array(rows)).map_err(unusable);
    }
    for row in &rows {
        let sequence = row["sequence"]
            .as_u64()
            .map_or(String::new(), |n| format!(" {n}"));
        writeln!(
            out,
            "{} {}{sequence} {} with {} seals",
            row["kind"].as_str().unwrap_or_default(),
            row["epoch"],
            row["identity"].as_str().unwrap_or_default(),
            row["seals"]
        )
        .map_err(unusable)?;
    }
    Ok(())
}

pub(super) fn show(
    env: &mut Env,
    as_json: bool,
    found: &Proposal,
    progress: &Progress,
    moved: &[String],
) -> std::io::Result<()> {
    let identity = found.text.identity();
    let by: Vec<String> = progress.sealed_by.iter().map(ToString::to_string).collect();
    let out = &mut env.stdout;
    if as_json {
        let (kind, epoch, sequence) = kind(&found.text);
        return writeln!(
            out,
            "{}",
            json!({
                "kind": kind, "epoch": epoch, "sequence": sequence,
                "identity": identity.to_string(), "complete": progress.complete,
                "lacks": progress.lacks, "sealed-by": by, "moves": moved,
            })
        );
    }
    let name = named_as(&found.text);
    for name in moved {
        writeln!(out, "  moves {name}")?;
    }
    for who in by {
        writeln!(out, "  sealed by {who}")?;
    }
    match progress.complete {
        true => writeln!(out, "{name} holds: {identity}"),
        false => writeln!(
            out,
            "{name} lacks {}: {identity}",
            progress.lacks.join(", ")
        ),
    }
}
