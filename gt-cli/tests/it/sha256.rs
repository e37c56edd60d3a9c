//! Repositories whose objects are named by SHA-256, from the first
//! publication to the last clone.

use crate::world::{World, with_peer};

/// Tells what git names objects by in a repository.
fn format_of(world: &World, repository: &str) -> String {
    let words = ["-C", repository, "rev-parse", "--show-object-format"];
    world.git(&words).trim().to_owned()
}

#[test]
fn a_sha256_repository_is_published_cloned_and_followed() {
    let world = World::new();
    world.repository_of("work", "sha256");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);

    // A mirror by gt, a mirror and a work tree by git.
    world.gt(&["clone", "--mirror", &from, "mirror.git"]);
    world.git(&["clone", "-q", "--mirror", &from, "plain.git"]);
    world.gt(&["clone", &from, "tree"]);
    for clone in ["mirror.git", "plain.git", "tree"] {
        assert_eq!(format_of(&world, clone), "sha256", "{clone}");
        world.fsck(clone);
    }
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    assert_eq!(world.refs("plain.git"), world.refs("work"));
    let listed = world.git(&["ls-remote", &from, "refs/heads/main"]);
    assert_eq!(listed.split('\t').next().unwrap().len(), 64, "{listed}");

    // Small and large pushes, followed as they come, until reels are spliced.
    let (mirror, second) = world.seed("mirror.git", &["--peer", &place]);
    for n in 2..9 {
        world.commit("work", "pushed.txt", &format!("push {n}\n"));
        if n == 4 {
            world.noise("work", 300 << 10);
        }
        world.publish("work", &[]);
        mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == n);
    }
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    world.fsck("mirror.git");
    world.git(&["-C", "tree", "pull", "-q"]);
    world.git(&["-C", "plain.git", "fetch", "-q"]);
    assert_eq!(world.refs("plain.git"), world.refs("work"));

    // Whoever followed serves others, packs cleaned up by git or not.
    seed.kill();
    world.git(&["-C", "mirror.git", "gc", "-q", "--prune=now"]);
    let from = with_peer(&address, &second);
    world.gt(&["clone", "--mirror", &from, "last.git"]);
    assert_eq!(world.refs("last.git"), world.refs("work"));
    world.fsck("last.git");
}

#[test]
fn a_sha256_repository_can_be_shown_to_somebody() {
    let world = World::new();
    world.repository_of("work", "sha256");
    let kept = world.path("kept");
    // It compares the refs of every mirror with the publisher's, and fails.
    world.gt(&["demo", "work", "--keep", kept.to_str().unwrap()]);
}

#[test]
fn a_sha256_clone_by_plain_git_becomes_a_seed() {
    let world = World::new();
    world.repository_of("work", "sha256");
    world.publish("work", &[]);
    world.commit("work", "more.txt", "pushed\n");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    let (plain, _) = world.seed("plain", &["--from", &with_peer(&address, &place)]);
    let mut downloaded = 0;
    let mut made = 0;
    plain.wait_until(|v| {
        downloaded = downloaded.max(v["downloaded"].as_u64().unwrap_or(0));
        made += u32::from(v["event"] == "made");
        v["event"] == "complete" && v["sequence"] == 2
    });
    assert_eq!((made, downloaded), (2, 0));
    world.fsck("plain");
}

/// The hash is the charter's: what the person's configuration would choose
/// for a new repository does not count.
#[test]
fn a_mirror_has_the_hash_of_its_charter() {
    let world = World::new();
    for (format, other) in [("sha1", "sha256"), ("sha256", "sha1")] {
        let name = format!("of-{format}");
        world.repository_of(&name, format);
        let address = world.publish(&name, &[]);
        let (_seed, place) = world.seed(&name, &[]);
        let from = with_peer(&address, &place);
        world.git(&["config", "--global", "init.defaultObjectFormat", other]);
        let clone = format!("clone-{format}");
        world.gt(&["clone", "--mirror", &from, &clone]);
        assert_eq!(format_of(&world, &clone), format);
        assert_eq!(world.refs(&clone), world.refs(&name));
    }
}

/// A clone of another hash cannot hold what a charter names.
#[test]
fn a_clone_of_the_other_hash_is_refused_in_words() {
    let world = World::new();
    world.repository_of("work", "sha256");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.repository("other");
    let (code, words) = world.gt_fails(&[
        "seed",
        "-C",
        "other",
        "--from",
        &with_peer(&address, &place),
    ]);
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("expected") && words.contains("sha256") && words.contains("sha1"),
        "{words}"
    );
}
