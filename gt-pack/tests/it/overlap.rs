//! Reels of one repository that bring the same objects: a new first reel, and
//! those that it replaces.

use std::collections::BTreeSet;

use gt_pack::{Chain, ObjectId};

use crate::git::Git;
use crate::reel::{Made, published, sorted};

/// What the names of the packs' indexes say, each object as often as it is in
/// one of them.
fn indexed(git: &Git) -> Vec<Vec<String>> {
    let folder = std::fs::read_dir(git.dir().join("objects/pack")).unwrap();
    let packs = folder.map(|e| e.unwrap().path());
    let packs = packs.filter(|p| p.extension().is_some_and(|e| e == "idx"));
    packs
        .map(|idx| {
            let listed = git.run(["verify-pack", "-v", idx.to_str().unwrap()]);
            let names = listed.lines().filter_map(|l| l.split(' ').next());
            let names = names.filter(|n| n.len() == 40);
            names.map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn a_new_first_reel_is_not_joined_with_those_it_replaces() {
    let (source, reels) = published();
    let target = Git::bare();
    for n in 0..reels.len() {
        let earlier: Vec<&Made> = reels[..n].iter().collect();
        reels[n].import(&target, &earlier).unwrap();
    }
    let tip = source.oid("main");
    let main = [("refs/heads/main", tip)];
    let mut base = Made::new(0, &[], &main, &source.thin_pack(&[&tip.to_string()]));
    base.reel.last = 2;
    base.import(&target, &[]).unwrap();

    let chain = Chain::open(&target.dir()).unwrap();
    let list = ["rev-list", "--objects", "--no-object-names", "main"];
    let all: Vec<ObjectId> = source
        .run(list)
        .lines()
        .map(|l| l.parse().unwrap())
        .collect();
    // Each of the two chains is whole by itself.
    let replaced: Vec<_> = reels.iter().map(|made| made.reel.clone()).collect();
    for reels in [vec![base.reel.clone()], replaced] {
        let selection = chain.select(&reels).unwrap();
        assert_eq!(sorted(selection.oids().unwrap()), sorted(all.clone()));
        for oid in &all {
            assert!(selection.contains(oid).unwrap(), "{oid}");
            assert!(selection.read(oid).unwrap().is_some());
        }
    }
    for names in indexed(&target) {
        let once: BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "a pack holds an object twice");
    }
    // The chain goes on from the new one.
    let parent = tip;
    let tip = source.commit(&[("later.txt", "later\n")]);
    let pack = source.thin_pack(&[&tip.to_string(), &format!("^{parent}")]);
    let next = Made::new(3, &[parent], &[("refs/heads/main", tip)], &pack);
    next.import(&target, &[&base]).unwrap();
    let chain = Chain::open(&target.dir()).unwrap();
    let both = chain.select([&base.reel, &next.reel]).unwrap();
    assert!(both.contains(&tip).unwrap());
    for names in indexed(&target) {
        let once: BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "a pack holds an object twice");
    }
}

/// Git does not find an object in another pack as long as a multi-pack-index
/// names one that is gone.
#[test]
fn a_multi_pack_index_that_names_joined_packs_goes() {
    let (source, reels) = published();
    let target = Git::bare();
    reels[0].import(&target, &[]).unwrap();
    reels[1].import(&target, &[&reels[0]]).unwrap();
    target.run(["multi-pack-index", "write", "--no-progress"]);
    let multi = target.dir().join("objects/pack/multi-pack-index");
    assert!(multi.exists());
    let before = indexed(&target).len();
    reels[2].import(&target, &[&reels[0], &reels[1]]).unwrap();
    assert_eq!(indexed(&target).len(), before, "they were joined");
    assert!(!multi.exists());
    let tip = source.oid("main");
    target.run(["update-ref", "refs/heads/main", &tip.to_string()]);
    target.run(["fsck", "--full", "--strict"]);
    // One that names what is there stays.
    target.run(["multi-pack-index", "write", "--no-progress"]);
    assert!(
        reels[2]
            .import(&target, &[&reels[0], &reels[1]])
            .unwrap()
            .already
    );
    assert!(multi.exists());
}

#[test]
fn a_chain_of_multi_pack_indexes_that_names_joined_packs_goes() {
    let (source, reels) = published();
    let target = Git::bare();
    let write = || {
        target.run([
            "multi-pack-index",
            "write",
            "--no-progress",
            "--incremental",
        ])
    };
    reels[0].import(&target, &[]).unwrap();
    write();
    reels[1].import(&target, &[&reels[0]]).unwrap();
    write();
    let layers = target.dir().join("objects/pack/multi-pack-index.d");
    let files = || std::fs::read_dir(&layers).unwrap().count();
    assert!(files() >= 2);
    let before = indexed(&target).len();
    reels[2].import(&target, &[&reels[0], &reels[1]]).unwrap();
    assert_eq!(indexed(&target).len(), before, "they were joined");
    assert_eq!(files(), 0);
    let tip = source.oid("main");
    target.run(["update-ref", "refs/heads/main", &tip.to_string()]);
    target.run(["fsck", "--full", "--strict"]);
    // One that names what is there stays.
    write();
    let again = reels[2].import(&target, &[&reels[0], &reels[1]]).unwrap();
    assert!(again.already && files() >= 2);
    target.run(["multi-pack-index", "verify", "--no-progress"]);
}
