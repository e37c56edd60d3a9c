//! Refs that move together.

use gt_pack::ObjectId;
use gt_pack::refs::{self, Error, Old, RefChange};

use crate::git::Git;

fn change(name: &str, old: Old, new: Option<ObjectId>) -> RefChange {
    RefChange {
        name: name.as_bytes().to_vec(),
        old,
        new,
    }
}

fn all(git: &Git) -> Vec<(Vec<u8>, ObjectId)> {
    refs::list(&git.dir(), &[b"refs/*"]).unwrap()
}

fn two_commits() -> (Git, ObjectId, ObjectId) {
    let git = Git::init();
    let first = git.commit(&[("a", "1")]);
    let second = git.commit(&[("a", "2")]);
    (git, first, second)
}

#[test]
fn all_move_or_none() {
    let (git, first, second) = two_commits();
    let dir = git.dir();
    let good = [
        change("refs/heads/a", Old::Absent, Some(first)),
        change("refs/heads/main", Old::Is(second), Some(first)),
        change("refs/tags/t", Old::Any, Some(second)),
    ];
    refs::move_all(&dir, &good).unwrap();
    let moved = all(&git);
    assert_eq!(
        moved,
        [
            (b"refs/heads/a".to_vec(), first),
            (b"refs/heads/main".to_vec(), first),
            (b"refs/tags/t".to_vec(), second)
        ]
    );
    // One is not what it was thought to be.
    for last in [
        change("refs/heads/main", Old::Is(second), Some(second)),
        change("refs/heads/a", Old::Absent, Some(second)),
        change("refs/heads/b", Old::Is(first), Some(second)),
        change("refs/heads/b", Old::Any, Some(ObjectId::Sha1([3; 20]))),
        change("refs/heads/b..c", Old::Any, Some(first)),
        change("refs/tags/t", Old::Absent, None),
    ] {
        let bad = [change("refs/heads/0", Old::Absent, Some(first)), last];
        let refused = refs::move_all(&dir, &bad);
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        assert_eq!(all(&git), moved);
    }
    for name in ["HEAD", "-d", "refs/heads/a b", "refs/heads/a\nb", "refs/\0"] {
        let bad = refs::move_all(&dir, &[change(name, Old::Any, Some(first))]);
        assert!(matches!(bad, Err(Error::Name(_))), "{bad:?}");
    }
    refs::move_all(&dir, &[change("refs/heads/a", Old::Is(first), None)]).unwrap();
    assert_eq!(all(&git).len(), 2);
}

#[test]
fn dir_file_clash_moves_nothing() {
    let (git, first, second) = two_commits();
    let dir = git.dir();
    refs::move_all(&dir, &[change("refs/heads/x", Old::Absent, Some(first))]).unwrap();
    let before = all(&git);
    let main = change("refs/heads/main", Old::Is(second), Some(first));
    for bad in [
        // With each other, and with one that is there, in either direction.
        vec![
            change("refs/heads/n", Old::Absent, Some(first)),
            change("refs/heads/n/m", Old::Absent, Some(first)),
        ],
        vec![change("refs/heads/x/y", Old::Absent, Some(first))],
        vec![change("refs/heads", Old::Absent, Some(first))],
        // What a deletion makes room for, but something else is wrong.
        vec![
            change("refs/heads/x", Old::Is(first), None),
            change("refs/heads/x/y", Old::Is(first), Some(first)),
        ],
        vec![
            change("refs/heads/x", Old::Is(first), None),
            change("refs/heads/x/y", Old::Absent, Some(first)),
            change("refs/heads/main/z", Old::Absent, Some(first)),
        ],
    ] {
        let mut bad = bad;
        if !bad.iter().any(|c| c.name.starts_with(b"refs/heads/main")) {
            bad.insert(0, main.clone());
        }
        assert!(refs::move_all(&dir, &bad).is_err(), "{bad:?}");
        assert_eq!(all(&git), before, "{bad:?}");
    }
    // A branch that became a folder.
    let good = [
        change("refs/heads/x", Old::Is(first), None),
        change("refs/heads/x/y", Old::Absent, Some(second)),
        main,
    ];
    refs::move_all(&dir, &good).unwrap();
    assert_eq!(
        all(&git),
        [
            (b"refs/heads/main".to_vec(), first),
            (b"refs/heads/x/y".to_vec(), second)
        ]
    );
}

#[test]
fn head_is_read_and_set() {
    let (git, first, _) = two_commits();
    let dir = git.dir();
    assert_eq!(
        refs::head(&dir).unwrap().as_deref(),
        Some(&b"refs/heads/main"[..])
    );
    refs::set_head(&dir, b"refs/heads/unborn").unwrap();
    assert_eq!(
        refs::head(&dir).unwrap().as_deref(),
        Some(&b"refs/heads/unborn"[..])
    );
    assert!(refs::set_head(&dir, b"-d").is_err());
    git.run(["update-ref", "--no-deref", "HEAD", &first.to_string()]);
    assert_eq!(refs::head(&dir).unwrap(), None);
}

#[test]
fn patterns_choose() {
    let (git, first, _) = two_commits();
    for name in ["refs/heads/a/b", "refs/tags/t", "refs/notes/n"] {
        git.run(["update-ref", name, &first.to_string()]);
    }
    let names = |patterns: &[&[u8]]| -> Vec<String> {
        let list = refs::list(&git.dir(), patterns).unwrap();
        list.into_iter()
            .map(|(name, _)| String::from_utf8(name).unwrap())
            .collect()
    };
    assert_eq!(
        names(&[b"refs/heads/*"]),
        ["refs/heads/a/b", "refs/heads/main"]
    );
    assert_eq!(
        names(&[b"refs/tags/*", b"refs/notes/n"]),
        ["refs/notes/n", "refs/tags/t"]
    );
    assert!(names(&[b"refs/tag"]).is_empty());
}
