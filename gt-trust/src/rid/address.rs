//! `gt://` addresses: a rid and hints where to find it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Identity, ParseError, Rid};
use crate::limits;

/// What a person hands to another: `gt://<rid>[?key=value&…]`.
///
/// The keys are `tr` (URL of a tracker), `x.pe` (a peer as `host:port`), `ws`
/// (URL of a mirror), each as often as wanted, and `charter` (the identity of
/// a charter that the receiver must find in the chain) at most once. Values
/// are percent-encoded. There is no user name, port, path or fragment, and
/// any other key is refused: an address that means something else to a later
/// version must not half work in this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The repository.
    pub rid: Rid,
    /// Trackers, as URLs with `http`, `https` or `udp`.
    pub trackers: Vec<String>,
    /// Peers, as `host:port`.
    pub peers: Vec<String>,
    /// Mirrors, as URLs with `http` or `https`.
    pub mirrors: Vec<String>,
    /// The pin.
    pub charter: Option<Identity>,
}

impl Address {
    /// Returns the address of a repository, without hints.
    pub fn new(rid: Rid) -> Self {
        Self {
            rid,
            trackers: Vec::new(),
            peers: Vec::new(),
            mirrors: Vec::new(),
            charter: None,
        }
    }

    fn add(&mut self, key: &str, value: String) -> Result<(), AddressError> {
        match key {
            "tr" => self
                .trackers
                .push(url(value, &["http://", "https://", "udp://"])?),
            "ws" => self.mirrors.push(url(value, &["http://", "https://"])?),
            "x.pe" if is_peer(&value) => self.peers.push(value),
            "x.pe" => return Err(AddressError::Peer(value)),
            "charter" if self.charter.is_some() => return Err(AddressError::SecondPin),
            "charter" => self.charter = Some(value.parse()?),
            _ => return Err(AddressError::Key(shown(key))),
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > limits::ADDRESS {
            return Err(AddressError::TooLong(text.len()));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressError::Control);
        }
        let rest = text
            .strip_prefix("gt://")
            .ok_or_else(|| AddressError::Scheme(shown(text)))?;
        let (rid, query) = match rest.split_once('?') {
            Some((rid, query)) => (rid, Some(query)),
            None => (rest, None),
        };
        if rid.contains(['@', ':', '/', '#']) {
            return Err(AddressError::Authority(shown(rid)));
        }
        let mut address = Self::new(rid.parse()?);
        for pair in query.into_iter().flat_map(|q| q.split('&')) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| AddressError::Key(shown(pair)))?;
            address.add(key, decode(value)?)?;
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gt://{}", self.rid)?;
        let pin = self.charter.map(|pin| pin.to_string());
        let pairs = [
            ("tr", self.trackers.iter()),
            ("x.pe", self.peers.iter()),
            ("ws", self.mirrors.iter()),
        ]
        .into_iter()
        .flat_map(|(key, values)| values.map(move |value| (key, value.as_str())))
        .chain(pin.as_deref().map(|pin| ("charter", pin)));
        for (n, (key, value)) in pairs.enumerate() {
            write!(f, "{}{key}=", if n == 0 { '?' } else { '&' })?;
            encode(value, f)?;
        }
        Ok(())
    }
}

/// Checks a URL of one of these schemes: a host, no user name, nothing that
/// would break a request line.
pub(crate) fn check_url(url: &str, schemes: &[&str]) -> bool {
    let Some(rest) = schemes.iter().find_map(|s| url.strip_prefix(s)) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    url.len() <= limits::URL
        && url.bytes().all(|b| b.is_ascii_graphic())
        && !authority.is_empty()
        && !authority.starts_with(':')
        && !authority.contains('@')
}

fn url(url: String, schemes: &[&str]) -> Result<String, AddressError> {
    if check_url(&url, schemes) {
        Ok(url)
    } else {
        Err(AddressError::Url(shown(&url)))
    }
}

fn is_peer(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_is_good = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => matches!(v6.parse(), Ok(IpAddr::V6(_))),
        None => {
            (1..=253).contains(&host.len())
                && !host.starts_with(['-', '.'])
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    host_is_good
        && port.bytes().all(|b| b.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn decode(text: &str) -> Result<String, AddressError> {
    let wrong = || AddressError::Percent(shown(text));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || (rest.next()? as char).to_digit(16);
            let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
            (high << 4 | low) as u8
        } else {
            byte
        });
    }
    let value = String::from_utf8(bytes).map_err(|_| wrong())?;
    if value.is_empty() {
        return Err(wrong());
    }
    if value.chars().any(char::is_control) {
        return Err(AddressError::Control);
    }
    Ok(value)
}

/// Writes a value so that it survives a shell word, a URL and a chat.
fn encode(value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    value.bytes().try_for_each(|b| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
            write!(f, "{}", b as char)
        }
        _ => write!(f, "%{b:02X}"),
    })
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Why a text is no `gt://` address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Longer than [`limits::ADDRESS`].
    #[error("expected an address of at most {limit} bytes, got {0}", limit = limits::ADDRESS)]
    TooLong(usize),
    /// Another scheme.
    #[error("expected an address that begins with gt://, got {0:?}")]
    Scheme(String),
    /// Something besides the rid.
    #[error("expected a rid without user name, port, path or fragment, got {0:?}")]
    Authority(String),
    /// A character that would end a line or a word, plain or encoded.
    #[error("expected an address without blanks and control characters")]
    Control,
    /// The encoding is broken, or nothing was encoded.
    #[error("expected a percent-encoded value in UTF-8, got {0:?}")]
    Percent(String),
    /// A key that has no meaning here.
    #[error("expected tr=, x.pe=, ws= or charter=, got {0:?}")]
    Key(String),
    /// A second `charter`.
    #[error("expected one charter, got a second")]
    SecondPin,
    /// A tracker or mirror that cannot be one.
    #[error(
        "expected a URL with http, https or (for trackers) udp, without a user name, got {0:?}"
    )]
    Url(String),
    /// A peer that cannot be one.
    #[error("expected a peer as host:port, got {0:?}")]
    Peer(String),
    /// The rid or the pin.
    #[error(transparent)]
    Name(#[from] ParseError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rid() -> String {
        Rid::from_bytes([9; 32]).to_string()
    }

    #[test]
    fn every_key_round_trips() {
        let text = format!(
            "gt://{}?tr=http://t.example/announce%3Fa%3Db%26c&tr=udp://t.example:6969\
             &x.pe=127.0.0.1:6881&x.pe=%5B::1%5D:1&ws=https://m.example/%C3%A9x&charter={}",
            rid(),
            "ab".repeat(32)
        )
        .replace("%C3%A9", "e");
        let address: Address = text.parse().unwrap();
        assert_eq!(address.trackers[0], "http://t.example/announce?a=b&c");
        assert_eq!(address.peers, ["127.0.0.1:6881", "[::1]:1"]);
        assert!(address.charter.is_some());
        assert_eq!(address.to_string(), text);
    }

    #[test]
    fn helper_dash_argument_refused() {
        for bad in ["-x", "--upload-pack=touch", "-gt://x"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        let dash = format!("gt://{}?x.pe=-oProxyCommand:22", rid());
        assert!(dash.parse::<Address>().is_err());
    }

    #[test]
    fn lf_in_url_refused() {
        for bad in [
            "tr=http://a/%0aHost:b",
            "tr=http://a/%0D",
            "tr=http://a/\n",
            "ws=http://a/%00",
            "ws=http://a/b%20c",
            "x.pe=a%0a:1",
        ] {
            let text = format!("gt://{}?{bad}", rid());
            assert!(text.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn strangers_are_refused() {
        let rid = rid();
        for bad in [
            rid.clone(),
            format!("gt:{rid}"),
            format!("GT://{rid}"),
            format!("gt://me@{rid}"),
            format!("gt://{rid}:1"),
            format!("gt://{rid}/"),
            format!("gt://{rid}#x"),
            format!("gt://{rid}?"),
            format!("gt://{rid}?tr"),
            format!("gt://{rid}?tr="),
            format!("gt://{rid}?tr=http://"),
            format!("gt://{rid}?tr=http://u:p@h/"),
            format!("gt://{rid}?tr=ftp://h/"),
            format!("gt://{rid}?tr=%zz"),
            format!("gt://{rid}?tr=%f"),
            format!("gt://{rid}?ws=udp://h"),
            format!("gt://{rid}?xt=urn:btih:x"),
            format!("gt://{rid}?x.pe=a"),
            format!("gt://{rid}?x.pe=a:0"),
            format!("gt://{rid}?x.pe=a:70000"),
            format!("gt://{rid}?x.pe=[::1:1"),
            format!("gt://{rid}?x.pe=a:%2B1"),
            format!("gt://{rid}?charter={0}&charter={0}", "ab".repeat(32)),
            format!("gt://{rid}?charter=ab"),
            format!("gt://{rid}?tr=http://h/{}", "a".repeat(9000)),
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_total(tail in ".{0,60}") {
            let text = format!("gt://{}?{tail}", rid());
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }

        #[test]
        fn display_round_trips(path in "[!-~]{0,40}", port in 1u16..) {
            let mut address = Address::new(Rid::from_bytes([1; 32]));
            address.trackers.push(format!("http://h/{path}"));
            address.peers.push(format!("h:{port}"));
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }
}
