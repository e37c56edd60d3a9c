//! The end that is connected to.

use bytes::{Buf as _, BytesMut};

use super::{CONSTANT, Cipher, Error, Methods, NUMBER, Opened, PADDING, Secret, Step, hash, veil};
use crate::InfoHash;

/// The handshake of the end that is connected to.
#[derive(Debug)]
pub struct Answer {
    secret: Secret,
    takes: &'static [Methods],
    padding: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Their number is awaited.
    Number,
    /// Then the mark of the secret, somewhere in the padding.
    Sync {
        shared: Box<[u8; NUMBER]>,
        passed: usize,
    },
    /// Then the veiled name of the torrent.
    Name(Box<[u8; NUMBER]>),
    /// Then what they offer.
    Offer(Ciphers),
    /// Then padding and the length of the first message.
    Padding {
        ciphers: Ciphers,
        offer: u32,
        left: usize,
    },
    /// Then the first message itself.
    First {
        ciphers: Ciphers,
        offer: u32,
        left: usize,
    },
    /// All is said; what is left is theirs.
    Through {
        ciphers: Ciphers,
        early: Vec<u8>,
        plain: bool,
    },
    Over,
}

#[derive(Debug)]
struct Ciphers {
    skey: InfoHash,
    incoming: Cipher,
    outgoing: Cipher,
}

impl Answer {
    /// Begins. The first of `takes` that the other end offers is chosen.
    /// `padding` is any bytes, at most 512.
    pub fn new(secret: Secret, takes: &'static [Methods], mut padding: Vec<u8>) -> Self {
        padding.truncate(PADDING);
        Self {
            secret,
            takes,
            padding,
            state: State::Number,
        }
    }

    /// Takes what came from its front; `known` finds a torrent by its
    /// [`alias`](super::alias).
    ///
    /// # Errors
    /// Where the other end speaks something else, or of another torrent.
    pub fn take(
        &mut self,
        input: &mut BytesMut,
        known: impl Fn(&[u8; 20]) -> Option<InfoHash>,
    ) -> Result<Step, Error> {
        loop {
            let short = match &self.state {
                State::Number => NUMBER,
                State::Name(_) => 20,
                State::Offer(_) => 14,
                State::Padding { left, .. } => left + 2,
                State::First { left, .. } => *left,
                State::Sync { .. } | State::Through { .. } | State::Over => 0,
            };
            if input.len() < short {
                return Ok(Step::More);
            }
            match std::mem::replace(&mut self.state, State::Over) {
                State::Number => {
                    let mut number = [0; NUMBER];
                    input.copy_to_slice(&mut number);
                    let shared = Box::new(self.secret.shared(&number)?);
                    self.state = State::Sync { shared, passed: 0 };
                    let mut said = self.secret.public().to_vec();
                    said.append(&mut self.padding);
                    return Ok(Step::Say(said));
                }
                State::Sync { shared, passed } => {
                    let mark = hash(&[b"req1", &*shared]);
                    let Some(at) = input.windows(20).position(|w| w == mark) else {
                        if passed + input.len() > PADDING + 20 {
                            return Err(Error::Sync);
                        }
                        let gone = input.len().saturating_sub(19);
                        input.advance(gone);
                        self.state = State::Sync {
                            shared,
                            passed: passed + gone,
                        };
                        return Ok(Step::More);
                    };
                    if passed + at > PADDING {
                        return Err(Error::Sync);
                    }
                    input.advance(at + 20);
                    self.state = State::Name(shared);
                }
                State::Name(shared) => {
                    let mut name = [0; 20];
                    input.copy_to_slice(&mut name);
                    let veil = veil(&shared);
                    name.iter_mut().zip(veil).for_each(|(a, b)| *a ^= b);
                    let skey = known(&name).ok_or(Error::Unknown)?;
                    self.state = State::Offer(Ciphers {
                        skey,
                        incoming: Cipher::new(b"keyA", &shared, skey),
                        outgoing: Cipher::new(b"keyB", &shared, skey),
                    });
                }
                State::Offer(mut ciphers) => {
                    let mut offer = [0; 14];
                    input.copy_to_slice(&mut offer);
                    ciphers.incoming.apply(&mut offer);
                    let [constant @ .., a, b, c, d, high, low] = offer;
                    if constant != CONSTANT {
                        return Err(Error::Constant);
                    }
                    let left = u16::from_be_bytes([high, low]);
                    if usize::from(left) > PADDING {
                        return Err(Error::Padding(left));
                    }
                    self.state = State::Padding {
                        ciphers,
                        offer: u32::from_be_bytes([a, b, c, d]),
                        left: left.into(),
                    };
                }
                State::Padding {
                    mut ciphers,
                    offer,
                    left,
                } => {
                    ciphers.incoming.apply(&mut input[..left + 2]);
                    input.advance(left);
                    let left = input.get_u16().into();
                    self.state = State::First {
                        ciphers,
                        offer,
                        left,
                    };
                }
                State::First {
                    mut ciphers,
                    offer,
                    left,
                } => {
                    let mut early = input.split_to(left).to_vec();
                    ciphers.incoming.apply(&mut early);
                    let mut takes = self.takes.iter();
                    let chosen = takes.find(|method| Methods(offer).has(**method));
                    let chosen = *chosen.ok_or(Error::Method(offer))?;
                    let plain = chosen == Methods::PLAIN;
                    let mut said = CONSTANT.to_vec();
                    said.extend_from_slice(&chosen.0.to_be_bytes());
                    said.extend_from_slice(&[0, 0]);
                    ciphers.outgoing.apply(&mut said);
                    self.state = State::Through {
                        ciphers,
                        early,
                        plain,
                    };
                    return Ok(Step::Say(said));
                }
                State::Through {
                    mut ciphers,
                    mut early,
                    plain,
                } => {
                    let mut rest = input.split().to_vec();
                    if !plain {
                        ciphers.incoming.apply(&mut rest);
                    }
                    early.append(&mut rest);
                    return Ok(Step::Done(Box::new(Opened {
                        skey: ciphers.skey,
                        early,
                        incoming: (!plain).then_some(ciphers.incoming),
                        outgoing: (!plain).then_some(ciphers.outgoing),
                    })));
                }
                State::Over => return Ok(Step::More),
            }
        }
    }
}
