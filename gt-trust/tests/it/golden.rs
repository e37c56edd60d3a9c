//! The vectors under `tests/golden`: what other implementations must read and
//! write to the byte. All of them follow from fixed seeds.

use gt_trust::charter::Charter;
use gt_trust::judge::{Receiver, judge};
use gt_trust::statement::{Move, Recipe, ReelLine};
use gt_trust::{Identity, Keyring, Offer, Rid, Seal, Statement};

use crate::publisher::{NOW, Publisher, accepted, after, name, oid, seal_with};

const CHARTER: &[u8] = include_bytes!("../golden/charter");
const STATEMENT: &[u8] = include_bytes!("../golden/statement");
const SEAL: &[u8] = include_bytes!("../golden/seal");
const CERTIFICATE: &[u8] = include_bytes!("../golden/certificate.asc");

/// A statement in which every line stands.
pub(crate) fn full(publisher: &Publisher) -> Statement {
    let first = publisher.first();
    let mut draft = first.next(after(60));
    draft
        .description(Some("A project, in words: \u{e9}".to_owned()))
        .trackers(vec![
            "udp://t.example:6969/announce".to_owned(),
            "https://t.example/announce".to_owned(),
        ])
        .mirrors(vec!["https://m.example/reels/".to_owned()])
        .alternatives(vec![Rid::from_bytes([5; 32])])
        .add_reel(
            ReelLine::new(0, 6, 20_000_000, [0xab; 32]).with_recipe(Recipe::new("path-1").unwrap()),
        )
        .add_reel(ReelLine::new(7, 7, 512, [0xcd; 32]))
        .set(name("refs/heads/main"), oid(4), Move::Forced)
        .set(name("refs/tags/v1"), oid(5), Move::FastForward)
        .set(name("refs/tags/v2"), oid(6), Move::FastForward)
        .delete(&name("refs/heads/dev"));
    draft.finish().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn writers_write_the_vectors() {
    let publisher = Publisher::one();
    let statement = full(&publisher);
    assert_eq!(text(publisher.charter.as_bytes()), text(CHARTER));
    assert_eq!(text(statement.as_bytes()), text(STATEMENT));
    let key = &publisher.keys[0];
    let seal = seal_with(&statement, after(60), |p| key.sign(p, after(60)).unwrap());
    assert_eq!(text(&seal), text(SEAL));
    assert_eq!(key.armored_certificate().unwrap().as_bytes(), CERTIFICATE);
}

#[test]
fn readers_read_the_vectors() {
    let statement = Statement::parse(STATEMENT).unwrap();
    let charter = Charter::parse(CHARTER).unwrap();
    assert_eq!(charter.rid(), Some(statement.repository));
    assert_eq!(statement.piece_length, 32 << 10);
    assert_eq!(statement.refs.iter().filter(|line| line.moved).count(), 2);
    assert_eq!(statement.reels[1].recipe, None);
    let seal = Seal::parse(SEAL).unwrap();
    let keyring = Keyring::parse(CERTIFICATE, None).unwrap();
    let signer = seal.verify(&keyring, after(60)).unwrap();
    assert_eq!(charter.delegates[0], signer.delegate);
}

#[test]
fn the_vectors_are_accepted() {
    // The armour is not what the statement names: its keyring is the packets.
    let packets = Publisher::one().keyring;
    assert_eq!(
        Statement::parse(STATEMENT).unwrap().keyring,
        Some(Identity::of(&packets))
    );
    let offer = Offer::new(
        vec![CHARTER.into()],
        STATEMENT.into(),
        vec![SEAL.into()],
        packets,
    );
    let receiver = Receiver::new(Rid::of_charter(CHARTER), &offer.charters).unwrap();
    let accepted = accepted(judge(&receiver, &offer, NOW));
    assert_eq!(accepted.stale, None);
}

/// Each byte is changed in three ways. What can still be read must say
/// something else: there are no two forms of one meaning.
#[test]
fn every_single_byte_change_changes_identity_or_fails() {
    let statement = Statement::parse(STATEMENT).unwrap();
    let charter = Charter::parse(CHARTER).unwrap();
    let (mut read, mut refused) = (0, 0);
    let mut note = |differs: Option<bool>| match differs {
        Some(differs) => {
            assert!(differs, "two forms of one meaning");
            read += 1;
        }
        None => refused += 1,
    };
    for_each_change(STATEMENT, |bytes| {
        note(
            Statement::parse(bytes)
                .ok()
                .map(|other| other.identity() != statement.identity() && *other != *statement),
        );
    });
    for_each_change(CHARTER, |bytes| {
        note(
            Charter::parse(bytes)
                .ok()
                .map(|other| other.identity() != charter.identity() && *other != *charter),
        );
    });
    // The test itself must have seen both.
    assert!(read > 100 && refused > 1000, "{read} {refused}");
}

#[test]
fn every_single_byte_change_breaks_a_seal() {
    let statement = Statement::parse(STATEMENT).unwrap();
    let keyring = Keyring::parse(CERTIFICATE, None).unwrap();
    let subject = Seal::parse(SEAL).unwrap().subject().clone();
    for_each_change(SEAL, |bytes| {
        let seal = Seal::parse(bytes).ok();
        let good = seal
            .filter(|seal| *seal.subject() == subject)
            .is_some_and(|seal| seal.verify(&keyring, after(60)).is_ok());
        assert!(!good, "{}", String::from_utf8_lossy(bytes));
    });
    assert_eq!(subject.mark(), Some(statement.mark()));
}

#[test]
fn every_cut_is_refused() {
    for end in 0..STATEMENT.len() {
        let cut = Statement::parse(&STATEMENT[..end]);
        // Whole lines of refs may be missing: another statement, never the same.
        assert!(cut.is_err() || STATEMENT[end - 1] == b'\n');
    }
    assert!((0..CHARTER.len()).all(|end| Charter::parse(&CHARTER[..end]).is_err()));
    assert!((0..SEAL.len()).all(|end| Seal::parse(&SEAL[..end]).is_err()));
}

fn for_each_change(text: &[u8], mut check: impl FnMut(&[u8])) {
    let mut bytes = text.to_vec();
    for at in 0..bytes.len() {
        for change in [0x01, 0x02, 0x20, 0x80] {
            bytes[at] ^= change;
            check(&bytes);
            bytes[at] ^= change;
        }
    }
}
