//! Which keys of a certificate may speak for its owner.

use gt_trust::charter::Delegate;
use gt_trust::judge::{Judgement, Refusal, SealFault};
use gt_trust::key::OwnKey;
use gt_trust::signature::{Fault, Signature};
use gt_trust::{Keyring, Time, limits};
use pgp::packet::{RevocationCode, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, RevocationKey, RevocationKeyClass, SigningKey};
use proptest::prelude::*;

use crate::forge::{self, GOOD, Primary, Says, config};
use crate::publisher::{DAY, NOW, Publisher, after, own_key, refused, seal_with};

const PAYLOAD: &[u8] = b"payload\n";

fn verdict(certificate: &[u8], by: &impl SigningKey, made: Time, now: Time) -> Result<(), Fault> {
    let armored = forge::sign_armored(by, made, PAYLOAD);
    let signature = Signature::from_armor(armored.as_bytes())?;
    let keyring = Keyring::parse(certificate, None).unwrap();
    keyring.verify(&signature, PAYLOAD, now).map(|_| ())
}

#[test]
fn a_primary_key_signs_for_itself() {
    let key = Primary::new(1, GOOD);
    assert_eq!(verdict(&key.certificate(), &key.secret, NOW, NOW), Ok(()));
    let stranger = Primary::new(2, GOOD);
    let none = verdict(&key.certificate(), &stranger.secret, NOW, NOW);
    assert_eq!(none, Err(Fault::NoSuchKey));
}

#[test]
fn a_key_without_the_signing_flag_does_not_count() {
    let says = Says {
        sign: false,
        ..GOOD
    };
    let key = Primary::new(1, says);
    let fault = verdict(&key.certificate(), &key.secret, NOW, NOW);
    assert_eq!(fault, Err(Fault::NotForSigning));
    let mut owner = Primary::new(2, GOOD);
    let subkey = forge::subkey(3);
    owner.bind(&subkey, says, Some(&subkey));
    let fault = verdict(&owner.certificate(), &subkey, NOW, NOW);
    assert_eq!(fault, Err(Fault::NotForSigning));
}

#[test]
fn a_key_that_nobody_bound_does_not_count() {
    let mut key = Primary::bare(1);
    assert_eq!(
        verdict(&key.certificate(), &key.secret, NOW, NOW),
        Err(Fault::Unbound)
    );
    // Another's word is no self-signature.
    key.certified_by(&Primary::new(2, GOOD));
    assert_eq!(
        verdict(&key.certificate(), &key.secret, NOW, NOW),
        Err(Fault::Unbound)
    );
}

#[test]
fn expired_when_it_signed_or_now() {
    let says = Says {
        expires: Some(100),
        ..GOOD
    };
    let key = Primary::new(1, says);
    let judged = |made, now| verdict(&key.certificate(), &key.secret, after(made), after(now));
    assert_eq!(judged(99, 99), Ok(()));
    assert_eq!(judged(100, 100), Err(Fault::KeyExpired));
    // Dated back by whoever found the key later.
    assert_eq!(judged(50, 100), Err(Fault::KeyExpired));
    let mut owner = Primary::new(2, GOOD);
    let subkey = forge::subkey(3);
    owner.bind(&subkey, says, Some(&subkey));
    let judged = |now| verdict(&owner.certificate(), &subkey, after(50), after(now));
    assert_eq!(judged(99), Ok(()));
    assert_eq!(judged(100), Err(Fault::KeyExpired));
}

#[test]
fn a_longer_life_is_given_by_a_newer_signature() {
    let mut key = Primary::new(
        1,
        Says {
            expires: Some(100),
            ..GOOD
        },
    );
    key.certify(Says {
        made: after(50),
        sign: true,
        expires: Some(1000),
    });
    assert_eq!(
        verdict(&key.certificate(), &key.secret, after(500), after(500)),
        Ok(())
    );
    // A newer one that takes the flag away is not passed over for an older.
    key.certify(Says {
        made: after(60),
        sign: false,
        expires: None,
    });
    let fault = verdict(&key.certificate(), &key.secret, after(70), after(70));
    assert_eq!(fault, Err(Fault::NotForSigning));
}

#[test]
fn a_signature_older_than_its_key_does_not_count() {
    let key = Primary::new(1, GOOD);
    let fault = verdict(&key.certificate(), &key.secret, Time(NOW.0 - 1), NOW);
    assert_eq!(fault, Err(Fault::BeforeKey));
}

#[test]
fn revoked_keys_do_not_count() {
    let mut key = Primary::bare(1);
    key.revoke().certify(GOOD);
    assert_eq!(
        verdict(&key.certificate(), &key.secret, NOW, NOW),
        Err(Fault::KeyRevoked)
    );
    let mut owner = Primary::new(2, GOOD);
    let subkey = forge::subkey(3);
    owner
        .bind(&subkey, GOOD, Some(&subkey))
        .revoke_subkey(&subkey);
    assert_eq!(
        verdict(&owner.certificate(), &subkey, NOW, NOW),
        Err(Fault::KeyRevoked)
    );
    assert_eq!(
        verdict(&owner.certificate(), &owner.secret, NOW, NOW),
        Ok(())
    );
}

/// Names `revoker` as one who may revoke, and revokes by it.
fn revoked_by(seed: u8, revoker: &Primary, named: bool, code: Option<RevocationCode>) -> Primary {
    let mut key = Primary::bare(seed);
    let mut direct = config(&key.secret, SignatureType::Key, NOW);
    if named {
        let print = revoker.secret.fingerprint();
        let data = SubpacketData::RevocationKey(RevocationKey::new(
            RevocationKeyClass::Default,
            revoker.secret.algorithm(),
            print.as_bytes(),
        ));
        direct
            .hashed_subpackets
            .push(Subpacket::regular(data).unwrap());
    }
    let direct = direct
        .sign_key(&key.secret, &Password::empty(), &key.public())
        .unwrap();
    let mut revokes = config(&revoker.secret, SignatureType::KeyRevocation, NOW);
    if let Some(code) = code {
        let data = SubpacketData::RevocationReason(code, Vec::new().into());
        revokes
            .hashed_subpackets
            .push(Subpacket::regular(data).unwrap());
    }
    let revokes = revokes
        .sign_key(&revoker.secret, &Password::empty(), &key.public())
        .unwrap();
    key.add(&direct).add(&revokes).certify(GOOD);
    key
}

/// Whom a key has named as its revoker may revoke it; nobody else may, and one
/// whose certificate is not there is not heard.
#[test]
fn designated_revokers_revoke() {
    let revoker = Primary::new(3, GOOD);
    let ask = |key: &Primary, with: &[u8]| {
        let ring = [key.certificate(), with.to_vec()].concat();
        verdict(&ring, &key.secret, NOW, NOW)
    };
    let certificate = revoker.certificate();
    let key = revoked_by(2, &revoker, true, None);
    assert_eq!(ask(&key, &certificate), Err(Fault::KeyRevoked));
    assert_eq!(ask(&key, &[]), Ok(()));
    let retired = revoked_by(2, &revoker, true, Some(RevocationCode::KeyRetired));
    assert_eq!(ask(&retired, &certificate), Err(Fault::KeyRetired));
    let unnamed = revoked_by(2, &revoker, false, None);
    assert_eq!(ask(&unnamed, &certificate), Ok(()));
    let ring = [key.certificate(), certificate].concat();
    let ring = Keyring::parse(&ring, None).unwrap();
    assert!(ring.is_revoked(&key.fingerprint()));
    assert!(!ring.is_revoked(&revoker.fingerprint()));
}

/// A revoker need not be among those who are asked for, nor is it one of them
/// then; and it is kept and passed on with what it revoked.
#[test]
fn revokers_who_are_no_delegates_are_heard() {
    let revoker = Primary::new(3, GOOD);
    let key = revoked_by(2, &revoker, true, None);
    let delegates = [key.fingerprint()];
    let whole = [revoker.certificate(), key.certificate()].concat();
    let ring = Keyring::parse(&whole, Some(&delegates)).unwrap();
    assert_eq!(ring.fingerprints(), delegates);
    assert!(ring.is_revoked(&delegates[0]));
    let signed = |ring: &Keyring, by: &Primary| {
        let armored = forge::sign_armored(&by.secret, NOW, PAYLOAD);
        let signature = Signature::from_armor(armored.as_bytes()).unwrap();
        ring.verify(&signature, PAYLOAD, NOW).map(drop)
    };
    assert_eq!(signed(&ring, &key), Err(Fault::KeyRevoked));
    assert_eq!(signed(&ring, &revoker), Err(Fault::NoSuchKey));
    // Whom nobody names is passed over.
    let unnamed = revoked_by(2, &revoker, false, None);
    let others = [revoker.certificate(), unnamed.certificate()].concat();
    let ring = Keyring::parse(&others, Some(&delegates)).unwrap();
    assert_eq!(signed(&ring, &unnamed), Ok(()));
    assert_eq!(signed(&ring, &revoker), Err(Fault::NoSuchKey));
    // Without the revoker's key nobody could tell any more.
    let alone = key.certificate();
    assert!(Keyring::forgets(
        &whole,
        std::slice::from_ref(&alone),
        &delegates
    ));
    assert!(!Keyring::forgets(
        &whole,
        std::slice::from_ref(&whole),
        &delegates
    ));
    assert!(!Keyring::forgets(
        &others,
        &[unnamed.certificate()],
        &delegates
    ));
    for rings in [vec![alone, revoker.certificate()], vec![whole]] {
        let joined = Keyring::joined(&rings, &delegates);
        let ring = Keyring::parse(&joined, Some(&delegates)).unwrap();
        assert_eq!(signed(&ring, &key), Err(Fault::KeyRevoked));
    }
}

#[test]
fn a_strangers_revocation_revokes_nothing() {
    let stranger = Primary::new(2, GOOD);
    let mut key = Primary::bare(1);
    let revocation = stranger.revocation(NOW);
    key.add(&revocation).certify(GOOD);
    assert_eq!(verdict(&key.certificate(), &key.secret, NOW, NOW), Ok(()));
}

#[test]
fn keyring_without_revocation_changes_nothing() {
    let mut revoked = Primary::bare(1);
    revoked.revoke().certify(GOOD);
    let clean = Primary::new(1, GOOD);
    let publisher = Publisher::with(
        vec![Delegate::OpenPgp(clean.fingerprint())],
        1,
        clean.certificate(),
        Vec::new(),
    );
    let first = publisher.first();
    let seal = seal_with(&first, NOW, |p| forge::sign_armored(&clean.secret, NOW, p));
    let offer = publisher.offer_sealed(&first, vec![seal]);
    // The offer's keyring is silent; the one held before is not.
    let held = revoked.certificate();
    let receiver = publisher.receiver().keyring(&held);
    let refusal = refused(gt_trust::judge(&receiver, &offer, NOW));
    let expected = vec![SealFault::Signature(Fault::KeyRevoked)];
    assert_eq!(refusal, Refusal::NoSeal { faults: expected });

    // Nor does a second one that is silent, which took the place of the first.
    let (remembered, silent) = ([held.clone()], clean.certificate());
    let delegates = [clean.fingerprint()];
    let forgets = |others: &[Vec<u8>]| Keyring::forgets(&held, others, &delegates);
    assert!(forgets(std::slice::from_ref(&silent)));
    assert!(!forgets(&[silent.clone(), held.clone()]));
    assert!(!Keyring::forgets(&held, &[], &[]), "nobody's");
    assert!(!Keyring::forgets(&silent, &[], &delegates));
    let receiver = publisher.receiver().keyring(&silent);
    assert!(matches!(
        gt_trust::judge(&receiver, &offer, NOW),
        Judgement::Accept(_)
    ));
    let receiver = receiver.remembered(&remembered);
    let refusal = refused(gt_trust::judge(&receiver, &offer, NOW));
    let expected = vec![SealFault::Signature(Fault::KeyRevoked)];
    assert_eq!(refusal, Refusal::NoSeal { faults: expected });
}

#[test]
fn a_subkey_without_back_signature_does_not_count() {
    let mut owner = Primary::new(1, GOOD);
    let subkey = forge::subkey(2);
    owner.bind(&subkey, GOOD, None);
    let fault = verdict(&owner.certificate(), &subkey, NOW, NOW);
    assert_eq!(fault, Err(Fault::NoBackSignature));
    // One by another key, which is there and is not its own.
    let mut owner = Primary::new(1, GOOD);
    owner.bind(&subkey, GOOD, Some(&forge::subkey(3)));
    let fault = verdict(&owner.certificate(), &subkey, NOW, NOW);
    assert_eq!(fault, Err(Fault::NoBackSignature));
    let mut owner = Primary::new(1, GOOD);
    owner.bind(&subkey, GOOD, Some(&subkey));
    assert_eq!(verdict(&owner.certificate(), &subkey, NOW, NOW), Ok(()));
}

#[test]
fn a_subkey_bound_by_another_does_not_count() {
    // The subkey and its binding are moved behind another primary key.
    let mut owner = Primary::new(1, GOOD);
    let alone = owner.certificate().len();
    let subkey = forge::subkey(2);
    owner.bind(&subkey, GOOD, Some(&subkey));
    let moved = [
        Primary::new(3, GOOD).certificate(),
        owner.certificate()[alone..].to_vec(),
    ]
    .concat();
    assert_eq!(
        verdict(&moved, &subkey, NOW, NOW),
        Err(Fault::UnboundSubkey)
    );
}

/// Two of three must seal; one delegate signs with primary key and two
/// subkeys.
#[test]
fn subkeys_count_once() {
    let (one, two) = (forge::subkey(11), forge::subkey(12));
    let mut many = Primary::new(1, GOOD);
    many.bind(&one, GOOD, Some(&one))
        .bind(&two, GOOD, Some(&two));
    let other = Primary::new(2, GOOD);
    let publisher = Publisher::with(
        [&many, &other]
            .map(|key| Delegate::OpenPgp(key.fingerprint()))
            .into(),
        2,
        [many.certificate(), other.certificate()].concat(),
        Vec::new(),
    );
    let first = publisher.first();
    let mut seals = vec![
        seal_with(&first, NOW, |p| forge::sign_armored(&many.secret, NOW, p)),
        seal_with(&first, NOW, |p| forge::sign_armored(&one, NOW, p)),
        seal_with(&first, NOW, |p| forge::sign_armored(&two, NOW, p)),
    ];
    match publisher.judge(None, &publisher.offer_sealed(&first, seals.clone()), NOW) {
        Judgement::Proposal(proposal) => {
            assert_eq!((proposal.sealed_by.len(), proposal.needed), (1, 2));
            assert!(matches!(
                proposal.faults[..],
                [SealFault::Again(_), SealFault::Again(_)]
            ));
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
    seals.push(seal_with(&first, NOW, |p| {
        forge::sign_armored(&other.secret, NOW, p)
    }));
    crate::publisher::accepted(publisher.judge(None, &publisher.offer_sealed(&first, seals), NOW));
}

#[test]
fn adopted_subkey_counts_for_nobody() {
    let (anna, bela) = (Primary::new(1, GOOD), Primary::new(2, GOOD));
    let subkey = forge::subkey(3);
    let delegates = [&anna, &bela].map(|key| Delegate::OpenPgp(key.fingerprint()));
    let judged = |anna: &Primary, bela: &Primary| {
        let keyring = [anna.certificate(), bela.certificate()].concat();
        let publisher = Publisher::with(delegates.to_vec(), 1, keyring, Vec::new());
        let first = publisher.first();
        let seal = seal_with(&first, NOW, |p| forge::sign_armored(&subkey, NOW, p));
        publisher.judge(None, &publisher.offer_sealed(&first, vec![seal]), NOW)
    };
    // Bela takes Anna's subkey without its consent: it stays Anna's.
    let (mut hers, mut his) = (Primary::new(1, GOOD), Primary::new(2, GOOD));
    hers.bind(&subkey, GOOD, Some(&subkey));
    his.bind(&subkey, GOOD, None);
    let accepted = crate::publisher::accepted(judged(&hers, &his));
    assert_eq!(accepted.sealed_by[0].delegate, delegates[0]);
    // With its consent to both nobody can say whose it is.
    his = Primary::new(2, GOOD);
    his.bind(&subkey, GOOD, Some(&subkey));
    let refusal = refused(judged(&hers, &his));
    let expected = vec![SealFault::Signature(Fault::Adopted)];
    assert_eq!(refusal, Refusal::NoSeal { faults: expected });
    assert_ne!(anna.fingerprint(), bela.fingerprint());
}

/// A delegate certifies ten keys of its own; none of them is a delegate.
#[test]
fn introducer_cannot_mint_quorum() {
    let (anna, bela) = (Primary::new(1, GOOD), Primary::new(2, GOOD));
    let mut keyring = [anna.certificate(), bela.certificate()].concat();
    let minted: Vec<Primary> = (20..26)
        .map(|seed| {
            let mut key = Primary::new(seed, GOOD);
            key.certified_by(&anna);
            keyring.extend(key.certificate());
            key
        })
        .collect();
    let delegates = [&anna, &bela].map(|key| Delegate::OpenPgp(key.fingerprint()));
    let publisher = Publisher::with(delegates.to_vec(), 2, keyring, Vec::new());
    let first = publisher.first();
    let seals = [&anna]
        .into_iter()
        .chain(&minted)
        .map(|key| seal_with(&first, NOW, |p| forge::sign_armored(&key.secret, NOW, p)))
        .collect();
    match publisher.judge(None, &publisher.offer_sealed(&first, seals), NOW) {
        Judgement::Proposal(proposal) => {
            assert_eq!(proposal.sealed_by.len(), 1);
            assert_eq!(proposal.faults.len(), minted.len());
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
}

/// Self-signatures that name the key, and whose numbers are not its own.
#[test]
fn a_flood_of_forged_self_signatures_has_a_ceiling() {
    let mut key = Primary::bare(1);
    let mut flood = key.revocation(NOW);
    let mut bytes = Vec::new();
    pgp::packet::PacketTrait::to_writer_with_header(&flood, &mut bytes).unwrap();
    // The last byte of the number: still well-formed, no longer good.
    *bytes.last_mut().unwrap() ^= 1;
    let mut rest = &bytes[2..];
    let header = pgp::packet::PacketHeader::new_fixed(
        pgp::types::Tag::Signature,
        u32::try_from(rest.len()).unwrap(),
    );
    flood = pgp::packet::Signature::try_from_reader(header, &mut rest).unwrap();
    for _ in 0..=limits::CERTIFICATE_CHECKS {
        key.add(&flood);
    }
    key.certify(GOOD);
    let fault = verdict(&key.certificate(), &key.secret, NOW, NOW);
    assert_eq!(fault, Err(Fault::TooManyChecks));
}

#[test]
fn keyrings_have_ceilings() {
    let many = |count: usize| -> Vec<u8> {
        (0..count)
            .flat_map(|seed| Primary::new(u8::try_from(seed).unwrap(), GOOD).certificate())
            .collect()
    };
    assert!(Keyring::parse(&many(limits::KEYRING), None).is_ok());
    let error = Keyring::parse(&many(limits::KEYRING + 1), None).unwrap_err();
    assert_eq!(error, gt_trust::key::Error::TooMany(limits::KEYRING));
    let one = Primary::new(1, GOOD);
    let twice = Keyring::parse(&one.certificate().repeat(2), None).unwrap_err();
    assert_eq!(twice, gt_trust::key::Error::Twice(one.fingerprint()));
    let too_long = vec![0xcd; limits::CERTIFICATES + 1];
    let error = Keyring::parse(&too_long, Some(&[])).unwrap_err();
    assert_eq!(error, gt_trust::key::Error::TooLong(too_long.len()));
    // Those of others are passed over.
    let print = own_key(200).fingerprint();
    let ring = Keyring::parse(&many(limits::KEYRING + 1), Some(&[print])).unwrap();
    assert!(ring.fingerprints().is_empty());
}

#[test]
fn a_broken_certificate_costs_only_itself() {
    let good = Primary::new(1, GOOD);
    // A public key of version 9, which nobody knows.
    let unknown = [0xc6, 6, 9, 0, 0, 0, 0, 1];
    let bytes = [&unknown[..], &good.certificate(), &unknown].concat();
    let ring = Keyring::parse(&bytes, None).unwrap();
    assert_eq!(
        (ring.fingerprints(), ring.unreadable()),
        (vec![good.fingerprint()], 2)
    );
    for bad in [&b"text"[..], b"\xc2\x01\x00", &good.certificate()[..40]] {
        assert!(Keyring::parse(bad, None).is_err());
    }
}

#[test]
fn an_own_key_survives_its_file() {
    let key = own_key(1);
    let text = key.export().unwrap();
    let again = OwnKey::import(text.as_bytes()).unwrap();
    assert_eq!(again.fingerprint(), key.fingerprint());
    assert_eq!(again.certificate().unwrap(), key.certificate().unwrap());
    assert_eq!(
        again.sign(PAYLOAD, NOW).unwrap(),
        key.sign(PAYLOAD, NOW).unwrap()
    );
    assert!(!format!("{key:?}").contains("secret"));
    for bad in [
        "",
        "x",
        &text.replace("PRIVATE", "PUBLIC"),
        &text[..text.len() - 1],
        &text.replacen("xVgE", "xVgF", 1),
    ] {
        assert!(OwnKey::import(bad.as_bytes()).is_err(), "{bad}");
    }
    for bad in ["", " a", "a\nb", &"a".repeat(2000)] {
        assert!(OwnKey::generate(bad, NOW, [1; 32]).is_err(), "{bad:?}");
    }
    assert!(OwnKey::generate("a", Time(1 << 32), [1; 32]).is_err());
}

#[test]
fn what_the_signing_program_wrote_is_checked() {
    let (key, other) = (own_key(1), own_key(2));
    let both = [key.certificate().unwrap(), other.certificate().unwrap()].concat();
    let ring = Keyring::parse(&both, None).unwrap();
    let armored = key.sign(PAYLOAD, NOW).unwrap();
    let check = |delegate: &OwnKey, payload: &[u8]| {
        gt_trust::signer::check(
            armored.as_bytes(),
            payload,
            &delegate.fingerprint(),
            &ring,
            NOW,
        )
    };
    assert_eq!(check(&key, PAYLOAD).unwrap().primary, key.fingerprint());
    assert_eq!(
        check(&other, PAYLOAD),
        Err(Fault::NotADelegate(Delegate::OpenPgp(key.fingerprint())))
    );
    assert_eq!(check(&key, b"other"), Err(Fault::Bad));
}

#[test]
fn a_delegate_is_found_by_its_signing_subkey() {
    let mut owner = Primary::new(1, GOOD);
    let subkey = forge::subkey(2);
    owner.bind(&subkey, GOOD, Some(&subkey));
    let ring = Keyring::parse(&owner.certificate(), None).unwrap();
    let print = pgp::types::KeyDetails::fingerprint(&subkey)
        .to_string()
        .parse()
        .unwrap();
    assert_eq!(ring.primary_of(&print), Some(owner.fingerprint()));
    assert_eq!(ring.primary_of(&own_key(7).fingerprint()), None);
}

#[test]
fn a_signature_may_end() {
    let key = Primary::new(1, GOOD);
    let mut config = config(&key.secret, SignatureType::Binary, NOW);
    let span = pgp::types::Duration::from_secs(100);
    let data = SubpacketData::SignatureExpirationTime(span);
    config
        .hashed_subpackets
        .push(Subpacket::regular(data).unwrap());
    let signature = Signature::from_packets(&forge::sign(&key.secret, config, PAYLOAD)).unwrap();
    let ring = Keyring::parse(&key.certificate(), None).unwrap();
    assert!(ring.verify(&signature, PAYLOAD, after(99)).is_ok());
    assert_eq!(
        ring.verify(&signature, PAYLOAD, after(DAY)),
        Err(Fault::SignatureExpired)
    );
}

proptest! {
    #[test]
    fn reading_is_total(bytes: Vec<u8>, at in 0usize..400, change in 1u8..) {
        let _ = Keyring::parse(&bytes, None);
        let _ = Signature::from_packets(&bytes);
        let mut bytes = Primary::new(1, GOOD).certificate();
        let at = at % bytes.len();
        bytes[at] ^= change;
        if let Ok(ring) = Keyring::parse(&bytes, None) {
            let key = Primary::new(1, GOOD);
            let armored = forge::sign_armored(&key.secret, NOW, PAYLOAD);
            let signature = Signature::from_armor(armored.as_bytes()).unwrap();
            let _ = ring.verify(&signature, PAYLOAD, NOW);
        }
    }

    #[test]
    fn reading_packets_of_any_body_is_total(body in prop::collection::vec(any::<u8>(), 0..180), tag in 0u8..64) {
        let mut bytes = vec![0xc0 | tag, body.len() as u8];
        bytes.extend(&body);
        let _ = Signature::from_packets(&bytes);
        let ring = [Primary::bare(1).certificate(), bytes].concat();
        let _ = Keyring::parse(&ring, None);
    }
}
