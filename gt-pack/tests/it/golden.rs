//! The very bytes of reels of odd histories: objects above the ceiling of
//! memory, and files that go back and forth.

use gt_pack::encode::Moment;
use gt_pack::published::{Known, Nothing};

use crate::encode::{HEAD, Stream, at, encoded};
use crate::git::{Git, text};

/// Bytes that do not deflate.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Returns the same repository in one pack with as many deltas as git finds.
fn packed(git: &Git) -> Git {
    let packed = Git::bare();
    let source = git.path().to_str().unwrap();
    packed.run(["fetch", "-q", source, "+refs/*:refs/*"]);
    packed.run(["repack", "-q", "-adf", "--depth=50", "--window=50"]);
    packed
}

/// Returns how many deltas stand between an object and a whole one.
fn depth(git: &Git, rev: &str) -> u32 {
    let id = git.oid(rev).to_string();
    let packs = std::fs::read_dir(git.path().join("objects/pack")).unwrap();
    let mut packs = packs.map(|entry| entry.unwrap().path());
    let idx = packs.find(|path| path.extension().is_some_and(|e| e == "idx"));
    let listed = git.run(["verify-pack", "-v", idx.unwrap().to_str().unwrap()]);
    let line = listed.lines().find(|line| line.starts_with(&id)).unwrap();
    // Of deltas alone a depth and a base are told.
    line.split_whitespace()
        .nth(5)
        .map_or(0, |depth| depth.parse().unwrap())
}

/// One file that is compressed in three pieces, and one in two that the
/// repository has as a delta on it.
fn pieces() -> Git {
    let large = noise((32 << 20) + 1000);
    let mut s = Stream::default();
    s.commit("main", 1, &[]);
    s.file("100644", "noise", &large);
    s.commit("main", 2, &[1]);
    let begin = text(1, 10);
    s.file(
        "100644",
        "noise",
        &[begin.as_bytes(), &large[..17 << 20]].concat(),
    );
    let git = Git::bare();
    git.with(["fast-import", "--quiet"], &s.bytes);
    git
}

/// A large file whose history forks, merges and goes back, and goes back again
/// in pushes after the first.
fn reverts() -> (Git, Vec<&'static str>) {
    let first = text(9, 1_000);
    let version = |n: u32| {
        (1..=n).fold(first.clone(), |text, n| {
            text.replacen(&format!("line {} of", n * 31), &format!("new {n}"), 1)
        })
    };
    let mut s = Stream::default();
    s.commit("main", 1, &[]);
    s.text("file", &version(0));
    for n in 2..10 {
        s.commit("main", n, &[n - 1]);
        // To what it was three commits ago, now and then.
        s.text("file", &version(if n % 4 == 0 { n - 4 } else { n }));
    }
    s.commit("side", 20, &[4]);
    s.text("file", &format!("{}side\n", version(5)));
    s.commit("side", 21, &[20]);
    s.text("file", &version(3));
    // One side's, the other's, and what both make.
    s.commit("main", 30, &[9, 20]);
    s.text("file", &format!("{}side\n", version(9)));
    s.commit("main", 31, &[30, 21]);
    s.text("file", &version(3));
    s.text("copy", &version(9));
    s.commit("main", 32, &[31]);
    s.text("file", &version(12));
    s.commit("main", 33, &[32]);
    s.text("file", &version(0));
    s.commit("main", 34, &[33]);
    s.text("file", &format!("{}end\n", version(12)));
    s.line("D copy");
    let git = Git::bare();
    git.with(["fast-import", "--quiet"], &s.bytes);
    (git, vec!["main~5", "main~4", "main~1", "main"])
}

fn whole(git: &Git, threads: usize) -> (u64, String, Vec<u8>) {
    let now = at(git, &[("refs/heads/main", "main")]);
    let moment = Moment::new(&now, &[], HEAD);
    let (reel, bytes) = encoded(git, &Nothing, &moment, threads).unwrap();
    (reel.length, reel.root.to_string(), bytes)
}

fn chain(git: &Git, tips: &[&str], threads: usize) -> String {
    let mut known = Known::default();
    let mut before = Vec::new();
    let mut lines = String::new();
    for (n, tip) in tips.iter().enumerate() {
        let now = at(git, &[("refs/heads/main", tip)]);
        let moment = Moment::new(&now, &before, HEAD);
        let (reel, _) = encoded(git, &known, &moment, threads).unwrap();
        lines += &format!("reverts-{n} {} {}\n", reel.length, reel.root);
        known.extend(reel.objects.iter());
        before = now;
    }
    lines
}

#[test]
fn golden_pieces() {
    let git = pieces();
    let (length, root, bytes) = whole(&git, 1);
    let line = format!("pieces {length} {root}\n");
    let golden = include_str!("../golden/gt4-odd.golden");
    assert_eq!(Some(line.trim_end()), golden.lines().next());
    let packed = packed(&git);
    assert!(depth(&packed, "main:noise") > 0, "git has it as a delta");
    assert_eq!(whole(&packed, 2).1, root);
    // Git reads what was deflated in pieces.
    let (_, header) = gt_pack::bundle::Header::read(&bytes).unwrap().unwrap();
    Git::bare().with(["index-pack", "--strict", "--stdin"], &bytes[header..]);
}

#[test]
fn golden_reverts() {
    let (git, tips) = reverts();
    let lines = |git: &Git, threads| {
        let (length, root, _) = whole(git, threads);
        format!("reverts {length} {root}\n{}", chain(git, &tips, threads))
    };
    let golden = include_str!("../golden/gt4-odd.golden");
    let (_, golden) = golden.split_once('\n').unwrap();
    assert_eq!(lines(&git, 1), golden);
    assert_eq!(lines(&packed(&git), 2), golden);
}

/// A small file that has a third of a large one's text: the nearest version of
/// that has many before it, and is no version of the small one.
#[test]
fn a_long_way_for_a_third_of_an_object_is_not_gone() {
    let large = |versions: u32| {
        (0..versions).fold(text(3, 4000), |text, n| {
            text.replacen(&format!("line {} of", n * 50), "a new line of", 1)
        })
    };
    let shared: String = large(0).split_inclusive('\n').take(60).collect();
    let own: String = text(77, 400)
        .lines()
        .map(|line| format!("{}\n", &line[line.len() - 8..]))
        .collect();
    let mut s = Stream::default();
    s.commit("main", 1, &[]);
    s.text("other/x.po", &(shared + &own));
    s.text("po/x.po", &large(0));
    for n in 2..=30 {
        s.commit("main", n, &[n - 1]);
        s.text("po/x.po", &large(n));
    }
    let git = Git::bare();
    git.with(["fast-import", "--quiet"], &s.bytes);
    let now = at(&git, &[("refs/heads/main", "main")]);
    let moment = Moment::new(&now, &[], HEAD);
    let (reel, _) = encoded(&git, &Nothing, &moment, 1).unwrap();
    let depth = |rev: &str| {
        let id = git.oid(rev);
        let mut placed = reel.objects.iter();
        placed.find(|placed| placed.id == id).unwrap().depth
    };
    assert!(depth("main~29:po/x.po") > 20);
    assert_eq!(depth("main:other/x.po"), 0);
    assert_eq!(
        format!("{} {}", reel.length, reel.root),
        "42078 15c0ccbd18a4b17f2b8da59ed0058c8787d4a55f8e2b6d864fba4464e6589d5e"
    );
}
