//! The objects of a reel as `transfer.fsckObjects` looks at them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId};

use super::quarantine::Quarantine;
use super::{Broken, Error, Reason};
use crate::chain::{self, Pack, Selection};
use crate::fsck::{Fsck, Object, Policy};
use crate::git_program;

/// Returns git's own levels, as `fetch.fsck.*` of the repository's
/// configuration changes them.
pub(super) fn policy(common_dir: &Path) -> Result<Policy, Broken> {
    let mut policy = Policy::strict();
    let words = ["config", "--null", "--get-regexp", "^fetch[.]fsck[.]"];
    // Git says 1 where there is none.
    let listed = git_program::run(common_dir, words, b"")?.stdout;
    for line in String::from_utf8_lossy(&listed).split('\0') {
        let Some((name, value)) = line.split_once('\n') else {
            continue;
        };
        let id = name.rsplit('.').next().unwrap_or(name);
        if id.eq_ignore_ascii_case("skiplist") {
            policy.skip(&std::fs::read_to_string(common_dir.join(value))?)?;
        } else {
            policy.configure(id, value)?;
        }
    }
    Ok(policy)
}

/// Ends the check: `.gitmodules` and `.gitattributes` are read out of the
/// completed pack, or the reels before it.
pub(super) fn judge(
    fsck: Fsck,
    quarantine: &Quarantine,
    name: &str,
    format: ObjectFormat,
    earlier: &Selection,
) -> Result<(), Error> {
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
    match findings.iter().find(|finding| finding.level.refuses()) {
        Some(first) => Err(Error::Reject(Reason::Fsck {
            first: first.to_string(),
            count,
        })),
        None => Ok(()),
    }
}
