//! The end that connects.

use bytes::{Buf as _, BytesMut};

use super::{
    CONSTANT, Cipher, Error, Methods, NUMBER, Opened, PADDING, Secret, Step, alias, hash, veil,
};
use crate::InfoHash;

/// The handshake of the end that connects.
#[derive(Debug)]
pub struct Dial {
    skey: InfoHash,
    secret: Secret,
    offers: Methods,
    first: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Their number is awaited.
    Number,
    /// Then their encrypted constant, somewhere in the padding.
    Sync {
        incoming: Cipher,
        outgoing: Cipher,
        constant: [u8; 8],
        passed: usize,
    },
    /// Then what they chose.
    Choice {
        incoming: Cipher,
        outgoing: Cipher,
    },
    Padding {
        incoming: Cipher,
        outgoing: Cipher,
        left: usize,
        plain: bool,
    },
    Over,
}

impl Dial {
    /// Begins, and returns the first bytes to send. `padding` is any bytes, at
    /// most 512, and `first` is what is said to the other end as soon as
    /// can be: a handshake of BitTorrent.
    pub fn new(
        skey: InfoHash,
        secret: Secret,
        offers: Methods,
        mut padding: Vec<u8>,
        first: Vec<u8>,
    ) -> (Self, Vec<u8>) {
        padding.truncate(PADDING);
        let mut said = secret.public().to_vec();
        said.append(&mut padding);
        let dial = Self {
            skey,
            secret,
            offers,
            first,
            state: State::Number,
        };
        (dial, said)
    }

    /// Takes what came from its front.
    ///
    /// # Errors
    /// Where the other end speaks something else.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Step, Error> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Number => {
                    let Some(number) = input.first_chunk::<NUMBER>() else {
                        self.state = State::Number;
                        return Ok(Step::More);
                    };
                    let shared = self.secret.shared(number)?;
                    input.advance(NUMBER);
                    return Ok(Step::Say(self.ask(&shared)));
                }
                State::Sync {
                    incoming,
                    outgoing,
                    constant,
                    passed,
                } => {
                    let Some(at) = input.windows(8).position(|w| w == constant) else {
                        if passed + input.len() > PADDING + 8 {
                            return Err(Error::Sync);
                        }
                        let gone = input.len().saturating_sub(7);
                        input.advance(gone);
                        self.state = State::Sync {
                            incoming,
                            outgoing,
                            constant,
                            passed: passed + gone,
                        };
                        return Ok(Step::More);
                    };
                    if passed + at > PADDING {
                        return Err(Error::Sync);
                    }
                    input.advance(at + 8);
                    self.state = State::Choice { incoming, outgoing };
                }
                State::Choice {
                    mut incoming,
                    outgoing,
                } => {
                    let Some(mut choice) = input.first_chunk::<6>().copied() else {
                        self.state = State::Choice { incoming, outgoing };
                        return Ok(Step::More);
                    };
                    input.advance(6);
                    incoming.apply(&mut choice);
                    let [a, b, c, d, high, low] = choice;
                    let bits = u32::from_be_bytes([a, b, c, d]);
                    let plain = bits == Methods::PLAIN.0;
                    let one = plain || bits == Methods::RC4.0;
                    if !one || !self.offers.has(Methods(bits)) {
                        return Err(Error::Method(bits));
                    }
                    let left = u16::from_be_bytes([high, low]);
                    if usize::from(left) > PADDING {
                        return Err(Error::Padding(left));
                    }
                    self.state = State::Padding {
                        incoming,
                        outgoing,
                        left: left.into(),
                        plain,
                    };
                }
                State::Padding {
                    mut incoming,
                    outgoing,
                    left,
                    plain,
                } => {
                    if input.len() < left {
                        self.state = State::Padding {
                            incoming,
                            outgoing,
                            left,
                            plain,
                        };
                        return Ok(Step::More);
                    }
                    incoming.apply(&mut input[..left]);
                    input.advance(left);
                    let mut early = input.split().to_vec();
                    if !plain {
                        incoming.apply(&mut early);
                    }
                    return Ok(Step::Done(Box::new(Opened {
                        skey: self.skey,
                        early,
                        incoming: (!plain).then_some(incoming),
                        outgoing: (!plain).then_some(outgoing),
                    })));
                }
                State::Over => return Ok(Step::More),
            }
        }
    }

    /// Says which torrent it is about, and what we can speak.
    fn ask(&mut self, shared: &[u8; NUMBER]) -> Vec<u8> {
        let mut outgoing = Cipher::new(b"keyA", shared, self.skey);
        let mut incoming = Cipher::new(b"keyB", shared, self.skey);
        let mut said = hash(&[b"req1", shared]).to_vec();
        let veiled = alias(self.skey).into_iter().zip(veil(shared));
        said.extend(veiled.map(|(a, b)| a ^ b));
        let mut sealed = CONSTANT.to_vec();
        sealed.extend_from_slice(&self.offers.0.to_be_bytes());
        // No padding here: the encrypted part shows nothing of its length.
        sealed.extend_from_slice(&[0, 0]);
        let first = std::mem::take(&mut self.first);
        let length = u16::try_from(first.len()).unwrap_or(0);
        sealed.extend_from_slice(&length.to_be_bytes());
        sealed.extend_from_slice(&first[..usize::from(length)]);
        outgoing.apply(&mut sealed);
        said.append(&mut sealed);
        let mut constant = CONSTANT;
        incoming.apply(&mut constant);
        self.state = State::Sync {
            incoming,
            outgoing,
            constant,
            passed: 0,
        };
        said
    }
}
