//! Whole packs, against git.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gt_pack::idle::Patient;
use gt_pack::limits::{Exceeded, Limits};
use gt_pack::spool::Spool;
use gt_pack::verify::{self, Base, Bases, Error, NoBases, NoVisitor, Silent, Verified};
use gt_pack::{Kind, ObjectFormat, ObjectId, hash, index, thin};
use gt_vfs::ReadAt;

use crate::git::{Git, file, text};

fn verify(pack: &dyn ReadAt, limits: &Limits) -> Result<Verified, Error> {
    verify_as(pack, ObjectFormat::Sha1, limits)
}

fn verify_as(pack: &dyn ReadAt, format: ObjectFormat, limits: &Limits) -> Result<Verified, Error> {
    verify::pack(pack, format, limits, &NoBases, &NoVisitor, &Silent)
}

/// Git's index and reverse index of a pack.
fn git_index(pack: &[u8], format: ObjectFormat) -> (Vec<u8>, Vec<u8>) {
    let git = Git::empty();
    git.run(["init", "-q", "--bare", &format!("--object-format={format}")]);
    std::fs::write(git.path().join("a.pack"), pack).unwrap();
    let args = ["-c", "pack.writeReverseIndex=true", "index-pack", "a.pack"];
    git.with(args, b"");
    let read = |name| std::fs::read(git.path().join(name)).unwrap();
    (read("a.idx"), read("a.rev"))
}

fn same_indexes(pack: &[u8], verified: &Verified) {
    let (idx, rev) = git_index(pack, verified.format);
    assert!(index::write_idx(verified) == idx, "another idx than git's");
    assert!(index::write_rev(verified) == rev, "another rev than git's");
    let read = index::Index::open(file(idx), verified.format, pack.len() as u64).unwrap();
    read.check_whole().unwrap();
    assert_eq!(read.len() as usize, verified.entries.len());
    for entry in verified.entries.iter().step_by(7) {
        let place = read.find(&entry.oid).unwrap().unwrap();
        assert_eq!(read.offset_at(place).unwrap(), entry.offset);
        assert_eq!(read.crc32_at(place).unwrap(), entry.crc32);
    }
}

/// A history of which git makes deltas.
fn history() -> Git {
    let git = Git::init();
    for n in 0..12 {
        let body = format!("{}{}{}", text(1, 200), text(n + 2, 3), text(99, 200));
        git.commit(&[("a.txt", &body), (&format!("d/{n}"), &text(n, 5))]);
    }
    git
}

#[test]
fn a_pack_of_git_has_gits_indexes() {
    for args in [&["--delta-base-offset"][..], &[]] {
        let git = history();
        let mut all = vec!["pack-objects", "-q", "--stdout", "--all", "--revs"];
        all.extend(args);
        let pack = git.with(all, b"");
        let verified = verify(&*file(&pack[..]), &Limits::default()).unwrap();
        assert!(verified.entries.iter().any(|e| e.depth > 2));
        same_indexes(&pack, &verified);
    }
}

#[test]
fn a_pack_is_verified_as_it_comes() {
    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = self.1 * 7 % 1000 + 1;
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }
    let git = history();
    let limits = Limits::default();
    let format = ObjectFormat::Sha1;
    for args in [&["--delta-base-offset"][..], &[]] {
        let all = ["pack-objects", "-q", "--stdout", "--all", "--revs"];
        let pack = git.with([&all, args].concat(), b"");
        let whole = verify(&*file(&pack[..]), &limits).unwrap();
        for length in [None, Some(pack.len() as u64)] {
            let spool = Spool::new(tempfile::tempfile().unwrap()).unwrap();
            let mut keep = |bytes: &[u8]| spool.append(bytes);
            let come = verify::stream(
                &mut Slow(&pack, 3),
                &mut keep,
                &spool,
                length,
                format,
                &limits,
                &NoBases,
                &NoVisitor,
                &Silent,
            );
            assert_eq!(come.unwrap(), whole);
            let source = file(&pack[..]);
            let mut incoming = verify::Incoming::new(format, &limits, length, &NoVisitor);
            assert!(pack.chunks(1000).all(|piece| incoming.push(piece)));
            let pushed = incoming.finish(&*source, &NoBases, &Silent).unwrap();
            assert_eq!(pushed, whole);
        }
        for entry in whole.entries.iter() {
            let source = file(&pack[..]);
            let (kind, content) = whole.object(&*source, &entry.oid).unwrap().unwrap();
            assert_eq!(hash::object_id(format, kind, &content), Ok(entry.oid));
        }
        let mut incoming = verify::Incoming::new(format, &limits, None, &NoVisitor);
        let mut altered = pack.clone();
        altered[100] ^= 0xff;
        assert!(!altered.chunks(50).all(|piece| incoming.push(piece)));
        let refused = incoming.finish(&*file(altered), &NoBases, &Silent);
        assert!(refused.is_err());
    }
}

#[test]
fn parts_of_a_pack_by_many_threads() {
    // Many times what is read at a time: whole objects, some of them large,
    // deltas on those before, files that cannot be deflated.
    let git = Git::init();
    let noise = |n: u32| -> Vec<u8> {
        let mut state = n | 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..40_000 * (n as usize % 4)).map(|_| next()).collect()
    };
    for n in 0..40 {
        std::fs::write(git.path().join(format!("noise{n}")), noise(n)).unwrap();
        git.commit(&[
            ("a.txt", &format!("{}{}", text(1, 300), text(n + 2, 30))),
            (&format!("d/{n}"), &text(n, 2000)),
        ]);
    }
    let pack = git.pack_all();
    assert!(pack.len() > 2 << 20);
    let verified = |threads, pack: &[u8]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let source = file(pack);
        pool.unwrap()
            .install(|| verify(&*source, &Limits::default()))
    };
    let one = verified(1, &pack).unwrap();
    same_indexes(&pack, &one);
    for threads in [2, 3, 8] {
        assert_eq!(verified(threads, &pack).unwrap(), one);
    }
    for at in (20..pack.len()).step_by(pack.len() / 20) {
        let mut altered = pack.clone();
        altered[at] ^= 0x10;
        assert!(verified(2, &altered).is_err(), "byte {at}");
        assert!(verified(2, &pack[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn one_tree_of_deltas_by_many_threads() {
    // A star of long chains: all stands on one object.
    let git = Git::init();
    for n in 0..30 {
        git.commit(&[("a.txt", &format!("{}{}", text(1, 300), text(n + 2, 3)))]);
    }
    git.run(["repack", "-q", "-adf", "--depth=250", "--window=50"]);
    let all = ["pack-objects", "-q", "--stdout", "--all", "--revs"];
    let pack = git.with(all, b"");
    let source = file(&pack[..]);
    let verified = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| verify(&*source, &Limits::default()).unwrap())
    };
    let one = verified(1);
    for threads in [2, 3, 8] {
        assert_eq!(verified(threads), one);
    }
    same_indexes(&pack, &one);
}

#[test]
fn sha256_packs_are_read_too() {
    let git = Git::empty();
    git.run(["init", "-q", "--object-format=sha256"]);
    git.commit(&[("a", &text(1, 100))]);
    git.commit(&[("a", &(text(1, 100) + "more"))]);
    let pack = git.with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
    let verified = verify_as(&*file(&pack[..]), ObjectFormat::Sha256, &Limits::default()).unwrap();
    same_indexes(&pack, &verified);
}

/// Bases out of a repository.
struct FromGit<'a>(&'a Git);

impl Bases for FromGit<'_> {
    fn find(&self, oid: &ObjectId) -> std::io::Result<Option<Base>> {
        // One process for each is enough for a test.
        let out = self
            .0
            .try_with(["cat-file", "--batch"], format!("{oid}\n").as_bytes());
        let out = out.stdout;
        let line = out.iter().position(|b| *b == b'\n').unwrap();
        let mut words = out[..line].split(|b| *b == b' ').skip(1);
        let Some(kind) = words.next().and_then(Kind::from_name) else {
            return Ok(None);
        };
        let content = out[line + 1..out.len() - 1].to_vec();
        assert_eq!(hash::object_id(oid.format(), kind, &content), Ok(*oid));
        Ok(Some(Base::new(kind, content, 3)))
    }
}

#[test]
fn thin_pack_completed_as_git_does() {
    let git = history();
    let pack = git.thin_pack(&["main", "^main~3"]);
    let source = file(&pack[..]);
    assert!(matches!(
        verify(&*source, &Limits::default()),
        Err(Error::MissingBase { .. })
    ));
    let (bases, limits) = (FromGit(&git), Limits::default());
    let format = ObjectFormat::Sha1;
    let verified = verify::pack(&*source, format, &limits, &bases, &NoVisitor, &Silent).unwrap();
    assert!(!verified.external.is_empty());
    assert!(verified.entries.iter().any(|e| e.depth > 3));
    let mut completed = Vec::new();
    let whole = thin::complete(&*source, &verified, &bases, &mut completed).unwrap();
    // What the verifier says of the completed bytes is what was foretold.
    let again = verify(&*file(&completed[..]), &limits).unwrap();
    let plain = |v: &Verified| -> Vec<_> {
        let of = v.entries.iter();
        of.map(|e| (e.oid, e.offset, e.crc32, e.kind, e.size))
            .collect()
    };
    assert_eq!(plain(&again), plain(&whole));
    assert_eq!(again.checksum, whole.checksum);
    same_indexes(&completed, &whole);
    // Git completes it with the same objects, its entries byte for byte.
    let out = git.with(["index-pack", "--fix-thin", "--stdin", "-v"], &pack);
    let name = String::from_utf8(out).unwrap();
    let name = name.trim().rsplit('\t').next().unwrap();
    let path = git.dir().join(format!("objects/pack/pack-{name}.pack"));
    let theirs = std::fs::read(path).unwrap();
    let end = pack.len() - 20;
    assert_eq!(theirs[..end], completed[..end]);
    let theirs = verify(&*file(theirs), &limits).unwrap();
    let oids = |v: &Verified| {
        v.entries
            .iter()
            .map(|e| (e.oid, e.kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(oids(&theirs), oids(&whole));
    let tail = |v: &Verified| -> Vec<_> {
        let mut tail: Vec<_> = v
            .entries
            .iter()
            .filter(|e| e.offset >= end as u64)
            .collect();
        tail.sort_by_key(|e| e.offset);
        tail.iter().map(|e| e.oid).collect::<Vec<_>>()
    };
    assert_eq!(tail(&theirs), tail(&whole), "bases in another order");
}

#[test]
fn a_pack_that_stops_coming_is_refused() {
    /// Gives what it has, then says that nothing has come yet.
    struct Stuck<'a>(&'a [u8], std::io::ErrorKind);
    impl std::io::Read for Stuck<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer) {
                Ok(0) => Err(self.1.into()),
                read => read,
            }
        }
    }
    let git = history();
    let pack = git.with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
    let limits = Limits::default();
    let format = ObjectFormat::Sha1;
    for length in [0, 5, 100, pack.len() - 1] {
        for nothing in [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut] {
            let mut minutes = 0;
            let clock = || {
                minutes += 1;
                Duration::from_secs(60 * minutes)
            };
            let mut reader = Patient::new(Stuck(&pack[..length], nothing), &limits, clock);
            let (mut keep, source) = (|_: &[u8]| Ok(()), file(&pack[..length]));
            let refused = verify::stream(
                &mut reader,
                &mut keep,
                &*source,
                None,
                format,
                &limits,
                &NoBases,
                &NoVisitor,
                &Silent,
            );
            let Err(Error::Limit(Exceeded::Idle { limit, got, after })) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!((limit, after), (limits.idle, length as u64));
            assert_eq!(got, limits.idle);
        }
    }
}

#[test]
fn every_byte_of_a_pack_counts() {
    let git = Git::init();
    git.commit(&[("a", "1")]);
    git.commit(&[("a", "2")]);
    let pack = git.with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
    let limits = Limits::default();
    for at in 0..pack.len() {
        let mut bad = pack.clone();
        bad[at] ^= 1;
        // Version 3 differs from 2 by nothing but its number, and the sum.
        assert!(verify(&*file(bad), &limits).is_err(), "byte {at}");
        let cut = file(&pack[..at]);
        assert!(verify(&*cut, &limits).is_err(), "cut at {at}");
    }
}

#[test]
fn a_visitor_sees_every_object_once() {
    struct Count(std::sync::Mutex<BTreeMap<ObjectId, u32>>);
    impl verify::Visitor for Count {
        fn object(&self, seen: &verify::Seen<'_>) -> Result<(), String> {
            let content = seen.content.unwrap();
            assert_eq!(
                hash::object_id(ObjectFormat::Sha1, seen.kind, content),
                Ok(*seen.oid)
            );
            *self.0.lock().unwrap().entry(*seen.oid).or_default() += 1;
            Ok(())
        }
    }
    let git = history();
    let pack = git.with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
    let count = Count(Default::default());
    let limits = Limits::default();
    let format = ObjectFormat::Sha1;
    let source = file(pack);
    let verified = verify::pack(&*source, format, &limits, &NoBases, &count, &Silent).unwrap();
    let seen = count.0.into_inner().unwrap();
    assert!(seen.values().all(|n| *n == 1));
    assert_eq!(seen.len(), verified.entries.len());
}

fn data() -> PathBuf {
    PathBuf::from(std::env::var_os("GT_DATA").expect("GT_DATA names the folder of test data"))
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_verdicts() {
    let folder = data().join("pack");
    let verdicts = std::fs::read_to_string(folder.join("VERDICTS.tsv")).unwrap();
    let mut seen = 0;
    for line in verdicts.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, expected, git) = (columns[0], columns[1], columns[2]);
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let sha256 = name.rsplit(['-', '.']).nth(1).unwrap().len() == 64;
        let format = [ObjectFormat::Sha1, ObjectFormat::Sha256][usize::from(sha256)];
        let source = file(&bytes[..]);
        let by_default = verify_as(&*source, format, &Limits::default());
        let lifted = || verify_as(&*source, format, &Limits::lifted());
        seen += 1;
        match (expected, git) {
            ("ok" | "", "ok") | ("index ok, fsck bad/warn", _) => match by_default {
                Ok(verified) => same_indexes(&bytes, &verified),
                Err(e) => panic!("{name}: {e}"),
            },
            // Two objects of one name: git and libgit2 refuse, so does this.
            ("ok?" | "?", _) => {
                assert!(
                    matches!(by_default, Err(Error::Duplicate(_))),
                    "{name}: {by_default:?}"
                );
            }
            ("ok/limit", _) => {
                assert!(
                    matches!(by_default, Err(Error::Limit(_))),
                    "{name}: {by_default:?}"
                );
                if !name.contains("4GiB") {
                    let verified = lifted().unwrap_or_else(|e| panic!("{name}: {e}"));
                    same_indexes(&bytes, &verified);
                }
            }
            ("bad", _) | ("", _) => {
                assert!(by_default.is_err(), "{name}");
                let error = lifted().expect_err(name);
                assert!(!matches!(error, Error::Limit(_)), "{name}: {error}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(seen > 70);
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_repositories() {
    for name in ["ripgrep", "tokio"] {
        let bundle = std::fs::read(data().join(format!("repos/{name}.bundle"))).unwrap();
        let start = bundle.windows(6).position(|w| w == b"\n\nPACK").unwrap() + 2;
        let pack = &bundle[start..];
        let verified = verify(&*file(pack), &Limits::default()).unwrap();
        let ratio = verified.inflated / pack.len() as u64;
        assert!(ratio < Limits::default().ratio / 2, "{name}: {ratio}");
        same_indexes(pack, &verified);
    }
}

#[test]
fn limits_name_what_they_refuse() {
    let git = history();
    let pack = git.with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
    let source = file(pack);
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        match verify(&*source, &limits) {
            Err(Error::Limit(exceeded)) => exceeded,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(with(&|l| l.objects = 3), Exceeded::Objects { .. }));
    assert!(matches!(with(&|l| l.object = 100), Exceeded::Object { .. }));
    assert!(matches!(with(&|l| l.depth = 1), Exceeded::Depth { .. }));
    assert!(matches!(with(&|l| l.waiting = 1), Exceeded::Waiting { .. }));
    let little = with(&|l| {
        l.ratio = 1;
        l.ratio_floor = 10;
    });
    assert!(matches!(little, Exceeded::Inflated { .. }));
}

#[test]
fn stopped_by_its_progress() {
    struct Stop;
    impl verify::Progress for Stop {
        fn at(&self, _: verify::Stage, _: u64, _: u64) -> std::ops::ControlFlow<()> {
            std::ops::ControlFlow::Break(())
        }
    }
    let pack = history().with(["pack-objects", "-q", "--stdout", "--all", "--revs"], b"");
    let limits = Limits::default();
    let format = ObjectFormat::Sha1;
    let stopped = verify::pack(&*file(pack), format, &limits, &NoBases, &NoVisitor, &Stop);
    assert!(matches!(stopped, Err(Error::Stopped)));
}
