//! What a publication says, and what it leaves as it was.

use crate::world::{World, with_peer};

#[test]
fn says_nothing_new_twice() {
    let world = World::new();
    world.repository("work");
    let first = world.publish("work", &[]);
    assert!(first.starts_with("gt://") && first.len() == 57, "{first}");
    assert_eq!(world.publish("work", &[]), first);
    let status = world.gt(&["status", "-C", "work"]);
    assert!(
        status.contains("Statement   1 of epoch 0, 4 refs"),
        "{status}"
    );
    // A tag on what is there already brings no object, and no reel.
    world.git(&["-C", "work", "tag", "again"]);
    world.publish("work", &[]);
    let status = world.gt(&["status", "-C", "work"]);
    assert!(
        status.contains("Statement   2 of epoch 0, 5 refs"),
        "{status}"
    );
    assert_eq!(status.matches("Reel").count(), 1, "{status}");
    // The same for programs.
    let told = world.gt(&["status", "-C", "work", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["address"], first);
    let statement = &told["statement"];
    assert_eq!(
        (&statement["sequence"], &statement["refs"]),
        (&2.into(), &5.into())
    );
    assert_eq!(statement["reels"][0]["held"], true);
    assert_eq!(
        (&told["object_format"], &statement["stale"]),
        (&"sha1".into(), &false.into())
    );
}

#[test]
fn single_branch_publish_deletes_nothing() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    // The same person, and a clone with one branch and no tags.
    world.git(&[
        "clone",
        "-q",
        "--single-branch",
        "--no-tags",
        &address,
        "one",
    ]);
    world.commit("one", "new.txt", "from the clone\n");
    world.publish("one", &[]);
    seed.kill();
    let status = world.gt(&["status", "-C", "one"]);
    assert!(
        status.contains("Statement   2 of epoch 0, 4 refs"),
        "{status}"
    );
}

#[test]
fn race_on_same_ref_says_fetch_first() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.git(&["clone", "-q", &address, "other"]);
    world.commit("work", "a.txt", "here\n");
    world.publish("work", &[]);
    seed.wait_until(|v| v["event"] == "complete" && v["sequence"] == 2);
    world.git(&["-C", "other", "fetch", "-q"]);
    world.commit("other", "b.txt", "there\n");
    let (code, words) = world.gt_fails(&["publish", "-C", "other"]);
    assert_eq!(code, 1);
    assert!(words.contains("fetch first: refs/heads/main"), "{words}");
    world.git(&["-C", "other", "pull", "-q", "--rebase"]);
    world.publish("other", &[]);
}

#[test]
fn a_rewound_branch_and_a_moved_tag_want_force() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.git(&["-C", "work", "tag", "-f", "light", "HEAD"]);
    let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert!(code == 1 && words.contains("refs/tags/light"), "{words}");
    world.publish("work", &["--force"]);
    world.git(&["-C", "work", "checkout", "-q", "-B", "main", "HEAD~1"]);
    // Behind what is published: left as it is.
    world.publish("work", &[]);
    world.commit("work", "c.txt", "another way\n");
    assert_eq!(world.gt_fails(&["publish", "-C", "work"]).0, 1);
    world.publish("work", &["--force"]);
    let text = world.statement("work");
    let head = world.git(&["-C", "work", "rev-parse", "main"]);
    assert!(
        text.contains(&format!("+{} refs/heads/main\n", head.trim())),
        "{text}"
    );
}

/// A branch is dropped by force and comes back later: its objects are in a reel
/// since the first time, where nobody's clean-up takes them away, and no reel
/// may hold them again.
#[test]
fn restore_after_force_push() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.commit("work", "kept.txt", "dropped, and brought back\n");
    let address = world.publish("work", &[]);
    let dropped = world.git(&["-C", "work", "rev-parse", "main"]);
    let dropped = dropped.trim();
    let (seed, place) = world.seed("work", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "m.git"]);
    let follows = |sequence: u64, place: &str| {
        seed.wait_until(|v| v["event"] == "complete" && v["sequence"] == sequence);
        world.gt(&["fetch", "-C", "m.git", "--peer", place]);
        assert_eq!(world.refs("m.git"), world.refs("work"), "{sequence}");
        world.fsck("m.git");
    };
    let gc = |repository: &str| {
        let expire = ["reflog", "expire", "--expire=now", "--all"];
        world.git(&[&["-C", repository][..], &expire].concat());
        world.git(&["-C", repository, "gc", "-q", "--prune=now"]);
    };

    world.git(&["-C", "work", "reset", "-q", "--hard", "HEAD~1"]);
    world.commit("work", "other.txt", "another way\n");
    world.publish("work", &["--force"]);
    follows(3, &place);
    gc("m.git");
    gc("work");

    world.git(&["-C", "work", "reset", "-q", "--hard", dropped]);
    let before = reels(&world);
    world.publish("work", &["--force"]);
    let text = world.statement("work");
    assert!(
        text.contains(&format!("\n+{dropped} refs/heads/main\n")),
        "{text}"
    );
    assert_eq!(reels(&world), before, "nothing new, no reel");
    follows(4, &place);

    // What follows on it stands on objects that no tip of before names.
    gc("m.git");
    world.commit("work", "after.txt", "and on\n");
    world.publish("work", &[]);
    assert_ne!(reels(&world), before);
    follows(5, &place);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "new.git"]);
    assert_eq!(world.refs("new.git"), world.refs("work"));
    world.fsck("new.git");
}

fn reels(world: &World) -> Vec<String> {
    let text = world.statement("work");
    let reels = text.lines().filter(|line| line.starts_with("Reel: "));
    reels.map(str::to_owned).collect()
}

#[test]
fn unpublished_refs_stay_here() {
    let world = World::new();
    world.repository("work");
    world.commit("work", "secret.txt", "not for others\n");
    let secret = world.git(&["-C", "work", "rev-parse", "HEAD"]);
    world.git(&["-C", "work", "update-ref", "refs/private/x", "HEAD"]);
    world.git(&["-C", "work", "reset", "-q", "--hard", "HEAD~1"]);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.git(&[
        "clone",
        "-q",
        "--mirror",
        &with_peer(&address, &place),
        "m.git",
    ]);
    let there = world.run("git", &["-C", "m.git", "cat-file", "-e", secret.trim()]);
    assert!(!there.status.success(), "an unpublished commit has left");
}

#[test]
fn a_killed_publication_is_repeated() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    // As a kill after the reel and before the statement leaves it.
    let gt = world.path("work/.git/gt");
    let keep = world.path("before");
    copy(&gt.join("statements"), &keep);
    let mark = std::fs::read(gt.join("mark")).unwrap();
    world.commit("work", "new.txt", "later\n");
    world.publish("work", &[]);
    std::fs::remove_dir_all(gt.join("statements")).unwrap();
    copy(&keep, &gt.join("statements"));
    std::fs::write(gt.join("mark"), mark).unwrap();
    world.commit("work", "new.txt", "and more\n");
    world.publish("work", &[]);
    let status = world.gt(&["status", "-C", "work"]);
    // The second was sealed and may be out: its number is not used again.
    assert!(status.contains("Statement   3"), "{status}");
    assert_eq!(status.matches("held").count(), 2, "{status}");
    assert_eq!(
        std::fs::read_dir(gt.join("reels"))
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().len() == 64)
            .count(),
        2,
        "the reel that no statement names is forgotten"
    );
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
