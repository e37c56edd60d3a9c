//! The receiver's decision, rule by rule of PROTOCOL.md section 3.

use gt_trust::charter::Delegate;
use gt_trust::judge::{Evidence, Judgement, Receiver, ReceiverError, Refusal, SealFault};
use gt_trust::signature::Fault;
use gt_trust::{Charter, Keyring, ObjectFormat, Seal, Statement, Time, Watermark, judge, limits};

use crate::publisher::{
    DAY, NOW, Publisher, accepted, after, name, oid, own_key, refused, seal_with,
};

/// The first statement and what a receiver remembers of it.
fn begun(publisher: &Publisher) -> (Statement, Watermark) {
    let first = publisher.first();
    let mark = accepted(publisher.judge(None, &publisher.offer(&first), NOW)).watermark;
    (first, mark)
}

#[test]
fn replay_older_statement_is_rollback() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    let second = publisher.next(&first, 9, after(1));
    let newer = accepted(publisher.judge(Some(held), &publisher.offer(&second), after(1)));
    assert!(newer.watermark.mark > held.mark);
    let refusal =
        refused(publisher.judge(Some(newer.watermark), &publisher.offer(&first), after(2)));
    let expected = Refusal::Rollback {
        held: second.mark(),
        got: first.mark(),
    };
    assert_eq!(refusal, expected);
    let same = refused(publisher.judge(Some(newer.watermark), &publisher.offer(&second), after(2)));
    assert_eq!(same, Refusal::Same);
}

/// The mark is a file of its own, written before refs move: a kill in between
/// leaves refs that are behind and a mark that is not.
#[test]
fn crash_between_mark_and_refs_keeps_mark() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    let second = publisher.next(&first, 9, after(1));
    let newer = accepted(publisher.judge(Some(held), &publisher.offer(&second), after(1)));
    let file = newer.watermark.to_bytes();
    // Here the power went; all that is left is the file.
    let read = Watermark::parse(&file).unwrap();
    assert_eq!(read, newer.watermark);
    let replayed = refused(publisher.judge(Some(read), &publisher.offer(&first), after(2)));
    assert!(matches!(replayed, Refusal::Rollback { .. }));
    // A file that was cut is not taken for no file.
    assert!((0..file.len()).all(|end| Watermark::parse(&file[..end]).is_err()));
}

#[test]
fn other_rid_is_graft() {
    let publisher = Publisher::one();
    // Same delegate, same key, another nonce.
    let founded = Charter::found(
        "a project",
        [2; 32],
        ObjectFormat::Sha1,
        Delegate::OpenPgp(publisher.keys[0].fingerprint()),
    )
    .unwrap();
    let other = Publisher {
        charter: founded,
        keys: vec![own_key(1)],
        keyring: publisher.keyring.clone(),
    };
    let offer = other.offer(&other.first());
    let refusal = refused(publisher.judge(None, &offer, NOW));
    let expected = Refusal::Graft {
        expected: publisher.rid(),
        got: other.rid(),
    };
    assert_eq!(refusal, expected);
    // Nor by its statement or by its charter alone.
    let mut alone = offer.clone();
    alone.charters.clear();
    assert_eq!(refused(publisher.judge(None, &alone, NOW)), expected);
    let mut beside = publisher.offer(&publisher.first());
    beside.charters.push(other.charter.as_bytes().to_vec());
    assert_eq!(refused(publisher.judge(None, &beside, NOW)), expected);
    // Its charter does not come in when one begins either.
    let charters = [
        publisher.charter.as_bytes().to_vec(),
        other.charter.as_bytes().to_vec(),
    ];
    let error = Receiver::new(publisher.rid(), &charters).unwrap_err();
    assert_eq!(error, ReceiverError::Graft);
    let error = Receiver::new(publisher.rid(), &offer.charters).unwrap_err();
    assert_eq!(error, ReceiverError::Graft);
    let error = Receiver::new(publisher.rid(), &[]).unwrap_err();
    assert_eq!(error, ReceiverError::NoCharter(publisher.rid()));
}

#[test]
fn expired_but_newer_wins_and_is_stale() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    let second = publisher.next(&first, 9, after(1));
    let late = Time(second.expires.0 + 5);
    let accepted = accepted(publisher.judge(Some(held), &publisher.offer(&second), late));
    assert_eq!(accepted.stale.unwrap().0, 5);
    assert_eq!(accepted.watermark.mark, second.mark());
}

#[test]
fn stale_first_clone_fails_unless_allowed() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let offer = publisher.offer(&first);
    accepted(publisher.judge(None, &offer, Time(first.expires.0 - 1)));
    let refusal = refused(publisher.judge(None, &offer, first.expires));
    assert!(
        matches!(refusal, Refusal::Stale { age } if age.0 == 0),
        "{refusal:?}"
    );
    let allowed = publisher.receiver().allow_stale(true);
    assert!(
        accepted(judge(&allowed, &offer, first.expires))
            .stale
            .is_some()
    );
}

#[test]
fn clock_set_back_does_not_refresh() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    // Accepted long after: the latest `Created` is 200 days on.
    let later = publisher.next(&first, 9, after(200 * DAY));
    let newer = accepted(publisher.judge(Some(held), &publisher.offer(&later), after(200 * DAY)));
    assert_eq!(newer.watermark.clock, later.created);
    // A lower `Created` at a higher place expires before that; the clock says
    // it is fresh, the mark knows better.
    let mut contents = (*later).clone();
    contents.sequence = later.sequence.next().unwrap();
    contents.previous = Some(later.mark());
    contents.created = after(100 * DAY);
    contents.expires = after(190 * DAY);
    let odd = Statement::new(contents).unwrap();
    let offer = publisher.offer(&odd);
    let accepted = accepted(publisher.judge(Some(newer.watermark), &offer, after(101 * DAY)));
    assert_eq!(accepted.stale.unwrap().0, 10 * DAY);
    assert_eq!(
        accepted.watermark.clock, later.created,
        "the clock never goes back"
    );
}

#[test]
fn a_statement_from_time_to_come_is_refused() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    let ahead = publisher.next(&first, 9, after(DAY + 10));
    let offer = publisher.offer(&ahead);
    let refusal = refused(publisher.judge(Some(held), &offer, NOW));
    assert!(matches!(refusal, Refusal::Future { ahead } if ahead.0 == DAY + 10));
    accepted(publisher.judge(Some(held), &offer, after(10)));
}

#[test]
fn unsealed_is_refused_and_half_sealed_is_a_proposal() {
    let publisher = Publisher::several(3, 2);
    let first = publisher.first();
    let refusal = refused(publisher.judge(None, &publisher.offer_by(&first, &[]), NOW));
    assert_eq!(refusal, Refusal::NoSeal { faults: vec![] });
    match publisher.judge(None, &publisher.offer_by(&first, &[1]), NOW) {
        Judgement::Proposal(proposal) => {
            assert_eq!((proposal.sealed_by.len(), proposal.needed), (1, 2));
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
    // The same seal twice is one.
    let twice = publisher.judge(None, &publisher.offer_by(&first, &[1, 1]), NOW);
    assert!(matches!(twice, Judgement::Proposal(_)));
    let both = accepted(publisher.judge(None, &publisher.offer_by(&first, &[2, 0]), NOW));
    assert_eq!(both.sealed_by.len(), 2);
}

/// A seal that came when the mark had moved already is kept beside the others.
#[test]
fn late_seals_are_kept_and_others_are_not() {
    let publisher = Publisher::several(3, 1);
    let statement = publisher.first();
    let won = accepted(publisher.judge(None, &publisher.offer_by(&statement, &[0]), NOW));
    let receiver = publisher
        .receiver()
        .watermark(Some(won.watermark))
        .held(Some(&statement))
        .seals(&won.seals)
        .keyring(&publisher.keyring);
    let seals: Vec<Vec<u8>> = [0, 1, 1, 2]
        .iter()
        .map(|n| publisher.seal(*n, &statement))
        .collect();
    let offer = publisher.offer_sealed(&statement, seals.clone());
    assert_eq!(refused(judge(&receiver, &offer, NOW)), Refusal::Same);
    let late = receiver.late_seals(&offer, NOW);
    assert_eq!(late, [seals[1].clone(), seals[3].clone()]);
    // Neither a stranger's, nor on another text, nor junk.
    let stranger = seal_with(&statement, NOW, |p| own_key(9).sign(p, NOW).unwrap());
    let next = publisher.next(&statement, 9, after(1));
    let junk = vec![stranger, publisher.seal(1, &next), b"junk".to_vec()];
    let offer = publisher.offer_sealed(&statement, junk);
    assert!(receiver.late_seals(&offer, NOW).is_empty());
    let offer = publisher.offer_sealed(&statement, seals);
    assert!(publisher.receiver().late_seals(&offer, NOW).is_empty());
}

#[test]
fn a_seal_by_a_stranger_does_not_count() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let stranger = own_key(9);
    let seal = seal_with(&first, NOW, |p| stranger.sign(p, NOW).unwrap());
    let refusal = refused(publisher.judge(
        None,
        &publisher.offer_sealed(&first, vec![seal.clone()]),
        NOW,
    ));
    // His certificate is not even read: it is not a delegate's.
    let expected = vec![SealFault::Signature(Fault::NoSuchKey)];
    assert_eq!(refusal, Refusal::NoSeal { faults: expected });
    // Beside a good seal it does no harm.
    let seals = vec![seal, publisher.seal(0, &first)];
    let accepted = accepted(publisher.judge(None, &publisher.offer_sealed(&first, seals), NOW));
    assert_eq!(accepted.faults.len(), 1);
}

#[test]
fn the_keyring_is_the_one_that_the_statement_names() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let mut offer = publisher.offer(&first);
    offer.keyring.extend(own_key(2).certificate().unwrap());
    let refusal = refused(publisher.judge(None, &offer, NOW));
    assert!(matches!(refusal, Refusal::OtherKeyring { .. }));
    // None came: what is held will do, and without it nothing verifies.
    offer.keyring.clear();
    let none = refused(publisher.judge(None, &offer, NOW));
    assert!(matches!(none, Refusal::NoSeal { .. }));
    let held = publisher.receiver().keyring(&publisher.keyring);
    accepted(judge(&held, &offer, NOW));
}

#[test]
fn another_charter_or_object_format_is_refused() {
    let publisher = Publisher::one();
    let mut contents = (*publisher.first()).clone();
    contents.charter = gt_trust::Identity::of(b"another");
    let other = Statement::new(contents.clone()).unwrap();
    let refusal = refused(publisher.judge(None, &publisher.offer(&other), NOW));
    assert!(matches!(refusal, Refusal::OtherCharter { .. }));
    contents.charter = publisher.charter.identity();
    contents.object_format = ObjectFormat::Sha256;
    contents.refs.clear();
    contents.head = None;
    let other = Statement::new(contents).unwrap();
    let refusal = refused(publisher.judge(None, &publisher.offer(&other), NOW));
    assert!(matches!(refusal, Refusal::ObjectFormat { .. }));
}

/// Two statements of one place by one key.
#[test]
fn same_key_two_statements_is_equivocation() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    let mut rivals = [
        publisher.next(&first, 8, after(1)),
        publisher.next(&first, 9, after(1)),
    ];
    rivals.sort_by_key(|statement| statement.mark());
    let [loser, winner] = rivals;
    let seals_of_loser = vec![publisher.seal(0, &loser)];
    let on_loser = accepted(publisher.judge(Some(held), &publisher.offer(&loser), after(1)));

    // The winner comes second: it is followed, and the evidence is there.
    let receiver = publisher
        .receiver()
        .watermark(Some(on_loser.watermark))
        .seals(&seals_of_loser);
    let moved = accepted(judge(&receiver, &publisher.offer(&winner), after(1)));
    assert_eq!(moved.evidence.len(), 1);

    // The loser comes second: it is not followed, and the evidence is the same.
    let seals_of_winner = vec![publisher.seal(0, &winner)];
    let receiver = publisher
        .receiver()
        .watermark(Some(moved.watermark))
        .seals(&seals_of_winner);
    let refusal = refused(judge(&receiver, &publisher.offer(&loser), after(1)));
    let Refusal::LostRace { evidence, .. } = refusal else {
        panic!("expected LostRace, got {refusal:?}");
    };
    assert_eq!(evidence, moved.evidence);

    // Both seals reach a third peer as bytes, who can tell for himself.
    let bytes = evidence[0].to_bytes();
    let read = Evidence::parse(&bytes).unwrap();
    let keyring = Keyring::parse(&publisher.keyring, None).unwrap();
    let guilty = read.verify(&publisher.charter, &keyring, after(1)).unwrap();
    assert_eq!(guilty, publisher.charter.delegates[0]);
    for seal in read.seals() {
        assert!(Seal::parse(seal).is_ok());
    }
    assert!((0..bytes.len()).all(|end| Evidence::parse(&bytes[..end]).is_err()));
    // Under a charter that does not list the key it says nothing.
    let elsewhere = Publisher::with(
        vec![Delegate::OpenPgp(own_key(9).fingerprint())],
        1,
        Vec::new(),
        Vec::new(),
    );
    let nobody = read
        .verify(&elsewhere.charter, &keyring, after(1))
        .unwrap_err();
    let expected = Fault::NotADelegate(publisher.charter.delegates[0].clone());
    assert_eq!(nobody, judge::EvidenceError::Signature(expected));
    // Two seals on one statement are none.
    assert!(Evidence::new(&seals_of_winner[0], &seals_of_winner[0]).is_err());
    assert!(Evidence::new(&seals_of_winner[0], &publisher.seal(0, &first)).is_err());
}

/// Two publishers, one place: a race.
#[test]
fn two_keys_two_statements_is_no_evidence() {
    let publisher = Publisher::several(2, 1);
    let (first, held) = begun(&publisher);
    let (one, two) = (
        publisher.next(&first, 8, after(1)),
        publisher.next(&first, 9, after(1)),
    );
    let seals = vec![publisher.seal(0, &one)];
    accepted(publisher.judge(Some(held), &publisher.offer_by(&one, &[0]), after(1)));
    let receiver = publisher
        .receiver()
        .watermark(Some(Watermark::new(one.mark(), after(1))))
        .seals(&seals);
    match judge(&receiver, &publisher.offer_by(&two, &[1]), after(1)) {
        Judgement::Accept(accepted) => assert!(accepted.evidence.is_empty()),
        Judgement::Refused(refusal) => {
            assert!(
                matches!(*refusal, Refusal::LostRace { ref evidence, .. } if evidence.is_empty())
            );
        }
        other => panic!("{other:?}"),
    }
    let both = Evidence::new(&publisher.seal(0, &one), &publisher.seal(1, &two)).unwrap();
    let keyring = Keyring::parse(&publisher.keyring, None).unwrap();
    assert!(both.verify(&publisher.charter, &keyring, after(1)).is_err());
}

/// What cannot win costs no signature; what claims to costs eight at most.
#[test]
fn junk_from_1000_peers_bounded_cpu() {
    let publisher = Publisher::one();
    let (first, held) = begun(&publisher);
    let second = publisher.next(&first, 9, after(1));
    // Forged: the seal of another statement under this one's message.
    let forged = seal_with(&second, NOW, |_| {
        publisher.keys[0].sign(b"something else", NOW).unwrap()
    });
    let offer = publisher.offer_sealed(&second, vec![forged; 100]);
    let refusal = refused(publisher.judge(Some(held), &offer, after(1)));
    let Refusal::NoSeal { faults } = refusal else {
        panic!("expected NoSeal, got {refusal:?}");
    };
    let computed = faults
        .iter()
        .filter(|f| **f == SealFault::Signature(Fault::Bad))
        .count();
    assert_eq!(computed, limits::SEAL_CHECKS);
    assert_eq!(faults.last(), Some(&SealFault::TooMany));

    // A thousand peers, each with junk of its own: each is refused for it, and
    // all of them together cost less than a few thousand signatures.
    let mut computed = 0;
    for peer in 0..1000_u64 {
        // The junk that costs nothing: it could not win whoever had sealed it.
        let sequence = if peer % 100 == 0 { 2 } else { 1 };
        let offer = match sequence {
            2 => offer.clone(),
            _ => publisher.offer_sealed(&first, vec![offer.seals[0].clone(); 100]),
        };
        match refused(publisher.judge(Some(held), &offer, after(peer))) {
            Refusal::NoSeal { faults } => {
                computed += faults
                    .iter()
                    .filter(|f| **f == SealFault::Signature(Fault::Bad))
                    .count();
            }
            Refusal::Same => {}
            other => panic!("expected a refusal of junk, got {other:?}"),
        }
    }
    assert_eq!(computed, 10 * limits::SEAL_CHECKS);
}

/// The ceiling is on what is computed in vain: a large quorum can be met.
#[test]
fn twelve_of_twelve_can_seal() {
    let publisher = Publisher::several(12, 12);
    let first = publisher.first();
    let all: Vec<usize> = (0..12).collect();
    let offer = publisher.offer_by(&first, &all);
    assert_eq!(
        accepted(publisher.judge(None, &offer, NOW)).sealed_by.len(),
        12
    );
}

#[test]
fn head_outside_set_refused() {
    let publisher = Publisher::one();
    let mut draft = publisher.draft();
    draft.set(
        name("refs/heads/main"),
        oid(1),
        gt_trust::statement::Move::FastForward,
    );
    draft.head(Some(name("refs/heads/other")));
    let error = draft.finish().unwrap_err();
    assert_eq!(
        error,
        gt_trust::statement::Error::Head(name("refs/heads/other"))
    );
    let good = String::from_utf8(publisher.first().as_bytes().to_vec()).unwrap();
    let text = good.replace("Head: refs/heads/main", "Head: refs/heads/other");
    let mut offer = publisher.offer(&publisher.first());
    offer.statement = text.into_bytes();
    let refusal = refused(publisher.judge(None, &offer, NOW));
    assert!(matches!(
        refusal,
        Refusal::Statement(gt_trust::statement::Error::Head(_))
    ));
}
