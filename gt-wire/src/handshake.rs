//! The first 68 bytes of a connection (BEP 3) and its reserved bits.

use std::time::Duration;

use crate::{InfoHash, PeerId};

/// Bytes of a handshake.
pub const LENGTH: usize = 68;

/// The step in which a handshake tells the length of a line.
pub const TRIP_STEP: Duration = Duration::from_millis(4);

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// What both ends say first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// What the sender can do beyond BEP 3.
    pub abilities: Abilities,
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who the sender is.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Returns the 68 bytes.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut raw = [0; LENGTH];
        raw[..20].copy_from_slice(PROTOCOL);
        raw[20..28].copy_from_slice(&self.abilities.0);
        raw[28..48].copy_from_slice(&self.info_hash.0);
        raw[48..].copy_from_slice(&self.peer_id.0);
        raw
    }

    /// Reads the 68 bytes.
    ///
    /// # Errors
    /// Where they do not begin with the protocol's name.
    pub fn read(raw: &[u8; LENGTH]) -> Result<Self, Error> {
        check_protocol(raw)?;
        Ok(Self {
            abilities: Abilities(array(&raw[20..28])),
            info_hash: InfoHash(array(&raw[28..48])),
            peer_id: PeerId(array(&raw[48..])),
        })
    }

    /// Reads the info-hash from the first bytes of an incoming connection, so
    /// that a listener can find the swarm; `None` until 48 bytes are there.
    ///
    /// # Errors
    /// As soon as the bytes differ from the protocol's name.
    pub fn info_hash_in(raw: &[u8]) -> Result<Option<InfoHash>, Error> {
        check_protocol(raw)?;
        Ok(raw.get(28..48).map(|hash| InfoHash(array(hash))))
    }
}

/// The reserved bits of a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities(pub [u8; 8]);

impl Abilities {
    /// What this crate can do: the extension protocol, the fast extension, v2,
    /// and turns from the handshake on.
    pub const OURS: Self = Self([0, 0, 0, 0, 0x01, 0x10, 0, 0x14]);

    /// Returns the same for a torrent without a v2 half.
    #[must_use]
    pub const fn without_v2(mut self) -> Self {
        self.0[7] &= !0x10;
        self
    }

    /// Returns the same without turns from the handshake on.
    #[must_use]
    pub const fn without_turns(mut self) -> Self {
        self.0[4] = 0;
        self
    }

    /// Returns the same for somebody who has no piece yet.
    #[must_use]
    pub const fn with_nothing(mut self) -> Self {
        self.0[4] |= 0x02;
        self
    }

    /// Returns the same with the time that the sender's call took to be
    /// answered, in steps of [`TRIP_STEP`] and below 64 of them.
    #[must_use]
    pub fn with_trip(mut self, trip: Duration) -> Self {
        let steps = trip.as_millis() / TRIP_STEP.as_millis();
        self.0[4] = self.0[4] & 0x03 | (steps.min(0x3f) as u8) << 2;
        self
    }

    /// Returns how long the sender's call took to be answered, so that who was
    /// called knows the length of the line before its first word: at least so
    /// long, and no step longer. Who was called itself says zero; `None` where
    /// the sender has no turns.
    pub fn trip(&self) -> Option<Duration> {
        let steps = u32::from(self.0[4] >> 2);
        self.turns().then(|| TRIP_STEP * steps)
    }

    /// Turns from the handshake on: [`gt_turn`](crate::turn) has the number
    /// [`turn::NUMBER`](crate::turn::NUMBER) with the sender, which knows gifts,
    /// takes of whole pieces, and lists of pieces. It is a bit of our own, which
    /// no BEP gives another meaning; it saves the round trip of the extension
    /// handshake.
    pub fn turns(&self) -> bool {
        self.0[4] & 0x01 != 0
    }

    /// The sender has turns from the handshake on and no piece yet, so that
    /// whatever is given to it is of use. It too is a bit of our own.
    pub fn has_nothing(&self) -> bool {
        self.0[4] & 0x03 == 0x03
    }

    /// Extension protocol (BEP 10).
    pub fn extended(&self) -> bool {
        self.0[5] & 0x10 != 0
    }

    /// Fast extension (BEP 6).
    pub fn fast(&self) -> bool {
        self.0[7] & 0x04 != 0
    }

    /// BitTorrent v2 (BEP 52): hash requests, and the upgrade of a hybrid
    /// torrent's connection.
    pub fn v2(&self) -> bool {
        self.0[7] & 0x10 != 0
    }

    /// A DHT node stands behind the peer (BEP 5).
    pub fn dht(&self) -> bool {
        self.0[7] & 0x01 != 0
    }

    /// Returns what both ends can do.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.0;
        both.iter_mut().zip(other.0).for_each(|(a, b)| *a &= b);
        Self(both)
    }
}

/// Why bytes are no handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// They do not name the protocol.
    #[error("expected the BitTorrent protocol's name, got {got:?}")]
    Protocol {
        /// The first bytes, escaped.
        got: String,
    },
}

fn check_protocol(raw: &[u8]) -> Result<(), Error> {
    let seen = raw.len().min(PROTOCOL.len());
    if raw[..seen] == PROTOCOL[..seen] {
        Ok(())
    } else {
        Err(Error::Protocol {
            got: raw[..seen].escape_ascii().to_string(),
        })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(bits in any::<[u8; 8]>(), hash in any::<[u8; 20]>(), id in any::<[u8; 20]>()) {
            let shake = Handshake { abilities: Abilities(bits), info_hash: InfoHash(hash), peer_id: PeerId(id) };
            let raw = shake.encode();
            prop_assert_eq!(Handshake::read(&raw).unwrap(), shake);
            for cut in 0..LENGTH {
                let seen = Handshake::info_hash_in(&raw[..cut]).unwrap();
                prop_assert_eq!(seen, (cut >= 48).then_some(InfoHash(hash)));
            }
        }
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        assert!(Handshake::info_hash_in(b"GET / HTTP/1.1").is_err());
        assert!(Handshake::info_hash_in(b"\x13BitTorrent protocoL").is_err());
        let mut raw = [0; LENGTH];
        raw[0] = 19;
        assert!(Handshake::read(&raw).is_err());
    }

    #[test]
    fn our_bits() {
        let ours = Abilities::OURS;
        assert!(ours.extended() && ours.fast() && ours.v2() && !ours.dht());
        assert!(ours.turns() && !ours.has_nothing());
        assert!(ours.with_nothing().has_nothing());
        let millis = Duration::from_millis;
        for (trip, told) in [(0, 0), (3, 0), (50, 48), (9000, 252)] {
            let bits = ours.with_nothing().with_trip(millis(trip));
            assert_eq!(bits.trip(), Some(millis(told)), "{trip} ms");
            assert!(bits.has_nothing() && bits.without_turns().trip().is_none());
        }
        let stock = ours.with_nothing().without_turns();
        assert!(stock.fast() && !stock.turns() && !stock.has_nothing());
        assert_eq!(ours.and(&Abilities::default()), Abilities::default());
    }
}
