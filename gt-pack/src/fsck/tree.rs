//! Checks a tree: modes, names, order.

use std::collections::BTreeSet;

use crate::tree::Entry;
use crate::{ObjectFormat, ObjectId};

use super::id::Id;
use super::names::{self, ATTRIBUTES, IGNORE, MAILMAP, MODULES};
use super::report::{Report, shown};

/// Blobs that trees name as files that git reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) modules: BTreeSet<ObjectId>,
    pub(super) attributes: BTreeSet<ObjectId>,
}

impl Named {
    pub(super) fn is_empty(&self) -> bool {
        self.modules.is_empty() && self.attributes.is_empty()
    }
}

const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
const COMMIT: u32 = 0o160_000;
/// The bits of a mode that say what an entry is.
const FORMAT: u32 = 0o170_000;
/// The longest name that is taken without a word, in bytes.
const LONGEST: usize = 4096;

/// Checks a tree, and adds the special files that it names to `named`.
pub(super) fn tree(
    content: &[u8],
    format: ObjectFormat,
    named: &mut Named,
    report: &mut Report<'_>,
) {
    let mut rest = content;
    // A tree that does not end with a name and an id is not looked into.
    let width = format.raw_len();
    let ends = content.len().checked_sub(width + 1);
    if !content.is_empty() && ends.is_none_or(|at| at < 2 || content[at] != 0) {
        report.note(Id::BadTree, "");
        return;
    }
    let mut seen = Seen::default();
    let mut before: Option<Entry<'_>> = None;
    let mut files = Vec::new();
    let mut next = Entry::take(&mut rest, width);
    let mut is_broken = next.is_none() && !rest.is_empty();
    while let Some(entry) = next {
        // Git looks at the mode and the order of an entry when it has read
        // the next one; of a broken tree no more is said than git says.
        next = Entry::take(&mut rest, width);
        is_broken = next.is_none() && !rest.is_empty();
        if entry.may_be_disguised() {
            special(&entry, named, report);
        }
        seen.look(&entry);
        if !is_broken {
            seen.look_at_mode(&entry, report.policy.is_strict());
            match before.map(|before| order(&before, &entry, &mut files)) {
                None | Some(Order::Good) => {}
                Some(Order::Wrong) => {
                    seen.unsorted.get_or_insert(entry.name);
                }
                Some(Order::Twice) => {
                    seen.twice.get_or_insert(entry.name);
                }
            }
        }
        before = Some(entry);
    }
    if is_broken {
        report.note(Id::BadTree, "");
    }
    seen.tell(report);
}

/// What is said once of a tree, with the first name that gave cause.
#[derive(Default)]
struct Seen<'a> {
    null: Option<&'a [u8]>,
    full_path: Option<&'a [u8]>,
    dot: Option<&'a [u8]>,
    dotdot: Option<&'a [u8]>,
    dotgit: Option<&'a [u8]>,
    padded: Option<&'a [u8]>,
    mode: Option<&'a [u8]>,
    large: Option<&'a [u8]>,
    twice: Option<&'a [u8]>,
    unsorted: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    fn look(&mut self, entry: &Entry<'a>) {
        let name = entry.name;
        let mut mark = |slot: fn(&mut Self) -> &mut Option<&'a [u8]>, is: bool| {
            if is {
                slot(self).get_or_insert(name);
            }
        };
        mark(|s| &mut s.null, is_null(entry.oid));
        mark(|s| &mut s.full_path, entry.has_slash());
        mark(|s| &mut s.padded, entry.digits[0] == b'0');
        mark(|s| &mut s.large, name.len() > LONGEST);
        if entry.may_be_disguised() {
            mark(|s| &mut s.dot, name == b".");
            mark(|s| &mut s.dotdot, name == b"..");
            mark(|s| &mut s.dotgit, names::is_dotgit(name));
        }
    }

    fn look_at_mode(&mut self, entry: &Entry<'a>, strict: bool) {
        let usual = match kept(entry.mode) {
            0o100_755 | 0o100_644 | LINK | DIRECTORY | COMMIT => true,
            // Git wrote these in its first weeks.
            0o100_664 => !strict,
            _ => false,
        };
        if !usual {
            self.mode.get_or_insert(entry.name);
        }
    }

    fn tell(&self, report: &mut Report<'_>) {
        for (id, name) in [
            (Id::NullSha1, self.null),
            (Id::FullPathname, self.full_path),
            (Id::HasDot, self.dot),
            (Id::HasDotdot, self.dotdot),
            (Id::HasDotgit, self.dotgit),
            (Id::ZeroPaddedFilemode, self.padded),
            (Id::BadFilemode, self.mode),
            (Id::DuplicateEntries, self.twice),
            (Id::TreeNotSorted, self.unsorted),
            (Id::LargePathname, self.large),
        ] {
            if let Some(name) = name {
                report.note(id, shown(name));
            }
        }
    }
}

fn special(entry: &Entry<'_>, named: &mut Named, report: &mut Report<'_>) {
    let (name, is_link) = (entry.name, entry.mode & FORMAT == LINK);
    let Some(oid) = ObjectId::from_bytes(entry.oid) else {
        return;
    };
    // A backslash begins a name on Windows, and ends none.
    let mut inner = name.iter().enumerate().filter(|(_, b)| **b == b'\\');
    if MODULES.is(name) || inner.any(|(at, _)| MODULES.is_ntfs(&name[at + 1..])) {
        match is_link {
            true => report.note(Id::GitmodulesSymlink, shown(name)),
            false => drop(named.modules.insert(oid)),
        }
    }
    if ATTRIBUTES.is(name) {
        match is_link {
            true => report.note(Id::GitattributesSymlink, shown(name)),
            false => drop(named.attributes.insert(oid)),
        }
    }
    if is_link && IGNORE.is(name) {
        report.note(Id::GitignoreSymlink, shown(name));
    }
    if is_link && MAILMAP.is(name) {
        report.note(Id::MailmapSymlink, shown(name));
    }
}

/// The sixteen bits of a mode that git keeps.
fn kept(mode: u32) -> u32 {
    mode & 0xffff
}

fn is_null(oid: &[u8]) -> bool {
    // Nearly all ids end here.
    oid[0] == 0 && oid.iter().all(|b| *b == 0)
}

enum Order {
    Good,
    Wrong,
    Twice,
}

/// Compares two neighbours as git sorts them: a folder's name ends with a
/// slash. `files` holds files whose name a folder further on could have too,
/// since `a`, `a.b`, `a/` are in order.
fn order<'a>(one: &Entry<'a>, two: &Entry<'a>, files: &mut Vec<&'a [u8]>) -> Order {
    let end = |entry: &Entry<'_>, at: usize| match entry.name.get(at) {
        Some(byte) => *byte,
        None if entry.mode & FORMAT == DIRECTORY => b'/',
        None => 0,
    };
    let below_slash = |byte: u8| byte > 0 && byte < b'/';
    let length = one.name.len().min(two.name.len());
    match one.name[..length].cmp(&two.name[..length]) {
        std::cmp::Ordering::Less => return Order::Good,
        std::cmp::Ordering::Greater => return Order::Wrong,
        std::cmp::Ordering::Equal => {}
    }
    if one.name.len() == two.name.len() {
        return Order::Twice;
    }
    let (first, second) = (end(one, length), end(two, length));
    if first == 0 && below_slash(second) {
        files.push(one.name);
    } else if second == b'/' && below_slash(first) {
        while let Some(file) = files.pop() {
            match two.name.strip_prefix(file) {
                Some([]) => return Order::Twice,
                Some([next, ..]) if below_slash(*next) => {
                    files.push(file);
                    break;
                }
                _ => {}
            }
        }
    }
    if first < second {
        Order::Good
    } else {
        Order::Wrong
    }
}
