//! The bodies of the fuzz targets over altered seeds, in every test run.

use gt_vfs::{Memory, VPath};
use gt_wire::metainfo::{Create, Version};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::bodies;

fn torrent(version: Version) -> Vec<u8> {
    let vfs = Memory::new();
    for (name, length) in [("a/b", 40_000), ("a/c", 5), ("d", 16_384)] {
        vfs.insert(VPath::parse(name.as_bytes()).unwrap(), vec![7; length]);
    }
    let plan = Create::new("x").version(version).piece_length(1 << 14);
    let mut made = plan.hash(&vfs).unwrap();
    made.trackers = vec![vec!["http://a/".into()], vec!["http://b/".into()]];
    made.web_seeds = vec!["http://c/".into()];
    made.write()
}

fn seeds() -> Vec<Vec<u8>> {
    let link =
        "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=a+b&so=0,2,4-6&x.pe=h:1";
    vec![
        torrent(Version::V1),
        torrent(Version::V2),
        torrent(Version::Hybrid),
        link.as_bytes().to_vec(),
        b"\x13BitTorrent protocol".to_vec(),
        [
            &[0, 0, 0, 13, 6][..],
            &[0; 12],
            &[0, 0, 0, 1, 14, 0, 0, 0, 0],
        ]
        .concat(),
        b"d1:md11:ut_metadatai1ee13:metadata_sizei99ee".to_vec(),
        b"d8:msg_typei1e5:piecei0e10:total_sizei5eehello".to_vec(),
        vec![1; 18 + 64],
        vec![4, 0, 2, 0, 0, 0, 0, 0, 7],
        [&[5, 0, 0, 0, 7][..], &[9; 96]].concat(),
    ]
}

fn all(bytes: &[u8]) {
    bodies::bencode(bytes);
    bodies::metainfo(bytes);
    bodies::magnet(bytes);
    bodies::messages(bytes);
    bodies::metadata(bytes);
    bodies::hashes(bytes);
}

#[test]
fn bodies_take_the_seeds() {
    seeds().iter().for_each(|seed| all(seed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn bodies_take_altered_seeds(
        seed in any::<Index>(),
        edits in proptest::collection::vec((any::<Index>(), prop_oneof![
            any::<u8>(), proptest::sample::select(b"deil0123456789:-&=%".to_vec())
        ]), 0..6),
        cut in proptest::option::of(any::<Index>()),
        twice in proptest::option::of((any::<Index>(), any::<Index>())),
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((from, to)) = twice {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let again = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, again);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        all(&bytes);
    }

    #[test]
    fn bodies_take_noise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        all(&bytes);
    }
}
