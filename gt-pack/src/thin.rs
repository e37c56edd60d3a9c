//! Completes a thin pack: the bases that it leaves out are put behind its
//! entries, as `git index-pack --fix-thin` does.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gt_vfs::ReadAt;

use crate::entry::{EntryHeader, EntryKind};
use crate::hash::FileHasher;
use crate::verify::{Bases, Entry, Link, Verified};

/// Writes the completed form of `pack`, which `verified` describes, to `out`:
/// header with the new count, its entries byte for byte, the missing bases as
/// whole objects, a new trailer. Returns what the completed pack holds; one
/// that stands alone is copied as it is.
///
/// # Errors
/// What the source, the bases or `out` meet; [`io::ErrorKind::NotFound`]
/// where a base has gone since, [`io::ErrorKind::InvalidData`] where the bytes
/// are others than those that were verified.
pub fn complete(
    pack: &dyn ReadAt,
    verified: &Verified,
    bases: &dyn Bases,
    out: &mut dyn Write,
) -> io::Result<Verified> {
    let mut whole = verified.clone();
    whole.external.clear();
    let mut out = Summed {
        out,
        sum: FileHasher::new(verified.format),
        length: 0,
    };
    let mut head = [0; 12];
    pack.read_exact_at(0, &mut head)?;
    let mut before = FileHasher::new(verified.format);
    before.update(&head);
    // A base that the pack turned out to hold itself would stand twice.
    let missing: Vec<_> = verified
        .external
        .iter()
        .filter(|oid| !verified.holds(oid))
        .collect();
    let count = u32::try_from(verified.entries.len() + missing.len()).map_err(io::Error::other)?;
    head[8..].copy_from_slice(&count.to_be_bytes());
    out.write(&head)?;
    let end = verified.length - verified.format.raw_len() as u64;
    let mut buffer = vec![0; 1 << 18];
    while out.length < end {
        let want = buffer.len().min((end - out.length) as usize);
        pack.read_exact_at(out.length, &mut buffer[..want])?;
        out.write(&buffer[..want])?;
        if !missing.is_empty() {
            before.update(&buffer[..want]);
        }
    }
    // Between the two readings somebody may have written to the file.
    let sum = match missing.is_empty() {
        true => out.sum.clone(),
        false => before,
    };
    let (expected, got) = (verified.checksum, sum.finish());
    if expected != got {
        let why = format!("expected the bytes that were verified, of sum {expected}, got {got}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    for oid in missing {
        let base = bases.find(oid)?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("base {oid} has gone"))
        })?;
        let size = base.content.len() as u64;
        let mut entry = Vec::new();
        EntryHeader {
            kind: EntryKind::Whole(base.kind),
            size,
        }
        .write(&mut entry);
        let mut encoder = ZlibEncoder::new(entry, Compression::default());
        encoder.write_all(&base.content)?;
        let entry = encoder.finish()?;
        whole.entries.push(&Entry {
            oid: *oid,
            offset: out.length,
            crc32: crc32fast::hash(&entry),
            kind: base.kind,
            size,
            base: None,
            depth: 0,
        });
        whole.inflated += size;
        out.write(&entry)?;
    }
    if let Some(twice) = whole.entries.sort() {
        let why = format!("expected each object once, got {twice} twice");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    // What was outside is inside now.
    let bases = verified.external.iter();
    let bases: Vec<_> = bases.map(|oid| whole.entries.place(oid)).collect();
    whole
        .entries
        .relink(|n| bases.get(n as usize).copied()?.map(Link::Inside));
    whole.checksum = out.sum.clone().finish();
    out.write(whole.checksum.as_bytes())?;
    whole.length = out.length;
    Ok(whole)
}

struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: FileHasher,
    length: u64,
}

impl Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}
