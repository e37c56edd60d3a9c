//! Torrents made, written and read again; and what must be refused.

use gt_vfs::content::BLOCK;
use gt_vfs::{Memory, Root, VPath};
use gt_wire::bencode::Value;
use gt_wire::geometry::{FileIndex, Layer, PieceHash, PieceIndex};
use gt_wire::metainfo::{Create, Error, Info, Metainfo, Version, piece_length_for};
use proptest::prelude::*;
use sha1::{Digest, Sha1};

fn vpath(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

fn sample(n: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i * 7 + n * 13 + i / 251) as u8)
        .collect()
}

fn files(lengths: &[usize]) -> Memory {
    let vfs = Memory::new();
    for (n, length) in lengths.iter().enumerate() {
        vfs.insert(vpath(&format!("d{}/f{n}", n % 3)), sample(n, *length));
    }
    vfs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn made_written_read(
        lengths in proptest::collection::vec(0_usize..150_000, 1..6),
        version in proptest::sample::select(vec![Version::V1, Version::V2, Version::Hybrid]),
        level in 0_u32..3,
        private: bool,
    ) {
        let mut plan = Create::new("name").version(version).piece_length((BLOCK as u64) << level);
        plan.private = private;
        let mut made = plan.hash(&files(&lengths)).unwrap();
        made.trackers = vec![vec!["http://a/".into(), "http://b/".into()], vec!["udp://c".into()]];
        made.web_seeds = vec!["http://d/".into()];
        made.created = Some(1);
        let bytes = made.write();
        let read = Metainfo::read(&bytes).unwrap();
        prop_assert_eq!(&read, &made);
        prop_assert_eq!(read.info.is_private(), private);
        prop_assert_eq!(read.write(), bytes);
        let total: usize = lengths.iter().sum();
        prop_assert_eq!(read.info.geometry().content_length(), total as u64);
        // Without piece layers the same dictionary gives the same names.
        let bare = Info::read(made.info.raw()).unwrap();
        prop_assert_eq!(bare.info_hashes(), made.info.info_hashes());
    }

    #[test]
    fn junk_never_panics(
        at in any::<proptest::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let made = Create::new("x").piece_length(BLOCK as u64).hash(&files(&[40_000, 5])).unwrap();
        let mut torrent = made.write();
        let at = at.index(torrent.len());
        torrent.splice(at..(at + bytes.len()).min(made.write().len()), bytes);
        let _ = Metainfo::read(&torrent);
        torrent.truncate(cut.index(torrent.len()));
        prop_assert!(Metainfo::read(&torrent).is_err());
    }
}

#[test]
fn from_roots_is_what_create_makes() {
    let vfs = files(&[100_000, 5, 0, 70_000]);
    let made = Create::new("n").version(Version::V2).piece_length(1 << 15);
    let made = made.hash(&vfs).unwrap().info;
    let roots = [(0, 100_000), (1, 5), (2, 0), (3, 70_000)].map(|(n, length)| {
        let path = vpath(&format!("d{}/f{n}", n % 3));
        (path, length as u64, Root::of(&sample(n, length)))
    });
    let info = Info::from_roots(b"n", 1 << 15, roots).unwrap();
    assert_eq!(info.raw(), made.raw());
    assert_eq!(info.v2_hash(), made.v2_hash());
    assert_eq!(info.v1_hash(), None);
    let long = info
        .geometry()
        .files()
        .iter()
        .position(|f| f.length == 100_000);
    let first = info
        .geometry()
        .pieces_of(FileIndex(long.unwrap() as u32))
        .start;
    let unknown = Some(PieceHash::V2(Layer::Unknown));
    assert_eq!(info.geometry().piece_hash(PieceIndex(first)), unknown);
}

#[test]
fn hybrid_hashes_padding() {
    let vfs = Memory::new();
    vfs.insert(vpath("a"), sample(0, 20_000));
    vfs.insert(vpath("b"), sample(1, 3));
    let info = Create::new("n")
        .piece_length(1 << 14)
        .hash(&vfs)
        .unwrap()
        .info;
    let piece = |n| info.geometry().piece_hash(PieceIndex(n)).unwrap();
    let mut padded = sample(0, 20_000)[1 << 14..].to_vec();
    padded.resize(1 << 14, 0);
    let second = Sha1::digest(&padded);
    assert!(matches!(piece(1), PieceHash::Hybrid { sha1, .. } if sha1[..] == second[..]));
    let last = Sha1::digest(sample(1, 3));
    assert!(matches!(piece(2), PieceHash::Hybrid { sha1, .. } if sha1[..] == last[..]));
}

#[test]
fn order_is_by_components() {
    let files = ["a-b", "a/b", "a.c"].map(|p| (vpath(p), 1, Root([1; 32])));
    let info = Info::from_roots(b"n", 1 << 14, files).unwrap();
    let paths: Vec<_> = info
        .geometry()
        .files()
        .iter()
        .map(|f| f.path.to_string())
        .collect();
    assert_eq!(paths, ["a/b", "a-b", "a.c"]);
    assert_eq!(&Info::read(info.raw()).unwrap(), &info);
}

#[test]
fn from_roots_refuses() {
    let one =
        |path: &str, length, root| Info::from_roots(b"n", 1 << 14, [(vpath(path), length, root)]);
    assert!(one("a", 0, Root([1; 32])).is_err());
    assert!(one("a", 1, Root::EMPTY).is_err());
    assert!(one("a/".repeat(1000).trim_end_matches('/'), 1, Root([1; 32])).is_err());
    let clash = ["a", "a/b"].map(|p| (vpath(p), 1, Root([1; 32])));
    assert!(matches!(
        Info::from_roots(b"n", 1 << 14, clash),
        Err(Error::Clash(_))
    ));
    let no_name = Info::from_roots(b"../x", 1 << 14, [(vpath("a"), 1, Root([1; 32]))]);
    assert!(matches!(no_name, Err(Error::Path(..))));
    assert!(Info::from_roots(b"n", 1000, [(vpath("a"), 1, Root([1; 32]))]).is_err());
}

#[test]
fn piece_length_follows_size() {
    let mib = 1 << 20;
    let table = [
        (0, 1 << 14),
        (16 * mib, 1 << 15),
        (64 * mib, 1 << 17),
        (1 << 40, mib),
    ];
    for (total, length) in table {
        assert_eq!(piece_length_for(total), length, "{total}");
    }
}

fn v1(path: &[&str], more: &[(&str, Value)]) -> Vec<u8> {
    let path = Value::List(path.iter().map(Value::bytes).collect());
    let file = [("length", Value::Integer(3)), ("path", path)];
    let file = file.into_iter().chain(more.iter().cloned());
    Value::dict([(
        "info",
        Value::dict([
            ("files", Value::List(vec![Value::dict(file)])),
            ("name", Value::bytes("n")),
            ("piece length", Value::Integer(16384)),
            ("pieces", Value::bytes([7; 20])),
        ]),
    )])
    .encode()
}

fn paths(bytes: &[u8]) -> Vec<String> {
    let info = Metainfo::read(bytes).unwrap().info;
    let files = info.geometry().files().iter();
    files.map(|f| f.path.to_string()).collect()
}

#[test]
fn nothing_escapes() {
    for (path, wanted) in [
        (&["a", "b"][..], "a/b"),
        (&["", "a"], "a"),
        (&["..", "a"], "__/a"),
        (&["a", "..", "b"], "a/__/b"),
        (&["/etc"], "_etc"),
        (&["a/b"], "a_b"),
        (&["a\0"], "a_"),
    ] {
        assert_eq!(paths(&v1(path, &[])), [wanted]);
    }
    for path in [&[][..], &[""], &["."], &[".git", "x"]] {
        let read = Metainfo::read(&v1(path, &[]));
        assert!(matches!(read, Err(Error::Path(..))), "{path:?} {read:?}");
    }
}

#[test]
fn links_are_told_of_and_are_no_files() {
    let target = Value::List(vec![Value::bytes(".."), Value::bytes("passwd")]);
    let file = |name: &str, more: &[(&str, Value)]| {
        let path = ("path", Value::List(vec![Value::bytes(name)]));
        let length = ("length", Value::Integer(3));
        Value::dict([path, length].into_iter().chain(more.iter().cloned()))
    };
    let torrent = |link: &[(&str, Value)]| {
        let files = Value::List(vec![file("a", &[]), file("l", link)]);
        let info = Value::dict([
            ("files", files),
            ("name", Value::bytes("n")),
            ("piece length", Value::Integer(16384)),
            ("pieces", Value::bytes([7; 20])),
        ]);
        Metainfo::read(&Value::dict([("info", info)]).encode())
    };
    let link = [("attr", Value::bytes("l")), ("symlink path", target)];
    let read = torrent(&link).unwrap().info;
    assert_eq!(read.geometry().files().len(), 1);
    assert_eq!(read.symlinks()[0].path.to_string(), "l");
    assert_eq!(read.symlinks()[0].target, b"../passwd");
    assert_eq!(torrent(&link[..1]), Err(Error::Missing("symlink path")));
}

#[test]
fn refuses_other_faults() {
    let set = |key: &str, value: Option<Value>| {
        let mut info = std::collections::BTreeMap::from([
            ("length".to_owned(), Value::Integer(3)),
            ("name".to_owned(), Value::bytes("n")),
            ("piece length".to_owned(), Value::Integer(16384)),
            ("pieces".to_owned(), Value::bytes([7; 20])),
        ]);
        match value {
            Some(value) => info.insert(key.to_owned(), value),
            None => info.remove(key),
        };
        let info = Value::dict(info);
        Metainfo::read(&Value::dict([("info", info)]).encode())
    };
    assert!(
        set("private", Some(Value::Integer(1)))
            .unwrap()
            .info
            .is_private()
    );
    assert_eq!(set("name", None), Err(Error::Missing("name")));
    assert_eq!(set("pieces", None), Err(Error::Missing("pieces")));
    assert_eq!(set("length", None), Err(Error::Missing("length")));
    assert!(set("pieces", Some(Value::bytes([7; 21]))).is_err());
    assert!(set("pieces", Some(Value::bytes([7; 40]))).is_err());
    assert!(set("piece length", Some(Value::Integer(0))).is_err());
    assert!(set("piece length", Some(Value::Integer(-1))).is_err());
    assert!(set("piece length", Some(Value::Integer(i64::MAX))).is_err());
    assert!(set("length", Some(Value::Integer(i64::MAX))).is_err());
    assert!(set("files", Some(Value::List(vec![]))).is_err());
    assert_eq!(
        set("meta version", Some(Value::Integer(3))),
        Err(Error::Version(3))
    );
    assert_eq!(
        set("meta version", Some(Value::Integer(2))),
        Err(Error::Missing("file tree"))
    );
}

/// A v2 torrent of one file of three pieces, with these layers.
fn layered(layers: &[([u8; 32], Vec<u8>)], length: i64, root: [u8; 32]) -> Vec<u8> {
    let file = Value::dict([
        ("length", Value::Integer(length)),
        ("pieces root", Value::Bytes(root.to_vec())),
    ]);
    let tree = Value::dict([("n", Value::dict([("", file)]))]);
    let info = Value::dict([
        ("file tree", tree),
        ("meta version", Value::Integer(2)),
        ("name", Value::bytes("n")),
        ("piece length", Value::Integer(16384)),
    ]);
    let layers = layers
        .iter()
        .map(|(root, layer)| (root.to_vec(), Value::Bytes(layer.clone())));
    Value::dict([("info", info), ("piece layers", Value::dict(layers))]).encode()
}

#[test]
fn layers_are_of_the_torrents_own_files() {
    let made = Create::new("n")
        .version(Version::V2)
        .piece_length(1 << 14)
        .hash(&files(&[40_000]))
        .unwrap();
    let geometry = made.info.geometry();
    let root = geometry.files()[0].root.unwrap().0;
    let layer = geometry.layer(FileIndex(0)).unwrap().concat();
    let own = (root, layer.clone());
    assert!(Metainfo::read(&layered(std::slice::from_ref(&own), 40_000, root)).is_ok());
    let strange = ([9; 32], layer.clone());
    assert!(matches!(
        Metainfo::read(&layered(&[own.clone(), strange], 40_000, root)),
        Err(Error::StrangeLayer(_))
    ));
    assert!(matches!(
        Metainfo::read(&layered(&[], 40_000, root)),
        Err(Error::NoLayer(_))
    ));
    // The file of one piece has no layer but, with some makers, its root.
    let small = (root, root.to_vec());
    assert!(Metainfo::read(&layered(&[small], 100, root)).is_ok());
    assert!(Metainfo::read(&layered(&[own], 100, root)).is_err());
}

#[test]
fn a_line_end_behind_the_end_hurts_nobody() {
    let made = Create::new("n").hash(&files(&[100])).unwrap().write();
    for (tail, reads) in [
        (&b""[..], true),
        (b"\n", true),
        (b"\r\n", true),
        (b"\n\n", false),
        (b" ", false),
        (b"x", false),
        (b"de", false),
    ] {
        let read = Metainfo::read(&[&made[..], tail].concat());
        assert_eq!(read.is_ok(), reads, "{tail:?}");
    }
}

#[test]
fn refuses_divergent_hybrids() {
    let vfs = files(&[20_000]);
    let made = Create::new("n").piece_length(1 << 14).hash(&vfs).unwrap();
    let bytes = made.write();
    let text = b"6:lengthi20000e";
    let at: Vec<usize> = (0..bytes.len())
        .filter(|n| bytes[*n..].starts_with(text))
        .collect();
    assert_eq!(at.len(), 2, "one in each half");
    let mut other = bytes.clone();
    other[at[0] + 13] = b'1';
    assert_eq!(Metainfo::read(&other), Err(Error::Divergent));
    let mut layer = bytes;
    let at = layer
        .windows(12)
        .position(|w| w == b"piece layers")
        .unwrap();
    layer[at + 80] ^= 1;
    assert!(matches!(Metainfo::read(&layer), Err(Error::Geometry(_))));
}
