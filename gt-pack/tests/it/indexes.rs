//! Indexes that git wrote, of every version.

use std::collections::BTreeMap;

use gt_pack::index::{Error, Index, Multi, MultiError, Reverse, ReverseError};
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
