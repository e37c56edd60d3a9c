//! Revocations that stick, and equivocators that stop counting: rules 2 and 5
//! of PROTOCOL.md section 3.

use gt_trust::charter::Delegate;
use gt_trust::judge::{Evidence, Judgement, Receiver, Refusal, SealFault};
use gt_trust::signature::Fault;
use gt_trust::{Identity, Offer, Statement, judge};
use pgp::packet::{RevocationCode, SignatureType, Subpacket, SubpacketData};
use pgp::types::Password;

use crate::forge::{GOOD, Primary, config, sign_armored};
use crate::publisher::{NOW, Publisher, accepted, after, name, oid, refused, seal_with};

/// One delegate, whose certificate can be given revocations.
fn of(key: &Primary, keyring: Vec<u8>) -> Publisher {
    let delegates = vec![Delegate::OpenPgp(key.fingerprint())];
    Publisher::with(delegates, 1, keyring, Vec::new())
}

/// The certificate with a revocation for this reason.
fn revoked(seed: u8, reason: RevocationCode) -> Vec<u8> {
    let mut key = Primary::bare(seed);
    let mut config = config(&key.secret, SignatureType::KeyRevocation, NOW);
    let data = SubpacketData::RevocationReason(reason, Vec::new().into());
    config
        .hashed_subpackets
        .push(Subpacket::regular(data).unwrap());
    let signature = config
        .sign_key(&key.secret, &Password::empty(), &key.public())
        .unwrap();
    key.add(&signature);
    key.certify(GOOD);
    key.certificate()
}

fn offer(publisher: &Publisher, key: &Primary, statement: &Statement, keyring: &[u8]) -> Offer {
    let seal = seal_with(statement, NOW, |p| sign_armored(&key.secret, NOW, p));
    let mut offer = publisher.offer_sealed(statement, vec![seal]);
    offer.keyring = keyring.to_vec();
    offer
}

fn with_keyring(statement: &Statement, keyring: &[u8]) -> Statement {
    let mut contents = (**statement).clone();
    contents.keyring = Some(Identity::of(keyring));
    Statement::new(contents).unwrap()
}

#[track_caller]
fn fault(judgement: Judgement) -> Fault {
    match refused(judgement) {
        Refusal::NoSeal { faults } => match &faults[..] {
            [SealFault::Signature(fault)] => fault.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("expected NoSeal, got {other:?}"),
    }
}

/// Retired: the statement that says so still counts, what comes after it not.
/// Compromised: nothing counts.
#[test]
fn soft_revocations_void_what_comes_after_and_hard_ones_all() {
    let key = Primary::new(7, GOOD);
    let plain = key.certificate();
    let publisher = of(&key, plain.clone());
    let first = publisher.first();
    let begun = accepted(publisher.judge(None, &offer(&publisher, &key, &first, &plain), NOW));
    for (reason, soft) in [
        (RevocationCode::KeyRetired, true),
        (RevocationCode::KeySuperseded, true),
        (RevocationCode::KeyCompromised, false),
        (RevocationCode::NoReason, false),
    ] {
        let keyring = revoked(7, reason);
        let second = with_keyring(&publisher.next(&first, 9, after(1)), &keyring);
        let receiver = publisher
            .receiver()
            .watermark(Some(begun.watermark))
            .keyring(&plain);
        let says = offer(&publisher, &key, &second, &keyring);
        if !soft {
            assert_eq!(fault(judge(&receiver, &says, after(1))), Fault::KeyRevoked);
            continue;
        }
        let told = accepted(judge(&receiver, &says, after(1)));
        let third = with_keyring(&publisher.next(&second, 8, after(2)), &keyring);
        let receiver = publisher
            .receiver()
            .watermark(Some(told.watermark))
            .keyring(&keyring);
        let more = offer(&publisher, &key, &third, &keyring);
        assert_eq!(fault(judge(&receiver, &more, after(2))), Fault::KeyRetired);
        // A newcomer cannot tell when it was said, and refuses.
        assert_eq!(
            fault(publisher.judge(None, &more, after(2))),
            Fault::KeyRetired
        );
        // A keyring that leaves it out takes nothing away.
        let silent = with_keyring(&third, &plain);
        let silent = offer(&publisher, &key, &silent, &plain);
        assert_eq!(
            fault(judge(&receiver, &silent, after(2))),
            Fault::KeyRetired
        );
    }
}

/// It came in from anybody, with no statement: it counts all the same.
#[test]
fn revocation_from_stranger_sticks() {
    let key = Primary::new(7, GOOD);
    let plain = key.certificate();
    let publisher = of(&key, plain.clone());
    let first = publisher.first();
    let says = offer(&publisher, &key, &first, &plain);
    let stranger = [revoked(7, RevocationCode::KeyCompromised)];
    let receiver = publisher.receiver().remembered(&stranger);
    assert_eq!(fault(judge(&receiver, &says, NOW)), Fault::KeyRevoked);
    let news = publisher.receiver().revocations(&stranger[0]).unwrap();
    assert_eq!(news, [key.fingerprint()]);
    // One that does not verify is no revocation.
    let mut forged = stranger[0].clone();
    let at = forged.len() / 3;
    forged[at] ^= 1;
    let none = publisher.receiver().revocations(&forged);
    assert!(none.map_or(true, |keys| keys.is_empty()));
    // Nor one of somebody who is no delegate.
    let other = revoked(8, RevocationCode::KeyCompromised);
    assert!(publisher.receiver().revocations(&other).unwrap().is_empty());
    // What is known already is no news.
    let knowing = publisher.receiver().remembered(&stranger);
    assert!(knowing.revocations(&stranger[0]).unwrap().is_empty());
}

#[test]
fn keyring_without_revocation_changes_nothing() {
    let key = Primary::new(7, GOOD);
    let plain = key.certificate();
    let publisher = of(&key, plain.clone());
    let says = offer(&publisher, &key, &publisher.first(), &plain);
    let known = revoked(7, RevocationCode::NoReason);
    let receiver = publisher.receiver().keyring(&known);
    assert_eq!(fault(judge(&receiver, &says, NOW)), Fault::KeyRevoked);
}

/// The founder's key was revoked after it had made the second charter with the
/// others. Who has that charter pinned needs no old key.
#[test]
fn revoked_founder_with_pin_still_clones() {
    use gt_trust::charter::{Charter, Contents};
    use gt_trust::judge::LineFault;
    use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};
    use gt_trust::{Epoch, ObjectFormat};

    let (founder, heir) = (Primary::new(7, GOOD), Primary::new(8, GOOD));
    let publisher = of(&founder, founder.certificate());
    let mut contents: Contents = (*publisher.charter).clone();
    contents.nonce = None;
    contents.epoch = Epoch(1);
    contents.previous = Some(publisher.charter.identity());
    contents.delegates = vec![Delegate::OpenPgp(heir.fingerprint())];
    let second = Charter::new(contents).unwrap();
    let seals: Vec<Vec<u8>> = [&founder, &heir]
        .iter()
        .map(|key| {
            let blob = blob_oid(ObjectFormat::Sha1, second.as_bytes());
            let tagger = Tagger::new("Ann", "ann@example.org", NOW).unwrap();
            let subject = Subject::of_charter(publisher.rid(), &second);
            let unsigned = Unsigned::new(subject, blob, tagger);
            let armored = sign_armored(&key.secret, NOW, unsigned.payload());
            [unsigned.payload(), armored.as_bytes()].concat()
        })
        .collect();
    let judged = |founder: &[u8], pin: Option<Identity>| {
        let keyring = [founder, &heir.certificate()].concat();
        let mut contents = (*with_keyring(&publisher.first(), &keyring)).clone();
        contents.epoch = Epoch(1);
        contents.charter = second.identity();
        let statement = Statement::new(contents).unwrap();
        let mut offer = offer(&publisher, &heir, &statement, &keyring);
        offer.charters.push(second.as_bytes().to_vec());
        offer.seals.extend(seals.clone());
        let receiver = Receiver::new(publisher.rid(), &offer.charters).unwrap();
        judge(&receiver.pin(pin).unwrap(), &offer, NOW)
    };
    accepted(judged(&founder.certificate(), None));
    let gone = revoked(7, RevocationCode::KeyCompromised);
    accepted(judged(&gone, Some(second.identity())));
    let refusal = refused(judged(&gone, None));
    let Refusal::Line(LineFault::TooFewSeals {
        before: 0, faults, ..
    }) = refusal
    else {
        panic!("expected TooFewSeals, got {refusal:?}");
    };
    assert!(faults.contains(&SealFault::Signature(Fault::KeyRevoked)));
}

/// With k above one, who has sealed two statements of one place counts for
/// nothing that comes later.
#[test]
fn an_equivocator_stops_counting_above_one() {
    let publisher = Publisher::several(3, 2);
    let first = publisher.first();
    let (one, two) = (
        publisher.next(&first, 8, after(1)),
        publisher.next(&first, 9, after(1)),
    );
    let evidence = [Evidence::new(&publisher.seal(0, &one), &publisher.seal(0, &two)).unwrap()];
    let later = two.next(after(2)).finish().unwrap();
    let receiver = publisher.receiver().evidence(&evidence);
    let judged = |by: &[usize]| judge(&receiver, &publisher.offer_by(&later, by), after(2));
    let Judgement::Proposal(proposal) = judged(&[0, 1]) else {
        panic!("expected Proposal");
    };
    let expected = Fault::Equivocated(publisher.charter.delegates[0].clone());
    assert_eq!(proposal.faults, [SealFault::Signature(expected)]);
    accepted(judged(&[1, 2]));
    // Not for that very place, where all must move to the same winner.
    let both = judge(&receiver, &publisher.offer_by(&two, &[0, 1]), after(1));
    accepted(both);
    // Evidence of another repository, or by two, says nothing.
    let race = [Evidence::new(&publisher.seal(0, &one), &publisher.seal(1, &two)).unwrap()];
    let receiver = publisher.receiver().evidence(&race);
    accepted(judge(
        &receiver,
        &publisher.offer_by(&later, &[0, 1]),
        after(2),
    ));
    // Where one is enough it goes on: a race of one person with two machines.
    let single = Publisher::several(3, 1);
    let first = single.first();
    let (one, two) = (
        single.next(&first, 8, after(1)),
        single.next(&first, 9, after(1)),
    );
    let evidence = [Evidence::new(&single.seal(0, &one), &single.seal(0, &two)).unwrap()];
    let later = two.next(after(2)).finish().unwrap();
    let receiver = single.receiver().evidence(&evidence);
    accepted(judge(&receiver, &single.offer(&later), after(2)));
    assert!(
        later
            .find(&name("refs/heads/main"))
            .is_some_and(|l| l.oid == oid(9))
    );
}

/// A third peer, who saw neither race, hears of both seals with the next
/// statement, whoever sends it.
#[test]
fn both_seals_reach_a_third_peer() {
    let publisher = Publisher::several(3, 2);
    let first = publisher.first();
    let (one, two) = (
        publisher.next(&first, 8, after(1)),
        publisher.next(&first, 9, after(1)),
    );
    let later = two.next(after(2)).finish().unwrap();
    let mut seals: Vec<_> = [1, 2].map(|n| publisher.seal(n, &later)).into();
    seals.extend([publisher.seal(0, &one), publisher.seal(0, &two)]);
    // Two people in a race are no evidence, and neither is a forged seal.
    seals.push(publisher.seal(1, &two));
    seals.push(seal_with(&one, NOW, |_| {
        publisher.keys[2].sign(b"x", NOW).unwrap()
    }));
    let offer = publisher.offer_sealed(&later, seals);
    let receiver = publisher.receiver();
    accepted(judge(&receiver, &offer, after(2)));
    let news = receiver.evidence_in(&offer, after(2));
    let expected = Evidence::new(&publisher.seal(0, &one), &publisher.seal(0, &two)).unwrap();
    assert_eq!(news, [expected]);
    let knowing = publisher.receiver().evidence(&news);
    assert!(knowing.evidence_in(&offer, after(2)).is_empty());
}
