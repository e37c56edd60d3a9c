//! `gt trust path` and `gt trust why`.

use std::io::Write as _;

use gt_trust::Fingerprint;
use gt_trust::web::{Ground, Hop, Path, Refused, Standing, Validity, Web};
use serde_json::{Value, json};

use super::{Sources, fingerprint, plain, shown, usage};
use crate::Env;
use crate::args::TrustKey;
use crate::verb::{Code, Failure};
use crate::when;

/// Says what a key is to the person, and why: every certification that counts,
/// told once, or what is wanting.
pub(super) fn run(env: &mut Env, words: &TrustKey) -> Result<(), Failure> {
    let (key, standing) = standing(env, words)?;
    let lines = if words.json {
        vec![as_json(&key, &standing).to_string()]
    } else {
        sentences(&key, &standing)
    };
    finish(env, &lines, &standing)
}

/// Shows the paths alone, one to a line.
pub(super) fn path(env: &mut Env, words: &TrustKey) -> Result<(), Failure> {
    let (key, standing) = standing(env, words)?;
    let (paths, left_out) = match &standing {
        Standing::Trusted {
            paths, left_out, ..
        } => (paths.as_slice(), *left_out),
        Standing::Unknown { nearest, .. } => (nearest.as_slice(), 0),
        _ => (&[][..], 0),
    };
    let lines = if words.json {
        let paths: Vec<Value> = paths.iter().map(path_json).collect();
        vec![json!({"key": shown(&key), "paths": paths, "left-out": left_out}).to_string()]
    } else {
        let line = |path: &Path| {
            let by = path.hops.iter().map(|hop| shown(&hop.by));
            by.chain([shown(&key)]).collect::<Vec<_>>().join(" ")
        };
        paths.iter().map(line).collect()
    };
    if left_out > 0 {
        // A stream that is gone is no reason to stop.
        let _ = writeln!(
            env.stderr,
            "{left_out} more paths: gt trust why tells every certification once"
        );
    }
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
            grounds,
            ..
        } => {
            let mut lines = vec![format!("{} is {}: {validity}", shown(key), plain(user))];
            for (n, ground) in grounds.iter().enumerate() {
                if n > 0 || ground.validity != Validity::Ultimate {
                    lines.push(ground_line(ground));
                }
                if ground.validity == Validity::Ultimate {
                    lines.push("    a root of yours".to_owned());
                }
                lines.extend(ground.certifications.iter().map(certifier_line));
            }
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

fn ground_line(ground: &Ground) -> String {
    let granted = ground.granted.as_ref().map_or(String::new(), |hop| {
        format!(" as {} says{}", shown(&hop.by), trust_words(hop))
    });
    format!(
        "  {} {}: {}, ownertrust {}{granted}",
        shown(&ground.key),
        plain(&ground.user),
        ground.validity,
        ground.ownertrust
    )
}

fn certifier_line(hop: &Hop) -> String {
    format!(
        "    certified by {} ({}): {} UTC, {}, level {}{}",
        shown(&hop.by),
        hop.ownertrust,
        when::shown(hop.made),
        hop.digest,
        hop.level,
        trust_words(hop)
    )
}

fn trust_words(hop: &Hop) -> String {
    hop.trust.map_or(String::new(), |(depth, amount)| {
        format!(", trust signature of depth {depth}, amount {amount}")
    })
}

fn path_lines(path: &Path) -> Vec<String> {
    let first = path.hops.iter().take(1);
    let mut lines: Vec<String> = first
        .map(|hop| format!("  {} ({})", shown(&hop.by), hop.ownertrust))
        .collect();
    lines.extend(path.hops.iter().map(|hop| {
        format!(
            "    certifies {} {}: {} UTC, {}, level {}{}",
            shown(&hop.of),
            plain(&hop.user),
            when::shown(hop.made),
            hop.digest,
            hop.level,
            trust_words(hop)
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
            left_out,
            grounds,
        } => json!({
            "key": key,
            "standing": "trusted",
            "validity": validity.to_string(),
            "user": String::from_utf8_lossy(user),
            "grounds": grounds.iter().map(ground_json).collect::<Vec<_>>(),
            "paths": paths.iter().map(path_json).collect::<Vec<_>>(),
            "left-out": left_out,
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

fn ground_json(ground: &Ground) -> Value {
    json!({
        "key": shown(&ground.key),
        "user": String::from_utf8_lossy(&ground.user),
        "validity": ground.validity.to_string(),
        "ownertrust": ground.ownertrust.to_string(),
        "granted": ground.granted.as_ref().map(hop_json),
        "certifications": ground.certifications.iter().map(hop_json).collect::<Vec<_>>(),
    })
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
