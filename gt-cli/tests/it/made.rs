//! Reels that are made where the objects are, and not fetched.

use crate::world::{Running, World, with_peer};

/// Payload that a seeder received until it has all of a statement, and the
/// reels that it made.
fn until_complete(seed: &Running, sequence: u64) -> (u64, Vec<String>) {
    let (mut downloaded, mut made) = (0, Vec::new());
    seed.wait_until(|event| {
        if event["event"] == "traffic" {
            downloaded = downloaded.max(event["downloaded"].as_u64().unwrap());
        }
        if event["event"] == "progress" {
            downloaded = downloaded.max(event["bytes"].as_u64().unwrap());
        }
        if event["event"] == "made" {
            made.push(event["name"].as_str().unwrap().to_owned());
        }
        event["event"] == "complete" && event["sequence"] == sequence
    });
    (downloaded, made)
}

#[test]
fn a_clone_by_plain_git_becomes_a_seed_with_nothing_fetched() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.commit("work", "more.txt", "pushed\n");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);

    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    let before = world.refs("plain");
    let (plain, second) = world.seed("plain", &["--from", &from]);
    let (downloaded, made) = until_complete(&plain, 2);
    assert_eq!(made, ["reels/0-0.bundle", "reels/1-1.bundle"]);
    assert_eq!(downloaded, 0);
    assert_eq!(world.refs("plain"), before, "no ref of the clone has moved");
    world.fsck("plain");

    // It serves others, with the first seed gone.
    seed.kill();
    world.git(&[
        "clone",
        "-q",
        "--mirror",
        &with_peer(&address, &second),
        "again.git",
    ]);
    assert_eq!(world.refs("again.git"), world.refs("work"));

    // Another repository's address is none of this one's.
    world.repository("other");
    let other = world.publish("other", &[]);
    plain.kill();
    let (code, words) = world.gt_fails(&["seed", "-C", "plain", "--from", &other]);
    assert_eq!(code, 1);
    assert!(
        words.contains("expected the address of this repository"),
        "{words}"
    );
}

/// What the clone lacks is fetched: that reel, and not those before it.
#[test]
fn recipe_mismatch_downloads() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    // A branch that the clone has never seen, gone again from the refs.
    world.git(&["-C", "work", "checkout", "-q", "-b", "gone"]);
    world.commit("work", "gone.txt", "dropped\n");
    world.publish("work", &[]);
    world.git(&["-C", "work", "checkout", "-q", "main"]);
    world.git(&["-C", "work", "branch", "-q", "-D", "gone"]);
    let address = world.publish("work", &["--prune"]);
    let (_seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);
    let (plain, _) = world.seed("plain", &["--from", &from]);
    let (downloaded, made) = until_complete(&plain, 3);
    assert_eq!(made, ["reels/0-0.bundle"]);
    let status = world.gt(&["status", "-C", "plain"]);
    assert!(!status.contains("missing"), "{status}");
    assert!(downloaded > 0, "the second reel was fetched");
}

/// Many pushes make few reels; a mirror that holds the parts of a splice
/// fetches only what is new.
#[test]
fn many_publications_make_few_reels() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.gt(&[
        "clone",
        "--mirror",
        &with_peer(&address, &place),
        "mirror.git",
    ]);
    let (mirror, _) = world.seed("mirror.git", &["--peer", &place]);
    const PUSHES: u64 = 9;
    for n in 0..PUSHES {
        world.commit("work", "pushed.txt", &format!("push {n}\n"));
        world.publish("work", &[]);
        mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == n + 2);
    }
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    world.fsck("mirror.git");
    let fresh = world.path("fresh.git");
    world.gt(&[
        "clone",
        "--mirror",
        &with_peer(&address, &place),
        fresh.to_str().unwrap(),
    ]);
    let reels = std::fs::read_dir(world.path("fresh.git/gt/reels")).unwrap();
    let count = reels.count() as u64;
    assert!(count < PUSHES / 2 + 2, "{count} reels");
    assert_eq!(world.refs("fresh.git"), world.refs("work"));
    world.fsck("fresh.git");
}
