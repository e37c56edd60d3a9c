//! What a tracker answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use gt_wire::PeerId;
use gt_wire::bencode::{self, Document, Keys, Kind, Limits, Node, Value};

use crate::limits;

/// What a tracker answers to an announce.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Peers, and when to come again.
    Peers(Peers),
    /// The tracker refuses, in its own words.
    Failure(String),
}

/// The answer of a tracker that is willing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peers {
    /// When to announce again, in whole seconds.
    pub interval: Duration,
    /// When to announce again at the earliest, in whole seconds.
    pub min_interval: Option<Duration>,
    /// Peers that have everything.
    pub complete: Option<u64>,
    /// Peers that lack something.
    pub incomplete: Option<u64>,
    /// To be echoed in the next announce.
    pub tracker_id: Option<Vec<u8>>,
    /// A remark for the person.
    pub warning: Option<String>,
    /// The peers, IPv4 and IPv6 in one list.
    pub peers: Vec<Peer>,
}

/// One peer in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who it is; compact answers do not tell.
    pub id: Option<PeerId>,
}

impl Peer {
    /// Returns a peer at an address.
    pub fn new(address: SocketAddr, id: Option<PeerId>) -> Self {
        Self { address, id }
    }
}

/// How peers are written into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// 6 bytes a peer (BEP 23), 18 for IPv6 in a field of its own (BEP 7).
    Compact,
    /// A dictionary each (BEP 3).
    Dictionaries {
        /// Whether the ids are in it.
        ids: bool,
    },
}

/// Why bytes are no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is not bencoded.
    #[error(transparent)]
    Bencode(#[from] bencode::Error),
    /// It is another value.
    #[error("expected a dictionary, got {0}")]
    NoDictionary(Kind),
    /// A field is of another type, or out of its range.
    #[error("expected {expected} as {key:?}")]
    Field {
        /// Which field.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Compact peers that do not come out even.
    #[error("expected {key:?} in pieces of {each} bytes, got {got} bytes")]
    Uneven {
        /// Which field.
        key: &'static str,
        /// The bytes of one peer.
        each: usize,
        /// The bytes of all.
        got: usize,
    },
}

impl Answer {
    /// Writes the bencoded body of an HTTP answer.
    pub fn write(&self, form: Form) -> Vec<u8> {
        let dict = match self {
            Self::Failure(reason) => vec![("failure reason", Value::bytes(reason))],
            Self::Peers(peers) => peers.entries(form),
        };
        Value::dict(dict).encode()
    }

    /// Reads the bencoded body of an HTTP answer.
    ///
    /// Compact peers and dictionaries are told apart by their type, whatever
    /// was asked for. Keys may stand in any order, unknown ones are ignored;
    /// a missing interval is half an hour, missing peers are none, peers
    /// named by host names are left out.
    ///
    /// # Errors
    /// Where the bytes are not bencoded, or a field that is known is not what
    /// it must be.
    pub fn read(body: &[u8]) -> Result<Self, AnswerError> {
        let document = dictionary(body)?;
        let dict = document.root();
        if let Some(reason) = words(dict, "failure reason")? {
            return Ok(Self::Failure(reason));
        }
        let seconds = |key| Ok::<_, AnswerError>(count(dict, key)?.map(Duration::from_secs));
        let mut peers = Vec::new();
        match dict.get(b"peers") {
            None => {}
            Some(list) if list.kind() == Kind::List => {
                for peer in list.items() {
                    peers.extend(one(peer)?);
                }
            }
            Some(raw) => {
                let raw = raw.as_bytes().ok_or(AnswerError::Field {
                    key: "peers",
                    expected: "a string or a list",
                })?;
                compact("peers", raw, &mut peers, v4)?;
            }
        }
        if let Some(raw) = string(dict, "peers6")? {
            compact("peers6", raw, &mut peers, v6)?;
        }
        Ok(Self::Peers(Peers {
            interval: seconds("interval")?.unwrap_or(limits::INTERVAL_UNTOLD),
            min_interval: seconds("min interval")?,
            complete: count(dict, "complete")?,
            incomplete: count(dict, "incomplete")?,
            tracker_id: string(dict, "tracker id")?
                .filter(|id| id.len() <= limits::TOKEN)
                .map(<[u8]>::to_vec),
            warning: words(dict, "warning message")?,
            peers,
        }))
    }
}

impl Peers {
    fn entries(&self, form: Form) -> Vec<(&'static str, Value)> {
        let seconds = |time: Duration| Value::number(time.as_secs());
        let mut entries = vec![("interval", seconds(self.interval))];
        let optional = [
            ("min interval", self.min_interval.map(seconds)),
            ("complete", self.complete.map(Value::number)),
            ("incomplete", self.incomplete.map(Value::number)),
            ("tracker id", self.tracker_id.as_ref().map(Value::bytes)),
            ("warning message", self.warning.as_ref().map(Value::bytes)),
        ];
        let told = |(key, value)| Some((key, value?));
        entries.extend(optional.into_iter().filter_map(told));
        match form {
            Form::Compact => {
                let (four, six) = self.compact();
                entries.push(("peers", Value::Bytes(four)));
                // Clients that know no BEP 7 need not see an empty field.
                if !six.is_empty() {
                    entries.push(("peers6", Value::Bytes(six)));
                }
            }
            Form::Dictionaries { ids } => {
                let list = self.peers.iter().map(|peer| peer.to_dictionary(ids));
                entries.push(("peers", Value::List(list.collect())));
            }
        }
        entries
    }

    fn compact(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for peer in &self.peers {
            let raw = match peer.address.ip() {
                IpAddr::V4(ip) => {
                    four.extend(ip.octets());
                    &mut four
                }
                IpAddr::V6(ip) => {
                    six.extend(ip.octets());
                    &mut six
                }
            };
            raw.extend(peer.address.port().to_be_bytes());
        }
        (four, six)
    }
}

impl Peer {
    fn to_dictionary(self, ids: bool) -> Value {
        let mut entries = vec![
            ("ip", Value::bytes(self.address.ip().to_string())),
            ("port", Value::number(self.address.port().into())),
        ];
        entries.extend(
            self.id
                .filter(|_| ids)
                .map(|id| ("peer id", Value::bytes(id.0))),
        );
        Value::dict(entries)
    }
}

/// Reads bytes that are one dictionary, keys in any order: trackers in the
/// wild send such, and nothing here is hashed. White space after it is borne,
/// because trackers written in scripting languages like to send it.
pub(crate) fn dictionary(body: &[u8]) -> Result<Document<'_>, AnswerError> {
    let limits = Limits {
        keys: Keys::Unique,
        bytes: limits::ANSWER,
        depth: limits::DEPTH,
        values: limits::VALUES,
    };
    let document = Document::parse(body.trim_ascii_end(), limits)?;
    match document.root().kind() {
        Kind::Dict => Ok(document),
        kind => Err(AnswerError::NoDictionary(kind)),
    }
}

fn compact<const EACH: usize>(
    key: &'static str,
    raw: &[u8],
    peers: &mut Vec<Peer>,
    peer: fn(&[u8; EACH]) -> SocketAddr,
) -> Result<(), AnswerError> {
    let (each, rest) = raw.as_chunks();
    if !rest.is_empty() {
        return Err(AnswerError::Uneven {
            key,
            each: EACH,
            got: raw.len(),
        });
    }
    peers.extend(each.iter().map(|raw| Peer::new(peer(raw), None)));
    Ok(())
}

fn v4(&[a, b, c, d, high, low]: &[u8; 6]) -> SocketAddr {
    (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()
}

fn v6(raw: &[u8; 18]) -> SocketAddr {
    let (ip, port) = raw.split_first_chunk::<16>().expect("18 is more than 16");
    (Ipv6Addr::from(*ip), u16::from_be_bytes([port[0], port[1]])).into()
}

/// Reads one dictionary of BEP 3; a peer with a host name is none, because
/// looking up names that strangers chose is not worth a peer.
fn one(peer: Node<'_>) -> Result<Option<Peer>, AnswerError> {
    let wrong = |key, expected| AnswerError::Field { key, expected };
    if peer.kind() != Kind::Dict {
        return Err(wrong("peers", "a list of dictionaries"));
    }
    let ip = string(peer, "ip")?.ok_or(wrong("ip", "a string"))?;
    let port = count(peer, "port")?.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(wrong("port", "a number from 0 to 65535"))?;
    let id = match string(peer, "peer id")? {
        None => None,
        Some(id) => {
            let id = <[u8; 20]>::try_from(id).map_err(|_| wrong("peer id", "20 bytes"))?;
            Some(PeerId(id))
        }
    };
    let ip = std::str::from_utf8(ip)
        .ok()
        .and_then(|ip| ip.parse::<IpAddr>().ok());
    Ok(ip.map(|ip| Peer::new((ip, port).into(), id)))
}

fn string<'a>(dict: Node<'a>, key: &'static str) -> Result<Option<&'a [u8]>, AnswerError> {
    let wrong = AnswerError::Field {
        key,
        expected: "a string",
    };
    let value = dict.get(key.as_bytes());
    value.map(|value| value.as_bytes().ok_or(wrong)).transpose()
}

pub(crate) fn count(dict: Node<'_>, key: &'static str) -> Result<Option<u64>, AnswerError> {
    let wrong = AnswerError::Field {
        key,
        expected: "a number from 0",
    };
    let value = dict.get(key.as_bytes());
    value.map(|value| value.as_u64().ok_or(wrong)).transpose()
}

/// Returns words of the tracker's, without control characters, which could
/// drive a person's terminal.
pub(crate) fn words(dict: Node<'_>, key: &'static str) -> Result<Option<String>, AnswerError> {
    let raw = string(dict, key)?;
    Ok(raw.map(|raw| {
        let text = String::from_utf8_lossy(&raw[..raw.len().min(limits::WORDS)]);
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    }))
}

#[cfg(test)]
mod tests;
