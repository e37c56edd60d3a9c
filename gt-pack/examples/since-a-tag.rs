//! Writes a bundle of what has changed since a tag: everything that branches
//! and tags reach and the tag does not.
//!
//! `cargo run --example since-a-tag -- REPOSITORY TAG > changes.bundle`
//!
//! Whoever has the tag takes it in with `git fetch changes.bundle
//! 'refs/*:refs/*'`.

use std::error::Error;
use std::io::Write;
use std::process::Command;

use gt_pack::ObjectId;
use gt_pack::encode::{self, Moment, Options};
use gt_pack::published::{Known, Placed, Published, published_refs};
use gt_pack::repository::{GitRepository, Repository};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [path, tag] = &words[..] else {
        return Err("expected a repository and a tag".into());
    };
    let repository = GitRepository::open(path)?;

    // All that the receiver has. The encoder asks for objects, not for
    // commits: what the tag holds under another name is not sent again.
    let listed = Command::new("git")
        .args(["-C", path, "rev-list", "--objects", "--no-object-names"])
        .args(["--end-of-options", tag])
        .output()?;
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).into());
    }
    let mut held = Known::default();
    for line in String::from_utf8(listed.stdout)?.lines() {
        held.extend([Placed::whole(line.parse::<ObjectId>()?)]);
    }

    // Refs that lead to what the receiver has need not be named.
    let refs = repository.refs()?;
    let now: Vec<_> = published_refs(&refs.list, &[])
        .into_iter()
        .cloned()
        .collect();
    let mut before = now.clone();
    before.retain(|(_, id)| held.contains(id).unwrap_or(false));
    let moment = Moment::new(&now, &before, refs.head.as_deref());

    let mut out = std::io::stdout();
    match encode::reel(&repository, &held, &moment, &Options::default(), &mut out)? {
        Some(reel) => {
            let count = reel.objects.len();
            eprintln!("{count} objects in {} bytes", reel.length);
        }
        None => eprintln!("nothing has changed"),
    }
    Ok(out.flush()?)
}
