//! The web of the Debian keyring, against what GnuPG 2.2.40 said of it.

use std::path::{Path, PathBuf};

use data_encoding::HEXUPPER;
use gt_trust::Time;
use gt_trust::web::{Cache, Keyring, Model, Ownertrust, Row, Settings, UserKind, Web};

/// 2022-12-24 12:00 UTC, when the truths were asked for.
const AT: Time = Time(1_671_883_200);
/// Of the Debian package `debian-keyring`.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-keyring.gpg",
    "/usr/share/keyrings/debian-maintainers.gpg",
];

fn data() -> PathBuf {
    PathBuf::from(std::env::var_os("GT_DATA").unwrap()).join("trust")
}

fn debian() -> Keyring {
    let mut ring = Keyring::new();
    for path in KEYRINGS {
        let added = ring.add(&std::fs::read(path).unwrap()).unwrap();
        assert!(added.skipped.is_empty() && !added.broken);
    }
    ring
}

fn shown(row: &Row) -> String {
    let kind = match row.kind {
        UserKind::Id => "uid",
        UserKind::Attribute => "uat",
    };
    let key = row.key.to_string().to_uppercase();
    format!(
        "{key}\t{kind}\t{}\t{}",
        row.letter,
        HEXUPPER.encode(&row.hash)
    )
}

fn truth(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("truth.tsv")).unwrap();
    let mut rows: Vec<String> = text
        .lines()
        .map(|line| line.split('\t').take(4).collect::<Vec<_>>())
        .filter(|fields| matches!(fields[1], "uid" | "uat"))
        .map(|fields| fields.join("\t"))
        .collect();
    rows.sort();
    rows
}

#[test]
#[ignore = "needs GT_DATA"]
fn every_user_id_of_the_debian_keyring_is_judged_as_gpg_judges_it() {
    let ring = debian();
    for (name, model) in [
        ("s1_default", Model::Pgp),
        ("s5_rootonly", Model::Pgp),
        ("s7_classic_model", Model::Classic),
    ] {
        let folder = data().join(name);
        let text = std::fs::read_to_string(folder.join("ownertrust.txt")).unwrap();
        let owners = Ownertrust::parse(&text).unwrap();
        let mut settings = Settings::at(AT);
        settings.model = model;
        let cache = Cache::open(&[3; 32], &[]);
        let cold = Web::compute(&ring, &owners, settings, Some(&cache)).rows();
        let mut found: Vec<String> = cold.iter().map(shown).collect();
        found.sort();
        let truth = truth(&folder);
        assert!(truth.len() > 4000);
        assert_eq!(found, truth, "{name}");
        let known = cache.to_bytes().unwrap();
        let warm = Cache::open(&[3; 32], &known);
        assert_eq!(
            Web::compute(&ring, &owners, settings, Some(&warm)).rows(),
            cold
        );
        assert_eq!(warm.added(), 0);
    }
}
