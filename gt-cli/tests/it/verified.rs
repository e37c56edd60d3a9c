//! `gt verify`, with real git and its signing programs.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::world::World;

fn code(world: &World, args: &[&str]) -> i32 {
    let output = world.run(env!("CARGO_BIN_EXE_gt"), args);
    output.status.code().unwrap()
}

#[test]
fn unsigned_and_unreadable() {
    let world = World::new();
    world.repository("work");
    let commit = world.git(&["-C", "work", "cat-file", "commit", "HEAD"]);
    std::fs::write(world.path("commit"), &commit).unwrap();
    std::fs::write(world.path("junk"), "junk\n").unwrap();
    std::fs::write(world.path("empty"), "").unwrap();
    for (args, expected) in [
        (&["verify", "--object", "commit"][..], 1),
        (&["verify", "--object", "junk"], 1),
        (&["verify", "--object", "commit", "--type", "tag"], 1),
        (&["verify", "--object", "missing"], 64),
        (
            &["verify", "--object", "commit", "--keyring", "missing"],
            64,
        ),
        (&["verify", "--object", "commit", "--keyring", "junk"], 64),
        (&["verify", "--object", "commit", "--keyring", "empty"], 1),
        (&["verify", "--object", "commit", "--at", "noon"], 64),
        (&["verify", "-C", "work", "main"], 1),
        (&["verify", "-C", "work", "nothing"], 64),
        (&["verify", "-C", "work", "--", "--all"], 64),
        (&["verify", "-C", "work", "main:file-0.txt"], 64),
    ] {
        assert_eq!(code(&world, args), expected, "{args:?}");
    }
    let output = world.run(
        env!("CARGO_BIN_EXE_gt"),
        &["verify", "--object", "commit", "--json"],
    );
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["code"], 1);
    assert_eq!(value["objects"][0]["signatures"][0]["verdict"], "unsigned");
}

/// A date without a `Z` is by the clock on the wall, for git and ssh-keygen as
/// for gt.
fn the_clock_on_the_wall(world: &World, public: &str) {
    world.git(&[
        "-C",
        "work",
        "config",
        "gpg.ssh.allowedSignersFile",
        "dated",
    ]);
    let seconds = world.git(&["-C", "work", "log", "-1", "--format=%ct"]);
    // The hour before the commit, as a clock in UTC has it.
    let hour = format!("--date=@{}", seconds.trim().parse::<i64>().unwrap() - 3600);
    let date = world.run("date", &["-u", &hour, "+%Y%m%d%H%M"]).stdout;
    let date = String::from_utf8(date).unwrap();
    let line = format!("ann@localhost valid-after=\"{}\" {public}", date.trim());
    std::fs::write(world.path("dated"), &line).unwrap();
    std::fs::write(world.path("work/dated"), &line).unwrap();
    for (zone, is_good) in [
        ("", true),
        ("UTC0", true),
        ("WEST3", false),
        ("EAST-3", true),
        ("nowhere", true),
    ] {
        let run = |program: &str, args: &[&str]| {
            let mut command = world.command(program);
            command.env("TZ", zone).args(args);
            command.output().unwrap().status.success()
        };
        let git = run("git", &["-C", "work", "verify-commit", "main"]);
        assert_eq!(git, is_good, "git in {zone:?}");
        let words = ["verify", "-C", "work", "main", "--allowed-signers", "dated"];
        let gt = run(env!("CARGO_BIN_EXE_gt"), &words);
        assert_eq!(gt, is_good, "gt in {zone:?}");
    }
}

#[test]
#[ignore = "needs ssh-keygen"]
fn ssh_signatures_of_commits_and_seals() {
    let world = World::new();
    world.repository("work");
    let key = world.path("key");
    let key = key.to_str().unwrap();
    world.run("ssh-keygen", &["-q", "-N", "", "-t", "ed25519", "-f", key]);
    let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    std::fs::write(world.path("allowed"), format!("ann@localhost {public}")).unwrap();
    world.git(&["-C", "work", "config", "gpg.format", "ssh"]);
    world.git(&["-C", "work", "config", "user.signingkey", key]);
    world.git(&[
        "-C",
        "work",
        "commit",
        "-q",
        "--allow-empty",
        "-S",
        "-m",
        "signed",
    ]);
    // Git's configuration names the allowed signers, or the words do.
    assert_eq!(code(&world, &["verify", "-C", "work", "main"]), 2);
    let allowed = [
        "verify",
        "-C",
        "work",
        "main",
        "--allowed-signers",
        "allowed",
    ];
    assert_eq!(code(&world, &allowed), 0);
    let file = world.path("allowed");
    world.git(&[
        "-C",
        "work",
        "config",
        "gpg.ssh.allowedSignersFile",
        file.to_str().unwrap(),
    ]);
    assert_eq!(code(&world, &["verify", "-C", "work", "main"]), 0);
    the_clock_on_the_wall(&world, &public);
    let revoked = ["verify", "-C", "work", "main", "--revoked-keys", "key.pub"];
    assert_eq!(code(&world, &revoked), 2);
    // The same key seals: the delegate is an SSH key, and who clones needs no
    // program at all.
    let address = world.publish("work", &[]);
    let shown = world.gt(&["charter", "show", "-C", "work"]);
    assert!(shown.contains("Delegate: ssh:SHA256:"), "{shown}");
    let (_seed, place) = world.seed("work", &[]);
    world.git(&[
        "clone",
        "-q",
        &crate::world::with_peer(&address, &place),
        "clone",
    ]);
    let policy = [
        "verify",
        "-C",
        "work",
        "--policy",
        "--json",
        "refs/heads/main",
    ];
    let told = |more: &[&str]| -> (i32, Value) {
        let args = [&policy[..], more].concat();
        let output = world.run(env!("CARGO_BIN_EXE_gt"), &args);
        let value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), value)
    };
    let (code_now, value) = told(&[]);
    assert_eq!((code_now, &value["code"]), (0, &0.into()));
    assert_eq!(value["policy"], Value::Null);
    // The statement lasts for 90 days. The signatures are as good as before,
    // and the answer says what is wrong.
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let later = (now + 100 * 86_400).to_string();
    let (code_later, value) = told(&["--at", &later]);
    assert_eq!((code_later, &value["code"]), (4, &4.into()));
    let words = value["policy"].as_str().unwrap();
    assert!(words.contains("stale"), "{words}");
    assert_eq!(value["objects"][0]["signatures"][0]["verdict"], "good");
    // A commit that is not published yet.
    world.git(&[
        "-C",
        "work",
        "commit",
        "-q",
        "--allow-empty",
        "-S",
        "-m",
        "more",
    ]);
    let (code_then, value) = told(&[]);
    assert_eq!((code_then, &value["code"]), (3, &3.into()));
    let words = value["policy"].as_str().unwrap();
    assert!(words.contains("as it is published"), "{words}");
}

#[test]
#[ignore = "needs gpg"]
fn openpgp_signatures_by_every_code() {
    let world = World::new();
    world.repository("work");
    let home = tempfile::Builder::new().prefix("gv").tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = format!("gpg --homedir {}", home.path().display());
    let program = world.path("gpg-here");
    std::fs::write(&program, format!("#!/bin/sh\nexec {gpg} --batch \"$@\"\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let make = [
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--quick-gen-key",
    ];
    let made = world.run(
        program,
        &[
            &make[..],
            &["Ann <ann@localhost>", "rsa2048", "sign", "10d"],
        ]
        .concat(),
    );
    assert!(made.status.success());
    world.git(&["-C", "work", "config", "user.signingkey", "ann@localhost"]);
    world.git(&["-C", "work", "config", "gpg.program", program]);
    world.git(&["-C", "work", "tag", "-s", "-m", "signed", "v2"]);
    let ring = world.run(program, &["--export"]).stdout;
    std::fs::write(world.path("ring"), &ring).unwrap();
    std::fs::write(
        world.path("armored"),
        world.run(program, &["--armor", "--export"]).stdout,
    )
    .unwrap();
    let tag = world
        .run("git", &["-C", "work", "cat-file", "tag", "v2"])
        .stdout;
    std::fs::write(world.path("tag"), &tag).unwrap();
    let changed = String::from_utf8(tag).unwrap().replace("signed", "singed");
    std::fs::write(world.path("changed"), changed).unwrap();
    let at = |days: u64| -> String {
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        (now + days * 86_400).to_string()
    };
    let stranger = "0123456789abcdef0123456789abcdef01234567";
    let (today, later) = (at(0), at(11));
    for (more, expected) in [
        (&["tag", "--keyring", "ring"][..], 0),
        (&["tag", "--keyring", "armored", "--at", &today], 0),
        (&["tag"], 2),
        (&["tag", "--keyring", "ring", "--at", &later], 2),
        (&["tag", "--keyring", "ring", "--signer", stranger], 2),
        (&["changed", "--keyring", "ring"], 1),
    ] {
        let args = [&["verify", "--object"], more].concat();
        assert_eq!(code(&world, &args), expected, "{more:?}");
    }
    // A digest that git and gpg take, and a person may not.
    let weak = format!("{program}-weak");
    std::fs::write(
        &weak,
        format!("#!/bin/sh\nexec {program} --digest-algo SHA1 \"$@\"\n"),
    )
    .unwrap();
    std::fs::set_permissions(&weak, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!("gpg.program={weak}");
    world.git(&["-C", "work", "-c", &config, "tag", "-s", "-m", "weak", "v3"]);
    let named = ["verify", "-C", "work", "v3", "--keyring", "ring"];
    assert_eq!(code(&world, &named), 0);
    let strict = [&named[..], &["--refuse-weak-digests"]].concat();
    assert_eq!(code(&world, &strict), 3);
    // In a repository nobody but delegates and the person's own web counts.
    assert_eq!(code(&world, &["verify", "-C", "work", "v2"]), 2);
    let named = ["verify", "-C", "work", "v2", "--keyring", "ring"];
    assert_eq!(code(&world, &named), 0);
    let stop = world.run(
        "gpgconf",
        &["--homedir", home.path().to_str().unwrap(), "--kill", "all"],
    );
    assert!(stop.status.success());
}
