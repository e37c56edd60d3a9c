//! Message stream encryption (MSE/PE): the handshake that hides what is
//! spoken from those who slow BitTorrent down. It keeps no secret: who knows
//! the info-hash can stand in the middle.
//!
//! Bytes in, bytes out: [`Dial`] is the end that connects, [`Answer`] the
//! other. Both end in an [`Opened`] stream: what came early, and a cipher for
//! each direction, or none where both settled for plain words after the
//! handshake.

mod answer;
mod dial;
mod number;

use std::fmt;

use rc4::{KeyInit as _, Rc4, StreamCipher as _};
use sha1::{Digest as _, Sha1};

use crate::InfoHash;

pub use answer::Answer;
pub use dial::Dial;
pub use number::Secret;

/// The longest padding at each place where there is some.
const PADDING: usize = 512;

/// Bytes of a public number, and of the secret that both make of two.
const NUMBER: usize = 96;

/// Bytes of keystream that are thrown away.
const DISCARD: usize = 1024;

/// The constant by which the first encrypted bytes are found.
const CONSTANT: [u8; 8] = [0; 8];

/// What may be spoken after the handshake, as bits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u32);

impl Methods {
    /// Plain words.
    pub const PLAIN: Self = Self(1);
    /// RC4.
    pub const RC4: Self = Self(2);
    /// Either.
    pub const BOTH: Self = Self(3);

    /// Tells whether all methods of `other` are among these.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A stream after the handshake.
#[derive(Debug)]
pub struct Opened {
    /// Which torrent it is about.
    pub skey: InfoHash,
    /// What the other end has said already, in clear.
    pub early: Vec<u8>,
    /// For what comes; `None` for plain words.
    pub incoming: Option<Cipher>,
    /// For what goes.
    pub outgoing: Option<Cipher>,
}

/// How far a handshake is.
#[derive(Debug)]
pub enum Step {
    /// More bytes have to come.
    More,
    /// These bytes are to be sent, then it goes on.
    Say(Vec<u8>),
    /// It is through.
    Done(Box<Opened>),
}

/// One direction of an encrypted stream.
pub struct Cipher(Rc4);

impl Cipher {
    fn new(name: &[u8; 4], shared: &[u8; NUMBER], skey: InfoHash) -> Self {
        let key = hash(&[name, shared, &skey.0]);
        let mut cipher = Rc4::new_from_slice(&key).expect("20 bytes are a key");
        cipher.apply_keystream(&mut [0; DISCARD]);
        Self(cipher)
    }

    /// Encrypts or decrypts the next bytes.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Returns the name under which an encrypted handshake asks for a torrent: a
/// listener keeps a table of these.
pub fn alias(skey: InfoHash) -> [u8; 20] {
    hash(&[b"req2", &skey.0])
}

/// Returns what hides an alias from those who do not know the secret.
fn veil(shared: &[u8; NUMBER]) -> [u8; 20] {
    hash(&[b"req3", shared])
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other end's number is one whose secret anybody can guess.
    #[error("expected a public number, got one of no use")]
    Number,
    /// What has to come within the padding did not.
    #[error("expected the encrypted part within {PADDING} bytes of padding, got none")]
    Sync,
    /// The encrypted part is something else.
    #[error("expected the encrypted constant, got something else")]
    Constant,
    /// A padding or first message of the wrong length.
    #[error("expected at most {PADDING} bytes of padding, got {0}")]
    Padding(u16),
    /// A torrent that is not here.
    #[error("expected a torrent that is known here, got another")]
    Unknown,
    /// Nothing that both want to speak.
    #[error("expected a method that we offered, got bits {0:#x}")]
    Method(u32),
}

/// Hands bytes of any kind to both ends of a handshake, for those who try it.
pub fn hear_anything(raw: &[u8]) {
    let skey = InfoHash([7; 20]);
    let mut input = bytes::BytesMut::from(raw);
    let mut answer = Answer::new(Secret::new([2; 20]), &[Methods::RC4], Vec::new());
    while let Ok(Step::Say(_)) = answer.take(&mut input, |_| Some(skey)) {}
    let mut input = bytes::BytesMut::from(raw);
    let (mut dial, _) = Dial::new(
        skey,
        Secret::new([1; 20]),
        Methods::BOTH,
        Vec::new(),
        Vec::new(),
    );
    while let Ok(Step::Say(_)) = dial.take(&mut input) {}
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;

    const SKEY: InfoHash = InfoHash([7; 20]);

    fn secret(n: u8) -> Secret {
        Secret::new([n; 20])
    }

    fn known(name: &[u8; 20]) -> Option<InfoHash> {
        (*name == alias(SKEY)).then_some(SKEY)
    }

    /// Lets two ends talk, `cut` bytes at a time.
    fn talk(
        offers: Methods,
        takes: &'static [Methods],
        pad: [usize; 2],
        cut: usize,
    ) -> Result<[Opened; 2], Error> {
        let (mut dial, first) =
            Dial::new(SKEY, secret(1), offers, vec![5; pad[0]], b"hello".to_vec());
        let mut answer = Answer::new(secret(2), takes, vec![6; pad[1]]);
        let mut ways = [first, Vec::new()];
        let mut inputs = [BytesMut::new(), BytesMut::new()];
        let mut opened = [None, None];
        while opened.iter().any(Option::is_none) {
            for end in 0..2 {
                let way = &mut ways[end];
                let count = cut.min(way.len());
                inputs[1 - end].extend_from_slice(&way[..count]);
                way.drain(..count);
            }
            for end in 0..2 {
                loop {
                    let step = match end {
                        _ if opened[end].is_some() => Step::More,
                        0 => dial.take(&mut inputs[0])?,
                        _ => answer.take(&mut inputs[1], known)?,
                    };
                    match step {
                        Step::More => break,
                        Step::Say(bytes) => ways[end].extend(bytes),
                        Step::Done(done) => opened[end] = Some(*done),
                    }
                }
            }
        }
        Ok(opened.map(Option::unwrap))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn both_ends_come_to_the_same(
            pad in [0usize..=PADDING, 0..=PADDING],
            cut in 1usize..700,
            plain: bool,
        ) {
            let takes: &[_] = if plain { &[Methods::PLAIN] } else { &[Methods::RC4, Methods::PLAIN] };
            let [mut dial, mut answer] = talk(Methods::BOTH, takes, pad, cut).unwrap();
            prop_assert_eq!(&answer.early[..], b"hello");
            prop_assert_eq!(answer.skey, SKEY);
            prop_assert_eq!(dial.outgoing.is_none(), plain);
            let mut words = *b"some words, there and back";
            for (from, to) in [
                (&mut dial.outgoing, &mut answer.incoming),
                (&mut answer.outgoing, &mut dial.incoming),
            ] {
                if let (Some(from), Some(to)) = (from, to) {
                    from.apply(&mut words);
                    prop_assert_ne!(&words, b"some words, there and back");
                    to.apply(&mut words);
                }
                prop_assert_eq!(&words, b"some words, there and back");
            }
        }

        /// The body of the fuzz target of encrypted handshakes.
        #[test]
        fn garbage_ends_within_bounds(raw in prop::collection::vec(any::<u8>(), 0..1500)) {
            hear_anything(&raw);
        }
    }

    #[test]
    fn nothing_in_common_is_an_error() {
        let met = talk(Methods::RC4, &[Methods::PLAIN], [3, 4], 1000);
        assert_eq!(met.unwrap_err(), Error::Method(2));
    }

    #[test]
    fn another_torrent_is_unknown() {
        let (mut dial, first) =
            Dial::new(InfoHash([8; 20]), secret(1), Methods::BOTH, vec![], vec![]);
        let mut answer = Answer::new(secret(2), &[Methods::RC4], vec![]);
        let mut input = BytesMut::from(&first[..]);
        let Step::Say(said) = answer.take(&mut input, known).unwrap() else {
            panic!("it answers with its number");
        };
        let Step::Say(said) = dial.take(&mut BytesMut::from(&said[..])).unwrap() else {
            panic!("it asks for the torrent");
        };
        input.extend_from_slice(&said);
        assert_eq!(answer.take(&mut input, known).unwrap_err(), Error::Unknown);
    }

    #[test]
    fn numbers_whose_secret_is_known_are_refused() {
        for number in [
            [0; NUMBER],
            {
                let mut one = [0; NUMBER];
                one[NUMBER - 1] = 1;
                one
            },
            [0xff; NUMBER],
        ] {
            let mut answer = Answer::new(secret(2), &[Methods::RC4], vec![]);
            let met = answer.take(&mut BytesMut::from(&number[..]), known);
            assert_eq!(met.unwrap_err(), Error::Number);
        }
    }
}
