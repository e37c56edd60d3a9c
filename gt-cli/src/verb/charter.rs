//! `gt charter`: who may say what this repository is.

use std::io::Write as _;

use gt_trust::charter::{Charter, Contents, Delegate, Rule, default_charter_threshold};
use gt_trust::{Epoch, Keyring, Time, limits};
use serde_json::{Value, json};

use super::endorse::{failed, show as show_progress};
use super::{Code, Failure, git_at, unusable};
use crate::Env;
use crate::args::{CharterEdit, CharterPin, CharterShow, CharterVerb, CharterWords};
use crate::files;
use crate::held::Held;
use crate::op::proposal::{Proposal, Text};
use crate::signing::Sealer;
use crate::state::State;

/// Does what the words ask for.
///
/// # Errors
/// [`Failure::Verdict`]: 2 where the person is no delegate, 3 where a charter
/// can never hold, 5 where two of one epoch hold, 64 for words and files.
pub fn run(env: &mut Env, words: &CharterWords) -> Result<(), Failure> {
    match &words.verb {
        CharterVerb::Show(words) => show(env, words),
        CharterVerb::Edit(words) => edit(env, words),
        CharterVerb::Endorse(words) => super::endorse::seal(env, words, true),
        CharterVerb::Pin(words) => pin(env, words),
    }
}

fn state_at(env: &Env, repository: Option<&std::path::Path>) -> Result<State, Failure> {
    let git = git_at(env, repository);
    Ok(State::of(&git.common_dir().map_err(unusable)?))
}

fn none() -> Failure {
    unusable("expected a repository that was published or cloned with gt")
}

fn show(env: &mut Env, words: &CharterShow) -> Result<(), Failure> {
    let state = state_at(env, words.repository.as_deref())?;
    let rid = state.rid().map_err(unusable)?.ok_or_else(none)?;
    let charters = state.charters().map_err(unusable)?;
    let newest = charters.last().ok_or_else(none)?;
    let held = Held::read(&state).map_err(unusable)?;
    let receiver = held.receiver(rid, &[], None, None).map_err(unusable)?;
    let now = Time((env.now)());
    let line = receiver.succession(&[], &[], &[], now);
    let confirmed = match &line {
        Ok(line) => line.links.last().map(|link| link.confirmed.clone()),
        Err(_) => None,
    };
    let confirmed = confirmed.unwrap_or_default();
    let rivals = state.rivals().map_err(unusable)?;
    let out = &mut env.stdout;
    if words.json {
        let delegates: Vec<Value> = newest.text.delegates.iter().map(|delegate| {
            json!({"delegate": delegate.to_string(), "confirmed": confirmed.contains(delegate)})
        }).collect();
        let value = json!({
            "repository": rid.to_string(),
            "identity": newest.text.identity().to_string(),
            "epoch": newest.text.epoch.0,
            "name": newest.text.name,
            "delegates": delegates,
            "threshold": newest.text.threshold,
            "charter-threshold": newest.text.charter_threshold,
            "pin": state.pin().map_err(unusable)?.map(|pin| pin.to_string()),
            "rules": newest.text.rules.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "charters": charters.iter().map(|c| c.text.identity().to_string()).collect::<Vec<_>>(),
            "rivals": rivals.iter().map(|c| c.text.identity().to_string()).collect::<Vec<_>>(),
        });
        writeln!(out, "{value}").map_err(unusable)?;
    } else {
        out.write_all(newest.text.as_bytes()).map_err(unusable)?;
        let mut lines = vec![format!("\nIdentity: {}", newest.text.identity())];
        for delegate in newest
            .text
            .delegates
            .iter()
            .filter(|d| !confirmed.contains(d))
        {
            lines.push(format!(
                "Not confirmed, does not count: {delegate} (gt charter endorse {})",
                newest.text.identity()
            ));
        }
        if let Some(pin) = state.pin().map_err(unusable)? {
            lines.push(format!("Pinned: {pin}"));
        }
        for rival in &rivals {
            lines.push(format!(
                "As valid for epoch {}: {} (gt charter pin says which one holds)",
                rival.text.epoch,
                rival.text.identity()
            ));
        }
        for line in lines {
            writeln!(out, "{line}").map_err(unusable)?;
        }
    }
    match line {
        Ok(_) => Ok(()),
        Err(why) => Err(Failure::Verdict(Code::Rollback, why.to_string())),
    }
}

/// Proposes the next charter, and seals it.
fn edit(env: &mut Env, words: &CharterEdit) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let state = state_at(env, words.repository.as_deref())?;
    let _lock = state.lock().map_err(unusable)?;
    let rid = state.rid().map_err(unusable)?.ok_or_else(none)?;
    let before = state.charter().map_err(unusable)?.ok_or_else(none)?.text;
    let charter = changed(&before, words)?;
    let mut keyrings = Held::read(&state).map_err(unusable)?.keyrings();
    for path in &words.keyrings {
        let path = env.cwd.join(path);
        let bytes = files::read(&path, limits::CERTIFICATES as u64 * 2).map_err(unusable)?;
        keyrings.push(bytes.ok_or_else(|| unusable(format!("{}: no such file", path.display())))?);
    }
    let now = Time((env.now)());
    let keys = env.data_folder().map(|folder| folder.join("keys"));
    let sealer = Sealer::find(&git, keys.as_deref(), now).map_err(unusable)?;
    keyrings.push(sealer.certificate().to_vec());
    let mut delegates: Vec<_> = crate::op::proposal::openpgp_delegates(&state).map_err(unusable)?;
    for key in charter.delegates.iter().filter_map(Delegate::openpgp) {
        if !delegates.contains(&key) {
            delegates.push(key);
        }
        let known = keyrings.iter().any(|bytes| {
            Keyring::parse(bytes, Some(&[key])).is_ok_and(|ring| !ring.fingerprints().is_empty())
        });
        if !known {
            return Err(unusable(format!(
                "expected the certificate of {key} with --keyring, got none"
            )));
        }
    }
    let keyring = Keyring::joined(&keyrings, &delegates);
    let mut proposal = Proposal::new(Text::Charter(charter.clone().into()), keyring);
    if before.delegates.contains(sealer.delegate()) || charter.delegates.contains(sealer.delegate())
    {
        proposal.seal(&state, &sealer, rid, now).map_err(failed)?;
    } else if !words.no_seal {
        return Err(Failure::Verdict(
            Code::NotTrusted,
            format!(
                "expected to seal with a delegate, got {}, which is none",
                sealer.delegate()
            ),
        ));
    }
    let believed = super::trust::narrows(env, &git, None).map_err(unusable)?;
    let progress = proposal
        .settle(&state, rid, &believed, now)
        .map_err(failed)?;
    if let Some(path) = &words.output {
        let bytes = proposal.for_others(&state).map_err(failed)?;
        files::write(&env.cwd.join(path), &bytes).map_err(unusable)?;
    }
    show_progress(env, words.json, &proposal, &progress, &[]).map_err(unusable)
}

/// Returns the next charter as the words want it.
fn changed(before: &Charter, words: &CharterEdit) -> Result<Charter, Failure> {
    let mut contents: Contents = (**before).clone();
    contents.nonce = None;
    contents.epoch = Epoch(before.epoch.0 + 1);
    contents.previous = Some(before.identity());
    if let Some(name) = &words.name {
        contents.name.clone_from(name);
    }
    for text in &words.remove {
        let gone: Delegate = text.parse().map_err(unusable)?;
        if !contents.delegates.contains(&gone) {
            return Err(unusable(format!(
                "expected a delegate to remove, got {gone}"
            )));
        }
        contents.delegates.retain(|delegate| *delegate != gone);
    }
    for text in &words.add {
        contents.delegates.push(text.parse().map_err(unusable)?);
    }
    if let Some(threshold) = words.threshold {
        contents.threshold = threshold;
    }
    let count = contents.delegates.len() as u64;
    contents.charter_threshold = match words.charter_threshold {
        Some(threshold) => threshold,
        None => default_charter_threshold(count, contents.threshold),
    };
    for text in &words.remove_rules {
        contents
            .rules
            .retain(|rule| rule.pattern.to_string() != *text);
    }
    for text in &words.rules {
        let rule = Rule::parse(text).ok_or_else(|| {
            unusable(format!(
                "expected a rule such as \"refs/heads/main any 2 fast-forward\", got {text:?}"
            ))
        })?;
        contents.rules.retain(|other| other.pattern != rule.pattern);
        contents.rules.push(rule);
    }
    Charter::new(contents).map_err(unusable)
}

/// Says which of two valid charters holds.
fn pin(env: &mut Env, words: &CharterPin) -> Result<(), Failure> {
    let state = state_at(env, words.repository.as_deref())?;
    let plain = words
        .identity
        .strip_prefix("sha256:")
        .unwrap_or(&words.identity);
    let pin = plain.parse().map_err(unusable)?;
    let charters = state.charters().map_err(unusable)?;
    let rivals = state.rivals().map_err(unusable)?;
    let known = charters
        .iter()
        .chain(&rivals)
        .find(|c| c.text.identity() == pin);
    let chosen =
        known.ok_or_else(|| unusable(format!("expected a charter that is held, got {pin}")))?;
    let is_rival = rivals.iter().any(|rival| rival.text.identity() == pin);
    if is_rival {
        // What was held of that epoch, and after it, is the other's.
        state
            .replace_charter(&chosen.text, &chosen.seals)
            .map_err(unusable)?;
    }
    state.keep_pin(&pin).map_err(unusable)?;
    writeln!(
        env.stdout,
        "Charter {} of epoch {} holds",
        pin, chosen.text.epoch
    )
    .map_err(unusable)
}
