//! Peer exchange (BEP 11): peers tell each other whom they are connected to.
//!
//! What comes in is a hint from a stranger: the reader takes no more than an
//! honest peer would send, and the swarm counts who told what.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

use crate::extended::scan::{Item, Scan};
use crate::extended::{Error, text};
use crate::limits;

/// The extension's name.
pub const NAME: &str = "ut_pex";

/// What a peer tells of its connections since it last told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Peers that it is connected to now.
    pub added: Vec<Contact>,
    /// Peers that it is no longer connected to.
    pub dropped: Vec<SocketAddr>,
}

/// A peer that another peer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// Where it listens, as far as the teller knows.
    pub addr: SocketAddr,
    /// What the teller knows of it.
    pub traits: Traits,
}

/// What is told of a peer beside its address, as the bits of the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Traits(pub u8);

impl Traits {
    /// It wants encrypted connections.
    pub const ENCRYPTION: Self = Self(0x01);
    /// It only uploads: a seed, or one that wants no more (BEP 21).
    pub const UPLOAD_ONLY: Self = Self(0x02);
    /// It speaks uTP (BEP 29).
    pub const UTP: Self = Self(0x04);
    /// It understands hole punching (BEP 55).
    pub const HOLE_PUNCH: Self = Self(0x08);
    /// The teller reached it by a connection of its own.
    pub const REACHABLE: Self = Self(0x10);

    /// Tells whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the bits of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Exchange {
    /// Reads a payload: of each kind no more than
    /// [`EXCHANGE_ADDED`](limits::EXCHANGE_ADDED) addresses, those that cannot
    /// be an address of anybody left out, each once.
    ///
    /// # Errors
    /// Where it is no bencoded dictionary. Keys of a wrong kind are absent
    /// ones.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut parts: [&[u8]; 6] = [&[]; 6];
        Scan::new(payload).dictionary(|key, value| {
            let Item::Text(value) = value else { return };
            let at = match key {
                b"added" => 0,
                b"added.f" => 1,
                b"added6" => 2,
                b"added6.f" => 3,
                b"dropped" => 4,
                b"dropped6" => 5,
                _ => return,
            };
            parts[at] = value;
        })?;
        let [v4, v4_bits, v6, v6_bits, gone4, gone6] = parts;
        let bits = |bits: &[u8], n: usize| Traits(bits.get(n).copied().unwrap_or(0));
        let four = addrs4(v4).enumerate().map(|(n, a)| (a, bits(v4_bits, n)));
        let six = addrs6(v6).enumerate().map(|(n, a)| (a, bits(v6_bits, n)));
        let mut seen = Self::default();
        for (addr, traits) in four.chain(six) {
            if seen.added.len() < limits::EXCHANGE_ADDED
                && is_somebody(addr)
                && !seen.added.iter().any(|known| known.addr == addr)
            {
                seen.added.push(Contact { addr, traits });
            }
        }
        for addr in addrs4(gone4).chain(addrs6(gone6)) {
            if seen.dropped.len() < limits::EXCHANGE_ADDED
                && is_somebody(addr)
                && !seen.dropped.contains(&addr)
            {
                seen.dropped.push(addr);
            }
        }
        Ok(seen)
    }

    /// Writes the payload, canonically. Addresses of IPv4 inside IPv6 are
    /// written as what they are.
    pub fn write(&self) -> Bytes {
        let mut parts: [Vec<u8>; 6] = Default::default();
        for contact in &self.added {
            let at = usize::from(put(&mut parts, 0, contact.addr)) * 2 + 1;
            parts[at].push(contact.traits.0);
        }
        for addr in &self.dropped {
            put(&mut parts, 4, *addr);
        }
        let names: [&[u8]; 6] = [
            b"added",
            b"added.f",
            b"added6",
            b"added6.f",
            b"dropped",
            b"dropped6",
        ];
        let mut out = b"d".to_vec();
        for (name, part) in names.into_iter().zip(&parts) {
            // Some readers expect the keys of IPv4, empty or not.
            if !part.is_empty() || !name.contains(&b'6') {
                text(&mut out, name);
                text(&mut out, part);
            }
        }
        out.push(b'e');
        out.into()
    }

    /// Tells whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }
}

/// Appends an address to the part for its family; tells whether that was
/// IPv6. `first` is the part for IPv4; that for IPv6 is the second behind it
/// among the added ones and the next among the dropped.
fn put(parts: &mut [Vec<u8>; 6], first: usize, addr: SocketAddr) -> bool {
    let next = if first == 0 { 2 } else { first + 1 };
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            parts[first].extend_from_slice(&ip.octets());
            parts[first].extend_from_slice(&addr.port().to_be_bytes());
            false
        }
        IpAddr::V6(ip) => {
            parts[next].extend_from_slice(&ip.octets());
            parts[next].extend_from_slice(&addr.port().to_be_bytes());
            true
        }
    }
}

fn addrs4(raw: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    raw.chunks_exact(6).map(|c| {
        let ip = IpAddr::from([c[0], c[1], c[2], c[3]]);
        SocketAddr::new(ip, u16::from_be_bytes([c[4], c[5]]))
    })
}

fn addrs6(raw: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    raw.chunks_exact(18).map(|c| {
        let mut ip = [0; 16];
        ip.copy_from_slice(&c[..16]);
        SocketAddr::new(
            Ipv6Addr::from(ip).into(),
            u16::from_be_bytes([c[16], c[17]]),
        )
    })
}

/// Tells whether an address may be anybody's at all; one of IPv4 in the dress
/// of IPv6 is nobody's.
fn is_somebody(addr: SocketAddr) -> bool {
    let broadcast = match addr.ip() {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addr() -> impl Strategy<Value = SocketAddr> {
        let four = any::<[u8; 4]>().prop_map(IpAddr::from);
        let six = any::<[u8; 16]>().prop_map(|o| IpAddr::from(o).to_canonical());
        (prop_oneof![four, six], 1u16..)
            .prop_map(|(ip, port)| SocketAddr::new(ip, port))
            .prop_filter("somebody", |addr| is_somebody(*addr))
    }

    proptest! {
        #[test]
        fn round_trip(
            added in prop::collection::btree_map(addr(), any::<u8>(), 0..50),
            dropped in prop::collection::btree_set(addr(), 0..50),
        ) {
            // The families are written one after the other.
            let added = added.into_iter().map(|(addr, bits)| Contact { addr, traits: Traits(bits) });
            let said = Exchange { added: added.collect(), dropped: dropped.into_iter().collect() };
            prop_assert_eq!(Exchange::read(&said.write()).unwrap(), said);
        }

        #[test]
        fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(said) = Exchange::read(&raw) {
                prop_assert_eq!(Exchange::read(&said.write()).unwrap(), said);
            }
        }
    }

    #[test]
    fn what_others_write_is_read() {
        let said = Exchange::read(
            b"d5:added12:\x7f\0\0\x01\x1a\xe1\x0a\0\0\x02\x1a\xe27:added.f1:\x127:dropped6:\x01\x02\x03\x04\0\x508:dropped60:e",
        )
        .unwrap();
        let first = said.added[0];
        assert_eq!(first.addr, "127.0.0.1:6881".parse().unwrap());
        assert!(first.traits.has(Traits::UPLOAD_ONLY.and(Traits::REACHABLE)));
        // Bits that lack are none.
        assert_eq!(said.added[1].traits, Traits::default());
        assert_eq!(said.dropped, ["1.2.3.4:80".parse().unwrap()]);
        assert!(Exchange::read(b"d5:addedi7ee").unwrap().is_empty());
        assert!(Exchange::read(b"i7e").is_err());
    }

    #[test]
    fn more_than_an_honest_peer_sends_is_left() {
        let raw: Vec<u8> = (0..5000u32)
            .flat_map(|n| [9, (n >> 8) as u8, n as u8, 1, 0x1a, 0xe1])
            .collect();
        let mut message = b"d5:added".to_vec();
        message.extend_from_slice(format!("{}:", raw.len()).as_bytes());
        message.extend_from_slice(&raw);
        message.push(b'e');
        let said = Exchange::read(&message).unwrap();
        assert_eq!(said.added.len(), limits::EXCHANGE_ADDED);
    }

    #[test]
    fn nobody_and_twice_the_same_are_left_out() {
        let raw = b"d5:added24:\0\0\0\0\x1a\xe1\x09\x09\x09\x09\x1a\xe1\x09\x09\x09\x09\x1a\xe1\xff\xff\xff\xff\x1a\xe1e";
        assert_eq!(Exchange::read(raw).unwrap().added.len(), 1);
    }
}
