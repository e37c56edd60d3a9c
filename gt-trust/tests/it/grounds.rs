//! Why a key is believed: every certification that counts, and every path.

use std::collections::BTreeSet;

use gt_trust::limits;
use gt_trust::web::{Ground, Keyring, Level, Model, Ownertrust, Path, Standing, Validity, Web};

use crate::weaver::{Fields, Maker, Part, packet};
use crate::webs::{
    ANNA, BELA, BORN, CARL, DORA, YOU, certificate, maker, owners, plain, ring, settings, standing,
};

const EMIL: u8 = 6;
const FRITZ: u8 = 7;

struct Why {
    paths: Vec<Path>,
    left_out: u64,
    grounds: Vec<Ground>,
}

fn why(ring: &Keyring, levels: &[(u8, Level)], of: u8) -> Why {
    trusted(standing(ring, &owners(levels), Model::Strict, of))
}

fn trusted(standing: Standing) -> Why {
    match standing {
        Standing::Trusted {
            paths,
            left_out,
            grounds,
            ..
        } => Why {
            paths,
            left_out,
            grounds,
        },
        other => panic!("not trusted: {other:?}"),
    }
}

/// The seeds of who certifies, in each path.
fn through(why: &Why) -> BTreeSet<Vec<u8>> {
    let seed = |print| {
        let mut all = [YOU, ANNA, BELA, CARL, DORA, EMIL, FRITZ].into_iter();
        all.find(|seed| maker(*seed).print == print).unwrap()
    };
    let path = |path: &Path| path.hops.iter().map(|hop| seed(hop.by)).collect();
    why.paths.iter().map(path).collect()
}

/// A certificate with several user ids; each is certified by some others.
fn several(of: &Maker, users: &[(&str, &[&Maker])]) -> Vec<u8> {
    let mut bytes = of.packet();
    for (name, by) in users {
        let part = Part::User(name);
        bytes.extend(packet(13, name.as_bytes()));
        bytes.extend(of.sign(of, part, &Fields::new(0x13, BORN)));
        for by in *by {
            bytes.extend(by.sign(of, part, &plain()));
        }
    }
    bytes
}

/// ```text
/// You ─▶ Anna (full) ──────▶ Fritz
///  ├───▶ Bela (marginal) ───▶ Fritz, Emil
///  ├───▶ Carl (marginal) ───▶ Fritz, Emil
///  └───▶ Dora (nothing said) ▶ Fritz
/// Emil (full, by Anna, Bela and Carl) ─▶ Fritz, in a later round
/// ```
#[test]
fn everybody_who_counts_is_told_and_nobody_else() {
    let [you, anna, bela, carl, dora, emil, fritz] =
        [YOU, ANNA, BELA, CARL, DORA, EMIL, FRITZ].map(maker);
    let by = |makers: &[&Maker]| -> Vec<Fields> { makers.iter().map(|_| plain()).collect() };
    let signed = |of: &Maker, seed: u8, makers: &[&Maker]| {
        let fields = by(makers);
        let list: Vec<(&Maker, Fields)> = makers.iter().copied().zip(fields).collect();
        certificate(of, seed, &list)
    };
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        signed(&anna, ANNA, &[&you]),
        signed(&bela, BELA, &[&you]),
        signed(&carl, CARL, &[&you]),
        signed(&dora, DORA, &[&you]),
        signed(&emil, EMIL, &[&anna, &bela, &carl]),
        signed(&fritz, FRITZ, &[&emil, &dora, &carl, &bela, &anna]),
    ]);
    let levels = [
        (YOU, Level::Ultimate),
        (ANNA, Level::Full),
        (BELA, Level::Marginal),
        (CARL, Level::Marginal),
        (EMIL, Level::Full),
    ];
    let why = why(&ring, &levels, FRITZ);
    // One full word is enough, and the marginal ones of that round count too.
    let expected = BTreeSet::from([vec![YOU, ANNA], vec![YOU, BELA], vec![YOU, CARL]]);
    assert_eq!(through(&why), expected);
    assert_eq!(why.left_out, 0);
    let told: Vec<(usize, Level)> = why
        .grounds
        .iter()
        .map(|ground| (ground.certifications.len(), ground.ownertrust))
        .collect();
    let expected = [
        (3, Level::Unknown),
        (1, Level::Full),
        (1, Level::Marginal),
        (1, Level::Marginal),
        (0, Level::Ultimate),
    ];
    assert_eq!(told, expected, "{:?}", why.grounds);
    assert_eq!(why.grounds[0].key, fritz.print);
    assert_eq!(why.grounds[4].key, you.print);
    assert_eq!(why.grounds[4].validity, Validity::Ultimate);
}

/// Anna is believed by You alone: that she is believed is why Bela is, so that
/// Bela's word for her adds nothing, as gpg's rounds have it.
#[test]
fn no_path_goes_round() {
    let [you, anna, bela] = [YOU, ANNA, BELA].map(maker);
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &[(&you, plain()), (&bela, plain())]),
        certificate(&bela, BELA, &[(&anna, plain())]),
    ]);
    let levels = [
        (YOU, Level::Ultimate),
        (ANNA, Level::Full),
        (BELA, Level::Full),
    ];
    let why = why(&ring, &levels, ANNA);
    assert_eq!(through(&why), BTreeSet::from([vec![YOU]]));
    let keys: Vec<_> = why.grounds.iter().map(|ground| ground.key).collect();
    assert_eq!(keys, [anna.print, you.print]);
}

/// Emil introduces by the user id that is believed, not by the one before it
/// that too few have certified; the paths say so.
#[test]
fn a_path_goes_by_the_user_id_that_is_believed() {
    let [you, anna, bela, emil, fritz] = [YOU, ANNA, BELA, EMIL, FRITZ].map(maker);
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &[(&you, plain())]),
        certificate(&bela, BELA, &[(&you, plain())]),
        several(
            &emil,
            &[("Emil <at@home>", &[&bela]), ("Emil <at@work>", &[&anna])],
        ),
        certificate(&fritz, FRITZ, &[(&emil, plain())]),
    ]);
    let mut levels = vec![
        (YOU, Level::Ultimate),
        (ANNA, Level::Full),
        (BELA, Level::Marginal),
        (EMIL, Level::Full),
    ];
    let believed = why(&ring, &levels, FRITZ);
    assert_eq!(through(&believed), BTreeSet::from([vec![YOU, ANNA, EMIL]]));
    assert_eq!(believed.paths[0].hops[1].user, b"Emil <at@work>");
    // The nearest path to one who is not believed goes the same way.
    levels[3].1 = Level::Marginal;
    let Standing::Unknown { nearest, .. } = standing(&ring, &owners(&levels), Model::Strict, FRITZ)
    else {
        panic!("trusted by one marginal owner");
    };
    assert_eq!(nearest.unwrap().hops[1].user, b"Emil <at@work>");
}

/// A user id that was believed later is told as well, after the first; it may
/// stand on the first one.
#[test]
fn every_user_id_that_is_believed_is_told() {
    let [you, anna, bela] = [YOU, ANNA, BELA].map(maker);
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        several(
            &anna,
            &[("Anna <at@home>", &[&bela]), ("Anna <at@work>", &[&you])],
        ),
        certificate(&bela, BELA, &[(&anna, plain())]),
    ]);
    let levels = [
        (YOU, Level::Ultimate),
        (ANNA, Level::Full),
        (BELA, Level::Full),
    ];
    let why = why(&ring, &levels, ANNA);
    assert_eq!(through(&why), BTreeSet::from([vec![YOU]]));
    let users: Vec<&[u8]> = why.grounds.iter().map(|g| g.user.as_slice()).collect();
    let expected: [&[u8]; 4] = [
        b"Anna <at@work>",
        b"Anna <at@home>",
        b"Key 3 <k3@example.org>",
        b"Key 1 <k1@example.org>",
    ];
    assert_eq!(users, expected);
}

#[test]
fn the_trust_signature_that_makes_an_introducer_is_told() {
    let [you, anna, bela] = [YOU, ANNA, BELA].map(maker);
    let deep = Fields {
        trust: Some((1, 120)),
        ..plain()
    };
    let ring = ring(&[
        certificate(&you, YOU, &[]),
        certificate(&anna, ANNA, &[(&you, deep)]),
        certificate(&bela, BELA, &[(&anna, plain())]),
    ]);
    let alone = why(&ring, &[(YOU, Level::Ultimate)], BELA);
    let annas = &alone.grounds[1];
    assert_eq!((annas.key, annas.ownertrust), (anna.print, Level::Full));
    let granted = annas.granted.as_ref().unwrap();
    assert_eq!((granted.by, granted.trust), (you.print, Some((1, 120))));
    // What the person said herself needs no other reason.
    let said = [(YOU, Level::Ultimate), (ANNA, Level::Full)];
    assert_eq!(why(&ring, &said, BELA).grounds[1].granted, None);
}

/// In each layer two keys with two user ids, each certified by both keys of the
/// layer before: the paths grow by four with every layer, the grounds by four
/// in all.
#[test]
fn paths_are_counted_and_written_to_a_bound_and_grounds_are_all_told() {
    const LAYERS: u8 = 40;
    let root = Maker::new(1, BORN);
    let mut certificates = vec![certificate(&root, 1, &[])];
    let mut owners = Ownertrust::new();
    owners.set(root.print, Level::Ultimate);
    let mut before = vec![root];
    for layer in 1..=LAYERS {
        let keys = [2 * layer, 2 * layer + 1].map(|seed| Maker::new(seed, BORN));
        let by: Vec<&Maker> = before.iter().collect();
        for key in &keys {
            certificates.push(several(key, &[("A <a@b>", &by), ("C <c@d>", &by)]));
            owners.set(key.print, Level::Full);
        }
        before = Vec::from(keys);
    }
    let ring = ring(&certificates);
    let mut settings = settings(Model::Strict);
    settings.max_cert_depth = 255;
    let web = Web::compute(&ring, &owners, settings, None);
    // Root to layer 1: one path to each of two user ids of each key. A path to
    // a key of layer n: by 2 keys, each by 2 user ids, of layer n - 1.
    let near = trusted(web.standing(&Maker::new(6, BORN).print));
    assert_eq!((near.paths.len(), near.left_out), (16, 0));
    let distinct: BTreeSet<String> = near.paths.iter().map(|p| format!("{p:?}")).collect();
    assert_eq!(distinct.len(), 16);
    assert!(near.paths.iter().all(|path| path.hops.len() == 3));
    let far = trusted(web.standing(&before[0].print));
    assert_eq!(far.paths.len(), limits::PATHS);
    assert_eq!(
        far.left_out,
        u64::MAX - limits::PATHS as u64,
        "4^39 and less"
    );
    // Two of the key itself, four of every layer before, and the root.
    assert_eq!(far.grounds.len(), 2 + 4 * usize::from(LAYERS - 1) + 1);
    // Nor does a key that is not believed take longer.
    let stranger = Maker::new(200, BORN);
    let last = certificate(&stranger, 200, &[(&before[0], plain())]);
    let mut ring = ring;
    ring.add(&last).unwrap();
    owners.set(before[0].print, Level::Marginal);
    let web = Web::compute(&ring, &owners, settings, None);
    let Standing::Unknown { nearest, .. } = web.standing(&stranger.print) else {
        panic!("one marginal owner is too few");
    };
    assert_eq!(nearest.unwrap().hops.len(), usize::from(LAYERS) + 1);
}
