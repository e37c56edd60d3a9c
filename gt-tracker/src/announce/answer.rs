//! What a tracker answers.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bendy::value::Value;
use gt_wire::PeerId;

use crate::bencode::{self, Dict};
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
        let mut dict = Dict::new();
        match self {
            Self::Failure(reason) => {
                put(
                    &mut dict,
                    "failure reason",
                    bencode::bytes(reason.as_bytes()),
                );
            }
            Self::Peers(peers) => peers.put(&mut dict, form),
        }
        bencode::write(dict)
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
        let dict = bencode::read(body)?;
        if let Some(reason) = words(&dict, "failure reason")? {
            return Ok(Self::Failure(reason));
        }
        let seconds = |key| Ok::<_, AnswerError>(count(&dict, key)?.map(Duration::from_secs));
        let mut peers = Vec::new();
        match dict.get(b"peers".as_slice()) {
            None => {}
            Some(Value::Bytes(raw)) => compact("peers", raw, &mut peers, v4)?,
            Some(Value::List(list)) => {
                for peer in list {
                    peers.extend(dictionary(peer)?);
                }
            }
            Some(_) => {
                return Err(AnswerError::Field {
                    key: "peers",
                    expected: "a string or a list",
                });
            }
        }
        if let Some(raw) = string(&dict, "peers6")? {
            compact("peers6", raw, &mut peers, v6)?;
        }
        Ok(Self::Peers(Peers {
            interval: seconds("interval")?.unwrap_or(limits::INTERVAL_UNTOLD),
            min_interval: seconds("min interval")?,
            complete: count(&dict, "complete")?,
            incomplete: count(&dict, "incomplete")?,
            tracker_id: string(&dict, "tracker id")?
                .filter(|id| id.len() <= limits::TOKEN)
                .map(<[u8]>::to_vec),
            warning: words(&dict, "warning message")?,
            peers,
        }))
    }
}

impl Peers {
    fn put(&self, dict: &mut Dict<'_>, form: Form) {
        let seconds = |time: Duration| bencode::number(time.as_secs());
        put(dict, "interval", seconds(self.interval));
        let numbers = [
            ("min interval", self.min_interval.map(seconds)),
            ("complete", self.complete.map(bencode::number)),
            ("incomplete", self.incomplete.map(bencode::number)),
        ];
        for (key, value) in numbers {
            if let Some(value) = value {
                put(dict, key, value);
            }
        }
        if let Some(id) = &self.tracker_id {
            put(dict, "tracker id", bencode::bytes(id.clone()));
        }
        if let Some(warning) = &self.warning {
            put(
                dict,
                "warning message",
                bencode::bytes(warning.clone().into_bytes()),
            );
        }
        match form {
            Form::Compact => self.put_compact(dict),
            Form::Dictionaries { ids } => {
                let list = self.peers.iter().map(|peer| peer.to_dictionary(ids));
                put(dict, "peers", Value::List(list.collect()));
            }
        }
    }

    fn put_compact(&self, dict: &mut Dict<'_>) {
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
        put(dict, "peers", bencode::bytes(four));
        // Clients that know no BEP 7 need not see an empty field.
        if !six.is_empty() {
            put(dict, "peers6", bencode::bytes(six));
        }
    }
}

impl Peer {
    fn to_dictionary(self, ids: bool) -> Value<'static> {
        let mut dict = Dict::new();
        let ip = self.address.ip().to_string().into_bytes();
        put(&mut dict, "ip", bencode::bytes(ip));
        put(
            &mut dict,
            "port",
            bencode::number(self.address.port().into()),
        );
        if let Some(id) = self.id.filter(|_| ids) {
            put(&mut dict, "peer id", bencode::bytes(id.0.to_vec()));
        }
        Value::Dict(dict)
    }
}

fn put<'a>(dict: &mut Dict<'a>, key: &'static str, value: Value<'a>) {
    dict.insert(Cow::Borrowed(key.as_bytes()), value);
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
fn dictionary(peer: &Value<'_>) -> Result<Option<Peer>, AnswerError> {
    let wrong = |key, expected| AnswerError::Field { key, expected };
    let Value::Dict(dict) = peer else {
        return Err(wrong("peers", "a list of dictionaries"));
    };
    let ip = string(dict, "ip")?.ok_or(wrong("ip", "a string"))?;
    let port = count(dict, "port")?.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(wrong("port", "a number from 0 to 65535"))?;
    let id = match string(dict, "peer id")? {
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

fn string<'a>(dict: &'a Dict<'_>, key: &'static str) -> Result<Option<&'a [u8]>, AnswerError> {
    match dict.get(key.as_bytes()) {
        None => Ok(None),
        Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
        Some(_) => Err(AnswerError::Field {
            key,
            expected: "a string",
        }),
    }
}

pub(crate) fn count(dict: &Dict<'_>, key: &'static str) -> Result<Option<u64>, AnswerError> {
    let wrong = AnswerError::Field {
        key,
        expected: "a number from 0",
    };
    match dict.get(key.as_bytes()) {
        None => Ok(None),
        Some(Value::Integer(number)) => u64::try_from(*number).map(Some).map_err(|_| wrong),
        Some(_) => Err(wrong),
    }
}

/// Returns words of the tracker's, without control characters, which could
/// drive a person's terminal.
pub(crate) fn words(dict: &Dict<'_>, key: &'static str) -> Result<Option<String>, AnswerError> {
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
