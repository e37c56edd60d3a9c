//! Random webs, each judged by GnuPG and here: every letter must be the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use gt_trust::web::{Keyring, Model, Settings, UserKind, Web};

use crate::webs_drawn::{Scenario, Way, scenario};

type Letters = BTreeMap<(String, &'static str, String), char>;

fn ours(scenario: &Scenario) -> Letters {
    let mut ring = Keyring::new();
    for file in &scenario.files {
        let added = ring.add(file).unwrap();
        assert!(!added.broken && added.skipped.is_empty());
    }
    let web = Web::compute(&ring, &scenario.owners, scenario.settings, None);
    web.rows()
        .into_iter()
        .map(|row| {
            let kind = match row.kind {
                UserKind::Id => "uid",
                UserKind::Attribute => "uat",
            };
            let key = row.key.to_string().to_uppercase();
            (
                (key, kind, data_encoding::HEXUPPER.encode(&row.hash)),
                row.letter,
            )
        })
        .collect()
}

fn gpg(home: &Path, settings: &Settings, args: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("gpg");
    command
        .args([
            "--batch",
            "--no-autostart",
            "--quiet",
            "--no-auto-check-trustdb",
        ])
        .args(["--faked-system-time", &settings.at.0.to_string()])
        .args([
            "--trust-model",
            match settings.model {
                Model::Classic => "classic",
                _ => "pgp",
            },
        ])
        .args(["--completes-needed", &settings.completes_needed.to_string()])
        .args(["--marginals-needed", &settings.marginals_needed.to_string()])
        .args(["--max-cert-depth", &settings.max_cert_depth.to_string()])
        .args(["--min-cert-level", &settings.min_cert_level.to_string()])
        .args(args)
        .env("GNUPGHOME", home)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // gpg stops reading where it has seen enough.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn theirs(scenario: &Scenario) -> Letters {
    let home = tempfile::Builder::new().prefix("gt").tempdir().unwrap();
    let file = home.path().join("ring.gpg");
    let direct = ["--no-default-keyring", "--keyring", file.to_str().unwrap()];
    let run = |args: &[&str], input: &[u8]| {
        let first: &[&str] = match scenario.way {
            Way::Direct => &direct,
            _ => &[],
        };
        gpg(
            home.path(),
            &scenario.settings,
            &[first, args].concat(),
            input,
        )
    };
    if scenario.way == Way::Direct {
        std::fs::write(&file, &scenario.files[0]).unwrap();
    } else {
        for file in &scenario.files {
            let local = ["--import-options", "import-local-sigs", "--import"];
            run(&local, file);
        }
    }
    run(
        &["--import-ownertrust"],
        scenario.owners.to_text().as_bytes(),
    );
    run(&["--check-trustdb"], b"");
    let listing = run(&["--with-colons", "--list-keys"], b"");
    let mut letters = Letters::new();
    let mut key = String::new();
    let mut is_primary = false;
    for line in listing.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[0] {
            "pub" => is_primary = true,
            "fpr" if is_primary => {
                key = fields[9].to_owned();
                is_primary = false;
            }
            kind @ ("uid" | "uat") => {
                let kind = if kind == "uid" { "uid" } else { "uat" };
                let letter = fields[1].chars().next().unwrap_or(' ');
                letters.insert((key.clone(), kind, fields[7].to_owned()), letter);
            }
            _ => {}
        }
    }
    letters
}

/// Returns how often each letter came, or where they differ.
pub(crate) fn compare(seed: u64, scenario: &Scenario) -> Result<BTreeMap<char, usize>, String> {
    let ours = ours(scenario);
    let theirs = theirs(scenario);
    assert!(!theirs.is_empty(), "seed {seed}: gpg answered nothing");
    let mut difference = String::new();
    let mut seen = BTreeMap::new();
    for (user, letter) in &theirs {
        *seen.entry(*letter).or_insert(0) += 1;
        // What gpg refuses to import it does not list.
        let mine = ours.get(user).copied().unwrap_or('?');
        if mine != *letter {
            let _ = writeln!(difference, "{user:?}: gpg {letter}, here {mine}");
        }
    }
    if difference.is_empty() {
        Ok(seen)
    } else {
        // To be looked into.
        if let Some(folder) = std::env::var_os("GT_KEEP") {
            for (n, file) in scenario.files.iter().enumerate() {
                let name = format!("{seed}.{n}.gpg");
                std::fs::write(Path::new(&folder).join(name), file).unwrap();
            }
        }
        let settings = &scenario.settings;
        let way = scenario.way;
        Err(format!("seed {seed}, {way:?}, {settings:?}:\n{difference}"))
    }
}

/// The seeds to try: from `GT_SEED` on, `GT_SEEDS` of them.
pub(crate) fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name, or| match std::env::var(name) {
        Ok(number) => number.parse().unwrap(),
        Err(_) => or,
    };
    let first = number("GT_SEED", 1);
    first..first + number("GT_SEEDS", count)
}

#[test]
#[ignore = "needs gpg"]
fn random_webs_are_judged_as_gpg_judges_them() {
    let seeds = seeds(60);
    let count = seeds.end - seeds.start;
    let mut seen: BTreeMap<char, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for seed in seeds {
        match compare(seed, &scenario(seed)) {
            Ok(letters) => {
                for (letter, count) in letters {
                    *seen.entry(letter).or_insert(0) += count;
                }
            }
            Err(difference) => wrong.push(difference),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Scenarios in which nothing happens would prove nothing.
    if count >= 40 {
        for letter in "-qmfure".chars() {
            assert!(seen.contains_key(&letter), "{letter} never came: {seen:?}");
        }
    }
}
