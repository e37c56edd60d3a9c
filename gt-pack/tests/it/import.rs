//! What a repository takes in, through which steps.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use gt_pack::import::{Broken, Error, Gate, Reason, ReelFacts};
use gt_pack::limits::Limits;
use gt_pack::verify;
use gt_pack::{Chain, Kind, ObjectId, refs};
use gt_vfs::Verdict;

use crate::git::Git;
use crate::reel::{Made, published, sorted};

pub(crate) fn reason(outcome: Result<gt_pack::import::Imported, Error>) -> Reason {
    match outcome {
        Err(Error::Reject(reason)) => reason,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

/// All files below `objects`.
pub(crate) fn objects(git: &Git) -> BTreeSet<PathBuf> {
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
