//! Reels that are read while they come in.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use gt_pack::import::{Gate, ReelFacts};
use gt_pack::reel_vfs::Options;
use gt_pack::verify::{self, Arriving, NoBases, Progress, Seen, Silent, Stage, Visitor};
use gt_pack::{Limits, ObjectFormat, ReelVfs, import};
use gt_vfs::{ContentId, ReadAt, VPath, Verdict, Vfs, WriteAt};

use crate::crafted::{Maker, delta};
use crate::git::Git;
use crate::reel::Made;

const PATIENCE: Duration = Duration::from_secs(60);

/// Lines that hardly deflate.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let digits = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/";
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let line = (0..10).map(|n| char::from(digits[(state >> (6 * n)) as usize & 63]));
        text.extend(line);
        text.push('\n');
    }
    text
}

/// Two reels, the second on the first, each above what is read early.
fn large() -> (Git, Vec<Made>) {
    let git = Git::init();
    let (a, b, c) = (noise(1, 300_000), noise(2, 500_000), noise(3, 500_000));
    let first = git.commit(&[("a", &a), ("d/b", &b), ("small", "1\n")]);
    let more = format!("{b}and one line more\n");
    let second = git.commit(&[("d/b", &more), ("d/c", &c), ("small", "2\n")]);
    let main = |oid| [("refs/heads/main", oid)];
    let one = Made::new(0, &[], &main(first), &git.thin_pack(&[&first.to_string()]));
    let revs = [second.to_string(), format!("^{first}")];
    let thin = git.thin_pack(&[&revs[0], &revs[1]]);
    let two = Made::new(1, &[first], &main(second), &thin);
    assert!(one.bytes.len() > 300 << 10 && two.bytes.len() > 300 << 10);
    (git, vec![one, two])
}

fn options(git: &Git, reels: &[Made], gate: Box<dyn Gate>) -> Options {
    let newest = reels.last().unwrap();
    Options::new(
        reels.iter().map(|made| made.reel.clone()).collect(),
        Some(newest.refs.clone()),
        Some(b"refs/heads/main".to_vec()),
        git.path().join("partial"),
        gate,
    )
}

fn open_through(git: &Git, reels: &[Made], gate: Box<dyn Gate>) -> ReelVfs {
    ReelVfs::open(&git.dir(), options(git, reels, gate)).unwrap()
}

fn open(git: &Git, reels: &[Made]) -> ReelVfs {
    open_through(git, reels, Box::new(import::Open))
}

fn path(made: &Made) -> VPath {
    VPath::parse(made.reel.file_name().as_bytes()).unwrap()
}

fn create(vfs: &ReelVfs, made: &Made) -> Box<dyn WriteAt> {
    vfs.create(&path(made), made.reel.length).unwrap()
}

/// The pieces of a reel, in order.
fn pieces(made: &Made) -> Vec<Range<usize>> {
    let length = made.bytes.len();
    let starts = (0..length).step_by(32 << 10);
    starts.map(|at| at..length.min(at + (32 << 10))).collect()
}

/// Writes parts and tells of them, as an engine does.
fn fill(writer: &dyn WriteAt, made: &Made, parts: &[Range<usize>]) {
    for part in parts {
        let bytes = &made.bytes[part.clone()];
        writer.write_at(part.start as u64, bytes).unwrap();
        writer.verified(part.start as u64, part.len() as u64);
    }
}

fn assert_served(git: &Git, vfs: &ReelVfs, reels: &[Made]) {
    for made in reels {
        let file = vfs.open(&path(made)).unwrap();
        let mut bytes = vec![0; made.bytes.len()];
        file.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes == made.bytes);
    }
    git.run(["fsck", "--full", "--strict", "--no-dangling"]);
}

#[test]
fn a_reel_may_come_in_any_order() {
    let (_, reels) = large();
    let forward = |made: &Made| pieces(made);
    let backward = |made: &Made| pieces(made).into_iter().rev().collect();
    let odd = |made: &Made| {
        let (odd, even): (Vec<_>, Vec<_>) = pieces(made)
            .into_iter()
            .enumerate()
            .partition(|(n, _)| n % 2 == 1);
        odd.into_iter().chain(even).map(|(_, part)| part).collect()
    };
    let twice = |made: &Made| {
        let parts = pieces(made);
        [&parts[..5], &parts[2..7], &parts[..], &parts[..1]].concat()
    };
    type Order<'a> = &'a dyn Fn(&Made) -> Vec<Range<usize>>;
    let orders: [Order<'_>; 4] = [&forward, &backward, &odd, &twice];
    for order in orders {
        let git = Git::bare();
        let vfs = open(&git, &reels);
        // Both at once, as pieces of two files come.
        let writers: Vec<_> = reels.iter().map(|made| create(&vfs, made)).collect();
        let parts: Vec<_> = reels.iter().map(order).collect();
        for n in 0..parts.iter().map(Vec::len).max().unwrap() {
            for ((made, writer), parts) in reels.iter().zip(&writers).zip(&parts) {
                fill(&**writer, made, parts.get(n..=n).unwrap_or(&[]));
            }
        }
        for writer in writers {
            assert_eq!(writer.close().unwrap(), Verdict::Accept);
        }
        assert_served(&git, &vfs, &reels);
    }
}

/// Tells whether a reel was read when it was closed.
#[derive(Clone, Default)]
struct Reads(Arc<Mutex<bool>>);

impl Progress for Reads {
    fn at(&self, stage: Stage, _: u64, _: u64) -> ControlFlow<()> {
        *self.0.lock().unwrap() |= matches!(stage, Stage::Comparing | Stage::Reading);
        ControlFlow::Continue(())
    }
}

/// What was read on the way is not read again when the reel is closed.
#[test]
fn a_reel_that_was_told_of_is_not_read_at_its_close() {
    let (_, reels) = large();
    for tells in [true, false] {
        let git = Git::bare();
        let reads = Reads::default();
        let mut options = options(&git, &reels, Box::new(import::Open));
        options.progress = Box::new(reads.clone());
        let vfs = ReelVfs::open(&git.dir(), options).unwrap();
        for made in &reels {
            let writer = create(&vfs, made);
            match tells {
                true => fill(&*writer, made, &pieces(made)),
                false => writer.write_at(0, &made.bytes).unwrap(),
            }
            assert_eq!(writer.close().unwrap(), Verdict::Accept);
        }
        assert_eq!(*reads.0.lock().unwrap(), !tells);
        assert_served(&git, &vfs, &reels);
    }
}

#[test]
fn what_was_told_survives_its_writer_and_not_its_file() {
    let (_, reels) = large();
    let (git, first) = (Git::bare(), &reels[0]);
    let vfs = open(&git, &reels);
    let parts = pieces(first);
    let (begin, end) = parts.split_at(parts.len() / 2);
    let writer = create(&vfs, first);
    fill(&*writer, first, begin);
    drop(writer);
    // The file is opened again, and told of what it has.
    let writer = create(&vfs, first);
    fill(&*writer, first, begin);
    fill(&*writer, first, &end[1..]);
    drop(writer);
    vfs.remove(&path(first)).unwrap();
    // Nothing is there any more, and nothing is believed to be.
    let writer = create(&vfs, first);
    let mut byte = [1];
    writer.read_at(40_000, &mut byte).unwrap();
    assert_eq!(byte, [0]);
    fill(&*writer, first, end);
    drop(writer);
    // A store that ends while a reel is on its way ends at once.
    drop(vfs);
    let vfs = open(&git, &reels);
    let writer = create(&vfs, first);
    fill(&*writer, first, &parts);
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    assert_served(&git, &vfs, &reels[..1]);
}

/// Who tells of bytes that are others than the statement's is not believed.
#[test]
fn wrong_bytes_are_refused_whatever_was_told() {
    let (_, reels) = large();
    let first = &reels[0];
    let parts = pieces(first);
    let (before, at) = parts.split_at(parts.len() - 2);
    for early in [true, false] {
        let git = Git::bare();
        let vfs = open(&git, &reels);
        let writer = create(&vfs, first);
        fill(&*writer, first, before);
        let place = match early {
            // In what may have been read by now,
            true => before[3].start,
            // and in what was not.
            false => at[0].start,
        };
        if early {
            std::thread::sleep(Duration::from_millis(200));
            writer
                .write_at(place as u64, &[!first.bytes[place]])
                .unwrap();
        }
        fill(&*writer, first, at);
        if !early {
            writer
                .write_at(place as u64, &[!first.bytes[place]])
                .unwrap();
        }
        // Seen by its root, or when it is copied: a fault of the disk then.
        let accepted = writer.close().is_ok_and(|verdict| verdict.is_accept());
        assert!(!accepted);
        assert!(vfs.list().unwrap().is_empty());
        // The right bytes are taken.
        let writer = create(&vfs, first);
        fill(&*writer, first, &parts);
        assert_eq!(writer.close().unwrap(), Verdict::Accept);
        assert_served(&git, &vfs, &reels[..1]);
    }
}

/// A gate that takes its time.
#[derive(Clone, Default)]
struct Slow(Arc<(Mutex<(bool, bool)>, Condvar)>);

impl Gate for Slow {
    fn admit(&mut self, _: &ReelFacts<'_>) -> io::Result<Verdict> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.0 = true;
        changed.notify_all();
        let state = changed.wait_timeout_while(state, PATIENCE, |state| !state.1);
        drop(state.unwrap());
        Ok(Verdict::Accept)
    }
}

/// An import of a large reel takes long; the others are read and written
/// meanwhile.
#[test]
fn nobody_waits_for_an_import() {
    let (_, reels) = large();
    let git = Git::bare();
    {
        let vfs = open(&git, &reels);
        let writer = create(&vfs, &reels[0]);
        fill(&*writer, &reels[0], &pieces(&reels[0]));
        assert_eq!(writer.close().unwrap(), Verdict::Accept);
    }
    let slow = Slow::default();
    let vfs = Arc::new(open_through(&git, &reels, Box::new(slow.clone())));
    let writer = create(&vfs, &reels[1]);
    let reader = writer.reader().unwrap();
    fill(&*writer, &reels[1], &pieces(&reels[1]));
    let (state, changed) = &*slow.0;
    let closing = std::thread::spawn(move || writer.close());
    let asked = changed.wait_timeout_while(state.lock().unwrap(), PATIENCE, |state| !state.0);
    assert!(asked.unwrap().0.0, "the gate was never asked");
    let (told, hears) = mpsc::channel();
    let (store, made) = (Arc::clone(&vfs), reels.clone());
    std::thread::spawn(move || {
        let listed = store.list().unwrap().len();
        let file = store.open(&path(&made[0])).unwrap();
        let mut bytes = vec![0; made[0].bytes.len()];
        file.read_exact_at(0, &mut bytes).unwrap();
        let again = store.create(&path(&made[0]), made[0].reel.length);
        let again = again.err().map(|e| e.kind());
        told.send((listed, bytes == made[0].bytes, again)).unwrap();
    });
    let heard = hears.recv_timeout(PATIENCE / 2);
    assert_eq!(heard, Ok((1, true, Some(io::ErrorKind::AlreadyExists))));
    let mut bytes = vec![0; reels[1].bytes.len()];
    reader.read_exact_at(0, &mut bytes).unwrap();
    assert!(bytes == reels[1].bytes);
    state.lock().unwrap().1 = true;
    changed.notify_all();
    assert_eq!(closing.join().unwrap().unwrap(), Verdict::Accept);
    assert_served(&git, &vfs, &reels);
}

/// How many objects were named, and who waits for that.
#[derive(Default)]
struct Count(Mutex<usize>, Condvar);

impl Visitor for Count {
    fn object(&self, _: &Seen<'_>) -> Result<(), String> {
        *self.0.lock().unwrap() += 1;
        self.1.notify_all();
        Ok(())
    }
}

/// A pack whose end comes when most of what stands before has been named.
struct Late<'a> {
    bytes: &'a [u8],
    named: &'a Count,
    most: usize,
}

impl ReadAt for Late<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let end = self.bytes.len() - 1000;
        let at = offset as usize;
        if at < end {
            let n = buf.len().min(end - at);
            buf[..n].copy_from_slice(&self.bytes[at..at + n]);
            return Ok(n);
        }
        let named = self.named.0.lock().unwrap();
        let named = self
            .named
            .1
            .wait_timeout_while(named, PATIENCE, |n| *n < self.most);
        if named.unwrap().1.timed_out() {
            return Err(io::Error::other("nothing is named before the end comes"));
        }
        let rest = &self.bytes[at..];
        let n = buf.len().min(rest.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl Arriving for Late<'_> {
    fn there(&self) -> u64 {
        self.bytes.len() as u64 - 1000
    }
}

#[test]
fn objects_are_named_before_the_last_byte_is_there() {
    let git = Git::init();
    let files: Vec<_> = (0..60)
        .map(|n| (format!("f{n}"), noise(n, 100_000)))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (&name[..], &text[..]))
        .collect();
    git.commit(&files);
    let bytes = git.pack_all();
    let named = Count::default();
    let late = Late {
        bytes: &bytes,
        named: &named,
        most: 40,
    };
    let limits = Limits::default();
    let begun = verify::arrive(&late, ObjectFormat::Sha1, &limits, &named, &Silent).unwrap();
    let verified = begun.finish(&late, &NoBases, &named, &Silent).unwrap();
    assert_eq!(verified.entries.len(), 62);
    assert_eq!(*named.0.lock().unwrap(), 62);
}

/// A pack that comes in small parts, each when all before was read.
struct Trickle<'a> {
    bytes: &'a [u8],
    part: u64,
    there: Mutex<u64>,
    named: &'a Count,
    /// Objects that were named when the last part came.
    early: Mutex<usize>,
}

impl ReadAt for Trickle<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut there = self.there.lock().unwrap();
        if *there <= offset && offset < self.size() {
            *there = self.size().min(offset + self.part);
            if *there == self.size() {
                *self.early.lock().unwrap() = *self.named.0.lock().unwrap();
            }
        }
        let rest = self.bytes.get(offset as usize..*there as usize);
        let rest = rest.unwrap_or_default();
        let n = buf.len().min(rest.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl Arriving for Trickle<'_> {
    fn there(&self) -> u64 {
        *self.there.lock().unwrap()
    }
}

/// While nothing comes deltas are resolved, however far their bases lie before
/// them, and each object is named once.
#[test]
fn deltas_are_resolved_before_the_last_byte_is_there() {
    const TREES: u32 = 1500;
    const ALL: u32 = 20_000;
    let mut maker = Maker::new();
    let mut at: Vec<u64> = Vec::new();
    for n in 0..ALL {
        let begin = maker.at();
        maker = match n {
            0..TREES => maker.blob(format!("{n:06}").as_bytes()),
            // Six bytes more behind all of its base, which is far.
            _ => {
                let base = u64::from(n / TREES) * 6;
                let mut steps = vec![0x90, base as u8, 6];
                steps.extend_from_slice(format!("{n:06}").as_bytes());
                let content = delta(base, base + 6, &steps);
                maker.ofs(at[(n - TREES) as usize], &content)
            }
        };
        at.push(begin);
    }
    let pack = maker.end();
    let whole = pack.judge(&Limits::default()).unwrap();
    for part in [7_000, 100_000, u64::MAX >> 1] {
        let named = Count::default();
        let slow = Trickle {
            bytes: &pack.bytes,
            part,
            there: Mutex::new(0),
            named: &named,
            early: Mutex::new(0),
        };
        let limits = Limits::default();
        let begun = verify::arrive(&slow, pack.format, &limits, &named, &Silent).unwrap();
        let early = *slow.early.lock().unwrap();
        let verified = begun.finish(&slow, &NoBases, &named, &Silent).unwrap();
        assert!(verified == whole, "in parts of {part}");
        assert_eq!(*named.0.lock().unwrap(), ALL as usize, "in parts of {part}");
        if part == 7_000 {
            assert!(early > ALL as usize * 3 / 5, "{early} of {ALL} were named");
        }
    }
    // The ceilings are those of a pack that is at hand.
    let mut limits = Limits::default();
    limits.depth = 5;
    let refused = pack.judge(&limits).unwrap_err().to_string();
    let named = Count::default();
    let slow = Trickle {
        bytes: &pack.bytes,
        part: 7_000,
        there: Mutex::new(0),
        named: &named,
        early: Mutex::new(0),
    };
    let fault = verify::arrive(&slow, pack.format, &limits, &named, &Silent).err();
    assert_eq!(fault.unwrap().to_string(), refused);
}
