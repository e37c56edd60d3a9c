//! RSA signatures (RFC 8017 section 8.2.2), the number of which decides how
//! long a web of trust takes.
//!
//! rPGP computes them too, ten times slower: it computes for secret exponents
//! and prepares each key anew. Here all numbers are public, the exponent is
//! small, and a key is prepared once for all that it signed. Keys that do not
//! fit (even modulus, a large exponent) are left to rPGP.

use pgp::crypto::hash::HashAlgorithm;

/// A public key, prepared for Montgomery's multiplication.
#[derive(Debug)]
pub(super) struct RsaKey {
    /// Octets of the modulus.
    octets: usize,
    /// Least limb first.
    modulus: Vec<u64>,
    /// -1 / modulus, modulo 2^64.
    inverse: u64,
    /// R² modulo the modulus, R being 2 to the bits of all limbs.
    square: Vec<u64>,
    exponent: u64,
}

/// 16384 bits: rPGP's bound with `large-rsa`.
const LARGEST: usize = 2048;

impl RsaKey {
    /// Prepares a key; `None` where it is better left to rPGP.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let modulus = trim(modulus);
        let exponent = trim(exponent);
        let fits = (64..=LARGEST).contains(&modulus.len()) && (1..=4).contains(&exponent.len());
        if !fits {
            return None;
        }
        let key = Self::prepare(modulus, exponent)?;
        (key.exponent >= 3 && key.exponent & 1 == 1).then_some(key)
    }

    fn prepare(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let octets = modulus.len();
        let modulus = limbs(modulus, octets.div_ceil(8));
        if modulus.first()? & 1 == 0 {
            return None;
        }
        // Newton's iteration: each step doubles the bits that are right.
        let mut inverse: u64 = 1;
        for _ in 0..6 {
            let product = modulus[0].wrapping_mul(inverse);
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(product));
        }
        let mut key = Self {
            octets,
            inverse: inverse.wrapping_neg(),
            square: Vec::new(),
            exponent: exponent.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
            modulus,
        };
        key.square = key.find_square();
        Some(key)
    }

    /// R² modulo the modulus: doublings up to a small power of two times R,
    /// and squarings from there.
    fn find_square(&self) -> Vec<u64> {
        let count = self.modulus.len();
        let bits = 64 * count;
        let top = self.modulus[count - 1];
        let length = bits - top.leading_zeros() as usize;
        let mut x = vec![0u64; count];
        x[(length - 1) / 64] = 1 << ((length - 1) % 64);
        let squarings = bits.trailing_zeros();
        let power = bits >> squarings;
        for _ in 0..bits - (length - 1) + power {
            self.double(&mut x);
        }
        let mut product = vec![0; count + 2];
        for _ in 0..squarings {
            self.multiply(&x, &x, &mut product);
            x.copy_from_slice(&product[..count]);
        }
        x
    }

    fn double(&self, x: &mut [u64]) {
        let mut carry = 0;
        for limb in x.iter_mut() {
            let next = *limb >> 63;
            *limb = *limb << 1 | carry;
            carry = next;
        }
        if carry == 1 || !is_less(x, &self.modulus) {
            subtract(x, &self.modulus);
        }
    }

    /// Montgomery's product a·b/R into the first limbs of `t`.
    fn multiply(&self, a: &[u64], b: &[u64], t: &mut [u64]) {
        let count = self.modulus.len();
        let (a, modulus) = (&a[..count], &self.modulus[..count]);
        let t = &mut t[..count + 2];
        t.fill(0);
        for &digit in &b[..count] {
            let mut carry = 0u64;
            for (limb, &x) in t[..count].iter_mut().zip(a) {
                (*limb, carry) = add_product(*limb, x, digit, carry);
            }
            let (sum, over) = t[count].overflowing_add(carry);
            t[count] = sum;
            t[count + 1] = u64::from(over);
            let factor = t[0].wrapping_mul(self.inverse);
            let (_, mut carry) = add_product(t[0], modulus[0], factor, 0);
            for j in 1..count {
                (t[j - 1], carry) = add_product(t[j], modulus[j], factor, carry);
            }
            let (sum, over) = t[count].overflowing_add(carry);
            t[count - 1] = sum;
            t[count] = t[count + 1] + u64::from(over);
        }
        if t[count] != 0 || !is_less(&t[..count], modulus) {
            subtract(&mut t[..count], modulus);
        }
    }

    /// Raises a number below the modulus to the exponent.
    fn power(&self, base: &[u64]) -> Vec<u64> {
        let count = self.modulus.len();
        let mut product = vec![0; count + 2];
        self.multiply(base, &self.square, &mut product);
        let base = product[..count].to_vec();
        let mut x = base.clone();
        let bits = u64::BITS - self.exponent.leading_zeros();
        for bit in (0..bits - 1).rev() {
            self.multiply(&x, &x, &mut product);
            x.copy_from_slice(&product[..count]);
            if self.exponent >> bit & 1 == 1 {
                self.multiply(&x, &base, &mut product);
                x.copy_from_slice(&product[..count]);
            }
        }
        let mut one = vec![0; count];
        one[0] = 1;
        self.multiply(&x, &one, &mut product);
        product.truncate(count);
        product
    }

    /// Tells whether a number is the signature of a digest; `None` where the
    /// digest has no known encoding.
    pub(super) fn verifies(&self, hash: HashAlgorithm, digest: &[u8], sig: &[u8]) -> Option<bool> {
        let prefix = prefix(hash)?;
        let sig = trim(sig);
        let tail = prefix.len() + digest.len();
        if sig.len() > self.octets || self.octets < tail + 11 {
            return Some(false);
        }
        let number = limbs(sig, self.modulus.len());
        if !is_less(&number, &self.modulus) {
            return Some(false);
        }
        let mut expected = vec![0xff; self.octets];
        expected[..2].copy_from_slice(&[0, 1]);
        let start = self.octets - tail;
        expected[start - 1] = 0;
        expected[start..start + prefix.len()].copy_from_slice(prefix);
        expected[start + prefix.len()..].copy_from_slice(digest);
        Some(self.power(&number) == limbs(&expected, self.modulus.len()))
    }
}

/// a + b·c + d: two limbs always hold it.
#[inline(always)]
fn add_product(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let sum = u128::from(a) + u128::from(b) * u128::from(c) + u128::from(d);
    (sum as u64, (sum >> 64) as u64)
}

fn is_less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn subtract(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    for (x, y) in a.iter_mut().zip(b) {
        let (first, under) = x.overflowing_sub(*y);
        let (second, again) = first.overflowing_sub(u64::from(borrow));
        *x = second;
        borrow = under || again;
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros..]
}

fn limbs(bytes: &[u8], count: usize) -> Vec<u64> {
    let mut limbs: Vec<u64> = bytes
        .rchunks(8)
        .map(|chunk| chunk.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
        .collect();
    limbs.resize(count, 0);
    limbs
}

/// DigestInfo before the digest (RFC 8017 section 9.2 and appendix B.1; for
/// RIPEMD-160 RFC 9580 section 5.2.3.1).
fn prefix(hash: HashAlgorithm) -> Option<&'static [u8]> {
    Some(match hash {
        HashAlgorithm::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
        HashAlgorithm::Ripemd160 => b"\x30\x21\x30\x09\x06\x05\x2b\x24\x03\x02\x01\x05\x00\x04\x14",
        HashAlgorithm::Sha224 => {
            b"\x30\x2d\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x1c"
        }
        HashAlgorithm::Sha256 => {
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
        }
        HashAlgorithm::Sha384 => {
            b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
        }
        HashAlgorithm::Sha512 => {
            b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Multiplication by doubling and adding, nothing of Montgomery's.
    fn naive(key: &RsaKey, a: &[u64], b: &[u64]) -> Vec<u64> {
        let count = key.modulus.len();
        let mut sum = vec![0; count];
        for bit in (0..64 * count).rev() {
            key.double(&mut sum);
            if b[bit / 64] >> (bit % 64) & 1 == 1 {
                let mut carry = false;
                for (x, y) in sum.iter_mut().zip(a) {
                    let (first, over) = x.overflowing_add(*y);
                    let (second, again) = first.overflowing_add(u64::from(carry));
                    *x = second;
                    carry = over || again;
                }
                if carry || !is_less(&sum, &key.modulus) {
                    subtract(&mut sum, &key.modulus);
                }
            }
        }
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn powers_are_those_of_plain_multiplication(
            mut modulus in prop::collection::vec(any::<u8>(), 9..70),
            base: [u8; 69],
            exponent in 1u8..40,
        ) {
            modulus[0] |= 1;
            *modulus.last_mut().unwrap() |= 1;
            let key = RsaKey::prepare(&modulus, &[exponent]).unwrap();
            let mut base = limbs(&base[..modulus.len() - 1], key.modulus.len());
            if !is_less(&base, &key.modulus) {
                subtract(&mut base, &key.modulus);
            }
            let mut expected = base.clone();
            for _ in 1..exponent {
                expected = naive(&key, &expected, &base);
            }
            prop_assert_eq!(key.power(&base), expected);
        }

        #[test]
        fn any_numbers_are_read(modulus: Vec<u8>, exponent: Vec<u8>, sig: Vec<u8>) {
            if let Some(key) = RsaKey::new(&modulus, &exponent) {
                let _ = key.verifies(HashAlgorithm::Sha256, &[0; 32], &sig);
            }
        }
    }

    #[test]
    fn a_modulus_of_one_limb() {
        let key = RsaKey::prepare(&97u64.to_be_bytes()[7..], &[5]).unwrap();
        assert_eq!(key.power(&[3]), [3u64.pow(5) % 97]);
        let max = RsaKey::prepare(&u64::MAX.to_be_bytes(), &[3]).unwrap();
        assert_eq!(max.power(&[u64::MAX - 1]), [u64::MAX - 1]);
    }

    #[test]
    fn keys_that_do_not_fit_are_left_alone() {
        let odd = [0xff; 128];
        assert!(RsaKey::new(&odd, &[1, 0, 1]).is_some());
        let even = [0xfe; 128];
        assert!(RsaKey::new(&even, &[1, 0, 1]).is_none());
        assert!(RsaKey::new(&odd, &[1]).is_none());
        assert!(RsaKey::new(&odd, &[1, 0, 0]).is_none());
        assert!(RsaKey::new(&odd, &[1, 0, 0, 0, 1]).is_none());
        assert!(RsaKey::new(&[0xff; LARGEST + 1], &[3]).is_none());
        assert!(RsaKey::new(&[], &[]).is_none());
    }
}
