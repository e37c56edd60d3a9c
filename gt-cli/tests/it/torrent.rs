//! `gt torrent …`: plain torrents.

use std::time::Duration;

use serde_json::Value;

use crate::world::World;

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 253) as u8).collect()
}

/// A folder of three files, one of which is empty.
fn folder(world: &World, name: &str) {
    let path = world.path(name);
    std::fs::create_dir_all(path.join("sub")).unwrap();
    std::fs::write(path.join("a.bin"), sample(300_000)).unwrap();
    std::fs::write(path.join("sub/b.bin"), sample(70_001)).unwrap();
    std::fs::write(path.join("sub/empty"), b"").unwrap();
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}

#[test]
fn made_shown_and_checked() {
    let world = World::new();
    folder(&world, "files");
    for version in ["--v1", "--v2", "--hybrid"] {
        let made = world.gt(&[
            "torrent",
            "create",
            "files",
            "-o",
            "x.torrent",
            version,
            "--piece",
            "32K",
            "--tracker",
            "http://tracker.example/announce",
            "--web-seed",
            "http://seed.example/",
            "--json",
        ]);
        let shown = json(&world.gt(&["torrent", "show", "x.torrent", "--json"]));
        let mut made = json(&made);
        made.as_object_mut().unwrap().remove("output");
        let left = made.as_object_mut().unwrap().remove("left_out");
        assert_eq!(left, Some(Value::Array(Vec::new())));
        assert_eq!(made, shown);
        assert_eq!(shown["version"], version.trim_start_matches("--"));
        assert_eq!(shown["length"], 370_001);
        assert_eq!(shown["files"].as_array().unwrap().len(), 3);
        assert_eq!(shown["files"][0].get("root").is_some(), version != "--v1");
        assert_eq!(shown["trackers"][0][0], "http://tracker.example/announce");
        let text = world.gt(&["torrent", "show", "x.torrent"]);
        assert!(
            text.contains("sub/b.bin") && text.contains("magnet:?xt=urn:bt"),
            "{text}"
        );
        let magnet = shown["magnet"].as_str().unwrap();
        assert!(
            magnet.contains("&tr=http") && magnet.contains("&ws=http"),
            "{magnet}"
        );
        assert!(text.contains(magnet), "{text}");
        let link = json(&world.gt(&["torrent", "show", magnet, "--json"]));
        assert_eq!(link["info_hash_v1"], shown["info_hash_v1"]);
        assert_eq!(link["info_hash_v2"], shown["info_hash_v2"]);
        // The folder above, or the folder itself.
        for place in [".", "files"] {
            let checked = json(&world.gt(&["torrent", "check", "x.torrent", place, "--json"]));
            assert_eq!(checked["complete"], true);
        }
    }
}

#[test]
fn a_folder_with_one_of_its_own_name_in_it_is_found_both_ways() {
    let world = World::new();
    folder(&world, "files");
    folder(&world, "files/files");
    world.gt(&["torrent", "create", "files", "-o", "x.torrent"]);
    for place in [".", "files"] {
        let checked = json(&world.gt(&["torrent", "check", "x.torrent", place, "--json"]));
        assert_eq!(checked["complete"], true, "{place}");
    }
    // What lies in it alone is the whole of another torrent.
    world.gt(&["torrent", "create", "files/files", "-o", "y.torrent"]);
    let checked = json(&world.gt(&["torrent", "check", "y.torrent", "files", "--json"]));
    assert_eq!(checked["complete"], true);
}

#[test]
fn what_is_wrong_is_named() {
    let world = World::new();
    folder(&world, "files");
    world.gt(&["torrent", "create", "files", "--piece", "16K"]);
    let mut bytes = sample(300_000);
    bytes[100_000] ^= 1;
    std::fs::write(world.path("files/a.bin"), bytes).unwrap();
    std::fs::remove_file(world.path("files/sub/b.bin")).unwrap();
    let (code, words) = world.gt_fails(&["torrent", "check", "files.torrent", "."]);
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("pieces are right, 1 of 3 files whole"),
        "{words}"
    );
    let (code, words) = world.gt_fails(&["torrent", "seed", "files.torrent", "."]);
    assert_eq!(code, 1, "{words}");
    std::fs::write(world.path("files/sub/b.bin"), sample(70_001)).unwrap();
    let (code, words) = world.gt_fails(&["torrent", "seed", "files.torrent", "."]);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("a.bin"), "{words}");
}

#[test]
fn codes_tell_refused_from_broken() {
    let world = World::new();
    std::fs::write(world.path("junk.torrent"), b"d4:infodee").unwrap();
    let (code, words) = world.gt_fails(&["torrent", "show", "junk.torrent"]);
    assert_eq!(
        (code, words.contains("expected the key")),
        (1, true),
        "{words}"
    );
    let (code, words) = world.gt_fails(&["torrent", "show", "magnet:?dn=x"]);
    assert_eq!(code, 1, "{words}");
    std::fs::create_dir(world.path("nothing")).unwrap();
    let (code, words) = world.gt_fails(&["torrent", "create", "nothing"]);
    assert_eq!(code, 1, "{words}");
    for broken in [
        &["torrent", "show", "absent.torrent"][..],
        &["torrent", "create", "absent"],
        &["torrent", "create", "x", "--piece", "0"],
        &["torrent", "get"],
        &["torrent"],
    ] {
        let (code, words) = world.gt_fails(broken);
        assert_eq!(code, 2, "{broken:?}: {words}");
    }
}

#[test]
fn one_file_crosses_by_peer_and_link() {
    let world = World::new();
    std::fs::write(world.path("one.bin"), sample(400_000)).unwrap();
    let made = world.gt(&["torrent", "create", "one.bin", "--piece", "16K"]);
    let magnet = made.lines().nth(1).unwrap().to_owned();
    std::fs::rename(world.path("one.bin.torrent"), world.path("one.torrent")).unwrap();
    let seed = world.start(&[
        "torrent",
        "seed",
        "one.torrent",
        ".",
        "--listen",
        "127.0.0.1:0",
        "--json",
    ]);
    let place = seed.wait_for("listening")["address"]
        .as_str()
        .unwrap()
        .to_owned();
    seed.wait_for("seeding");
    let link = format!("{magnet}&x.pe={place}");
    for (n, what) in ["one.torrent", &link].into_iter().enumerate() {
        let to = format!("got{n}");
        let out = world.gt(&[
            "torrent",
            "get",
            what,
            &to,
            "--listen",
            "127.0.0.1:0",
            "--peer",
            &place,
            "--wait",
            "20",
            "--json",
        ]);
        assert_eq!(json(out.lines().last().unwrap())["event"], "complete");
        assert_eq!(
            std::fs::read(world.path(&to).join("one.bin")).unwrap(),
            sample(400_000)
        );
        // Nothing of ours lies beside it.
        assert!(!world.path(&to).join(".gt-partial").exists());
    }
}

#[test]
fn damaged_files_are_repaired_when_asked() {
    let world = World::new();
    folder(&world, "files");
    world.gt(&["torrent", "create", "files", "--piece", "16K"]);
    let seed = world.start(&[
        "torrent",
        "seed",
        "files.torrent",
        ".",
        "--listen",
        "127.0.0.1:0",
        "--json",
    ]);
    let place = seed.wait_for("listening")["address"]
        .as_str()
        .unwrap()
        .to_owned();
    seed.wait_for("seeding");
    folder(&world, "got/files");
    let mut wrong = sample(300_000);
    wrong[100_000] ^= 1;
    std::fs::write(world.path("got/files/a.bin"), &wrong).unwrap();
    std::fs::write(world.path("got/files/sub/b.bin"), sample(70_005)).unwrap();
    let get = [
        "torrent",
        "get",
        "files.torrent",
        "got",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        &place,
        "--wait",
        "20",
        "--json",
    ];
    let (code, words) = world.gt_fails(&get);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("--repair"), "{words}");
    assert_eq!(std::fs::read(world.path("got/files/a.bin")).unwrap(), wrong);
    let out = world.gt(&[&get[..], &["--repair"]].concat());
    let lines: Vec<Value> = out.lines().map(json).collect();
    let repaired: Vec<_> = lines.iter().filter(|l| l["event"] == "repair").collect();
    assert_eq!(repaired.len(), 2, "{out}");
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "complete");
    // The piece that was wrong came, and no more.
    let came = last["downloaded"].as_u64().unwrap();
    assert!((16_384..=2 * 16_384).contains(&came), "{out}");
    let right = |path: &str| std::fs::read(world.path("got/files").join(path)).unwrap();
    assert_eq!(right("a.bin"), sample(300_000));
    assert_eq!(right("sub/b.bin"), sample(70_001));
    assert!(!world.path("got/files/.gt-partial").exists());
    // What was noted of a whole file says nothing of what somebody made of it.
    let mut wrong = sample(300_000);
    wrong[50_000] ^= 1;
    std::fs::write(world.path("got/files/a.bin"), &wrong).unwrap();
    let out = world.gt(&[&get[..], &["--repair"]].concat());
    let last: Value = out.lines().last().map(json).unwrap();
    assert_eq!(last["downloaded"], 16_384, "{out}");
    assert_eq!(right("a.bin"), sample(300_000));
    // What a link does not select is not taken away.
    let magnet = json(&world.gt(&["torrent", "show", "files.torrent", "--json"]))["magnet"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::write(world.path("got/files/a.bin"), &wrong).unwrap();
    let link = format!("{magnet}&so=1");
    let mut some = get;
    some[2] = &link;
    let (code, words) = world.gt_fails(&[&some[..], &["--repair"]].concat());
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("a.bin"), "{words}");
    assert_eq!(right("a.bin"), wrong);
}

#[test]
fn a_folder_crosses_by_tracker_and_stays() {
    let world = World::new();
    folder(&world, "files");
    let tracker = world.start(&["tracker", "--listen", "127.0.0.1:0"]);
    let line = tracker.line();
    let url = line.split_whitespace().last().unwrap();
    world.gt(&["torrent", "create", "files", "--tracker", url]);
    let seed = world.start(&[
        "torrent",
        "seed",
        "files.torrent",
        ".",
        "--listen",
        "127.0.0.1:0",
        "--json",
    ]);
    seed.wait_for("seeding");
    let first = world.start(&[
        "torrent",
        "get",
        "files.torrent",
        "got",
        "--listen",
        "127.0.0.1:0",
        "--stay",
        "--json",
    ]);
    first.wait_for("complete");
    seed.kill();
    // The one that stayed serves the next, who learns of it from the tracker.
    let out = world.gt(&[
        "torrent",
        "get",
        "files.torrent",
        "more",
        "--listen",
        "127.0.0.1:0",
        "--wait",
        "30",
        "--json",
    ]);
    assert_eq!(json(out.lines().last().unwrap())["event"], "complete");
    let checked = world.gt(&["torrent", "check", "files.torrent", "more"]);
    assert!(checked.contains("are right"), "{checked}");
}

#[test]
fn a_seed_ends_when_asked_and_a_fetch_says_what_lacks() {
    let world = World::new();
    folder(&world, "files");
    world.gt(&["torrent", "create", "files"]);
    let gt = env!("CARGO_BIN_EXE_gt");
    let mut seed = world.group(gt, &["torrent", "seed", "files.torrent", "."]);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(seed.ask_to_end(Duration::from_secs(10)), Some(0));
    let (code, words) = world.gt_fails(&[
        "torrent",
        "get",
        "files.torrent",
        "got",
        "--wait",
        "1",
        "--peer",
        "127.0.0.1:9",
    ]);
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("pieces are here and nothing came"),
        "{words}"
    );
    let mut get = world.group(gt, &["torrent", "get", "files.torrent", "got"]);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(get.ask_to_end(Duration::from_secs(10)), Some(1));
}

/// Every way to peers beside TCP and trackers is off until it is asked for, and
/// can be asked for of every command that meets peers.
#[test]
fn ways_to_peers_are_asked_for() {
    let world = World::new();
    for verb in [
        &["torrent", "get"][..],
        &["torrent", "seed"],
        &["seed"],
        &["clone"],
        &["fetch"],
    ] {
        let help = world.gt(&[verb, &["--help"]].concat());
        for word in ["--dht", "--utp", "--map-port", "--encryption"] {
            assert!(help.contains(word), "{verb:?}: {help}");
        }
    }
    let wrong = [
        "torrent",
        "get",
        "magnet:?xt=x",
        ".",
        "--encryption",
        "maybe",
    ];
    assert_eq!(world.gt_fails(&wrong).0, 2);
    let alone = ["torrent", "get", "magnet:?xt=x", ".", "--dht-node", "a:1"];
    assert_eq!(world.gt_fails(&alone).0, 2);
}

/// What a torrent does not hold is said, and what cannot be right is refused
/// before anything is hashed.
#[test]
fn create_says_what_it_leaves_out_and_refuses_what_cannot_be() {
    let world = World::new();
    folder(&world, "files");
    std::os::unix::fs::symlink("a.bin", world.path("files/link")).unwrap();
    std::fs::create_dir(world.path("files/.git")).unwrap();
    let made = json(&world.gt(&["torrent", "create", "files", "--json"]));
    let left = made["left_out"].as_array().unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0]["path"], ".git");
    assert_eq!(left[1]["why"], "it is a symbolic link");
    std::fs::create_dir(world.path("nothing")).unwrap();
    let (code, words) = world.gt_fails(&["torrent", "create", "nothing"]);
    assert_eq!(
        (code, words.contains("at least one file")),
        (1, true),
        "{words}"
    );
    for (wrong, said) in [
        (["--tracker", "nonsense"], "such as http://host/path"),
        (["--tracker", "gopher://host/"], "a URL of http"),
        (["--web-seed", "http:///path"], "with a host"),
        (["--web-seed", "http://host/a b"], "without spaces"),
        (["-o", "absent/x.torrent"], "there is no such folder"),
        (["-o", "files"], "it is a folder"),
    ] {
        let (code, words) = world.gt_fails(&[&["torrent", "create", "files"][..], &wrong].concat());
        assert_eq!(code, 2, "{wrong:?}: {words}");
        assert!(words.contains(said), "{wrong:?}: {words}");
    }
    assert!(!world.path("absent").exists());
    let (code, words) = world.gt_fails(&["torrent", "get", "files.torrent", "to", "--wait", "0"]);
    assert_eq!(code, 2, "{words}");
}

/// The mark of BEP 47 makes a file run, and both ends may insist on encryption.
#[test]
fn what_may_run_runs_and_nothing_goes_in_plain_words() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let mode = |name: &str| {
        std::fs::metadata(world.path(name))
            .unwrap()
            .permissions()
            .mode()
    };
    let files = world.path("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("data"), sample(20_000)).unwrap();
    std::fs::write(files.join("tool"), sample(100_000)).unwrap();
    std::fs::set_permissions(files.join("tool"), Permissions::from_mode(0o755)).unwrap();
    world.gt(&["torrent", "create", "files", "-o", "x.torrent"]);
    let shown = json(&world.gt(&["torrent", "show", "x.torrent", "--json"]));
    assert_eq!(shown["files"][0].get("executable"), None);
    assert_eq!(shown["files"][1]["executable"], true);
    // A torrent of one file has its mark elsewhere.
    for version in ["--v1", "--v2", "--hybrid"] {
        world.gt(&[
            "torrent",
            "create",
            "files/tool",
            "-o",
            "one.torrent",
            version,
        ]);
        let shown = json(&world.gt(&["torrent", "show", "one.torrent", "--json"]));
        assert_eq!(shown["files"][0]["executable"], true, "{version}");
    }
    let words = [
        "--listen",
        "127.0.0.1:0",
        "--encryption",
        "require",
        "--json",
    ];
    let seed = world.start(&[&["torrent", "seed", "x.torrent", "."][..], &words].concat());
    let place = seed.wait_for("listening")["address"]
        .as_str()
        .unwrap()
        .to_owned();
    seed.wait_for("seeding");
    let get = [
        "torrent",
        "get",
        "x.torrent",
        "got",
        "--peer",
        &place,
        "--wait",
        "20",
    ];
    let out = world.gt(&[&get[..], &words].concat());
    assert_eq!(json(out.lines().last().unwrap())["event"], "complete");
    let rows = out
        .lines()
        .map(json)
        .filter(|line| line["event"] == "peers");
    let rows: Vec<Value> = rows.collect();
    assert!(
        rows.iter().any(|row| row["peers"][0]["address"] == place),
        "{rows:?}"
    );
    let got = mode("got/files/tool");
    assert_eq!(got & 0o111, (got & 0o444) >> 2);
    assert_eq!(mode("got/files/data") & 0o111, 0);
    // Who will not encrypt gets nothing.
    let plain = [
        "torrent",
        "get",
        "x.torrent",
        "no",
        "--peer",
        &place,
        "--wait",
        "2",
    ];
    let (code, _) = world.gt_fails(&[&plain[..], &["--encryption", "off"]].concat());
    assert_eq!(code, 1);
}
