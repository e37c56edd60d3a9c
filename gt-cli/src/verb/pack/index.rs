//! `gt pack index`.

use std::io::Write as _;
use std::path::PathBuf;

use gt_pack::index::{write_idx_to, write_rev_to};
use gt_pack::verify::NoVisitor;
use serde_json::json;

use super::{Failure, broken, read, refused, told};
use crate::Env;
use crate::args::pack::Index;
use crate::files::{Ready, sync_folder};

/// Verifies a pack and writes its indexes.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(env: &mut Env, words: &Index) -> Result<(), Failure> {
    let idx = env.cwd.join(output(words)?);
    // A folder that is not there is a slip of the pen.
    if let Some(folder) = idx.parent().filter(|folder| !folder.is_dir()) {
        return Err(Failure::Broken(format!(
            "expected a folder, got none at {}",
            folder.display()
        )));
    }
    let outcome = read(env, &words.file, &words.reading, &NoVisitor);
    let (opened, verified) = told(env, &words.reading, outcome)?;
    if opened.bundle.is_some() {
        let why = "expected a pack, got a bundle, in which no index finds its pack";
        return told(env, &words.reading, Err(refused(why)));
    }
    let rev = idx.with_extension("rev");
    let write_rev = || Ready::new(&rev, |out| write_rev_to(&verified, out));
    let write_idx = || Ready::new(&idx, |out| write_idx_to(&verified, out));
    let is_alone = words.reading.threads.is_some_and(|n| usize::from(n) == 1);
    let (written_rev, written_idx) = if is_alone {
        (write_rev(), write_idx())
    } else {
        std::thread::scope(|scope| {
            let other = scope.spawn(write_rev);
            let written_idx = write_idx();
            let panicked = |cause| std::panic::resume_unwind(cause);
            (other.join().unwrap_or_else(panicked), written_idx)
        })
    };
    let (written_rev, written_idx) = (written_rev.map_err(broken)?, written_idx.map_err(broken)?);
    // An index that is there tells git that the rest is there too.
    let kept = written_rev.keep().and_then(|()| written_idx.keep());
    // A tenth of what the files cost that were waited for.
    kept.and_then(|()| sync_folder(&idx)).map_err(broken)?;
    if words.reading.json {
        let value = json!({
            "checksum": verified.checksum.to_string(),
            "objects": verified.entries.len(),
            "idx": idx.to_string_lossy(),
            "rev": rev.to_string_lossy(),
        });
        return writeln!(env.stdout, "{value}").map_err(broken);
    }
    writeln!(env.stdout, "{}", verified.checksum).map_err(broken)
}

/// Returns where the index goes: `-o`, or beside a file that ends in `.pack`.
fn output(words: &Index) -> Result<PathBuf, Failure> {
    if let Some(output) = &words.output {
        if output.extension().is_none_or(|e| e != "idx") {
            return Err(Failure::Broken(format!(
                "expected the name of an index to end in .idx, got {}",
                output.display()
            )));
        }
        return Ok(output.clone());
    }
    if words.file.extension().is_none_or(|e| e != "pack") {
        return Err(Failure::Broken(format!(
            "expected the name of a pack to end in .pack, or -o to say where the index goes, got {}",
            words.file.display()
        )));
    }
    Ok(words.file.with_extension("idx"))
}
