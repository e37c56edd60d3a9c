//! Well-formed indexes that name objects wrongly: what is read under a name is
//! that object, or an error.

use std::path::Path;

use gt_pack::encode::{self, Error, Moment, Options, Reel};
use gt_pack::hash::FileHasher;
use gt_pack::published::{Nothing, published_refs};
use gt_pack::repository::{Content, GitRepository, Repository};
use gt_pack::{Kind, ObjectFormat, ObjectId, repository};

use crate::git::{Git, text};

/// Two of each kind, in one pack; `words` say how it is made.
fn packed(format: ObjectFormat, words: &[&str]) -> Git {
    let git = Git::empty();
    let format = format!("--object-format={format}");
    git.run(["init", "-q", "-b", "main", &format]);
    for n in 0..6 {
        let grown = text(1, 100) + &text(2, 2 * n);
        git.commit(&[("a", &grown), (&format!("d/{n}"), &text(n, 3))]);
        git.run(["tag", "-m", "a release", &format!("v{n}")]);
    }
    git.run(
        ["-c", "repack.useDeltaBaseOffset=false", "repack"]
            .iter()
            .chain(words),
    );
    git
}

fn index_of(git: &Git) -> std::path::PathBuf {
    let folder = std::fs::read_dir(git.dir().join("objects/pack")).unwrap();
    let mut paths = folder.map(|file| file.unwrap().path());
    paths
        .find(|path| path.extension().unwrap() == "idx")
        .unwrap()
}

/// Has the index of the only pack say of two objects that each lies where the
/// other does, and be well formed.
fn swap(git: &Git, one: ObjectId, other: ObjectId) {
    swap_in(&index_of(git), one, other);
}

/// Does so in this index.
pub(crate) fn swap_in(path: &Path, one: ObjectId, other: ObjectId) {
    let mut idx = std::fs::read(path).unwrap();
    let width = one.as_bytes().len();
    let count = u32::from_be_bytes(idx[8 + 1020..][..4].try_into().unwrap()) as usize;
    let names = 8 + 1024;
    let place = |id: ObjectId, idx: &[u8]| {
        let mut all = idx[names..][..count * width].chunks_exact(width);
        all.position(|name| name == id.as_bytes()).unwrap()
    };
    let (one, other) = (place(one, &idx), place(other, &idx));
    for table in [names + count * width, names + count * (width + 4)] {
        for n in 0..4 {
            idx.swap(table + 4 * one + n, table + 4 * other + n);
        }
    }
    let mut sum = FileHasher::new(if width == 32 {
        ObjectFormat::Sha256
    } else {
        ObjectFormat::Sha1
    });
    let end = idx.len() - width;
    sum.update(&idx[..end]);
    idx[end..].copy_from_slice(sum.finish().as_bytes());
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, idx).unwrap();
}

fn reel(git: &Git) -> Result<Option<Reel>, Error> {
    let repository = GitRepository::open(git.path())?;
    let refs = repository.refs()?;
    let now: Vec<_> = published_refs(&refs.list, &[])
        .into_iter()
        .cloned()
        .collect();
    let moment = Moment::new(&now, &[], refs.head.as_deref());
    encode::reel(
        &repository,
        &Nothing,
        &moment,
        &Options::default(),
        &mut std::io::sink(),
    )
}

/// Looks whether an error names one of these objects, and the pack.
fn names(error: &repository::Error, ids: [ObjectId; 2]) {
    let repository::Error::Read { id, source } = error else {
        panic!("{error:?}");
    };
    assert!(ids.contains(id), "{error}");
    let source = source.to_string();
    assert!(
        source.contains(".pack: expected") && source.contains(&id.to_string()),
        "{source}"
    );
}

#[test]
fn no_reel_is_made_of_objects_under_other_names() {
    let pairs = [
        ("HEAD:a", "HEAD~1:a"),
        ("HEAD:d/1", "HEAD:d/2"),
        ("HEAD^{tree}", "HEAD~2^{tree}"),
        ("HEAD:d", "HEAD~1:d"),
        ("HEAD~1", "HEAD~3"),
        ("HEAD", "HEAD~3"),
        ("refs/tags/v1", "refs/tags/v3"),
        // Of another kind.
        ("refs/tags/v1", "HEAD~2"),
        ("HEAD:d/1", "HEAD~1:d"),
    ];
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        // As deltas, and whole.
        for words in [["-q", "-adf", "--depth=10"], ["-q", "-adf", "--window=0"]] {
            for (one, other) in pairs {
                let git = packed(format, &words);
                assert!(reel(&git).unwrap().is_some());
                let ids = [git.oid(one), git.oid(other)];
                swap(&git, ids[0], ids[1]);
                let refused = reel(&git);
                let Err(Error::Repository(error)) = refused else {
                    panic!("{format} {words:?} {one} and {other}: {refused:?}");
                };
                let repository::Error::Read { source, .. } = &error else {
                    panic!("{error:?}");
                };
                assert!(source.to_string().contains(".pack: expected"), "{source}");
            }
        }
    }
}

#[test]
fn what_is_read_under_a_name_is_that_object() {
    let git = packed(ObjectFormat::Sha1, &["-q", "-adf", "--window=0"]);
    let ids = [git.oid("HEAD:d/1"), git.oid("HEAD:d/2")];
    swap(&git, ids[0], ids[1]);
    let repository = GitRepository::open(git.path()).unwrap();
    for _ in 0..2 {
        for id in &ids {
            names(&repository.read(id).unwrap_err(), ids);
            names(&repository.read_up_to(id, 1 << 20).unwrap_err(), ids);
            names(&repository.stream(id, &mut |_| Ok(())).unwrap_err(), ids);
        }
    }
    // Others are there, and another copy will do.
    let (kind, bytes) = repository.read(&git.oid("HEAD:d/3")).unwrap();
    assert_eq!((kind, &bytes[..]), (Kind::Blob, text(3, 3).as_bytes()));
    assert_eq!(git.object("blob", text(1, 3).as_bytes()), ids[0]);
    let loose = git
        .path()
        .join(".git/objects")
        .join(&ids[0].to_string()[..2]);
    if !loose.join(&ids[0].to_string()[2..]).exists() {
        // Git does not write what it thinks it has.
        let other = Git::bare();
        other.object("blob", text(1, 3).as_bytes());
        std::fs::create_dir_all(&loose).unwrap();
        let name = &ids[0].to_string();
        let from = other
            .path()
            .join("objects")
            .join(&name[..2])
            .join(&name[2..]);
        std::fs::copy(from, loose.join(&name[2..])).unwrap();
    }
    let (kind, bytes) = repository.read(&ids[0]).unwrap();
    assert_eq!((kind, &bytes[..]), (Kind::Blob, text(1, 3).as_bytes()));
}

/// One that never lies in memory is compared at its end.
#[test]
fn large_objects_are_compared_too() {
    let git = Git::init();
    let large = |n: u32| text(n, 10) + &"x".repeat(17 << 20);
    git.commit(&[("a", &large(1)), ("b", &large(2))]);
    git.run(["repack", "-q", "-adf", "--window=0"]);
    let ids = [git.oid("HEAD:a"), git.oid("HEAD:b")];
    assert!(reel(&git).unwrap().is_some());
    swap(&git, ids[0], ids[1]);
    let repository = GitRepository::open(git.path()).unwrap();
    let told = repository.read_up_to(&ids[0], 1 << 20).unwrap();
    assert!(matches!(told, Content::Larger(Kind::Blob, _)));
    match reel(&git) {
        Err(Error::Repository(error)) => names(&error, ids),
        other => panic!("{other:?}"),
    }
}
