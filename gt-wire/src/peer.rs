//! One conversation: what the other end has said so far, and whether it may
//! say what it says now.

use bytes::Bytes;

use crate::bitfield::{self, Bitfield};
use crate::geometry::PieceIndex;
use crate::handshake::{self, Abilities, Handshake};
use crate::message::{self, Decoder, Message};

/// The other end of one connection, from its first byte.
///
/// It holds what follows from the bytes alone; what to answer is the swarm's
/// affair.
// What walks over all connections look at comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Peer {
    have: Bitfield,
    choking: bool,
    interested: bool,
    told: bool,
    handshake: Option<Handshake>,
    /// `None` in a swarm without content.
    pieces: Option<u32>,
    /// Pieces of a later bitfield that are still to be told of.
    more: Vec<u32>,
    decoder: Decoder,
}

/// Something a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Its handshake, always first.
    Handshake(Handshake),
    /// A set of pieces, once: see [`Peer::have`].
    Pieces,
    /// One more piece, which it did not have before.
    Have(PieceIndex),
    /// Anything else. Choking and interest are already noted.
    Message(Message),
}

impl Peer {
    /// Begins before the handshake. `pieces` is how many the torrent has, or
    /// `None` where nothing but extensions is spoken; then messages about
    /// pieces are passed over, and a bitfield may have `most` bits.
    pub fn new(pieces: Option<u32>, most: u32) -> Self {
        Self {
            decoder: Decoder::new(pieces.unwrap_or(most)),
            handshake: None,
            pieces,
            have: Bitfield::empty(pieces.unwrap_or(0)),
            told: false,
            more: Vec::new(),
            choking: true,
            interested: false,
        }
    }

    /// Returns somebody who says nothing, has everything, and lets everybody
    /// in: what an HTTP source is.
    pub(crate) fn whole(pieces: u32) -> Self {
        Self {
            have: Bitfield::full(pieces),
            told: true,
            choking: false,
            ..Self::new(Some(pieces), 0)
        }
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: Bytes) {
        self.decoder.push(bytes);
    }

    /// Returns the next thing the peer said; `None` until more bytes come.
    ///
    /// # Errors
    /// Where the protocol is broken. The connection is of no use then.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would hide that an error is the end"
    )]
    pub fn next(&mut self) -> Result<Option<Heard>, Error> {
        if self.handshake.is_none() {
            return self.shake();
        }
        if let Some(more) = self.more_pieces() {
            return Ok(Some(more));
        }
        while let Some(message) = self.decoder.next()? {
            if let Some(heard) = self.judge(message)? {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    fn more_pieces(&mut self) -> Option<Heard> {
        let piece = self.more.pop()?;
        self.have.insert(piece);
        Some(Heard::Have(PieceIndex(piece)))
    }

    fn shake(&mut self) -> Result<Option<Heard>, Error> {
        Handshake::info_hash_in(self.decoder.peek())?;
        let Some(raw) = self.decoder.take_prefix() else {
            return Ok(None);
        };
        let handshake = Handshake::read(&raw)?;
        self.handshake = Some(handshake);
        Ok(Some(Heard::Handshake(handshake)))
    }

    fn judge(&mut self, message: Message) -> Result<Option<Heard>, Error> {
        let Some(pieces) = self.pieces else {
            return Ok(
                matches!(message, Message::Extended { .. } | Message::KeepAlive)
                    .then_some(Heard::Message(message)),
            );
        };
        let fast = self.abilities().fast();
        match &message {
            Message::Choke => self.choking = true,
            Message::Unchoke => self.choking = false,
            Message::Interested => self.interested = true,
            Message::NotInterested => self.interested = false,
            Message::HaveAll | Message::HaveNone | Message::Reject(_) | Message::Suggest(_)
                if !fast =>
            {
                return Err(Error::NotAgreed);
            }
            Message::HaveAll | Message::HaveNone if self.told => return Err(Error::Again),
            // aria2 sends its bitfield again where that is shorter than the
            // haves since: what is new in it is heard as haves.
            Message::Bitfield(raw) if self.told => {
                let set = Bitfield::read(raw, pieces)?;
                self.more = set.iter().filter(|n| !self.have.has(*n)).collect();
                return Ok(self.more_pieces());
            }
            _ => {}
        }
        let set = match &message {
            Message::Have(piece) => {
                self.inside(*piece, pieces)?;
                self.told = true;
                return Ok(self.have.insert(piece.0).then_some(Heard::Have(*piece)));
            }
            Message::Suggest(piece) | Message::AllowedFast(piece) => {
                self.inside(*piece, pieces)?;
                return Ok(Some(Heard::Message(message)));
            }
            Message::Bitfield(raw) => Bitfield::read(raw, pieces)?,
            Message::HaveAll => Bitfield::full(pieces),
            Message::HaveNone => Bitfield::empty(pieces),
            Message::Unknown(_) | Message::Port(_) => return Ok(None),
            _ => return Ok(Some(Heard::Message(message))),
        };
        self.told = true;
        self.have = set;
        Ok(Some(Heard::Pieces))
    }

    /// Notes a piece that the peer says it has by an extension; tells whether
    /// that is new.
    ///
    /// # Errors
    /// Where there is no such piece.
    pub(crate) fn gained(&mut self, piece: PieceIndex) -> Result<bool, Error> {
        let Some(pieces) = self.pieces else {
            return Ok(false);
        };
        self.inside(piece, pieces)?;
        self.told = true;
        Ok(self.have.insert(piece.0))
    }

    fn inside(&self, piece: PieceIndex, pieces: u32) -> Result<(), Error> {
        if piece.0 < pieces {
            Ok(())
        } else {
            Err(Error::Piece { piece, pieces })
        }
    }

    /// Returns the handshake, once it came.
    pub fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_ref()
    }

    /// Returns what both ends can do; nothing before the handshake.
    pub fn abilities(&self) -> Abilities {
        self.handshake
            .map_or_else(Abilities::default, |h| h.abilities.and(&Abilities::OURS))
    }

    /// Returns the pieces that the peer says it has.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Tells whether the peer has said anything of its pieces.
    pub fn has_told(&self) -> bool {
        self.told
    }

    /// Tells whether the peer will not answer our requests.
    pub fn is_choking(&self) -> bool {
        self.choking
    }

    /// Tells whether the peer wants something of us.
    pub fn is_interested(&self) -> bool {
        self.interested
    }
}

/// How a peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its handshake.
    #[error(transparent)]
    Handshake(#[from] handshake::Error),
    /// The form of a message.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// Its bitfield.
    #[error(transparent)]
    Bitfield(#[from] bitfield::Error),
    /// A message of the fast extension that was not agreed on.
    #[error("expected no message of the fast extension, got one")]
    NotAgreed,
    /// A second set of pieces, or one after a `have`.
    #[error("expected the set of pieces once and first, got it again")]
    Again,
    /// A piece that is not there.
    #[error("expected a piece below {pieces}, got {piece}")]
    Piece {
        /// Which was named.
        piece: PieceIndex,
        /// How many there are.
        pieces: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InfoHash, PeerId};

    fn open(abilities: Abilities) -> Peer {
        let mut peer = Peer::new(Some(9), 0);
        let shake = Handshake {
            abilities,
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
        };
        for byte in shake.encode() {
            assert_eq!(peer.next().unwrap(), None);
            peer.push(Bytes::copy_from_slice(&[byte]));
        }
        assert_eq!(peer.next().unwrap(), Some(Heard::Handshake(shake)));
        peer
    }

    fn say(peer: &mut Peer, message: Message) -> Result<Option<Heard>, Error> {
        peer.push(message.to_bytes());
        peer.next()
    }

    #[test]
    fn pieces_are_told_once_and_first() {
        let mut peer = open(Abilities::OURS);
        assert_eq!(
            say(&mut peer, Message::HaveNone).unwrap(),
            Some(Heard::Pieces)
        );
        let have = Message::Have(PieceIndex(8));
        assert_eq!(
            say(&mut peer, have.clone()).unwrap(),
            Some(Heard::Have(PieceIndex(8)))
        );
        assert_eq!(say(&mut peer, have).unwrap(), None);
        assert_eq!(say(&mut peer, Message::HaveAll), Err(Error::Again));
    }

    #[test]
    fn a_later_bitfield_is_heard_as_haves() {
        let mut peer = open(Abilities::OURS);
        say(&mut peer, Message::HaveNone).unwrap();
        say(&mut peer, Message::Have(PieceIndex(8))).unwrap();
        let mut set = Bitfield::empty(9);
        for n in [1, 3, 8] {
            set.insert(n);
        }
        let mut heard = say(&mut peer, Message::Bitfield(set.to_bytes())).unwrap();
        let mut pieces = vec![];
        while let Some(Heard::Have(piece)) = heard {
            pieces.push(piece.0);
            heard = peer.next().unwrap();
        }
        pieces.sort_unstable();
        assert_eq!((heard, pieces), (None, vec![1, 3]));
        assert_eq!(peer.have().count(), 3);
    }

    #[test]
    fn pieces_past_the_end_break_the_protocol() {
        for message in [Message::Have, Message::Suggest, Message::AllowedFast] {
            let mut peer = open(Abilities::OURS);
            assert!(say(&mut peer, message(PieceIndex(9))).is_err());
        }
    }

    #[test]
    fn fast_messages_need_agreement() {
        let mut peer = open(Abilities::default());
        assert_eq!(say(&mut peer, Message::HaveAll), Err(Error::NotAgreed));
    }

    #[test]
    fn without_content_only_extensions_are_heard() {
        let mut peer = Peer::new(None, 0);
        let shake = Handshake {
            abilities: Abilities::OURS,
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
        };
        peer.push(Bytes::copy_from_slice(&shake.encode()));
        peer.next().unwrap();
        assert_eq!(say(&mut peer, Message::Have(PieceIndex(77))).unwrap(), None);
        let said = Message::Extended {
            id: 0,
            payload: Bytes::from_static(b"de"),
        };
        assert_eq!(
            say(&mut peer, said.clone()).unwrap(),
            Some(Heard::Message(said))
        );
    }
}
