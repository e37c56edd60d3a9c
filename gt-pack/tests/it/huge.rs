//! A pack of more than 4 GiB, made up as it is read: nothing of it lies on the
//! disk.

use std::io;

use bytes::Bytes;
use gt_pack::limits::{Exceeded, Limits};
use gt_pack::verify::{self, Error, NoBases, NoVisitor, Silent, Verified};
use gt_pack::{ObjectFormat, hash, index};
use gt_vfs::{ContentId, ReadAt};

/// Bytes of one stored block of a deflate stream, and its header.
const STORED: u64 = 65_535;
const BLOCK: u64 = 5 + STORED;
const BLOCKS: u64 = 65_600;
/// The large blob: a little more than 4 GiB.
const SIZE: u64 = STORED * BLOCKS;
/// Objects in the pack.
const OBJECTS: u32 = 200;

/// A small blob, one of [`SIZE`], then small blobs and deltas on them.
struct Huge {
    head: Vec<u8>,
    fill: Vec<u8>,
    tail: Vec<u8>,
}

impl Huge {
    fn new() -> Self {
        let mut head = [&b"PACK\0\0\0\x02"[..], &OBJECTS.to_be_bytes()].concat();
        entry_head(&mut head, 3, 6);
        stored(&mut head, b"first\n");
        entry_head(&mut head, 3, SIZE);
        head.extend_from_slice(&[0x78, 1]);
        let fill: Vec<u8> = (0..STORED).map(|i| (7 * i + (i >> 8)) as u8).collect();

        let begin = head.len() as u64 + BLOCKS * BLOCK;
        // The blob's Adler-32.
        let mut tail = 0xd75f_5c54_u32.to_be_bytes().to_vec();
        let (mut base, mut text) = (0, Vec::new());
        for n in 0..OBJECTS - 2 {
            let here = begin + tail.len() as u64;
            if n % 3 < 2 {
                base = here;
                text = format!("blob {n}").into_bytes();
                entry_head(&mut tail, 3, text.len() as u64);
                stored(&mut tail, &text);
                continue;
            }
            // All of the base, and a few bytes more.
            let (length, more) = (text.len() as u8, format!("+{n}"));
            let mut delta = vec![length, length + more.len() as u8];
            delta.extend_from_slice(&[0x90, length, more.len() as u8]);
            delta.extend_from_slice(more.as_bytes());
            entry_head(&mut tail, 6, delta.len() as u64);
            let distance = here - base;
            assert!(distance < 128, "one byte");
            tail.push(distance as u8);
            stored(&mut tail, &delta);
        }
        tail.extend_from_slice(&hex("fb7cb88decca6a2739178867f8e1fd556d440914"));
        Self { head, fill, tail }
    }
}

/// Appends the type and the size of an entry.
fn entry_head(out: &mut Vec<u8>, kind: u8, size: u64) {
    let mut byte = kind << 4 | (size & 15) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// Appends a zlib stream of one stored block.
fn stored(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len() as u16;
    out.extend_from_slice(&[0x78, 1, 1]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(bytes);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend_from_slice(&(b << 16 | a).to_be_bytes());
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

impl ReadAt for Huge {
    fn size(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + BLOCKS * BLOCK
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let give = |from: &[u8], buf: &mut [u8]| {
            let length = from.len().min(buf.len());
            buf[..length].copy_from_slice(&from[..length]);
            length
        };
        let Some(at) = offset.checked_sub(self.head.len() as u64) else {
            return Ok(give(&self.head[offset as usize..], buf));
        };
        if let Some(at) = at.checked_sub(BLOCKS * BLOCK) {
            return Ok(give(&self.tail[at as usize..], buf));
        }
        let (block, within) = (at / BLOCK, (at % BLOCK) as usize);
        let last = u8::from(block + 1 == BLOCKS);
        // Each block is another one: it begins with its number.
        let mut front = vec![last, 0xff, 0xff, 0, 0];
        front.extend_from_slice(&block.to_be_bytes());
        Ok(match front.get(within..) {
            Some(front) if !front.is_empty() => give(front, buf),
            _ => give(&self.fill[within - 5..], buf),
        })
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

fn verified(limits: &Limits) -> Result<Verified, Error> {
    let (format, pack) = (ObjectFormat::Sha1, Huge::new());
    verify::pack(&pack, format, limits, &NoBases, &NoVisitor, &Silent)
}

/// An entry over 4 GiB, and offsets over 4 GiB behind it: both indexes are
/// what `git index-pack --rev-index` (2.47.3) made of the same bytes.
#[test]
#[ignore = "takes half a minute"]
fn a_pack_over_4_gib_has_gits_indexes() {
    let pack = verified(&Limits::lifted()).unwrap();
    assert_eq!(pack.length, 4_299_428_044);
    assert_eq!(pack.entries.iter().map(|e| e.size).max(), Some(SIZE));
    let sum = |bytes: &[u8]| {
        let mut sum = hash::FileHasher::new(ObjectFormat::Sha1);
        sum.update(bytes);
        sum.finish().to_string()
    };
    assert_eq!(sum(&index::write_idx(&pack)), IDX);
    assert_eq!(sum(&index::write_rev(&pack)), REV);
}

const IDX: &str = "04994cfadea3005e4a9bc1da7fbe4726224a0962";
const REV: &str = "6c976b80f881a922ffe76a30b247f67c0a20c939";

/// By default such an object is refused when its header has come.
#[test]
fn a_blob_over_4_gib_is_refused_at_its_header() {
    let refused = verified(&Limits::default());
    let Err(Error::Limit(Exceeded::Object { got, offset, .. })) = refused else {
        panic!("expected the ceiling of one object, got {refused:?}");
    };
    assert_eq!((got, offset), (SIZE, 30));
}
