//! Packs by chance, most of them with a fault, judged by git as well. The dice
//! fall alike in every run.

use gt_pack::entry::EntryKind;
use gt_pack::hash::FileHasher;
use gt_pack::verify::Error;
use gt_pack::{Kind, Limits, ObjectFormat, index};

use crate::crafted::{Maker, Pack, delta, zlib};
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
}

const FAULTS: [Fault; 22] = [
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
            let length = 1 + dice.below(base.len() - from);
            // Offset and length in two bytes each.
            words.extend_from_slice(&[0x80 | 1 | 2 | 16 | 32]);
            words.extend_from_slice(&(from as u16).to_le_bytes());
            words.extend_from_slice(&(length as u16).to_le_bytes());
            result.extend_from_slice(&base[from..from + length]);
        }
    }
    (words, result)
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
    let mut objects: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut entries = Vec::new();
    for n in 0..count {
        let hit = |which| n == victim && fault == which;
        let begin = maker.at();
        let (mut kind, content, object) = if objects.is_empty() || dice.below(3) == 0 {
            let length = dice.below(300);
            let content = dice.bytes(length);
            (EntryKind::Whole(Kind::Blob), content.clone(), content)
        } else {
            let (place, base) = objects[dice.below(objects.len())].clone();
            let (mut words, object) = instructions(dice, &base);
            let (mut before, mut after) = (base.len(), object.len());
            if hit(Fault::BaseSize) {
                before = dice.beside(before);
            }
            if hit(Fault::ResultSize) {
                after = dice.beside(after);
            }
            if hit(Fault::CopyBeyond) {
                words.extend_from_slice(&[0x80 | 1 | 2 | 16]);
                words.extend_from_slice(&(base.len() as u16).to_le_bytes());
                words.push(1);
                after += 1;
            }
            if hit(Fault::Opcode) {
                words.push(0);
            }
            let mut words = delta(before as u64, after as u64, &words);
            if hit(Fault::NoDelta) {
                words.truncate(dice.below(2));
            }
            let mut distance = begin - place;
            if hit(Fault::Distance) {
                distance = match dice.below(4) {
                    0 => 0,
                    1 => begin - dice.below(13) as u64,
                    2 => begin + 1 + dice.below(1000) as u64,
                    _ => distance.saturating_sub(1 + dice.below(3) as u64),
                };
            }
            let kind = if named {
                let mut id = maker.id(&base);
                if hit(Fault::NoBase) {
                    id = maker.id(b"of no pack");
                }
                EntryKind::RefDelta(id)
            } else {
                EntryKind::OfsDelta(distance)
            };
            (kind, words, object)
        };
        let mut size = content.len();
        if hit(Fault::Size) {
            size = dice.beside(size);
        }
        let mut stream = zlib(&content, dice.below(10) as u32);
        let last = stream.len() - 1;
        if hit(Fault::Adler) {
            stream[last] ^= 1;
        }
        if hit(Fault::BytesBehind) {
            let more = 1 + dice.below(3);
            stream.extend(dice.bytes(more));
        }
        if hit(Fault::StreamCut) {
            stream.truncate(last - dice.below(last.min(5)));
        }
        if hit(Fault::Preset) {
            // The flag, and a sum of the header that holds.
            stream[1] |= 0x20;
            stream[1] &= 0xe0;
            let rest = (u16::from(stream[0]) << 8 | u16::from(stream[1])) % 31;
            stream[1] += 31 - rest as u8;
        }
        if !matches!(kind, EntryKind::Whole(_)) && named {
            entries.push((kind, size as u64, stream));
        } else if named {
            // Anywhere among the deltas.
            let place = dice.below(entries.len() + 1);
            entries.insert(place, (kind, size as u64, stream));
        } else {
            let odd = hit(Fault::Type) && matches!(kind, EntryKind::Whole(_));
            kind = if odd {
                EntryKind::Whole(Kind::Tag)
            } else {
                kind
            };
            let at = maker.body.len();
            maker = maker.raw(kind, size as u64, &stream);
            if odd {
                // No kind has the number 0 or 5.
                let byte = &mut maker.body[at];
                *byte = *byte & 0x8f | [0, 5 << 4][dice.below(2)];
            }
        }
        objects.push((begin, object));
    }
    for (kind, size, stream) in entries {
        maker = maker.raw(kind, size, &stream);
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
