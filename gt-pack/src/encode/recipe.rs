//! The numbers of the recipe, and its proof.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::deflate::Deflater;
use super::delta::Differ;

/// The name of the recipe that this crate encodes by. Any change of bytes is
/// a new name.
pub const RECIPE: &str = "gt4";

/// Most deltas that a reader applies to get one object.
pub const MAX_DEPTH: u32 = 100;

/// Objects with more bytes than this are stored whole and are no bases.
pub const MAX_DELTA_OBJECT: u64 = 16 << 20;

/// Most bases that are tried for one object.
pub(super) const MAX_CANDIDATES: usize = 7;

/// Most removed files that are taken for the old name of a new one.
pub(super) const MAX_RENAMES: usize = 4;

/// Most first parents that are looked at for a commit by the same people.
pub(super) const MAX_ANCESTORS: u32 = 32;

/// Bytes that the link to a base takes, about: a distance, or a name.
pub(super) const DISTANCE: usize = 2;

/// Blobs from this size on may stand on an older version than the nearest.
pub(super) const LARGE: u64 = 16 << 10;

/// Most deltas that such a blob passes by.
pub(super) const MAX_SKIP: u32 = 64;

/// Returns by how many bytes a delta may be longer that spares its readers to
/// make objects of `saved` bytes.
pub(super) fn worth(saved: u64) -> u64 {
    saved / 1024
}

/// Returns the length that a delta must not pass to be used.
pub(super) fn longest_delta(size: usize) -> usize {
    size * 80 / 100 + 20
}

/// Tells whether there is much to make before an object of `size` bytes, where
/// its base takes `cost` bytes of objects.
pub(super) fn is_dear(cost: u64, size: usize) -> bool {
    cost > 8 * size as u64 + (64 << 10)
}

/// Returns the length that a delta on such a base must not pass: where less
/// than half of an object is found in its base, it is no version of it, and
/// not worth a long way.
pub(super) fn longest_dear_delta(size: usize) -> usize {
    size / 2
}

/// Returns the length up to which a delta is so short that no better base is
/// looked for.
pub(super) fn short_delta(size: usize) -> usize {
    (size / 32).max(40)
}

/// Returns the recipe's name where this build's compressor gives the bytes
/// that the name stands for.
pub(super) fn proven() -> Option<&'static str> {
    static PROVEN: OnceLock<bool> = OnceLock::new();
    PROVEN
        .get_or_init(|| sample_digest() == SAMPLE)
        .then_some(RECIPE)
}

/// Returns the digest of a fixed sample, as a delta and deflated.
fn sample_digest() -> String {
    // Words that repeat at all distances up to the window, then noise.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = Vec::new();
    while text.len() < 150_000 {
        let word = step();
        let letters = word.to_le_bytes().map(|b| b'a' + b % 16);
        let length = 1 + (word >> 61) as usize;
        text.extend_from_slice(&letters[..length]);
        text.push(if word % 11 == 0 { b'\n' } else { b' ' });
        if word % 5 == 0 {
            let from = (word >> 8) as usize % text.len();
            let to = (from + (word >> 40) as usize % 90).min(text.len());
            text.extend_from_within(from..to);
        }
    }
    text.extend((0..2_000).map(|_| (step() >> 32) as u8));
    let mut other = text.split_off(text.len() / 3);
    other.extend_from_slice(&text[..20_000]);
    other.splice(5_000..5_003, *b"another");

    let mut sha = Sha256::new();
    let mut deflater = Deflater::new();
    sha.update(deflater.deflate(&text));
    sha.update(deflater.deflate(&other));
    let delta = Differ::default().delta(&other, &text, usize::MAX);
    sha.update(deflater.deflate(&delta.unwrap_or_default()));
    sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// What [`sample_digest`] gives under the recipe [`RECIPE`].
const SAMPLE: &str = "b2da35c799f4720a611f006b547ae32eb77721122ea07d4ab49fdfc236ee4053";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_is_proven() {
        assert_eq!(sample_digest(), SAMPLE);
        assert_eq!(proven(), Some("gt4"));
    }
}
