//! `gt pack`: what gt-pack does, for any pack anywhere.

mod checked;
mod import;
mod index;
mod list;
mod opened;
mod out;
mod outside;
mod piped;
mod reel;
mod splice;
mod verify;

use std::io::{self, BufReader, Write as _};
use std::path::Path;
use std::time::Duration;

use gt_pack::Limits;
use gt_pack::bundle::Header;
use gt_pack::verify::{Bases, Error, NoBases, Verified, Visitor};
use serde_json::json;

use self::opened::Opened;
use self::outside::Outside;
use super::shown::Shown;
use super::{Failure, broken, refused};
use crate::Env;
use crate::args::pack::{Pack, Reading, Sub};

/// Does what was asked.
///
/// # Errors
/// [`Failure::Refused`] for a pack that is not good, with the reason;
/// [`Failure::Broken`] where the machine failed.
pub fn run(env: &mut Env, words: &Pack) -> Result<(), Failure> {
    match &words.sub {
        Sub::Verify(words) => verify::run(env, words),
        Sub::Index(words) => index::run(env, words),
        Sub::List(words) => list::run(env, words),
        Sub::Reel(words) => reel::run(env, words),
        Sub::Splice(words) => splice::run(env, words),
        Sub::Import(words) => import::run(env, words),
    }
}

/// Prints a refusal as JSON, where that was asked for.
fn told<T>(env: &mut Env, how: &Reading, outcome: Result<T, Failure>) -> Result<T, Failure> {
    told_if(env, how.json, outcome)
}

fn told_if<T>(env: &mut Env, json: bool, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(Failure::Refused(why)) = &outcome
        && json
    {
        let value = json!({"verdict": "refused", "why": why});
        writeln!(env.stdout, "{value}").map_err(broken)?;
    }
    outcome
}

/// Verifies the pack that the person named, and returns it with what it
/// holds. Standard input is verified as it comes, and kept in a file without
/// a name meanwhile.
///
/// The pack of a bundle is read too; it may find bases in the repository
/// round the current folder, and its tips must be somewhere.
fn read(
    env: &mut Env,
    file: &Path,
    how: &Reading,
    visitor: &dyn Visitor,
) -> Result<(Opened, Verified), Failure> {
    let mut limits = if how.no_limits {
        Limits::lifted()
    } else {
        Limits::default()
    };
    if let Some(seconds) = how.idle {
        limits.idle = Duration::from_secs(seconds.into());
    }
    let mut input = None;
    let opened = if file == Path::new("-") {
        let stdin = std::mem::replace(&mut env.stdin, Box::new(io::empty()));
        let stdin = piped::patient(stdin, &limits).map_err(broken)?;
        Opened::input(input.insert(BufReader::new(stdin)))?
    } else {
        Opened::file(env, file)?
    };
    let outside = opened.bundle.as_ref().map(|_| Outside::round(env));
    let bases: &(dyn Bases + Sync) = match &outside {
        Some(outside) => outside,
        None => &NoBases,
    };
    let header = opened.bundle.as_ref();
    let format = header.map_or(how.object_format, |header| header.format);
    let threads = how.threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let shown = Shown::new(env);
    let verified = pool.map_err(broken)?.install(|| {
        if let Some(input) = &mut input {
            let source = opened.spool();
            let mut keep = |bytes: &[u8]| source.append(bytes);
            gt_pack::verify::stream(
                input, &mut keep, source, None, format, &limits, bases, visitor, &shown,
            )
        } else {
            gt_pack::verify::pack(&opened.pack(), format, &limits, bases, visitor, &shown)
        }
    });
    shown.end(env);
    let verified = match verified {
        Ok(verified) => verified,
        Err(Error::Io(e)) => return Err(broken(e)),
        Err(fault) => return Err(refused(fault)),
    };
    if let (Some(header), Some(outside)) = (header, &outside) {
        check_tips(header, &verified, outside)?;
    }
    Ok((opened, verified))
}

/// A tip is in the bundle, or in the repository; where there is none, and the
/// bundle needs one, nobody can tell.
fn check_tips(header: &Header, verified: &Verified, outside: &Outside) -> Result<(), Failure> {
    let cannot_tell = outside.is_none() && !header.prerequisites.is_empty();
    for (name, oid) in header.tips.iter().filter(|_| !cannot_tell) {
        if verified.entry(oid).is_none() && outside.find(oid).map_err(broken)?.is_none() {
            let name = name.escape_ascii();
            return Err(refused(format!(
                "expected tip {oid} {name}, got no such object"
            )));
        }
    }
    Ok(())
}
