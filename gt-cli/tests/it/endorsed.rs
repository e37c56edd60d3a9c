//! Two of three must agree, and are never online together: files are carried.

use serde_json::Value;

use crate::world::{World, with_peer};

/// A person who has a key of gt's own: its delegate, and a file with its
/// certificate.
fn person(world: &mut World, name: &str) -> (String, String) {
    world.person(name);
    let own = format!("of-{name}");
    world.repository(&own);
    world.publish(&own, &[]);
    let shown: Value = json(world, &["charter", "show", "-C", &own, "--json"]);
    let delegate = shown["delegates"][0]["delegate"]
        .as_str()
        .unwrap()
        .to_owned();
    (delegate, format!("{own}/.git/gt/keyring"))
}

fn json(world: &World, args: &[&str]) -> Value {
    serde_json::from_str(&world.gt(args)).unwrap()
}

fn mark(world: &World, repository: &str) -> String {
    std::fs::read_to_string(world.path(repository).join("gt/mark")).unwrap()
}

#[test]
fn proposed_carried_endorsed_completed() {
    let mut world = World::new();
    let (bela, bela_ring) = person(&mut world, "bela");
    let (carl, carl_ring) = person(&mut world, "carl");
    world.person("ann");
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    // Bela holds a mirror; after that nobody is online.
    world.person("bela");
    world.gt(&["clone", "--mirror", &address, "bela.git"]);
    drop(seed);

    // Ann wants two of three from now on. Her seal is enough for the old
    // charter, and the new one wants a second.
    world.person("ann");
    let proposed = json(
        &world,
        &[
            "charter",
            "edit",
            "-C",
            "work",
            "--add",
            &bela,
            "--add",
            &carl,
            "--threshold",
            "2",
            "--rule",
            "refs/tags/* any 2 immutable",
            "--keyring",
            &bela_ring,
            "--keyring",
            &carl_ring,
            "--output",
            "charter-1",
            "--json",
        ],
    );
    assert_eq!(proposed["complete"], false, "{proposed}");
    assert_eq!(
        json(&world, &["charter", "show", "-C", "work", "--json"])["epoch"],
        0
    );
    assert!(world.gt(&["endorse", "-C", "work"]).contains("charter 1"));
    world.person("bela");
    let endorsed = json(
        &world,
        &[
            "charter",
            "endorse",
            "-C",
            "bela.git",
            "charter-1",
            "--output",
            "charter-2",
            "--json",
        ],
    );
    assert_eq!(endorsed["complete"], true, "{endorsed}");
    let shown = json(&world, &["charter", "show", "-C", "bela.git", "--json"]);
    assert_eq!(
        (&shown["epoch"], &shown["threshold"]),
        (&1.into(), &2.into())
    );
    let confirmed: Vec<bool> = shown["delegates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["confirmed"].as_bool().unwrap())
        .collect();
    assert_eq!(confirmed, [true, true, false]);
    world.person("ann");
    world.gt(&["charter", "endorse", "-C", "work", "--no-seal", "charter-2"]);
    assert_eq!(
        json(&world, &["charter", "show", "-C", "work", "--json"])["epoch"],
        1
    );

    // A commit: proposed by Ann, and nothing moves.
    let before = mark(&world, "work/.git");
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    assert_eq!(mark(&world, "work/.git"), before);
    let waiting = json(&world, &["endorse", "-C", "work", "--json"]);
    let identity = waiting[0]["identity"].as_str().unwrap().to_owned();
    world.gt(&[
        "endorse",
        "-C",
        "work",
        &identity,
        "--output",
        "statement-1",
    ]);
    // Twice is not two.
    assert_eq!(mark(&world, "work/.git"), before);
    // A stranger's seal is no use, and is not made.
    world.person("mallory");
    let (code, words) = world.gt_fails(&["endorse", "-C", "work", "statement-1"]);
    assert_eq!(code, 2, "{words}");
    world.person("bela");
    let sealed = json(
        &world,
        &[
            "endorse",
            "-C",
            "bela.git",
            "statement-1",
            "--output",
            "statement-2",
            "--json",
        ],
    );
    assert_eq!(sealed["complete"], true, "{sealed}");
    assert!(
        sealed["moves"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m == "refs/heads/main")
    );
    world.person("ann");
    world.gt(&["endorse", "-C", "work", "--no-seal", "statement-2"]);
    assert_ne!(mark(&world, "work/.git"), before);
    assert_eq!(mark(&world, "work/.git"), mark(&world, "bela.git"));
    assert_eq!(world.gt(&["endorse", "-C", "work"]), "");
    let log = json(&world, &["log", "-C", "work", "--json"]);
    let newest = &log["statements"][0];
    assert_eq!(
        (&newest["epoch"], &newest["sequence"]),
        (&1.into(), &1.into())
    );
    let by: Vec<&Value> = newest["seals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["by"])
        .collect();
    assert!(
        by.len() == 2 && by.contains(&&bela.as_str().into()),
        "{by:?}"
    );
    let text = world.gt(&["log", "-C", "work"]);
    assert!(
        text.contains("refs/heads/main") && text.contains("statement 0 1"),
        "{text}"
    );

    // A newcomer follows the line of charters; Bela's mirror gets the objects.
    let (_seed, place) = world.seed("work", &[]);
    world.person("dora");
    let address = format!("{}?x.pe={place}", address.split('?').next().unwrap());
    world.gt(&["clone", "--mirror", &address, "dora.git"]);
    assert_eq!(world.refs("dora.git"), world.refs("work"));
    assert_eq!(mark(&world, "dora.git"), mark(&world, "work/.git"));
    world.person("bela");
    world.gt(&[
        "fetch",
        "-C",
        "bela.git",
        "--tracker",
        "http://127.0.0.1:9/announce",
        "--peer",
        &place,
    ]);
    assert_eq!(world.refs("bela.git"), world.refs("work"));
}

/// What was sealed once is not sealed again with other words.
#[test]
fn nobody_is_led_into_equivocation() {
    let mut world = World::new();
    let (bela, ring) = person(&mut world, "bela");
    world.person("ann");
    world.repository("work");
    world.publish("work", &[]);
    let edit = |name: &str, output: &str| {
        world.run(
            env!("CARGO_BIN_EXE_gt"),
            &[
                "charter",
                "edit",
                "-C",
                "work",
                "--add",
                &bela,
                "--keyring",
                &ring,
                "--name",
                name,
                "--output",
                output,
                "--charter-threshold",
                "2",
            ],
        )
    };
    assert!(edit("one", "one").status.success());
    let second = edit("two", "two");
    assert_eq!(second.status.code(), Some(5));
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(words.contains("equivocation"), "{words}");
    assert!(!world.path("two").exists());
}

#[test]
fn exit_codes_are_those_of_the_table() {
    let mut world = World::new();
    world.repository("plain");
    for args in [
        &["charter", "show", "-C", "plain"][..],
        &["endorse", "-C", "plain"],
        &["log", "-C", "plain"],
        &["log", "--no-such-word"],
        &["charter"],
        &["verify"],
    ] {
        assert_eq!(world.gt_fails(args).0, 64, "{args:?}");
    }
    world.repository("work");
    world.publish("work", &[]);
    assert_eq!(world.gt_fails(&["endorse", "-C", "work", "nothing"]).0, 64);
    let edit = ["charter", "edit", "-C", "work", "--threshold", "2"];
    assert_eq!(world.gt_fails(&edit).0, 64);
    world.person("mallory");
    let edit = ["charter", "edit", "-C", "work", "--name", "mine"];
    assert_eq!(world.gt_fails(&edit).0, 2);
    world.gt(&["log", "-C", "work"]);
    // A statement of another repository.
    world.repository("other");
    world.publish("other", &[]);
    let (_, words) = world.gt_fails(&["charter", "pin", "-C", "other", &"ab".repeat(32)]);
    assert!(words.contains("charter that is held"), "{words}");
}
