//! What lies in a folder and does not come into its torrent.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::{fs, io};

use gt_vfs::VPath;

/// Returns what of a folder is not among the `shared` files, each with the
/// reason: links and the like, and names that a torrent of ours does not hold.
/// Of a folder with such a name nothing below is told of.
pub(super) fn out(root: &Path, shared: &BTreeSet<VPath>) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    walk(root, b"", shared, &mut found)?;
    Ok(found)
}

fn walk(
    dir: &Path,
    prefix: &[u8],
    shared: &BTreeSet<VPath>,
    found: &mut Vec<(String, String)>,
) -> io::Result<()> {
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = [prefix, entry.file_name().as_bytes()].concat();
        let kind = entry.file_type()?;
        let why = match VPath::parse(&path) {
            Err(e) => e.to_string(),
            Ok(vpath) if shared.contains(&vpath) => continue,
            Ok(_) if kind.is_dir() => {
                let below = [&path[..], b"/"].concat();
                walk(&entry.path(), &below, shared, found)?;
                continue;
            }
            Ok(_) if kind.is_symlink() => "it is a symbolic link".to_owned(),
            Ok(_) if kind.is_file() => "it came after the others were listed".to_owned(),
            Ok(_) => "it is no plain file".to_owned(),
        };
        found.push((String::from_utf8_lossy(&path).into_owned(), why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_names_are_told_of_and_what_is_shared_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["sub", "sub/.git", "empty"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["file", "sub/file", "sub/.git/config", "two\nlines", "end."] {
            fs::write(at(name), b"x").unwrap();
        }
        symlink("file", at("sub/link")).unwrap();
        let shared = ["file", "sub/file"].map(|p| VPath::parse(p.as_bytes()).unwrap());
        let found = out(dir.path(), &BTreeSet::from(shared)).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["end.", "sub/.git", "sub/link", "two\nlines"]);
        assert_eq!(found[2].1, "it is a symbolic link");
    }
}
