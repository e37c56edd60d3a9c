//! Names that a file system turns into `.git`.
//!
//! HFS+ drops some code points and folds case; NTFS folds case, drops trailing
//! dots and spaces, reads what follows a colon as a stream, and has short
//! names. A file of such a name, written by somebody else, becomes a
//! repository's configuration or hooks. Git calls these checks
//! `core.protectHFS` and `core.protectNTFS`; here they are always on.

/// Tells whether one component of a path is `.git`, or becomes it on HFS+ or
/// NTFS.
pub fn is_dotgit(name: &[u8]) -> bool {
    hfs_folds_to(name, b".git") || is_ntfs_dotgit(name)
}

/// Tells whether HFS+ reads `name` as `target`, which must be lower-case ASCII.
///
/// Names that are not UTF-8 are compared by bytes, without regard to case.
pub fn hfs_folds_to(name: &[u8], target: &[u8]) -> bool {
    match std::str::from_utf8(name) {
        Ok(text) => text
            .chars()
            .filter(|c| !hfs_ignores(*c))
            .map(|c| c.to_ascii_lowercase())
            .eq(target.iter().map(|b| char::from(*b))),
        Err(_) => name.eq_ignore_ascii_case(target),
    }
}

/// The code points that HFS+ leaves out when it compares names (Apple TN1150).
fn hfs_ignores(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Tells whether NTFS reads `name` as `.git` or as its short name `git~1`.
pub fn is_ntfs_dotgit(name: &[u8]) -> bool {
    // A backslash separates there, so each part is a name of its own.
    name.split(|b| *b == b'\\').any(|part| {
        let part = part.split(|b| *b == b':').next().unwrap_or(part);
        let part = ntfs_trim(part);
        part.eq_ignore_ascii_case(b".git") || part.eq_ignore_ascii_case(b"git~1")
    })
}

/// Cuts the dots and spaces that NTFS does not store at the end of a name.
pub(crate) fn ntfs_trim(name: &[u8]) -> &[u8] {
    let keep = name
        .iter()
        .rposition(|b| *b != b'.' && *b != b' ')
        .map_or(0, |at| at + 1);
    &name[..keep]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises() {
        for name in [
            ".git",
            ".GIT",
            ".Git ",
            ".git...",
            "git~1",
            "GIT~1",
            ".g\u{200c}it",
            ".\u{feff}gIt",
            ".git::$INDEX_ALLOCATION",
            ".git\\config",
        ] {
            assert!(is_dotgit(name.as_bytes()), "{name:?}");
        }
        for name in [
            "git",
            ".gitignore",
            ".gi",
            "git~2",
            "a.git",
            ".git-x",
            "..git",
            "",
        ] {
            assert!(!is_dotgit(name.as_bytes()), "{name:?}");
        }
        assert!(!is_dotgit(b".g\xffit"));
    }
}
