//! What an object names, read out of its bytes.

mod recent;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use gt_vfs::{ObjectFormat, ObjectId, disguise};

use self::recent::Recent;
use crate::kind::Kind;
use crate::tree::Entry;
use crate::verify::{Seen, Visitor};

/// Gathers what the objects of a pack name, while they are verified. Each
/// named object is kept once, so that memory follows the number of objects
/// and not of links.
pub(super) struct Links {
    format: ObjectFormat,
    shards: Vec<Mutex<HashMap<ObjectId, Named>>>,
    parents: Mutex<Vec<ObjectId>>,
    /// One for each thread that is at work, while it is.
    recent: Mutex<Vec<Recent>>,
}

/// An object that others name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// One that does: the smallest, so that the answer is the same each time.
    pub(super) from: ObjectId,
    /// What they take it for: a bit for each kind.
    as_kinds: u8,
}

impl Named {
    /// Tells whether all who name it take it for a `kind`.
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.as_kinds == bit(kind)
    }
}

fn bit(kind: Kind) -> u8 {
    1 << kind.pack_type()
}

const SHARDS: usize = 64;

impl Links {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            parents: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// Returns the named objects, and the parents of commits; both sorted,
    /// each once.
    pub(super) fn into_sorted(self) -> (Vec<(ObjectId, Named)>, Vec<ObjectId>) {
        let mut named: Vec<(ObjectId, Named)> = Vec::new();
        for shard in self.shards {
            named.extend(shard.into_inner().unwrap_or_else(|e| e.into_inner()));
        }
        named.sort_unstable_by_key(|(oid, _)| *oid);
        let mut parents = self.parents.into_inner().unwrap_or_else(|e| e.into_inner());
        parents.sort_unstable();
        parents.dedup();
        (named, parents)
    }

    fn name(&self, from: &ObjectId, to: ObjectId, kind: Kind) {
        let shard = usize::from(to.as_bytes()[0]) % SHARDS;
        let mut shard = lock(&self.shards[shard]);
        let named = shard.entry(to).or_insert(Named {
            from: *from,
            as_kinds: 0,
        });
        named.from = named.from.min(*from);
        named.as_kinds |= bit(kind);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Visitor for Links {
    fn object(&self, seen: &Seen<'_>) -> Result<(), String> {
        let content = match (seen.kind, seen.content) {
            (Kind::Blob, _) => return Ok(()),
            (_, content) => content.unwrap_or_default(),
        };
        let from = seen.oid;
        let mut recent = lock(&self.recent).pop().unwrap_or_default();
        let read = each_link(self.format, seen.kind, content, |link| match link {
            Link::Parent(to) => {
                self.name(from, to, Kind::Commit);
                lock(&self.parents).push(to);
            }
            Link::To(kind, to) => {
                if !recent.knows(from, &to, bit(kind)) {
                    self.name(from, to, kind);
                }
            }
        });
        lock(&self.recent).push(recent);
        read.map_err(String::from)
    }
}

enum Link {
    Parent(ObjectId),
    To(Kind, ObjectId),
}

/// Shows each link of an object; the error says what of its form is wrong.
fn each_link(
    format: ObjectFormat,
    kind: Kind,
    content: &[u8],
    mut show: impl FnMut(Link),
) -> Result<(), &'static str> {
    match kind {
        Kind::Blob => Ok(()),
        Kind::Tree => tree(format, content, show),
        Kind::Commit => {
            let mut lines = content.split(|b| *b == b'\n');
            let tree = lines
                .next()
                .and_then(|line| oid_line(line, b"tree ", format));
            show(Link::To(
                Kind::Tree,
                tree.ok_or("expected a commit to begin with its tree")?,
            ));
            for line in lines {
                if line.starts_with(b"parent ") {
                    let parent = oid_line(line, b"parent ", format);
                    show(Link::Parent(
                        parent.ok_or("expected the name of a parent in full")?,
                    ));
                } else if line.starts_with(b"author ") {
                    return Ok(());
                } else {
                    break;
                }
            }
            Err("expected a commit to name its author after its parents")
        }
        Kind::Tag => {
            let mut lines = content.split(|b| *b == b'\n');
            let object = lines
                .next()
                .and_then(|line| oid_line(line, b"object ", format))
                .ok_or("expected a tag to begin with its object")?;
            let kind = lines
                .next()
                .and_then(|line| Kind::from_name(line.strip_prefix(b"type ")?))
                .ok_or("expected a tag to say what its object is")?;
            show(Link::To(kind, object));
            Ok(())
        }
    }
}

fn oid_line(line: &[u8], key: &[u8], format: ObjectFormat) -> Option<ObjectId> {
    let oid = ObjectId::from_hex(line.strip_prefix(key)?).ok()?;
    (oid.format() == format).then_some(oid)
}

fn tree(
    format: ObjectFormat,
    mut rest: &[u8],
    mut show: impl FnMut(Link),
) -> Result<(), &'static str> {
    while !rest.is_empty() {
        let entry = Entry::take(&mut rest, format.raw_len()).ok_or_else(|| fault(rest))?;
        if entry.digits.len() > DIGITS {
            return Err(MODE);
        }
        if entry.has_slash() || entry.may_be_disguised() {
            check_name(entry.name)?;
        }
        let kind = match entry.mode >> 12 {
            0o04 => Kind::Tree,
            0o10 | 0o12 => Kind::Blob,
            // A commit of another repository: no link.
            0o16 => continue,
            _ => return Err("expected the mode of a file, link, folder or submodule"),
        };
        let oid = ObjectId::from_bytes(entry.oid).ok_or(OID)?;
        show(Link::To(kind, oid));
    }
    Ok(())
}

/// The longest mode, with zeros in front.
const DIGITS: usize = 7;
const MODE: &str = "expected the mode of a tree entry in octal";
const OID: &str = "expected a tree entry to end with an object id";

/// Says why there is no entry at the beginning of these bytes.
fn fault(rest: &[u8]) -> &'static str {
    let cut = |rest: &[u8], at: u8| rest.iter().position(|b| *b == at);
    let Some(space) = cut(rest, b' ') else {
        return "expected a tree entry to begin with its mode";
    };
    if space == 0 || !rest[..space].iter().all(|b| matches!(b, b'0'..=b'7')) {
        return MODE;
    }
    match cut(&rest[space + 1..], 0) {
        None => "expected the name of a tree entry to end",
        Some(0) => "expected a name in a tree, got an empty one",
        Some(_) => OID,
    }
}

/// A tree of these names, checked out, would write where it must not.
fn check_name(name: &[u8]) -> Result<(), &'static str> {
    if name == b"." || name == b".." {
        Err("expected a name in a tree, got a step in the folder tree")
    } else if name.contains(&b'/') {
        Err("expected a name in a tree, got one with a separator")
    } else if disguise::is_dotgit(name) {
        Err("expected a name in a tree, got one that becomes .git")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(kind: Kind, content: &[u8]) -> Result<Vec<(bool, Kind, ObjectId)>, &'static str> {
        let mut links = Vec::new();
        each_link(ObjectFormat::Sha1, kind, content, |link| {
            links.push(match link {
                Link::Parent(oid) => (true, Kind::Commit, oid),
                Link::To(kind, oid) => (false, kind, oid),
            });
        })?;
        Ok(links)
    }

    fn oid(n: u8) -> ObjectId {
        ObjectId::Sha1([n; 20])
    }

    #[test]
    fn links_of_each_kind() {
        let commit = format!(
            "tree {}\nparent {}\nparent {}\nauthor A\ncommitter A\n\nparent x",
            oid(1),
            oid(2),
            oid(3)
        );
        assert_eq!(
            links(Kind::Commit, commit.as_bytes()).unwrap(),
            [
                (false, Kind::Tree, oid(1)),
                (true, Kind::Commit, oid(2)),
                (true, Kind::Commit, oid(3))
            ]
        );
        let tag = format!("object {}\ntype tree\ntag x\n", oid(4));
        assert_eq!(
            links(Kind::Tag, tag.as_bytes()).unwrap(),
            [(false, Kind::Tree, oid(4))]
        );
        let mut tree = Vec::new();
        for (mode, n) in [("40000", 5), ("100644", 6), ("120000", 7), ("160000", 8)] {
            tree.extend_from_slice(format!("{mode} n{n}\0").as_bytes());
            tree.extend_from_slice(oid(n).as_bytes());
        }
        assert_eq!(
            links(Kind::Tree, &tree).unwrap(),
            [
                (false, Kind::Tree, oid(5)),
                (false, Kind::Blob, oid(6)),
                (false, Kind::Blob, oid(7))
            ],
            "a submodule is no link"
        );
        assert!(links(Kind::Tree, &tree[..tree.len() - 1]).is_err());
    }

    #[test]
    fn bad_forms_are_refused() {
        for commit in ["", "tree x\n", "parent x\n"] {
            assert!(links(Kind::Commit, commit.as_bytes()).is_err());
        }
        let short = format!("tree {}\nparent 12\nauthor A\n", oid(1));
        assert!(links(Kind::Commit, short.as_bytes()).is_err());
        let anonymous = format!("tree {}\n\nauthor A", oid(1));
        assert!(links(Kind::Commit, anonymous.as_bytes()).is_err());
        for name in [".", "..", "", "a/b", ".GIT", "git~1", ".g\u{200c}it"] {
            let mut tree = format!("100644 {name}\0").into_bytes();
            tree.extend_from_slice(oid(1).as_bytes());
            assert!(links(Kind::Tree, &tree).is_err(), "{name:?}");
        }
        assert!(links(Kind::Tag, b"object 1\n").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for kind in Kind::ALL {
                let _ = links(kind, &bytes);
            }
        }
    }
}
