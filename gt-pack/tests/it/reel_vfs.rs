//! Reels as files.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Mutex;

use gt_pack::encode;
use gt_pack::published::Nothing;
use gt_pack::reel_vfs::Options;
use gt_pack::repository::GitRepository;
use gt_pack::{Chain, ReelVfs, import};
use gt_vfs::contract::{self, Subject};
use gt_vfs::{ContentId, ReadAt, Root, VPath, Verdict, Vfs};

use crate::git::Git;
use crate::reel::{Made, published};

fn open(git: &Git, reels: &[Made]) -> ReelVfs {
    let newest = reels.last().unwrap();
    let options = Options::new(
        reels.iter().map(|made| made.reel.clone()).collect(),
        Some(newest.refs.clone()),
        Some(b"refs/heads/main".to_vec()),
        git.path().join("partial"),
        Box::new(import::Open),
    );
    ReelVfs::open(&git.dir(), options).unwrap()
}

fn path(made: &Made) -> VPath {
    VPath::parse(made.reel.file_name().as_bytes()).unwrap()
}

fn put(vfs: &ReelVfs, made: &Made) -> std::io::Result<Verdict> {
    let writer = vfs.create(&path(made), made.reel.length)?;
    writer.write_at(0, &made.bytes)?;
    writer.close()
}

fn all(file: &dyn ReadAt) -> Vec<u8> {
    let mut bytes = vec![0; file.size() as usize];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn filled() -> (Git, Vec<Made>, ReelVfs) {
    let (_, reels) = published();
    let git = Git::bare();
    let vfs = open(&git, &reels);
    for made in &reels {
        assert_eq!(put(&vfs, made).unwrap(), Verdict::Accept);
    }
    (git, reels, vfs)
}

fn assert_served(vfs: &ReelVfs, reels: &[Made]) {
    let listed = vfs.list().unwrap();
    assert_eq!(listed.len(), reels.len());
    for (entry, made) in listed.iter().zip(reels) {
        assert_eq!(entry.path, path(made));
        assert_eq!(entry.id, Some(ContentId::Root(made.reel.root)));
        assert!(all(&*vfs.open(&entry.path).unwrap()) == made.bytes);
    }
}

#[test]
fn keeps_the_contract() {
    struct Reels {
        made: Vec<Made>,
        repositories: Mutex<Vec<Git>>,
    }
    impl Subject for Reels {
        fn fresh(&self) -> Box<dyn Vfs> {
            let git = Git::bare();
            let vfs = open(&git, &self.made);
            self.repositories.lock().unwrap().push(git);
            Box::new(vfs)
        }
        fn sample(&self, n: u8) -> (VPath, Vec<u8>) {
            let made = &self.made[usize::from(n)];
            (path(made), made.bytes.clone())
        }
    }
    contract::run(&Reels {
        made: published().1,
        repositories: Mutex::default(),
    });
}

#[test]
fn what_came_in_goes_out_byte_for_byte() {
    let (git, reels, vfs) = filled();
    assert_served(&vfs, &reels);
    // Read in pieces, across the joints.
    for made in &reels {
        let file = vfs.open(&path(made)).unwrap();
        for step in [1, 7, 333] {
            let mut at = 0;
            let mut buffer = vec![0; step];
            while at < made.bytes.len() {
                let read = file.read_at(at as u64, &mut buffer).unwrap();
                assert!(read > 0);
                assert_eq!(buffer[..read], made.bytes[at..at + read]);
                if let Some(lent) = file.lend(at as u64, read) {
                    assert_eq!(lent[..], made.bytes[at..at + read]);
                }
                at += read;
            }
        }
    }
    // And again by another process.
    assert_served(&open(&git, &reels), &reels);
    assert!(
        std::fs::read_dir(git.path().join("partial"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn reels_are_closed_in_order() {
    let (_, reels) = published();
    let git = Git::bare();
    let vfs = open(&git, &reels);
    let early = put(&vfs, &reels[1]).unwrap_err();
    assert!(early.to_string().contains("reels/0-0.bundle"), "{early}");
    // What was fetched is still there.
    let writer = vfs.create(&path(&reels[1]), reels[1].reel.length).unwrap();
    assert!(all(&*writer) == reels[1].bytes);
    assert_eq!(put(&vfs, &reels[0]).unwrap(), Verdict::Accept);
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
}

#[test]
fn a_killed_download_goes_on() {
    let (_, reels) = published();
    let git = Git::bare();
    let (first, half) = (&reels[0], reels[0].bytes.len() / 2);
    let writer = open(&git, &reels)
        .create(&path(first), first.reel.length)
        .unwrap();
    writer.write_at(0, &first.bytes[..half]).unwrap();
    writer.sync().unwrap();
    drop(writer);
    let vfs = open(&git, &reels);
    let writer = vfs.create(&path(first), first.reel.length).unwrap();
    assert!(all(&*writer)[..half] == first.bytes[..half]);
    writer.write_at(half as u64, &first.bytes[half..]).unwrap();
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
}

#[test]
fn a_bad_reel_is_rejected_and_gone() {
    let (_, mut reels) = published();
    reels.truncate(1);
    reels[0].refs = BTreeMap::new();
    let git = Git::bare();
    let vfs = open(&git, &reels);
    match put(&vfs, &reels[0]).unwrap() {
        Verdict::Reject { why } => assert!(why.contains("statement"), "{why}"),
        Verdict::Accept => panic!("accepted a tip that is no ref"),
    }
    assert!(vfs.list().unwrap().is_empty());
    assert!(
        std::fs::read_dir(git.path().join("partial"))
            .unwrap()
            .next()
            .is_none()
    );
    let wrong = VPath::parse(b"reels/7-7.bundle").unwrap();
    assert_eq!(
        vfs.create(&wrong, 10).err().unwrap().kind(),
        ErrorKind::NotFound
    );
    let size = vfs.create(&path(&reels[0]), 10).err().unwrap();
    assert_eq!(size.kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_another_process_brought_is_seen() {
    let (_, reels) = published();
    let git = Git::bare();
    let (one, two) = (open(&git, &reels), open(&git, &reels));
    assert!(two.list().unwrap().is_empty());
    for made in &reels {
        assert_eq!(put(&one, made).unwrap(), Verdict::Accept);
        let error = put(&two, made).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
    assert_served(&two, &reels);
}

#[test]
fn gc_prune_now_then_serve() {
    let (git, reels, vfs) = filled();
    // No ref names any of it.
    git.run(["gc", "-q", "--prune=now"]);
    git.run(["repack", "-q", "-a", "-d"]);
    git.run(["prune", "--expire=now"]);
    assert_served(&vfs, &reels);
    assert_served(&open(&git, &reels), &reels);
}

#[test]
fn keep_removed_then_not_have() {
    let (git, reels, vfs) = filled();
    let opened = vfs.open(&path(&reels[0])).unwrap();
    for entry in std::fs::read_dir(git.dir().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "keep") {
            std::fs::remove_file(path).unwrap();
        }
    }
    git.run(["gc", "-q", "--prune=now"]);
    assert!(vfs.list().unwrap().is_empty());
    assert!(open(&git, &reels).list().unwrap().is_empty());
    let gone = vfs.open(&path(&reels[0])).err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let mut buffer = [0; 100];
    let gone = opened.read_at(opened.size() / 2, &mut buffer).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(!Chain::open(&git.dir()).unwrap().holds(&reels[0].reel.root));
    // It comes in again like a new one.
    for made in &reels {
        assert_eq!(put(&vfs, made).unwrap(), Verdict::Accept);
    }
    assert_served(&vfs, &reels);
}

#[test]
fn mirror_prune_leaves_state() {
    let (source, reels) = published();
    let git = Git::empty();
    let from = source.path().to_str().unwrap();
    git.run(["clone", "-q", "--mirror", from, "."]);
    let vfs = open(&git, &reels);
    for made in &reels {
        assert_eq!(put(&vfs, made).unwrap(), Verdict::Accept);
    }
    source.run(["branch", "-q", "-m", "main", "renamed"]);
    git.run(["fetch", "-q", "--prune"]);
    git.run(["gc", "-q", "--prune=now"]);
    assert_served(&open(&git, &reels), &reels);
}

/// A statement may name a recipe that does not make its reel. What is made by
/// the recipe is then other bytes: they are dropped, and the reel is fetched.
#[test]
fn recipe_mismatch_downloads() {
    let (source, mut reels) = published();
    for made in &mut reels {
        made.reel.recipe = Some(encode::RECIPE.to_owned());
    }
    let git = Git::bare();
    let vfs = open(&git, &reels);
    let first = &reels[0];
    let refs: Vec<_> = first.refs.clone().into_iter().collect();
    let mut local = Vec::new();
    encode::reel(
        &GitRepository::open(source.dir()).unwrap(),
        &Nothing,
        &encode::Moment::new(&refs, &[], Some(b"refs/heads/main")),
        &encode::Options::default(),
        &mut local,
    )
    .unwrap()
    .unwrap();
    assert_ne!(Root::of(&local), first.reel.root);
    local.resize(first.bytes.len(), 0);
    let writer = vfs.create(&path(first), first.reel.length).unwrap();
    writer.write_at(0, &local).unwrap();
    assert!(!writer.close().unwrap().is_accept());
    assert!(vfs.list().unwrap().is_empty(), "nothing of it is held");
    for made in &reels {
        assert_eq!(put(&vfs, made).unwrap(), Verdict::Accept);
    }
    assert_served(&vfs, &reels);
}
