//! Clones and mirrors: what was published arrives, and goes on arriving.

use crate::world::{World, with_peer};

#[test]
fn git_clones_and_fetches() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.git(&["clone", "-q", &address, "clone"]);
    world.fsck("clone");
    let head = |dir| world.git(&["-C", dir, "rev-parse", "HEAD"]);
    assert_eq!(head("work"), head("clone"));
    let tags = |dir| world.git(&["-C", dir, "for-each-ref", "refs/tags"]);
    assert_eq!(tags("work"), tags("clone"));
    assert!(
        world
            .git(&["-C", "clone", "branch", "-r"])
            .contains("origin/topic")
    );

    world.commit("work", "new.txt", "later\n");
    world.git(&["-C", "work", "tag", "v2"]);
    world.git(&["-C", "work", "branch", "more"]);
    world.publish("work", &[]);
    seed.wait_until(|v| v["event"] == "complete" && v["sequence"] == 2);
    world.git(&["-C", "clone", "fetch", "-q"]);
    let tip = world.git(&[
        "-C",
        "clone",
        "rev-parse",
        "origin/main",
        "origin/more",
        "v2",
    ]);
    let head = head("work");
    assert_eq!(tip, format!("{head}{head}{head}"));
    world.fsck("clone");

    // The clone has all that is needed to serve others, with the first seed gone.
    seed.kill();
    let (_second, place) = world.seed("clone", &[]);
    let address = with_peer(&world.publish("work", &[]), &place);
    world.git(&["clone", "-q", "--mirror", &address, "again.git"]);
    assert_eq!(world.refs("again.git"), world.refs("work"));
}

/// Where git calls us there is no command line to say it on.
#[test]
fn the_ways_to_peers_are_configured() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &["--encryption", "require"]);
    let address = with_peer(&address, &place);
    // The seed refuses plain words.
    let plain = ["-c", "gt.wait=2", "clone", &address, "plain"];
    assert!(!world.run("git", &plain).status.success());
    let wrong = ["-c", "gt.encryption=maybe", "clone", &address, "wrong"];
    let words = world.run("git", &wrong).stderr;
    let words = String::from_utf8_lossy(&words);
    assert!(words.contains("off, accept, prefer or require"), "{words}");
    let wrong = ["-c", "gt.dht=perhaps", "clone", &address, "wrong"];
    assert!(!world.run("git", &wrong).status.success());
    let configured = ["-c", "gt.encryption=require", "clone", &address, "here"];
    assert!(world.run("git", &configured).status.success());
    // What is said to a clone holds for what is done in it later.
    world.gt(&["clone", "--encryption", "prefer", &address, "clone"]);
    world.gt(&[
        "clone",
        "--mirror",
        "--encryption",
        "prefer",
        "--utp",
        &address,
        "mirror.git",
    ]);
    world.commit("work", "new.txt", "later\n");
    world.publish("work", &[]);
    let head = world.git(&["-C", "work", "rev-parse", "HEAD"]);
    world.git(&["-C", "clone", "fetch", "-q"]);
    let tip = world.git(&["-C", "clone", "rev-parse", "origin/main"]);
    assert_eq!(tip, head);
    world.gt(&["fetch", "-C", "mirror.git"]);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    let keys = world.git(&["-C", "mirror.git", "config", "--get-regexp", "^gt\\."]);
    assert_eq!(keys, "gt.utp true\ngt.encryption prefer\n");
}

#[test]
fn a_mirror_follows_pushes_and_deletions() {
    let world = World::new();
    world.repository("work");
    let tracker = world.start(&["tracker", "--listen", "127.0.0.1:0"]);
    let url = tracker.line();
    let url = url.split_whitespace().last().unwrap();
    let address = world.publish("work", &["--tracker", url]);
    let (_seed, _) = world.seed("work", &[]);
    let mirror = world.start(&[
        "clone",
        "--mirror",
        "--seed",
        "--json",
        "--listen",
        "127.0.0.1:0",
        &address,
        "mirror.git",
    ]);
    mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == 1);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    world.fsck("mirror.git");

    world.commit("work", "new.txt", "pushed\n");
    world.publish("work", &[]);
    let event = mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == 2);
    assert_eq!(event["moved"], 1);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));

    world.git(&["-C", "work", "branch", "-q", "-D", "topic"]);
    world.git(&["-C", "work", "tag", "-d", "light"]);
    world.publish("work", &["--prune"]);
    mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == 3);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    world.fsck("mirror.git");
    let status = world.gt(&["status", "-C", "mirror.git"]);
    assert!(status.contains("Statement   3 of epoch 0"), "{status}");
}

#[test]
fn crash_between_mark_and_refs_keeps_mark() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &address, "mirror.git"]);
    let old_refs = world.git(&["-C", "mirror.git", "rev-parse", "main"]);
    let old_applied = std::fs::read(world.path("mirror.git/gt/applied")).unwrap();
    world.commit("work", "new.txt", "pushed\n");
    world.publish("work", &[]);
    world.gt(&["fetch", "-C", "mirror.git"]);
    let mark = std::fs::read(world.path("mirror.git/gt/mark")).unwrap();

    // As a crash after the mark and before the refs leaves it.
    world.git(&[
        "-C",
        "mirror.git",
        "update-ref",
        "refs/heads/main",
        old_refs.trim(),
    ]);
    std::fs::write(world.path("mirror.git/gt/applied"), old_applied).unwrap();
    let (again, _) = world.seed("mirror.git", &[]);
    again.wait_until(|v| v["event"] == "refs" && v["sequence"] == 2);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    let after = std::fs::read(world.path("mirror.git/gt/mark")).unwrap();
    assert_eq!(mark, after, "the mark is where it was");
}

pub(crate) fn packs(world: &World, repository: &str) -> Vec<String> {
    let bare = world.path(repository).join("objects/pack");
    let folder = if bare.exists() {
        bare
    } else {
        world.path(repository).join(".git/objects/pack")
    };
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn mirror_prune_leaves_state() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.git(&["clone", "-q", "--mirror", &address, "mirror.git"]);
    world.git(&["-C", "mirror.git", "remote", "update", "--prune"]);
    world.git(&["-C", "mirror.git", "gc", "-q", "--prune=now"]);
    let status = world.gt(&["status", "-C", "mirror.git"]);
    assert!(
        status.contains("held") && !status.contains("missing"),
        "{status}"
    );
    assert!(
        !world
            .git(&["-C", "mirror.git", "for-each-ref"])
            .contains("refs/gt")
    );
}

#[test]
fn keep_removed_then_not_have() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &address, "mirror.git"]);
    let (mirror, _) = world.seed("mirror.git", &["--peer", &place]);
    mirror.wait_for("complete");
    // What keeps the packs is removed, and somebody's clean-up takes them.
    for name in packs(&world, "mirror.git") {
        std::fs::remove_file(world.path("mirror.git/objects/pack").join(name)).unwrap();
    }
    let told = mirror.wait_for("stalled");
    assert!(told["why"].as_str().unwrap().contains("taken away"));
    mirror.wait_for("complete");
    world.fsck("mirror.git");
}
