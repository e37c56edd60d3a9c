//! `gt trust`: keyrings, ownertrust, standing, and its exit codes.

use serde_json::Value;

use gt_trust::key::OwnKey;
use gt_trust::{Fingerprint, Time};

use crate::world::{World, with_peer};

const NOW: Time = Time(1_700_000_000);

/// Writes a certificate; returns its name in capitals.
fn certificate(world: &World, file: &str, seed: u8) -> String {
    let user = format!("{file} <{file}@example.org>");
    let key = OwnKey::generate(&user, NOW, [seed; 32]).unwrap();
    std::fs::write(world.path(file), key.certificate().unwrap()).unwrap();
    shown(&key.fingerprint())
}

fn shown(key: &Fingerprint) -> String {
    key.to_string().to_uppercase()
}

fn code(world: &World, args: &[&str]) -> i32 {
    let output = world.run(env!("CARGO_BIN_EXE_gt"), args);
    output.status.code().unwrap()
}

#[test]
fn keyrings_are_listed_without_a_home() {
    let world = World::new();
    let ann = certificate(&world, "ann", 1);
    let bob = certificate(&world, "bob", 2);
    std::fs::write(world.path("trust"), format!("# mine\n{ann}:6:\n")).unwrap();
    let list = |more: &[&str]| {
        let common = ["trust", "list", "--ownertrust", "trust", "--tsv"];
        world.gt(&[&common[..], &["--keyring", "ann", "--keyring", "bob"], more].concat())
    };
    for model in ["pgp", "classic", "strict"] {
        let told = list(&["--model", model, "--at", "1700000100"]);
        let rows: Vec<Vec<&str>> = told.lines().map(|l| l.split('\t').collect()).collect();
        assert_eq!(rows.len(), 2, "{told}");
        assert_eq!(rows[0][..3], [&ann, "uid", "u"]);
        assert_eq!(rows[1][..3], [&bob, "uid", "-"]);
        assert!(rows.iter().all(|row| row[3].len() == 40));
    }
    assert!(!world.path("home/data/gittorrent").exists());
    let armoured = {
        let bytes = std::fs::read(world.path("ann")).unwrap();
        let text = data_encoding::BASE64.encode(&bytes);
        format!(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}\n-----END PGP PUBLIC KEY BLOCK-----\n"
        )
    };
    std::fs::write(world.path("ann"), armoured).unwrap();
    assert!(list(&["--at", "20231114T221500"]).starts_with(&ann));
}

#[test]
fn what_is_wrong_with_words_and_files_is_64() {
    let world = World::new();
    let ann = certificate(&world, "ann", 1);
    std::fs::write(world.path("trust"), format!("{ann}:6:\n")).unwrap();
    std::fs::write(world.path("junk"), "junk\n").unwrap();
    let list = ["trust", "list", "--keyring", "ann", "--ownertrust", "trust"];
    for more in [
        &["--model", "other"][..],
        &["--at", "noon"],
        &["--completes-needed", "0"],
        &["--marginals-needed", "1"],
        &["--max-cert-depth", "256"],
        &["--min-cert-level", "0"],
        &["--min-cert-level", "4"],
        &["--keyring", "missing"],
        &["--keyring", "junk"],
        &["--no-such-option"],
    ] {
        assert_eq!(code(&world, &[&list[..], more].concat()), 64, "{more:?}");
    }
    let bad = ["trust", "list", "--keyring", "ann", "--ownertrust", "junk"];
    assert_eq!(code(&world, &bad), 64);
    assert_eq!(code(&world, &["trust", "why", "beef"]), 64);
    assert_eq!(code(&world, &["trust", "set", &ann, "very"]), 64);
}

#[test]
fn a_persons_own_trust_is_kept_and_explained() {
    let world = World::new();
    let ann = certificate(&world, "ann", 1);
    let bob = certificate(&world, "bob", 2);
    let told = world.gt(&["trust", "import", "ann", "bob", "--json"]);
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (value["read"].as_u64(), value["new"].as_u64()),
        (Some(2), Some(2))
    );
    assert_eq!(code(&world, &["trust", "why", &ann]), 2);
    world.gt(&["trust", "add-root", &ann.to_lowercase()]);
    let why: Value = serde_json::from_str(&world.gt(&["trust", "why", &ann, "--json"])).unwrap();
    assert_eq!(why["standing"], "trusted");
    assert_eq!(why["user"], "ann <ann@example.org>");
    assert_eq!(why["grounds"][0]["key"], ann.as_str());
    let (code_of_bob, words) = world.gt_fails(&["trust", "why", &bob]);
    assert_eq!(code_of_bob, 2);
    assert!(
        words.contains("nobody whom you know certifies it"),
        "{words}"
    );
    assert_eq!(code(&world, &["trust", "path", &bob]), 2);
    assert_eq!(code(&world, &["trust", "why", &"0".repeat(40)]), 2);

    world.gt(&["trust", "set", &bob, "full"]);
    std::fs::write(world.path("list"), format!("{ann}:3:\n")).unwrap();
    world.gt(&["trust", "import", "--ownertrust", "list"]);
    let kept = world.path("home/data/gittorrent/trust/ownertrust");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.contains(&format!("{ann}:3:\n")), "{kept}");
    assert!(kept.contains(&format!("{bob}:5:\n")), "{kept}");
    // Nobody is a root any more.
    assert_eq!(code(&world, &["trust", "why", &ann]), 2);
}

/// As in `gpg --export | gt trust import -`.
#[test]
fn what_is_piped_in_is_taken() {
    let world = World::new();
    let ann = certificate(&world, "ann", 1);
    let with = |words: &[&str], input: Vec<u8>| {
        let mut env = world.env();
        let all = ["gt", "trust"].iter().chain(words);
        env.args = all.map(std::ffi::OsString::from).collect();
        env.stdin = Box::new(std::io::Cursor::new(input));
        env.stdout = Box::new(std::io::sink());
        let _ = gt_cli::gt(&mut env);
    };
    with(&["import", "-"], std::fs::read(world.path("ann")).unwrap());
    let trust = format!("{ann}:6:\n").into_bytes();
    with(&["import", "--ownertrust", "-"], trust);
    assert_eq!(code(&world, &["trust", "why", &ann]), 0);
}

/// You ──▶ Ann ──▶ Bob, and You ──▶ Carl ──▶ Bob, Carl by a trust signature: made
/// by gpg 2.2.
#[test]
fn every_certification_is_told_and_every_path() {
    let world = World::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for file in ["web.gpg", "web.ownertrust"] {
        std::fs::copy(folder.join(file), world.path(file)).unwrap();
    }
    let words = |verb: &'static str, more: &'static str| {
        let text = std::fs::read_to_string(world.path("web.ownertrust")).unwrap();
        let bob = text.lines().next().unwrap().trim_start_matches("# ");
        let files = ["--keyring", "web.gpg", "--ownertrust", "web.ownertrust"];
        let args = [&["trust", verb, bob, "--at", "1700000000"][..], &files].concat();
        match more.is_empty() {
            true => world.gt(&args),
            false => world.gt(&[&args[..], &[more]].concat()),
        }
    };
    assert_eq!(words("path", "").lines().count(), 2);
    let path: Value = serde_json::from_str(&words("path", "--json")).unwrap();
    assert_eq!(path["left-out"], 0);
    let why = words("why", "");
    for part in ["Bob", "Ann", "Carl"] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(why.matches("    certified by ").count(), 4, "{why}");
    assert_eq!(why.matches("    a root of yours").count(), 1, "{why}");
    let why: Value = serde_json::from_str(&words("why", "--json")).unwrap();
    let grounds = why["grounds"].as_array().unwrap();
    let told = |n: usize| grounds[n]["certifications"].as_array().unwrap().len();
    assert_eq!([told(0), told(1), told(2), told(3)], [2, 1, 1, 0]);
    let granted = &grounds[2]["granted"];
    assert_eq!(
        (&granted["depth"], &granted["amount"]),
        (&1.into(), &120.into())
    );
}

/// What was altered in the cache is computed again.
#[test]
fn a_spoilt_cache_changes_no_answer() {
    let world = World::new();
    let ann = certificate(&world, "ann", 1);
    world.gt(&["trust", "import", "ann"]);
    world.gt(&["trust", "add-root", &ann]);
    let list = || world.gt(&["trust", "list", "--tsv"]);
    let first = list();
    let cache = world.path("home/cache/gittorrent/trust");
    let good = std::fs::read(&cache).unwrap();
    assert!(!good.is_empty());
    for spoilt in [Vec::new(), good[1..].to_vec(), vec![0xaa; good.len()]] {
        std::fs::write(&cache, spoilt).unwrap();
        assert_eq!(list(), first);
    }
    std::fs::remove_file(&cache).unwrap();
    std::fs::write(world.path("home/data/gittorrent/trust/key"), "short").unwrap();
    assert_eq!(list(), first);
}

/// A charter's list is narrowed by the person's web of trust where she asks for
/// it, and only there; the words say whose key it was and how to see why.
#[test]
fn the_web_narrows_a_charter_for_who_asks() {
    let mut world = World::new();
    world.person("ann");
    world.repository("work");
    let address = world.publish("work", &[]);
    let shown: Value = {
        let text = world.gt(&["charter", "show", "-C", "work", "--json"]);
        serde_json::from_str(&text).unwrap()
    };
    let delegate = shown["delegates"][0]["delegate"].as_str().unwrap();
    let ann = delegate.strip_prefix("openpgp:").unwrap().to_uppercase();
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.person("bob");
    world.gt(&["clone", "--mirror", &address, "plain.git"]);
    world.git(&["config", "--global", "gt.believe", "web"]);
    for more in [
        &["--mirror", &address, "narrow-mirror"][..],
        &[&address, "narrow"],
    ] {
        let args = [&["clone", "--wait", "8"], more].concat();
        let (_, words) = world.gt_fails(&args);
        assert!(words.contains(delegate), "{words}");
        assert!(words.contains(&format!("gt trust why {ann}")), "{words}");
    }
    // The switch can be turned for one clone.
    world.gt(&[
        "clone",
        "--mirror",
        "--believe",
        "charter",
        &address,
        "other.git",
    ]);
    let kept = world.git(&["-C", "other.git", "config", "gt.believe"]);
    assert_eq!(kept.trim(), "charter");
    // Known, but nobody's whom Bob trusts; then she is.
    world.gt(&["trust", "import", "work/.git/gt/keyring"]);
    let fetch = |world: &World, wait: &str| {
        let args = ["fetch", "-C", "plain.git", "--wait", wait, "--peer", &place];
        world.run(env!("CARGO_BIN_EXE_gt"), &args)
    };
    world.person("ann");
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    seed.wait_until(|v| v["event"] == "statement" && v["sequence"] == 2);
    world.person("bob");
    assert!(!fetch(&world, "8").status.success());
    assert_ne!(world.refs("plain.git"), world.refs("work"));
    world.gt(&["trust", "add-root", &ann]);
    assert!(fetch(&world, "60").status.success());
    assert_eq!(world.refs("plain.git"), world.refs("work"));
    world.gt(&["clone", "--mirror", &address, "narrow.git"]);
    // Ann's own key is believed without a word, by herself.
    world.person("ann");
    world.git(&["config", "--global", "gt.believe", "web"]);
    world.commit("work", "more.txt", "more\n");
    world.publish("work", &[]);
    world.git(&["config", "--global", "gt.believe", "nobody"]);
    let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert!(
        code == 2 && words.contains("expected charter or web"),
        "{words}"
    );
}

/// A web knows no SSH keys: they count for who names them to git.
#[test]
#[ignore = "needs ssh-keygen"]
fn ssh_delegates_count_for_who_has_listed_them() {
    let mut world = World::new();
    world.person("ann");
    world.repository("work");
    let key = world.path("key");
    let key = key.to_str().unwrap();
    world.run("ssh-keygen", &["-q", "-N", "", "-t", "ed25519", "-f", key]);
    world.git(&["config", "--global", "gpg.format", "ssh"]);
    world.git(&["config", "--global", "user.signingkey", key]);
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);

    world.person("bob");
    world.git(&["config", "--global", "gt.believe", "web"]);
    let refused = |world: &World, why: &str| {
        let args = ["clone", "--wait", "5", "--mirror", &address, "no.git"];
        let (_, words) = world.gt_fails(&args);
        assert!(words.contains(why), "{words}");
        assert!(words.contains("ssh:SHA256:"), "{words}");
    };
    refused(&world, "nobody certifies SSH keys");
    let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    let list = world.path("allowed");
    let setting = "gpg.ssh.allowedSignersFile";
    world.git(&["config", "--global", setting, list.to_str().unwrap()]);
    refused(&world, "no such file");
    for (line, why) in [
        (String::new(), "does not name it"),
        (
            format!("ann namespaces=\"file\" {public}"),
            "for other purposes",
        ),
        (
            format!("ann valid-before=\"20200101Z\" {public}"),
            "for other times",
        ),
        (
            format!("ann cert-authority {public}"),
            "does not name it as a signer",
        ),
    ] {
        std::fs::write(&list, line).unwrap();
        refused(&world, why);
    }
    std::fs::write(&list, format!("ann {public}")).unwrap();
    let revoked = world.path("revoked");
    std::fs::write(&revoked, &public).unwrap();
    let setting = "gpg.ssh.revocationFile";
    world.git(&["config", "--global", setting, revoked.to_str().unwrap()]);
    refused(&world, "revokes it");
    world.git(&["config", "--global", "--unset", setting]);
    world.gt(&["clone", "--mirror", &address, "yes.git"]);
    assert_eq!(world.refs("yes.git"), world.refs("work"));
    // Nor does Ann's own gt know who she is but by that list.
    world.person("ann");
    world.git(&["config", "--global", "gt.believe", "web"]);
    world.commit("work", "later.txt", "later\n");
    let (_, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert!(words.contains("nobody certifies SSH keys"), "{words}");
}
