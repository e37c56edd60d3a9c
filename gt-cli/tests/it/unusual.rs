//! Repositories, options and moments that are not the usual ones.

use std::time::{Duration, Instant};

use crate::world::{World, with_peer};

#[test]
fn pushing_and_parts_are_answered_in_words() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    for (n, option) in ["--depth=1", "--filter=blob:none"].iter().enumerate() {
        let folder = format!("part-{n}");
        let output = world.run("git", &["clone", option, &address, &folder]);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words}");
        assert!(words.contains("has no effect"), "{option}: {words}");
        world.fsck(&folder);
    }
    world.git(&["clone", "-q", "--no-single-branch", &address, "c"]);
    let output = world.run("git", &["-C", "c", "push", "origin", "HEAD"]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && words.contains("gt publish"),
        "{words}"
    );
}

#[test]
fn unusual_content_arrives() {
    let world = World::new();
    world.repository("work");
    let git = |words: &[&str]| world.git(&[&["-C", "work"], words].concat());
    let head = git(&["rev-parse", "HEAD"]);
    let head = head.trim();
    git(&["branch", "feature/\u{fc}n\u{ef}-\u{5b57}"]);
    std::os::unix::fs::symlink("file-0.txt", world.path("work/link")).unwrap();
    let module = format!("160000,{head},sub/module");
    git(&["update-index", "--add", "--cacheinfo", &module]);
    git(&["add", "link"]);
    git(&["commit", "-q", "-m", "unusual"]);
    git(&["replace", "HEAD~1", "HEAD~2"]);
    git(&["checkout", "-q", "--detach", "HEAD~1"]);
    git(&["worktree", "add", "-q", "../linked", "main"]);
    // From a linked work tree it is the same repository.
    let address = world.publish("linked", &["--name", "a b"]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    std::fs::create_dir(world.path("in here")).unwrap();
    world.git(&["clone", "-q", &address, "in here"]);
    world.fsck("in here");
    world.git(&["clone", "-q", "--mirror", &address, "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");
    let listed = world.git(&["ls-remote", &address, "refs/heads/main"]);
    assert!(listed.contains("refs/heads/main"), "{listed}");
}

#[test]
fn empty_and_tags_only_repositories() {
    let world = World::new();
    world.git(&["init", "-q", "-b", "main", "empty"]);
    let address = world.publish("empty", &[]);
    let (_seed, place) = world.seed("empty", &[]);
    let output = world.run("git", &["clone", &with_peer(&address, &place), "e"]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && words.contains("empty repository"),
        "{words}"
    );

    world.repository("tags");
    world.git(&["-C", "tags", "checkout", "-q", "--detach"]);
    world.git(&["-C", "tags", "branch", "-q", "-D", "main", "topic"]);
    let address = world.publish("tags", &[]);
    let (_seed, place) = world.seed("tags", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "t.git"]);
    assert_eq!(world.refs("t.git"), world.refs("tags"));
}

#[test]
fn alternates_and_hooks_are_no_obstacle() {
    let world = World::new();
    world.repository("origin");
    world.git(&["clone", "-q", "--shared", "origin", "work"]);
    world.git(&["-C", "work", "config", "core.hooksPath", "/nonexistent"]);
    world.git(&["-C", "work", "config", "gc.auto", "1"]);
    world.commit("work", "more.txt", "more\n");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.git(&[
        "clone",
        "-q",
        "--mirror",
        &with_peer(&address, &place),
        "m.git",
    ]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");
}

#[test]
fn a_demonstration_that_is_stopped_leaves_nothing() {
    let world = World::new();
    let kept = world.path("kept");
    let mut demo = world.group(
        env!("CARGO_BIN_EXE_gt"),
        &["demo", "--keep", kept.to_str().unwrap()],
    );
    let until = Instant::now() + Duration::from_secs(60);
    while !kept.join("publisher.log").exists() {
        assert!(Instant::now() < until, "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(demo.ask_to_end(Duration::from_secs(8)), Some(1));
    // Nobody of its group is left, once they have been waited for.
    let until = Instant::now() + Duration::from_secs(5);
    while demo.lives() {
        assert!(Instant::now() < until, "somebody of its group lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_is_named_and_nothing_is_lost() {
    let world = World::new();
    world.repository("work");
    world.noise("work", 6 << 20);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    let small = Mount::new(&world, "small", "size=4m");
    let (code, words) = world.gt_fails(&["clone", "--mirror", &address, "small/m.git"]);
    assert!(
        code == 1 && words.contains("No space left on device"),
        "{code} {words}"
    );
    assert!(
        words.contains("small/m.git"),
        "the folder is not named: {words}"
    );
    small.room(&world, "size=40m");
    world.gt(&["clone", "--mirror", &address, "small/m.git"]);
    assert_eq!(world.refs("small/m.git"), world.refs("work"));
    world.fsck("small/m.git");
    drop(small);

    let small = Mount::new(&world, "small", "size=4m");
    let output = world.run("git", &["clone", "-q", &address, "small/c"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && words.contains("No space left"),
        "{words}"
    );
    small.room(&world, "size=60m");
    world.git(&["clone", "-q", &address, "small/c"]);
    world.fsck("small/c");
    drop(small);

    let small = Mount::new(&world, "small", "size=15m");
    world.git(&["clone", "-q", "--bare", "work", "small/p.git"]);
    let (_, words) = world.gt_fails(&["publish", "-C", "small/p.git"]);
    assert!(words.contains("No space left on device"), "{words}");
    small.room(&world, "size=60m");
    world.publish("small/p.git", &[]);
    world.fsck("small/p.git");
}

/// A small file system in memory, for as long as the test runs.
struct Mount(std::path::PathBuf);

impl Mount {
    fn new(world: &World, name: &str, size: &str) -> Self {
        let path = world.path(name);
        std::fs::create_dir_all(&path).unwrap();
        let words = ["-t", "tmpfs", "-o", size, "tmpfs", path.to_str().unwrap()];
        assert!(world.run("mount", &words).status.success());
        Self(path)
    }

    fn room(&self, world: &World, size: &str) {
        let how = format!("remount,{size}");
        let output = world.run("mount", &["-o", &how, self.0.to_str().unwrap()]);
        assert!(output.status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
