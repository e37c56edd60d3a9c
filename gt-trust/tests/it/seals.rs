//! Seals that must not count, each for its own reason.

use gt_trust::charter::Delegate;
use gt_trust::judge::{Refusal, SealFault};
use gt_trust::seal::{Error, Subject, Tagger, Unsigned, blob_oid};
use gt_trust::signature::{ArmorError, Fault};
use gt_trust::{Keyring, ObjectFormat, Seal, Statement};
use pgp::packet::SignatureType;

use crate::forge::{self, GOOD, Primary};
use crate::publisher::{DAY, NOW, Publisher, accepted, after, parsed, refused, seal_with};

/// A repository whose only delegate is a key made by hand.
fn founded_by(key: &Primary) -> (Publisher, Statement) {
    let publisher = Publisher::with(
        vec![Delegate::OpenPgp(key.fingerprint())],
        1,
        key.certificate(),
        Vec::new(),
    );
    let first = publisher.first();
    (publisher, first)
}

/// Judges a statement with this one seal, which must not count.
#[track_caller]
fn fault_of(publisher: &Publisher, statement: &Statement, seal: Vec<u8>) -> SealFault {
    let offer = publisher.offer_sealed(statement, vec![seal]);
    match refused(publisher.judge(None, &offer, NOW)) {
        Refusal::NoSeal { mut faults } if faults.len() == 1 => faults.remove(0),
        other => panic!("expected one bad seal, got {other:?}"),
    }
}

#[test]
fn a_good_seal_made_by_hand_counts() {
    let key = Primary::new(1, GOOD);
    let (publisher, first) = founded_by(&key);
    let seal = seal_with(&first, NOW, |p| forge::sign_armored(&key.secret, NOW, p));
    accepted(publisher.judge(None, &publisher.offer_sealed(&first, vec![seal]), NOW));
}

#[test]
fn text_mode_signature_refused() {
    let key = Primary::new(1, GOOD);
    let (publisher, first) = founded_by(&key);
    let seal = seal_with(&first, NOW, |payload| {
        let config = forge::config(&key.secret, SignatureType::Text, NOW);
        forge::armored(&forge::sign(&key.secret, config, payload))
    });
    let fault = fault_of(&publisher, &first, seal);
    assert_eq!(fault, SealFault::Form(Error::Signature(Fault::TextMode)));
}

#[test]
fn other_types_refused() {
    let key = Primary::new(1, GOOD);
    let (publisher, first) = founded_by(&key);
    for (kind, number) in [
        (SignatureType::Standalone, 2),
        (SignatureType::Timestamp, 0x40),
    ] {
        let seal = seal_with(&first, NOW, |payload| {
            let mut packet = forge::sign(
                &key.secret,
                forge::config(&key.secret, SignatureType::Binary, NOW),
                payload,
            );
            // Header of two bytes, version, type: a type that no signer makes.
            assert_eq!(packet[3], 0);
            packet[3] = kind.into();
            forge::armored(&packet)
        });
        let fault = fault_of(&publisher, &first, seal);
        assert_eq!(
            fault,
            SealFault::Form(Error::Signature(Fault::Type(number)))
        );
    }
}

/// Made by gpg over the payload of this very statement: SHA-256, then SHA-1
/// (`--digest-algo`) and text mode (`--textmode`). All three verify with gpg.
#[test]
fn sha1_digest_refused() {
    let certificate = include_bytes!("../golden/rsa.cert").to_vec();
    let print = Keyring::parse(&certificate, None).unwrap().fingerprints()[0];
    let publisher = Publisher::with(vec![Delegate::OpenPgp(print)], 1, certificate, Vec::new());
    let first = publisher.first();
    let sealed = |armored: &[u8]| {
        seal_with(&first, NOW, |_| {
            String::from_utf8(armored.to_vec()).unwrap()
        })
    };
    let good = sealed(include_bytes!("../golden/rsa-good.asc"));
    accepted(publisher.judge(None, &publisher.offer_sealed(&first, vec![good]), NOW));
    let weak = fault_of(
        &publisher,
        &first,
        sealed(include_bytes!("../golden/rsa-sha1.asc")),
    );
    let expected = Fault::WeakDigest("SHA1".to_owned());
    assert_eq!(weak, SealFault::Form(Error::Signature(expected)));
    let text = fault_of(
        &publisher,
        &first,
        sealed(include_bytes!("../golden/rsa-text.asc")),
    );
    assert_eq!(text, SealFault::Form(Error::Signature(Fault::TextMode)));
}

#[test]
fn trailing_text_refused() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let good = publisher.seal(0, &first);
    for tail in ["x\n", "\n", "x", "-----BEGIN PGP SIGNATURE-----\n"] {
        let seal = [&good, tail.as_bytes()].concat();
        assert!(Seal::parse(&seal).is_err(), "{tail:?}");
    }
    let fault = fault_of(&publisher, &first, [&good[..], b"more\n"].concat());
    let expected = Fault::Armor(ArmorError::Trailing);
    assert_eq!(fault, SealFault::Form(Error::Signature(expected)));
}

#[test]
fn two_signatures_refused() {
    let key = Primary::new(1, GOOD);
    let (publisher, first) = founded_by(&key);
    // Two blocks, then two packets in one block; both signatures are good.
    let two_blocks = seal_with(&first, NOW, |p| {
        forge::sign_armored(&key.secret, NOW, p).repeat(2)
    });
    assert!(Seal::parse(&two_blocks).is_err());
    let two_packets = seal_with(&first, NOW, |payload| {
        let one = forge::sign(
            &key.secret,
            forge::config(&key.secret, SignatureType::Binary, NOW),
            payload,
        );
        forge::armored(&one.repeat(2))
    });
    let fault = fault_of(&publisher, &first, two_packets);
    assert_eq!(fault, SealFault::Form(Error::Signature(Fault::NotOne)));
}

#[test]
fn future_signature_refused() {
    let key = Primary::new(1, GOOD);
    let (publisher, first) = founded_by(&key);
    let seal = |ahead| {
        seal_with(&first, NOW, |p| {
            forge::sign_armored(&key.secret, after(ahead), p)
        })
    };
    let offer = publisher.offer_sealed(&first, vec![seal(DAY)]);
    accepted(publisher.judge(None, &offer, NOW));
    let fault = fault_of(&publisher, &first, seal(DAY + 1));
    assert!(
        matches!(fault, SealFault::Signature(Fault::Future(_))),
        "{fault:?}"
    );
}

#[test]
fn forged_signature_refused() {
    let publisher = Publisher::one();
    let first = publisher.first();
    // A seal on another statement of the same key, its message exchanged.
    let other = publisher.next(&first, 9, after(1));
    let seal = seal_with(&first, NOW, |_| {
        let other = String::from_utf8(publisher.seal(0, &other)).unwrap();
        other[other.find("-----BEGIN").unwrap()..].to_owned()
    });
    assert_eq!(
        fault_of(&publisher, &first, seal),
        SealFault::Signature(Fault::Bad)
    );
}

#[test]
fn seal_on_another_statement_refused() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let other = publisher.next(&first, 9, after(1));
    let fault = fault_of(&publisher, &first, publisher.seal(0, &other));
    assert_eq!(fault, SealFault::OtherSubject);
}

#[test]
fn release_tag_is_no_statement() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let good = String::from_utf8(publisher.seal(0, &first)).unwrap();
    for (from, to) in [
        ("tag gt-references", "tag v1.0"),
        ("type blob", "type commit"),
    ] {
        assert_eq!(
            Seal::parse(good.replace(from, to).as_bytes()),
            Err(Error::NoSeal)
        );
    }
    // A statement's seal under the name of a charter's.
    let crossed = good.replace("tag gt-references", "tag gt-charter");
    assert!(matches!(
        Seal::parse(crossed.as_bytes()),
        Err(Error::Message(_))
    ));
    // A statement is a blob, and a release tag is not in its grammar.
    assert!(Statement::parse(good.as_bytes()).is_err());
}

#[test]
fn malformed_seals_refused() {
    let publisher = Publisher::one();
    let good = String::from_utf8(publisher.seal(0, &publisher.first())).unwrap();
    for (from, to) in [
        ("object ", "object  "),
        ("tagger Ann", "tagger <Ann"),
        ("+0000", "+00000"),
        ("+0000", "GMT"),
        ("+0000\n", "+0000\nencoding latin1\n"),
        ("+0000\n", "+0000\ngpgsig x\n"),
        ("\n\ngt seal", "\ngt seal"),
        ("\n\ngt seal", "\n\n\ngt seal"),
        ("gt seal 1", "gt seal 2"),
        ("Epoch: 0", "Epoch: 00"),
        ("\nEpoch: 0", ""),
        ("Sequence: 1\n", "Sequence: 1\nExtra: 1\n"),
        ("-----BEGIN", "text\n-----BEGIN"),
        ("-----BEGIN", "\n-----BEGIN"),
        ("-----BEGIN PGP SIGNATURE", "-----BEGIN PGP MESSAGE"),
        ("-----BEGIN PGP SIGNATURE", "-----BEGIN SSH SIGNATURE"),
        ("-----BEGIN PGP SIGNATURE", "-----BEGIN SIGNED MESSAGE"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(Seal::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let ssh = good.replace("PGP SIGNATURE", "SSH SIGNATURE");
    assert_eq!(
        Seal::parse(ssh.as_bytes()),
        Err(Error::Signature(gt_trust::ssh::Fault::Armor.into()))
    );
    assert!(Seal::parse(&vec![b'\n'; 17 << 10]).is_err());
}

#[test]
fn a_charter_is_sealed_too() {
    let publisher = Publisher::one();
    let charter = &publisher.charter;
    let blob = blob_oid(ObjectFormat::Sha256, charter.as_bytes());
    let tagger = Tagger::new("Ann", "ann@example.org", NOW).unwrap();
    let unsigned = Unsigned::new(Subject::of_charter(publisher.rid(), charter), blob, tagger);
    let signature = publisher.keys[0].sign(unsigned.payload(), NOW).unwrap();
    let seal = unsigned.with_signature(signature.as_bytes()).unwrap();
    let keyring = Keyring::parse(&publisher.keyring, None).unwrap();
    assert!(parsed(seal.as_bytes()).verify(&keyring, NOW).is_ok());
    assert!(!String::from_utf8_lossy(seal.payload()).contains("Sequence"));
    // It is not one on a statement, and does no harm beside one.
    let first = publisher.first();
    let seals = vec![seal.as_bytes().to_vec(), publisher.seal(0, &first)];
    let accepted = accepted(publisher.judge(None, &publisher.offer_sealed(&first, seals), NOW));
    assert_eq!((accepted.seals.len(), accepted.faults.len()), (1, 0));
}

#[test]
fn taggers_that_git_cannot_read_back_are_refused() {
    for (name, mail) in [
        ("A <b", "c"),
        ("A", "c>"),
        ("A\nb", "c"),
        ("", "c"),
        ("A", ""),
        (" A", "c"),
        ("A", "c d"),
    ] {
        assert!(Tagger::new(name, mail, NOW).is_err(), "{name:?} {mail:?}");
    }
}
