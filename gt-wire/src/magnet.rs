//! Magnet links: a torrent by its hash (BEP 9, BEP 53).

use std::fmt::{self, Write as _};
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::geometry::FileIndex;
use crate::{Info, InfoHash, limits};

/// A magnet link. At least one of the hashes is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Magnet {
    /// `xt=urn:btih:`, the SHA-1 of the info dictionary.
    pub v1: Option<InfoHash>,
    /// `xt=urn:btmh:1220`, its SHA-256 (BEP 52).
    pub v2: Option<[u8; 32]>,
    /// `dn`: a name to show until the true one is known.
    pub name: Option<String>,
    /// `tr`: trackers.
    pub trackers: Vec<String>,
    /// `x.pe`: peers, as `host:port`; hosts may be names.
    pub peers: Vec<String>,
    /// `ws`: HTTP sources.
    pub web_seeds: Vec<String>,
    /// `so`: the files that are wanted, as ranges with both ends (BEP 53);
    /// empty for all.
    pub select: Vec<(FileIndex, FileIndex)>,
}

impl Magnet {
    /// Returns the link to a torrent, without addresses.
    pub fn of(info: &Info) -> Self {
        Self {
            v1: info.v1_hash(),
            v2: info.v2_hash(),
            name: Some(String::from_utf8_lossy(info.name()).into_owned()),
            ..Self::default()
        }
    }

    /// Tells whether an info dictionary is the one that the link names, by
    /// every hash it gives.
    pub fn names(&self, info: &Info) -> bool {
        self.v1.is_none_or(|hash| info.v1_hash() == Some(hash))
            && self.v2.is_none_or(|hash| info.v2_hash() == Some(hash))
    }

    /// Returns the names by which handshakes and trackers know the torrent,
    /// the v1 hash first.
    pub fn info_hashes(&self) -> Vec<InfoHash> {
        let v2 = self.v2.map(|hash| {
            let mut cut = [0; 20];
            cut.copy_from_slice(&hash[..20]);
            InfoHash(cut)
        });
        self.v1.into_iter().chain(v2).collect()
    }

    /// Tells whether a file is wanted.
    pub fn wants(&self, file: FileIndex) -> bool {
        let mut ranges = self.select.iter();
        self.select.is_empty() || ranges.any(|(first, last)| *first <= file && file <= *last)
    }

    fn topic(&mut self, value: &str) -> Result<(), Error> {
        if let Some(text) = strip(value, "urn:btih:") {
            let hash = match text.len() {
                40 => text.parse().ok(),
                32 => BASE32_NOPAD
                    .decode(text.to_ascii_uppercase().as_bytes())
                    .ok()
                    .and_then(|raw| raw.try_into().ok())
                    .map(InfoHash),
                _ => None,
            };
            let hash = hash.ok_or_else(|| Error::Hash(shown(text)))?;
            return set(&mut self.v1, hash);
        }
        if let Some(text) = strip(value, "urn:btmh:") {
            // A multihash: 0x12 is SHA-256, 0x20 its length.
            let hash = strip(text, "1220").and_then(|hex| {
                let raw = data_encoding::HEXLOWER_PERMISSIVE
                    .decode(hex.as_bytes())
                    .ok()?;
                raw.try_into().ok()
            });
            let hash = hash.ok_or_else(|| Error::Hash(shown(text)))?;
            return set(&mut self.v2, hash);
        }
        // Other networks' names of the same thing.
        Ok(())
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

fn set<T: PartialEq>(place: &mut Option<T>, hash: T) -> Result<(), Error> {
    if place.as_ref().is_some_and(|other| *other != hash) {
        return Err(Error::Twice);
    }
    *place = Some(hash);
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl FromStr for Magnet {
    type Err = Error;

    /// Parses a link. Parameters may carry a number (`tr.1`); unknown ones
    /// are passed over.
    fn from_str(link: &str) -> Result<Self, Error> {
        if link.len() > limits::MAGNET_BYTES {
            return Err(Error::TooLong(link.len()));
        }
        // Some writers of addresses insist on an authority, which is empty.
        let query = ["magnet:?", "magnet://?", "magnet:///?"]
            .iter()
            .find_map(|scheme| strip(link, scheme))
            .ok_or_else(|| Error::Scheme(shown(link)))?;
        // A fragment is for whoever shows the link.
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        let mut magnet = Self::default();
        for parameter in query.split('&') {
            let Some((key, value)) = parameter.split_once('=') else {
                continue;
            };
            let key = &key.to_ascii_lowercase()[..];
            let plus = value.replace('+', " ");
            // A name may use plus for space; an address keeps its plus.
            let raw = if key == "dn" { plus.as_str() } else { value };
            let Ok(value) = percent_decode_str(raw).decode_utf8() else {
                continue;
            };
            let (base, number) = key.rsplit_once('.').unwrap_or((key, ""));
            let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            let list = match if numbered { base } else { key } {
                "xt" => {
                    magnet.topic(&value)?;
                    continue;
                }
                "dn" => {
                    magnet.name.get_or_insert_with(|| value.into_owned());
                    continue;
                }
                "so" => {
                    magnet.select.extend(read_select(&value)?);
                    continue;
                }
                "tr" => &mut magnet.trackers,
                "x.pe" => &mut magnet.peers,
                "ws" => &mut magnet.web_seeds,
                _ => continue,
            };
            if list.len() < limits::MAGNET_ADDRESSES && !value.is_empty() {
                list.push(value.into_owned());
            }
        }
        if magnet.v1.is_none() && magnet.v2.is_none() {
            return Err(Error::NoHash);
        }
        Ok(magnet)
    }
}

/// Reads `0,2,4-6` (BEP 53).
fn read_select(text: &str) -> Result<Vec<(FileIndex, FileIndex)>, Error> {
    let wrong = || Error::Select(shown(text));
    let mut ranges = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| match text.parse() {
            Ok(n) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(FileIndex(n)),
            _ => Err(wrong()),
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        ranges.push((first, last));
    }
    Ok(ranges)
}

/// What stands in a query as it is.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same with what peers' addresses hold.
const ADDRESS: AsciiSet = PLAIN.remove(b':').remove(b'[').remove(b']');

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut link = String::from("magnet:?");
        let mut add = |key: &str, value: fmt::Arguments<'_>| {
            let and = if link.ends_with('?') { "" } else { "&" };
            write!(link, "{and}{key}={value}")
        };
        if let Some(hash) = self.v1 {
            add("xt", format_args!("urn:btih:{hash}"))?;
        }
        if let Some(hash) = &self.v2 {
            let hex = data_encoding::HEXLOWER.encode(hash);
            add("xt", format_args!("urn:btmh:1220{hex}"))?;
        }
        if let Some(name) = &self.name {
            add("dn", format_args!("{}", utf8_percent_encode(name, &PLAIN)))?;
        }
        let lists = [
            ("tr", &self.trackers, &PLAIN),
            ("x.pe", &self.peers, &ADDRESS),
            ("ws", &self.web_seeds, &PLAIN),
        ];
        for (key, list, set) in lists {
            for value in list {
                add(key, format_args!("{}", utf8_percent_encode(value, set)))?;
            }
        }
        if !self.select.is_empty() {
            let ranges = self.select.iter().map(|(first, last)| match first == last {
                true => first.to_string(),
                false => format!("{first}-{last}"),
            });
            add(
                "so",
                format_args!("{}", ranges.collect::<Vec<_>>().join(",")),
            )?;
        }
        f.write_str(&link)
    }
}

/// Why a text is no magnet link of a torrent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is too long.
    #[error("expected a link of at most {max} bytes, got {0}", max = limits::MAGNET_BYTES)]
    TooLong(usize),
    /// It is no magnet link.
    #[error("expected a link that begins with magnet:?, got {0:?}")]
    Scheme(String),
    /// It names no torrent.
    #[error("expected a hash of a torrent (xt=urn:btih: or urn:btmh:), got none")]
    NoHash,
    /// A hash that cannot be read.
    #[error("expected a hash in hexadecimal or base32, got {0:?}")]
    Hash(String),
    /// Two torrents.
    #[error("expected one torrent, got two different hashes of one kind")]
    Twice,
    /// A selection that cannot be read.
    #[error("expected file numbers and ranges such as 0,2,4-6, got {0:?}")]
    Select(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_each_form() {
        let hex = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
        let base32 = "YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK";
        let v2 = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";
        for text in [hex, base32, &base32.to_lowercase(), &hex.to_uppercase()] {
            let magnet: Magnet = format!("magnet:?xt=urn:btih:{text}").parse().unwrap();
            assert_eq!(magnet.v1, Some(hex.parse().unwrap()));
        }
        let link = format!(
            "MAGNET:?xt=urn:btmh:1220{v2}&xt.1=urn:btih:{hex}&dn=a+b%20c&tr.1=http%3A%2F%2Fa%2F%3Fx%3D1%2B1\
             &tr=udp://b:80&x.pe=[::1]:6881&x.pe=host:1&ws=http://c/&so=0,2&SO=4-6&xl=10&foo&xt=urn:ed2k:1#shown"
        );
        let magnet: Magnet = link.parse().unwrap();
        assert_eq!(magnet.info_hashes().len(), 2);
        assert_eq!(magnet.name.as_deref(), Some("a b c"));
        assert_eq!(magnet.trackers, ["http://a/?x=1+1", "udp://b:80"]);
        assert_eq!(magnet.peers, ["[::1]:6881", "host:1"]);
        assert_eq!(magnet.web_seeds, ["http://c/"]);
        let emptied = link.replacen("MAGNET:?", "magnet:///?", 1);
        assert_eq!(emptied.parse(), Ok(magnet.clone()));
        let wanted: Vec<u32> = (0..9).filter(|n| magnet.wants(FileIndex(*n))).collect();
        assert_eq!(wanted, [0, 2, 4, 5, 6]);
    }

    #[test]
    fn refuses() {
        let hash = "xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
        for link in [
            "",
            "magnet:",
            "magnet:?dn=a",
            "http://?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a",
            "magnet:?xt=urn:btih:c12f",
            "magnet:?xt=urn:btih:01234567890123456789012345678901",
            "magnet:?xt=urn:btmh:1220aa",
            &format!("magnet:?xt=urn:btmh:1114{}", "a".repeat(64)),
            &format!("magnet:?{hash}&xt=urn:btih:{}", "0".repeat(40)),
            &format!("magnet:?{hash}&so=3-1"),
            &format!("magnet:?{hash}&so=+1"),
            &format!("magnet:?{hash}&so="),
            &format!("magnet:?{hash}&dn={}", "a".repeat(1 << 16)),
        ] {
            assert!(link.parse::<Magnet>().is_err(), "{link}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            v1 in proptest::option::of(any::<[u8; 20]>()),
            v2: [u8; 32],
            name in proptest::option::of(".*"),
            urls in proptest::collection::vec(".+", 0..3),
            select in proptest::collection::vec((0_u32..9, 0_u32..9), 0..3),
        ) {
            let magnet = Magnet {
                v1: v1.map(InfoHash),
                v2: Some(v2),
                name,
                trackers: urls.clone(),
                peers: urls.clone(),
                web_seeds: urls,
                select: select.into_iter().map(|(a, b)| (FileIndex(a.min(b)), FileIndex(a.max(b)))).collect(),
            };
            prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
        }

        #[test]
        fn junk_never_panics(text in "magnet:\\?(xt=urn:bt[im]h:)?[%&=+.\\-0-9a-z\u{e9}]{0,40}") {
            let _ = text.parse::<Magnet>();
        }
    }
}
