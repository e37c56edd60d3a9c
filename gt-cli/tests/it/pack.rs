//! `gt pack verify`, `index` and `list`, on packs of git.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::World;

/// A repository with one pack, and the name of that.
fn packed(world: &World) -> String {
    world.repository("work");
    for n in 0..5 {
        world.commit("work", "a.txt", &format!("{}\n", "line\n".repeat(n * 40)));
    }
    world.git(&["-C", "work", "repack", "-q", "-ad"]);
    let found = std::fs::read_dir(world.path("work/.git/objects/pack")).unwrap();
    let mut packs = found.map(|e| e.unwrap().path());
    let pack = packs.find(|p| p.extension().is_some_and(|e| e == "pack"));
    pack.unwrap().to_str().unwrap().to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_good_pack() {
    let world = World::new();
    let pack = packed(&world);
    let said = world.gt(&["pack", "verify", &pack]);
    assert!(said.contains(" good: "), "{said}");
    let value = json(&world.gt(&[
        "pack",
        "verify",
        "--fsck",
        "--json",
        "--threads",
        "2",
        &pack,
    ]));
    assert_eq!(value["verdict"], "good");
    assert_eq!(value["fsck"], Value::Array(Vec::new()));
    let objects = value["objects"].as_u64().unwrap();
    let list = world.gt(&["pack", "list", &pack]);
    assert_eq!(list.lines().count() as u64, objects);
    // Git lists the same: name, kind, size, size in the pack, offset.
    let theirs = world.git(&["verify-pack", "-v", &pack]);
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        assert!(theirs.contains(&words.join(" ")), "{line}");
    }
    for line in world.gt(&["pack", "list", "--json", &pack]).lines() {
        assert!(json(line)["offset"].as_u64().unwrap() >= 12);
    }
    // To the bit what git wrote beside it.
    world.gt(&["pack", "index", &pack, "-o", "x.idx"]);
    for (ours, theirs) in [("x.idx", "idx"), ("x.rev", "rev")] {
        let theirs = std::fs::read(pack.replace(".pack", &format!(".{theirs}"))).unwrap();
        assert!(std::fs::read(world.path(ours)).unwrap() == theirs, "{ours}");
    }
    std::fs::copy(&pack, world.path("b.pack")).unwrap();
    world.gt(&["pack", "index", "b.pack"]);
    world.git(&["verify-pack", "b.idx"]);
}

fn through_stdin(world: &World, pack: &[u8], args: &[&str]) -> std::process::Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gt"))
        .current_dir(world.path("."))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A reader that has seen enough closes its end.
        scope.spawn(move || drop(stdin.write_all(pack)));
        child.wait_with_output().unwrap()
    })
}

#[test]
fn standard_input_and_exit_codes() {
    let world = World::new();
    let pack = std::fs::read(packed(&world)).unwrap();
    let verify = ["pack", "verify", "-"];
    let good = through_stdin(&world, &pack, &verify);
    assert!(good.status.success(), "{good:?}");
    // Nobody watches: no progress.
    assert_eq!(good.stderr, b"");
    let mut altered = pack.clone();
    altered[40] ^= 1;
    let bad = through_stdin(&world, &altered, &["pack", "verify", "-", "--json"]);
    assert_eq!(bad.status.code(), Some(1));
    let value = json(std::str::from_utf8(&bad.stdout).unwrap());
    assert_eq!(value["verdict"], "refused");
    assert!(value["why"].as_str().unwrap().contains("expected"));
    assert_eq!(
        through_stdin(&world, &pack[..99], &verify).status.code(),
        Some(1)
    );
    assert_eq!(world.gt_fails(&["pack", "verify", "not-there.pack"]).0, 2);
    assert_eq!(world.gt_fails(&["pack", "verify", "."]).0, 2);
    assert_eq!(world.gt_fails(&["pack", "verify"]).0, 2);
    assert_eq!(world.gt_fails(&["pack", "index", "work/a.txt"]).0, 2);
    std::fs::write(world.path("c.pack"), &pack).unwrap();
    let (code, words) = world.gt_fails(&["pack", "index", "c.pack", "-o", "not/there/c.idx"]);
    assert!(code == 2 && words.contains("not/there"), "{words}");
    assert!(!world.path("not").exists());
    let (code, words) = world.gt_fails(&["pack", "verify", "work/a.txt"]);
    assert!(code == 1 && words.contains("expected a pack"), "{words}");
}

#[test]
fn a_list_may_be_read_in_part() {
    let world = World::new();
    world.repository("work");
    // More lines than a pipe holds.
    let mut input = Vec::new();
    for n in 0..2000 {
        write!(input, "blob\ndata <<.\n{n}\n.\n").unwrap();
    }
    let mut import = Command::new("git")
        .args(["-C", "work", "-c", "fastimport.unpackLimit=1"])
        .args(["fast-import", "--quiet"])
        .current_dir(world.path("."))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&input).unwrap();
    assert!(import.wait().unwrap().success());
    let found = std::fs::read_dir(world.path("work/.git/objects/pack")).unwrap();
    let mut packs = found.map(|e| e.unwrap().path());
    let pack = packs.find(|p| p.extension().is_some_and(|e| e == "pack"));
    let mut list = Command::new(env!("CARGO_BIN_EXE_gt"))
        .args(["pack", "list"])
        .arg(pack.unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 40];
    std::io::Read::read_exact(&mut list.stdout.take().unwrap(), &mut line).unwrap();
    let ended = list.wait_with_output().unwrap();
    assert!(
        ended.status.success() && ended.stderr.is_empty(),
        "{ended:?}"
    );
}

#[test]
fn who_gives_nothing_is_left() {
    let world = World::new();
    let pack = std::fs::read(packed(&world)).unwrap();
    // Before the first byte, inside of a bundle's header, inside of a pack.
    for begin in [&b""[..], b"# v2 git bundle\n", &pack[..99]] {
        let words = ["pack", "verify", "-", "--idle", "1", "--json"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_gt"))
            .current_dir(world.path("."))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Open until the end, so that only the ceiling can end it.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(begin).unwrap();
        let refused = child.wait_with_output().unwrap();
        drop(stdin);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let value = json(std::str::from_utf8(&refused.stdout).unwrap());
        let why = value["why"].as_str().unwrap();
        assert!(
            why.starts_with("expected more bytes within 1 seconds"),
            "{why}"
        );
        assert!(
            why.ends_with(&format!("after byte {}", begin.len())),
            "{why}"
        );
    }
}

#[test]
fn objects_are_checked_as_configured() {
    let world = World::new();
    world.repository("work");
    // A tree with a mode that begins with zeros.
    let blob = world.git(&["-C", "work", "rev-parse", "HEAD:file-0.txt"]);
    let mut tree = b"0100644 a\0".to_vec();
    let digits = blob.trim().as_bytes().chunks(2);
    tree.extend(digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()));
    std::fs::write(world.path("tree"), tree).unwrap();
    let words = ["hash-object", "-w", "--literally", "-t", "tree", "../tree"];
    let oid = world.git(&[&["-C", "work"][..], &words].concat());
    std::fs::write(world.path("list"), &oid).unwrap();
    let list = std::fs::File::open(world.path("list")).unwrap();
    let made = Command::new("git")
        .current_dir(world.path("work"))
        .args(["pack-objects", "-q", "--stdout"])
        .stdin(list)
        .output()
        .unwrap();
    std::fs::write(world.path("bad.pack"), made.stdout).unwrap();
    world.gt(&["pack", "verify", "bad.pack"]);
    let (code, words) = world.gt_fails(&["pack", "verify", "--fsck", "bad.pack"]);
    assert!(code == 1 && words.contains("zeroPaddedFilemode"), "{words}");
    let relaxed = [
        "pack",
        "verify",
        "--fsck",
        "-c",
        "fsck.zeroPaddedFilemode=warn",
        "bad.pack",
    ];
    world.gt(&relaxed);
    // The same in git's own configuration.
    let git = |value: &str| {
        let key = "fsck.zeroPaddedFilemode";
        world.git(&["-C", "work", "config", key, value]);
        world.run(
            "sh",
            &["-c", "cd work && gt pack verify --fsck ../bad.pack"],
        )
    };
    assert!(git("ignore").status.success());
    assert_eq!(git("error").status.code(), Some(1));
    let wrong = [
        "pack",
        "verify",
        "--fsck",
        "-c",
        "fsck.noSuch=warn",
        "bad.pack",
    ];
    assert_eq!(world.gt_fails(&wrong).0, 2);
}
