//! Names of tree entries that a file system turns into git's own files.
//!
//! gt-vfs asks the same of whole paths that are written; here the answers
//! follow git to the letter, for names that no path may hold too.

/// A file that git reads out of a work tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Special {
    /// Without its dot, in lower case.
    name: &'static [u8],
    /// The first six letters of the short name that NTFS makes where those
    /// with the usual first six are taken.
    short: &'static [u8; 6],
}

pub(super) const MODULES: Special = Special {
    name: b"gitmodules",
    short: b"gi7eba",
};
pub(super) const ATTRIBUTES: Special = Special {
    name: b"gitattributes",
    short: b"gi7d29",
};
pub(super) const IGNORE: Special = Special {
    name: b"gitignore",
    short: b"gi250a",
};
pub(super) const MAILMAP: Special = Special {
    name: b"mailmap",
    short: b"maba30",
};

/// Tells whether a name is `.git`, or becomes it.
pub(super) fn is_dotgit(name: &[u8]) -> bool {
    is_hfs(name, b"git") || name.split(|b| *b == b'\\').any(is_ntfs_dotgit)
}

fn is_ntfs_dotgit(name: &[u8]) -> bool {
    let begins = |with: &[u8]| {
        name.get(..with.len())
            .filter(|head| head.eq_ignore_ascii_case(with))
            .map(|_| &name[with.len()..])
    };
    let Some(rest) = begins(b".git").or_else(|| begins(b"git~1")) else {
        return false;
    };
    match rest.iter().find(|b| !matches!(b, b'.' | b' ')) {
        None => true,
        Some(next) => matches!(next, b'\\' | b'/' | b':'),
    }
}

impl Special {
    /// Tells whether a name is this file, or becomes it.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        is_hfs(name, self.name) || self.is_ntfs(name)
    }

    /// Tells whether NTFS reads a name as this file.
    pub(super) fn is_ntfs(&self, name: &[u8]) -> bool {
        let long = name
            .strip_prefix(b".")
            .filter(|rest| starts(rest, self.name))
            .map(|rest| &rest[self.name.len()..]);
        let usual = || {
            let (head, rest) = name.split_at_checked(8)?;
            let is =
                starts(head, &self.name[..6]) && head[6] == b'~' && matches!(head[7], b'1'..=b'4');
            is.then_some(rest)
        };
        let hashed = || {
            let (head, rest) = name.split_at_checked(8)?;
            let tilde = head.iter().position(|b| *b == b'~')?;
            let digits = &head[tilde + 1..];
            let is = tilde <= 6
                && starts(&head[..tilde], &self.short[..tilde])
                && digits.first().is_some_and(|d| *d != b'0')
                && digits.iter().all(u8::is_ascii_digit);
            is.then_some(rest)
        };
        let rest = long.or_else(usual).or_else(hashed);
        rest.is_some_and(|rest| {
            let next = rest.iter().find(|b| !matches!(b, b'.' | b' '));
            next.is_none_or(|b| *b == b':')
        })
    }
}

fn starts(name: &[u8], with: &[u8]) -> bool {
    name.get(..with.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(with))
}

/// Tells whether HFS+ reads a name as `.` and `target`: code points that it
/// leaves out dropped, case folded, up to a slash or bytes that are no UTF-8.
fn is_hfs(name: &[u8], target: &[u8]) -> bool {
    // Nearly every name: nothing to drop, and another one.
    let first = name.first();
    if first != Some(&b'.') && first.is_none_or(u8::is_ascii) {
        return false;
    }
    let text = match std::str::from_utf8(name) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&name[..e.valid_up_to()]).unwrap_or_default(),
    };
    text.chars()
        .filter(|c| {
            !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
        })
        .take_while(|c| *c != '/')
        .map(|c| c.to_ascii_lowercase())
        .eq([b'.'].iter().chain(target).map(|b| char::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotgit() {
        for name in [
            &b".git"[..],
            b".GIT",
            b"git~1",
            b"GIT~1 .",
            b".git ",
            b".git...",
            b".git:x",
            b".git/x",
            b"a\\.git",
            b".git\xff",
            ".g\u{200c}it".as_bytes(),
            "\u{feff}.GiT".as_bytes(),
        ] {
            assert!(is_dotgit(name), "{name:?}");
        }
        for name in [
            &b"git"[..],
            b".gi",
            b".gitx",
            b"git~2",
            b"a.git",
            b".\xffgit",
            b".git x",
        ] {
            assert!(!is_dotgit(name), "{name:?}");
        }
    }

    #[test]
    fn modules() {
        for name in [
            &b".gitmodules"[..],
            b".GITMODULES",
            b".gitmodules ",
            b".gitmodules .:$DATA",
            b"GITMOD~1",
            b"gitmod~4",
            b"GI7EBA~1",
            b"GI7EB~10",
            b"G~100000",
            b"~1000000",
            ".gitmodules\u{200c}".as_bytes(),
        ] {
            assert!(MODULES.is(name), "{name:?}");
        }
        for name in [
            &b"gitmodules"[..],
            b".gitmodulesx",
            b"GITMOD~5",
            b"GI7EBA~0",
            b"GI7EBA1",
            b"GI7EB~1",
            b"GI7D29~1",
            b".gitignore",
        ] {
            assert!(!MODULES.is(name), "{name:?}");
        }
        assert!(ATTRIBUTES.is(b"gi7d29~1") && ATTRIBUTES.is(b"GITATT~2"));
        assert!(IGNORE.is(b"gi250a~1") && IGNORE.is(b"gitign~1"));
        assert!(MAILMAP.is(b"maba30~1") && MAILMAP.is(b"MAILMA~1"));
    }
}
