//! `gt torrent check`.

use std::io::Write as _;

use gt_wire::Metainfo;
use gt_wire::verify::{FileState, Report, Verify};
use serde_json::{Value, json};

use super::super::{Failure, broken};
use super::{place, plain, read_file};
use crate::Env;
use crate::args::torrent::Check;
use crate::meter::Meter;

/// Hashes what lies in a folder.
///
/// # Errors
/// Refused where something is missing or wrong.
pub(super) fn run(env: &mut Env, words: &Check) -> Result<(), Failure> {
    let metainfo = read_file(env, &words.file)?;
    let geometry = metainfo.info.geometry();
    let store = place::store(&env.cwd.join(&words.folder), &metainfo.info, false)?;
    let terminal = env.terminal;
    let mut meter = Meter::new("Checking pieces", terminal);
    let total = u64::from(geometry.pieces());
    let report = Verify::new(geometry, &*store).run(&mut |done| {
        if terminal {
            let _ = meter.show(&mut *env.stderr, done.into(), total, None);
        }
    });
    let report = report.map_err(broken)?;
    if terminal {
        let _ = meter.done(&mut *env.stderr, total, total, None);
    }
    if words.json {
        super::json(env, &value(&metainfo, &report))?;
    } else {
        for (path, words) in faults(&metainfo, &report) {
            writeln!(env.stdout, "{path}: {words}").map_err(broken)?;
        }
    }
    let (have, pieces) = (report.have.count(), geometry.pieces());
    match report.is_whole() {
        true if words.json => Ok(()),
        true if pieces == 1 => writeln!(env.stdout, "the one piece is right").map_err(broken),
        true => writeln!(env.stdout, "all {pieces} pieces are right").map_err(broken),
        false => Err(Failure::Refused(format!(
            "{have} of {pieces} pieces are right, {} of {} files whole",
            whole(&metainfo, &report),
            geometry.files().iter().filter(|f| !f.padding).count(),
        ))),
    }
}

fn whole(metainfo: &Metainfo, report: &Report) -> usize {
    states(metainfo, report)
        .filter(|(_, state)| *state == FileState::Whole)
        .count()
}

fn states(metainfo: &Metainfo, report: &Report) -> impl Iterator<Item = (String, FileState)> {
    let files = metainfo.info.geometry().files().iter().zip(&report.files);
    let files = files.filter(|(file, _)| !file.padding);
    files.map(|(file, state)| (plain(&file.path.to_string()), *state))
}

fn faults(metainfo: &Metainfo, report: &Report) -> Vec<(String, String)> {
    let words = |state| match state {
        FileState::Whole => None,
        FileState::Missing => Some("missing".to_owned()),
        FileState::Length { got } => Some(format!("has another length: {got} bytes")),
        FileState::Wrong { pieces: 1 } => Some("one piece is wrong".to_owned()),
        FileState::Wrong { pieces } => Some(format!("{pieces} pieces are wrong")),
        _ => Some("not whole".to_owned()),
    };
    states(metainfo, report)
        .filter_map(|(path, state)| Some((path, words(state)?)))
        .collect()
}

fn value(metainfo: &Metainfo, report: &Report) -> Value {
    let files = states(metainfo, report).map(|(path, state)| match state {
        FileState::Whole => json!({"path": path, "state": "whole"}),
        FileState::Missing => json!({"path": path, "state": "missing"}),
        FileState::Length { got } => json!({"path": path, "state": "length", "got": got}),
        FileState::Wrong { pieces } => json!({"path": path, "state": "wrong", "pieces": pieces}),
        _ => json!({"path": path, "state": "other"}),
    });
    json!({
        "complete": report.is_whole(),
        "have": report.have.count(),
        "pieces": metainfo.info.geometry().pieces(),
        "files": files.collect::<Vec<_>>(),
    })
}
