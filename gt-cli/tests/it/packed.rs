//! `gt pack`: making, joining and taking in bundles.

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
    assert_eq!(first["recipe"], "gt3");
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
