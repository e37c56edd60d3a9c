//! Imports, joinings and splices that are killed, and git that cleans up
//! meanwhile: what is in is whole, and the next run goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::world::{World, with_peer};

const GT: &str = env!("CARGO_BIN_EXE_gt");

/// Numbers that look random and are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    /// A moment within a work that takes about `whole`.
    fn moment(&mut self, whole: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        whole.mul_f64((self.0 >> 40) as f64 / f64::from(1 << 24) * 1.1)
    }
}

/// Bundles of one repository, each with what was added since the one before.
/// Some are as long as all before, so that their packs are joined often.
fn bundles(world: &World, count: u64) -> Vec<String> {
    world.repository("work");
    let mut names = Vec::new();
    for n in 0..count {
        let name = format!("{n}.bundle");
        if n == 0 {
            world.gt(&["pack", "reel", "-C", "work", "-o", &name]);
        } else {
            world.git(&["-C", "work", "update-ref", "refs/private/x", "HEAD"]);
            world.text("work", 100 << (n % 5), n);
            let since = ["--since", "refs/private/x", "v1"];
            let words = [&["pack", "reel", "-C", "work", "-o", &name], &since[..]].concat();
            world.gt(&words);
        }
        names.push(name);
    }
    names
}

/// All of them are in, and git finds nothing wrong.
fn check(world: &World, repository: &str, bundles: &[String]) {
    let tip = world.git(&["-C", "work", "rev-parse", "main"]);
    let update = ["update-ref", "refs/heads/main", tip.trim()];
    world.git(&[&["-C", repository], &update[..]].concat());
    world.fsck(repository);
    for bundle in bundles {
        let said = world.gt(&["pack", "import", "-C", repository, bundle]);
        assert!(said.contains("was in before"), "{bundle}: {said}");
    }
    let objects = world.path(repository).join("objects");
    for entry in std::fs::read_dir(objects).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with("gt-quarantine"), "{name} is left");
    }
    for entry in std::fs::read_dir(world.path(repository).join("gt/reels")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(name.len(), 64, "{name} is left");
    }
}

fn packs(world: &World, repository: &str) -> usize {
    let folder = std::fs::read_dir(world.path(repository).join("objects/pack")).unwrap();
    let packs = folder.filter(|e| {
        let path = e.as_ref().unwrap().path();
        path.extension().is_some_and(|e| e == "pack")
    });
    packs.count()
}

#[test]
fn imports_and_joinings_killed_at_random_moments_go_on() {
    let world = World::new();
    let bundles = bundles(&world, 12);
    world.git(&["init", "-q", "--bare", "in.git"]);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut whole = Duration::from_millis(80);
    for bundle in &bundles {
        let words = ["pack", "import", "-C", "in.git", bundle];
        for _ in 0..5 {
            let mut gt = world.group(GT, &words);
            std::thread::sleep(chance.moment(whole));
            gt.kill();
        }
        let began = Instant::now();
        world.gt(&words);
        whole = began.elapsed();
    }
    check(&world, "in.git", &bundles);
    // What is kept stays; what killed joinings left goes.
    world.git(&["-C", "in.git", "gc", "-q", "--prune=now"]);
    check(&world, "in.git", &bundles);
    let left = packs(&world, "in.git");
    assert!(left < 8, "{left} packs of {} reels", bundles.len());
}

/// Runs git, which looks again once where a pack is gone that it knew, and not
/// twice: while one import follows on another it may have to be run again.
fn clean(world: &World, words: &[&str]) {
    let words = [&["-C", "in.git"], words].concat();
    let mut said = String::new();
    for _ in 0..5 {
        let output = world.run("git", &words);
        if output.status.success() {
            return;
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    panic!("{words:?}: {said}");
}

#[test]
fn git_cleans_up_while_reels_come_in() {
    let world = World::new();
    let bundles = bundles(&world, 14);
    world.git(&["init", "-q", "--bare", "in.git"]);
    world.git(&["-C", "in.git", "config", "gc.auto", "0"]);
    let ended = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        let cleaner = scope.spawn(|| {
            let mut rounds = 0;
            while !ended.load(Ordering::Relaxed) || rounds < 2 {
                let fetch = ["fetch", "-q", "../work", "+refs/heads/*:refs/fetched/*"];
                for words in [
                    &fetch[..],
                    &["repack", "-adq"],
                    &["gc", "-q", "--prune=now"],
                    &["repack", "-Adq"],
                ] {
                    clean(&world, words);
                }
                rounds += 1;
            }
            rounds
        });
        let imported = bundles
            .iter()
            .map(|bundle| world.run(GT, &["pack", "import", "-C", "in.git", bundle]));
        let imported: Vec<_> = imported.collect();
        ended.store(true, Ordering::Relaxed);
        for output in imported {
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words}");
        }
        cleaner.join().unwrap()
    });
    assert!(rounds >= 2);
    check(&world, "in.git", &bundles);
}

#[test]
fn publications_that_splice_killed_at_random_moments_go_on() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &from, "m.git"]);
    let (mirror, _) = world.seed("m.git", &["--peer", &place]);
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut whole = Duration::from_millis(300);
    for n in 1..8 {
        world.text("work", 300, n);
        for _ in 0..3 {
            let mut gt = world.group(GT, &["publish", "-C", "work"]);
            std::thread::sleep(chance.moment(whole));
            gt.kill();
        }
        let began = Instant::now();
        world.publish("work", &[]);
        whole = began.elapsed();
        let tip = world.git(&["-C", "work", "rev-parse", "main"]);
        // However often it was said, it arrives.
        let until = Instant::now() + Duration::from_secs(60);
        while world.git(&["-C", "m.git", "rev-parse", "main"]) != tip {
            assert!(Instant::now() < until, "push {n} does not arrive");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    drop(mirror);
    world.fsck("work");
    world.fsck("m.git");
    assert_eq!(world.refs("m.git"), world.refs("work"));
    let status = world.gt(&["status", "-C", "work"]);
    assert!(status.matches("Reel ").count() < 6, "{status}");
    world.gt(&["clone", "--mirror", &from, "fresh.git"]);
    assert_eq!(world.refs("fresh.git"), world.refs("work"));
    world.fsck("fresh.git");
}
