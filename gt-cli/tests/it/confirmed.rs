//! Delegates of a later charter, who count when they have said that they know.

use gt_cli::op::proposal::{Proposal, Text};
use gt_trust::key::OwnKey;
use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};

use crate::endorsed::{json, mark, person};
use crate::world::{World, with_peer};

/// Carl is on the list of a charter that holds, and has not said that he knows:
/// his seals count when he does, those too that were made before.
#[test]
fn a_late_delegate_confirms_a_charter_that_holds() {
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
        "--keyring",
        &bela_ring,
        "--keyring",
        &carl_ring,
        "--output",
        "charter",
        "--json",
    ];
    let charter = json(&world, &edit);
    let charter = charter["identity"].as_str().unwrap().to_owned();
    world.person("bela");
    let endorse = ["charter", "endorse", "-C", "bela.git", "charter"];
    world.gt(&[&endorse[..], &["--output", "charter"]].concat());
    for (name, folder) in [("ann", "work"), ("carl", "carl.git"), ("dora", "dora.git")] {
        world.person(name);
        world.gt(&["charter", "endorse", "-C", folder, "--no-seal", "charter"]);
    }
    let confirmed = |world: &World, folder: &str| -> Vec<bool> {
        let shown = json(world, &["charter", "show", "-C", folder, "--json"]);
        let delegates = shown["delegates"].as_array().unwrap();
        let confirmed = delegates.iter().map(|d| d["confirmed"].as_bool().unwrap());
        confirmed.collect()
    };
    assert_eq!(confirmed(&world, "carl.git"), [true, true, false]);

    // Ann proposes; Carl is told what to do first.
    world.person("ann");
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    let waiting = json(&world, &["endorse", "-C", "work", "--json"]);
    let identity = waiting[0]["identity"].as_str().unwrap().to_owned();
    world.gt(&["endorse", "-C", "work", &identity, "--output", "statement"]);
    world.person("carl");
    let (code, words) = world.gt_fails(&["endorse", "-C", "carl.git", "statement"]);
    assert_eq!(code, 2, "{words}");
    assert!(
        words.contains(&format!("gt charter endorse {charter}")),
        "{words}"
    );
    let (code, words) = world.gt_fails(&["publish", "-C", "carl.git"]);
    assert!(code == 1 && words.contains(&charter), "{words}");
    // Another program of his has sealed it all the same.
    let file = world.path("statement");
    let mut early = Proposal::read_file(&file).unwrap();
    early
        .seals
        .push(sealed_by_hand(&world, "carl", &early.text));
    std::fs::write(&file, early.to_bytes()).unwrap();
    let before = mark(&world, "work/.git");
    let taken = ["endorse", "--no-seal", "statement", "--json", "-C"];
    for (name, folder, common) in [
        ("ann", "work", "work/.git"),
        ("dora", "dora.git", "dora.git"),
    ] {
        world.person(name);
        let taken = json(&world, &[&taken[..], &[folder]].concat());
        assert_eq!(taken["complete"], false, "{taken}");
        assert_eq!(mark(&world, common), before);
    }

    // Now he says so, and what waited at Ann's holds.
    world.person("carl");
    let endorse = ["charter", "endorse", "-C", "carl.git", &charter, "--json"];
    let endorsed = json(&world, &[&endorse[..], &["--output", "confirmed"]].concat());
    assert_eq!(endorsed["complete"], true, "{endorsed}");
    assert_eq!(endorsed["sealed-by"].as_array().unwrap().len(), 3);
    assert_eq!(confirmed(&world, "carl.git"), [true, true, true]);
    world.person("dora");
    let (relay, place) = world.seed("dora.git", &[]);
    world.person("ann");
    let endorse = ["charter", "endorse", "-C", "work", "--no-seal", "confirmed"];
    let told = world.gt(&endorse);
    assert!(
        told.contains(&format!("statement 1 1 holds: {identity}")),
        "{told}"
    );
    assert_ne!(mark(&world, "work/.git"), before);
    assert_eq!(confirmed(&world, "work"), [true, true, true]);

    // Whoever only follows has it from Carl: his word makes Dora's copy of the
    // proposal hold.
    world.person("carl");
    let (_online, _) = world.seed("carl.git", &["--peer", &place]);
    relay.wait_until(|v| v["event"] == "sealed" && v["kind"] == "charter" && v["seals"] == 3);
    relay.wait_for("statement");
    assert_eq!(confirmed(&world, "dora.git"), [true, true, true]);
    assert_eq!(mark(&world, "dora.git"), mark(&world, "work/.git"));
}

/// Seals a statement with the key that gt made for a person, as any program
/// could.
fn sealed_by_hand(world: &World, person: &str, text: &Text) -> Vec<u8> {
    let Text::Statement(text) = text else {
        panic!("expected a statement");
    };
    let key = world.path(&format!("{person}/data/gittorrent/keys/own.asc"));
    let key = OwnKey::import(&std::fs::read(key).unwrap()).unwrap();
    let blob = blob_oid(text.object_format, text.as_bytes());
    let tagger = Tagger::new(person, "someone@localhost", text.created).unwrap();
    let unsigned = Unsigned::new(Subject::of_statement(text), blob, tagger);
    let signature = key.sign(unsigned.payload(), text.created).unwrap();
    let seal = unsigned.with_signature(signature.as_bytes()).unwrap();
    seal.as_bytes().to_vec()
}
