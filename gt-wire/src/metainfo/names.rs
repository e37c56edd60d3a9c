//! Names as strangers write them, made into names that a folder can hold.
//!
//! Torrents of all ages hold names that one system allows and another does
//! not. Other clients read them and rename what cannot stand; so does this
//! one, by fixed rules, and whatever comes out is a [`VPath`]: it cannot climb
//! out of its folder. Only what would become git's own folder is refused.

use std::collections::BTreeSet;

use gt_vfs::VPath;
use gt_vfs::vpath::{Error, MAX_COMPONENT};

use crate::geometry::File;

/// Returns a component that can stand, or `None` for one that means nothing.
///
/// `..` becomes two underscores, what separates or controls becomes one, and
/// so does the last of the dots and spaces at an end.
fn component(name: &[u8]) -> Option<Vec<u8>> {
    if name.is_empty() || name == b"." {
        return None;
    }
    if name == b".." {
        return Some(b"__".to_vec());
    }
    let steers = |b: &u8| b.is_ascii_control() || matches!(b, b'/' | b'\\');
    let mut name: Vec<u8> = name
        .iter()
        .map(|b| if steers(b) { b'_' } else { *b })
        .collect();
    if name.len() > MAX_COMPONENT {
        shorten(&mut name);
    }
    if let Some(last) = name.last_mut()
        && matches!(last, b'.' | b' ')
    {
        *last = b'_';
    }
    Some(name)
}

/// Cuts the middle out of a name, so that its extension stays.
fn shorten(name: &mut Vec<u8>) {
    let dot = name.iter().rposition(|b| *b == b'.');
    let tail = dot.map_or(0, |dot| name.len() - dot).min(16);
    let mut cut = MAX_COMPONENT - tail;
    // A character of UTF-8 is kept whole or dropped.
    while cut > 0 && name[cut] & 0xc0 == 0x80 {
        cut -= 1;
    }
    let from = name.len() - tail;
    name.drain(cut..from);
}

/// Returns the path of components as they came.
///
/// # Errors
/// Where nothing is left, the whole is too long, or a component would become
/// `.git`.
pub(super) fn path<'a>(components: impl IntoIterator<Item = &'a [u8]>) -> Result<VPath, Error> {
    let components: Vec<Vec<u8>> = components.into_iter().filter_map(component).collect();
    VPath::from_components(components.iter().map(Vec::as_slice))
}

/// Gives files of one path, or where another file has its folder, names of
/// their own: a number before the extension.
pub(super) fn settle(files: &mut [File]) {
    let mut folders = BTreeSet::new();
    for file in files.iter().filter(|f| !f.padding) {
        let path = file.path.as_bytes();
        let ends = (0..path.len()).filter(|n| path[*n] == b'/');
        folders.extend(ends.map(|n| path[..n].to_vec()));
    }
    let mut taken = BTreeSet::new();
    for file in files.iter_mut().filter(|f| !f.padding) {
        let mut number = 0_u32;
        let mut path = file.path.clone();
        while folders.contains(path.as_bytes()) || taken.contains(&path) {
            number += 1;
            path = numbered(&file.path, number);
        }
        taken.insert(path.clone());
        file.path = path;
    }
}

fn numbered(path: &VPath, number: u32) -> VPath {
    let name = path.name();
    let dot = name.iter().rposition(|b| *b == b'.').filter(|n| *n > 0);
    let (stem, tail) = name.split_at(dot.unwrap_or(name.len()));
    let mark = format!(".{number}");
    let room = MAX_COMPONENT.saturating_sub(mark.len() + tail.len());
    let stem = &stem[..stem.len().min(room)];
    let name = [stem, mark.as_bytes(), tail].concat();
    let mut components: Vec<&[u8]> = path.components().collect();
    components.pop();
    components.push(&name);
    VPath::from_components(components).unwrap_or_else(|_| path.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(components: &[&[u8]]) -> Option<String> {
        path(components.iter().copied()).ok().map(|p| p.to_string())
    }

    #[test]
    fn what_cannot_stand_is_renamed() {
        let cases: [(&[&[u8]], &str); 8] = [
            (&[b"", b"a"], "a"),
            (&[b".", b"a", b"."], "a"),
            (&[b"..", b"etc", b"passwd"], "__/etc/passwd"),
            (&[b"/etc/passwd"], "_etc_passwd"),
            (&[b"a\\b", b"c\0d\n"], "a_b/c_d_"),
            (&[b"Vol.", b"end "], "Vol_/end_"),
            (&[b"..."], ".._"),
            (&[b"..a"], "..a"),
        ];
        for (components, wanted) in cases {
            assert_eq!(named(components).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn what_means_nothing_or_git_is_refused() {
        let cases: [&[&[u8]]; 5] = [
            &[],
            &[b""],
            &[b".", b""],
            &[b".git", b"config"],
            &[b"git~1"],
        ];
        for components in cases {
            assert_eq!(named(components), None, "{components:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = [&"\u{e9}".repeat(200).into_bytes()[..], b".tar.gz"].concat();
        let path = named(&[&name]).unwrap();
        assert!(path.len() <= 255 && path.ends_with(".gz") && !path.contains('\u{fffd}'));
    }

    #[test]
    fn clashes_get_numbers() {
        let file = |name: &str| File::new(VPath::parse(name.as_bytes()).unwrap(), 1);
        let mut files = ["a.txt", "a.txt", "a.1.txt", "b", "b/c", "x", "x"].map(file);
        settle(&mut files);
        let names: Vec<String> = files.iter().map(|f| f.path.to_string()).collect();
        assert_eq!(
            names,
            ["a.txt", "a.1.txt", "a.1.1.txt", "b.1", "b/c", "x", "x.1"]
        );
    }

    proptest! {
        #[test]
        fn every_name_is_tamed_or_refused(
            names in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![any::<u8>(), proptest::sample::select(b"./\\ ~g\0".to_vec())], 0..300), 0..5)
        ) {
            if let Ok(path) = path(names.iter().map(Vec::as_slice)) {
                prop_assert!(VPath::parse(path.as_bytes()).is_ok());
            }
        }
    }
}
