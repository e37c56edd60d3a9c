//! Two of three must agree, and are never online together: files are carried.

use gt_trust::charter::Contents;
use gt_trust::key::OwnKey;
use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};
use gt_trust::{Charter, Epoch, ObjectFormat, Time};
use serde_json::Value;

use crate::world::{World, with_peer};

/// A person who has a key of gt's own: its delegate, and a file with its
/// certificate.
pub(crate) fn person(world: &mut World, name: &str) -> (String, String) {
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

pub(crate) fn json(world: &World, args: &[&str]) -> Value {
    serde_json::from_str(&world.gt(args)).unwrap()
}

pub(crate) fn mark(world: &World, repository: &str) -> String {
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

/// Two of three, who are never online together, with nothing carried by hand:
/// whoever follows the repository keeps what was proposed and passes it on.
#[test]
fn proposals_travel_from_peer_to_peer() {
    let mut world = World::new();
    let (bela, bela_ring) = person(&mut world, "bela");
    let (carl, carl_ring) = person(&mut world, "carl");
    world.person("ann");
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    for name in ["bela", "carl", "dora"] {
        world.person(name);
        world.gt(&["clone", "--mirror", &address, &format!("{name}.git")]);
    }
    drop(seed);
    // Dora is nobody: she serves, always.
    let (relay, place) = world.seed("dora.git", &[]);
    let meet = |world: &World, folder: &str| world.seed(folder, &["--peer", &place]).0;
    let is = |kind: &'static str, event: &'static str, seals: u64| {
        move |v: &Value| v["event"] == event && v["kind"] == kind && v["seals"] == seals
    };

    world.person("ann");
    let edit = [
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
        "--charter-threshold",
        "3",
        "--keyring",
        &bela_ring,
        "--keyring",
        &carl_ring,
        "--json",
    ];
    let charter = json(&world, &edit);
    let charter = charter["identity"].as_str().unwrap().to_owned();
    let ann = meet(&world, "work");
    relay.wait_until(is("charter", "proposal", 1));
    drop(ann);
    world.person("bela");
    let online = meet(&world, "bela.git");
    let got = online.wait_until(is("charter", "proposal", 1));
    assert_eq!(got["identity"], charter.as_str());
    world.gt(&["charter", "endorse", "-C", "bela.git", &charter]);
    relay.wait_until(is("charter", "proposal", 2));
    drop(online);
    world.person("carl");
    let online = meet(&world, "carl.git");
    online.wait_until(is("charter", "proposal", 2));
    world.gt(&["charter", "endorse", "-C", "carl.git", &charter]);
    relay.wait_until(is("charter", "sealed", 3));
    drop(online);

    // Ann hears of it, and proposes what is on main now.
    world.person("ann");
    let ann = meet(&world, "work");
    ann.wait_until(is("charter", "sealed", 3));
    let before = mark(&world, "work/.git");
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    let proposed = relay.wait_until(is("statement", "proposal", 1));
    let identity = proposed["identity"].as_str().unwrap().to_owned();
    drop(ann);
    assert_eq!(mark(&world, "work/.git"), before);
    assert_eq!(mark(&world, "dora.git"), before, "a proposal moves nothing");

    // Bela's seal is the second: it holds, though nobody has its data yet.
    world.person("bela");
    let online = meet(&world, "bela.git");
    online.wait_until(is("statement", "proposal", 1));
    world.gt(&["endorse", "-C", "bela.git", &identity]);
    relay.wait_until(|v| v["event"] == "statement");
    drop(online);
    assert_ne!(mark(&world, "dora.git"), before);
    world.person("ann");
    let ann = meet(&world, "work");
    relay.wait_for("refs");
    assert_eq!(world.refs("dora.git"), world.refs("work"));
    assert_eq!(mark(&world, "dora.git"), mark(&world, "work/.git"));
    assert_eq!(world.gt(&["endorse", "-C", "work"]), "");

    // Carl comes late: his seal is added to what holds already.
    world.person("carl");
    let online = meet(&world, "carl.git");
    online.wait_until(|v| v["event"] == "statement" && v["from"].is_string());
    let late = json(&world, &["endorse", "-C", "carl.git", &identity, "--json"]);
    let sealed_by = late["sealed-by"].as_array().unwrap();
    assert!(sealed_by.len() == 3 && late["complete"] == true, "{late}");
    let log = json(&world, &["log", "-C", "carl.git", "--json"]);
    let seals = &log["statements"][0]["seals"];
    assert_eq!(seals.as_array().unwrap().len(), 3, "{seals}");
    relay.wait_until(is("statement", "sealed", 3));
    ann.wait_until(is("statement", "sealed", 3));
    drop(online);
    let log = json(&world, &["log", "-C", "work", "--json"]);
    let seals = log["statements"][0]["seals"].as_array().unwrap();
    let by = |who: &str| seals.iter().any(|seal| seal["by"] == who);
    assert!(seals.len() == 3 && by(&bela) && by(&carl), "{seals:?}");
}

/// Charters that are more than one pack may hold come in parts, to a newcomer
/// and to one who is far behind.
#[test]
fn a_long_line_of_charters_comes_in_parts() {
    let mut world = World::new();
    world.person("ann");
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "old.git"]);
    drop(seed);
    let key = std::fs::read(world.path("ann/data/gittorrent/keys/own.asc")).unwrap();
    let key = OwnKey::import(&key).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let folder = world.path("work/.git/gt/charters");
    let mut charter = Charter::parse(&std::fs::read(folder.join("0")).unwrap()).unwrap();
    let rid = charter.rid().unwrap();
    for epoch in 1..=150 {
        let mut contents: Contents = (*charter).clone();
        contents.nonce = None;
        contents.epoch = Epoch(epoch);
        contents.previous = Some(charter.identity());
        charter = Charter::new(contents).unwrap();
        let blob = blob_oid(ObjectFormat::Sha1, charter.as_bytes());
        let tagger = Tagger::new("Ann", "ann@localhost", Time(now)).unwrap();
        let unsigned = Unsigned::new(Subject::of_charter(rid, &charter), blob, tagger);
        let signature = key.sign(unsigned.payload(), Time(now)).unwrap();
        let seal = unsigned.with_signature(signature.as_bytes()).unwrap();
        std::fs::write(folder.join(epoch.to_string()), charter.as_bytes()).unwrap();
        std::fs::write(folder.join(format!("{epoch}.0.seal")), seal.as_bytes()).unwrap();
    }
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let plain = address.split('?').next().unwrap();
    let address = format!("{plain}?x.pe={place}");
    world.person("bob");
    world.gt(&["clone", "--mirror", &address, "new.git"]);
    world.gt(&["fetch", "-C", "old.git", "--peer", &place]);
    for mirror in ["new.git", "old.git"] {
        assert_eq!(world.refs(mirror), world.refs("work"), "{mirror}");
        let shown = json(&world, &["charter", "show", "-C", mirror, "--json"]);
        assert_eq!(shown["epoch"], 150, "{mirror}");
        assert_eq!(shown["delegates"][0]["confirmed"], true);
    }
}
