//! What a peer asks.

use std::net::IpAddr;

use gt_wire::source::{Announce, Event};
use gt_wire::{InfoHash, PeerId};

use crate::limits;
use crate::query::{self, Error, Query};

/// What a peer asks a tracker: the announce, and how it wants to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// What the peer says of itself.
    pub announce: Announce,
    /// The form of the answer; `None` leaves it to the tracker (BEP 23).
    pub compact: Option<bool>,
    /// Asks for dictionaries without peer ids.
    pub no_peer_id: bool,
    /// Proves to a tracker that a peer whose address changed is the same.
    pub key: Option<Vec<u8>>,
    /// What the tracker called itself in its last answer, echoed.
    pub tracker_id: Option<Vec<u8>>,
    /// Where the peer says it is; a tracker has reasons not to believe it.
    pub ip: Option<IpAddr>,
}

impl Request {
    /// Returns a request for a compact answer, without key and tracker id.
    pub fn new(announce: Announce) -> Self {
        Self {
            announce,
            compact: Some(true),
            no_peer_id: false,
            key: None,
            tracker_id: None,
            ip: None,
        }
    }

    /// Writes the query of an HTTP announce, without the question mark.
    pub fn to_query(&self) -> String {
        let announce = &self.announce;
        let mut query = String::new();
        let mut push = |key, value: &[u8]| query::push(&mut query, key, value);
        push("info_hash", &announce.info_hash.0);
        push("peer_id", &announce.peer_id.0);
        push("port", announce.port.to_string().as_bytes());
        push("uploaded", announce.uploaded.to_string().as_bytes());
        push("downloaded", announce.downloaded.to_string().as_bytes());
        push("left", announce.left.to_string().as_bytes());
        if let Some(event) = announce.event {
            push("event", event_name(event));
        }
        if let Some(want) = announce.want {
            push("numwant", want.to_string().as_bytes());
        }
        if let Some(compact) = self.compact {
            push("compact", if compact { b"1" } else { b"0" });
        }
        if self.no_peer_id {
            push("no_peer_id", b"1");
        }
        if let Some(key) = &self.key {
            push("key", key);
        }
        if let Some(id) = &self.tracker_id {
            push("trackerid", id);
        }
        if let Some(ip) = self.ip {
            push("ip", ip.to_string().as_bytes());
        }
        query
    }

    /// Reads the query of an HTTP announce.
    ///
    /// `info_hash`, `peer_id` and `port` must be there. Missing counters are
    /// 0, a missing `left` is the largest number: what is not told to be whole
    /// is not. Unknown keys, unknown events and an `ip` that is no address are
    /// ignored; a negative `numwant` leaves the number to the tracker, as
    /// clients of old mean it.
    ///
    /// # Errors
    /// Where a value that matters is missing, repeated or out of its range.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let query = Query::parse(query);
        let count = |key| query.number::<u64>(key, "a number of bytes");
        let info_hash = InfoHash(query.twenty("info_hash")?);
        let peer_id = PeerId(query.twenty("peer_id")?);
        let port = query.number("port", "a number from 0 to 65535")?;
        let event = match query.one("event")? {
            Some(b"started") => Some(Event::Started),
            Some(b"completed") => Some(Event::Completed),
            Some(b"stopped") => Some(Event::Stopped),
            _ => None,
        };
        let want = query.number::<i64>("numwant", "a number")?;
        Ok(Self {
            announce: Announce {
                info_hash,
                peer_id,
                port: port.ok_or(Error::Missing("port"))?,
                uploaded: count("uploaded")?.unwrap_or(0),
                downloaded: count("downloaded")?.unwrap_or(0),
                left: count("left")?.unwrap_or(u64::MAX),
                event,
                want: want
                    .filter(|want| *want >= 0)
                    .map(|want| u32::try_from(want).unwrap_or(u32::MAX)),
            },
            compact: query.flag("compact")?,
            no_peer_id: query.flag("no_peer_id")?.unwrap_or(false),
            key: query.token("key", limits::TOKEN)?,
            tracker_id: query.token("trackerid", limits::TOKEN)?,
            ip: query
                .one("ip")?
                .and_then(|ip| std::str::from_utf8(ip).ok()?.parse().ok()),
        })
    }
}

fn event_name(event: Event) -> &'static [u8] {
    match event {
        Event::Started => b"started",
        Event::Completed => b"completed",
        Event::Stopped => b"stopped",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> impl Strategy<Value = Request> {
        let event = prop_oneof![
            Just(None),
            Just(Some(Event::Started)),
            Just(Some(Event::Completed)),
            Just(Some(Event::Stopped)),
        ];
        let announce = (
            any::<([u8; 20], [u8; 20], u16)>(),
            any::<[u64; 3]>(),
            event,
            any::<Option<u32>>(),
        )
            .prop_map(
                |((info_hash, peer_id, port), [uploaded, downloaded, left], event, want)| {
                    Announce {
                        info_hash: InfoHash(info_hash),
                        peer_id: PeerId(peer_id),
                        port,
                        uploaded,
                        downloaded,
                        left,
                        event,
                        want,
                    }
                },
            );
        let token = || prop::option::of(prop::collection::vec(any::<u8>(), 1..40));
        let tail = (
            any::<Option<bool>>(),
            any::<bool>(),
            token(),
            token(),
            any::<Option<IpAddr>>(),
        );
        (announce, tail).prop_map(|(announce, (compact, no_peer_id, key, tracker_id, ip))| {
            Request {
                announce,
                compact,
                no_peer_id,
                key,
                tracker_id,
                ip,
            }
        })
    }

    proptest! {
        #[test]
        fn parses_what_it_writes(request in request()) {
            let query = request.to_query();
            prop_assert!(query.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'?'));
            prop_assert_eq!(Request::parse(&query), Ok(request));
        }

        #[test]
        fn never_panics(query in "[a-z_=&%0-9\u{e9}]{0,80}") {
            let _ = Request::parse(&query);
        }
    }

    const HASH: &str = "%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A";
    const ID: &str = "-aa0001-abcdefghijkl";

    /// Bytes that need no escape may stand bare beside bytes that do.
    #[test]
    fn reads_mixed_escapes() {
        let query = format!("info_hash={HASH}&peer_id={ID}&port=6881&supportcrypto=1&left=0");
        let request = Request::parse(&query).unwrap();
        assert_eq!(
            request.announce.info_hash.to_string(),
            "123456789abcdef123456789abcdef123456789a"
        );
        assert_eq!(request.announce.left, 0);
        assert_eq!(
            request.announce.peer_id.0,
            *ID.as_bytes().first_chunk().unwrap()
        );
    }

    #[test]
    fn is_lenient_where_nothing_hangs_on_it() {
        let query = format!(
            "info_hash={HASH}&peer_id={ID}&port=1&numwant=-1&event=paused&ip=example.org&key=&&x"
        );
        let request = Request::parse(&query).unwrap();
        assert_eq!(request.announce.want, None);
        assert_eq!(request.announce.event, None);
        assert_eq!(request.announce.left, u64::MAX);
        assert_eq!(request.ip, None);
        assert_eq!(request.key, None);
    }

    #[test]
    fn refuses_what_is_no_announce() {
        let start = format!("info_hash={HASH}&peer_id={ID}");
        for (query, error) in [
            (String::new(), "expected info_hash, got none"),
            (start.clone(), "expected port, got none"),
            (
                format!("peer_id={ID}&port=1"),
                "expected info_hash, got none",
            ),
            (
                format!("{start}&port=65536"),
                "expected a number from 0 to 65535 as port, got \"65536\"",
            ),
            (
                format!("{start}&port=%2B1"),
                "expected a number from 0 to 65535 as port, got \"+1\"",
            ),
            (
                format!("{start}&port=1&port=2"),
                "expected port once, got it 2 times",
            ),
            (
                format!("{start}&port=1&left=-1"),
                "expected a number of bytes as left, got \"-1\"",
            ),
            (
                format!("{start}&port=1&compact=yes"),
                "expected 0 or 1 as compact, got \"yes\"",
            ),
            (
                format!("{start}&port=1&key={}", "k".repeat(257)),
                "expected key of 256 bytes, got 257",
            ),
            (
                format!("info_hash=abc&peer_id={ID}&port=1"),
                "expected info_hash of 20 bytes, got 3",
            ),
            (
                format!("info_hash={HASH}&info_hash={HASH}&peer_id={ID}&port=1"),
                "expected info_hash once, got it 2 times",
            ),
        ] {
            assert_eq!(
                Request::parse(&query).unwrap_err().to_string(),
                error,
                "{query}"
            );
        }
    }
}
