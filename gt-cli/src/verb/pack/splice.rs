//! `gt pack splice`.

use std::io::{BufWriter, Write as _};

use gt_pack::Limits;
use gt_pack::splice::{self, Part, Spliced};
use gt_pack::spool::Spool;
use serde_json::json;

use super::out::Out;
use super::outside::Outside;
use super::{Failure, Shown, broken, refused, told_if};
use crate::Env;
use crate::args::pack::Splice;
use crate::meter::size;

/// Joins bundles that follow on each other to one, by copying their entries.
///
/// # Errors
/// [`Failure::Refused`] where one is not good or an object stands in two.
pub(super) fn run(env: &mut Env, words: &Splice) -> Result<(), Failure> {
    let outcome = join(env, words);
    let spliced = told_if(env, words.json, outcome)?;
    let (objects, bytes, root) = (spliced.pack.entries.len(), spliced.length, spliced.root);
    let count = words.bundles.len();
    if words.json {
        let value = json!({
            "objects": objects, "bytes": bytes, "root": root.to_string(), "parts": count,
            "tips": spliced.header.tips.len(), "prerequisites": spliced.header.prerequisites.len(),
        });
        return writeln!(env.stdout, "{value}").map_err(broken);
    }
    let bytes = size(bytes);
    writeln!(
        env.stdout,
        "{root}: {objects} objects of {count} bundles in {bytes}"
    )
    .map_err(broken)
}

fn join(env: &mut Env, words: &Splice) -> Result<Spliced, Failure> {
    let mut files = Vec::new();
    for path in &words.bundles {
        let file = Spool::open(&env.cwd.join(path));
        files.push(file.map_err(|e| Failure::Broken(format!("{}: {e}", path.display())))?);
    }
    // Where the first bundle is thin itself, its bases are in the repository
    // round this folder, if anywhere.
    let outside = Outside::round(env);
    let limits = Limits::default();
    let mut parts: Vec<Part<'_>> = Vec::new();
    let shown = Shown::new(env);
    let mut read = || {
        for (file, path) in files.iter().zip(&words.bundles) {
            let part = Part::read(file, &parts, &outside, &limits, &shown);
            parts.push(part.map_err(|e| named(e, &path.display().to_string()))?);
        }
        Ok(())
    };
    let outcome = read();
    shown.end(env);
    outcome?;
    let output = env.cwd.join(&words.output);
    let mut out = Out::beside(&output)?;
    let mut writer = BufWriter::with_capacity(1 << 18, &mut out);
    let spliced = splice::write(&parts, &mut writer).map_err(|e| named(e, "splice"))?;
    writer.flush().map_err(broken)?;
    drop(writer);
    out.keep()?;
    Ok(spliced)
}

fn named(e: splice::Error, what: &str) -> Failure {
    match e {
        splice::Error::Io(e) => Failure::Broken(format!("{what}: {e}")),
        fault => refused(format!("{what}: {fault}")),
    }
}
