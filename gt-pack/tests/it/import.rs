//! What a repository takes in, and what it does not.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use gt_pack::import::{Broken, Error, Gate, Reason, ReelFacts};
use gt_pack::limits::Limits;
use gt_pack::verify;
use gt_pack::{Chain, Kind, ObjectId, refs};
use gt_vfs::Verdict;

use crate::git::{Git, text};
use crate::reel::{Made, published, sorted};

fn reason(outcome: Result<gt_pack::import::Imported, Error>) -> Reason {
    match outcome {
        Err(Error::Reject(reason)) => reason,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

/// All files below `objects`.
fn objects(git: &Git) -> BTreeSet<PathBuf> {
    fn walk(folder: PathBuf, out: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(path, out);
            } else {
                out.insert(path);
            }
        }
    }
    let mut out = BTreeSet::new();
    walk(git.dir().join("objects"), &mut out);
    out
}

#[test]
fn reels_come_in_one_after_the_other() {
    let (source, reels) = published();
    let target = Git::bare();
    for n in 0..reels.len() {
        let earlier: Vec<&Made> = reels[..n].iter().collect();
        let imported = reels[n].import(&target, &earlier).unwrap();
        assert!(!imported.already);
        assert!(reels[n].import(&target, &earlier).unwrap().already);
    }
    let change = refs::RefChange {
        name: b"refs/heads/main".to_vec(),
        old: refs::Old::Absent,
        new: Some(source.oid("main")),
    };
    refs::move_all(&target.dir(), &[change]).unwrap();
    target.run(["fsck", "--full", "--strict"]);
    let list = ["rev-list", "--objects", "--no-object-names", "main"];
    assert_eq!(target.run(list), source.run(list));
    // The chain has the same objects, and reads each of them.
    let chain = Chain::open(&target.dir()).unwrap();
    let all = source.run(list);
    let all: Vec<ObjectId> = all.lines().map(|l| l.parse().unwrap()).collect();
    assert_eq!(sorted(chain.all().oids().unwrap()), sorted(all.clone()));
    let mut deepest = 0;
    for oid in all {
        let (kind, content) = chain.read(&oid).unwrap().unwrap();
        assert_eq!(
            gt_pack::hash::object_id(oid.format(), kind, &content),
            Ok(oid)
        );
        deepest = deepest.max(chain.depth(&oid).unwrap().unwrap());
        assert_eq!(chain.all().kind(&oid).unwrap(), Some(kind));
    }
    assert!(deepest > 0);
    let blob = source.oid("main:a.txt");
    assert_eq!(chain.read(&blob).unwrap().unwrap().0, Kind::Blob);
}

#[test]
fn depth_counts_across_reels_by_their_own_entries() {
    let (source, reels) = published();
    let target = Git::bare();
    for n in 0..reels.len() {
        let earlier: Vec<&Made> = reels[..n].iter().collect();
        reels[n].import(&target, &earlier).unwrap();
    }
    let chain = Chain::open(&target.dir()).unwrap();
    // The completed packs hold the base as a whole object; the reel does not.
    let base = chain.depth(&source.oid("main~1:a.txt")).unwrap().unwrap();
    let blob = chain.depth(&source.oid("main:a.txt")).unwrap().unwrap();
    assert_eq!(blob, base + 1);
    assert!(base >= 1, "a delta in the reel before, too");
}

#[test]
fn only_earlier_reels_of_the_statement_count() {
    let (_, reels) = published();
    let target = Git::bare();
    reels[0].import(&target, &[]).unwrap();
    reels[1].import(&target, &[&reels[0]]).unwrap();
    // The same bytes under a statement that does not name the first reel.
    let orphan = reels[2].import(&target, &[&reels[1]]);
    assert!(matches!(
        reason(orphan),
        Reason::MissingLink { .. } | Reason::Pack(_)
    ));
    // A reel that is not held is nobody's fault.
    let empty = Git::bare();
    let early = reels[1].import(&empty, &[&reels[0]]);
    assert!(
        matches!(early, Err(Error::Broken(Broken::Chain(_)))),
        "{early:?}"
    );
}

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

/// Says what it was told to.
struct Says(Option<io::Result<Verdict>>, Option<usize>);

impl Gate for Says {
    fn admit(&mut self, facts: &ReelFacts<'_>) -> io::Result<Verdict> {
        let waiting = std::fs::read_dir(facts.quarantine.join("pack")).unwrap();
        self.1 = Some(waiting.count());
        self.0.take().unwrap()
    }
}

#[test]
fn the_gate_is_asked_before_anything_is_seen() {
    let (_, reels) = published();
    let target = Git::bare();
    let before = objects(&target);
    let mut no = Says(Some(Ok(Verdict::reject("not today"))), None);
    let refused = reason(reels[0].import_through(&target, &[], &mut no));
    assert!(matches!(refused, Reason::Gate(why) if why == "not today"));
    assert_eq!(no.1, Some(3), "pack, idx and rev wait");
    assert_eq!(objects(&target), before);
    // A gate that breaks is nobody's fault, and the import is repeated.
    let mut broken = Says(Some(Err(io::Error::other("asleep"))), None);
    let outcome = reels[0].import_through(&target, &[], &mut broken);
    assert!(matches!(outcome, Err(Error::Broken(_))), "{outcome:?}");
    assert_eq!(objects(&target), before);
    reels[0].import(&target, &[]).unwrap();
}

#[test]
fn a_crash_is_repeated_away() {
    let (_, reels) = published();
    let target = Git::bare();
    // Killed in quarantine.
    let left = target.dir().join("objects/gt-quarantine-killed/pack");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("tmp_pack"), b"half").unwrap();
    let imported = reels[0].import(&target, &[]).unwrap();
    assert!(!left.exists());
    let good = objects(&target);
    // Killed between the pack and the chain's file.
    let state = target
        .dir()
        .join("gt/reels")
        .join(reels[0].reel.root.to_string());
    std::fs::remove_file(&state).unwrap();
    let again = reels[0].import(&target, &[]).unwrap();
    assert!(!again.already);
    assert_eq!(again.packs, imported.packs);
    // Killed before the index came.
    std::fs::remove_file(&state).unwrap();
    let pack = target.dir().join("objects/pack").join(&imported.packs[0]);
    std::fs::remove_file(pack.with_extension("idx")).unwrap();
    reels[0].import(&target, &[]).unwrap();
    // A torn index counts as none.
    let torn = std::fs::read(pack.with_extension("idx")).unwrap();
    std::fs::remove_file(pack.with_extension("idx")).unwrap();
    std::fs::write(pack.with_extension("idx"), &torn[..torn.len() / 2]).unwrap();
    let mut chain = Chain::open(&target.dir()).unwrap();
    assert!(!chain.holds(&reels[0].reel.root));
    assert!(!reels[0].import(&target, &[]).unwrap().already);
    // A chain that was open meanwhile sees it when it looks again.
    chain.refresh().unwrap();
    assert!(chain.holds(&reels[0].reel.root));
    // A torn file of the chain counts as none.
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    assert!(
        !Chain::open(&target.dir())
            .unwrap()
            .holds(&reels[0].reel.root)
    );
    reels[0].import(&target, &[]).unwrap();
    assert_eq!(objects(&target), good);
}

#[test]
fn a_disk_that_refuses_is_not_the_publishers_fault() {
    let (_, reels) = published();
    let target = Git::bare();
    // A file stands where a folder must be: for the lock, then for the pack,
    // then for the state.
    let dir = target.dir();
    for place in ["gt", "objects/pack", "gt/reels"] {
        let _ = std::fs::remove_dir_all(dir.join(place));
        std::fs::write(dir.join(place), b"in the way").unwrap();
        let mut gate = gt_pack::import::Open;
        let outcome = match Chain::open(&dir) {
            Ok(_) => reels[0].import_through(&target, &[], &mut gate),
            // The state cannot even be listed.
            Err(e) => Err(e.into()),
        };
        assert!(
            matches!(outcome, Err(Error::Broken(_))),
            "{place}: {outcome:?}"
        );
        let waiting = std::fs::read_dir(dir.join("objects")).unwrap();
        let waiting = waiting.filter(|e| {
            let name = e.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("gt-quarantine")
        });
        assert_eq!(waiting.count(), 0, "{place}: a quarantine is left");
        std::fs::remove_file(dir.join(place)).unwrap();
    }
    reels[0].import(&target, &[]).unwrap();
}

#[test]
fn a_damaged_base_is_not_the_publishers_fault() {
    let (_, reels) = published();
    let target = Git::bare();
    let imported = reels[0].import(&target, &[]).unwrap();
    let pack = target.dir().join("objects/pack").join(&imported.packs[0]);
    let pack = pack.with_extension("pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    let end = bytes.len() - 20;
    bytes[30..end].fill(0);
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    let outcome = reels[1].import(&target, &[&reels[0]]);
    assert!(matches!(outcome, Err(Error::Broken(_))), "{outcome:?}");
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_repositories_come_in_whole() {
    let data = PathBuf::from(std::env::var_os("GT_DATA").expect("GT_DATA is set"));
    for name in ["ripgrep", "tokio"] {
        let source = Git::empty();
        let bundle = data.join(format!("repos/{name}.bundle"));
        let arguments = ["clone", "-q", "--mirror", bundle.to_str().unwrap(), "."];
        source.run(arguments);
        let all = refs::list(&source.dir(), &[b"refs/heads/*", b"refs/tags/*"]).unwrap();
        let tips: Vec<(&str, ObjectId)> = all
            .iter()
            .map(|(name, oid)| (std::str::from_utf8(name).unwrap(), *oid))
            .collect();
        let names: Vec<&str> = tips.iter().map(|(name, _)| *name).collect();
        let pack = source.thin_pack(&names);
        let made = Made::new(0, &[], &tips, &pack);
        let target = Git::bare();
        let mut chain = Chain::open(&target.dir()).unwrap();
        let mut expected = made.expected(&[]);
        expected.head = None;
        let (limits, mut gate) = (Limits::default(), gt_pack::import::Open);
        let file = made.file();
        gt_pack::import::reel(
            &mut chain,
            &*file,
            &expected,
            &mut gate,
            &limits,
            &verify::Silent,
        )
        .unwrap();
        let changes: Vec<_> = all
            .iter()
            .map(|(name, oid)| refs::RefChange {
                name: name.clone(),
                old: refs::Old::Absent,
                new: Some(*oid),
            })
            .collect();
        refs::move_all(&target.dir(), &changes).unwrap();
        assert_eq!(refs::list(&target.dir(), &[b"refs/*"]).unwrap(), all);
        let fsck = ["fsck", "--full", "--strict"];
        let said = |git: &Git| git.try_with(fsck, b"").status.code();
        assert_eq!(said(&target), said(&source), "{name}");
    }
}
