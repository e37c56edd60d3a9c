//! `gt pack`: making, joining and taking in bundles.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::world::World;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn bundles_are_made_joined_and_taken_in() {
    let world = World::new();
    world.repository("work");
    let first = json(&world.gt(&["pack", "reel", "-C", "work", "-o", "first.bundle", "--json"]));
    assert_eq!(first["recipe"], "gt4");
    let length = std::fs::metadata(world.path("first.bundle")).unwrap().len();
    assert_eq!(first["bytes"], length);
    let figures = world.gt(&["pack", "reel", "-C", "work"]);
    assert!(
        figures.contains(first["root"].as_str().unwrap()),
        "{figures}"
    );

    world.git(&["-C", "work", "tag", "before"]);
    world.commit("work", "more.txt", "pushed\n");
    let words = [
        "pack",
        "reel",
        "-C",
        "work",
        "--since",
        "before",
        "v1",
        "-o",
        "second.bundle",
    ];
    world.gt(&words);
    let heads = world.git(&["bundle", "list-heads", "second.bundle"]);
    assert!(
        heads.contains("refs/heads/main") && !heads.contains("topic"),
        "{heads}"
    );
    let (code, words) = world.gt_fails(&["pack", "reel", "-C", "work", "--since", "main", "v1"]);
    assert_eq!(code, 1, "{words}");
    let (code, _) = world.gt_fails(&["pack", "reel", "-C", "work", "--recipe", "other"]);
    assert_eq!(code, 2);
    let (code, words) = world.gt_fails(&["pack", "reel", "-C", "work", "--since", "nobody"]);
    assert!(code == 2 && words.contains("nobody"), "{words}");
    // A name, and something else than it stands for.
    let words = ["pack", "reel", "-C", "work", "--recipe", "gt4", "--depth"];
    let (code, said) = world.gt_fails(&[&words[..], &["7"]].concat());
    assert!(code == 2 && said.contains("100"), "{said}");
    let named = json(&world.gt(&[&words[..], &["100", "--json"]].concat()));
    assert_eq!(named["recipe"], "gt4");
    let flat = json(&world.gt(&["pack", "reel", "-C", "work", "--depth", "0", "--json"]));
    assert_eq!(
        (&flat["deltas"], &flat["recipe"]),
        (&0.into(), &Value::Null)
    );

    let both = ["first.bundle", "second.bundle"];
    let splice = [
        &["pack", "splice"],
        &both[..],
        &["-o", "both.bundle", "--json"],
    ]
    .concat();
    let spliced = json(&world.gt(&splice));
    assert_eq!(spliced["parts"], 2);
    world.git(&["clone", "-q", "--mirror", "both.bundle", "copy.git"]);
    world.fsck("copy.git");
    let (code, words) =
        world.gt_fails(&["pack", "splice", "first.bundle", "first.bundle", "-o", "x"]);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("twice"), "{words}");
    assert!(!world.path("x").exists());
    // Refusals are told to programs too.
    for words in [
        &["pack", "splice", "first.bundle", "first.bundle", "-o", "x"][..],
        &["pack", "reel", "-C", "work", "--since", "main", "v1"],
    ] {
        let words = [words, &["--json"]].concat();
        let refused = world.run(env!("CARGO_BIN_EXE_gt"), &words);
        assert_eq!(refused.status.code(), Some(1));
        let told = json(&String::from_utf8(refused.stdout).unwrap());
        assert_eq!(told["verdict"], "refused");
        assert!(told["why"].as_str().unwrap().contains("expected"));
    }
    let (code, words) = world.gt_fails(&["pack", "splice", "second.bundle", "-o", "x"]);
    assert_eq!(code, 1, "its base is not here: {words}");

    world.git(&["init", "-q", "--bare", "in.git"]);
    let (code, words) = world.gt_fails(&["pack", "import", "-C", "in.git", "second.bundle"]);
    assert_eq!(code, 1, "{words}");
    let taken = json(&world.gt(&["pack", "import", "-C", "in.git", "first.bundle", "--json"]));
    assert_eq!(
        (&taken["verdict"], &taken["already"]),
        (&"accept".into(), &false.into())
    );
    assert_eq!(taken["objects"], first["objects"]);
    let again = world.gt(&["pack", "import", "-C", "in.git", "first.bundle"]);
    assert!(again.contains("was in before"), "{again}");
    world.gt(&["pack", "import", "-C", "in.git", "second.bundle"]);
    let tip = world.git(&["-C", "work", "rev-parse", "main"]);
    world.git(&["-C", "in.git", "update-ref", "refs/heads/main", tip.trim()]);
    world.fsck("in.git");

    let mut bytes = std::fs::read(world.path("first.bundle")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(world.path("bad.bundle"), bytes).unwrap();
    world.git(&["init", "-q", "--bare", "other.git"]);
    let output = world.run(
        env!("CARGO_BIN_EXE_gt"),
        &["pack", "import", "-C", "other.git", "bad.bundle", "--json"],
    );
    assert_eq!(output.status.code(), Some(1));
    let told = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(told["verdict"], "reject");
    let (code, _) = world.gt_fails(&["pack", "import", "-C", "other.git", "none.bundle"]);
    assert_eq!(code, 2);
}

#[test]
fn bundles_are_verified_and_listed_as_packs_are() {
    let world = World::new();
    for format in ["sha1", "sha256"] {
        let work = format!("work-{format}");
        world.repository_of(&work, format);
        let whole = format!("{format}.bundle");
        world.gt(&["pack", "reel", "-C", &work, "-o", &whole]);
        let told = json(&world.gt(&["pack", "verify", "--json", "--fsck", &whole]));
        assert_eq!(told["verdict"], "good");
        assert_eq!(told["bundle"]["tips"], 4);
        let listed = world.gt(&["pack", "list", &whole]);
        assert_eq!(listed.lines().count() as u64, told["objects"]);
        let through = |file: &str| {
            let line = format!("gt pack verify --json --fsck - < {file}");
            let output = world.run("sh", &["-c", &line]);
            let code = output.status.code().unwrap();
            (code, String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(json(&through(&whole).1), told);

        // A thin one needs the repository that it stands on.
        world.git(&["-C", &work, "update-ref", "refs/private/x", "HEAD"]);
        world.text(&work, 400, 1);
        let thin = format!("{work}/thin.bundle");
        let since = ["--since", "refs/private/x", "v1"];
        let words = [&["pack", "reel", "-C", &work, "-o", &thin], &since[..]].concat();
        world.gt(&words);
        let inside = format!("cd {work} && gt pack verify --json thin.bundle");
        let output = world.run("sh", &["-c", &inside]);
        let told = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(told["bundle"]["prerequisites"], 1, "{told}");
        world.git(&["-C", &work, "reset", "-q", "--hard", "HEAD~1"]);

        // As git takes them: the same verdict.
        let bytes = std::fs::read(world.path(&whole)).unwrap();
        let oid = world.git(&["-C", &work, "rev-parse", "main"]);
        let header = bytes.windows(2).position(|w| w == b"\n\n").unwrap() + 2;
        let other = oid.trim().replace(['0', '1', '2'], "3");
        let head = String::from_utf8(bytes[..header].to_vec()).unwrap();
        let tip = head.replace(oid.trim(), &other);
        for (name, altered) in [
            (
                "a tip that is nowhere",
                [tip.as_bytes(), &bytes[header..]].concat(),
            ),
            ("cut in the header", bytes[..header - 3].to_vec()),
            ("cut in the pack", bytes[..bytes.len() - 9].to_vec()),
            ("no pack", bytes[..header].to_vec()),
            (
                "a version to come",
                [b"# v9 git bundle\n", &bytes[16..]].concat(),
            ),
            ("junk at the end", [&bytes[..], b"x"].concat()),
        ] {
            std::fs::write(world.path("altered"), &altered).unwrap();
            let (code, words) = world.gt_fails(&["pack", "verify", "altered"]);
            assert_eq!(code, 1, "{name}: {words}");
            assert_eq!(through("altered").0, 1, "{name}, through a pipe");
            let init = format!("--object-format={format}");
            world.git(&["init", "-q", "--bare", &init, "empty.git"]);
            let fetch = [
                "-C",
                "empty.git",
                "fetch",
                "-q",
                "../altered",
                "refs/*:refs/*",
            ];
            assert!(!world.run("git", &fetch).status.success(), "{name}");
            std::fs::remove_dir_all(world.path("empty.git")).unwrap();
        }
        let (code, words) = world.gt_fails(&["pack", "index", &whole, "-o", "x.idx"]);
        assert!(code == 1 && words.contains("got a bundle"), "{words}");
        assert!(!world.path("x.idx").exists());
    }
}

/// Whatever ends it, no file is left that nobody asked for.
#[test]
fn a_reel_that_was_interrupted_leaves_nothing() {
    let world = World::new();
    world.repository("work");
    world.noise("work", 8 << 20);
    std::fs::create_dir(world.path("here")).unwrap();
    for n in 0..6 {
        let words = ["pack", "reel", "-C", "work", "-o", "here/a.bundle"];
        let mut gt = world.group(env!("CARGO_BIN_EXE_gt"), &words);
        std::thread::sleep(std::time::Duration::from_millis(20 + n * 60));
        gt.kill();
        let mut left = std::fs::read_dir(world.path("here")).unwrap();
        let name = left.next().map(|entry| entry.unwrap().file_name());
        assert!(name.is_none_or(|n| n == "a.bundle"), "something is left");
    }
}

/// A stream that a test looks at afterwards.
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a command shows on standard error, a terminal or not.
fn shown(world: &World, words: &[&str], terminal: bool) -> String {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut env = world.env();
    env.args = ["gt"].iter().chain(words).map(Into::into).collect();
    env.terminal = terminal;
    env.stdout = Box::new(std::io::sink());
    env.stderr = Box::new(Seen(Arc::clone(&seen)));
    let _ = gt_cli::gt(&mut env);
    let seen = seen.lock().unwrap().clone();
    String::from_utf8(seen).unwrap()
}

#[test]
fn how_far_a_work_is_is_shown_on_a_terminal_alone() {
    let world = World::new();
    world.repository("work");
    world.git(&["init", "-q", "--bare", "in.git"]);
    world.gt(&["pack", "reel", "-C", "work", "-o", "a.bundle"]);
    for (words, title) in [
        (
            &["pack", "reel", "-C", "work", "-o", "b.bundle"][..],
            "Writing reel",
        ),
        (
            &["pack", "splice", "a.bundle", "-o", "c.bundle"],
            "Reading pack",
        ),
        (&["pack", "verify", "a.bundle"], "Reading pack"),
        (
            &["pack", "import", "-C", "in.git", "a.bundle"],
            "Reading pack",
        ),
    ] {
        let on = shown(&world, words, true);
        assert!(
            on.contains(title) && on.ends_with('\n'),
            "{words:?}: {on:?}"
        );
    }
    std::fs::remove_dir_all(world.path("in.git")).unwrap();
    world.git(&["init", "-q", "--bare", "in.git"]);
    for words in [
        &["pack", "reel", "-C", "work", "-o", "b.bundle"][..],
        &["pack", "import", "-C", "in.git", "a.bundle"],
    ] {
        assert_eq!(shown(&world, words, false), "", "{words:?}");
    }
}

/// An index that leads to other objects makes no bundle, and the complaint
/// says which object and where.
#[test]
fn no_reel_is_made_of_objects_under_other_names() {
    let world = World::new();
    world.repository("work");
    world.git(&["-C", "work", "repack", "-q", "-adf"]);
    let mut packs = std::fs::read_dir(world.path("work/.git/objects/pack")).unwrap();
    let idx = packs.find_map(|file| {
        let path = file.unwrap().path();
        (path.extension()? == "idx").then_some(path)
    });
    let idx = idx.unwrap();
    let mut bytes = std::fs::read(&idx).unwrap();
    let count = u32::from_be_bytes(bytes[8 + 1020..][..4].try_into().unwrap()) as usize;
    // Where the entries of two blobs begin, each the other's.
    let offsets = 8 + 1024 + count * 24;
    let place = |blob: &str| {
        let name = world.git(&["-C", "work", "rev-parse", blob]);
        let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let mut names = bytes[8 + 1024..][..count * 20].chunks_exact(20);
        names.position(|id| hex(id) == name.trim()).unwrap()
    };
    let (one, other) = (place("HEAD:file-0.txt"), place("HEAD:file-1.txt"));
    for n in 0..4 {
        bytes.swap(offsets + 4 * one + n, offsets + 4 * other + n);
    }
    std::fs::remove_file(&idx).unwrap();
    std::fs::write(&idx, bytes).unwrap();
    std::fs::create_dir(world.path("here")).unwrap();
    let words = ["pack", "reel", "-C", "work", "-o", "here/a.bundle"];
    let (code, said) = world.gt_fails(&words);
    let pack = idx.with_extension("pack");
    let pack = pack.file_name().unwrap().to_str().unwrap();
    assert!(code == 1 && said.contains(pack), "{said}");
    let blobs = ["HEAD:file-0.txt", "HEAD:file-1.txt"];
    let mut names = blobs.map(|blob| world.git(&["-C", "work", "rev-parse", blob]));
    assert!(
        names.iter_mut().all(|name| said.contains(name.trim())),
        "{said}"
    );
    assert_eq!(std::fs::read_dir(world.path("here")).unwrap().count(), 0);
}
