//! The query of an HTTP request: binary values, percent-encoded (BEP 3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::limits;

/// What RFC 3986 calls unreserved stays as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a query is no announce or scrape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key that must be there is not.
    #[error("expected {0}, got none")]
    Missing(&'static str),
    /// A key stands more than once.
    #[error("expected {0} once, got it {1} times")]
    Repeated(&'static str, usize),
    /// More torrents in one scrape than are answered.
    #[error("expected at most {most} torrents, got {0}", most = limits::SCRAPED)]
    Torrents(usize),
    /// A value has another length.
    #[error("expected {key} of {expected} bytes, got {got}")]
    Length {
        /// Which value.
        key: &'static str,
        /// The length it must have, or may have at most.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// A value is none of those that are possible.
    #[error("expected {expected} as {key}, got {got:?}")]
    Value {
        /// Which value.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
}

/// The keys and values of a query, decoded; keys that nobody asks for are
/// ignored, as clients send many of their own.
pub(crate) struct Query<'a>(BTreeMap<Cow<'a, [u8]>, Vec<Cow<'a, [u8]>>>);

impl<'a> Query<'a> {
    /// Takes a query apart. A `+` is a plus, not a space: values are bytes.
    pub(crate) fn parse(query: &'a str) -> Self {
        let mut pairs = BTreeMap::<_, Vec<_>>::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = percent_decode_str(key).into();
            let value = percent_decode_str(value).into();
            pairs.entry(key).or_default().push(value);
        }
        Self(pairs)
    }

    /// Returns every value of a key, in their order.
    pub(crate) fn all(&self, key: &str) -> &[Cow<'a, [u8]>] {
        self.0.get(key.as_bytes()).map_or(&[], Vec::as_slice)
    }

    /// Returns the value of a key that may stand once or not at all.
    pub(crate) fn one(&self, key: &'static str) -> Result<Option<&[u8]>, Error> {
        match self.all(key) {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            more => Err(Error::Repeated(key, more.len())),
        }
    }

    /// Returns a value of at most `most` bytes; an empty one is none.
    pub(crate) fn token(&self, key: &'static str, most: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.one(key)? {
            None | Some(b"") => Ok(None),
            Some(value) if value.len() <= most => Ok(Some(value.to_vec())),
            Some(value) => Err(Error::Length {
                key,
                expected: most,
                got: value.len(),
            }),
        }
    }

    /// Returns a value that must be there with 20 bytes.
    pub(crate) fn twenty(&self, key: &'static str) -> Result<[u8; 20], Error> {
        twenty(key, self.one(key)?.ok_or(Error::Missing(key))?)
    }

    /// Returns a decimal number; an empty value is none.
    pub(crate) fn number<N: std::str::FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<N>, Error> {
        let Some(value) = self.one(key)?.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        // `from_str` of the numbers takes a leading plus, a query does not.
        let text = std::str::from_utf8(value).ok();
        let number = text
            .filter(|text| !text.starts_with('+'))
            .and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| Error::Value {
            key,
            expected,
            got: shown(value),
        })
    }

    /// Returns whether a key has the value `1`, where it has one.
    pub(crate) fn flag(&self, key: &'static str) -> Result<Option<bool>, Error> {
        match self.one(key)? {
            None | Some(b"") => Ok(None),
            Some(b"0") => Ok(Some(false)),
            Some(b"1") => Ok(Some(true)),
            Some(value) => Err(Error::Value {
                key,
                expected: "0 or 1",
                got: shown(value),
            }),
        }
    }
}

/// Returns a value as 20 bytes.
pub(crate) fn twenty(key: &'static str, value: &[u8]) -> Result<[u8; 20], Error> {
    value.try_into().map_err(|_| Error::Length {
        key,
        expected: 20,
        got: value.len(),
    })
}

/// Returns the start of a value, printable, for an error.
pub(crate) fn shown(value: &[u8]) -> String {
    value[..value.len().min(40)].escape_ascii().to_string()
}

/// Adds `key=value` to a query, with the `&` that it needs.
pub(crate) fn push(query: &mut String, key: &str, value: &[u8]) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(key);
    query.push('=');
    query.extend(percent_encode(value, ESCAPED));
}
