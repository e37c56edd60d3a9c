//! What costs the sender little and must cost the receiver little.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use gt_pack::entry::{EntryHeader, EntryKind};
use gt_pack::hash::{self, FileHasher, ObjectHasher};
use gt_pack::limits::{Exceeded, Limits};
use gt_pack::verify::{self, Base, Bases, Error, NoBases, Seen, Silent, Visitor};
use gt_pack::{Kind, ObjectFormat, ObjectId};

use crate::alone::alone;
use crate::git::file;

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let best = flate2::Compression::best();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), best);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n > 0x7f {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A blob of 4 KiB, and deltas each of which says its base 64 times.
fn bomb(deltas: u32) -> (Vec<u8>, u64) {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&(deltas + 1).to_be_bytes());
    let mut size = 4096;
    let mut before = pack.len();
    let zeros = vec![0; size as usize];
    let kind = EntryKind::Whole(Kind::Blob);
    EntryHeader { kind, size }.write(&mut pack);
    pack.extend_from_slice(&deflate(&zeros));
    for _ in 0..deltas {
        let mut delta = Vec::new();
        varint(size, &mut delta);
        varint(size * 64, &mut delta);
        // A copy says at most 2^24 - 1 bytes.
        let copies = size.div_ceil(1 << 23);
        for n in (0..copies).flat_map(|n| [n; 64]) {
            let offset = (n << 23) as u32;
            let length = (size - (n << 23)).min(1 << 23) as u32;
            delta.push(0xff);
            delta.extend_from_slice(&offset.to_le_bytes());
            delta.extend_from_slice(&length.to_le_bytes()[..3]);
        }
        size *= 64;
        let at = pack.len();
        EntryHeader {
            kind: EntryKind::OfsDelta((at - before) as u64),
            size: delta.len() as u64,
        }
        .write(&mut pack);
        pack.extend_from_slice(&deflate(&delta));
        before = at;
    }
    let mut sum = FileHasher::new(ObjectFormat::Sha1);
    sum.update(&pack);
    pack.extend_from_slice(sum.finish().as_bytes());
    (pack, size)
}

#[derive(Default)]
struct Shown(AtomicU64);

impl Visitor for Shown {
    fn object(&self, seen: &Seen<'_>) -> Result<(), String> {
        self.0.fetch_add(seen.size, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn bomb_369_bytes_bounded_memory() {
    alone("hostile::bomb_inside");
}

#[test]
#[ignore = "run by bomb_369_bytes_bounded_memory, in a process of its own"]
fn bomb_inside() {
    let (pack, size) = bomb(3);
    assert!(pack.len() <= 369, "{} bytes", pack.len());
    assert_eq!(size, 1 << 30);
    let (shown, limits, source) = (Shown::default(), Limits::default(), file(pack));
    let format = ObjectFormat::Sha1;
    let refused = verify::pack(&*source, format, &limits, &NoBases, &shown, &Silent);
    assert!(
        matches!(refused, Err(Error::Limit(Exceeded::Inflated { .. }))),
        "{refused:?}"
    );
    assert!(shown.0.into_inner() <= 4096, "a delta was built");
    // Where the kernel tells how much this process ever had.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 64 << 10, "{peak} KiB");
    }
}

#[test]
fn a_bomb_is_an_object_where_limits_are_lifted() {
    let (pack, size) = bomb(2);
    let (shown, limits, source) = (Shown::default(), Limits::lifted(), file(pack));
    let format = ObjectFormat::Sha1;
    let verified = verify::pack(&*source, format, &limits, &NoBases, &shown, &Silent).unwrap();
    assert_eq!(verified.entries.iter().map(|e| e.size).max(), Some(size));
}

/// One large object outside of the pack.
struct Large(ObjectId, Vec<u8>);

impl Bases for Large {
    fn find(&self, oid: &ObjectId) -> std::io::Result<Option<Base>> {
        Ok((*oid == self.0).then(|| Base::new(Kind::Blob, self.1.clone(), 0)))
    }
}

#[test]
fn a_line_in_a_large_file_is_no_bomb() {
    let format = ObjectFormat::Sha1;
    let mut limits = Limits::default();
    (limits.ratio, limits.ratio_floor) = (2, 64 << 10);
    let content = vec![b'x'; 256 << 10];
    let oid = hash::object_id(format, Kind::Blob, &content).unwrap();
    // Deltas that copy all of the base and add a line.
    let thin = |count: u32, size: u64| {
        let mut pack = [b"PACK\0\0\0\x02", &count.to_be_bytes()[..]].concat();
        for n in 0..count {
            let line = n.to_be_bytes();
            let mut delta = Vec::new();
            varint(size, &mut delta);
            varint(size + 4, &mut delta);
            // Offset nothing, length 0x040000.
            delta.extend_from_slice(&[0xc0, 0x04, 4]);
            delta.extend_from_slice(&line);
            let header = EntryHeader {
                kind: EntryKind::RefDelta(oid),
                size: delta.len() as u64,
            };
            header.write(&mut pack);
            pack.extend_from_slice(&deflate(&delta));
        }
        let mut sum = FileHasher::new(format);
        sum.update(&pack);
        pack.extend_from_slice(sum.finish().as_bytes());
        file(pack)
    };
    let large = Large(oid, content.clone());
    let size = content.len() as u64;
    let judge = |pack: &dyn gt_vfs::ReadAt, bases: &dyn Bases| {
        verify::pack(pack, format, &limits, bases, &Shown::default(), &Silent)
    };
    let verified = judge(&*thin(20, size), &large).unwrap();
    assert_eq!(verified.external, [oid]);
    assert!(verified.inflated > 40 * limits.ratio_floor);
    // The base pays for so many, and not for more.
    let many = judge(&*thin(60, size), &large);
    assert!(
        matches!(many, Err(Error::Limit(Exceeded::Inflated { .. }))),
        "{many:?}"
    );
    // A base that is not there pays for nothing, nor does one that is smaller.
    assert!(judge(&*thin(20, size), &NoBases).is_err());
    assert!(judge(&*thin(60, 1 << 40), &large).is_err());
}

#[test]
fn collision_detected() {
    let one = include_bytes!("../data/sha-mbles-1.bin");
    let two = include_bytes!("../data/sha-mbles-2.bin");
    assert_ne!(one, two);
    let plain = |bytes: &[u8]| {
        let mut sum = FileHasher::new(ObjectFormat::Sha1);
        sum.update(bytes);
        sum.finish()
    };
    assert_eq!(plain(one), plain(two), "the two collide");
    for bytes in [one, two] {
        let mut hasher = ObjectHasher::without_header(ObjectFormat::Sha1);
        bytes.chunks(100).for_each(|chunk| hasher.update(chunk));
        let collision = hasher.finish().unwrap_err();
        assert_eq!(collision.0, plain(bytes));
    }
    let mut harmless = ObjectHasher::without_header(ObjectFormat::Sha1);
    harmless.update(b"harmless");
    assert!(harmless.finish().is_ok());
}
