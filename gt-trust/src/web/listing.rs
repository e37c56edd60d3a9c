//! The letters of GnuPG's colon listings, for every user id.

use pgp::crypto::hash::HashAlgorithm;

use super::{UserKind, Validity, Web};
use crate::fingerprint::Fingerprint;

/// One user id and how far it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The primary key.
    pub key: Fingerprint,
    /// Name or picture.
    pub kind: UserKind,
    /// `r` revoked, `e` expired (the user id or its key), else the letter of
    /// its [`Validity`].
    pub letter: char,
    /// RIPEMD-160 of its bytes, by which GnuPG names it.
    pub hash: [u8; 20],
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Web<'_> {
    /// Returns a row for every user id, in the order of the keyrings.
    pub fn rows(&self) -> Vec<Row> {
        use rayon::prelude::*;
        let rows: Vec<Vec<Row>> = (0..self.ring.certificates().len())
            .into_par_iter()
            .map(|i| self.rows_of(i))
            .collect();
        rows.into_iter().flatten().collect()
    }

    fn rows_of(&self, i: usize) -> Vec<Row> {
        let certificate = &self.ring.certificates()[i];
        let users = certificate.users().enumerate();
        users
            .map(|(u, (kind, bytes))| Row {
                key: certificate.fingerprint(),
                kind,
                letter: self.letter(i, u),
                hash: ripemd(bytes),
                bytes: bytes.to_vec(),
            })
            .collect()
    }

    /// What the user id says of itself goes before what is true of the key.
    fn letter(&self, i: usize, user: usize) -> char {
        let own = self.own(i);
        let state = &own.users[user];
        if state.revoked || !state.expired && own.revoked.is_some() {
            'r'
        } else if state.expired || own.expired {
            'e'
        } else if own.flooded {
            Validity::Unknown.letter()
        } else {
            self.validity(i, user).letter()
        }
    }
}

fn ripemd(bytes: &[u8]) -> [u8; 20] {
    let digest = HashAlgorithm::Ripemd160.digest(bytes).unwrap_or_default();
    digest.try_into().unwrap_or_default()
}
