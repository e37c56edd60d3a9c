//! The extension handshake (BEP 10), read leniently and written strictly.

pub(crate) mod scan;

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;

use scan::{Item, Scan};

/// What a peer says in its extension handshake. Keys that are absent or of a
/// wrong kind stay `None`: other clients' slips cost them the feature, not the
/// connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// The sender's number for each extension it understands (`m`); numbers
    /// from 1, at most [`Self::MOST`] of them.
    pub numbers: BTreeMap<String, u8>,
    /// The port it listens on (`p`).
    pub port: Option<u16>,
    /// Name and version of its client (`v`), cut to 64 bytes.
    pub client: Option<String>,
    /// How many requests it takes at a time (`reqq`).
    pub queue: Option<u32>,
    /// Bytes of the info dictionary (`metadata_size`, BEP 9).
    pub metadata_size: Option<u32>,
    /// It wants nothing (`upload_only`, BEP 21).
    pub upload_only: bool,
    /// Our address as it sees us (`yourip`).
    pub your_ip: Option<IpAddr>,
}

impl Extensions {
    /// The most extensions that are remembered of one peer.
    pub const MOST: usize = 64;

    /// Returns the peer's number for an extension that it understands.
    pub fn number(&self, name: &str) -> Option<u8> {
        self.numbers.get(name).copied()
    }

    /// Reads a payload. Where a later handshake speaks of an extension again,
    /// [`update`](Self::update) folds it in.
    ///
    /// # Errors
    /// Where it is no bencoded dictionary at all.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut seen = Self::default();
        seen.update(payload)?;
        Ok(seen)
    }

    /// Folds a further handshake in; a number of 0 takes an extension away.
    ///
    /// # Errors
    /// Where it is no bencoded dictionary at all; nothing has changed then.
    pub fn update(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut next = self.clone();
        let mut scan = Scan::new(payload);
        scan.dictionary(|key, value| {
            match (key, value) {
                (b"m", Item::Nested(raw)) => {
                    // A broken `m` is an absent one.
                    let _ = Scan::new(raw).dictionary(|name, number| next.number_for(name, number));
                }
                (b"p", Item::Int(n)) => next.port = u16::try_from(n).ok().filter(|p| *p != 0),
                (b"v", Item::Text(text)) => {
                    let text = &text[..text.len().min(64)];
                    // What is no text takes more room as text.
                    let mut text = String::from_utf8_lossy(text).into_owned();
                    while text.len() > 64 {
                        text.pop();
                    }
                    next.client = Some(text);
                }
                (b"reqq", Item::Int(n)) => next.queue = u32::try_from(n).ok(),
                (b"metadata_size", Item::Int(n)) => next.metadata_size = u32::try_from(n).ok(),
                (b"upload_only", Item::Int(n)) => next.upload_only = n != 0,
                (b"yourip", Item::Text(raw)) => next.your_ip = address(raw),
                _ => {}
            }
        })?;
        *self = next;
        Ok(())
    }

    fn number_for(&mut self, name: &[u8], number: Item<'_>) {
        let (Ok(name), Item::Int(number)) = (std::str::from_utf8(name), number) else {
            return;
        };
        match u8::try_from(number) {
            Ok(0) => {
                self.numbers.remove(name);
            }
            Ok(number) if name.len() <= 64 && self.numbers.len() < Self::MOST => {
                self.numbers.insert(name.to_owned(), number);
            }
            _ => {}
        }
    }

    /// Writes the payload, canonically.
    pub fn write(&self) -> Bytes {
        let mut out = b"d".to_vec();
        out.extend_from_slice(b"1:md");
        for (name, number) in &self.numbers {
            text(&mut out, name.as_bytes());
            int(&mut out, u64::from(*number));
        }
        out.push(b'e');
        let mut number = |key: &str, value: Option<u64>| {
            if let Some(value) = value {
                text(&mut out, key.as_bytes());
                int(&mut out, value);
            }
        };
        number("metadata_size", self.metadata_size.map(u64::from));
        number("p", self.port.map(u64::from));
        number("reqq", self.queue.map(u64::from));
        number("upload_only", self.upload_only.then_some(1));
        if let Some(client) = &self.client {
            text(&mut out, b"v");
            text(&mut out, client.as_bytes());
        }
        if let Some(ip) = self.your_ip {
            text(&mut out, b"yourip");
            match ip {
                IpAddr::V4(ip) => text(&mut out, &ip.octets()),
                IpAddr::V6(ip) => text(&mut out, &ip.octets()),
            }
        }
        out.push(b'e');
        out.into()
    }
}

fn address(raw: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(raw).map(IpAddr::from);
    let six = || <[u8; 16]>::try_from(raw).map(IpAddr::from);
    let ip = four.or_else(|_| six()).ok()?;
    Some(ip.to_canonical())
}

pub(crate) fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(text);
}

pub(crate) fn int(out: &mut Vec<u8>, value: u64) {
    out.push(b'i');
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'e');
}

/// Why a payload is no message of an extension.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no bencoded dictionary.
    #[error("expected a bencoded dictionary, got something else at byte {at}")]
    Bencode {
        /// Where the reading stopped.
        at: usize,
    },
    /// A key that the message needs is absent or makes no sense.
    #[error("expected a value for {key} that makes sense, got none")]
    Key {
        /// The key.
        key: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(
            numbers in prop::collection::btree_map("[a-z_]{1,12}", 1u8.., 0..6),
            port in prop::option::of(1u16..),
            client in prop::option::of("[ -~]{0,30}"),
            queue in prop::option::of(any::<u32>()),
            metadata_size in prop::option::of(any::<u32>()),
            upload_only: bool,
            your_ip in prop::option::of(any::<[u8; 4]>().prop_map(IpAddr::from)),
        ) {
            let said = Extensions { numbers, port, client, queue, metadata_size, upload_only, your_ip };
            prop_assert_eq!(Extensions::read(&said.write()).unwrap(), said);
        }

        #[test]
        fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(said) = Extensions::read(&raw) {
                prop_assert_eq!(Extensions::read(&said.write()).unwrap(), said);
            }
        }

        #[test]
        fn almost_right_is_read_the_same_again(
            name in prop::collection::vec(any::<u8>(), 0..90),
            client in prop::collection::vec(any::<u8>(), 0..90),
        ) {
            let mut raw = b"d1:md".to_vec();
            text(&mut raw, &name);
            raw.extend_from_slice(b"i3ee");
            text(&mut raw, b"v");
            text(&mut raw, &client);
            raw.push(b'e');
            let said = Extensions::read(&raw).unwrap();
            prop_assert_eq!(Extensions::read(&said.write()).unwrap(), said);
        }
    }

    #[test]
    fn wrong_kinds_and_strange_order_are_passed_over() {
        let said = Extensions::read(b"d1:v3:abc1:md6:ut_pexi1e3:abci0e5:abcdei300ee4:reqq2:no1:pi70000e6:yourip4:\x7f\0\0\x01e").unwrap();
        assert_eq!(said.number("ut_pex"), Some(1));
        assert_eq!(said.numbers.len(), 1);
        assert_eq!((said.port, said.queue), (None, None));
        assert_eq!(said.client.as_deref(), Some("abc"));
    }

    #[test]
    fn a_later_handshake_takes_an_extension_away() {
        let mut said = Extensions::read(b"d1:md1:ai1e1:bi2eee").unwrap();
        said.update(b"d1:md1:ai0eee").unwrap();
        assert_eq!(said.numbers, BTreeMap::from([("b".to_owned(), 2)]));
        assert!(said.update(b"le").is_err());
    }
}
