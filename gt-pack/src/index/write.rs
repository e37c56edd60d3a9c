//! Writes indexes to the bit as `git index-pack` does.

use std::io::{self, BufWriter, Write};

use gt_vfs::ObjectFormat;

use crate::hash::FileHasher;
use crate::verify::Verified;

/// Returns the `.idx` of a pack.
pub fn write_idx(pack: &Verified) -> Vec<u8> {
    let id = pack.format.raw_len();
    let mut out = Vec::with_capacity(8 + 1024 + pack.entries.len() * (id + 8) + 2 * id);
    // A vector takes all bytes.
    let _ = write_idx_to(pack, &mut out);
    out
}

/// Writes the `.idx` of a pack, without having it in memory.
///
/// # Errors
/// What `out` meets.
pub fn write_idx_to(pack: &Verified, out: &mut dyn Write) -> io::Result<()> {
    let entries = &pack.entries;
    let order = entries.order();
    let mut out = Summed::buffered(pack, out);
    out.write_all(b"\xfftOc")?;
    out.write_all(&2_u32.to_be_bytes())?;
    let mut fan = [0_u32; 256];
    for place in order {
        fan[usize::from(entries.name(*place)[0])] += 1;
    }
    let mut sum = 0;
    for n in fan {
        sum += n;
        out.write_all(&sum.to_be_bytes())?;
    }
    for place in order {
        out.write_all(entries.name(*place))?;
    }
    for place in order {
        out.write_all(&entries.crc32(*place).to_be_bytes())?;
    }
    let mut large = Vec::new();
    for place in order {
        let offset = entries.offset(*place);
        match u32::try_from(offset) {
            Ok(offset) if offset < 1 << 31 => out.write_all(&offset.to_be_bytes())?,
            _ => {
                let at = (large.len() / 8) as u32 | 1 << 31;
                out.write_all(&at.to_be_bytes())?;
                large.extend_from_slice(&offset.to_be_bytes());
            }
        }
    }
    out.write_all(&large)?;
    finish(out, pack)
}

/// Returns the `.rev` of a pack: for each entry in the order of the pack, its
/// place in the index.
pub fn write_rev(pack: &Verified) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + 4 * pack.entries.len() + 2 * pack.format.raw_len());
    // A vector takes all bytes.
    let _ = write_rev_to(pack, &mut out);
    out
}

/// Writes the `.rev` of a pack, without having it in memory.
///
/// # Errors
/// What `out` meets.
pub fn write_rev_to(pack: &Verified, out: &mut dyn Write) -> io::Result<()> {
    /// Entries that are turned round at a time, and how often at most.
    const PART: usize = 1 << 20;
    const PARTS: usize = 64;
    let order = pack.entries.order();
    let mut out = Summed::buffered(pack, out);
    out.write_all(b"RIDX")?;
    out.write_all(&1_u32.to_be_bytes())?;
    let hash: u32 = match pack.format {
        ObjectFormat::Sha256 => 2,
        _ => 1,
    };
    out.write_all(&hash.to_be_bytes())?;
    let length = PART.max(order.len().div_ceil(PARTS));
    turn_round(order, length, &mut out)?;
    finish(out, pack)
}

/// Writes where each number stands in `order`, which has each from 0 on once,
/// with memory for `length` of them.
fn turn_round(order: &[u32], length: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut part = vec![0_u32; length.min(order.len())];
    for begin in (0..order.len()).step_by(length) {
        for (number, at) in order.iter().zip(0..) {
            let slot = (*number as usize).checked_sub(begin);
            if let Some(slot) = slot.and_then(|n| part.get_mut(n)) {
                *slot = at;
            }
        }
        for at in &part[..length.min(order.len() - begin)] {
            out.write_all(&at.to_be_bytes())?;
        }
    }
    Ok(())
}

/// Sums what is written.
struct Summed<'a> {
    out: &'a mut dyn Write,
    hasher: FileHasher,
}

impl<'a> Summed<'a> {
    fn buffered(pack: &Verified, out: &'a mut dyn Write) -> BufWriter<Self> {
        let hasher = FileHasher::new(pack.format);
        BufWriter::with_capacity(1 << 16, Self { out, hasher })
    }
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn finish(mut out: BufWriter<Summed<'_>>, pack: &Verified) -> io::Result<()> {
    out.write_all(pack.checksum.as_bytes())?;
    let Summed { out, hasher } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.write_all(hasher.finish().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_turned_round_in_parts() {
        let order: Vec<u32> = (0..100).map(|n| n * 37 % 100).collect();
        for length in [1, 7, 50, 99, 100, 1000] {
            let mut out = Vec::new();
            turn_round(&order, length, &mut out).unwrap();
            let at = |n: u32| u32::from_be_bytes(out[4 * n as usize..][..4].try_into().unwrap());
            assert!((0..100).all(|n| order[at(n) as usize] == n), "{length}");
            assert_eq!(out.len(), 400);
        }
        turn_round(&[], 5, &mut Vec::new()).unwrap();
    }
}
