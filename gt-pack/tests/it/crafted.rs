//! Packs made by hand, each with one fault or one edge, against git.

use std::io::Write;

use gt_pack::entry::{EntryHeader, EntryKind};
use gt_pack::hash::{FileHasher, object_id};
use gt_pack::verify::{self, Error, NoBases, NoVisitor, Silent, Verified};
use gt_pack::{Kind, Limits, ObjectFormat, ObjectId};

use crate::git::{Git, file};

/// A pack that is written entry by entry, as one likes.
pub(crate) struct Maker {
    pub(crate) format: ObjectFormat,
    pub(crate) version: u32,
    pub(crate) count: u32,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
    let level = flate2::Compression::new(level);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n > 0x7f {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn delta(base: u64, result: u64, instructions: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(base, &mut out);
    varint(result, &mut out);
    out.extend_from_slice(instructions);
    out
}

const BASE: &[u8] = b"a base of thirty-two bytes in all";

impl Maker {
    pub(crate) fn new() -> Self {
        Self {
            format: ObjectFormat::Sha1,
            version: 2,
            count: 0,
            body: Vec::new(),
        }
    }

    pub(crate) fn sha256() -> Self {
        Self {
            format: ObjectFormat::Sha256,
            ..Self::new()
        }
    }

    pub(crate) fn at(&self) -> u64 {
        12 + self.body.len() as u64
    }

    /// An entry with this header and these bytes behind it.
    pub(crate) fn raw(mut self, kind: EntryKind, size: u64, stream: &[u8]) -> Self {
        EntryHeader { kind, size }.write(&mut self.body);
        self.body.extend_from_slice(stream);
        self.count += 1;
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self.count += 1;
        self
    }

    pub(crate) fn entry(self, kind: EntryKind, content: &[u8]) -> Self {
        self.raw(kind, content.len() as u64, &zlib(content, 6))
    }

    pub(crate) fn blob(self, content: &[u8]) -> Self {
        self.entry(EntryKind::Whole(Kind::Blob), content)
    }

    pub(crate) fn id(&self, content: &[u8]) -> ObjectId {
        object_id(self.format, Kind::Blob, content).unwrap()
    }

    /// A delta on the entry at `base`.
    pub(crate) fn ofs(self, base: u64, content: &[u8]) -> Self {
        let distance = self.at().wrapping_sub(base);
        self.entry(EntryKind::OfsDelta(distance), content)
    }

    pub(crate) fn reference(self, base: &[u8], content: &[u8]) -> Self {
        let oid = self.id(base);
        self.entry(EntryKind::RefDelta(oid), content)
    }

    pub(crate) fn counted(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    pub(crate) fn end(self) -> Pack {
        let mut bytes = b"PACK".to_vec();
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.body);
        let mut sum = FileHasher::new(self.format);
        sum.update(&bytes);
        bytes.extend_from_slice(sum.finish().as_bytes());
        Pack {
            format: self.format,
            bytes,
        }
    }
}

pub(crate) struct Pack {
    pub(crate) format: ObjectFormat,
    pub(crate) bytes: Vec<u8>,
}

impl Pack {
    pub(crate) fn judge(&self, limits: &Limits) -> Result<Verified, Error> {
        let source = file(&self.bytes[..]);
        verify::pack(&*source, self.format, limits, &NoBases, &NoVisitor, &Silent)
    }

    /// What git makes of it, and whether it does with `--strict`.
    fn git(&self, strict: bool) -> bool {
        let git = Git::empty();
        git.run([
            "init",
            "-q",
            "--bare",
            &format!("--object-format={}", self.format),
        ]);
        std::fs::write(git.path().join("a.pack"), &self.bytes).unwrap();
        let mut args = vec!["index-pack", "a.pack"];
        if strict {
            args.insert(1, "--strict");
        }
        git.try_with(args, b"").status.success()
    }
}

/// Both refuse, whatever the limits.
fn bad(name: &str, pack: &Pack) {
    assert!(!pack.git(false), "{name}: git takes it");
    for limits in [Limits::default(), Limits::lifted()] {
        let refused = pack.judge(&limits);
        assert!(refused.is_err(), "{name}: {refused:?}");
        let limited = matches!(refused, Err(Error::Limit(_)));
        assert!(
            !limited || limits != Limits::lifted(),
            "{name}: {refused:?}"
        );
    }
}

/// Both take it.
fn good(name: &str, pack: &Pack) {
    assert!(pack.git(false) && pack.git(true), "{name}: git refuses it");
    pack.judge(&Limits::default())
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

const COPY_ALL: &[u8] = &[0x90, 33];

#[test]
fn edges_that_are_good() {
    let size = BASE.len() as u64;
    assert_eq!(size, 33);
    let base = || Maker::new().blob(BASE);
    good("nothing", &Maker::new().end());
    good("nothing, SHA-256", &Maker::sha256().end());
    let three = Maker {
        version: 3,
        ..base()
    };
    good("version 3", &three.end());
    for level in 0..=9 {
        let stream = zlib(BASE, level);
        good(
            "a level",
            &Maker::new()
                .raw(EntryKind::Whole(Kind::Blob), size, &stream)
                .end(),
        );
    }
    good("an empty blob", &Maker::new().blob(b"").end());
    good(
        "ofs",
        &base().ofs(12, &delta(size, 34, b"\x90\x21\x01x")).end(),
    );
    good(
        "ref",
        &base()
            .reference(BASE, &delta(size, 34, b"\x90\x21\x01x"))
            .end(),
    );
    good(
        "ref to what comes later",
        &Maker::new()
            .reference(BASE, &delta(size, 1, b"\x01x"))
            .blob(BASE)
            .end(),
    );
    let chain = base().ofs(12, &delta(size, 1, b"\x01x"));
    let second = 12 + Maker::new().blob(BASE).body.len() as u64;
    good(
        "a delta on a delta",
        &chain.ofs(second, &delta(1, 2, b"\x01y\x90\x01")).end(),
    );
    good(
        "an empty result",
        &base().ofs(12, &[0xa1, 0, 0x80, 0]).end(),
    );
    good(
        "ref on a result",
        &base()
            .reference(b"x", &delta(1, 2, b"\x02yz"))
            .ofs(12, &delta(size, 1, b"\x01x"))
            .end(),
    );
    good(
        "sha256 ref",
        &Maker::sha256()
            .blob(BASE)
            .reference(BASE, &delta(size, 1, b"\x01x"))
            .end(),
    );
    // Numbers longer than they need be are numbers.
    let mut long = EntryHeader {
        kind: EntryKind::Whole(Kind::Blob),
        size: 1,
    };
    let mut header = Vec::new();
    long.size = 1;
    long.write(&mut header);
    header[0] |= 0x80;
    header.extend_from_slice(&[0x80, 0x80, 0]);
    good(
        "a long size",
        &Maker::new()
            .bytes(&[&header[..], &zlib(b"x", 6)].concat())
            .end(),
    );
    let padded = [&[0x80 | 33, 0x80, 0, 0x81, 0][..], b"\x01x"].concat();
    good("long sizes of a delta", &base().ofs(12, &padded).end());
    // Two copies, the second with every field written out.
    let fields = [0xff, 1, 0, 0, 0, 2, 0, 0];
    good(
        "all fields",
        &base()
            .ofs(12, &delta(size, 35, &[COPY_ALL, &fields].concat()))
            .end(),
    );
}

#[test]
fn faults_of_streams() {
    let kind = EntryKind::Whole(Kind::Blob);
    let whole = |size, stream: &[u8]| Maker::new().raw(kind, size, stream).end();
    let stream = zlib(BASE, 6);
    let size = BASE.len() as u64;
    for (name, size) in [
        ("less", size - 1),
        ("more", size + 1),
        ("none", 0),
        ("2^32", size + (1 << 32)),
        ("2^63", 1 << 63),
    ] {
        bad(name, &whole(size, &stream));
    }
    bad(
        "bytes behind the stream",
        &whole(size, &[&stream[..], b"x"].concat()),
    );
    bad(
        "two streams",
        &whole(2 * size, &[&stream[..], &stream].concat()),
    );
    bad(
        "an empty stream first",
        &whole(size, &[&zlib(b"", 6)[..], &stream].concat()),
    );
    for at in [0, 1, 2, stream.len() - 4, stream.len() - 1] {
        let mut altered = stream.clone();
        altered[at] ^= 0x20;
        bad("an altered byte", &whole(size, &altered));
    }
    for cut in [
        0,
        1,
        2,
        3,
        stream.len() - 5,
        stream.len() - 4,
        stream.len() - 1,
    ] {
        bad("a cut stream", &whole(size, &stream[..cut]));
    }
    // CMF says a window of 64 KiB; FLG makes the sum right.
    let mut window = stream.clone();
    (window[0], window[1]) = (0x88, 0x1c);
    bad("a window too large", &whole(size, &window));
    let mut method = stream.clone();
    (method[0], method[1]) = (0x77, 0x09 + 22);
    bad("another method", &whole(size, &method));
    let raw = &stream[2..stream.len() - 4];
    bad("no zlib header", &whole(size, raw));
    // Stored blocks: length and its complement disagree; type 3.
    bad(
        "a torn stored block",
        &whole(5, b"\x78\x01\x01\x05\x00\xfa\xfehello\x06\x2c\x02\x15"),
    );
    bad(
        "a reserved block",
        &whole(0, b"\x78\x01\x07\x00\x00\x00\x01"),
    );
    // A copy from before the start: fixed codes, length 3, distance 1.
    bad(
        "a distance too far",
        &whole(3, &[0x78, 0x01, 0x03, 0x02, 0x00, 0, 0, 0, 1]),
    );
}

#[test]
fn preset_dictionaries_are_refused() {
    // Git 2.47 ends itself at this; the right answer is that it is bad.
    let stream = [
        0x78, 0xbb, 0x00, 0x00, 0x00, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01,
    ];
    let pack = Maker::new()
        .raw(EntryKind::Whole(Kind::Blob), 0, &stream)
        .end();
    let refused = pack.judge(&Limits::lifted());
    assert!(
        matches!(&refused, Err(Error::Deflate { what, .. }) if what.contains("dictionary")),
        "{refused:?}"
    );
}

#[test]
fn small_windows_are_read() {
    // A window of 256 bytes suffices for a short stored block.
    let mut stream = zlib(b"hello", 0);
    (stream[0], stream[1]) = (0x08, 0x1d);
    let pack = Maker::new()
        .raw(EntryKind::Whole(Kind::Blob), 5, &stream)
        .end();
    assert_eq!(pack.judge(&Limits::default()).is_ok(), pack.git(false));
}

#[test]
fn faults_of_headers() {
    let base = || Maker::new().blob(BASE);
    for number in [0_u8, 5] {
        let bytes = [&[number << 4 | 1][..], &zlib(b"x", 6)].concat();
        bad("a type not in use", &base().bytes(&bytes).end());
        bad(
            "a type not in use, first",
            &Maker::new().bytes(&bytes).end(),
        );
    }
    let endless = [&[0xb0; 30][..], &zlib(b"x", 6)].concat();
    bad("a size without end", &Maker::new().bytes(&endless).end());
    let shift = [
        &[0xb1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02][..],
        &zlib(b"x", 6),
    ];
    bad(
        "a size of 65 bits",
        &Maker::new().bytes(&shift.concat()).end(),
    );
    for version in [0, 1, 4, 5, 0x0200_0000] {
        let other = Maker { version, ..base() };
        bad("another version", &other.end());
    }
    bad("a count too high", &base().counted(2).end());
    bad("a count too low", &base().blob(b"y").counted(1).end());
    bad("a count of nothing", &base().counted(0).end());
    bad("a count without end", &base().counted(u32::MAX).end());
    for signature in [&b"PACk"[..], b"pack", b"\0\0\0\0", b"# v2"] {
        let mut pack = base().end();
        pack.bytes[..4].copy_from_slice(signature);
        bad("another signature", &pack);
    }
    let mut pack = base().end();
    pack.bytes.push(0);
    bad("a byte behind the trailer", &pack);
    let twice = [pack.bytes.clone(), pack.bytes.clone()].concat();
    bad(
        "two packs",
        &Pack {
            bytes: twice,
            ..pack
        },
    );
    let mut sha1_says = Maker::sha256().blob(BASE).end();
    sha1_says.format = ObjectFormat::Sha1;
    bad("SHA-256 read as SHA-1", &sha1_says);
    let mut sha256_says = Maker::new().blob(BASE).end();
    sha256_says.format = ObjectFormat::Sha256;
    bad("SHA-1 read as SHA-256", &sha256_says);
}

#[test]
fn faults_of_bases() {
    let size = BASE.len() as u64;
    let all = delta(size, size, COPY_ALL);
    let base = || Maker::new().blob(BASE);
    let end = base().at();
    for (name, at) in [
        ("itself", end),
        ("inside an entry", 13),
        ("the header", 0),
        ("before it", 5),
    ] {
        bad(name, &base().ofs(at, &all).end());
    }
    bad("behind it", &base().ofs(end + 1, &all).end());
    for distance in [1 << 31, 1 << 32, 1 << 40, (1 << 62) + 3] {
        bad(
            "far",
            &base().entry(EntryKind::OfsDelta(distance), &all).end(),
        );
    }
    let endless = [&[0x61][..], &[0xff; 20], &[0x7f], &zlib(&all, 6)].concat();
    bad("a distance without end", &base().bytes(&endless).end());
    bad("none", &base().reference(b"not there", &all).end());
    let own = delta(size, size, COPY_ALL);
    // The result of such a delta would be its own base.
    bad("its own result", &Maker::new().reference(BASE, &own).end());
    let (one, two) = (b"one".as_slice(), b"two".as_slice());
    let to = |text: &[u8]| delta(3, 3, &[&[3][..], text].concat());
    bad(
        "each other",
        &Maker::new()
            .reference(two, &to(one))
            .reference(one, &to(two))
            .end(),
    );
    let three = b"six".as_slice();
    let round = Maker::new()
        .reference(two, &to(one))
        .reference(three, &to(two))
        .reference(one, &to(three));
    bad("a round of three", &round.end());
}

/// `git index-pack` takes sizes with zeros beyond 64 bits, and then git cannot
/// read the entry: what would come in must be readable.
#[test]
fn sizes_padded_beyond_64_bits_are_refused() {
    let header = [&[0xb1][..], &[0x80; 10], &[0]].concat();
    let entry = Maker::new().bytes(&[&header[..], &zlib(b"x", 6)].concat());
    let oid = entry.id(b"x").to_string();
    let entry = entry.end();
    let git = Git::bare();
    let taken = git.try_with(["index-pack", "--stdin"], &entry.bytes);
    assert!(taken.status.success());
    let read = git.try_with(["cat-file", "blob", &oid], b"");
    assert!(!read.status.success(), "git reads it now: so should we");
    let refused = entry.judge(&Limits::lifted());
    assert!(refused.unwrap_err().to_string().contains("below 2^64"));
    // Of deltas git's reader takes such sizes, up to some length; nobody
    // writes them, and ours has one rule for both.
    let padded = [&[0x80 | 33][..], &[0x80; 10], &[0, 1], b"\x01x"].concat();
    let delta = Maker::new().blob(BASE).ofs(12, &padded).end();
    assert!(delta.git(false));
    let refused = delta.judge(&Limits::lifted());
    assert!(refused.unwrap_err().to_string().contains("below 2^64"));
}

#[test]
fn one_object_twice_is_refused() {
    let size = BASE.len() as u64;
    let copies = [
        Maker::new().blob(BASE).blob(BASE).end(),
        Maker::new()
            .blob(BASE)
            .ofs(12, &delta(size, size, COPY_ALL))
            .end(),
        Maker::new()
            .blob(BASE)
            .blob(b"x")
            .reference(b"x", &delta(1, 33, &[&[33][..], BASE].concat()))
            .end(),
    ];
    for pack in &copies {
        // Git takes some of these without --strict, gitoxide takes them all.
        assert!(!pack.git(true));
        let refused = pack.judge(&Limits::lifted());
        assert!(matches!(refused, Err(Error::Duplicate(_))), "{refused:?}");
    }
}

#[test]
fn faults_of_deltas() {
    let size = BASE.len() as u64;
    let on = |content: &[u8]| Maker::new().blob(BASE).ofs(12, content).end();
    for (name, content) in [
        ("nothing", vec![]),
        ("an empty result in two bytes", delta(size, 0, b"")),
        ("an empty result in three bytes", vec![0xa1, 0, 0]),
        ("half a size", vec![0x80]),
        ("one size", vec![33]),
        ("half the second size", vec![33, 0x80]),
        ("sizes without end", vec![0x80; 40]),
        ("a base of another size", delta(size - 1, 1, b"\x01x")),
        ("a base of no size", delta(0, 1, b"\x01x")),
        ("a base of 2^32 more", delta(size + (1 << 32), 1, b"\x01x")),
        ("a result too long", delta(size, 2, b"\x01x")),
        ("a result too short", delta(size, 1, b"\x02xy")),
        ("a result without end", delta(size, 1 << 62, b"\x01x")),
        ("no instructions", delta(size, 1, b"")),
        ("the reserved one", delta(size, 1, b"\x00\x01x")),
        ("the reserved one last", delta(size, 1, b"\x01x\x00")),
        ("a literal cut off", delta(size, 5, b"\x05abcd")),
        ("a copy without its fields", delta(size, 1, b"\x91")),
        (
            "a copy cut in its fields",
            delta(size, 1, b"\xff\x01\x00\x00\x00\x01\x00"),
        ),
        ("a copy beyond the end", delta(size, 34, b"\x90\x22")),
        ("a copy from beyond", delta(size, 1, b"\x91\x21\x01")),
        (
            "a copy from far beyond",
            delta(size, 1, b"\x9f\xff\xff\xff\xff\x01"),
        ),
        (
            "a copy that wraps",
            delta(size, 16, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
        ("64 KiB of 33 bytes", delta(size, 0x1_0000, b"\x80")),
        ("one instruction too many", delta(size, 1, b"\x01x\x01y")),
        ("a copy too many", delta(size, 1, b"\x01x\x90\x01")),
    ] {
        bad(name, &on(&content));
        // The same on a name, and through the slower way.
        bad(
            name,
            &Maker::new().blob(BASE).reference(BASE, &content).end(),
        );
        bad(
            name,
            &Maker::new().reference(BASE, &content).blob(BASE).end(),
        );
    }
}

#[test]
fn cut_anywhere_altered_anywhere() {
    let size = BASE.len() as u64;
    for maker in [Maker::new(), Maker::sha256()] {
        let pack = maker
            .blob(BASE)
            .ofs(12, &delta(size, 1, b"\x01x"))
            .reference(b"x", &delta(1, 2, b"\x02yz"))
            .end();
        assert!(pack.judge(&Limits::default()).is_ok());
        for at in 0..pack.bytes.len() {
            let cut = Pack {
                bytes: pack.bytes[..at].to_vec(),
                ..pack
            };
            assert!(cut.judge(&Limits::default()).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut altered = Pack {
                    bytes: pack.bytes.clone(),
                    ..pack
                };
                altered.bytes[at] ^= 1 << bit;
                assert!(
                    altered.judge(&Limits::default()).is_err(),
                    "bit {bit} of {at}"
                );
            }
        }
    }
}
