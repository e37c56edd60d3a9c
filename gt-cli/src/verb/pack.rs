//! `gt pack`: what gt-pack does, for any pack anywhere.

mod checked;
mod import;
mod index;
mod list;
mod reel;
mod splice;
mod verify;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use gt_pack::Limits;
use gt_pack::spool::Spool;
use gt_pack::verify::{Error, NoBases, Progress, Stage, Verified, Visitor};
use serde_json::json;

use super::{Failure, broken};
use crate::Env;
use crate::args::pack::{Pack, Reading, Sub};
use crate::meter::Meter;

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
    if let Err(Failure::Refused(why)) = &outcome
        && how.json
    {
        let value = json!({"verdict": "refused", "why": why});
        writeln!(env.stdout, "{value}").map_err(broken)?;
    }
    outcome
}

/// Verifies the pack that the person named, and returns it with what it
/// holds. Standard input is verified as it comes, and kept in a file without
/// a name meanwhile.
fn read(
    env: &mut Env,
    file: &Path,
    how: &Reading,
    visitor: &dyn Visitor,
) -> Result<(Spool, Verified), Failure> {
    let limits = if how.no_limits {
        Limits::lifted()
    } else {
        Limits::default()
    };
    let is_input = file == Path::new("-");
    let source = if is_input {
        tempfile::tempfile().and_then(Spool::new).map_err(broken)?
    } else {
        Spool::open(&env.cwd.join(file))
            .map_err(|e| Failure::Broken(format!("{}: {e}", file.display())))?
    };
    let threads = how.threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let shown = Shown::new(env);
    let stdin = &mut env.stdin;
    let format = how.object_format;
    let verified = pool.map_err(broken)?.install(|| {
        if is_input {
            let mut keep = |bytes: &[u8]| source.append(bytes);
            let (bases, length) = (&NoBases, None);
            gt_pack::verify::stream(
                stdin, &mut keep, &source, length, format, &limits, bases, visitor, &shown,
            )
        } else {
            gt_pack::verify::pack(&source, format, &limits, &NoBases, visitor, &shown)
        }
    });
    shown.end(env);
    match verified {
        Ok(verified) => Ok((source, verified)),
        Err(Error::Io(e)) => Err(broken(e)),
        Err(refused) => Err(Failure::Refused(refused.to_string())),
    }
}

/// Shows on a terminal how far the reading is, and nothing elsewhere.
struct Shown(Mutex<Line>);

struct Line {
    out: Box<dyn Write + Send>,
    terminal: bool,
    meter: Option<(Stage, Meter)>,
}

impl Shown {
    fn new(env: &mut Env) -> Self {
        Self(Mutex::new(Line {
            out: std::mem::replace(&mut env.stderr, Box::new(std::io::sink())),
            terminal: env.terminal,
            meter: None,
        }))
    }

    /// Gives standard error back, on a fresh line.
    fn end(self, env: &mut Env) {
        let mut line = self.0.into_inner().unwrap_or_else(|e| e.into_inner());
        if line.meter.is_some() {
            // A line that cannot be shown is no reason to fail.
            let _ = writeln!(line.out);
        }
        env.stderr = line.out;
    }
}

impl Progress for Shown {
    fn at(&self, stage: Stage, done: u64, total: u64) -> ControlFlow<()> {
        // Several threads tell; the one that finds another at it passes.
        if let Ok(mut line) = self.0.try_lock()
            && line.terminal
        {
            let Line { out, meter, .. } = &mut *line;
            if meter.as_ref().is_none_or(|(at, _)| *at != stage) {
                if meter.is_some() {
                    let _ = writeln!(out);
                }
                let title = match stage {
                    Stage::Resolving => "Resolving deltas",
                    _ => "Reading pack",
                };
                *meter = Some((stage, Meter::new(title, true)));
            }
            if let Some((_, meter)) = meter {
                let _ = meter.show(&mut **out, done, total, None);
            }
        }
        ControlFlow::Continue(())
    }
}
