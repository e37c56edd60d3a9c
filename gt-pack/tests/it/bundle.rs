//! Bundle headers between gt and git.

use gt_pack::bundle::Header;

use crate::git::Git;

#[test]
fn headers_of_git_are_read() {
    let git = Git::init();
    git.commit(&[("a", "1\n")]);
    git.run(["tag", "-m", "one", "v1"]);
    git.commit(&[("a", "2\n")]);
    git.run(["bundle", "create", "-q", "all.bundle", "--all"]);
    git.run(["bundle", "create", "-q", "new.bundle", "main", "^main~1"]);
    git.run(["bundle", "create", "-q", "--version=3", "v3.bundle", "main"]);
    let read = |name: &str| {
        let bytes = std::fs::read(git.path().join(name)).unwrap();
        let (header, length) = Header::read(&bytes).unwrap().unwrap();
        assert_eq!(&bytes[length..length + 4], b"PACK", "{name}");
        (header, bytes)
    };
    let (all, _) = read("all.bundle");
    let mut tips = vec![
        (b"HEAD".to_vec(), git.oid("main")),
        (b"refs/heads/main".to_vec(), git.oid("main")),
        (b"refs/tags/v1".to_vec(), git.oid("v1")),
    ];
    tips.sort();
    let mut found = all.tips.clone();
    found.sort();
    assert_eq!((found, all.prerequisites.len()), (tips, 0));
    let (new, bytes) = read("new.bundle");
    assert_eq!(new.prerequisites, [git.oid("main~1")]);
    assert!(!new.is_canonical(&bytes), "git adds a comment");
    assert_eq!(read("v3.bundle").0.tips, read("new.bundle").0.tips);
}

#[test]
fn headers_of_gt_are_read_by_git() {
    let git = Git::init();
    let first = git.commit(&[("a", "1\n")]);
    let second = git.commit(&[("a", "2\n")]);
    let header = Header {
        format: gt_pack::ObjectFormat::Sha1,
        prerequisites: vec![first],
        tips: vec![(b"refs/heads/main".to_vec(), second)],
    };
    let mut bytes = header.write();
    bytes.extend(git.thin_pack(&["main", "^main~1"]));
    std::fs::write(git.path().join("new.bundle"), bytes).unwrap();
    git.run(["bundle", "verify", "-q", "new.bundle"]);
    let heads = git.run(["bundle", "list-heads", "new.bundle"]);
    assert_eq!(heads, format!("{second} refs/heads/main"));

    let empty = Git::bare();
    let bundle = git.path().join("new.bundle");
    let bundle = bundle.to_str().unwrap();
    let refused = empty.try_with(["bundle", "verify", bundle], b"");
    assert!(!refused.status.success(), "the prerequisite is not there");
    empty.run([
        "fetch",
        "-q",
        git.path().to_str().unwrap(),
        &format!("{first}:refs/heads/main"),
    ]);
    empty.run(["fetch", "-q", bundle, "main:next"]);
    assert_eq!(empty.oid("next"), second);
}

#[test]
fn sha256_headers_are_read_both_ways() {
    let git = Git::empty();
    git.run(["init", "-q", "-b", "main", "--object-format=sha256"]);
    let id = git.commit(&[("a", "1\n")]);
    git.run(["bundle", "create", "-q", "git.bundle", "main"]);
    let bytes = std::fs::read(git.path().join("git.bundle")).unwrap();
    let (header, length) = Header::read(&bytes).unwrap().unwrap();
    assert_eq!(header.tips, [(b"refs/heads/main".to_vec(), id)]);
    assert!(header.is_canonical(&bytes[..length]));
    let mut own = header.write();
    own.extend_from_slice(&bytes[length..]);
    std::fs::write(git.path().join("own.bundle"), own).unwrap();
    git.run(["bundle", "verify", "-q", "own.bundle"]);
}
