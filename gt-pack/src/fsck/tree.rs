//! Checks a tree: modes, names, order.

use std::collections::BTreeSet;

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

const DIRECTORY: u16 = 0o040_000;
const LINK: u16 = 0o120_000;
const COMMIT: u16 = 0o160_000;
/// The longest name that is taken without a word, in bytes.
const LONGEST: usize = 4096;

struct Entry<'a> {
    /// Sixteen bits, as git holds it.
    mode: u16,
    padded: bool,
    name: &'a [u8],
    oid: &'a [u8],
}

/// Takes the next entry; `None` where the bytes are none.
fn entry<'a>(rest: &mut &'a [u8], width: usize) -> Option<Entry<'a>> {
    let space = rest.iter().position(|b| *b == b' ')?;
    let digits = &rest[..space];
    if digits.is_empty() || !digits.iter().all(|d| matches!(d, b'0'..=b'7')) {
        return None;
    }
    let mode = digits
        .iter()
        .fold(0_u16, |mode, d| mode << 3 | u16::from(d - b'0'));
    let after = &rest[space + 1..];
    let end = after.iter().position(|b| *b == 0).filter(|end| *end > 0)?;
    let oid = after.get(end + 1..end + 1 + width)?;
    *rest = &after[end + 1 + width..];
    Some(Entry {
        mode,
        padded: digits[0] == b'0',
        name: &after[..end],
        oid,
    })
}

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
    while !rest.is_empty() {
        let Some(entry) = entry(&mut rest, width) else {
            report.note(Id::BadTree, "");
            break;
        };
        // Git looks at the mode and the order of an entry when it has read
        // the next one; of a broken tree no more is said than git says.
        let mut behind = rest;
        let goes_on = behind.is_empty() || self::entry(&mut behind, width).is_some();
        special(&entry, named, report);
        seen.look(&entry);
        if goes_on {
            seen.look_at_mode(&entry, report.policy.is_strict());
        }
        if let Some(before) = before.as_ref().filter(|_| goes_on) {
            match order(before, &entry, &mut files) {
                Order::Good => {}
                Order::Wrong => {
                    seen.unsorted.get_or_insert(entry.name);
                }
                Order::Twice => {
                    seen.twice.get_or_insert(entry.name);
                }
            }
        }
        before = Some(entry);
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
        mark(|s| &mut s.null, entry.oid.iter().all(|b| *b == 0));
        mark(|s| &mut s.full_path, name.contains(&b'/'));
        mark(|s| &mut s.dot, name == b".");
        mark(|s| &mut s.dotdot, name == b"..");
        mark(|s| &mut s.dotgit, names::is_dotgit(name));
        mark(|s| &mut s.padded, entry.padded);
        mark(|s| &mut s.large, name.len() > LONGEST);
    }

    fn look_at_mode(&mut self, entry: &Entry<'a>, strict: bool) {
        let usual = match entry.mode {
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
    let (name, is_link) = (entry.name, entry.mode & 0o170_000 == LINK);
    // All such names, and the short ones of NTFS, begin so or have a tilde.
    let looks = matches!(name.first(), Some(b'.' | 0x80..)) || name.contains(&b'~');
    if !looks && !name.contains(&b'\\') {
        return;
    }
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
        None if entry.mode & 0o170_000 == DIRECTORY => b'/',
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
