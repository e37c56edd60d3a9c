//! Which repositories are read, and which are refused.

use gt_pack::Kind;
use gt_pack::repository::{Error, GitRepository, Repository};

use crate::git::Git;

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
            (Kind::Blob, b"1\n".to_vec())
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
            String::from_utf8(text)
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
fn other_formats_and_no_repository_are_refused() {
    let git = Git::empty();
    assert!(matches!(
        GitRepository::open(git.path()),
        Err(Error::Open { .. })
    ));
    git.run(["init", "-q", "--object-format=sha256"]);
    let error = GitRepository::open(git.path()).err().unwrap();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    std::fs::create_dir(git.path().join("inside")).unwrap();
    let inside = GitRepository::open(git.path().join("inside"));
    assert!(
        matches!(inside, Err(Error::Open { .. })),
        "no search upwards"
    );
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
