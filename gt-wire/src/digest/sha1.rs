//! SHA-1 of pieces (FIPS 180-4), which is half of what fetching a v1 torrent
//! costs.
//!
//! The [`sha1`](::sha1) crate does it everywhere but on x86-64 with AVX-512
//! (Ice Lake, Zen 4 and later). There its rounds take 80 % of its time; the rest
//! goes into `sha1msg1` and `sha1msg2`, which make the words of the rounds on
//! the one port that also does the rounds, and which some of these processors
//! carry out in microcode. Plain vector instructions make the same words on the
//! other ports meanwhile: measured 32.6 ns a block of 64 bytes, where the crate
//! takes 40.0 (Sapphire Rapids, 3 runs).

use ::sha1::block_api;

/// Bytes that are hashed at a time.
const BLOCK: usize = 64;

/// Bytes of the length, which ends the last block.
const LENGTH: usize = 8;

/// The state before the first block (FIPS 180-4, 5.3.1).
const INITIAL: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

type Compress = fn(&mut [u32; 5], &[[u8; BLOCK]]);

/// A hash of the bytes that have come so far.
#[derive(Clone)]
pub(super) struct Sha1 {
    state: [u32; 5],
    /// The beginning of a block, as much of it as `seen` says.
    part: [u8; BLOCK],
    seen: u64,
    compress: Compress,
}

impl Sha1 {
    pub(super) fn new() -> Self {
        Self::by(quickest())
    }

    fn by(compress: Compress) -> Self {
        Self {
            state: INITIAL,
            part: [0; BLOCK],
            seen: 0,
            compress,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let held = self.held();
        self.seen += bytes.len() as u64;
        let mut rest = bytes;
        if held > 0 {
            let (more, later) = rest.split_at(rest.len().min(BLOCK - held));
            self.part[held..held + more.len()].copy_from_slice(more);
            if held + more.len() < BLOCK {
                return;
            }
            (self.compress)(&mut self.state, &[self.part]);
            rest = later;
        }
        let (blocks, part) = rest.as_chunks();
        (self.compress)(&mut self.state, blocks);
        self.part[..part.len()].copy_from_slice(part);
    }

    pub(super) fn finish(mut self) -> [u8; 20] {
        let bits = self.seen * 8;
        let held = self.held();
        self.part[held..].fill(0);
        self.part[held] = 0x80;
        if held + 1 > BLOCK - LENGTH {
            (self.compress)(&mut self.state, &[self.part]);
            self.part.fill(0);
        }
        self.part[BLOCK - LENGTH..].copy_from_slice(&bits.to_be_bytes());
        (self.compress)(&mut self.state, &[self.part]);
        let mut digest = [0; 20];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// Returns how many bytes of a block are held.
    fn held(&self) -> usize {
        (self.seen % BLOCK as u64) as usize
    }
}

/// Returns what hashes fastest on this processor.
fn quickest() -> Compress {
    // Without optimisation each instruction is a call, and the crate is faster:
    // it is optimised where our own code is not.
    #[cfg(target_arch = "x86_64")]
    if !cfg!(debug_assertions)
        && let Some(compress) = avx512::compress()
    {
        return compress;
    }
    block_api::compress
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_bslli_si128, _mm_bsrli_si128,
        _mm_extract_epi32, _mm_rol_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
        _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_ternarylogic_epi32,
        _mm_xor_si128, _mm256_zeroupper,
    };

    use fearless_simd::prelude::*;
    use fearless_simd::{Level, u8x16};

    use super::{BLOCK, Compress};

    /// Exclusive or of three.
    const XOR: i32 = 0x96;

    /// Returns the way by vectors, where the processor has them.
    pub(super) fn compress() -> Option<Compress> {
        fn known(state: &mut [u32; 5], blocks: &[[u8; BLOCK]]) {
            // It was asked for before, and the answer is kept.
            if let Some(simd) = Level::new().as_avx512() {
                rounds(simd, state, blocks);
            }
        }
        Level::new().as_avx512().map(|_| known as Compress)
    }

    // A vector holds four words, the first of them on top, as the rounds want
    // them. Words 16 to 31 come from the definition
    //     W[t] = rol1(W[t-3] ^ W[t-8] ^ W[t-14] ^ W[t-16]),
    // where the last of four needs the first of them, and the others from the
    // same applied to itself, which needs none of the same four:
    //     W[t] = rol2(W[t-6] ^ W[t-16] ^ W[t-28] ^ W[t-32]).
    fearless_simd::kernel!(
        fn rounds(simd: Avx512, state: &mut [u32; 5], blocks: &[[u8; BLOCK]]) {
            // The instructions for SHA-1 know nothing of wide registers, and are
            // two orders of magnitude slower while the upper half of one is in
            // use.
            _mm256_zeroupper();
            let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
            let [a, b, c, d, e] = state.map(u32::cast_signed);
            let mut abcd = _mm_set_epi32(a, b, c, d);
            let mut e = _mm_set_epi32(e, 0, 0, 0);
            for block in blocks {
                let mut w = [_mm_setzero_si128(); 20];
                for (w, part) in w.iter_mut().zip(block.as_chunks::<16>().0) {
                    let bytes: __m128i = u8x16::from_slice(simd, part).into();
                    *w = _mm_shuffle_epi8(bytes, order);
                }
                for k in 4..8 {
                    let far = _mm_alignr_epi8(w[k - 4], w[k - 3], 8);
                    let sum = _mm_ternarylogic_epi32::<XOR>(w[k - 4], far, w[k - 2]);
                    let near = _mm_bslli_si128(w[k - 1], 4);
                    let three = _mm_rol_epi32(_mm_xor_si128(sum, near), 1);
                    let last = _mm_rol_epi32(_mm_bsrli_si128(three, 12), 1);
                    w[k] = _mm_xor_si128(three, last);
                }
                for k in 8..20 {
                    let near = _mm_alignr_epi8(w[k - 2], w[k - 1], 8);
                    let sum = _mm_ternarylogic_epi32::<XOR>(w[k - 8], w[k - 7], w[k - 4]);
                    w[k] = _mm_rol_epi32(_mm_xor_si128(sum, near), 2);
                }
                let mut even = abcd;
                let mut odd = _mm_sha1rnds4_epu32::<0>(even, _mm_add_epi32(e, w[0]));
                // Four rounds each; what was `a` four rounds ago becomes `e`.
                macro_rules! four {
                    ($f:literal, $($k:literal),+) => {
                        $(
                            let next = _mm_sha1nexte_epu32(even, w[$k]);
                            even = odd;
                            odd = _mm_sha1rnds4_epu32::<$f>(odd, next);
                        )+
                    };
                }
                four!(0, 1, 2, 3, 4);
                four!(1, 5, 6, 7, 8, 9);
                four!(2, 10, 11, 12, 13, 14);
                four!(3, 15, 16, 17, 18, 19);
                abcd = _mm_add_epi32(abcd, odd);
                e = _mm_sha1nexte_epu32(even, e);
            }
            *state = [
                _mm_extract_epi32(abcd, 3),
                _mm_extract_epi32(abcd, 2),
                _mm_extract_epi32(abcd, 1),
                _mm_extract_epi32(abcd, 0),
                _mm_extract_epi32(e, 3),
            ]
            .map(i32::cast_unsigned);
        }
    );
}

#[cfg(test)]
mod tests {
    use ::sha1::Digest as _;
    use proptest::prelude::*;

    use super::*;

    /// Every way that this processor knows.
    fn ways() -> Vec<Compress> {
        let mut ways: Vec<Compress> = vec![block_api::compress, quickest()];
        #[cfg(target_arch = "x86_64")]
        ways.extend(avx512::compress());
        ways
    }

    fn hash(way: Compress, parts: &[&[u8]]) -> String {
        let mut hash = Sha1::by(way);
        for part in parts {
            hash.update(part);
        }
        data_encoding::HEXLOWER.encode(&hash.finish())
    }

    #[test]
    fn examples_of_the_standard() {
        let million = [b'a'; 1_000_000];
        for way in ways() {
            assert_eq!(hash(way, &[]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
            assert_eq!(
                hash(way, &[b"abc"]),
                "a9993e364706816aba3e25717850c26c9cd0d89d"
            );
            assert_eq!(
                hash(way, &[&million]),
                "34aa973cd4c4daa4f61eeb2bdbad27316534016f"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts(
            bytes in proptest::collection::vec(any::<u8>(), 0..1500),
            cuts in proptest::collection::vec(0..1500_usize, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                parts.push(&bytes[from..cut]);
                from = cut;
            }
            let expected = data_encoding::HEXLOWER.encode(&::sha1::Sha1::digest(&bytes));
            for way in ways() {
                prop_assert_eq!(hash(way, &parts), expected.clone());
            }
        }
    }
}
