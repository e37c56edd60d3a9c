//! Names of refs, and which of them a statement may carry.

mod pattern;

use std::fmt;
use std::str::FromStr;

use crate::limits;

pub use pattern::{Pattern, Published};

/// The name of a ref that may be published: `refs/…` in full, as bytes.
///
/// Whoever holds one knows that git takes the name, and that it is none of
/// those that belong to one repository alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Box<[u8]>);

impl RefName {
    /// Checks a name.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(name: &[u8]) -> Result<Self, Error> {
        match fault(name) {
            None => Ok(Self(name.into())),
            Some(fault) => Err(Error::Name(shown(name), fault)),
        }
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether it is a branch: `refs/heads/…`.
    pub fn is_branch(&self) -> bool {
        self.0.starts_with(b"refs/heads/")
    }

    /// Tells whether it is a tag: `refs/tags/…`.
    pub fn is_tag(&self) -> bool {
        self.0.starts_with(b"refs/tags/")
    }
}

/// Folders in `refs/` that belong to one repository alone: a stranger who could
/// write there would change what objects mean (`refs/replace`), what gt and git
/// keep for themselves, or what the person's own commands show.
const PRIVATE: [&[u8]; 7] = [
    b"replace",
    b"gt",
    b"stash",
    b"remotes",
    b"bisect",
    b"worktree",
    b"rewritten",
];

/// Says what is wrong with a name; the rules are those of
/// git-check-ref-format(1) and PROTOCOL.md section 6.
fn fault(name: &[u8]) -> Option<&'static str> {
    if name.len() > limits::REF_NAME {
        return Some("more than 255 bytes");
    }
    let Some(inside) = name.strip_prefix(b"refs/") else {
        return Some("outside of refs/");
    };
    let mut parts = inside.split(|b| *b == b'/');
    let folder = parts.next().unwrap_or_default();
    // On a file system that folds case `refs/Stash` is `refs/stash`.
    if PRIVATE.iter().any(|p| folder.eq_ignore_ascii_case(p)) {
        return Some("a folder that belongs to one repository alone");
    }
    // `refs/heads` itself as a ref would stand in the way of every branch.
    if folder.len() == inside.len() {
        return Some("directly in refs/");
    }
    if is_plain(inside) {
        return None;
    }
    for part in [folder].into_iter().chain(parts) {
        if part.is_empty() {
            return Some("an empty part");
        }
        if part.starts_with(b".") || part.ends_with(b".lock") {
            return Some("a part that begins with a dot or ends with .lock");
        }
    }
    let has = |two: &[u8; 2]| name.windows(2).any(|pair| pair == two);
    if name.ends_with(b".") || has(b"..") || has(b"@{") {
        return Some("a dot at the end, two dots, or @{");
    }
    name.iter()
        .any(|b| is_forbidden(*b))
        .then_some("a blank, a control character or one of ~^:?*[\\")
}

/// Tells whether a byte may stand in no name.
fn is_forbidden(byte: u8) -> bool {
    (byte <= b' ') | matches!(byte, 0x7f | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\')
}

/// Tells whether nothing can be wrong inside of a name: no empty part, and no
/// byte that may not stand somewhere. Nearly all of the thousands of names of a
/// statement are so; both looks are without a branch, for many bytes at once.
fn is_plain(inside: &[u8]) -> bool {
    let odd = inside.iter().fold(0, |odd, byte| {
        odd | u8::from(is_forbidden(*byte)) | u8::from(matches!(byte, b'.' | b'{'))
    });
    let pairs = inside.iter().zip(inside.iter().skip(1));
    let empty = pairs.fold(0, |empty, (one, two)| {
        empty | (u8::from(*one == b'/') & u8::from(*two == b'/'))
    });
    (odd | empty) == 0 && !inside.starts_with(b"/") && !inside.ends_with(b"/")
}

/// Checks that names stand in the order of their bytes, each once, and that
/// none is the folder of another.
///
/// # Errors
/// The first pair that breaks a rule.
pub fn check_set<'a>(names: impl IntoIterator<Item = &'a RefName>) -> Result<(), Error> {
    // The names that are a beginning of the present one, longest last: in
    // sorted order all names that begin with `a` follow on `a`.
    let mut open: Vec<&RefName> = Vec::new();
    let mut last: Option<&RefName> = None;
    for name in names {
        if let Some(last) = last.filter(|last| *last >= name) {
            return Err(Error::Order(last.to_string(), name.to_string()));
        }
        while open.last().is_some_and(|top| !name.0.starts_with(&top.0)) {
            open.pop();
        }
        if let Some(file) = open
            .iter()
            .find(|top| name.0.get(top.0.len()) == Some(&b'/'))
        {
            return Err(Error::Clash(file.to_string(), name.to_string()));
        }
        open.push(name);
        last = Some(name);
    }
    Ok(())
}

fn shown(name: &[u8]) -> String {
    name[..name.len().min(80)].escape_ascii().to_string()
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefName({})", self.0.escape_ascii())
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name.as_bytes())
    }
}

/// Why a name, or a set of names, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One name.
    #[error("expected a ref that may be published, got {1}: \"{0}\"")]
    Name(String, &'static str),
    /// Twice the same, or not in the order of bytes.
    #[error("expected refs in the order of their bytes, each once, got {1} after {0}")]
    Order(String, String),
    /// One is the folder of the other.
    #[error("expected refs that can stand side by side, got {0} and {1}")]
    Clash(String, String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> Result<(), Error> {
        let names: Vec<RefName> = names.iter().map(|n| n.parse().unwrap()).collect();
        check_set(&names)
    }

    #[test]
    fn replace_stash_gt_refs_refused() {
        for folder in PRIVATE {
            let folder = format!("refs/{}", std::str::from_utf8(folder).unwrap());
            for bad in [
                folder.clone(),
                format!("{folder}/x"),
                format!("{folder}/x/y"),
            ] {
                assert!(bad.parse::<RefName>().is_err(), "{bad}");
            }
            assert!(format!("{folder}x/y").parse::<RefName>().is_ok());
        }
        assert!("refs/Replace/x".parse::<RefName>().is_err());
        assert!("refs/GT/x".parse::<RefName>().is_err());
    }

    #[test]
    fn names_outside_refs_refused() {
        for bad in [
            "",
            "HEAD",
            "heads/x",
            "/refs/heads/x",
            "refs",
            "refs/",
            "refs/heads",
            "refs/x",
        ] {
            assert!(bad.parse::<RefName>().is_err(), "{bad}");
        }
    }

    /// git-check-ref-format(1), rule by rule, in every place of a name.
    #[test]
    fn what_git_refuses_is_refused_wherever_it_stands() {
        let mut bad: Vec<Vec<u8>> = ["..", "@{", "//", "/.", ".lock/"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
        bad.extend((0..=b' ').chain(*b"\x7f~^:?*[\\").map(|byte| vec![byte]));
        for at in 0..40 {
            for text in &bad {
                let name = [b"refs/heads/", &b"a".repeat(at)[..], text, b"aaaa"].concat();
                assert!(RefName::new(&name).is_err(), "{}", name.escape_ascii());
            }
            for end in [&b"/"[..], b".", b".lock", b"/.lock"] {
                let name = [b"refs/heads/", &b"a".repeat(at)[..], end].concat();
                assert!(RefName::new(&name).is_err(), "{}", name.escape_ascii());
            }
            for fine in ["@", "{", ".a", "a.lock.", "\u{e9}", "a@b{", "-"] {
                let name = [b"refs/heads/x", &b"a".repeat(at)[..], fine.as_bytes(), b"b"].concat();
                assert!(RefName::new(&name).is_ok(), "{}", name.escape_ascii());
            }
        }
    }

    #[test]
    fn names_of_256_bytes_refused() {
        let name = format!("refs/heads/{}", "a".repeat(244));
        assert!(name.parse::<RefName>().is_ok());
        assert!(format!("{name}a").parse::<RefName>().is_err());
    }

    #[test]
    fn dir_file_clash_moves_nothing() {
        assert!(set(&["refs/heads/a", "refs/heads/a-b", "refs/heads/b/c"]).is_ok());
        for clash in [
            &["refs/heads/a", "refs/heads/a/b"][..],
            &[
                "refs/heads/a",
                "refs/heads/a-b",
                "refs/heads/a-b.c",
                "refs/heads/a/b/c",
            ],
            &["refs/heads/a/b", "refs/heads/a/b/c/d"],
        ] {
            assert!(matches!(set(clash), Err(Error::Clash(..))), "{clash:?}");
        }
    }

    #[test]
    fn order_and_repetition() {
        assert!(matches!(
            set(&["refs/a/b", "refs/a/b"]),
            Err(Error::Order(..))
        ));
        assert!(matches!(
            set(&["refs/a/c", "refs/a/b"]),
            Err(Error::Order(..))
        ));
        assert!(set(&[]).is_ok());
    }
}
