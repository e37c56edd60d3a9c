//! Indexes that git wrote, of every version.

use std::collections::BTreeMap;

use gt_pack::index::{Error, Index, Layers, LayersError, Multi, MultiError, Reverse, ReverseError};
use gt_pack::verify::{self, NoBases, NoVisitor, Silent, Verified};
use gt_pack::{Limits, ObjectFormat, ObjectId};

use crate::git::{Git, file, text};

fn repository(format: ObjectFormat) -> Git {
    let git = Git::empty();
    git.run([
        "init",
        "-q",
        "-b",
        "main",
        &format!("--object-format={format}"),
    ]);
    for n in 0..40 {
        git.commit(&[("a", &text(n, 30)), (&format!("d/{n}"), &text(n, 3))]);
    }
    git
}

fn read(git: &Git, name: &str) -> Vec<u8> {
    std::fs::read(git.path().join(name)).unwrap()
}

fn verified(pack: &[u8], format: ObjectFormat) -> Verified {
    let limits = Limits::default();
    verify::pack(&*file(pack), format, &limits, &NoBases, &NoVisitor, &Silent).unwrap()
}

#[test]
fn every_version_of_idx_is_read() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let git = repository(format);
        let pack = git.pack_all();
        std::fs::write(git.path().join("a.pack"), &pack).unwrap();
        let verified = verified(&pack, format);
        // The last puts all offsets from 256 on into the table of long ones.
        for version in ["1", "2", "2,0x100"] {
            let option = format!("--index-version={version}");
            git.run(["index-pack", "--no-rev-index", &option, "a.pack"]);
            let idx = read(&git, "a.idx");
            std::fs::remove_file(git.path().join("a.idx")).unwrap();
            let index = Index::open(file(&idx[..]), format, pack.len() as u64).unwrap();
            index.check_whole().unwrap();
            assert_eq!(index.len() as usize, verified.entries.len());
            assert_eq!(index.pack_checksum().unwrap(), verified.checksum);
            for (n, entry) in verified.entries.iter().enumerate() {
                let place = n as u32;
                assert_eq!(index.find(&entry.oid).unwrap(), Some(place));
                assert_eq!(index.oid_at(place).unwrap(), entry.oid);
                assert_eq!(index.offset_at(place).unwrap(), entry.offset);
                match version {
                    "1" => assert!(matches!(index.crc32_at(place), Err(Error::Version))),
                    _ => assert_eq!(index.crc32_at(place).unwrap(), entry.crc32),
                }
            }
            assert_eq!(index.find(&ObjectId::null(format)).unwrap(), None);
            // Every offset that is wrong is seen.
            let short = Index::open(file(&idx[..]), format, 100).unwrap();
            assert!(matches!(short.offset_at(0), Err(Error::Offset(_))));
            for at in (0..idx.len()).step_by(7) {
                let mut altered = idx.clone();
                altered[at] ^= 0x81;
                let index = Index::open(file(altered), format, pack.len() as u64);
                assert!(
                    index.and_then(|i| i.check_whole()).is_err(),
                    "{version} {at}"
                );
                let cut = Index::open(file(&idx[..at]), format, pack.len() as u64);
                assert!(
                    cut.and_then(|i| i.check_whole()).is_err(),
                    "{version} cut at {at}"
                );
            }
        }
    }
}

#[test]
fn reverse_indexes_are_read() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let git = repository(format);
        let pack = git.with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
        std::fs::write(git.path().join("a.pack"), &pack).unwrap();
        git.run(["index-pack", "--rev-index", "a.pack"]);
        let rev = read(&git, "a.rev");
        let verified = verified(&pack, format);
        let count = verified.entries.len() as u32;
        let reverse = Reverse::open(file(&rev[..]), format, count).unwrap();
        reverse.check_whole().unwrap();
        assert_eq!(reverse.pack_checksum().unwrap(), verified.checksum);
        let mut before = 0;
        for nth in 0..count {
            let place = reverse.place_at(nth).unwrap();
            let offset = verified.entries.get(place as usize).unwrap().offset;
            assert!(offset > before);
            before = offset;
        }
        assert!(matches!(
            reverse.place_at(count),
            Err(ReverseError::Place(_))
        ));
        assert!(Reverse::open(file(&rev[..]), format, count + 1).is_err());
        for at in (0..rev.len()).step_by(3) {
            let mut altered = rev.clone();
            altered[at] ^= 0x81;
            let reverse = Reverse::open(file(altered), format, count);
            assert!(reverse.and_then(|r| r.check_whole()).is_err(), "{at}");
        }
    }
}

#[test]
fn an_index_over_many_packs_is_read() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let git = Git::empty();
        git.run([
            "init",
            "-q",
            "-b",
            "main",
            &format!("--object-format={format}"),
        ]);
        for n in 0..4 {
            git.commit(&[("a", &text(n, 30)), (&format!("d/{n}"), &text(n, 3))]);
            git.run(["repack", "-q", "-d"]);
        }
        git.run(["multi-pack-index", "write"]);
        let folder = git.dir().join("objects/pack");
        let bytes = std::fs::read(folder.join("multi-pack-index")).unwrap();
        let multi = Multi::open(file(&bytes[..]), format).unwrap();
        multi.check_whole().unwrap();
        assert_eq!(multi.packs().len(), 4);
        // What the single indexes say.
        let mut all = BTreeMap::new();
        for (n, name) in multi.packs().iter().enumerate() {
            let pack = std::fs::metadata(folder.join(name).with_extension("pack")).unwrap();
            let idx = std::fs::read(folder.join(name)).unwrap();
            let index = Index::open(file(idx), format, pack.len()).unwrap();
            for place in 0..index.len() {
                let oid = index.oid_at(place).unwrap();
                all.insert(oid, (n as u32, index.offset_at(place).unwrap()));
            }
        }
        assert_eq!(multi.len() as usize, all.len());
        for (oid, at) in &all {
            let place = multi.find(oid).unwrap().unwrap();
            assert_eq!(multi.oid_at(place).unwrap(), *oid);
            assert_eq!(multi.offset_at(place).unwrap(), *at);
        }
        assert_eq!(multi.find(&ObjectId::null(format)).unwrap(), None);
        let last = multi.len();
        assert!(matches!(multi.offset_at(last), Err(MultiError::Place(_))));
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x81;
            let multi = Multi::open(file(altered), format);
            assert!(multi.and_then(|m| m.check_whole()).is_err(), "{at}");
            assert!(Multi::open(file(&bytes[..at]), format).is_err() || at > bytes.len() - 100);
        }
    }
}

/// A repository with four packs, and a multi-pack-index of one layer for each.
fn layered(format: ObjectFormat) -> Git {
    let git = Git::empty();
    let format = format!("--object-format={format}");
    git.run(["init", "-q", "-b", "main", &format]);
    for n in 0..4 {
        git.commit(&[("a", &text(n, 30)), (&format!("d/{n}"), &text(n, 3))]);
        git.run(["repack", "-q", "-d"]);
        git.run(["multi-pack-index", "write", "--incremental"]);
    }
    git
}

#[test]
fn an_index_in_layers_is_read() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let git = layered(format);
        let folder = git.dir().join("objects/pack");
        let layers = Layers::in_folder(&folder, format).unwrap().unwrap();
        assert!(layers.fault().is_none());
        layers.check_whole().unwrap();
        assert_eq!(layers.layers().count(), 4);
        let packs: Vec<_> = layers.packs().collect();
        // What the single indexes say.
        let mut all = BTreeMap::new();
        for (n, name) in packs.iter().enumerate() {
            let pack = std::fs::metadata(folder.join(name).with_extension("pack")).unwrap();
            let idx = std::fs::read(folder.join(name)).unwrap();
            let index = Index::open(file(idx), format, pack.len()).unwrap();
            for place in 0..index.len() {
                let oid = index.oid_at(place).unwrap();
                all.insert(oid, (n as u32, index.offset_at(place).unwrap()));
            }
        }
        assert_eq!((packs.len(), layers.len() as usize), (4, all.len()));
        let mut places = Vec::new();
        for (oid, at) in &all {
            let place = layers.find(oid).unwrap().unwrap();
            assert_eq!(layers.oid_at(place).unwrap(), *oid);
            assert_eq!(layers.offset_at(place).unwrap(), *at);
            places.push(place);
        }
        places.sort_unstable();
        assert!(places.into_iter().eq(0..layers.len()));
        assert_eq!(layers.find(&ObjectId::null(format)).unwrap(), None);
        for last in [layers.len(), u32::MAX] {
            assert!(matches!(layers.oid_at(last), Err(MultiError::Place(_))));
            assert!(matches!(layers.offset_at(last), Err(MultiError::Place(_))));
        }
        // One index over all is read before its layers, and stands apart.
        let none = Git::bare();
        let packs = none.dir().join("objects/pack");
        assert!(Layers::in_folder(&packs, format).unwrap().is_none());
    }
}

/// Where git goes on with the layers before a fault, so does this.
#[test]
fn a_chain_ends_at_its_first_fault() {
    let git = layered(ObjectFormat::Sha1);
    let folder = git.dir().join("objects/pack/multi-pack-index.d");
    let path = folder.join("multi-pack-index-chain");
    let whole = std::fs::read_to_string(&path).unwrap();
    let names: Vec<&str> = whole.lines().collect();
    let of = |name: &str| folder.join(format!("multi-pack-index-{name}.midx"));
    let packs = folder.parent().unwrap();
    let fault = |lines: &[&str], expected: usize| {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let layers = Layers::in_folder(packs, ObjectFormat::Sha1)
            .unwrap()
            .unwrap();
        assert_eq!(layers.layers().count(), expected, "{lines:?}");
        layers.check_whole().unwrap();
        layers
            .fault()
            .map(|fault| (format!("{fault:?}"), fault.to_string()))
    };
    let long = "5".repeat(64);
    let (up, none) = (names[0].to_uppercase(), "5".repeat(40));
    assert_eq!(fault(&[], 0), None);
    assert_eq!(fault(&names[..2], 2), None);
    assert_eq!(fault(&[&up, names[1], ""], 2), None);
    let bad_lines = [
        "../../../../../../../../../../etc/passwd",
        "",
        "x",
        &long,
        "multi-pack-index",
    ];
    for line in bad_lines {
        let (kind, _) = fault(&[names[0], line, names[1]], 1).unwrap();
        assert_eq!(kind, "Line(2)", "{line}");
        // Git says the same, and finds what lies in packs without the layers.
        let git = git.try_with(["multi-pack-index", "verify", "--no-progress"], b"");
        let said = String::from_utf8_lossy(&git.stderr).into_owned();
        let says = said.contains("not a hash") || said.contains("unable to find");
        assert!(git.status.success() && says, "{said}");
    }
    let (_, words) = fault(&[names[0], &none, names[1]], 1).unwrap();
    assert!(words.contains("got no such file"), "{words}");
    let said = git.try_with(["multi-pack-index", "verify", "--no-progress"], b"");
    assert!(String::from_utf8_lossy(&said.stderr).contains("unable to find"));
    let (_, words) = fault(&[names[0], names[1], names[0]], 2).unwrap();
    assert!(words.contains("twice"), "{words}");
    let many: Vec<_> = (0..300).map(|n| format!("{n:040x}")).collect();
    assert!(fault(&many.iter().map(|n| &n[..]).collect::<Vec<_>>(), 0).is_some());
    // A layer under the name of another, or none.
    std::fs::remove_file(of(names[1])).unwrap();
    std::fs::copy(of(names[2]), of(names[1])).unwrap();
    let (_, words) = fault(&names, 1).unwrap();
    assert!(
        words.contains(names[2]) && words.contains("under its name"),
        "{words}"
    );
    for bytes in [&b""[..], b"MIDX", &[0; 2000]] {
        std::fs::remove_file(of(names[1])).unwrap();
        std::fs::write(of(names[1]), bytes).unwrap();
        let (kind, _) = fault(&names, 1).unwrap();
        assert!(kind.starts_with("Layer"), "{kind}");
    }
    // What breaks is no fault of the chain.
    std::fs::remove_file(of(names[1])).unwrap();
    std::fs::create_dir(of(names[1])).unwrap();
    std::fs::write(&path, &whole).unwrap();
    assert!(Layers::in_folder(packs, ObjectFormat::Sha1).is_err());
}

/// More layers than are read, each of its own.
#[test]
fn layers_are_counted() {
    let git = layered(ObjectFormat::Sha1);
    let folder = git.dir().join("objects/pack/multi-pack-index.d");
    let chain = std::fs::read_to_string(folder.join("multi-pack-index-chain")).unwrap();
    let first = chain.lines().next().unwrap();
    let layer = std::fs::read(folder.join(format!("multi-pack-index-{first}.midx"))).unwrap();
    let lines: String = (0..300).map(|n| format!("{n:040x}\n")).collect();
    let mut open = |name: &str| {
        // Each has the name that is asked for as its sum.
        let id: ObjectId = name["multi-pack-index-".len()..][..40].parse().unwrap();
        let (tables, _) = layer.split_at(layer.len() - 20);
        Ok(Some(file([tables, id.as_bytes()].concat())))
    };
    let layers = Layers::open(&*file(lines.into_bytes()), ObjectFormat::Sha1, &mut open).unwrap();
    assert!(matches!(layers.fault(), Some(LayersError::TooMany)));
    assert_eq!(layers.layers().count(), 256);
    assert_eq!(layers.packs().count(), 256);
    assert_eq!(layers.offset_at(layers.len() - 1).unwrap().0, 255);
    assert!(layers.check_whole().is_err(), "their sums are made up");
}
