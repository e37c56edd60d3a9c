//! Reels of real repositories, held against git's own packs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gt_pack::encode::{self, Moment, Options};
use gt_pack::published::{Known, Nothing, published_refs};
use gt_pack::repository::{GitRepository, Repository};

use crate::git::git;

fn mirror(name: &str, folder: &Path) -> PathBuf {
    let data = PathBuf::from(std::env::var_os("GT_DATA").unwrap());
    let bundle = data.join("repos").join(format!("{name}.bundle"));
    let mirror = folder.join("source.git");
    git(
        folder,
        &["clone", "-q", "--mirror", bundle.to_str().unwrap(), mirror.to_str().unwrap()],
    );
    mirror
}

fn moment(repository: &dyn Repository) -> Moment {
    let refs = repository.refs().unwrap();
    let published: Vec<_> = published_refs(&refs.list, &[]).into_iter().cloned().collect();
    Moment::new(&published, &[], refs.head.as_deref())
}

fn pack_bytes(repository: &Path) -> u64 {
    std::fs::read_dir(repository.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum()
}

fn first_reel(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = mirror(name, folder.path());
    let repository = GitRepository::open(&source).unwrap();
    let bundle = folder.path().join("first.bundle");
    let mut out = std::fs::File::create(&bundle).unwrap();
    let start = Instant::now();
    let reel = encode::reel(
        &repository,
        &Nothing,
        &moment(&repository),
        &Options::default(),
        &mut out,
    )
    .unwrap()
    .unwrap();
    let took = start.elapsed();
    git(&source, &["repack", "-q", "-adf"]);
    let tight = pack_bytes(&source);
    let sum = format!(
        "{name}: {} objects, {} deltas, deepest {}, {} bytes in {took:?}; git's tight pack {tight}",
        reel.objects.len(),
        reel.deltas,
        reel.deepest,
        reel.length
    );
    assert_eq!(reel.length, bundle.metadata().unwrap().len());
    assert!(reel.length * 10 <= tight * 9, "{sum}");

    let copy = folder.path().join("copy.git");
    git(folder.path(), &["clone", "-q", "--mirror", bundle.to_str().unwrap(), copy.to_str().unwrap()]);
    let refs = ["for-each-ref", "refs/heads", "refs/tags"];
    assert_eq!(git(&copy, &refs), git(&source, &refs));
    let fsck = |at: &Path| git(at, &["fsck", "--full", "--strict"]);
    assert_eq!(fsck(&copy), fsck(&source));
    println!("{sum}");
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
