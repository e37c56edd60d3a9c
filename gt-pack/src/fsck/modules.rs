//! Checks the blobs that git reads: `.gitmodules` and `.gitattributes`.

use super::config::{self, Variable};
use super::id::Id;
use super::report::{Report, shown};
use super::url;

/// The largest `.gitattributes` that git reads, in bytes.
const ATTRIBUTES: u64 = 100 << 20;
/// The longest line of it, in bytes.
const LINE: usize = 2048;

/// Checks a `.gitmodules`; `None` for one that was too big to be held.
pub(super) fn modules(content: Option<&[u8]>, report: &mut Report<'_>) {
    let Some(content) = content else {
        report.note(Id::GitmodulesLarge, "");
        return;
    };
    let read = config::read(content, &mut |variable| submodule(variable, report));
    if let Err(line) = read {
        report.note(Id::GitmodulesParse, format!("line {line}"));
    }
}

fn submodule(variable: &Variable<'_>, report: &mut Report<'_>) {
    let Some(name) = variable.subsection else {
        return;
    };
    if variable.section != b"submodule" {
        return;
    }
    if is_bad_name(name) {
        report.note(Id::GitmodulesName, shown(name));
    }
    let Some(value) = variable.value else {
        return;
    };
    match variable.key {
        b"url" if url::is_bad(value) => report.note(Id::GitmodulesUrl, shown(value)),
        b"path" if value.starts_with(b"-") => report.note(Id::GitmodulesPath, shown(value)),
        b"update" if value.starts_with(b"!") => report.note(Id::GitmodulesUpdate, shown(value)),
        _ => {}
    }
}

/// A submodule's repository lies in a folder of its name.
fn is_bad_name(name: &[u8]) -> bool {
    name.is_empty()
        || name
            .split(|b| matches!(b, b'/' | b'\\'))
            .any(|part| part == b"..")
}

/// Checks a `.gitattributes`; `None` for one that was too big to be held.
pub(super) fn attributes(content: Option<&[u8]>, report: &mut Report<'_>) {
    let Some(content) = content.filter(|c| c.len() as u64 <= ATTRIBUTES) else {
        report.note(Id::GitattributesLarge, "");
        return;
    };
    // A NUL ends it, as it does for git.
    let text = content.split(|b| *b == 0).next().unwrap_or(content);
    if text.split(|b| *b == b'\n').any(|line| line.len() >= LINE) {
        report.note(Id::GitattributesLineLength, "");
    }
}
