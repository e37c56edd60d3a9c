//! Which repositories are read, and which are refused.

use std::io::ErrorKind;

use gt_pack::Kind;
use gt_pack::repository::{Content, Error, GitRepository, Repository};

use crate::git::{Git, text};

#[test]
fn objects_and_refs_are_those_of_git() {
    let git = Git::init();
    let commit = git.commit(&[("a", "1\n")]);
    git.run(["tag", "-m", "one", "v1"]);
    git.run(["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    git.run(["symbolic-ref", "refs/heads/nowhere", "refs/heads/none"]);
    for path in [git.path().to_path_buf(), git.dir()] {
        let repository = GitRepository::open(path).unwrap();
        let refs = repository.refs().unwrap();
        assert_eq!(refs.head.as_deref(), Some(&b"refs/heads/main"[..]));
        assert_eq!(
            refs.list,
            [
                (b"refs/heads/alias".to_vec(), commit),
                (b"refs/heads/main".to_vec(), commit),
                (b"refs/tags/v1".to_vec(), git.oid("v1")),
            ]
        );
        let blob = git.oid("main:a");
        assert_eq!(
            repository.read(&blob).unwrap(),
            (Kind::Blob, b"1\n"[..].to_vec().into())
        );
        assert_eq!(repository.header(&blob).unwrap(), (Kind::Blob, 2));
        let none = gt_pack::ObjectId::from_bytes(&[9; 20]).unwrap();
        assert!(matches!(repository.read(&none), Err(Error::Missing(id)) if id == none));
    }
}

#[test]
fn replaced_objects_are_read_as_they_are() {
    let git = Git::init();
    let first = git.commit(&[("a", "1\n")]);
    let second = git.commit(&[("a", "2\n")]);
    let third = git.commit(&[("a", "3\n")]);
    git.run(["replace", &second.to_string(), &first.to_string()]);
    std::fs::write(git.dir().join("info/grafts"), format!("{third} {first}\n")).unwrap();
    let repository = GitRepository::open(git.path()).unwrap();
    for (id, parent) in [(second, first), (third, second)] {
        let (_, text) = repository.read(&id).unwrap();
        assert!(
            String::from_utf8(text.to_vec())
                .unwrap()
                .contains(&format!("parent {parent}"))
        );
    }
}

#[test]
fn incomplete_repositories_are_refused() {
    let git = Git::init();
    git.commit(&[("a", "1\n")]);
    git.commit(&[("a", "2\n")]);
    git.run(["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", git.path().display());
    for (option, word) in [("--depth=1", "shallow"), ("--filter=blob:none", "partial")] {
        let clone = Git::empty();
        clone.run(["clone", "-q", "--bare", option, &url, "."]);
        let error = GitRepository::open(clone.path()).err().unwrap();
        assert!(
            matches!(error, Error::Incomplete { .. }),
            "{option}: {error:?}"
        );
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn no_repository_is_refused() {
    let git = Git::empty();
    assert!(matches!(
        GitRepository::open(git.path()),
        Err(Error::Open { .. })
    ));
    git.run(["init", "-q"]);
    std::fs::create_dir(git.path().join("inside")).unwrap();
    let inside = GitRepository::open(git.path().join("inside"));
    assert!(
        matches!(inside, Err(Error::Open { .. })),
        "no search upwards"
    );
}

#[test]
fn sha256_repositories_are_read() {
    let git = Git::empty();
    git.run(["init", "-q", "-b", "main", "--object-format=sha256"]);
    let commit = git.commit(&[("a", "1\n")]);
    let repository = GitRepository::open(git.path()).unwrap();
    assert_eq!(repository.format(), gt_pack::ObjectFormat::Sha256);
    let refs = repository.refs().unwrap();
    assert_eq!(refs.head.as_deref(), Some(&b"refs/heads/main"[..]));
    assert_eq!(refs.list, [(b"refs/heads/main".to_vec(), commit)]);
    let blob = git.oid("main:a");
    let one = (Kind::Blob, b"1\n".to_vec().into());
    assert_eq!(repository.read(&blob).unwrap(), one);
    git.run(["repack", "-q", "-adf"]);
    assert_eq!(repository.read(&blob).unwrap(), one, "a repack is noticed");
    let url = format!("file://{}", git.path().display());
    let shallow = Git::empty();
    shallow.run(["clone", "-q", "--bare", "--depth=1", &url, "."]);
    git.commit(&[("a", "2\n")]);
    let shallow = Git::empty();
    shallow.run(["clone", "-q", "--bare", "--depth=1", &url, "."]);
    let error = GitRepository::open(shallow.path()).err().unwrap();
    assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
    std::fs::create_dir(git.path().join("inside")).unwrap();
    assert!(GitRepository::open(git.path().join("inside")).is_err());
}

/// Deltas of any kind, an alternate, a second pack, a loose object: all read
/// as git reads them.
#[test]
fn every_object_is_the_one_of_git() {
    let git = Git::init();
    let mut text = String::from("first\n");
    for n in 0..40 {
        text += &format!("line {n} of a text that grows {}\n", n * n);
        git.commit(&[("a", &text), ("b", &text[text.len() / 2..])]);
    }
    git.run(["repack", "-q", "-adf", "--depth=10"]);
    git.commit(&[("c", "in a second pack\n")]);
    git.run(["repack", "-q"]);
    let other = Git::empty();
    let from = git.path().to_str().unwrap().to_owned();
    other.run(["clone", "-q", "--shared", &from, "."]);
    other.commit(&[("d", "loose\n")]);
    let repository = GitRepository::open(other.path()).unwrap();
    let listed = other.run(["rev-list", "--objects", "--no-object-names", "--all"]);
    let mut count = 0;
    for id in listed.lines() {
        let id: gt_pack::ObjectId = id.parse().unwrap();
        let (kind, bytes) = repository.read(&id).unwrap();
        let named = gt_pack::hash::object_id(repository.format(), kind, &bytes);
        assert_eq!(named, Ok(id));
        assert_eq!(repository.header(&id).unwrap(), (kind, bytes.len() as u64));
        count += 1;
    }
    assert!(count > 120, "{count}");
}

#[test]
fn a_damaged_object_is_an_error() {
    let git = Git::bare();
    let good = git.object("blob", b"good\n");
    let other = git.object("blob", b"other\n");
    let path = |id: &gt_pack::ObjectId| {
        let hex = id.to_string();
        git.path().join("objects").join(&hex[..2]).join(&hex[2..])
    };
    std::fs::remove_file(path(&good)).unwrap();
    std::fs::create_dir_all(path(&good).parent().unwrap()).unwrap();
    std::fs::copy(path(&other), path(&good)).unwrap();
    let repository = GitRepository::open(git.path()).unwrap();
    let error = repository.read(&good);
    assert!(
        matches!(error, Err(Error::Read { id, .. }) if id == good),
        "{error:?}"
    );
}

#[test]
#[cfg(unix)]
fn foreign_owner_repository_refused() {
    let git = Git::init();
    git.commit(&[("a", "1\n")]);
    // Only root can give a folder away, and only then is there something to
    // refuse: elsewhere the folder stays ours and is opened.
    let given_away = std::os::unix::fs::chown(git.dir(), Some(12_345), None).is_ok()
        && std::os::unix::fs::chown(git.path(), Some(12_345), None).is_ok();
    match GitRepository::open(git.path()) {
        Err(error) if given_away => {
            assert!(matches!(error, Error::ForeignOwner { .. }), "{error:?}");
            assert!(error.to_string().contains("safe.directory"));
        }
        Ok(_) if !given_away => {}
        other => panic!("given away: {given_away}, opened: {}", other.is_ok()),
    }
}

/// Large objects come in pieces, however they lie: loose, whole in a pack, as
/// a delta; those that are no delta are told by their size before.
#[test]
fn objects_come_in_pieces() {
    let git = Git::init();
    let lines = text(1, 9_000);
    git.commit(&[("a", &lines), ("b", "short\n")]);
    git.commit(&[("a", &format!("{lines}and one more\n"))]);
    let ids = [git.oid("HEAD:a"), git.oid("HEAD~1:a"), git.oid("HEAD:b")];
    let check = |deltas: bool| {
        let repository = GitRepository::open(git.path()).unwrap();
        let mut told = 0;
        for id in &ids {
            let (kind, whole) = repository.read(id).unwrap();
            let mut pieces = Vec::new();
            let mut count = 0;
            let (streamed, size) = repository
                .stream(id, &mut |piece| {
                    count += usize::from(!piece.is_empty());
                    pieces.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
            assert_eq!((streamed, size), (kind, whole.len() as u64));
            assert!(pieces == whole, "{id}");
            match repository.read_up_to(id, 1_000).unwrap() {
                Content::Larger(larger, size) => {
                    assert_eq!((larger, size), (kind, whole.len() as u64));
                    assert!(size > 1_000 && count > 1, "{size} bytes in {count} pieces");
                    told += 1;
                }
                Content::Whole(small, bytes) => {
                    assert_eq!((small, &bytes), (kind, &whole));
                    assert!(deltas || whole.len() <= 1_000);
                }
            }
            let broken = repository.stream(id, &mut |_| Err(ErrorKind::StorageFull.into()));
            assert!(broken.is_err());
        }
        assert_eq!(told, if deltas { 1 } else { 2 });
    };
    check(false);
    git.run(["repack", "-q", "-ad", "--depth=0"]);
    check(false);
    git.run(["repack", "-q", "-adf", "--depth=10"]);
    check(true);
}
