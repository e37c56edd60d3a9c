//! Random webs, each judged by GnuPG and here: every letter must be the same.
//!
//! What the Debian keyring does not hold is frequent here: revoked primary
//! keys, revoked and irrevocable certifications, patterns, designated
//! revokers, forged signatures, keys and dates to come.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use gt_trust::Time;
use gt_trust::web::{Keyring, Level, Model, Ownertrust, Settings, UserKind, Web};

use crate::weaver::{Fields, Maker, Part, packet};

/// The moment that is asked about: 2022-12-24 12:00 UTC, and a year.
const AT: u32 = 1_671_883_200;
const YEAR: u32 = 31_536_000;

/// SplitMix64: a scenario is its seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.next() % u64::from(n)).unwrap()
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(u32::try_from(list.len()).unwrap()) as usize]
    }
}

struct Scenario {
    keyring: Vec<u8>,
    owners: Ownertrust,
    settings: Settings,
}

const PATTERNS: [&str; 11] = [
    "<[^>]+[@.]example\\.com>$",
    "<[^>]+[@.]example.org>$",
    "example",
    "<[^>]+[@.]com>$",
    ".*",
    "\\<k1",
    "ORG>",
    // For user attributes, which gpg gives a name.
    "image",
    "\\[jpeg",
    "size 3.]",
    "attribute",
];
const DOMAINS: [&str; 3] = ["example.com", "example.org", "a.example.com"];

fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice(seed);
    let count = 6 + dice.below(9);
    let makers: Vec<Maker> = (0..count)
        .map(|i| {
            let created = if dice.once_in(25) {
                AT + dice.below(1000)
            } else {
                AT - 12 * YEAR + dice.below(6 * YEAR)
            };
            Maker::new(u8::try_from(i + 1).unwrap(), created)
        })
        .collect();
    let mut keyring = Vec::new();
    for (i, maker) in makers.iter().enumerate() {
        certificate(&mut dice, i, maker, &makers, &mut keyring);
    }
    let mut owners = Ownertrust::new();
    owners.set(makers[0].print, Level::Ultimate);
    for (i, maker) in makers.iter().enumerate().skip(1) {
        let level = dice.of(&[
            Level::Unknown,
            Level::Unknown,
            Level::Undefined,
            Level::Never,
            Level::Marginal,
            Level::Marginal,
            Level::Full,
            Level::Full,
            Level::Full,
        ]);
        // A root that names nobody's key: gpg's cache of keys lets one that has
        // expired certify after all, once it was looked up as a revoker.
        let level = if i % 2 == 0 && dice.once_in(5) {
            Level::Ultimate
        } else {
            level
        };
        owners.set(maker.print, level);
    }
    let mut settings = Settings::at(Time(AT.into()));
    settings.model = dice.of(&[Model::Pgp, Model::Pgp, Model::Pgp, Model::Classic]);
    settings.completes_needed = dice.of(&[1, 1, 2, 3]);
    settings.marginals_needed = dice.of(&[2, 2, 3]);
    settings.max_cert_depth = dice.of(&[1, 2, 3, 5, 5]);
    // gpg takes no 0: it would refuse to answer at all.
    settings.min_cert_level = u8::try_from(dice.of(&[1, 1, 2, 2, 3])).unwrap();
    Scenario {
        keyring,
        owners,
        settings,
    }
}

fn certificate(dice: &mut Dice, i: usize, maker: &Maker, makers: &[Maker], out: &mut Vec<u8>) {
    out.extend(maker.packet());
    direct(dice, i, maker, makers, out);
    let users = 1 + dice.below(3);
    for u in 0..users {
        let name = format!("Key {i} <k{i}u{u}@{}>", dice.of(&DOMAINS));
        let picture = attribute(dice, &name);
        let part = if u > 0 && dice.once_in(6) {
            out.extend(packet(17, &picture));
            Part::Attribute(&picture)
        } else {
            out.extend(packet(13, name.as_bytes()));
            Part::User(&name)
        };
        let selves = 1 + dice.below(3);
        for s in 0..selves {
            let mut fields = Fields::new(0x13, maker.created + dice.below(8 * YEAR));
            if s == 0 {
                fields.made = maker.created;
            }
            fields.class = dice.of(&[0x10, 0x11, 0x12, 0x13, 0x13, 0x13, 0x13, 0x30]);
            if s > 0 && fields.class != 0x30 && dice.once_in(3) {
                fields.expires = Some(dice.below(8 * YEAR));
            }
            if s == 0 {
                fields.class = 0x13;
            }
            if dice.once_in(5) {
                fields.key_expires = Some(dice.below(20 * YEAR));
            }
            fields.forged = s > 0 && dice.once_in(9);
            fields.unknown = s > 0 && dice.once_in(9);
            out.extend(maker.sign(maker, part, &fields));
        }
        for _ in 0..dice.below(7) {
            let by = &makers[dice.below(u32::try_from(makers.len()).unwrap()) as usize];
            let copies = 1 + dice.below(3);
            for _ in 0..copies {
                let fields = certification(dice, maker);
                if by.print != maker.print {
                    out.extend(by.sign(maker, part, &fields));
                }
            }
        }
    }
}

/// A picture, in a format or in none, something else, two of them, or nothing.
fn attribute(dice: &mut Dice, name: &str) -> Vec<u8> {
    let part = |kind: u8, data: &[u8]| -> Vec<u8> {
        let length = u8::try_from(data.len() + 1).unwrap();
        [&[length, kind], data].concat()
    };
    let header = |format: u8| -> Vec<u8> {
        let mut header = vec![16, 0, 1, format];
        header.resize(16, 0);
        [&header, name.as_bytes()].concat()
    };
    match dice.below(6) {
        0 => [&[9, 1][..], name.as_bytes()].concat(),
        1 | 2 => part(1, &header(1)),
        3 => part(1, &header(2)),
        4 => part(100, name.as_bytes()),
        _ => [part(1, &header(1)), part(1, &header(1))].concat(),
    }
}

fn direct(dice: &mut Dice, i: usize, maker: &Maker, makers: &[Maker], out: &mut Vec<u8>) {
    if dice.once_in(12) {
        let mut fields = Fields::new(0x20, maker.created + dice.below(14 * YEAR));
        fields.reason = dice.of(&[None, Some(0), Some(1), Some(2), Some(3)]);
        fields.forged = dice.once_in(3);
        out.extend(maker.sign(maker, Part::Key, &fields));
    }
    if dice.once_in(6) {
        let odd = (i / 2 * 2 + 3) % (makers.len() / 2 * 2);
        let revoker = &makers[odd];
        let mut fields = Fields::new(0x1f, maker.created + dice.below(4 * YEAR));
        fields.revoker = Some(revoker.print);
        if dice.once_in(3) {
            fields.expires = Some(dice.below(4 * YEAR));
        }
        out.extend(maker.sign(maker, Part::Key, &fields));
        if dice.once_in(2) {
            let fields = Fields::new(0x20, AT - dice.below(14 * YEAR));
            out.extend(revoker.sign(maker, Part::Key, &fields));
        }
    }
    for _ in 0..dice.below(3) {
        if dice.once_in(4) {
            let mut fields = Fields::new(0x1f, maker.created + dice.below(4 * YEAR));
            fields.key_expires = dice.of(&[None, Some(0), Some(9 * YEAR), Some(15 * YEAR)]);
            fields.expires = dice.of(&[None, None, Some(9 * YEAR)]);
            out.extend(maker.sign(maker, Part::Key, &fields));
        }
    }
}

fn certification(dice: &mut Dice, of: &Maker) -> Fields {
    // Some are older than the key, some are of the future.
    let made = of.created.wrapping_add(dice.below(13 * YEAR)) - YEAR / 4;
    let mut fields = Fields::new(0x10, made);
    fields.class = dice.of(&[0x10, 0x10, 0x10, 0x11, 0x12, 0x12, 0x13, 0x13, 0x30]);
    fields.revocable = !dice.once_in(6);
    if dice.once_in(4) {
        fields.expires = Some(dice.of(&[0, 100, YEAR, 5 * YEAR, 12 * YEAR]));
    }
    if dice.once_in(3) {
        fields.trust = Some((
            u8::try_from(dice.below(4)).unwrap(),
            dice.of(&[0, 59, 60, 119, 120, 255]),
        ));
        if dice.once_in(2) {
            fields.pattern = Some(dice.of(&PATTERNS).to_owned());
        }
    }
    fields.hash = dice.of(&[8, 8, 10]);
    fields.forged = dice.once_in(12);
    fields.unknown = dice.once_in(15);
    fields.old = fields.trust.is_none() && dice.once_in(12);
    fields
}

type Letters = BTreeMap<(String, &'static str, String), char>;

fn ours(scenario: &Scenario) -> Letters {
    let mut ring = Keyring::new();
    let added = ring.add(&scenario.keyring).unwrap();
    assert!(!added.broken && added.skipped.is_empty());
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
        .args(["--faked-system-time", "20221224T120000"])
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
    let run = |args: &[&str], input: &[u8]| gpg(home.path(), &scenario.settings, args, input);
    run(&["--import"], &scenario.keyring);
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

fn compare(seed: u64) -> Result<BTreeMap<char, usize>, String> {
    let scenario = scenario(seed);
    let ours = ours(&scenario);
    let theirs = theirs(&scenario);
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
        let settings = &scenario.settings;
        Err(format!("seed {seed}, {settings:?}:\n{difference}"))
    }
}

#[test]
#[ignore = "needs gpg"]
fn random_webs_are_judged_as_gpg_judges_them() {
    let first: u64 = match std::env::var("GT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => 1,
    };
    let count: u64 = match std::env::var("GT_SEEDS") {
        Ok(count) => count.parse().unwrap(),
        Err(_) => 40,
    };
    let mut seen: BTreeMap<char, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for seed in first..first + count {
        match compare(seed) {
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
