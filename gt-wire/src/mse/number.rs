//! Diffie and Hellman's exchange, with the one prime that everybody uses.

use std::fmt;

use crypto_bigint::modular::runtime_mod::{DynResidue, DynResidueParams};
use crypto_bigint::{Encoding as _, NonZero, U192, U768};

use super::{Error, NUMBER};

/// The prime: 768 bits, beside that of the first Oakley group.
const PRIME: U768 = U768::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563"
));

/// What multiplying modulo the prime needs, made once.
const PARAMS: DynResidueParams<{ U768::LIMBS }> = DynResidueParams::new(&PRIME);

/// Our half of the exchange: 160 bits that nobody else knows.
#[derive(Clone)]
pub struct Secret(U192);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Takes random bytes.
    pub fn new(random: [u8; 20]) -> Self {
        let mut wide = [0; 24];
        wide[4..].copy_from_slice(&random);
        Self(U192::from_be_bytes(wide))
    }

    /// Returns what the other end may know.
    pub(super) fn public(&self) -> [u8; NUMBER] {
        self.raise(&U768::from_u8(2))
    }

    /// Returns what both ends know and nobody else.
    ///
    /// # Errors
    /// Where the other end's number has only a few powers.
    pub(super) fn shared(&self, theirs: &[u8; NUMBER]) -> Result<[u8; NUMBER], Error> {
        let theirs = U768::from_be_bytes(*theirs);
        let least = PRIME.wrapping_sub(&U768::ONE);
        if theirs <= U768::ONE || theirs >= least {
            return Err(Error::Number);
        }
        Ok(self.raise(&theirs))
    }

    fn raise(&self, base: &U768) -> [u8; NUMBER] {
        // The public numbers of others lie below the prime; ours is 2.
        let base = base.rem(&NonZero::from_uint(PRIME));
        let power = DynResidue::new(&base, PARAMS).pow_bounded_exp(&self.0, 160);
        power.retrieve().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_make_the_same() {
        let (a, b) = (Secret::new([0xa5; 20]), Secret::new([0x3c; 20]));
        let shared = a.shared(&b.public()).unwrap();
        assert_eq!(shared, b.shared(&a.public()).unwrap());
        assert_ne!(shared, a.public());
        // 2^8 is no secret, but easily checked.
        let mut eight = [0; 20];
        eight[19] = 8;
        let mut expected = [0; NUMBER];
        expected[NUMBER - 2] = 1;
        assert_eq!(Secret::new(eight).public(), expected);
    }
}
