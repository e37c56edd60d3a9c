//! Packs by chance, most of them with a fault, judged by git as well. The dice
//! fall alike in every run.

use std::io::Write;

use gt_pack::hash::{FileHasher, object_id};
use gt_pack::verify::Error;
use gt_pack::{Kind, Limits, ObjectFormat, index};

use crate::crafted::{Maker, Pack, varint, zlib};
use crate::git::Git;

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % most
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// One more or one less.
    fn beside(&mut self, number: usize) -> usize {
        match self.below(2) {
            0 => number + 1,
            _ => number.saturating_sub(1),
        }
    }
}

/// What is wrong with a pack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Size,
    BaseSize,
    ResultSize,
    CopyBeyond,
    Opcode,
    NoDelta,
    Adler,
    BytesBehind,
    StreamCut,
    Distance,
    Type,
    Count,
    Version,
    Flip,
    Trailing,
    Cut,
    Sum,
    Preset,
    NoBase,
    Members,
    Header,
    Block,
    Far,
    Itself,
    OtherKind,
    Round,
    NoResult,
    Size64,
    Padded,
    Again,
}

const FAULTS: [Fault; 33] = [
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::Size,
    Fault::BaseSize,
    Fault::ResultSize,
    Fault::CopyBeyond,
    Fault::Opcode,
    Fault::NoDelta,
    Fault::Adler,
    Fault::BytesBehind,
    Fault::StreamCut,
    Fault::Distance,
    Fault::Type,
    Fault::Count,
    Fault::Version,
    Fault::Flip,
    Fault::Trailing,
    Fault::Cut,
    Fault::Sum,
    Fault::Preset,
    Fault::NoBase,
    Fault::Members,
    Fault::Header,
    Fault::Block,
    Fault::Far,
    Fault::Itself,
    Fault::OtherKind,
    Fault::Round,
    Fault::NoResult,
    Fault::Size64,
    Fault::Padded,
    Fault::Again,
];

const KINDS: [Kind; 6] = [
    Kind::Blob,
    Kind::Blob,
    Kind::Blob,
    Kind::Tree,
    Kind::Commit,
    Kind::Tag,
];

/// Returns instructions for a delta on `base`, and what they make.
fn instructions(dice: &mut Dice, base: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut words, mut result) = (Vec::new(), Vec::new());
    for _ in 0..=dice.below(4) {
        if base.is_empty() || dice.below(3) == 0 {
            let length = 1 + dice.below(100);
            let new = dice.bytes(length);
            words.push(new.len() as u8);
            words.extend_from_slice(&new);
            result.extend_from_slice(&new);
        } else {
            let from = dice.below(base.len());
            let mut length = 1 + dice.below(base.len() - from);
            if base.len() - from > 0x1_0000 {
                // Written as no length at all.
                length = 0x1_0000;
            }
            copy(dice, from, length, &mut words);
            result.extend_from_slice(&base[from..from + length]);
        }
    }
    (words, result)
}

/// Writes a copy; bytes of it that are 0 may be left out, or not.
fn copy(dice: &mut Dice, from: usize, length: usize, words: &mut Vec<u8>) {
    let at = words.len();
    words.push(0x80);
    let fields = [&from.to_le_bytes()[..4], &length.to_le_bytes()[..2]].concat();
    for (n, byte) in fields.into_iter().enumerate() {
        if byte != 0 || length != 0x1_0000 && dice.below(3) == 0 {
            words[at] |= 1 << n;
            words.push(byte);
        }
    }
}

/// A number with so many bytes more than it needs.
fn padded(number: u64, more: usize, out: &mut Vec<u8>) {
    varint(number, out);
    for _ in 0..more {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
}

/// The number of a kind and a size, which may be padded too.
fn head(number: u8, size: u64, more: usize) -> Vec<u8> {
    let mut out = vec![number << 4 | size as u8 & 15];
    if size >> 4 > 0 || more > 0 {
        out[0] |= 0x80;
        padded(size >> 4, more.saturating_sub(1), &mut out);
    }
    out
}

/// The distance to a base, as an entry says it.
fn distance_bytes(mut distance: u64) -> Vec<u8> {
    let mut out = vec![distance as u8 & 0x7f];
    distance >>= 7;
    while distance > 0 {
        distance -= 1;
        out.insert(0, distance as u8 & 0x7f | 0x80);
        distance >>= 7;
    }
    out
}

/// A stream in one of the many ways there are.
fn stream(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let level = dice.below(10) as u32;
    match dice.below(4) {
        0 => {
            // Blocks of few bytes each, and empty ones.
            let level = flate2::Compression::new(level);
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            for piece in content.chunks(1 + dice.below(100)) {
                encoder.write_all(piece).unwrap();
                encoder.flush().unwrap();
            }
            encoder.finish().unwrap()
        }
        1 => {
            let mut stream = zlib(content, level);
            let empty = [0, 0, 0, 0xff, 0xff].repeat(dice.below(4));
            stream.splice(2..2, empty);
            stream
        }
        _ => zlib(content, level),
    }
}

fn sealed(format: ObjectFormat, mut bytes: Vec<u8>) -> Vec<u8> {
    let mut sum = FileHasher::new(format);
    sum.update(&bytes);
    bytes.extend_from_slice(sum.finish().as_bytes());
    bytes
}

fn pack(dice: &mut Dice, format: ObjectFormat) -> (Fault, Pack) {
    let fault = FAULTS[dice.below(FAULTS.len())];
    // Either all deltas name their bases, and come in any order, or none do.
    let named = dice.below(2) == 0;
    let count = dice.below(8);
    let victim = dice.below(count.max(1));
    let mut maker = Maker {
        format,
        version: match fault {
            Fault::Version => [1, 3, 4][dice.below(3)],
            _ => 2,
        },
        ..Maker::new()
    };
    let mut objects: Vec<(u64, Kind, Vec<u8>)> = Vec::new();
    let mut entries = Vec::new();
    for n in 0..count {
        let hit = |which| n == victim && fault == which;
        let begin = maker.at();
        let mut bytes;
        let (content, kind, object) = if objects.is_empty() || dice.below(3) == 0 {
            let kind = KINDS[dice.below(KINDS.len())];
            let content = match dice.below(10) {
                0 => Vec::new(),
                1 => vec![dice.below(256) as u8; 70_000 + n],
                _ => {
                    let length = dice.below(300);
                    dice.bytes(length)
                }
            };
            bytes = vec![kind.pack_type() << 4];
            if hit(Fault::Type) {
                // No kind has the number 0 or 5.
                bytes = vec![[0, 5 << 4][dice.below(2)]];
            }
            (content.clone(), kind, content)
        } else {
            let (place, kind, base) = objects[dice.below(objects.len())].clone();
            let (mut words, mut object) = instructions(dice, &base);
            if hit(Fault::NoResult) {
                (words, object) = (Vec::new(), Vec::new());
            }
            let (mut before, mut after) = (base.len(), object.len());
            if hit(Fault::BaseSize) {
                before = dice.beside(before);
            }
            if hit(Fault::ResultSize) {
                after = dice.beside(after);
            }
            if hit(Fault::Size64) {
                before += 1 << 32;
            }
            if hit(Fault::CopyBeyond) {
                copy(dice, base.len(), 1, &mut words);
                after += 1;
            }
            if hit(Fault::Opcode) {
                words.push(0);
            }
            let mut content = Vec::new();
            padded(before as u64, dice.below(3), &mut content);
            padded(after as u64, dice.below(3), &mut content);
            content.extend_from_slice(&words);
            if hit(Fault::NoDelta) {
                content.truncate(dice.below(2));
            }
            if named {
                let mut id = object_id(format, kind, &base).unwrap();
                if hit(Fault::NoBase) {
                    id = maker.id(b"of no pack");
                }
                if hit(Fault::Itself) {
                    id = object_id(format, kind, &object).unwrap();
                }
                if hit(Fault::OtherKind) {
                    let kind = KINDS[dice.below(KINDS.len())];
                    id = object_id(format, kind, &base).unwrap();
                }
                bytes = vec![7 << 4];
                bytes.extend_from_slice(id.as_bytes());
            } else {
                let mut distance = begin - place;
                if hit(Fault::Distance) {
                    distance = match dice.below(4) {
                        0 => 0,
                        1 => begin - dice.below(13) as u64,
                        2 => begin + 1 + dice.below(1000) as u64,
                        _ => distance.saturating_sub(1 + dice.below(3) as u64),
                    };
                }
                bytes = vec![6 << 4];
                bytes.extend(distance_bytes(distance));
                if hit(Fault::Far) {
                    // Far beyond, one bit too many, and without end.
                    let far = [1_usize, 8, 9, 10, 20][dice.below(5)];
                    bytes = [&[6 << 4][..], &vec![0xff; far], &[0x7f]].concat();
                }
            }
            (content, kind, object)
        };
        let mut size = content.len() as u64;
        if hit(Fault::Size) {
            size = dice.beside(content.len()) as u64;
        }
        let mut more = dice.below(6).saturating_sub(3);
        if hit(Fault::Padded) {
            // Up to all that 64 bits take.
            more = 10
                - (64 - (size >> 4).leading_zeros() as usize)
                    .div_ceil(7)
                    .max(1);
        }
        // The number of the kind and the size stand before what names a base.
        let first = head(bytes[0] >> 4, size, more);
        bytes.splice(..1, first);
        let mut stream = stream(dice, &content);
        let last = stream.len() - 1;
        if hit(Fault::Adler) {
            stream[last] ^= 1;
        }
        if hit(Fault::BytesBehind) {
            let more = 1 + dice.below(3);
            stream.extend(dice.bytes(more));
        }
        if hit(Fault::Members) {
            let second = [&b""[..], b"x", &content][dice.below(3)];
            stream.extend(zlib(second, 6));
        }
        if hit(Fault::StreamCut) {
            stream.truncate(last - dice.below(last.min(5)));
        }
        if hit(Fault::Block) {
            // No block has this number.
            stream[2] |= 6;
        }
        if hit(Fault::Header) || hit(Fault::Preset) {
            // Another window or way, or the flag; and a sum that holds.
            stream[0] = dice.below(256) as u8;
            stream[1] &= 0xc0;
            if hit(Fault::Preset) {
                (stream[0], stream[1]) = (0x78, stream[1] | 0x20);
            }
            let rest = (u16::from(stream[0]) << 8 | u16::from(stream[1])) % 31;
            stream[1] += ((31 - rest) % 31) as u8;
        }
        bytes.extend(stream);
        if bytes[0] & 0x70 == 7 << 4 {
            entries.push(bytes);
        } else if named {
            // Anywhere among the deltas.
            let place = dice.below(entries.len() + 1);
            entries.insert(place, bytes);
        } else {
            maker = maker.bytes(&bytes);
        }
        objects.push((begin, kind, object));
    }
    if fault == Fault::Round {
        let (one, two) = (dice.bytes(9), dice.bytes(9));
        for (base, object) in [(&one, &two), (&two, &one)] {
            let content = [&[9, 9, 9][..], object].concat();
            let id = maker.id(base);
            let bytes = [&head(7, 12, 0)[..], id.as_bytes(), &zlib(&content, 6)].concat();
            entries.push(bytes);
        }
    }
    for bytes in &entries {
        maker = maker.bytes(bytes);
    }
    if let Some((_, kind, object)) = objects.first().filter(|_| fault == Fault::Again) {
        let first = head(kind.pack_type(), object.len() as u64, 0);
        maker = maker.bytes(&[first, zlib(object, 6)].concat());
    }
    if fault == Fault::Count {
        maker.count = dice.beside(maker.count as usize) as u32;
    }
    let mut pack = maker.end();
    let body = pack.bytes.len() - format.raw_len();
    match fault {
        Fault::Flip => {
            pack.bytes.truncate(body);
            let place = dice.below(body);
            pack.bytes[place] ^= 1 << dice.below(8);
            pack.bytes = sealed(format, pack.bytes);
        }
        Fault::Trailing => {
            let more = 1 + dice.below(40);
            pack.bytes.extend(dice.bytes(more));
        }
        Fault::Cut => pack.bytes.truncate(dice.below(body)),
        Fault::Sum => pack.bytes[body] ^= 1,
        _ => {}
    }
    (fault, pack)
}

/// Makes so many packs, and returns how many of them were good.
fn judged(rounds: u64, format: ObjectFormat) -> u64 {
    let git = Git::empty();
    git.run(["init", "-q", "--bare", &format!("--object-format={format}")]);
    let idx = git.path().join("a.idx");
    let mut good = 0;
    for round in 1..=rounds {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (fault, pack) = pack(&mut dice, format);
        let ours = pack.judge(&Limits::default());
        // Where git takes it, strict readers do not.
        if matches!(ours, Err(Error::Duplicate(_))) {
            continue;
        }
        let _ = std::fs::remove_file(&idx);
        std::fs::write(git.path().join("a.pack"), &pack.bytes).unwrap();
        let said = git.try_with(["index-pack", "-o", "a.idx", "a.pack"], b"");
        let words = String::from_utf8_lossy(&said.stderr);
        match ours {
            Ok(verified) => {
                assert!(said.status.success(), "{round} {fault:?}: git {words}");
                let same = index::write_idx(&verified) == std::fs::read(&idx).unwrap();
                assert!(same, "{round} {fault:?}: another idx than git's");
                good += 1;
            }
            Err(e) => assert!(!said.status.success(), "{round} {fault:?}: {e}"),
        }
    }
    good
}

#[test]
fn packs_by_chance_are_judged_as_git_does() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let good = judged(100, format);
        assert!((10..90).contains(&good), "{good}");
    }
}

#[test]
#[ignore = "takes a minute"]
fn very_many_packs_by_chance_are_judged_as_git_does() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        judged(2000, format);
    }
}
