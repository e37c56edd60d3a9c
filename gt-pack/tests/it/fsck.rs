//! What is wrong with objects, against what git says.

use std::collections::{BTreeMap, BTreeSet};

use gt_pack::fsck::{self, Fsck, Id, Level, Object, Policy};
use gt_pack::verify::{self, NoBases, Silent};
use gt_pack::{Kind, Limits, ObjectFormat, ObjectId, hash};

use crate::git::{Git, file};

const ZERO: &str = "0000000000000000000000000000000000000000";
const ONE: &str = "1111111111111111111111111111111111111111";

/// The ids that `git hash-object` names; it checks strictly and says the
/// first thing that is wrong with a commit or tag, and all of a tree.
fn git_says(git: &Git, kind: Kind, content: &[u8]) -> Vec<Id> {
    let out = git.try_with(["hash-object", "-t", kind.name(), "--stdin"], content);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let lines = said.lines();
    let ids = lines.filter_map(|l| l.strip_prefix("error: object fails fsck: "));
    let ids: Vec<Id> = ids
        .map(|l| {
            let name = l.split(':').next().unwrap();
            Id::from_name(name).unwrap_or_else(|| panic!("{said}"))
        })
        .collect();
    // Of tags git takes some that it says an error of.
    assert!(out.status.success() || !ids.is_empty(), "{said}");
    // There is no repository round the object to look for these in.
    let missing = [Id::GitmodulesMissing, Id::GitattributesMissing];
    ids.into_iter().filter(|id| !missing.contains(id)).collect()
}

fn ours(format: ObjectFormat, kind: Kind, content: &[u8]) -> Vec<Id> {
    let oid = hash::object_id(format, kind, content).unwrap();
    let found = fsck::object(&Policy::strict(), &oid, kind, content);
    found.iter().map(|f| f.id).collect()
}

fn same(git: &Git, kind: Kind, content: &[u8]) -> Vec<Id> {
    same_in(git, ObjectFormat::Sha1, kind, content)
}

fn same_in(git: &Git, format: ObjectFormat, kind: Kind, content: &[u8]) -> Vec<Id> {
    let (theirs, mut ours) = (git_says(git, kind, content), ours(format, kind, content));
    if kind != Kind::Tree {
        // Git stops here at whatever it says first, also a warning.
        ours.truncate(1);
    }
    assert_eq!(
        ours,
        theirs,
        "{kind} {:?}",
        String::from_utf8_lossy(content)
    );
    ours
}

const COMMIT: &str = "tree 1111111111111111111111111111111111111111\nparent 2222222222222222222222222222222222222222\nauthor A U Thor <a@example.org> 1700000000 +0100\ncommitter C O Mitter <c@example.org> 1700000000 -0230\n\nmessage\n";
const TAG: &str = "object 1111111111111111111111111111111111111111\ntype commit\ntag v1.0\ntagger A <a@example.org> 1700000000 +0000\n\nmessage\n";

#[test]
fn commits_as_git_finds_them() {
    let git = Git::bare();
    assert_eq!(same(&git, Kind::Commit, COMMIT.as_bytes()), []);
    let mut seen = BTreeSet::new();
    for (from, to) in [
        ("tree ", "tre "),
        ("tree 1", "tree x"),
        ("tree 1", "tree "),
        ("tree 1", "tree 11"),
        ("tree 11", "tree AB"),
        ("parent 2", "parent z"),
        ("parent 2", "parent 2 "),
        ("parent ", "author "),
        ("author A U Thor", "author <"),
        ("author ", "autor "),
        ("A U Thor ", "A U Thor"),
        ("A U Thor ", ""),
        ("A U Thor ", "A > Thor "),
        ("A U Thor <a@example.org>", "A U Thor a"),
        ("<a@example.org>", "<a@example.org"),
        ("<a@example.org>", "<a<b>"),
        ("> 1700000000", ">1700000000"),
        ("> 1700000000", "> \t 1700000000"),
        ("> 1700000000", "> x"),
        ("> 1700000000", "> 01700000000"),
        ("> 1700000000", "> 0"),
        ("> 1700000000", "> -1"),
        ("> 1700000000", "> 9223372036854775807"),
        ("> 1700000000", "> 9223372036854775808"),
        ("> 1700000000", "> 18446744073709551615"),
        ("> 1700000000", "> 99999999999999999999999"),
        (" +0100", ""),
        (" +0100", " 0100"),
        (" +0100", " +010"),
        (" +0100", " +01000"),
        (" +0100", " +0x00"),
        (" +0100\n", " +0100 \n"),
        ("committer ", "author A <a> 1 +0000\ncommitter "),
        ("committer ", "comitter "),
        ("committer C O Mitter <", "committer C O Mitter"),
        ("\n\nmessage", "\nextra header\n\nmessage"),
        ("message\n", ""),
        ("\n\nmessage\n", "\n"),
        ("\n\nmessage\n", ""),
        ("message", "mess\0age"),
        ("author A", "author\0A"),
        ("\nauthor", "\n\nauthor"),
    ] {
        let bytes = COMMIT.replacen(from, to, 1);
        assert_ne!(bytes, COMMIT, "{from:?}");
        seen.extend(same(&git, Kind::Commit, bytes.as_bytes()));
    }
    same(&git, Kind::Commit, b"");
    assert!(seen.len() >= 18, "{seen:?}");
}

#[test]
fn tags_as_git_finds_them() {
    let git = Git::bare();
    assert_eq!(same(&git, Kind::Tag, TAG.as_bytes()), []);
    let mut seen = BTreeSet::new();
    for (from, to) in [
        ("object ", "objekt "),
        ("object 1", "object g"),
        ("type ", "typ "),
        ("type commit", "type comit"),
        ("type commit\n", "type blob\n"),
        ("\ntag v1.0", "\nta v1.0"),
        ("tag v1.0", "tag v1..0"),
        ("tag v1.0", "tag "),
        ("tag v1.0", "tag a b"),
        ("tag v1.0", "tag x.lock"),
        ("tag v1.0", "tag -x"),
        ("tagger ", "taggr "),
        ("tagger A <a@example.org> 1700000000 +0000\n", ""),
        ("tagger A <", "tagger A<"),
        (" +0000\n", " +0000\nx y\n"),
        ("\n\nmessage\n", "\n"),
        ("message", "\0"),
    ] {
        let bytes = TAG.replacen(from, to, 1);
        assert_ne!(bytes, TAG, "{from:?}");
        seen.extend(same(&git, Kind::Tag, bytes.as_bytes()));
    }
    for cut in [
        "object 1111111111111111111111111111111111111111\n",
        "object 1111111111111111111111111111111111111111\ntype commit\n",
        "object 1111111111111111111111111111111111111111\ntype commit\ntag x\n",
    ] {
        seen.extend(same(&git, Kind::Tag, cut.as_bytes()));
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

fn tree(entries: &[(&str, &[u8], &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (mode, name, oid) in entries {
        out.extend_from_slice(mode.as_bytes());
        out.push(b' ');
        out.extend_from_slice(name);
        out.push(0);
        let oid: ObjectId = oid.parse().unwrap();
        out.extend_from_slice(oid.as_bytes());
    }
    out
}

#[test]
fn trees_as_git_finds_them() {
    let git = Git::bare();
    let mut seen = BTreeSet::new();
    let mut check = |bytes: &[u8]| seen.extend(same(&git, Kind::Tree, bytes));
    check(b"");
    let hfs = ".g\u{200c}it".as_bytes();
    let long = vec![b'a'; 4097];
    let names: [&[u8]; 50] = [
        b"a",
        b".",
        b"..",
        b".git",
        b".GIT",
        b"git~1",
        b"GIT~1 .",
        b".git ",
        b".git.",
        b".git:a",
        b".gitx",
        b"git~2",
        b"a\\.git",
        b"a\\b\\git~1",
        b".git\\x",
        b"a/b",
        b".git/a",
        hfs,
        b".git\xff",
        b".\xff",
        b"\xff.git",
        b"...",
        b"-",
        &long,
        &long[..4096],
        b".gitmodules",
        b".GitModules",
        b"gitmod~1",
        b"gitmod~5",
        b"gi7eba~1",
        b"GI7EB~12",
        b"a\\.gitmodules",
        b".gitattributes",
        b"gitatt~1",
        b"gi7d29~9",
        b".gitignore",
        b"gitign~1",
        b"gi250a~1",
        b".mailmap",
        b"mailma~2",
        b"maba30~1",
        b".gitmodules:x",
        b".gitmodules . ",
        ".gitm\u{feff}odules".as_bytes(),
        b".gitmodules\\",
        b".gitmodules\\x",
        b"a\\.gitmodules\\b",
        b"a\\b\\gitmod~1",
        b".gitattributes\\",
        ".g\u{200c}it\\x".as_bytes(),
    ];
    for name in names {
        for mode in ["100644", "120000", "40000", "160000"] {
            check(&tree(&[(mode, name, ONE)]));
        }
    }
    for mode in [
        "100664", "100755", "0100644", "040000", "100600", "0", "7", "1100644", "777777",
    ] {
        check(&tree(&[(mode, b"a", ONE)]));
    }
    check(&tree(&[("100644", b"a", ZERO)]));
    check(&tree(&[("100644", b"b", ONE), ("100644", b"a", ONE)]));
    check(&tree(&[("100644", b"a", ONE), ("100644", b"a", ONE)]));
    check(&tree(&[("100644", b"a", ONE), ("40000", b"a", ONE)]));
    check(&tree(&[("40000", b"a", ONE), ("100644", b"a.b", ONE)]));
    check(&tree(&[("40000", b"a", ONE), ("100644", b"a0", ONE)]));
    // Not neighbours, and one name all the same.
    let spread: [(&str, &[u8], &str); 5] = [
        ("100644", b"a", ONE),
        ("100644", b"a.b", ONE),
        ("100644", b"a.b.c", ONE),
        ("40000", b"a.b", ONE),
        ("40000", b"a", ONE),
    ];
    check(&tree(&spread));
    check(&tree(&[spread[0], spread[1], spread[4]]));
    check(&tree(&[spread[1], spread[2], spread[4]]));
    let whole = tree(&[("100644", b"a", ONE), ("40000", b"b", ONE)]);
    for cut in 1..whole.len() {
        check(&whole[..cut]);
    }
    for raw in [&b"x a\0"[..], b" a\0", b"100644a\0", b"100644 \0", b"8 a\0"] {
        check(&[raw, &[1; 20]].concat());
    }
    assert!(seen.len() >= 15, "{seen:?}");
}

#[test]
fn any_altered_object_as_git_finds_it() {
    altered(ObjectFormat::Sha1);
}

#[test]
fn any_altered_object_of_sha256_as_git_finds_it() {
    altered(ObjectFormat::Sha256);
}

fn altered(format: ObjectFormat) {
    let git = Git::empty();
    git.run(["init", "-q", "--bare", &format!("--object-format={format}")]);
    let longer = |text: &str| match format {
        ObjectFormat::Sha256 => text
            .replace(ONE, &"1".repeat(64))
            .replace(&"2".repeat(40), &"2".repeat(64)),
        _ => text.to_owned(),
    };
    let (commit, tag, one) = (longer(COMMIT), longer(TAG), longer(ONE));
    let mut state = 7_u32;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let plain = tree(&[
        ("100644", b"a", &one),
        ("40000", b"b.c", &one),
        ("120000", b"b0", &one),
    ]);
    let rounds: usize = std::env::var("GT_ROUNDS").map_or(150, |n| n.parse().unwrap());
    for n in 0..rounds {
        let (kind, mut bytes) = match n % 3 {
            0 => (Kind::Commit, commit.as_bytes().to_vec()),
            1 => (Kind::Tag, tag.as_bytes().to_vec()),
            _ => (Kind::Tree, plain.clone()),
        };
        for _ in 0..=draw(2) {
            let at = draw(bytes.len());
            let byte = b"\0\n <>09:-/.~gA"[draw(14)];
            match draw(3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        same_in(&git, format, kind, &bytes);
    }
}

/// What `git fsck --strict` says of blobs.
fn git_fsck(git: &Git) -> BTreeSet<(ObjectId, Id)> {
    let out = git.try_with(["fsck", "--strict", "--no-dangling", "--full"], b"");
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let found = said.lines().filter_map(|line| {
        let line = line
            .strip_prefix("error in ")
            .or(line.strip_prefix("warning in "))?;
        let (what, rest) = line.split_once(": ")?;
        let (_, oid) = what.split_once(' ')?;
        let id = Id::from_name(rest.split(':').next()?)?;
        Some((oid.parse().ok()?, id))
    });
    found.collect()
}

#[test]
fn gitmodules_as_git_finds_them() {
    let git = Git::bare();
    let mut blobs: Vec<String> = Vec::new();
    for url in [
        "https://example.org/x",
        "../x",
        "-x",
        "./%0a",
        "https://h/%0a",
        "../../:h",
        "../..//h",
        "https:///h",
        "https::h",
        "http://h:0/",
        "ssh://-x/",
        "git://h/%0a",
        "..\\\\x",
        "https://h/%zz",
        "https://h/../x",
        "ftp://a@b@c/",
        "",
        "https://[::1]:80/x",
        "https://[::1]x/",
        "HTTP://",
        "https://h/\\nx",
        "file:///-x",
        "https:/h",
        "http::https://h",
        "./:x",
        "../:x",
        "https://h?/../..",
        "https://%41/",
        "https://u%0a@h/",
        "1http://x",
        "https://h/a/../../b",
        "https://h:65536/",
        "http://[::1/",
        "http://]/",
        "http://:80/",
        "http://h:0080/",
        "http://h:00/",
        "http::file://:80/x",
        "http::file://:/x",
        "http::file://a b/",
        "http::file://h:80/",
        "http::file:///x",
    ] {
        blobs.push(format!(
            "[submodule \"a\"]\n\tpath = a\n\turl = \"{url}\"\n"
        ));
    }
    for name in [
        "..",
        "a/..",
        "../a",
        "a..b",
        "a\\\\..\\\\b",
        "",
        "...",
        "a/../b",
        "..a",
    ] {
        blobs.push(format!("[submodule \"{name}\"]\n\turl = x\n"));
    }
    for line in [
        "path = -x",
        "path = x-",
        "update = !x",
        "update = rebase",
        "update = \"!x\"",
        "update = nonsense",
        "url",
        "url = a ; -b",
        "url = \"-a\"",
        "url = \\\\-a",
        "x\ny",
        "1 = 2",
        "a_b = 1",
        "url = \"x",
        "url=-a",
        "URL = -a",
        "u-rl = -a",
        "path\t=\t-a",
    ] {
        blobs.push(format!("[submodule \"a\"]\n\t{line}\n"));
    }
    for text in [
        "[Submodule \"a\"]\nurl=-x\n",
        "[submodule.a]\nurl=-x\n",
        "[submodule.a \"b\"]\nurl=-x\n",
        "[sub \"a\"]\nurl=-x\n",
        "[submodule]\nurl=-x\n",
        "url=-x\n",
        "[submodule \"a\"] url=-x",
        "[submodule\"a\"]\nurl=-x",
        "[submodule \"a\" ]\nurl=-x",
        "[submodule \"a\"]\r\nurl=-x\r\n",
        "[submodule \"..\"]\nurl=-x\npath=-x\nupdate=!x\n[x",
        "garbage garbage",
        "",
        "\0",
        "[submodule \"a\nb\"]\nurl = x\n",
        "[submodule \"a\"]\nurl = x\\\n-y\n",
        "[submodule \"a\"]\nurl = -x\\",
        "[submodule \"a\"]\nurl = \"-x\\",
    ] {
        blobs.push(text.into());
    }
    let mut whole = BTreeMap::new();
    for text in &blobs {
        let blob = git.object("blob", text.as_bytes());
        let bytes = tree(&[("100644", b".gitmodules", &blob.to_string())]);
        let tree = git.object("tree", &bytes);
        whole.insert(tree, (Kind::Tree, bytes));
        whole.insert(blob, (Kind::Blob, text.clone().into_bytes()));
    }
    // Where a blob lies, and that it is one.
    let lines = |n: usize| format!("a\n{}\n", "b".repeat(n)).into_bytes();
    for content in [
        lines(2047),
        lines(2048),
        vec![b'c'; 3000],
        b"\0".repeat(3000),
    ] {
        let blob = git.object("blob", &content);
        let bytes = tree(&[("100644", b".gitattributes", &blob.to_string())]);
        whole.insert(git.object("tree", &bytes), (Kind::Tree, bytes));
        whole.insert(blob, (Kind::Blob, content));
    }
    let below = git.object("tree", b"");
    whole.insert(below, (Kind::Tree, Vec::new()));
    for name in [&b".gitmodules"[..], b".gitattributes"] {
        let bytes = tree(&[("40000", name, &below.to_string())]);
        whole.insert(git.object("tree", &bytes), (Kind::Tree, bytes));
    }
    let theirs = git_fsck(&git);
    let oids: Vec<ObjectId> = whole.keys().copied().collect();
    let pack = file(git.pack(&oids));
    let fsck = Fsck::new(Policy::strict());
    let (limits, format) = (Limits::default(), ObjectFormat::Sha1);
    let verified = verify::pack(&*pack, format, &limits, &NoBases, &fsck, &Silent).unwrap();
    let find = |oid: &ObjectId| {
        let (kind, content) = verified.object(&*pack, oid).unwrap().unwrap();
        assert_eq!(whole[oid], (kind, content.clone()));
        Ok(Object::Whole(kind, content))
    };
    let (found, refused) = fsck.finish(&find).unwrap();
    assert!(refused > 0);
    let text = |oid: &ObjectId| String::from_utf8_lossy(&whole[oid].1).into_owned();
    let ours: BTreeSet<_> = found.iter().map(|f| (f.oid, f.id)).collect();
    let apart: Vec<String> = ours
        .symmetric_difference(&theirs)
        .map(|(oid, id)| format!("{id} {} of {:?}", theirs.contains(&(*oid, *id)), text(oid)))
        .collect();
    assert!(apart.is_empty(), "said by git or not: {apart:#?}");
    let ids: BTreeSet<Id> = ours.iter().map(|(_, id)| *id).collect();
    assert!(ids.len() >= 8, "{ids:?}");
}

#[test]
fn levels_are_gits() {
    let git = Git::bare();
    // Git says `error in` or `warning in`, and lets both be configured.
    let oid = git.object(
        "tree",
        &tree(&[("100644", b".", ONE), ("100600", b"a", ONE)]),
    );
    let say = |args: &[&str]| {
        let out = git.try_with([args, &["fsck", "--no-dangling"]].concat(), b"");
        String::from_utf8(out.stderr).unwrap()
    };
    let plain = say(&[]);
    assert!(
        plain.contains("warning in tree") && !plain.contains("error in tree"),
        "{plain}"
    );
    let raised = say(&["-c", "fsck.badFilemode=error", "-c", "fsck.hasDot=ignore"]);
    assert!(
        raised.contains(": badFilemode") && !raised.contains(": hasDot"),
        "{raised}"
    );
    assert!(raised.contains("error in tree"), "{raised}");
    let content = tree(&[("100644", b".", ONE), ("100600", b"a", ONE)]);
    let levels = |policy: &Policy| -> Vec<(Id, Level)> {
        let found = fsck::object(policy, &oid, Kind::Tree, &content);
        found.iter().map(|f| (f.id, f.level)).collect()
    };
    let mut policy = Policy::lenient();
    assert_eq!(
        levels(&policy),
        [(Id::HasDot, Level::Warn), (Id::BadFilemode, Level::Info)]
    );
    policy.configure("badfilemode", "error").unwrap();
    policy.configure("hasdot", "ignore").unwrap();
    assert_eq!(levels(&policy), [(Id::BadFilemode, Level::Error)]);
    policy.skip(&oid.to_string()).unwrap();
    assert_eq!(levels(&policy), []);
}
