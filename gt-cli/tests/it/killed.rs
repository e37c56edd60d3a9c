//! Killed at any moment: the next run goes on, and nothing comes twice.

use std::time::{Duration, Instant};

use crate::proxy::{Proxy, Wire};
use crate::world::{World, with_peer};

/// Bytes of the large file, which do not compress.
const LARGE: usize = 4 << 20;
/// How much goes through before the first clone is killed.
const HALF: u64 = 2 << 20;
/// What is under way when it is killed, or is no payload.
const SLACK: u64 = 600 << 10;

#[test]
fn a_killed_mirror_fetches_no_piece_twice() {
    let world = World::new();
    world.repository("work");
    world.noise("work", LARGE);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let cut = Proxy::start(&place, Wire::Stops(HALF));
    let words = |address| ["clone", "--mirror", "--seed", "--json", address, "m.git"];
    let through = with_peer(&address, &cut.place);
    let first = world.start(&words(&through));
    let event = first.wait_until(|v| {
        let piece = v["total"]
            .as_u64()
            .map_or(0, |total| LARGE as u64 / total.max(1));
        v["event"] == "progress" && v["have"].as_u64().unwrap() * piece > HALF / 2
    });
    // At once: what was verified counts, noted or not.
    first.kill();
    let (have, total) = (
        event["have"].as_u64().unwrap(),
        event["total"].as_u64().unwrap(),
    );

    let direct = with_peer(&address, &place);
    let second = world.start(&words(&direct));
    let whole = second.wait_until(|v| v["event"] == "progress" && v["have"] == total);
    let came = whole["bytes"].as_u64().unwrap();
    let most = (total - have) * (LARGE as u64 + SLACK / 4) / total;
    assert!(
        came <= most,
        "{have} of {total} were there, {came} bytes came"
    );
    second.wait_for("refs");
    assert_eq!(world.refs("m.git"), world.refs("work"));
    world.fsck("m.git");
}

#[test]
fn a_killed_git_clone_goes_on_from_the_cache() {
    let world = World::new();
    world.repository("work");
    world.noise("work", LARGE);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let cut = Proxy::start(&place, Wire::Stops(HALF));
    let mut first = world.group(
        "git",
        &["clone", "-q", &with_peer(&address, &cut.place), "c"],
    );
    let until = Instant::now() + Duration::from_secs(30);
    while cut.passed() < HALF {
        assert!(Instant::now() < until, "{} bytes came", cut.passed());
        std::thread::sleep(Duration::from_millis(10));
    }
    // What has just come is being verified.
    std::thread::sleep(Duration::from_millis(300));
    first.kill();
    let clones = world.path("home/cache/gittorrent/clones");
    assert_eq!(std::fs::read_dir(&clones).unwrap().count(), 1);
    // Git had no time to remove it.
    let _ = std::fs::remove_dir_all(world.path("c"));

    let all = Proxy::start(&place, Wire::Stops(u64::MAX));
    world.git(&["clone", "-q", &with_peer(&address, &all.place), "c"]);
    world.fsck("c");
    assert!(
        all.passed() < LARGE as u64 - HALF + SLACK,
        "{} bytes came after {HALF} were there",
        all.passed()
    );
    assert_eq!(
        std::fs::read_dir(&clones).unwrap().count(),
        0,
        "the cache is left"
    );
}

#[test]
fn locks_of_a_killed_git_do_not_stop_a_mirror() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "m.git"]);
    world.commit("work", "new.txt", "later\n");
    world.publish("work", &[]);
    seed.wait_until(|v| v["event"] == "complete" && v["sequence"] == 2);
    // A lock that no gt left is somebody's who is at work.
    std::fs::write(world.path("m.git/refs/heads/main.lock"), "").unwrap();
    let (code, words) = world.gt_fails(&["fetch", "-C", "m.git"]);
    assert!(code == 1 && words.contains("main.lock"), "{code} {words}");
    // As a kill of the whole group leaves it.
    std::fs::write(world.path("m.git/gt/moving"), "moving\n").unwrap();
    world.gt(&["fetch", "-C", "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
    assert_eq!(std::fs::read(world.path("m.git/gt/moving")).unwrap(), b"");
}

#[test]
fn a_mirror_that_was_killed_while_it_was_made_goes_on() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    // Each as a kill leaves it: before its address is whole, within git init,
    // within git config.
    let gt = world.path("m.git/gt");
    std::fs::create_dir_all(&gt).unwrap();
    std::fs::write(gt.join("address.17.new"), "gt:").unwrap();
    world.gt(&["clone", "--mirror", &address, "m.git"]);
    for left in ["HEAD", "config"] {
        std::fs::remove_file(world.path("m.git").join(left)).unwrap();
        std::fs::write(world.path("m.git").join(format!("{left}.lock")), "").unwrap();
        world.gt(&["clone", "--mirror", &address, "m.git"]);
        assert_eq!(world.refs("m.git"), world.refs("work"));
    }
    // Anything else is somebody's.
    std::fs::create_dir_all(world.path("other")).unwrap();
    std::fs::write(world.path("other/mine"), "x").unwrap();
    assert_eq!(
        world.gt_fails(&["clone", "--mirror", &address, "other"]).0,
        1
    );
}

#[test]
fn a_helper_ends_with_its_git() {
    let world = World::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap().to_string();
    let address = format!("gt://{}?x.pe={place}", "a".repeat(52));
    let mut git = world.group("git", &["clone", "-q", &address, "c"]);
    let (mut peer, _) = silent.accept().unwrap();
    git.kill_alone();
    // The helper's end of the connection is closed long before its patience ends.
    peer.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut bytes = Vec::new();
    let ended = std::io::Read::read_to_end(&mut peer, &mut bytes);
    assert!(
        !ended.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
        "the helper goes on"
    );
    git.kill();
}

#[test]
#[ignore = "needs GT_DATA"]
fn publications_killed_at_random_gt_data() {
    let world = World::new();
    let bundle = world.data("repos/ripgrep.bundle");
    world.git(&["clone", "-q", "--bare", &bundle, "rg.git"]);
    let refs = world.refs("rg.git");
    for n in 0..20u64 {
        let mut gt = world.group(env!("CARGO_BIN_EXE_gt"), &["publish", "-C", "rg.git"]);
        std::thread::sleep(Duration::from_millis(n * 137 % 2000));
        gt.kill();
    }
    world.publish("rg.git", &[]);
    assert_eq!(world.refs("rg.git"), refs);
    world.fsck("rg.git");
    let status = world.gt(&["status", "-C", "rg.git"]);
    // A number that was about to be sealed when the kill came is not used again.
    assert!(
        status.contains("of epoch 0, 288 refs") && status.contains("held"),
        "{status}"
    );
    let number = |status: &str| {
        let line = status.lines().find(|line| line.starts_with("Statement"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    world.publish("rg.git", &[]);
    let again = world.gt(&["status", "-C", "rg.git"]);
    assert!(number(&status).is_some(), "{status}");
    assert_eq!(number(&again), number(&status), "all was published");
    let left = std::fs::read_dir(world.path("rg.git/gt/partial")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "a reel that was being made is left");
}

#[test]
#[ignore = "needs GT_DATA"]
fn mirrors_and_clones_killed_at_random_gt_data() {
    let world = World::new();
    let bundle = world.data("repos/ripgrep.bundle");
    world.git(&["clone", "-q", "--bare", &bundle, "rg.git"]);
    let address = world.publish("rg.git", &[]);
    let (_seed, place) = world.seed("rg.git", &[]);
    let address = with_peer(&address, &place);
    for n in 0..20u64 {
        let moment = Duration::from_millis(50 + n * 137 % 1500);
        for (program, words, folder) in [
            (
                env!("CARGO_BIN_EXE_gt"),
                &["clone", "--mirror"][..],
                "m.git",
            ),
            ("git", &["clone", "-q", "--mirror"][..], "c.git"),
        ] {
            let words = [words, &[&address, folder]].concat();
            let mut process = world.group(program, &words);
            std::thread::sleep(moment);
            process.kill();
            if program == "git" {
                // Git wants an empty place.
                let _ = std::fs::remove_dir_all(world.path(folder));
            }
            let again = world.run(program, &words);
            let told = String::from_utf8_lossy(&again.stderr);
            assert!(again.status.success(), "{folder} after {moment:?}: {told}");
            assert_eq!(world.refs(folder), world.refs("rg.git"));
            world.fsck(folder);
            std::fs::remove_dir_all(world.path(folder)).unwrap();
        }
    }
}
