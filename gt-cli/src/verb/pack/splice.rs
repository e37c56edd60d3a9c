//! `gt pack splice`.

use std::io::{self, BufWriter, Write as _};

use gt_pack::repository::{self, GitRepository, Repository as _};
use gt_pack::splice::{self, Part};
use gt_pack::spool::Spool;
use gt_pack::verify::{Base, Bases, Silent};
use gt_pack::{Limits, ObjectId};
use serde_json::json;

use super::reel::Out;
use super::{Failure, broken};
use crate::Env;
use crate::args::pack::Splice;
use crate::git::Git;
use crate::meter::size;
use crate::verb::refused;

/// Joins bundles that follow on each other to one, by copying their entries.
///
/// # Errors
/// [`Failure::Refused`] where one is not good or an object stands in two.
pub(super) fn run(env: &mut Env, words: &Splice) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &words.bundles {
        let file = Spool::open(&env.cwd.join(path));
        files.push(file.map_err(|e| Failure::Broken(format!("{}: {e}", path.display())))?);
    }
    // Where the first bundle is thin itself, its bases are in the repository
    // round this folder, if anywhere.
    let here = Git::at(env, &env.cwd).common_dir().ok();
    let outside = Outside(here.and_then(|dir| GitRepository::open(dir).ok()));
    let limits = Limits::default();
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (file, path) in files.iter().zip(&words.bundles) {
        let part = Part::read(file, &parts, &outside, &limits, &Silent);
        parts.push(part.map_err(|e| named(e, &path.display().to_string()))?);
    }
    let output = env.cwd.join(&words.output);
    let mut out = Out::beside(&output)?;
    let mut writer = BufWriter::with_capacity(1 << 18, &mut out.file);
    let spliced = splice::write(&parts, &mut writer).map_err(|e| named(e, "splice"))?;
    writer.flush().map_err(broken)?;
    drop(writer);
    out.keep()?;
    let (objects, bytes, root) = (spliced.pack.entries.len(), spliced.length, spliced.root);
    if words.json {
        let value = json!({
            "objects": objects, "bytes": bytes, "root": root.to_string(), "parts": parts.len(),
            "tips": spliced.header.tips.len(), "prerequisites": spliced.header.prerequisites.len(),
        });
        return writeln!(env.stdout, "{value}").map_err(broken);
    }
    let (count, bytes) = (parts.len(), size(bytes));
    writeln!(
        env.stdout,
        "{root}: {objects} objects of {count} bundles in {bytes}"
    )
    .map_err(broken)
}

fn named(e: splice::Error, what: &str) -> Failure {
    match e {
        splice::Error::Io(e) => Failure::Broken(format!("{what}: {e}")),
        fault => refused(format!("{what}: {fault}")),
    }
}

/// The objects of a repository, where there is one.
struct Outside(Option<GitRepository>);

impl Bases for Outside {
    fn find(&self, oid: &ObjectId) -> io::Result<Option<Base>> {
        let Some(repository) = &self.0 else {
            return Ok(None);
        };
        match repository.read(oid) {
            Ok((kind, content)) => Ok(Some(Base::new(kind, content.to_vec(), 0))),
            Err(repository::Error::Missing(_)) => Ok(None),
            Err(e) => Err(io::Error::other(e)),
        }
    }
}
