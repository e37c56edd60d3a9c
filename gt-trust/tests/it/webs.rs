//! Webs of trust: what is believed, what is refused, and the reasons given.

use gt_trust::belief::{Belief, Believes};
use gt_trust::judge::{Judgement, judge};
use gt_trust::key::OwnKey;
use gt_trust::web::{
    Cache, Keyring, Lack, Level, Model, Ownertrust, Refused, RevokedBy, Settings, Skipped,
    Standing, Validity, Web,
};
use gt_trust::{Offer, Time, limits};
use proptest::prelude::*;

use crate::publisher::{NOW, Publisher, own_key, seal_with};
use crate::weaver::{Fields, KINDS, Maker, Part, packet};

const AT: u32 = 1_671_883_200;
pub(crate) const BORN: u32 = AT - 100_000_000;

pub(crate) const YOU: u8 = 1;
pub(crate) const ANNA: u8 = 2;
pub(crate) const BELA: u8 = 3;
pub(crate) const CARL: u8 = 4;
pub(crate) const DORA: u8 = 5;

pub(crate) fn maker(seed: u8) -> Maker {
    Maker::new(seed, BORN)
}

fn name(seed: u8) -> String {
    format!("Key {seed} <k{seed}@example.org>")
}

/// A certificate with one user id, certified by some others.
pub(crate) fn certificate(of: &Maker, seed: u8, by: &[(&Maker, Fields)]) -> Vec<u8> {
    let direct = |_: &mut Vec<u8>| {};
    with_direct(of, seed, by, direct)
}

fn with_direct(
    of: &Maker,
    seed: u8,
    by: &[(&Maker, Fields)],
    direct: impl Fn(&mut Vec<u8>),
) -> Vec<u8> {
    let name = name(seed);
    let part = Part::User(&name);
    let mut bytes = of.packet();
    direct(&mut bytes);
    bytes.extend(packet(13, name.as_bytes()));
    bytes.extend(of.sign(of, part, &Fields::new(0x13, BORN)));
    for (by, fields) in by {
        bytes.extend(by.sign(of, part, fields));
    }
    bytes
}

pub(crate) fn plain() -> Fields {
    Fields::new(0x10, BORN + 1000)
}

pub(crate) fn ring(certificates: &[Vec<u8>]) -> Keyring {
    let mut ring = Keyring::new();
    for bytes in certificates {
        let added = ring.add(bytes).unwrap();
        assert!(added.skipped.is_empty() && !added.broken);
    }
    ring
}

pub(crate) fn owners(levels: &[(u8, Level)]) -> Ownertrust {
    let mut owners = Ownertrust::new();
    for (seed, level) in levels {
        owners.set(maker(*seed).print, *level);
    }
    owners
}

pub(crate) fn settings(model: Model) -> Settings {
    let mut settings = Settings::at(Time(AT.into()));
    settings.model = model;
    settings
}

pub(crate) fn standing(ring: &Keyring, owners: &Ownertrust, model: Model, of: u8) -> Standing {
    Web::compute(ring, owners, settings(model), None).standing(&maker(of).print)
}

fn letters(ring: &Keyring, owners: &Ownertrust, model: Model) -> String {
    let web = Web::compute(ring, owners, settings(model), None);
    web.rows().iter().map(|row| row.letter).collect()
}

/// ```text
/// You (ultimate) ──▶ Anna (full) ──▶ Bela
///                    Anna ──▶ Carl (nothing said) ──▶ Dora
/// ```
fn town() -> Keyring {
    let [you, anna, bela, carl, dora] = [YOU, ANNA, BELA, CARL, DORA].map(maker);
    let strong = Fields {
        hash: 10,
        ..Fields::new(0x13, BORN + 500)
    };
    ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &[(&you, strong)]),
        certificate(&bela, BELA, &[(&anna, plain())]),
        certificate(&carl, CARL, &[(&anna, plain())]),
        certificate(&dora, DORA, &[(&carl, plain())]),
    ])
}

const TOWN: [(u8, Level); 2] = [(YOU, Level::Ultimate), (ANNA, Level::Full)];

#[test]
fn a_path_says_who_when_how_and_how_far() {
    let (ring, owners) = (town(), owners(&TOWN));
    let Standing::Trusted {
        validity, paths, ..
    } = standing(&ring, &owners, Model::Strict, BELA)
    else {
        panic!("not trusted");
    };
    assert_eq!(validity, Validity::Full);
    assert_eq!(paths.len(), 1);
    let [first, second] = paths[0].hops.as_slice() else {
        panic!("expected two hops, got {paths:?}");
    };
    assert_eq!((first.by, first.of), (maker(YOU).print, maker(ANNA).print));
    assert_eq!(
        (second.by, second.of),
        (maker(ANNA).print, maker(BELA).print)
    );
    assert_eq!(first.ownertrust, Level::Ultimate);
    assert_eq!(second.ownertrust, Level::Full);
    assert_eq!((first.level, second.level), (3, 0));
    assert_eq!(first.made, Time((BORN + 500).into()));
    assert_eq!(
        (first.digest.as_str(), second.digest.as_str()),
        ("SHA512", "SHA256")
    );
    assert_eq!(second.user, name(BELA).into_bytes());
    assert_eq!(letters(&ring, &owners, Model::Pgp), "ufffq");
}

#[test]
fn what_is_wanting_is_named() {
    let (ring, all) = (town(), owners(&TOWN));
    let lacks = |owners: &Ownertrust, of| match standing(&ring, owners, Model::Strict, of) {
        Standing::Unknown { lacks, nearest, .. } => (lacks, nearest.map(|p| p.hops.len())),
        other => panic!("{other:?}"),
    };
    let carl = maker(CARL).print;
    assert_eq!(lacks(&all, DORA), (Lack::Ownertrust(carl), Some(3)));
    let roots = owners(&[(YOU, Level::Ultimate)]);
    assert_eq!(lacks(&roots, DORA), (Lack::NotValid(carl), Some(3)));
    assert_eq!(
        lacks(&roots, BELA),
        (Lack::Ownertrust(maker(ANNA).print), Some(2))
    );
    assert_eq!(lacks(&Ownertrust::new(), BELA), (Lack::Nobody, None));
    assert_eq!(lacks(&all, 99), (Lack::NoSuchKey, None));
    let marginal = owners(&[(YOU, Level::Ultimate), (ANNA, Level::Marginal)]);
    let more = Lack::MoreCertifications {
        full: 0,
        marginal: 1,
        completes: 1,
        marginals: 3,
    };
    assert_eq!(lacks(&marginal, BELA), (more, Some(2)));
}

#[test]
fn a_web_narrows_and_words_why() {
    let (ring, owners) = (town(), owners(&TOWN));
    let web = Web::compute(&ring, &owners, settings(Model::Strict), None);
    let now = Time(AT.into());
    assert_eq!(web.belief(&maker(BELA).print, now), Belief::Trusted);
    for seed in [YOU, ANNA, BELA, CARL, DORA, 99] {
        let print = maker(seed).print;
        let trusted = matches!(web.standing(&print), Standing::Trusted { .. });
        assert_eq!(web.trusts(&print), trusted, "{seed}");
    }
    assert!(matches!(
        web.belief(&maker(DORA).print, now),
        Belief::Unknown(_)
    ));
    assert!(matches!(
        web.belief(&maker(99).print, now),
        Belief::Unknown(_)
    ));
}

/// The web takes a delegate away who is unknown to it, and adds nobody.
#[test]
fn a_web_narrows_a_charter_and_never_widens_it() {
    let publisher = Publisher::several(2, 2);
    let first = publisher.first();
    let offer = publisher.offer_by(&first, &[0, 1]);
    let stranger = own_key(9);
    let mut ring = ring(std::slice::from_ref(&publisher.keyring));
    ring.add(&stranger.certificate().unwrap()).unwrap();
    let judged = |roots: &[&OwnKey], offer: &Offer| {
        let mut owners = Ownertrust::new();
        for root in roots {
            owners.set(root.fingerprint(), Level::Ultimate);
        }
        let web = Web::compute(&ring, &owners, Settings::at(NOW), None);
        judge(&publisher.receiver().believes(Some(&web)), offer, NOW)
    };
    let [ann, bela] = [&publisher.keys[0], &publisher.keys[1]];
    let all = judged(&[ann, bela], &offer);
    assert!(matches!(all, Judgement::Accept(_)), "{all:?}");
    let one = judged(&[ann], &offer);
    assert!(matches!(one, Judgement::Proposal(_)), "{one:?}");
    let seal = seal_with(&first, NOW, |p| stranger.sign(p, NOW).unwrap());
    let seals = vec![publisher.seal(0, &first), seal];
    let minted = publisher.offer_sealed(&first, seals);
    let widened = judged(&[ann, bela, &stranger], &minted);
    assert!(matches!(widened, Judgement::Proposal(_)), "{widened:?}");
}

#[test]
fn expired_and_revoked_roots_are_none() {
    let [you, anna] = [YOU, ANNA].map(maker);
    let expired = Fields {
        key_expires: Some(1000),
        ..Fields::new(0x1f, BORN)
    };
    let revoked = Fields {
        reason: Some(3),
        ..Fields::new(0x20, AT - 100)
    };
    let owners = owners(&[(YOU, Level::Ultimate)]);
    for (fields, letter) in [(expired, "e-"), (revoked, "r-")] {
        let direct = |to: &mut Vec<u8>| to.extend(you.sign(&you, Part::Key, &fields));
        let ring = ring(&[
            with_direct(&you, YOU, &[], direct),
            certificate(&anna, ANNA, &[(&you, plain())]),
        ]);
        for model in [Model::Pgp, Model::Classic, Model::Strict] {
            assert_eq!(letters(&ring, &owners, model), letter, "{model:?}");
        }
        let why = standing(&ring, &owners, Model::Strict, YOU);
        match why {
            Standing::Refused(Refused::Expired(at)) => {
                assert_eq!(at, Time((BORN + 1000).into()));
            }
            Standing::Refused(Refused::Revoked(revocation)) => {
                assert!(!revocation.hard, "retired is soft");
                assert_eq!(revocation.by, RevokedBy::Owner);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn reasons_tell_hard_from_soft() {
    let you = maker(YOU);
    for (reason, hard) in [
        (None, true),
        (Some(0), true),
        (Some(1), false),
        (Some(2), true),
        (Some(3), false),
    ] {
        let fields = Fields {
            reason,
            ..Fields::new(0x20, AT)
        };
        let direct = |to: &mut Vec<u8>| to.extend(you.sign(&you, Part::Key, &fields));
        let ring = ring(&[with_direct(&you, YOU, &[], direct)]);
        match standing(&ring, &Ownertrust::new(), Model::Strict, YOU) {
            Standing::Refused(Refused::Revoked(found)) => assert_eq!(found.hard, hard),
            other => panic!("{reason:?}: {other:?}"),
        }
    }
}

#[test]
fn a_designated_revoker_revokes_even_when_revoked() {
    let [you, anna] = [YOU, ANNA].map(maker);
    let names = Fields {
        revoker: Some(anna.print),
        ..Fields::new(0x1f, BORN)
    };
    let revokes = Fields::new(0x20, AT - 5);
    let yours = with_direct(&you, YOU, &[], |to| {
        to.extend(you.sign(&you, Part::Key, &names));
        to.extend(anna.sign(&you, Part::Key, &revokes));
    });
    let stranger = with_direct(&you, YOU, &[], |to| {
        to.extend(anna.sign(&you, Part::Key, &revokes));
    });
    let annas = with_direct(&anna, ANNA, &[], |to| {
        to.extend(anna.sign(&anna, Part::Key, &revokes));
    });
    let owners = owners(&[(YOU, Level::Ultimate)]);
    let both = ring(&[yours.clone(), annas.clone()]);
    assert_eq!(letters(&both, &owners, Model::Pgp), "rr");
    let alone = ring(&[yours]);
    assert_eq!(letters(&alone, &owners, Model::Pgp), "u", "nobody can tell");
    let unnamed = ring(&[stranger, annas]);
    assert_eq!(letters(&unnamed, &owners, Model::Pgp), "ur");
}

#[test]
fn what_is_dated_ahead_counts_for_gpg_and_not_when_strict() {
    let [you, anna] = [YOU, ANNA].map(maker);
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &[(&you, Fields::new(0x10, AT + 1))]),
    ]);
    let owners = owners(&[(YOU, Level::Ultimate)]);
    assert_eq!(letters(&ring, &owners, Model::Pgp), "uf");
    assert_eq!(letters(&ring, &owners, Model::Strict), "u-");
}

#[test]
fn keys_of_version_6_introduce_each_other() {
    let you = Maker::v6(YOU, BORN);
    let anna = Maker::v6(ANNA, BORN);
    let bela = Maker::v6(BELA, BORN);
    let deep = Fields {
        trust: Some((1, 120)),
        ..plain()
    };
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &[(&you, deep)]),
        certificate(&bela, BELA, &[(&anna, plain())]),
    ]);
    let mut owners = Ownertrust::new();
    owners.set(you.print, Level::Ultimate);
    assert_eq!(letters(&ring, &owners, Model::Strict), "uff");
    assert_eq!(letters(&ring, &owners, Model::Classic), "ufq");
    let again = Ownertrust::parse(&owners.to_text()).unwrap();
    assert_eq!(again, owners);
}

/// The two names of the issuer must agree: else a signature by one key could
/// be counted as another's, found by its short name.
#[test]
fn a_signature_that_names_two_issuers_is_nobodys() {
    let [you, mallory, anna] = [YOU, BELA, ANNA].map(maker);
    let mut forged = mallory.sign(&anna, Part::User(&name(ANNA)), &plain());
    // The short name stands last before the digest's two octets, unhashed.
    let of = |m: &Maker| m.print.as_bytes()[12..].to_vec();
    let from = of(&mallory);
    let at = forged.windows(8).position(|w| w == from).unwrap();
    forged[at..at + 8].copy_from_slice(&of(&you));
    let mut annas = certificate(&anna, ANNA, &[]);
    annas.extend(forged);
    let ring = ring(&[certificate(&you, YOU, &[]), annas]);
    assert_eq!(
        letters(&ring, &owners(&[(YOU, Level::Ultimate)]), Model::Pgp),
        "u-"
    );
}

#[test]
fn old_keys_are_skipped_by_name() {
    let mut old = vec![3u8];
    old.extend(BORN.to_be_bytes());
    old.extend([0, 0, 1, 0, 8, 0xff, 0, 2, 3]);
    let you = certificate(&maker(YOU), YOU, &[]);
    let bytes = [packet(6, &old), packet(13, b"old"), you].concat();
    let mut ring = Keyring::new();
    let added = ring.add(&bytes).unwrap();
    assert_eq!(added.skipped, [Skipped::Version(3)]);
    assert_eq!(added.certificates, 1);
}

#[test]
fn a_flooded_certificate_costs_only_itself() {
    let you = maker(YOU);
    let mut flooded = certificate(&maker(ANNA), ANNA, &[]);
    let junk = maker(BELA).sign(&maker(ANNA), Part::User(&name(ANNA)), &plain());
    flooded.extend(junk.repeat(limits::SIGNATURES));
    let long = [
        maker(CARL).packet(),
        packet(13, &vec![b'x'; limits::ONE_CERTIFICATE]),
    ]
    .concat();
    let bytes = [flooded, long, certificate(&you, YOU, &[])].concat();
    let mut ring = Keyring::new();
    let added = ring.add(&bytes).unwrap();
    assert_eq!(added.skipped.len(), 2, "{added:?}");
    assert_eq!(added.skipped[0], Skipped::TooManySignatures);
    assert!(matches!(added.skipped[1], Skipped::TooLong(_)));
    assert!(ring.find(&you.print).is_some());
}

/// Forged signatures that claim to be somebody's who counts are computed, up to
/// a number; then nothing in that certificate is believed any more.
#[test]
fn forged_signatures_are_computed_a_bounded_number_of_times() {
    let [you, anna] = [YOU, ANNA].map(maker);
    let forged = Fields {
        forged: true,
        ..Fields::new(0x13, BORN + 77)
    };
    let selves = vec![(&anna, forged); limits::FORGED];
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &selves),
    ]);
    let owners = owners(&[(YOU, Level::Ultimate)]);
    let why = standing(&ring, &owners, Model::Strict, ANNA);
    assert_eq!(why, Standing::Refused(Refused::Flooded));
    assert_eq!(letters(&ring, &owners, Model::Strict), "u-");
}

#[test]
fn a_keyring_that_breaks_off_keeps_what_came_before() {
    let one = certificate(&maker(YOU), YOU, &[]);
    let two = certificate(&maker(ANNA), ANNA, &[]);
    let bytes = [&one[..], &two[..two.len() - 1]].concat();
    let mut ring = Keyring::new();
    let added = ring.add(&bytes).unwrap();
    assert!(added.broken);
    assert!(ring.find(&maker(YOU).print).is_some());
    assert!(Keyring::new().add(b"hello").is_err());
    let keybox = b"0123456\x00KBXf and so on";
    assert!(Keyring::new().add(keybox).unwrap().broken);
}

#[test]
fn a_revocation_in_any_copy_revokes_in_any_order() {
    let you = maker(YOU);
    let silent = certificate(&you, YOU, &[]);
    let fields = Fields::new(0x20, AT - 1);
    let revoked = with_direct(&you, YOU, &[], |to| {
        to.extend(you.sign(&you, Part::Key, &fields));
    });
    let none = Ownertrust::new();
    for copies in [
        [silent.clone(), revoked.clone()],
        [revoked.clone(), silent.clone()],
    ] {
        let joined = ring(&copies);
        assert_eq!(joined.certificates().len(), 1);
        assert_eq!(letters(&joined, &none, Model::Strict), "r");
        // Kept, and read again.
        let kept = joined.certificates()[0].to_bytes();
        assert_eq!(letters(&ring(&[kept]), &none, Model::Strict), "r");
    }
}

#[test]
fn unknown_curves_are_unsupported_and_not_bad() {
    // brainpoolP256r1, RFC 5639: an OID that rPGP has no curve for.
    let mut body = vec![4u8];
    body.extend(BORN.to_be_bytes());
    body.extend([19, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7, 2, 3, 4]);
    body.extend([0x55; 64]);
    let bytes = [packet(6, &body), packet(13, b"brain")].concat();
    let mut ring = Keyring::new();
    ring.add(&bytes).unwrap();
    let key = ring.certificates()[0].fingerprint();
    let owners = Ownertrust::new();
    let web = Web::compute(&ring, &owners, settings(Model::Strict), None);
    assert_eq!(web.standing(&key), Standing::Refused(Refused::Unsupported));
}

#[test]
fn a_warm_cache_computes_nothing_and_changes_nothing() {
    let (ring, owners) = (town(), owners(&TOWN));
    let rows =
        |cache: Option<&Cache>| Web::compute(&ring, &owners, settings(Model::Pgp), cache).rows();
    let cold = Cache::open(&[9; 32], &[]);
    let first = rows(Some(&cold));
    assert_eq!(first, rows(None));
    let bytes = cold.to_bytes().unwrap();
    let warm = Cache::open(&[9; 32], &bytes);
    assert_eq!(rows(Some(&warm)), first);
    assert_eq!(warm.added(), 0);
    for other in [
        vec![],
        bytes[..bytes.len() / 2].to_vec(),
        vec![0xff; bytes.len()],
    ] {
        assert_eq!(rows(Some(&Cache::open(&[9; 32], &other))), first);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is altered in a keyring, nothing panics, and nobody becomes
    /// valid who was not.
    #[test]
    fn an_altered_keyring_makes_nobody_valid(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let [you, anna, bela] = [YOU, ANNA, BELA].map(maker);
        let mut bytes = [
            certificate(&you, YOU, &[]),
            certificate(&anna, ANNA, &[(&bela, plain())]),
            certificate(&bela, BELA, &[]),
        ]
        .concat();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut ring = Keyring::new();
        if ring.add(&bytes).is_ok() {
            let owners = owners(&[(YOU, Level::Ultimate)]);
            let web = Web::compute(&ring, &owners, settings(Model::Pgp), None);
            for row in web.rows() {
                prop_assert!(row.letter != 'f' && row.letter != 'm', "{row:?}");
            }
        }
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>, armoured: bool) {
        let bytes = if armoured {
            let text = data_encoding::BASE64.encode(&bytes);
            format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}\n-----END PGP PUBLIC KEY BLOCK-----\n")
                .into_bytes()
        } else {
            bytes
        };
        gt_trust::web::fuzz_keyring(&bytes);
    }
}

/// What rPGP computes with takes one of the two forms of these signatures.
#[test]
fn both_forms_of_secp256k1_count() {
    let kind = KINDS.iter().position(|kind| *kind == "secp256k1").unwrap();
    let you = Maker::kept(kind, BORN);
    for n in 0..8 {
        let anna = Maker::kept(kind, BORN - 1 - n);
        let mut ring = Keyring::new();
        ring.add(&certificate(&you, YOU, &[])).unwrap();
        ring.add(&certificate(&anna, ANNA, &[(&you, plain())]))
            .unwrap();
        let mut owners = Ownertrust::new();
        owners.set(you.print, Level::Ultimate);
        let web = Web::compute(&ring, &owners, Settings::at(Time(AT.into())), None);
        assert!(web.trusts(&anna.print), "{n}");
    }
}

/// One user id twice in one certificate: what stands on the second comes
/// first, so that of two self-signatures of one second the first one decides.
#[test]
fn a_user_id_twice_is_read_as_gpg_imports_it() {
    let (you, anna) = (maker(YOU), maker(ANNA));
    let name = name(ANNA);
    let part = Part::User(&name);
    let self_signed = |expires: Option<u32>| {
        let mut fields = Fields::new(0x13, BORN);
        fields.key_expires = expires;
        [packet(13, name.as_bytes()), anna.sign(&anna, part, &fields)].concat()
    };
    let certified = you.sign(&anna, part, &plain());
    let short = self_signed(Some(1000));
    let trusted = |certificates: &[Vec<u8>]| {
        let mut ring = Keyring::new();
        ring.add(&certificate(&you, YOU, &[])).unwrap();
        for certificate in certificates {
            ring.add(certificate).unwrap();
        }
        let mut owners = Ownertrust::new();
        owners.set(you.print, Level::Ultimate);
        let web = Web::compute(&ring, &owners, Settings::at(Time(AT.into())), None);
        web.trusts(&anna.print)
    };
    let one = |parts: &[&[u8]]| [&[&anna.packet()[..]], parts].concat().concat();
    let long = self_signed(None);
    assert!(trusted(&[one(&[&long, &short, &certified])]));
    assert!(!trusted(&[one(&[&short, &long, &certified])]));
    // Of two copies of the certificate the later one's come later.
    let (with_long, with_short) = (one(&[&long, &certified]), one(&[&short, &certified]));
    assert!(!trusted(&[with_long.clone(), with_short.clone()]));
    assert!(trusted(&[with_short, with_long]));
}
