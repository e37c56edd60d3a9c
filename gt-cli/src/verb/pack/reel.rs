//! `gt pack reel`.

use std::io::Write;

use gt_pack::ObjectId;
use gt_pack::encode::{self, Moment, Options, Reel};
use gt_pack::published::{Known, Placed, Published as _, published_refs};
use gt_pack::repository::{GitRepository, Repository as _};
use serde_json::json;

use super::out::Out;
use super::{Failure, Shown, broken, refused, told_if};
use crate::Env;
use crate::args::pack::Reel as Words;
use crate::git::Git;
use crate::meter::size;
use crate::verb::git_at;

/// Makes the reel that leads from some revisions to the branches and tags of a
/// repository as they are.
///
/// # Errors
/// [`Failure::Refused`] where there is nothing that the revisions do not hold,
/// and what stands in the way.
pub(super) fn run(env: &mut Env, words: &Words) -> Result<(), Failure> {
    let outcome = make(env, words);
    let reel = told_if(env, words.json, outcome)?;
    tell(env, words, &reel)
}

fn make(env: &mut Env, words: &Words) -> Result<Reel, Failure> {
    if let Some(name) = words
        .recipe
        .as_deref()
        .filter(|name| *name != encode::RECIPE)
    {
        let known = encode::RECIPE;
        return Err(Failure::Broken(format!(
            "expected the recipe {known}, got {name:?}"
        )));
    }
    let depth = words.depth.filter(|depth| *depth != encode::MAX_DEPTH);
    if let (Some(name), Some(depth)) = (&words.recipe, depth) {
        let most = encode::MAX_DEPTH;
        return Err(Failure::Broken(format!(
            "expected the depth {most} of the recipe {name}, got {depth}"
        )));
    }
    let git = git_at(env, words.repository.as_deref());
    let common_dir = git.common_dir().map_err(broken)?;
    let repository = GitRepository::open(&common_dir).map_err(refused)?;
    let refs = repository.refs().map_err(refused)?;
    let published = held(&git, &words.since)?;
    let now: Vec<_> = published_refs(&refs.list, &[])
        .into_iter()
        .cloned()
        .collect();
    // What the revisions hold needs no name.
    let mut before = Vec::new();
    for tip in &now {
        if published.contains(&tip.1).map_err(broken)? {
            before.push(tip.clone());
        }
    }
    let moment = Moment::new(&now, &before, refs.head.as_deref());
    let mut options = Options::default();
    options.depth = words.depth.unwrap_or(options.depth);
    let mut out = match &words.output {
        Some(path) => Some(Out::beside(&env.cwd.join(path))?),
        None => None,
    };
    let shown = Shown::new(env);
    let show = |progress| shown.encoding(progress);
    options.progress = Some(&show);
    let mut nowhere = std::io::sink();
    let into: &mut (dyn Write + Send) = match &mut out {
        Some(out) => out,
        None => &mut nowhere,
    };
    let reel = encode::reel(&repository, &published, &moment, &options, into);
    shown.end(env);
    let reel = reel.map_err(|e| match e {
        encode::Error::Write(e) => broken(e),
        other => refused(other),
    })?;
    let Some(reel) = reel else {
        return Err(Failure::Refused(
            "expected objects that are new, got none".into(),
        ));
    };
    if let Some(out) = out {
        out.keep()?;
    }
    Ok(reel)
}

/// Returns all that the revisions reach. How deep their objects lie in another
/// chain is not known here, and counted as not at all.
fn held(git: &Git, since: &[String]) -> Result<Known, Failure> {
    if since.is_empty() {
        return Ok(Known::default());
    }
    // A name that means nothing is a slip of the pen.
    for name in since {
        let object = format!("{name}^{{object}}");
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        git.ask(words.into_iter().chain([object.as_str()]))
            .map_err(|_| Failure::Broken(format!("expected a revision, got {name:?}")))?;
    }
    let mut words = vec![
        "rev-list",
        "--objects",
        "--no-object-names",
        "--end-of-options",
    ];
    words.extend(since.iter().map(String::as_str));
    words.push("--");
    let listed = git.ask(words).map_err(refused)?;
    let id = |line: &str| line.parse::<ObjectId>().map(Placed::whole);
    listed
        .lines()
        .map(id)
        .collect::<Result<_, _>>()
        .map_err(broken)
}

fn tell(env: &mut Env, words: &Words, reel: &Reel) -> Result<(), Failure> {
    let recipe = reel.recipe;
    if words.json {
        let value = json!({
            "objects": reel.objects.len(), "bytes": reel.length, "deltas": reel.deltas,
            "deepest": reel.deepest, "root": reel.root.to_string(), "recipe": recipe,
        });
        return writeln!(env.stdout, "{value}").map_err(broken);
    }
    writeln!(
        env.stdout,
        "{}: {} objects in {}, {} of them deltas, the deepest of {}; recipe {}",
        reel.root,
        reel.objects.len(),
        size(reel.length),
        reel.deltas,
        reel.deepest,
        recipe.unwrap_or("none"),
    )
    .map_err(broken)
}
