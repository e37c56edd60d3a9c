//! The URL of a tracker or an HTTP source, as far as such a one may go.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::limits;

/// What is escaped in a part of a path: all but the unreserved (RFC 3986).
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An `http` URL (RFC 3986) in parts that can be put into a request as they
/// are: nothing in them is a space, a control character or beyond ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port, 80 where none is written.
    pub port: u16,
    /// Begins with `/`.
    path: String,
    query: Option<String>,
}

/// Why a text is no such URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// More bytes than any URL of the kind needs.
    #[error("expected a URL of at most {most} bytes, got {0}", most = limits::URL)]
    Long(usize),
    /// A space, a control character, or one beyond ASCII.
    #[error("expected a URL of printable ASCII, got {0:?} in it")]
    Character(char),
    /// No scheme at all.
    #[error("expected a URL that begins with http://, got {0:?}")]
    NoScheme(String),
    /// A scheme that this version does not speak.
    #[error("expected http, got {0}, which this version does not speak")]
    Scheme(String),
    /// A user name or password, which would go over the wire in the clear.
    #[error("expected a URL without a user name")]
    UserInfo,
    /// No host, or none that can be looked up.
    #[error("expected a host, got {0:?}")]
    Host(String),
    /// No port number.
    #[error("expected a port from 1 to 65535, got {0:?}")]
    Port(String),
    /// A part behind `#`, which no server sees.
    #[error("expected a URL without a fragment")]
    Fragment,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > limits::URL {
            return Err(UrlError::Long(text.len()));
        }
        // `\` is `/` to some readers and not to others.
        let odd = |c: &char| !c.is_ascii_graphic() || "\\\"<>^`{|}".contains(*c);
        if let Some(odd) = text.chars().find(odd) {
            return Err(UrlError::Character(odd));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| UrlError::NoScheme(text.chars().take(40).collect()))?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme(scheme.chars().take(20).collect()));
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = split_authority(authority)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query,
        })
    }

    /// Returns the URL that a `Location` header of this one's answer means;
    /// absolute, or a path on the same host.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.starts_with('/') && !location.starts_with("//") {
            Self::parse(&format!("http://{}{location}", self.authority()))
        } else {
            Self::parse(location)
        }
    }

    /// Returns the URL of something below this one, the query kept. Parts may
    /// be any bytes.
    pub fn below<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut path = self.path.trim_end_matches('/').to_owned();
        for part in parts {
            path.push('/');
            path.extend(percent_encode(part, PART));
        }
        Self {
            path,
            ..self.clone()
        }
    }

    /// Tells whether the path ends in `/`.
    pub fn is_folder(&self) -> bool {
        self.path.ends_with('/')
    }

    /// Returns the scrape URL beside an announce URL (BEP 48): where the last
    /// part of the path begins with `announce`, that word is replaced.
    pub fn scrape(&self) -> Option<Self> {
        let slash = self.path.rfind('/')?;
        let (folder, last) = self.path.split_at(slash + 1);
        let rest = last.strip_prefix("announce")?;
        Some(Self {
            path: format!("{folder}scrape{rest}"),
            ..self.clone()
        })
    }

    /// Returns the target of a request line, with `more` behind the query
    /// that the URL has already.
    pub fn target(&self, more: &str) -> String {
        let own = self.query.as_deref().unwrap_or_default();
        let and = if own.is_empty() || more.is_empty() {
            ""
        } else {
            "&"
        };
        let mark = if own.is_empty() && more.is_empty() {
            ""
        } else {
            "?"
        };
        format!("{}{mark}{own}{and}{more}", self.path)
    }

    /// Returns what a `Host` header says.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.target(""))
    }
}

fn split_authority(authority: &str) -> Result<(&str, u16), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let wrong = || UrlError::Host(authority.chars().take(40).collect());
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
        (host, port)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(end);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        // 253 is the longest name of the DNS (RFC 1035).
        if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
            return Err(wrong());
        }
        (host, port)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 80,
        Some("") => 80,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| UrlError::Port(digits.chars().take(20).collect()))?,
        _ => return Err(UrlError::Port(port.chars().take(20).collect())),
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_trackers_use() {
        for (text, shown, target) in [
            (
                "http://example.org/announce",
                "http://example.org/announce",
                "/announce?x=1",
            ),
            ("HTTP://Example.ORG:80", "http://example.org/", "/?x=1"),
            (
                "http://t:6969/a?passkey=k",
                "http://t:6969/a?passkey=k",
                "/a?passkey=k&x=1",
            ),
            (
                "http://[::1]:8080/announce?",
                "http://[::1]:8080/announce",
                "/announce?x=1",
            ),
            ("http://t?k", "http://t/?k", "/?k&x=1"),
            ("http://t:/a%20b", "http://t/a%20b", "/a%20b?x=1"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.target("x=1"), target);
        }
    }

    /// PROTOCOL.md's `lf_in_url_refused`, with its neighbours.
    #[test]
    fn lf_in_url_refused() {
        use UrlError as E;
        let host = |text: &str| E::Host(text.into());
        let port = |text: &str| E::Port(text.into());
        for (text, error) in [
            ("http://t/a\nHost: b", E::Character('\n')),
            ("http://t/a\r\n", E::Character('\r')),
            ("http://t/a b", E::Character(' ')),
            ("http://t/\u{e9}", E::Character('\u{e9}')),
            ("http://t/\0", E::Character('\0')),
            ("http://t\\@u/", E::Character('\\')),
            ("http://user:pass@t/", E::UserInfo),
            ("http://t#a", E::Fragment),
            ("https://t/announce", E::Scheme("https".into())),
            ("udp://t:1/announce", E::Scheme("udp".into())),
            ("t/announce", E::NoScheme("t/announce".into())),
            ("http:///announce", host("")),
            ("http://%31/", host("%31")),
            ("http://[::1/", host("[::1")),
            ("http://[t]/", host("[t]")),
            ("http://t:0/", port("0")),
            ("http://t:65536/", port("65536")),
            ("http://t:+1/", port(":+1")),
            ("http://[::1]1/", port("1")),
        ] {
            assert_eq!(Url::parse(text).unwrap_err(), error, "{text:?}");
        }
        let long = format!("http://t/{}", "a".repeat(limits::URL));
        assert!(matches!(Url::parse(&long), Err(E::Long(_))));
    }

    #[test]
    fn scrape_stands_beside_announce() {
        let scrape = |text: &str| {
            Url::parse(text)
                .unwrap()
                .scrape()
                .map(|url| url.to_string())
        };
        for (announce, expected) in [
            ("http://t/announce", Some("http://t/scrape")),
            (
                "http://t/x/announce.php?k=/1",
                Some("http://t/x/scrape.php?k=/1"),
            ),
            ("http://t/a", None),
            ("http://t/announce/", None),
            ("http://t/x%064announce", None),
        ] {
            assert_eq!(scrape(announce).as_deref(), expected, "{announce}");
        }
    }

    #[test]
    fn joins_redirects() {
        let url = Url::parse("http://t:81/a?k=1").unwrap();
        assert_eq!(url.join("/b?x").unwrap().to_string(), "http://t:81/b?x");
        assert_eq!(url.join("http://u/").unwrap().to_string(), "http://u/");
        assert!(matches!(url.join("https://t/"), Err(UrlError::Scheme(_))));
        assert!(matches!(url.join("//u/"), Err(UrlError::NoScheme(_))));
        assert!(matches!(url.join("b"), Err(UrlError::NoScheme(_))));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(text in "http://[a-z0-9.\\[\\]:@]{1,12}[/?a-z=&%]{0,12}") {
            if let Ok(url) = Url::parse(&text) {
                let shown = Url::parse(&url.to_string()).unwrap();
                prop_assert_eq!(shown.to_string(), url.to_string());
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Url::parse(&text);
        }
    }
}
