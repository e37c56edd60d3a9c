//! Hole punching (BEP 55): two peers whom no stranger can reach meet through a
//! third that both are connected to.
//!
//! ```text
//!   asker ── rendezvous(target) ──▶ relay ── connect(asker) ──▶ target
//!   asker ◀── connect(target) ───── relay
//!   asker ◀══════════ both call each other at once (uTP) ═════▶ target
//! ```

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// The extension's name.
pub const NAME: &str = "ut_holepunch";

/// One message. The address is always that of the peer at the other end of
/// the relay's other connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// To a relay: bring us together with this peer of yours.
    Rendezvous(SocketAddr),
    /// From a relay: call this peer now, it calls too.
    Connect(SocketAddr),
    /// From a relay: it cannot be done.
    Failed(SocketAddr, Fault),
}

/// Why a relay brings nobody together, by the numbers of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// 1: no peer can have that address.
    #[error("no peer can have that address")]
    NoSuchPeer,
    /// 2: the relay is not connected to it.
    #[error("not connected to that peer")]
    NotConnected,
    /// 3: it does not understand hole punching.
    #[error("that peer does not understand hole punching")]
    NoSupport,
    /// 4: it is the relay itself.
    #[error("that peer is the relay itself")]
    Itself,
    /// A number that the BEP does not name.
    #[error("error {0}")]
    Other(u32),
}

impl Fault {
    fn number(self) -> u32 {
        match self {
            Self::NoSuchPeer => 1,
            Self::NotConnected => 2,
            Self::NoSupport => 3,
            Self::Itself => 4,
            Self::Other(number) => number,
        }
    }

    fn of(number: u32) -> Self {
        match number {
            1 => Self::NoSuchPeer,
            2 => Self::NotConnected,
            3 => Self::NoSupport,
            4 => Self::Itself,
            other => Self::Other(other),
        }
    }
}

/// Why a payload is no message of this extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a message of hole punching, got {length} bytes of type {kind:?}")]
pub struct Error {
    /// How long it is.
    pub length: usize,
    /// Its first byte.
    pub kind: Option<u8>,
}

impl Message {
    /// Reads a payload. Bytes after an error number are left for later
    /// versions; an error number of another message means nothing, and may be
    /// absent.
    ///
    /// # Errors
    /// Where it is cut short, or of a type or a kind of address that the BEP
    /// does not name.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let wrong = || Error {
            length: payload.len(),
            kind: payload.first().copied(),
        };
        let (ip, rest) = match payload.get(1) {
            Some(0) => {
                let (ip, rest) = payload[2..].split_first_chunk::<4>().ok_or_else(wrong)?;
                (IpAddr::from(*ip), rest)
            }
            Some(1) => {
                let (ip, rest) = payload[2..].split_first_chunk::<16>().ok_or_else(wrong)?;
                (IpAddr::from(*ip).to_canonical(), rest)
            }
            _ => return Err(wrong()),
        };
        let (port, rest) = rest.split_first_chunk::<2>().ok_or_else(wrong)?;
        let addr = SocketAddr::new(ip, u16::from_be_bytes(*port));
        match payload[0] {
            0 => Ok(Self::Rendezvous(addr)),
            1 => Ok(Self::Connect(addr)),
            2 => {
                let (number, _) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
                Ok(Self::Failed(addr, Fault::of(u32::from_be_bytes(*number))))
            }
            _ => Err(wrong()),
        }
    }

    /// Writes the payload.
    pub fn write(&self) -> Bytes {
        let (kind, addr, fault) = match *self {
            Self::Rendezvous(addr) => (0, addr, 0),
            Self::Connect(addr) => (1, addr, 0),
            Self::Failed(addr, fault) => (2, addr, fault.number()),
        };
        let mut out = vec![kind];
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => {
                out.push(0);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(1);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.extend_from_slice(&addr.port().to_be_bytes());
        out.extend_from_slice(&u32::to_be_bytes(fault));
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_of_the_bep() {
        let addr = "1.2.3.4:6881".parse().unwrap();
        let raw = b"\x01\x00\x01\x02\x03\x04\x1a\xe1\0\0\0\0";
        assert_eq!(&Message::Connect(addr).write()[..], raw);
        // Some leave the error number of other messages out.
        assert_eq!(Message::read(&raw[..8]), Ok(Message::Connect(addr)));
        assert!(Message::read(&raw[..7]).is_err());
        let failed = b"\x02\x00\x01\x02\x03\x04\x1a\xe1\0\0\0\x03";
        let fault = Message::Failed(addr, Fault::NoSupport);
        assert_eq!(Message::read(failed), Ok(fault));
        assert!(Message::read(&failed[..8]).is_err());
        assert!(Message::read(b"\x03\x00\x01\x02\x03\x04\x1a\xe1\0\0\0\0").is_err());
        assert!(Message::read(b"\x01\x02\x01\x02\x03\x04\x1a\xe1\0\0\0\0").is_err());
    }

    proptest! {
        #[test]
        fn round_trip(kind in 0..3u8, four: bool, ip: [u8; 16], port: u16, number: u32) {
            let ip = match four {
                true => IpAddr::from([ip[0], ip[1], ip[2], ip[3]]),
                false => IpAddr::from(ip).to_canonical(),
            };
            let addr = SocketAddr::new(ip, port);
            let message = match kind {
                0 => Message::Rendezvous(addr),
                1 => Message::Connect(addr),
                _ => Message::Failed(addr, Fault::of(number)),
            };
            prop_assert_eq!(Message::read(&message.write()), Ok(message));
        }

        #[test]
        fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(message) = Message::read(&raw) {
                prop_assert_eq!(Message::read(&message.write()), Ok(message));
            }
        }
    }
}
