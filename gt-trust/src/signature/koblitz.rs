//! Keys on the curve secp256k1, whose signatures have two forms.
//!
//! If `(r, s)` is an ECDSA signature so is `(r, n - s)`. GnuPG writes either.
//! What rPGP computes with takes the one with the smaller `s` alone, a rule of
//! another trade, and calls half of all good signatures bad.

use std::io::Write;

use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::errors::Result;
use pgp::ser::Serialize;
use pgp::types::{
    EcdsaPublicParams, Fingerprint, KeyDetails, KeyId, KeyVersion, Mpi, PublicParams,
    SignatureBytes, Timestamp, VerifyingKey,
};

/// A key that verifies both forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Either<'a, K>(pub(crate) &'a K);

/// The order of the group (SEC 2, section 2.4.1).
const ORDER: [u8; 32] = *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\
    \xba\xae\xdc\xe6\xaf\x48\xa0\x3b\xbf\xd2\x5e\x8c\xd0\x36\x41\x41";

impl<K: VerifyingKey> VerifyingKey for Either<'_, K> {
    fn verify(&self, hash: HashAlgorithm, data: &[u8], sig: &SignatureBytes) -> Result<()> {
        if let PublicParams::ECDSA(EcdsaPublicParams::Secp256k1 { .. }) = self.0.public_params()
            && let SignatureBytes::Mpis(numbers) = sig
            && let [r, s] = numbers.as_slice()
            && let Some(other) = smaller(s.as_ref())
        {
            let numbers = vec![r.clone(), Mpi::from_slice(&other)];
            return self.0.verify(hash, data, &SignatureBytes::Mpis(numbers));
        }
        self.0.verify(hash, data, sig)
    }
}

/// Returns `n - s` if that is less than `s`, and `s` is one at all.
fn smaller(s: &[u8]) -> Option<[u8; 32]> {
    let zeros = s.iter().take_while(|b| **b == 0).count();
    let s: [u8; 32] = s[zeros..].try_into().ok()?;
    if s >= ORDER {
        return None;
    }
    let mut other = [0; 32];
    let mut borrow = false;
    for i in (0..32).rev() {
        let (once, under) = ORDER[i].overflowing_sub(s[i]);
        let (twice, again) = once.overflowing_sub(u8::from(borrow));
        other[i] = twice;
        borrow = under || again;
    }
    (other < s).then_some(other)
}

impl<K: KeyDetails> KeyDetails for Either<'_, K> {
    fn version(&self) -> KeyVersion {
        self.0.version()
    }

    fn legacy_key_id(&self) -> KeyId {
        self.0.legacy_key_id()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn algorithm(&self) -> PublicKeyAlgorithm {
        self.0.algorithm()
    }

    fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    fn legacy_v3_expiration_days(&self) -> Option<u16> {
        self.0.legacy_v3_expiration_days()
    }

    fn public_params(&self) -> &PublicParams {
        self.0.public_params()
    }
}

impl<K: Serialize> Serialize for Either<'_, K> {
    fn to_writer<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.to_writer(writer)
    }

    fn write_len(&self) -> usize {
        self.0.write_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_the_two_is_turned_round() {
        let mut two = [0; 32];
        two[31] = 2;
        let mut less_two = ORDER;
        less_two[31] -= 2;
        assert_eq!(smaller(&less_two), Some(two));
        assert_eq!(smaller(&[&[0][..], &less_two].concat()), Some(two));
        assert_eq!(smaller(&two), None);
        assert_eq!(smaller(&ORDER), None, "none at all");
        assert_eq!(smaller(&[0xff; 33]), None);
        assert_eq!(smaller(&[]), None);
    }
}
