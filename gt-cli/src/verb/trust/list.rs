//! `gt trust list`.

use std::io::{BufWriter, Write as _};

use data_encoding::HEXUPPER;
use gt_trust::web::{Row, UserKind, Web};
use serde_json::json;

use super::plain;
use super::{Sources, shown, usage};
use crate::Env;
use crate::args::TrustList;
use crate::verb::Failure;

/// Prints every user id and how far it is believed.
pub(super) fn run(env: &mut Env, words: &TrustList) -> Result<(), Failure> {
    let sources = Sources::read(env, &words.web)?;
    let web = Web::compute(
        &sources.ring,
        &sources.owners,
        sources.settings,
        sources.cache.as_ref(),
    );
    let rows = web.rows();
    let mut out = BufWriter::new(&mut env.stdout);
    for row in &rows {
        let line = if words.tsv {
            tsv(row)
        } else if words.json {
            as_json(row)
        } else {
            let key = shown(&row.key);
            format!("{}  {key}  {}", row.letter, name(row))
        };
        writeln!(out, "{line}").map_err(usage)?;
    }
    out.flush().map_err(usage)?;
    drop(out);
    sources.remember()
}

fn kind(row: &Row) -> &'static str {
    match row.kind {
        UserKind::Id => "uid",
        UserKind::Attribute => "uat",
    }
}

fn tsv(row: &Row) -> String {
    let hash = HEXUPPER.encode(&row.hash);
    format!("{}\t{}\t{}\t{hash}", shown(&row.key), kind(row), row.letter)
}

fn as_json(row: &Row) -> String {
    json!({
        "key": shown(&row.key),
        "kind": kind(row),
        "validity": row.letter.to_string(),
        "hash": HEXUPPER.encode(&row.hash),
        "name": String::from_utf8_lossy(&row.bytes),
    })
    .to_string()
}

fn name(row: &Row) -> String {
    match row.kind {
        UserKind::Id => plain(&row.bytes),
        UserKind::Attribute => format!("(attribute of {} bytes)", row.bytes.len()),
    }
}
