//! The exit codes of the verbs about trust that no other test meets.

use std::time::{SystemTime, UNIX_EPOCH};

use gt_cli::args::Log;
use serde_json::Value;

use crate::equivocal::copied;
use crate::world::World;

fn coded(world: &World, args: &[&str]) -> (i32, String) {
    let output = world.run(env!("CARGO_BIN_EXE_gt"), args);
    let told = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), told)
}

/// A hundred days from now.
fn later() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() + 100 * 86_400
}

#[test]
fn a_log_whose_newest_statement_is_stale_is_4() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    assert_eq!(coded(&world, &["log", "-C", "work"]).0, 0);
    let mut env = world.env();
    env.now = later;
    env.stdout = Box::new(std::io::sink());
    let words = Log {
        repository: Some("work".into()),
        limit: 10,
        json: true,
    };
    let failure = gt_cli::verb::log::run(&mut env, &words).unwrap_err();
    assert_eq!(failure.code(), 4);
    assert!(failure.words().contains("stale"), "{}", failure.words());
}

/// Small statements are kept beyond those that peers who lag may want.
#[test]
fn a_log_tells_of_many_statements() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    for n in 0..20 {
        world.git(&["-C", "work", "branch", &format!("b{n}")]);
        world.publish("work", &[]);
    }
    let (code, told) = coded(&world, &["log", "-C", "work", "--json"]);
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, value["statements"].as_array().unwrap().len()),
        (0, 21)
    );
}

/// A file brings a charter as valid as the one that holds: nothing moves, both
/// are shown, and the person says which one holds.
#[test]
fn two_charters_of_one_epoch_are_5_until_one_is_pinned() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    // Another copy, in which nobody knows what was sealed in the first.
    world.git(&["init", "-q", "--bare", "twin.git"]);
    copied(&world.path("work/.git/gt"), &world.path("twin.git/gt"));
    let edit = ["charter", "edit", "-C"];
    world.gt(&[&edit[..], &["work", "--name", "one"]].concat());
    world.gt(&[&edit[..], &["twin.git", "--name", "two", "-o", "two"]].concat());
    let taken = ["charter", "endorse", "-C", "work", "--no-seal", "two"];
    let (code, words) = world.gt_fails(&taken);
    assert_eq!(code, 5, "{words}");
    assert!(words.contains("two valid charters of epoch 1"), "{words}");
    let (code, told) = coded(&world, &["charter", "show", "-C", "work"]);
    assert_eq!(code, 5, "{told}");
    assert!(
        told.contains("Name: one") && told.contains("As valid for epoch 1: "),
        "{told}"
    );
    let (_, told) = coded(&world, &["charter", "show", "-C", "work", "--json"]);
    let value: Value = serde_json::from_str(&told).unwrap();
    let own = value["identity"].as_str().unwrap();
    assert_eq!(value["rivals"].as_array().unwrap().len(), 1);
    world.gt(&["charter", "pin", "-C", "work", own]);
    assert_eq!(coded(&world, &["charter", "show", "-C", "work"]).0, 0);
}

#[test]
fn what_cannot_be_told_is_6() {
    let world = World::new();
    // A commit signed with X.509.
    let block = "-----BEGIN SIGNED MESSAGE-----\n MIAGCSqGSIb3DQEHAqCAMIACAQExDTALBglghkgBZQMEAgEwgAYJKoZIhvcNAQcB\n -----END SIGNED MESSAGE-----\n";
    let commit = format!(
        "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\n\
         committer A <a@b> 1 +0000\ngpgsig {block}\nsigned\n"
    );
    std::fs::write(world.path("commit"), commit).unwrap();
    let (code, told) = coded(&world, &["verify", "--object", "commit", "--json"]);
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &value["code"]), (6, &6.into()), "{told}");
    let verdict = &value["objects"][0]["signatures"][0]["verdict"];
    assert_eq!(verdict, "unsupported");
    // A key on brainpoolP256r1 (RFC 5639), in packets by hand.
    let mut body = vec![4u8, 0x60, 0, 0, 0];
    body.extend([19, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7, 2, 3, 4]);
    body.extend([0x55; 64]);
    let packet = |tag: u8, body: &[u8]| -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        [&[0xc0 | tag, length], body].concat()
    };
    let ring = [packet(6, &body), packet(13, b"brain")].concat();
    std::fs::write(world.path("ring"), ring).unwrap();
    std::fs::write(world.path("nobody"), "").unwrap();
    let words = ["--keyring", "ring", "--ownertrust", "nobody"];
    let list = [&["trust", "list", "--tsv"][..], &words].concat();
    let told = world.gt(&list);
    let key = told.split('\t').next().unwrap();
    for verb in ["why", "path"] {
        let args = [&["trust", verb, key, "--json"][..], &words].concat();
        let (code, told) = coded(&world, &args);
        assert_eq!(code, 6, "{told}");
    }
}
