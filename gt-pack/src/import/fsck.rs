//! The objects of a reel as `transfer.fsckObjects` looks at them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId};

use super::quarantine::Quarantine;
use super::{Broken, Error, Reason};
use crate::chain::{self, Pack, Selection};
use crate::fsck::{self, Finding, Fsck, Id, Object, Policy};
use crate::git_program;

/// Returns git's own levels, as `fetch.fsck.*` of the repository's
/// configuration changes them; `None` where `fetch.fsckObjects`, or
/// `transfer.fsckObjects` in its place, says no. Git checks nothing where
/// neither is set: there the sender is somebody whom the person chose.
pub(super) fn policy(common_dir: &Path) -> Result<Option<Policy>, Broken> {
    let mut policy = Policy::strict();
    let (mut fetch, mut transfer) = (None, None);
    let names = "^(fetch|transfer)[.]fsckobjects$|^fetch[.]fsck[.]";
    for (name, value) in git_program::configured(common_dir, names)? {
        match &name[..] {
            "fetch.fsckobjects" => fetch = Some(says_yes(&value)),
            "transfer.fsckobjects" => transfer = Some(says_yes(&value)),
            "fetch.fsck.skiplist" => {
                let path = path(common_dir, &value)?;
                let list = std::fs::read_to_string(&path).map_err(|e| {
                    io::Error::new(
                        e.kind(),
                        format!("fetch.fsck.skipList {}: {e}", path.display()),
                    )
                })?;
                policy.skip(&list)?;
            }
            _ => {
                let id = name.rsplit('.').next().unwrap_or(&name);
                match policy.configure(id, &value) {
                    // Another version of git knows it; git goes on as well.
                    Ok(()) | Err(fsck::Error::Unknown(_)) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
    }
    Ok(fetch.or(transfer).unwrap_or(true).then_some(policy))
}

/// Reads a truth value as git does.
fn says_yes(value: &str) -> bool {
    let no = ["false", "no", "off", "0", ""];
    !no.iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// Reads a path of git's configuration: `~` is somebody's home.
fn path(common_dir: &Path, value: &str) -> Result<PathBuf, Broken> {
    let words = ["config", "--type=path", "--get", "fetch.fsck.skipList"];
    let value = match value.starts_with('~') {
        true => String::from_utf8_lossy(&git_program::ask(common_dir, words)?).into_owned(),
        false => value.to_owned(),
    };
    Ok(common_dir.join(value.trim_end_matches('\n')))
}

/// Ends the check: `.gitmodules` and `.gitattributes` are read out of the
/// completed pack, or the reels before it. Returns what only the configuration
/// let pass.
pub(super) fn judge(
    fsck: Fsck,
    quarantine: &Quarantine,
    name: &str,
    format: ObjectFormat,
    earlier: &Selection,
) -> Result<Vec<Id>, Error> {
    let find = |oid: &ObjectId| {
        let packs = Pack::open(quarantine.path(), name, format)?;
        let pack = packs.map(|pack| (name.to_owned(), Arc::new(pack)));
        let own = Selection::whole(format, &BTreeMap::from_iter(pack));
        let found = match own.read(oid)? {
            Some(found) => Some(found),
            None => earlier.read(oid)?,
        };
        Ok::<_, chain::Error>(match found {
            Some((kind, content)) => Object::Whole(kind, content),
            None => Object::Missing,
        })
    };
    let found = fsck.finish(&|oid| find(oid).map_err(io::Error::from));
    let (findings, count) = found.map_err(Broken::from)?;
    let refuses = |finding: &&Finding| finding.level.refuses();
    let Some(first) = findings.iter().find(refuses) else {
        let strict = Policy::strict();
        let relaxed = findings.iter().map(|finding| finding.id);
        let relaxed: BTreeSet<Id> = relaxed.filter(|id| strict.level(*id).refuses()).collect();
        return Ok(relaxed.into_iter().collect());
    };
    let ids: BTreeSet<Id> = findings.iter().filter(refuses).map(|f| f.id).collect();
    Err(Error::Reject(Reason::Fsck {
        first: first.to_string(),
        count,
        ids: ids.into_iter().collect(),
    }))
}
