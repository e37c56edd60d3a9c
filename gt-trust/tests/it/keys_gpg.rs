//! Keys and key files that GnuPG makes and others seldom do.

use gt_trust::object::{Checker, Kind, Object, Rings, Verdict};
use gt_trust::web::{Keyring, KeyringError};

use crate::gpg::{Home, now};

const TAG: &[u8] = b"object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype tree\ntag v1\n\
    tagger A <a@example.org> 1700000000 +0000\n\na message\n";

fn signed(home: &Home, key: &str) -> Object {
    let signature = home.gpg(&["-bsau", key], TAG);
    Object::parse(&[TAG, &signature].concat(), Some(Kind::Tag)).unwrap()
}

fn verdict(ring: &[u8], object: &Object) -> Verdict {
    let mut rings = Rings::default();
    rings.add(ring).unwrap();
    let checker = Checker::new(&rings, now());
    checker.check(object).swap_remove(0).verdict
}

/// Half of what gpg makes with such a key has a second number above half of
/// the group's order: its signatures on itself and on others' bytes.
#[test]
#[ignore = "needs gpg"]
fn both_forms_of_signatures_by_secp256k1_count() {
    let home = Home::new();
    let keys: Vec<String> = (0..4)
        .map(|n| {
            let id = format!("K{n} <k{n}@example.org>");
            let make = ["--passphrase", "", "--quick-gen-key", &id, "secp256k1"];
            home.gpg(&[&make[..], &["sign", "never"]].concat(), b"");
            id
        })
        .collect();
    let ring = home.gpg(&["--export"], b"");
    for key in keys.iter().chain(&keys) {
        let verdict = verdict(&ring, &signed(&home, key));
        assert!(matches!(verdict, Verdict::Good(_)), "{verdict}");
    }
}

/// A subkey of a kind that is known, under a primary key that is not.
#[test]
#[ignore = "needs gpg"]
fn what_brainpool_binds_cannot_be_told() {
    let home = Home::new();
    let key = home.make_key("brainpoolP256r1", "cert");
    let listing = String::from_utf8(home.gpg(&["--list-keys", "--with-colons"], b"")).unwrap();
    let print = listing.lines().find(|l| l.starts_with("fpr:")).unwrap();
    let print = print.split(':').nth(9).unwrap();
    let add = ["--passphrase", "", "--quick-add-key", print];
    home.gpg(&[&add[..], &["ed25519", "sign", "never"]].concat(), b"");
    let ring = home.gpg(&["--export"], b"");
    let verdict = verdict(&ring, &signed(&home, &key));
    assert!(matches!(verdict, Verdict::Unsupported(_)), "{verdict}");
}

/// The file that gpg keeps its certificates in, with one that was deleted and
/// one that was changed.
#[test]
#[ignore = "needs gpg"]
fn keyboxes_hold_what_gpg_exports() {
    let home = Home::new();
    for kind in ["ed25519", "rsa2048", "nistp256"] {
        home.make_key(kind, "sign");
    }
    let delete = ["--yes", "--delete-secret-and-public-key"];
    let listing = String::from_utf8(home.gpg(&["--list-keys", "--with-colons"], b"")).unwrap();
    let prints: Vec<&str> = listing
        .lines()
        .filter_map(|line| line.strip_prefix("fpr:")?.split(':').nth(8))
        .collect();
    home.gpg(&[&delete[..], &[prints[1]]].concat(), b"");
    let more = ["--passphrase", "", "--quick-add-uid", prints[0], "more"];
    home.gpg(&more, b"");
    let file = std::fs::read(home.path().join("pubring.kbx")).unwrap();
    let export = home.gpg(&["--export"], b"");
    let read = |bytes: &[u8]| {
        let mut ring = Keyring::new();
        let added = ring.add(bytes).unwrap();
        assert!(!added.broken && added.skipped.is_empty());
        let all = ring.certificates().iter();
        all.map(|c| c.to_bytes()).collect::<Vec<_>>()
    };
    let found = read(&file);
    assert_eq!(found.len(), 2);
    assert_eq!(found, read(&export));
    let object = signed(&home, "ed25519@example.org");
    let verdict = verdict(&file, &object);
    assert!(matches!(verdict, Verdict::Good(_)), "{verdict}");
    let database = b"SQLite format 3\0...";
    let refused = Keyring::new().add(database);
    assert_eq!(refused, Err(KeyringError::Database));
}
