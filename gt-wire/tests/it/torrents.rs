//! Torrents and bencode of other makers, with the verdicts of their makers.

use std::path::PathBuf;

use gt_wire::Metainfo;
use gt_wire::bencode::{Document, Keys, Limits};
use gt_wire::metainfo::Version;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("GT_DATA").expect("GT_DATA")).join("torrents")
}

/// Reads the flat objects of a JSON file that has one key a line.
fn objects(name: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    let mut objects = vec![];
    for line in text.lines() {
        if line.trim() == "{" {
            objects.push(std::collections::BTreeMap::new());
        } else if let Some((key, value)) = line.split_once("\": ") {
            let value = value.trim_end_matches(',').trim_matches('"');
            let object = objects.last_mut().unwrap();
            object.insert(key.trim().trim_matches('"').to_owned(), value.to_owned());
        }
    }
    objects
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_torrents_keep_their_verdicts() {
    let mut read = 0;
    for object in objects("MANIFEST.json") {
        let file = &object["file"];
        if !file.ends_with(".torrent") {
            continue;
        }
        let bytes = std::fs::read(folder().join(file)).unwrap();
        let result = Metainfo::read(&bytes);
        assert_eq!(
            result.is_ok(),
            object["expect"] == "valid",
            "{file}: {result:?}"
        );
        if let Ok(metainfo) = result {
            let again = Metainfo::read(&metainfo.write()).unwrap();
            assert_eq!(again.info.info_hashes(), metainfo.info.info_hashes());
            assert_eq!(again.trackers, metainfo.trackers, "{file}");
            read += 1;
        }
    }
    assert!(read >= 28, "{read}");
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_known_info_hashes() {
    let read = |file: &str| Metainfo::read(&std::fs::read(folder().join(file)).unwrap()).unwrap();
    let hybrid = read("anacrolix/testdata/bittorrent-v2-hybrid-test.torrent");
    assert_eq!(hybrid.info.version(), Version::Hybrid);
    let names: Vec<String> = hybrid
        .info
        .info_hashes()
        .iter()
        .map(|h| h.to_string())
        .collect();
    // As libtorrent's announcement of these two test torrents gives them.
    assert_eq!(
        names,
        [
            "631a31dd0a46257d5078c0dee4e66e26f73e42ac",
            "d8dd32ac93357c368556af3ac1d95c9d76bd0dff"
        ]
    );
    let v2 = read("anacrolix/testdata/bittorrent-v2-test.torrent");
    assert_eq!(v2.info.version(), Version::V2);
    let names: Vec<String> = v2
        .info
        .info_hashes()
        .iter()
        .map(|h| h.to_string())
        .collect();
    assert_eq!(names, ["caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa"]);
    assert!(
        read("rqbit/librqbit_core/private.torrent")
            .info
            .is_private()
    );
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_bencode_cases() {
    let mut seen = 0;
    for case in objects("bencode.json") {
        let (name, verdict) = (&case["name"], &case["verdict"]);
        let hex = &case["hex"];
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
            .collect();
        seen += 1;
        if case["source"].contains("metainfo parse") {
            let read = Metainfo::read(&bytes);
            let expected = verdict == "valid";
            assert_eq!(read.is_ok(), expected, "{name}: {read:?}");
            continue;
        }
        let limits = Limits::METAINFO.with_keys(Keys::Any);
        match verdict.as_str() {
            "valid" => assert!(Document::parse(&bytes, limits).is_ok(), "{name}"),
            "valid-prefix" => {
                assert!(Document::parse(&bytes, limits).is_err(), "{name}");
                assert!(Document::parse_prefix(&bytes, limits).is_ok(), "{name}");
            }
            _ => assert!(Document::parse(&bytes, limits).is_err(), "{name}"),
        }
    }
    assert!(seen > 35, "{seen}");
}
