//! `gt trust path` and `gt trust why`.

use std::io::Write as _;

use gt_trust::Fingerprint;
use gt_trust::web::{Hop, Path, Refused, Standing, Web};
use serde_json::{Value, json};

use super::{Sources, fingerprint, plain, shown, usage};
use crate::Env;
use crate::args::TrustKey;
use crate::verb::{Code, Failure};
use crate::when;

/// Says what a key is to the person, with every path or what is wanting.
pub(super) fn run(env: &mut Env, words: &TrustKey) -> Result<(), Failure> {
    let (key, standing) = standing(env, words)?;
    let lines = if words.json {
        vec![as_json(&key, &standing).to_string()]
    } else {
        sentences(&key, &standing)
    };
    finish(env, &lines, &standing)
}

/// Shows the certifications alone, a path to a line.
pub(super) fn path(env: &mut Env, words: &TrustKey) -> Result<(), Failure> {
    let (key, standing) = standing(env, words)?;
    let paths = match &standing {
        Standing::Trusted { paths, .. } => paths.as_slice(),
        Standing::Unknown { nearest, .. } => nearest.as_slice(),
        _ => &[],
    };
    let lines = if words.json {
        let paths: Vec<Value> = paths.iter().map(path_json).collect();
        vec![json!({"key": shown(&key), "paths": paths}).to_string()]
    } else {
        let line = |path: &Path| {
            let by = path.hops.iter().map(|hop| shown(&hop.by));
            by.chain([shown(&key)]).collect::<Vec<_>>().join(" ")
        };
        paths.iter().map(line).collect()
    };
    finish(env, &lines, &standing)
}

fn standing(env: &mut Env, words: &TrustKey) -> Result<(Fingerprint, Standing), Failure> {
    let key = fingerprint(&words.key)?;
    let sources = Sources::read(env, &words.web)?;
    let web = Web::compute(
        &sources.ring,
        &sources.owners,
        sources.settings,
        sources.cache.as_ref(),
    );
    let standing = web.standing(&key);
    drop(web);
    sources.remember()?;
    Ok((key, standing))
}

fn finish(env: &mut Env, lines: &[String], standing: &Standing) -> Result<(), Failure> {
    for line in lines {
        writeln!(env.stdout, "{line}").map_err(usage)?;
    }
    match standing {
        Standing::Trusted { .. } => Ok(()),
        Standing::Unknown { lacks, .. } => Err(Failure::Verdict(
            Code::NotTrusted,
            format!("not trusted: {lacks}"),
        )),
        Standing::Refused(why @ Refused::Unsupported) => {
            Err(Failure::Verdict(Code::Unsupported, why.to_string()))
        }
        Standing::Refused(why) => Err(Failure::Verdict(
            Code::NotTrusted,
            format!("refused: {why}"),
        )),
        _ => Err(Failure::Verdict(Code::NotTrusted, "not trusted".to_owned())),
    }
}

fn sentences(key: &Fingerprint, standing: &Standing) -> Vec<String> {
    match standing {
        Standing::Trusted {
            validity,
            user,
            paths,
        } => {
            let mut lines = vec![format!("{} is {}: {validity}", shown(key), plain(user))];
            if paths.is_empty() {
                lines.push("  it is a root of yours".to_owned());
            }
            lines.extend(paths.iter().flat_map(path_lines));
            lines
        }
        Standing::Unknown {
            validity, nearest, ..
        } => {
            let mut lines = vec![format!(
                "{} is of nobody whom you believe: {validity}",
                shown(key)
            )];
            lines.extend(nearest.iter().flat_map(path_lines));
            lines
        }
        _ => Vec::new(),
    }
}

fn path_lines(path: &Path) -> Vec<String> {
    let first = path.hops.iter().take(1);
    let mut lines: Vec<String> = first
        .map(|hop| format!("  {} ({})", shown(&hop.by), hop.ownertrust))
        .collect();
    lines.extend(path.hops.iter().map(|hop| {
        let trust = hop.trust.map_or(String::new(), |(depth, amount)| {
            format!(", trust signature of depth {depth}, amount {amount}")
        });
        format!(
            "    certifies {} {}: {} UTC, {}, level {}{trust}",
            shown(&hop.of),
            plain(&hop.user),
            when::shown(hop.made),
            hop.digest,
            hop.level
        )
    }));
    lines
}

fn as_json(key: &Fingerprint, standing: &Standing) -> Value {
    let key = shown(key);
    match standing {
        Standing::Trusted {
            validity,
            user,
            paths,
        } => json!({
            "key": key,
            "standing": "trusted",
            "validity": validity.to_string(),
            "user": String::from_utf8_lossy(user),
            "paths": paths.iter().map(path_json).collect::<Vec<_>>(),
        }),
        Standing::Unknown {
            validity,
            nearest,
            lacks,
        } => json!({
            "key": key,
            "standing": "unknown",
            "validity": validity.to_string(),
            "nearest": nearest.as_ref().map(path_json),
            "lacks": lacks.to_string(),
        }),
        Standing::Refused(why) => json!({
            "key": key,
            "standing": "refused",
            "why": why.to_string(),
        }),
        _ => json!({"key": key, "standing": "unknown"}),
    }
}

fn path_json(path: &Path) -> Value {
    path.hops.iter().map(hop_json).collect()
}

fn hop_json(hop: &Hop) -> Value {
    json!({
        "by": shown(&hop.by),
        "ownertrust": hop.ownertrust.to_string(),
        "of": shown(&hop.of),
        "user": String::from_utf8_lossy(&hop.user),
        "made": hop.made.0,
        "digest": hop.digest,
        "level": hop.level,
        "depth": hop.trust.map(|(depth, _)| depth),
        "amount": hop.trust.map(|(_, amount)| amount),
    })
}
