//! Reels that break a rule, one rule each.

use gt_pack::ObjectId;
use gt_pack::import::Reason;
use gt_pack::verify;

use crate::git::{Git, text};
use crate::import::{objects, reason};
use crate::reel::{Made, published, sorted};

#[test]
fn smuggled_blob_rejected() {
    let git = Git::init();
    let tip = git.commit(&[("a", "1")]);
    let blob = git.object("blob", b"smuggled");
    let pack = git.pack(&[tip, git.oid("main^{tree}"), git.oid("main:a"), blob]);
    let made = Made::new(0, &[], &[("refs/heads/main", tip)], &pack);
    let target = Git::bare();
    let before = objects(&target);
    match reason(made.import(&target, &[])) {
        Reason::Unnamed(oid) => assert_eq!(oid, blob),
        other => panic!("{other}"),
    }
    assert_eq!(objects(&target), before, "nothing came in");
}

#[test]
fn missing_tip_rejected() {
    let git = Git::init();
    let tip = git.commit(&[("a", "1")]);
    let pack = git.thin_pack(&["main"]);
    let nowhere = ObjectId::Sha1([9; 20]);
    let tips = [("refs/heads/main", tip), ("refs/heads/x", nowhere)];
    let target = Git::bare();
    match reason(Made::new(0, &[], &tips, &pack).import(&target, &[])) {
        Reason::MissingTip(oid) => assert_eq!(oid, nowhere),
        other => panic!("{other}"),
    }
    // Held by the repository, and still in no reel.
    let held = target.object("blob", b"held");
    let tips = [("refs/heads/main", tip), ("refs/heads/x", held)];
    match reason(Made::new(0, &[], &tips, &pack).import(&target, &[])) {
        Reason::MissingTip(oid) => assert_eq!(oid, held),
        other => panic!("{other}"),
    }
}

#[test]
fn missing_object_rejected() {
    let git = Git::init();
    let tip = git.commit(&[("a", "1"), ("b", "2")]);
    let blob = git.oid("main:b");
    let pack = git.pack(&[tip, git.oid("main^{tree}"), git.oid("main:a")]);
    let made = Made::new(0, &[], &[("refs/heads/main", tip)], &pack);
    let target = Git::bare();
    target.object("blob", b"2");
    match reason(made.import(&target, &[])) {
        Reason::MissingLink { to, .. } => assert_eq!(to, blob),
        other => panic!("{other}"),
    }
}

#[test]
fn base_outside_chain_rejected_same_whether_held_or_not() {
    let git = Git::init();
    let first = git.commit(&[("a", "1")]);
    let zero = Made::new(
        0,
        &[],
        &[("refs/heads/main", first)],
        &git.thin_pack(&["main"]),
    );
    // The base is in a branch that no reel has.
    let long = text(1, 200);
    git.run(["checkout", "-q", "-b", "side"]);
    let side = git.commit(&[("long", &long)]);
    git.run(["checkout", "-q", "main"]);
    git.run(["checkout", "-q", "-b", "other"]);
    let tip = git.commit(&[("long", &(long.clone() + "and more\n"))]);
    let new = [tip, git.oid("other^{tree}"), git.oid("other:long")];
    // A line with a dash names a commit whose files may be bases.
    let list = format!("-{side}\n{} \n{} \n{} long\n", new[0], new[1], new[2]);
    let pack = git.with(["pack-objects", "-q", "--stdout"], list.as_bytes());
    let one = Made::new(1, &[first], &[("refs/heads/other", tip)], &pack);
    let mut answers = Vec::new();
    for held in [false, true] {
        let target = Git::bare();
        zero.import(&target, &[]).unwrap();
        if held {
            target.object("blob", long.as_bytes());
        }
        let reason = reason(one.import(&target, &[&zero]));
        assert!(
            matches!(reason, Reason::Pack(verify::Error::MissingBase { .. })),
            "{reason}"
        );
        answers.push(reason.to_string());
    }
    assert_eq!(answers[0], answers[1]);
    // The same objects, whole, are welcome.
    let whole = Made::new(1, &[first], &[("refs/heads/other", tip)], &git.pack(&new));
    let target = Git::bare();
    zero.import(&target, &[]).unwrap();
    whole.import(&target, &[&zero]).unwrap();
}

#[test]
fn repeated_object_rejected() {
    let (source, reels) = published();
    let target = Git::bare();
    reels[0].import(&target, &[]).unwrap();
    let old = source.oid("main~2:d/0");
    let tip = reels[1].refs[&b"refs/heads/main"[..]];
    let list = source.run([
        "rev-list".to_owned(),
        "--objects".into(),
        "--no-object-names".into(),
        tip.to_string(),
        format!("^{tip}^"),
    ]);
    let mut oids: Vec<ObjectId> = list.lines().map(|l| l.parse().unwrap()).collect();
    oids.push(old);
    let parent = source.oid(&format!("{tip}^"));
    let made = Made::new(
        1,
        &[parent],
        &[("refs/heads/main", tip)],
        &source.pack(&oids),
    );
    match reason(made.import(&target, &[&reels[0]])) {
        Reason::Repeated(oid) => assert_eq!(oid, old),
        other => panic!("{other}"),
    }
}

#[test]
fn bundle_header_lies_rejected() {
    let (source, reels) = published();
    let (first, tip) = (source.oid("main~2"), source.oid("main~1"));
    let pack = source.thin_pack(&[&tip.to_string(), &format!("^{first}")]);
    let target = Git::bare();
    reels[0].import(&target, &[]).unwrap();
    let judge = |made: &Made| reason(made.import(&target, &[&reels[0]]));
    let main = [("refs/heads/main", tip)];
    let older = source.oid("main~3");

    let made = Made::new(1, &[], &main, &pack);
    assert!(matches!(judge(&made), Reason::NoPrerequisite(oid) if oid == first));
    let made = Made::new(1, &sorted(vec![first, older]), &main, &pack);
    assert!(matches!(judge(&made), Reason::NoParent(oid) if oid == older));
    let made = Made::new(1, &[first, first], &main, &pack);
    assert!(matches!(judge(&made), Reason::Header(_)), "twice");
    let made = Made::new(1, &[first], &[], &pack);
    assert!(matches!(judge(&made), Reason::Header(_)), "no tip");

    // HEAD's target first, then sorted.
    let unsorted = [("refs/heads/a", tip), ("refs/heads/main", tip)];
    let made = Made::new(1, &[first], &unsorted, &pack);
    assert!(
        matches!(judge(&made), Reason::Header(_)),
        "HEAD is not first"
    );
    let unsorted = [
        ("refs/heads/main", tip),
        ("refs/heads/z", tip),
        ("refs/heads/a", tip),
    ];
    let made = Made::new(1, &[first], &unsorted, &pack);
    assert!(matches!(judge(&made), Reason::Header(_)), "not sorted");

    // A tip that the statement does not have, or has elsewhere.
    let mut made = Made::new(1, &[first], &main, &pack);
    made.refs.clear();
    assert!(matches!(judge(&made), Reason::TipNotInStatement { .. }));
    made.refs.insert(b"refs/heads/main".to_vec(), older);
    assert!(matches!(judge(&made), Reason::TipNotInStatement { .. }));

    // A comment that git would write, another format, and no header at all.
    let good = Made::new(1, &[first], &main, &pack);
    let edit = |from: &str, to: &str| {
        let at = good
            .bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes());
        let at = at.unwrap();
        let (before, after) = (&good.bytes[..at], &good.bytes[at + from.len()..]);
        let bytes = [before, to.as_bytes(), after].concat();
        Made::of(1, bytes, good.refs.clone())
    };
    let line = format!("-{first}");
    let comment = edit(&line, &format!("{line} subject"));
    assert!(matches!(judge(&comment), Reason::Header(_)), "comment");
    for (from, to) in [
        ("# v2 git bundle", "# v4 git bundle"),
        ("\n\nPACK", "\nPACK"),
    ] {
        assert!(matches!(judge(&edit(from, to)), Reason::Header(_)), "{to}");
    }
    good.import(&target, &[&reels[0]]).unwrap();
}

#[test]
fn junk_after_trailer_rejected() {
    let (_, reels) = published();
    let mut bytes = reels[0].bytes.clone();
    bytes.extend_from_slice(b"junk");
    let made = Made::of(0, bytes, reels[0].refs.clone());
    let reason = reason(made.import(&Git::bare(), &[]));
    assert!(
        matches!(reason, Reason::Pack(verify::Error::Trailing(4))),
        "{reason}"
    );
}

#[test]
fn altered_or_cut_reel_rejected() {
    let (_, reels) = published();
    let target = Git::bare();
    let mut made = reels[0].clone();
    let middle = made.bytes.len() / 2;
    made.bytes[middle] ^= 1;
    assert!(matches!(
        reason(made.import(&target, &[])),
        Reason::Root { .. }
    ));
    made.bytes.truncate(middle);
    assert!(matches!(
        reason(made.import(&target, &[])),
        Reason::Length { .. }
    ));
    // A publisher who names the altered bytes' root gets no further.
    for at in [middle, reels[0].bytes.len() - 3] {
        let mut bytes = reels[0].bytes.clone();
        bytes[at] ^= 1;
        let made = Made::of(0, bytes, reels[0].refs.clone());
        assert!(matches!(reason(made.import(&target, &[])), Reason::Pack(_)));
    }
    let empty = Git::init().pack(&[]);
    let made = Made::new(
        0,
        &[],
        &[("refs/heads/main", ObjectId::Sha1([1; 20]))],
        &empty,
    );
    assert!(matches!(reason(made.import(&target, &[])), Reason::Empty));
}

#[test]
fn dotgit_tree_refused_by_every_backend() {
    for name in [".git", ".GIT", "git~1", ".git ", ".g\u{200c}it", ".."] {
        let git = Git::init();
        let blob = git.object("blob", b"[core]\n");
        let mut tree = format!("100644 {name}\0").into_bytes();
        tree.extend_from_slice(blob.as_bytes());
        let tree = git.object("tree", &tree);
        let commit = git.object(
            "commit",
            format!("tree {tree}\nauthor A <a@example.org> 0 +0000\ncommitter A <a@example.org> 0 +0000\n\nx\n").as_bytes(),
        );
        let pack = git.pack(&[commit, tree, blob]);
        let made = Made::new(0, &[], &[("refs/heads/main", commit)], &pack);
        let reason = reason(made.import(&Git::bare(), &[]));
        assert!(
            matches!(&reason, Reason::Pack(verify::Error::Refused { oid, .. }) if *oid == tree),
            "{name}: {reason}"
        );
    }
}

/// What `git fetch` refuses under `transfer.fsckObjects` is refused, unless
/// git's configuration relaxes it.
#[test]
fn objects_that_fsck_refuses_are_rejected() {
    let source = Git::bare();
    let blob = source.object("blob", b"text\n");
    let mut entry = b"0100644 padded\0".to_vec();
    entry.extend_from_slice(blob.as_bytes());
    let tree = source.object("tree", &entry);
    let text = format!("tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n");
    let commit = source.object("commit", text.as_bytes());
    let pack = source.pack(&[blob, tree, commit]);
    let made = Made::new(0, &[], &[("refs/heads/main", commit)], &pack);
    let git = Git::bare();
    let refused = reason(made.import(&git, &[]));
    assert!(
        matches!(&refused, Reason::Fsck { first, count: 1, .. } if first.contains("zeroPaddedFilemode")),
        "{refused:?}"
    );
    // What it says is what helps.
    let words = refused.to_string();
    let line = "git config --global fetch.fsck.zeroPaddedFilemode warn";
    assert!(words.ends_with(line), "{words}");
    let ways: [&[(&str, &str)]; 4] = [
        &[("fetch.fsck.zeroPaddedFilemode", "warn")],
        &[("fetch.fsck.zeroPaddedFilemode", "ignore")],
        // Of messages that this version does not know git only warns.
        &[
            ("fetch.fsckObjects", "off"),
            ("fetch.fsck.notYetKnown", "warn"),
        ],
        &[("transfer.fsckObjects", "false")],
    ];
    for way in ways {
        let git = Git::bare();
        for (key, value) in way {
            git.run(["config", key, value]);
        }
        let imported = made.import(&git, &[]).unwrap();
        let warns = way[0].1 == "warn";
        assert_eq!(imported.relaxed.len(), usize::from(warns), "{way:?}");
    }
    // The narrower word holds, and a list of objects that are let pass.
    git.run(["config", "transfer.fsckObjects", "false"]);
    git.run(["config", "fetch.fsckObjects", "true"]);
    assert!(matches!(
        reason(made.import(&git, &[])),
        Reason::Fsck { .. }
    ));
    std::fs::write(git.dir().join("faults"), format!("{tree}\n")).unwrap();
    git.run(["config", "fetch.fsck.skipList", "faults"]);
    made.import(&git, &[]).unwrap();

    // A .gitmodules that leads to a command is found in the blob.
    let source = Git::bare();
    let modules = b"[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n";
    let blob = source.object("blob", modules);
    let mut entry = b"100644 .gitmodules\0".to_vec();
    entry.extend_from_slice(blob.as_bytes());
    let tree = source.object("tree", &entry);
    let pack = source.pack(&[blob, tree]);
    let made = Made::new(0, &[], &[("refs/tags/t", tree)], &pack);
    let refused = reason(made.import(&Git::bare(), &[]));
    assert!(
        matches!(&refused, Reason::Fsck { first, .. } if first.contains("gitmodulesUrl")),
        "{refused:?}"
    );
}

#[test]
fn wrong_kind_of_link_rejected() {
    let git = Git::init();
    let blob = git.object("blob", b"no tree");
    let commit = git.object(
        "commit",
        format!("tree {blob}\nauthor A <a@example.org> 0 +0000\ncommitter A <a@example.org> 0 +0000\n\nx\n").as_bytes(),
    );
    let pack = git.pack(&[commit, blob]);
    let made = Made::new(0, &[], &[("refs/heads/main", commit)], &pack);
    let reason = reason(made.import(&Git::bare(), &[]));
    assert!(matches!(reason, Reason::LinkKind { to, .. } if to == blob));
}

#[test]
fn submodules_are_no_links() {
    let git = Git::init();
    let elsewhere = ObjectId::Sha1([7; 20]);
    let cacheinfo = format!("160000,{elsewhere},sub");
    git.run(["update-index", "--add", "--cacheinfo", &cacheinfo]);
    git.run(["commit", "-q", "-m", "submodule"]);
    let main = [("refs/heads/main", git.oid("main"))];
    let made = Made::new(0, &[], &main, &git.thin_pack(&["main"]));
    made.import(&Git::bare(), &[]).unwrap();
}
