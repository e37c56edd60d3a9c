//! Writes indexes to the bit as `git index-pack` does.

use gt_vfs::ObjectFormat;

use crate::hash::FileHasher;
use crate::verify::Verified;

/// Returns the `.idx` of a pack.
pub fn write_idx(pack: &Verified) -> Vec<u8> {
    let entries = &pack.entries;
    let id = pack.format.raw_len();
    let mut out = Vec::with_capacity(8 + 1024 + entries.len() * (id + 8) + 2 * id);
    out.extend_from_slice(b"\xfftOc");
    out.extend_from_slice(&2_u32.to_be_bytes());
    let mut fan = [0_u32; 256];
    for entry in entries {
        fan[usize::from(entry.oid.as_bytes()[0])] += 1;
    }
    let mut sum = 0;
    for n in fan {
        sum += n;
        out.extend_from_slice(&sum.to_be_bytes());
    }
    for entry in entries {
        out.extend_from_slice(entry.oid.as_bytes());
    }
    for entry in entries {
        out.extend_from_slice(&entry.crc32.to_be_bytes());
    }
    let mut large = Vec::new();
    for entry in entries {
        match u32::try_from(entry.offset) {
            Ok(offset) if offset < 1 << 31 => out.extend_from_slice(&offset.to_be_bytes()),
            _ => {
                let at = (large.len() / 8) as u32 | 1 << 31;
                out.extend_from_slice(&at.to_be_bytes());
                large.extend_from_slice(&entry.offset.to_be_bytes());
            }
        }
    }
    out.extend_from_slice(&large);
    finish(out, pack)
}

/// Returns the `.rev` of a pack: for each entry in the order of the pack, its
/// place in the index.
pub fn write_rev(pack: &Verified) -> Vec<u8> {
    let mut order: Vec<u32> = (0..pack.entries.len() as u32).collect();
    order.sort_unstable_by_key(|n| pack.entries[*n as usize].offset);
    let mut out = Vec::with_capacity(12 + 4 * order.len() + 2 * pack.format.raw_len());
    out.extend_from_slice(b"RIDX");
    out.extend_from_slice(&1_u32.to_be_bytes());
    let hash: u32 = match pack.format {
        ObjectFormat::Sha256 => 2,
        _ => 1,
    };
    out.extend_from_slice(&hash.to_be_bytes());
    for place in order {
        out.extend_from_slice(&place.to_be_bytes());
    }
    finish(out, pack)
}

fn finish(mut out: Vec<u8>, pack: &Verified) -> Vec<u8> {
    out.extend_from_slice(pack.checksum.as_bytes());
    let mut hasher = FileHasher::new(pack.format);
    hasher.update(&out);
    out.extend_from_slice(hasher.finish().as_bytes());
    out
}
