//! Seals by the person's own set-up, and by the key that gt keeps.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{World, with_peer};

#[test]
fn the_key_that_gt_keeps_is_for_its_owner_alone() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    let key = world.path("home/data/gittorrent/keys/own.asc");
    let mode = std::fs::metadata(key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn somebody_else_cannot_publish() {
    let mut world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.commit("work", "a.txt", "a\n");
    world.person("mallory");
    let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert_eq!(code, 1);
    assert!(words.contains("delegate of the charter"), "{words}");
}

#[test]
fn other_signature_formats_are_refused_by_name() {
    let world = World::new();
    world.repository("work");
    world.git(&["-C", "work", "config", "user.signingkey", "key.pub"]);
    for format in ["ssh", "x509"] {
        // Of ssh it is the key file that is not there.
        world.git(&["-C", "work", "config", "gpg.format", format]);
        let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
        assert_eq!(code, 1);
        assert!(words.contains(format), "{words}");
    }
}

#[test]
#[ignore = "needs gpg"]
fn sealed_through_gpg_and_verified_without() {
    let world = World::new();
    world.repository("work");
    // gpg-agent's socket wants a short path.
    let home = tempfile::Builder::new().prefix("gh").tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = format!("gpg --homedir {}", home.path().display());
    let program = world.path("gpg-here");
    std::fs::write(&program, format!("#!/bin/sh\nexec {gpg} --batch \"$@\"\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let made = world.run(
        program,
        &[
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            "--quick-gen-key",
            "Ann <ann@localhost>",
            "ed25519",
            "sign",
            "never",
        ],
    );
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    world.git(&["-C", "work", "config", "user.signingkey", "ann@localhost"]);
    world.git(&["-C", "work", "config", "gpg.program", program]);
    let address = world.publish("work", &[]);
    assert!(!world.path("home/data/gittorrent/keys/own.asc").exists());

    // Stock git takes the same seal.
    let statements = world.path("work/.git/gt/statements");
    let seal = std::fs::read_dir(&statements)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "seal"))
        .unwrap();
    let text = seal.with_file_name(
        seal.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .split('.')
            .next()
            .unwrap(),
    );
    world.git(&["-C", "work", "hash-object", "-w", text.to_str().unwrap()]);
    let tag = world.git(&[
        "-C",
        "work",
        "hash-object",
        "-w",
        "-t",
        "tag",
        seal.to_str().unwrap(),
    ]);
    world.git(&["-C", "work", "verify-tag", tag.trim()]);

    // The receiver has no gpg at all.
    let (_seed, place) = world.seed("work", &[]);
    world.git(&["clone", "-q", &with_peer(&address, &place), "clone"]);
    let stop = world.run(
        "gpgconf",
        &["--homedir", home.path().to_str().unwrap(), "--kill", "all"],
    );
    assert!(stop.status.success());
}
