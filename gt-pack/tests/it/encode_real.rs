//! Reels of real repositories, held against git's own packs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gt_pack::ObjectId;
use gt_pack::encode::{self, Moment, Options, Reel};
use gt_pack::published::{Known, Nothing, Placed, Published, published_refs};
use gt_pack::repository::{GitRepository, Repository};

use crate::git::Git;

fn mirror(name: &str) -> Git {
    let data = PathBuf::from(std::env::var_os("GT_DATA").unwrap());
    let bundle = data.join("repos").join(format!("{name}.bundle"));
    let git = Git::empty();
    git.run(["clone", "-q", "--mirror", bundle.to_str().unwrap(), "."]);
    git
}

fn encoded(
    repository: &dyn Repository,
    published: &dyn Published,
    moment: &Moment,
) -> Option<(Reel, Vec<u8>)> {
    let mut out = Vec::new();
    let options = Options::default();
    let reel = encode::reel(repository, published, moment, &options, &mut out).unwrap()?;
    assert_eq!(reel.length, out.len() as u64);
    Some((reel, out))
}

fn pack_bytes(repository: &Path) -> u64 {
    std::fs::read_dir(repository.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum()
}

/// The first reel is smaller than git's tight pack, strict git takes it, and
/// a mirror made from it is the source again.
fn first_reel(name: &str) {
    let source = mirror(name);
    let repository = GitRepository::open(source.path()).unwrap();
    let refs = repository.refs().unwrap();
    let published = published_refs(&refs.list, &[]);
    let published: Vec<_> = published.into_iter().cloned().collect();
    let moment = Moment::new(&published, &[], refs.head.as_deref());
    let start = Instant::now();
    let (reel, bytes) = encoded(&repository, &Nothing, &moment).unwrap();
    let took = start.elapsed();
    source.run(["repack", "-q", "-adf"]);
    let tight = pack_bytes(source.path());
    let sum = format!(
        "{name}: {} objects, {} deltas, deepest {}, {} bytes in {took:?}, git's tight pack {tight}",
        reel.objects.len(),
        reel.deltas,
        reel.deepest,
        reel.length
    );
    println!("{sum}");
    assert!(reel.length * 100 <= tight * 85, "{sum}");

    let copy = Git::empty();
    std::fs::write(copy.path().join("first.bundle"), &bytes).unwrap();
    copy.run(["clone", "-q", "--mirror", "first.bundle", "copy.git"]);
    let at_copy = |args: &[&str]| copy.run([&["-C", "copy.git"], args].concat());
    let names = ["for-each-ref", "refs/heads", "refs/tags"];
    assert_eq!(at_copy(&names), source.run(names));
    let fsck = ["fsck", "--full", "--strict"];
    assert_eq!(at_copy(&fsck), source.run(fsck));
    let strict = Git::bare();
    strict.with(["index-pack", "--strict", "--stdin"], pack_of(&bytes));
}

fn pack_of(bundle: &[u8]) -> &[u8] {
    let (_, length) = gt_pack::bundle::Header::read(bundle).unwrap().unwrap();
    &bundle[length..]
}

/// Two hundred pushes of one commit each, on top of a first reel: strict git
/// completes every one, no object comes twice, and together they are smaller
/// than thin packs of exactly the same objects that git makes.
fn pushes(name: &str) {
    const PUSHES: usize = 200;
    let source = mirror(name);
    let repository = GitRepository::open(source.path()).unwrap();
    let head = repository.refs().unwrap().head.unwrap();
    let walk = source.run(["rev-list", "--first-parent", "--reverse", "HEAD"]);
    let steps: Vec<ObjectId> = walk.lines().map(|line| line.parse().unwrap()).collect();
    let steps = &steps[steps.len() - PUSHES - 1..];

    let copy = Git::bare();
    let mut known = Known::default();
    let mut before: Vec<(Vec<u8>, ObjectId)> = Vec::new();
    let (mut pushed, mut gits) = (0, 0);
    let mut parts = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let now = vec![(head.clone(), *step)];
        let moment = Moment::new(&now, &before, Some(&head));
        let (reel, bytes) = encoded(&repository, &known, &moment).unwrap();
        for Placed { id, .. } in reel.objects.iter() {
            assert!(!known.contains(&id).unwrap(), "{id} comes twice");
        }
        assert_eq!(reel.header.tips, now);
        assert!(reel.deepest <= encode::MAX_DEPTH);
        copy.with(
            ["index-pack", "--strict", "--fix-thin", "--stdin"],
            pack_of(&bytes),
        );
        copy.run(["update-ref", "refs/heads/main", &step.to_string()]);
        if n > 0 {
            pushed += pack_of(&bytes).len();
            gits += exact_thin(&source, &reel, &steps[n - 1]);
        }
        known.extend(reel.objects.iter());
        before = now;
        parts.push(bytes);
    }
    let listed = |git: &Git| git.run(["rev-list", "--objects", "--no-object-names", "--all"]);
    let all: std::collections::BTreeSet<_> = listed(&copy).lines().map(str::to_owned).collect();
    assert!(
        all.iter()
            .all(|id| known.contains(&id.parse().unwrap()).unwrap())
    );
    copy.run(["fsck", "--full", "--strict"]);
    println!("{name}: {PUSHES} pushes, {pushed} bytes, git's exact-thin packs {gits}");
    assert!(pushed * 100 <= gits * 92);
    spliced(name, &repository, &head, &steps[PUSHES], &parts);
}

/// Returns the length of git's thin pack of a reel's objects: its own list for
/// the push, without what was published, edges kept.
fn exact_thin(source: &Git, reel: &Reel, before: &ObjectId) -> usize {
    let tip = &reel.header.tips[0].1;
    let range = [format!("^{before}"), tip.to_string()];
    let words = ["rev-list", "--objects-edge"].map(str::to_owned);
    let listed = source.run(words.into_iter().chain(range));
    let new: std::collections::BTreeSet<String> = reel
        .objects
        .iter()
        .map(|object| object.id.to_string())
        .collect();
    let kept: String = listed
        .lines()
        .filter(|line| line.starts_with('-') || new.contains(&line[..40]))
        .map(|line| format!("{line}\n"))
        .collect();
    // The lines with a minus name what a delta may stand on.
    let words = ["pack-objects", "-q", "--stdout", "--delta-base-offset"];
    source.with(words, kept.as_bytes()).len()
}

/// The chain spliced is about as small as one fresh reel, and strict git takes
/// it; it is left for whoever wants to measure reading.
fn spliced(
    name: &str,
    repository: &dyn Repository,
    head: &[u8],
    tip: &ObjectId,
    parts: &[Vec<u8>],
) {
    use gt_pack::Limits;
    use gt_pack::splice::{self, Part};
    use gt_pack::verify::{NoBases, Silent};

    let files: Vec<_> = parts.iter().map(|b| crate::git::file(&b[..])).collect();
    let mut read: Vec<Part<'_>> = Vec::new();
    for file in &files {
        let part = Part::read(&**file, &read, &NoBases, &Limits::default(), &Silent);
        read.push(part.unwrap());
    }
    let mut bytes = Vec::new();
    let spliced = splice::write(&read, &mut bytes).unwrap();
    let refs = vec![(head.to_vec(), *tip)];
    let moment = Moment::new(&refs, &[], Some(head));
    let (fresh, _) = encoded(repository, &Nothing, &moment).unwrap();
    println!("{name}: spliced {}, fresh {}", spliced.length, fresh.length);
    let copy = Git::bare();
    copy.with(["index-pack", "--strict", "--stdin"], pack_of(&bytes));
    if let Some(folder) = std::env::var_os("GT_KEEP") {
        let file = PathBuf::from(folder).join(format!("{name}-spliced.bundle"));
        std::fs::write(file, &bytes).unwrap();
    }
    assert!(spliced.length * 100 <= fresh.length * 102);
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_first_reel_of_ripgrep() {
    first_reel("ripgrep");
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_first_reel_of_tokio() {
    first_reel("tokio");
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_pushes_of_ripgrep() {
    pushes("ripgrep");
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_pushes_of_tokio() {
    pushes("tokio");
}
