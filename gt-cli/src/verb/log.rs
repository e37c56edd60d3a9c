//! `gt log`: the chain of statements, who moved what when.

use std::io::Write as _;

use gt_trust::push::changes;
use gt_trust::{Keyring, Seal, Statement, Time};
use serde_json::{Value, json};

use super::{Code, Failure, git_at, unusable};
use crate::Env;
use crate::args::Log;
use crate::held::Held;
use crate::state::{Sealed, State};
use crate::when;

/// Prints the statements that are kept, the newest first.
///
/// # Errors
/// [`Failure::Verdict`]: 4 where the newest one is stale, 5 where a delegate has
/// equivocated, 64 where there is nothing of gt's.
pub fn run(env: &mut Env, words: &Log) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let state = State::of(&git.common_dir().map_err(unusable)?);
    let Some(newest) = state.accepted().map_err(unusable)? else {
        return Err(unusable(
            "expected a repository that was published or cloned with gt",
        ));
    };
    let held = Held::read(&state).map_err(unusable)?;
    let delegates = crate::op::proposal::openpgp_delegates(&state).map_err(unusable)?;
    let joined = Keyring::joined(&held.keyrings(), &delegates);
    let keyring = Keyring::parse(&joined, None).map_err(unusable)?;
    let now = Time((env.now)());
    let stale = newest.text.stale_at(now);
    let evidence = state.evidence().map_err(unusable)?;
    let mut rows = Vec::new();
    let mut next = Some(newest);
    while let Some(sealed) = next.filter(|_| rows.len() < words.limit) {
        let before = match sealed.text.previous {
            Some(mark) => state.statement(&mark.identity).map_err(unusable)?,
            None => None,
        };
        rows.push(row(&sealed, before.as_ref().map(|s| &s.text), &keyring));
        next = before;
    }
    print(env, words.json, &rows, &evidence).map_err(unusable)?;
    if let Some(name) = evidence.first() {
        let words =
            format!("a delegate has sealed two statements of one place: gt/evidence/{name}");
        return Err(Failure::Verdict(Code::Rollback, words));
    }
    match stale {
        Some(age) => Err(Failure::Verdict(
            Code::Stale,
            format!(
                "the newest statement went stale {} ago",
                super::show::span(age.0)
            ),
        )),
        None => Ok(()),
    }
}

fn row(sealed: &Sealed<Statement>, before: Option<&Statement>, keyring: &Keyring) -> Value {
    let text = &sealed.text;
    let seals: Vec<Value> = sealed
        .seals
        .iter()
        .filter_map(|bytes| Seal::parse(bytes).ok())
        .map(|seal| {
            // As it was when it was made: a key may have expired since.
            let by = seal.verify(keyring, seal.tagger().time());
            json!({
                "by": by.as_ref().ok().map(|by| by.delegate.to_string()),
                "fault": by.as_ref().err().map(ToString::to_string),
                "tagger": format!("{} <{}>", seal.tagger().name(), seal.tagger().mail()),
                "at": seal.tagger().time().0,
            })
        })
        .collect();
    let moves: Option<Vec<Value>> = before.map(|before| {
        let all = changes(before, text).into_iter();
        all.map(|change| {
            json!({
                "ref": change.name.to_string(),
                "old": change.old.map(|oid| oid.to_string()),
                "new": change.new.map(|oid| oid.to_string()),
                "forced": change.how == gt_trust::statement::Move::Forced,
            })
        })
        .collect()
    });
    json!({
        "epoch": text.epoch.0, "sequence": text.sequence.0, "identity": text.identity().to_string(),
        "created": text.created.0, "expires": text.expires.0, "refs": text.refs.len(),
        "reels": text.reels.len(), "seals": seals, "moves": moves,
    })
}

fn print(env: &mut Env, as_json: bool, rows: &[Value], evidence: &[String]) -> std::io::Result<()> {
    let out = &mut env.stdout;
    if as_json {
        return writeln!(
            out,
            "{}",
            json!({"statements": rows, "equivocations": evidence})
        );
    }
    let text = |value: &Value| value.as_str().map(plain);
    for row in rows {
        let created = when::shown(Time(row["created"].as_u64().unwrap_or_default()));
        let identity = text(&row["identity"]).unwrap_or_default();
        writeln!(
            out,
            "statement {} {}  {created} UTC  {identity}",
            row["epoch"], row["sequence"]
        )?;
        for seal in row["seals"].as_array().into_iter().flatten() {
            let tagger = text(&seal["tagger"]).unwrap_or_default();
            match text(&seal["by"]) {
                Some(by) => writeln!(out, "    sealed by {tagger} ({by})")?,
                None => {
                    let fault = text(&seal["fault"]).unwrap_or_default();
                    writeln!(out, "    seal that does not count, {tagger}: {fault}")?;
                }
            }
        }
        match row["moves"].as_array() {
            None => writeln!(out, "    {} refs", row["refs"])?,
            Some(moves) => {
                for change in moves {
                    let short = |value: &Value| {
                        text(value).map_or("none".to_owned(), |oid| oid.chars().take(12).collect())
                    };
                    let forced = match change["forced"].as_bool() {
                        Some(true) => " (forced)",
                        _ => "",
                    };
                    writeln!(
                        out,
                        "    {} {}..{}{forced}",
                        text(&change["ref"]).unwrap_or_default(),
                        short(&change["old"]),
                        short(&change["new"])
                    )?;
                }
            }
        }
    }
    for name in evidence {
        writeln!(out, "equivocation: gt/evidence/{name}")?;
    }
    Ok(())
}

/// Returns a stranger's text without what would steer a terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
