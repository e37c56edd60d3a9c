//! Seeds that lie or break: others make up for them, and nothing false is kept.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::proxy::{Proxy, Wire};
use crate::world::{World, with_peer};

const LARGE: usize = 2 << 20;

#[test]
fn a_lying_peer_is_banned_and_the_clone_completes() {
    let world = World::new();
    world.repository("work");
    world.noise("work", LARGE);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.gt(&[
        "clone",
        "--mirror",
        &with_peer(&address, &place),
        "honest.git",
    ]);
    let (_honest, honest) = world.seed("honest.git", &[]);
    let liar = Proxy::start(&place, Wire::Lies);
    let both = with_peer(&with_peer(&address, &liar.place), &honest);
    world.git(&["clone", "-q", "--mirror", &both, "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");
    assert!(liar.passed() > 0, "the liar was asked");
    assert!(
        liar.passed() < LARGE as u64,
        "{} bytes were taken from the liar",
        liar.passed()
    );
}

#[test]
fn a_liar_alone_gives_nothing_that_is_kept() {
    let world = World::new();
    world.repository("work");
    world.noise("work", LARGE);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let liar = Proxy::start(&place, Wire::Lies);
    let through = with_peer(&address, &liar.place);
    let words = ["clone", "--mirror", "--seed", "--json", &through, "m.git"];
    let clone = world.start(&words);
    clone.wait_for("statement");
    std::thread::sleep(Duration::from_secs(3));
    assert!(
        liar.connections() < 10,
        "a banned peer is asked again and again"
    );
    assert!(liar.passed() < 2 * LARGE as u64);
    clone.kill();
    assert_eq!(world.refs("m.git"), "");
    // The same clone, from somebody honest.
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");
}

/// Returns the pack of a repository's only reel.
fn pack(world: &World, repository: &str) -> PathBuf {
    std::fs::read_dir(world.path(repository).join("objects/pack"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "pack") && p.with_extension("keep").exists())
        .unwrap()
}

#[test]
fn altered_and_truncated_packs_are_not_accepted() {
    let world = World::new();
    world.repository("work");
    world.noise("work", LARGE);
    world.git(&["clone", "-q", "--bare", "work", "work.git"]);
    let address = world.publish("work.git", &[]);
    let (seed, place) = world.seed("work.git", &[]);
    let from = |place: &str| with_peer(&address, place);
    for name in ["altered.git", "short.git"] {
        world.gt(&["clone", "--mirror", &from(&place), name]);
    }
    for name in ["altered.git", "short.git"] {
        let path = pack(&world, name);
        let mut all = std::fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut all, 0o644);
        std::fs::set_permissions(&path, all).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        if name == "short.git" {
            file.set_len(length / 2).unwrap();
        } else {
            file.write_all_at(&[0x55; 4096], length / 2).unwrap();
        }
    }
    let (_altered, altered) = world.seed("altered.git", &[]);
    let (_short, short) = world.seed("short.git", &[]);
    let all = with_peer(&with_peer(&from(&altered), &short), &place);
    world.gt(&["clone", "--mirror", &all, "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");

    // Peers tell each other of peers: the honest one must not be found.
    seed.kill();
    let only = from(&altered);
    let words = ["clone", "--mirror", "--seed", "--json", &only, "n.git"];
    let clone = world.start(&words);
    clone.wait_for("progress");
    std::thread::sleep(Duration::from_secs(2));
    clone.kill();
    assert_eq!(world.refs("n.git"), "", "altered bytes were accepted");
}

#[test]
fn altered_statements_are_not_served() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    let folder = world.path("work/.git/gt/statements");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none() {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("refs/heads/main", "refs/heads/mine")).unwrap();
        }
    }
    let (code, words) = world.gt_fails(&["seed", "-C", "work", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("damaged"), "{words}");
}

#[test]
fn gc_and_repack_take_nothing_from_others() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "m.git"]);
    world.git(&["clone", "-q", &with_peer(&address, &place), "c"]);
    let (_mirror, second) = world.seed("m.git", &[]);
    let (_clone, third) = world.seed("c", &[]);
    for name in ["work", "m.git", "c"] {
        world.git(&["-C", name, "gc", "-q", "--prune=now"]);
        world.git(&["-C", name, "repack", "-q", "-a", "-d"]);
        world.fsck(name);
        let status = world.gt(&["status", "-C", name]);
        assert!(
            status.contains("held") && !status.contains("missing"),
            "{name}: {status}"
        );
    }
    for (n, place) in [place, second, third].iter().enumerate() {
        let folder = format!("again-{n}.git");
        world.git(&[
            "clone",
            "-q",
            "--mirror",
            &with_peer(&address, place),
            &folder,
        ]);
        assert_eq!(world.refs(&folder), world.refs("work"));
    }
}

#[test]
fn a_reel_whose_pack_was_repacked_is_brought_again() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "m.git"]);
    let keep = pack(&world, "m.git").with_extension("keep");
    std::fs::remove_file(keep).unwrap();
    world.git(&["-C", "m.git", "repack", "-q", "-a", "-d"]);
    let status = world.gt(&["status", "-C", "m.git"]);
    assert!(status.contains("missing"), "{status}");
    let (mirror, _) = world.seed("m.git", &[]);
    mirror.wait_for("complete");
    let status = world.gt(&["status", "-C", "m.git"]);
    assert!(status.contains("held"), "{status}");
    world.fsck("m.git");
}

#[test]
fn one_of_two_seeds_stops_and_two_pushes_come_at_once() {
    let world = World::new();
    world.repository("work");
    world.noise("work", LARGE);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &from, "second.git"]);
    let (_second, other) = world.seed("second.git", &[]);
    let cut = Proxy::start(&other, Wire::Stops(LARGE as u64 / 4));
    let both = with_peer(&with_peer(&address, &cut.place), &place);
    let words = ["clone", "--mirror", "--seed", "--json", &both, "m.git"];
    let mirror = world.start(&words);
    mirror.wait_for("progress");
    // Pushed while the first is still on its way.
    for n in 2..4 {
        world.commit("work", &format!("{n}.txt"), "pushed\n");
        world.publish("work", &[]);
    }
    mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == 3);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    mirror.kill();
    // Away during two more.
    for n in 4..6 {
        world.commit("work", &format!("{n}.txt"), "pushed\n");
        world.publish("work", &[]);
    }
    world.gt(&["fetch", "-C", "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");
}
