//! Repositories that libgit2, as it is built here, does not open: the installed
//! git says where they lie and what their refs are.

use std::io;
use std::path::{Path, PathBuf};

use gt_vfs::ObjectFormat;

use super::{Error, Refs};
use crate::{git_program, refs};

/// Where a repository lies, and how it names its objects.
pub(super) struct Place {
    pub(super) git_dir: PathBuf,
    pub(super) common_dir: PathBuf,
    pub(super) format: ObjectFormat,
}

pub(super) fn open(path: &Path) -> Result<Place, Error> {
    let unreadable = |source: io::Error| Error::Open {
        path: path.to_path_buf(),
        source: source.into(),
    };
    let ask = |args: &[&str]| git_program::ask_at(path, args).map_err(unreadable);
    let words = [
        "rev-parse",
        "--path-format=absolute",
        "--git-dir",
        "--git-common-dir",
        "--is-shallow-repository",
        "--show-object-format",
    ];
    let output = ask(&words)?;
    if !output.status.success() {
        let complaint = git_program::complaint(&output);
        if complaint.contains("dubious ownership") {
            let path = path.to_path_buf();
            return Err(Error::ForeignOwner { path });
        }
        return Err(unreadable(io::Error::other(complaint)));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let [git_dir, common_dir, shallow, format] = text.lines().collect::<Vec<_>>()[..] else {
        let why = format!("expected four lines of git, got {text:?}");
        return Err(unreadable(io::Error::other(why)));
    };
    let incomplete = |lack| Error::Incomplete {
        path: path.to_path_buf(),
        lack,
    };
    if shallow == "true" {
        return Err(incomplete("a shallow clone"));
    }
    let promises = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$";
    let partial = ask(&["config", "--local", "--get-regexp", promises])?;
    let said = String::from_utf8_lossy(&partial.stdout);
    if said.lines().any(|line| !line.ends_with(" false")) {
        return Err(incomplete("a partial clone"));
    }
    Ok(Place {
        git_dir: git_dir.into(),
        common_dir: common_dir.into(),
        format: format.parse().map_err(|_| Error::Format {
            path: path.to_path_buf(),
            format: format.to_owned(),
        })?,
    })
}

pub(super) fn refs(git_dir: &Path) -> Result<Refs, Error> {
    let failed = |e: refs::Error| Error::Refs(e.into());
    Ok(Refs {
        list: refs::list(git_dir, &[b"refs/*"]).map_err(failed)?,
        head: refs::head(git_dir).map_err(failed)?,
    })
}
