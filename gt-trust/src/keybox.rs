//! GnuPG's keyboxes (`pubring.kbx`): where the certificates lie in one.
//!
//! A keybox is a row of blobs, each of which begins with its length and its
//! type; integers are of 32 bits, the highest octet first.
//!
//! ```text
//! 0  length, these octets included
//! 4  type: 0 deleted, 1 header of the file, 2 OpenPGP, 3 X.509
//! 5  version
//! 6  flags (16 bits); 2 marks what GnuPG keeps for a moment and never lists
//! 8  where the certificate begins, from the start of the blob; "KBXf" in a header
//! 12 how long it is
//! ```
//!
//! What else a blob holds, an index of names and keys and a checksum that GnuPG
//! itself does not look at when it searches, is passed over: the packets say it
//! all, and signatures vouch for them.

/// Tells whether some bytes are a keybox.
pub(crate) fn is_keybox(bytes: &[u8]) -> bool {
    bytes.get(8..12) == Some(b"KBXf")
}

/// Tells whether some bytes are the data base that GnuPG 2.4 can keep instead.
pub(crate) fn is_database(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SQLite format 3\0")
}

/// Iterates over the packets of each OpenPGP certificate; `Err` where a blob
/// cannot be right. That one is passed over, and all that follows if its length
/// is what is wrong.
pub(crate) struct Blobs<'a> {
    rest: &'a [u8],
}

/// A blob that points outside of itself, or ends outside of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Nothing after it can be found.
    pub(crate) last: bool,
}

const OPENPGP: u8 = 2;
const EPHEMERAL: u8 = 2;

impl<'a> Blobs<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Blobs<'a> {
    type Item = Result<&'a [u8], Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let length = number(self.rest, 0).filter(|length| *length > 4);
            let Some((blob, rest)) = length.and_then(|n| self.rest.split_at_checked(n)) else {
                self.rest = &[];
                return Some(Err(Broken { last: true }));
            };
            self.rest = rest;
            if blob[4] != OPENPGP || blob.get(7).is_some_and(|b| b & EPHEMERAL != 0) {
                continue;
            }
            let found = number(blob, 8)
                .zip(number(blob, 12))
                .and_then(|(start, length)| blob.get(start..start.checked_add(length)?));
            return Some(found.ok_or(Broken { last: false }));
        }
        None
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let octets = bytes.get(at..at + 4)?;
    let value = octets.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blob(kind: u8, flags: u8, certificate: &[u8]) -> Vec<u8> {
        let length = |n: usize| u32::try_from(n).expect("short").to_be_bytes();
        let mut blob = length(20 + certificate.len() + 20).to_vec();
        blob.extend([kind, 1, 0, flags]);
        blob.extend(length(20));
        blob.extend(length(certificate.len()));
        blob.extend([9; 4]);
        blob.extend(certificate);
        blob.extend([7; 20]);
        blob
    }

    fn header() -> Vec<u8> {
        let mut header = vec![0, 0, 0, 32, 1, 1, 0, 2];
        header.extend(b"KBXf");
        header.resize(32, 0);
        header
    }

    #[test]
    fn certificates_are_found_and_nothing_else() {
        let file = [
            header(),
            blob(2, 0, b"one"),
            blob(0, 0, b"deleted"),
            blob(3, 0, b"x509"),
            blob(2, 2, b"ephemeral"),
            blob(2, 1, b"two"),
        ]
        .concat();
        assert!(is_keybox(&file));
        let found: Vec<_> = Blobs::new(&file).collect();
        assert_eq!(found, [Ok(&b"one"[..]), Ok(&b"two"[..])]);
    }

    #[test]
    fn a_broken_blob_costs_itself() {
        let mut bad = blob(2, 0, b"bad");
        bad[12] = 0xff;
        let file = [header(), bad, blob(2, 0, b"good")].concat();
        let found: Vec<_> = Blobs::new(&file).collect();
        assert_eq!(found, [Err(Broken { last: false }), Ok(&b"good"[..])]);
        for length in [0, 4, 200] {
            let mut bad = blob(2, 0, b"bad");
            bad[3] = length;
            let file = [header(), bad, blob(2, 0, b"good")].concat();
            let found: Vec<_> = Blobs::new(&file).collect();
            assert_eq!(found, [Err(Broken { last: true })], "{length}");
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(mut bytes: Vec<u8>, lengths: Vec<u8>) {
            prop_assert!(Blobs::new(&bytes).count() <= bytes.len());
            for (i, length) in lengths.iter().enumerate() {
                bytes.splice(0..0, [0, 0, 0, *length, (i % 4) as u8]);
            }
            prop_assert!(Blobs::new(&bytes).count() <= bytes.len());
        }
    }
}
