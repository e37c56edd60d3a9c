//! Faults that other readers of packs, indexes and objects were known for, by
//! their numbers where they have one.

use gt_pack::entry::{EntryHeader, EntryKind};
use gt_pack::fsck::{self, Fsck, Id, Object, Policy};
use gt_pack::hash::{FileHasher, object_id};
use gt_pack::index::{self, Index};
use gt_pack::verify::{self, NoBases, NoVisitor, Silent};
use gt_pack::{Kind, Limits, ObjectFormat, ObjectId};

use crate::bodies;
use crate::git::{Git, file};

const FORMAT: ObjectFormat = ObjectFormat::Sha1;

fn head(count: u32) -> Vec<u8> {
    [b"PACK\0\0\0\x02", &count.to_be_bytes()[..]].concat()
}

fn with_sum(pack: &[u8]) -> Vec<u8> {
    let mut sum = FileHasher::new(FORMAT);
    sum.update(pack);
    [pack, sum.finish().as_bytes()].concat()
}

fn refuse(name: &str, pack: &[u8]) {
    let bytes = with_sum(pack);
    bodies::pack(&bytes);
    let (source, limits) = (file(bytes), Limits::lifted());
    let refused = verify::pack(&*source, FORMAT, &limits, &NoBases, &NoVisitor, &Silent);
    assert!(refused.is_err(), "{name}");
}

/// An entry of twenty letters, the length of its header, and a small stream.
const BASE: [u8; 14] = [
    0xb4, 0x01, 0x78, 0x9c, 0x4b, 0x4c, 0xa4, 0x0c, 0x00, 0x00, 0x65, 0x44, 0x07, 0x4f,
];

/// libgit2, CVE-2018-10887 and CVE-2018-10888: a copy of which offset and
/// length wrap, and one that reads its fields from beyond the delta. Dulwich,
/// CVE-2015-0838: more bytes than the result was said to have.
#[test]
fn deltas_that_read_or_write_too_far() {
    for delta in [
        &b"\x14\x10\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x14\x10\xff",
        b"\x14\x10\xff\xff\xff",
        b"\x14\x01\x90\x14",
        b"\x14\x01\x90\x01\x90\x01",
        b"\x14\x01\x7faaaaaaaaaaaaaaaa",
        b"\x14\x00\x90\x14",
    ] {
        bodies::delta(&[&[20], &[b'a'; 20][..], delta].concat());
        let applied = gt_pack::delta::apply::apply(&[b'a'; 20], delta, 1 << 20);
        assert!(applied.is_err(), "{delta:?}");
    }
}

/// libgit2, CVE-2026-53585, and go-git, CVE-2023-49568: a delta promises a
/// result that nobody has the memory for. Nothing is taken before it is paid.
#[test]
fn results_that_are_only_promised() {
    let mut delta = b"\x14".to_vec();
    delta.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, b'x']);
    let applied = gt_pack::delta::apply::apply(&[b'a'; 20], &delta, u64::MAX);
    assert!(applied.is_err());
    let stored = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len() as u16;
        let adler = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (a + b) % 65521)
        });
        let mut out = vec![0x78, 0x01, 0x01];
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(&(adler.1 << 16 | adler.0).to_be_bytes());
        out
    };
    let mut entry = Vec::new();
    let kind = EntryKind::OfsDelta(BASE.len() as u64);
    let size = delta.len() as u64;
    EntryHeader { kind, size }.write(&mut entry);
    entry.extend_from_slice(&stored(&delta));
    refuse("a promised result", &[&head(2)[..], &BASE, &entry].concat());
}

/// git, CVE-2016-2315 and CVE-2016-2324: sizes that do not fit; go-git,
/// CVE-2023-49568 and CVE-2025-21614: promises that are allocated.
#[test]
fn sizes_and_counts_that_are_only_promised() {
    for size in [1 << 31, 1 << 32, 1 << 62, u64::MAX] {
        let mut header = Vec::new();
        let kind = EntryKind::Whole(Kind::Blob);
        EntryHeader { kind, size }.write(&mut header);
        refuse("a promise", &[&head(1)[..], &header, &BASE[2..]].concat());
    }
    for count in [2, 1 << 31, u32::MAX] {
        refuse("a promised count", &[&head(count)[..], &BASE].concat());
    }
}

/// JGit and dulwich: an offset of nothing leads to itself, for ever.
#[test]
fn deltas_on_themselves() {
    refuse(
        "itself",
        &[&head(1)[..], &[0x64, 0x00], &BASE[2..]].concat(),
    );
}

/// Go-git before 5.16.5 did not compare the sums at the end of packs and
/// indexes; git's t5313: offsets in an index that lead out of the pack.
#[test]
fn sums_that_are_not_those_of_the_bytes() {
    let git = Git::bare();
    let good = git.pack(&[git.object("blob", b"text\n")]);
    let limits = Limits::default();
    let judge = |bytes: &[u8]| {
        let source = file(bytes.to_vec());
        verify::pack(&*source, FORMAT, &limits, &NoBases, &NoVisitor, &Silent)
    };
    let verified = judge(&good).unwrap();
    for at in good.len() - 20..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert!(judge(&altered).is_err(), "byte {at} of the trailer");
    }
    let idx = index::write_idx(&verified);
    let length = good.len() as u64;
    let whole = |bytes: Vec<u8>| {
        let index = Index::open(file(bytes), FORMAT, length);
        index.and_then(|index| index.check_whole())
    };
    whole(idx.clone()).unwrap();
    for at in 0..idx.len() {
        let mut altered = idx.clone();
        altered[at] ^= 1;
        assert!(whole(altered.clone()).is_err(), "byte {at} of the index");
        bodies::idx(&altered);
    }
}

/// libgit2, CVE-2016-8568 and CVE-2016-8569: commits and tags that end before
/// their lines do; 0.28.3: a commit of very many parents.
#[test]
fn objects_that_end_too_early_or_never() {
    let commit = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n";
    let tag = b"object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype tree\ntag x\ntagger A <a@b> 1 +0000\n\nx\n";
    for (kind, whole) in [(Kind::Commit, &commit[..]), (Kind::Tag, tag)] {
        for end in 0..whole.len() {
            bodies::object(&whole[..end]);
            let oid = object_id(FORMAT, kind, &whole[..end]).unwrap();
            let found = fsck::object(&Policy::strict(), &oid, kind, &whole[..end]);
            let header = whole.windows(2).position(|w| w == b"\n\n").unwrap();
            assert!(end > header || !found.is_empty(), "{kind} cut at {end}");
        }
    }
    let parent = "parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n".repeat(100_000);
    let at = 46;
    let many = [&commit[..at], parent.as_bytes(), &commit[at..]].concat();
    let oid = object_id(FORMAT, Kind::Commit, &many).unwrap();
    assert_eq!(
        fsck::object(&Policy::strict(), &oid, Kind::Commit, &many),
        []
    );
}

fn tree(entries: &[(&str, &str, ObjectId)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (mode, name, oid) in entries {
        out.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        out.extend_from_slice(oid.as_bytes());
    }
    out
}

/// Git, CVE-2014-9390, CVE-2019-1352, CVE-2019-1353, and libgit2,
/// CVE-2020-12278, CVE-2020-12279: names that become `.git`. Git,
/// CVE-2018-11233, CVE-2019-1354: steps and backslashes.
#[test]
fn names_that_become_another() {
    let oid = ObjectId::Sha1([1; 20]);
    for (name, id) in [
        (".GIT", Id::HasDotgit),
        (".g\u{200c}it", Id::HasDotgit),
        ("git~1", Id::HasDotgit),
        (".git::$INDEX_ALLOCATION", Id::HasDotgit),
        (".git . ", Id::HasDotgit),
        ("a\\.git\\hooks", Id::HasDotgit),
        ("..\\.git", Id::HasDotgit),
        ("..", Id::HasDotdot),
        (".", Id::HasDot),
        ("a/b", Id::FullPathname),
    ] {
        let bytes = tree(&[("100644", name, oid)]);
        let tree = object_id(FORMAT, Kind::Tree, &bytes).unwrap();
        let found = fsck::object(&Policy::strict(), &tree, Kind::Tree, &bytes);
        let found = found.iter().find(|finding| finding.id == id);
        assert!(found.is_some_and(|f| f.level.refuses()), "{name}");
    }
    // A link in its place is read by git as what it leads to.
    for name in [".gitmodules", ".GITMODULES", "gitmod~1", "gi7eba~1"] {
        let bytes = tree(&[("120000", name, oid)]);
        let tree = object_id(FORMAT, Kind::Tree, &bytes).unwrap();
        let found = fsck::object(&Policy::strict(), &tree, Kind::Tree, &bytes);
        assert!(
            found.iter().any(|f| f.id == Id::GitmodulesSymlink),
            "{name}"
        );
    }
}

/// Git, CVE-2018-11235 (names), CVE-2018-17456 (options),
/// CVE-2019-19604 (commands), CVE-2020-5260 and CVE-2020-11008 (credentials
/// for another host), CVE-2022-23521 (attributes without end).
#[test]
fn blobs_that_git_obeys() {
    let section =
        |name: &str, line: &str| format!("[submodule \"{name}\"]\n\t{line}\n").into_bytes();
    let cases = [
        (
            ".gitmodules",
            section("../../x", "url = ./x"),
            Id::GitmodulesName,
        ),
        (
            ".gitmodules",
            section("a\\\\..\\\\b", "url = ./x"),
            Id::GitmodulesName,
        ),
        (
            ".gitmodules",
            section("x", "url = -u./x"),
            Id::GitmodulesUrl,
        ),
        (".gitmodules", section("x", "path = -c"), Id::GitmodulesPath),
        (
            ".gitmodules",
            section("x", "update = !touch x"),
            Id::GitmodulesUpdate,
        ),
        (
            ".gitmodules",
            section("x", "url = https://a%0ahost=b/"),
            Id::GitmodulesUrl,
        ),
        (
            ".gitmodules",
            section("x", "url = http:///x"),
            Id::GitmodulesUrl,
        ),
        (
            ".gitmodules",
            section("x", "url = https::x"),
            Id::GitmodulesUrl,
        ),
        (
            ".gitattributes",
            b"a ".repeat(2000),
            Id::GitattributesLineLength,
        ),
    ];
    for (name, content, id) in cases {
        let git = Git::bare();
        let blob = git.object("blob", &content);
        let tree = git.object("tree", &tree(&[("100644", name, blob)]));
        let pack = file(git.pack(&[blob, tree]));
        let fsck = Fsck::new(Policy::strict());
        let limits = Limits::default();
        let verified = verify::pack(&*pack, FORMAT, &limits, &NoBases, &fsck, &Silent).unwrap();
        let find = |oid: &ObjectId| {
            let (kind, content) = verified.object(&*pack, oid).unwrap().unwrap();
            Ok(Object::Whole(kind, content))
        };
        let (found, refused) = fsck.finish(&find).unwrap();
        let shown = String::from_utf8_lossy(&content[..content.len().min(60)]);
        assert!(found.iter().any(|f| f.id == id), "{shown}: {found:?}");
        assert!(refused > 0, "{shown}");
    }
}

/// Git, CVE-2017-15298: ten trees of ten entries each, and ten thousand
/// million paths. Whoever walks paths never ends.
#[cfg(feature = "git")]
#[test]
fn a_bomb_of_trees_is_as_small_as_its_objects() {
    use gt_pack::encode::{self, Moment, Options};
    use gt_pack::published::Nothing;
    use gt_pack::repository::GitRepository;

    use crate::reel::Made;

    let git = Git::bare();
    let mut oid = git.object("blob", b"x\n");
    let mut mode = "100644";
    for _ in 0..10 {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let entries: Vec<_> = names.iter().map(|name| (mode, *name, oid)).collect();
        oid = git.object("tree", &tree(&entries));
        mode = "40000";
    }
    let text = format!("tree {oid}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n");
    let commit = git.object("commit", text.as_bytes());
    let tips = vec![(b"refs/heads/main".to_vec(), commit)];
    let repository = GitRepository::open(git.path()).unwrap();
    let moment = Moment::new(&tips, &[], Some(b"refs/heads/main"));
    let mut bytes = Vec::new();
    let options = Options::default();
    let reel = encode::reel(&repository, &Nothing, &moment, &options, &mut bytes);
    assert_eq!(reel.unwrap().unwrap().objects.len(), 12);
    let made = Made::of(0, bytes, tips.into_iter().collect());
    assert_eq!(made.import(&Git::bare(), &[]).unwrap().objects, 12);
}
