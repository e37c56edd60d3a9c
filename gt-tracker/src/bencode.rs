//! Bencoding for answers (BEP 3): bendy writes, and a small reader takes what
//! foreign trackers send.
//!
//! bendy's reader refuses dictionaries whose keys are not sorted. Trackers in
//! the wild send such, and nothing here is hashed, so that order says nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bendy::encoding::Encoder;
use bendy::value::Value;

use crate::limits;

/// A dictionary as it is read and written.
pub(crate) type Dict<'a> = BTreeMap<Cow<'a, [u8]>, Value<'a>>;

/// Why bytes are no bencoded dictionary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end too early.
    #[error("expected more bytes after {0}")]
    Short(usize),
    /// A byte that cannot stand where it stands.
    #[error("expected {expected} at byte {at}, got {got:?}")]
    Unexpected {
        /// Where.
        at: usize,
        /// What could stand there.
        expected: &'static str,
        /// What does.
        got: char,
    },
    /// A number with leading zeros, without digits, or beyond 64 bits.
    #[error("expected a number at byte {0}")]
    Number(usize),
    /// A key that stands twice in one dictionary.
    #[error("expected each key once, got {0:?} again")]
    Repeated(String),
    /// Lists or dictionaries too deep in each other.
    #[error("expected at most {} levels", limits::DEPTH)]
    Depth,
    /// Too many values.
    #[error("expected at most {} values", limits::VALUES)]
    Values,
    /// The value is no dictionary.
    #[error("expected a dictionary")]
    NoDictionary,
    /// Bytes after the value.
    #[error("expected the end after byte {0}")]
    Trailing(usize),
}

/// Reads one dictionary, keys in any order, and white space after it, which
/// trackers written in scripting languages like to send.
pub(crate) fn read(bytes: &[u8]) -> Result<Dict<'_>, Error> {
    let mut reader = Reader {
        bytes,
        at: 0,
        values: 0,
    };
    let value = reader.value(limits::DEPTH)?;
    if !bytes[reader.at..].iter().all(u8::is_ascii_whitespace) {
        return Err(Error::Trailing(reader.at));
    }
    match value {
        Value::Dict(dict) => Ok(dict),
        _ => Err(Error::NoDictionary),
    }
}

/// Writes a dictionary, keys sorted.
pub(crate) fn write(dict: Dict<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new().with_max_depth(limits::DEPTH);
    encoder
        .emit(Value::Dict(dict))
        .expect("a map has no key twice, and answers nest four deep");
    encoder
        .get_output()
        .expect("one whole value has been written")
}

/// Returns a byte string for a dictionary.
pub(crate) fn bytes<'a>(bytes: impl Into<Cow<'a, [u8]>>) -> Value<'a> {
    Value::Bytes(bytes.into())
}

/// Returns a number for a dictionary; what is beyond 63 bits is the largest.
pub(crate) fn number(number: u64) -> Value<'static> {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, Error> {
        self.values += 1;
        if self.values > limits::VALUES {
            return Err(Error::Values);
        }
        match self.peek()? {
            b'i' => {
                self.at += 1;
                let number = self.number(b'e')?;
                Ok(Value::Integer(number))
            }
            b'0'..=b'9' => Ok(Value::Bytes(Cow::Borrowed(self.string()?))),
            b'l' => {
                let depth = self.deeper(depth)?;
                let mut list = Vec::new();
                while !self.end()? {
                    list.push(self.value(depth)?);
                }
                Ok(Value::List(list))
            }
            b'd' => {
                let depth = self.deeper(depth)?;
                let mut dict = Dict::new();
                while !self.end()? {
                    let key = self.string()?;
                    let value = self.value(depth)?;
                    if dict.insert(Cow::Borrowed(key), value).is_some() {
                        return Err(Error::Repeated(key.escape_ascii().to_string()));
                    }
                }
                Ok(Value::Dict(dict))
            }
            got => Err(self.unexpected("a value", got)),
        }
    }

    fn deeper(&mut self, depth: usize) -> Result<usize, Error> {
        self.at += 1;
        depth.checked_sub(1).ok_or(Error::Depth)
    }

    fn end(&mut self) -> Result<bool, Error> {
        let end = self.peek()? == b'e';
        self.at += usize::from(end);
        Ok(end)
    }

    fn string(&mut self) -> Result<&'a [u8], Error> {
        let got = self.peek()?;
        if !got.is_ascii_digit() {
            return Err(self.unexpected("the length of a string", got));
        }
        let length = self.number(b':')?;
        let rest = &self.bytes[self.at..];
        // Compared before anything is taken: a length is only a claim.
        let string = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or(Error::Short(self.bytes.len()))?;
        self.at += string.len();
        Ok(string)
    }

    fn number(&mut self, end: u8) -> Result<i64, Error> {
        let start = self.at;
        while self.peek()? != end {
            // 20 is the length of the smallest number of 64 bits.
            if self.at - start > 20 {
                return Err(Error::Number(start));
            }
            self.at += 1;
        }
        let text = &self.bytes[start..self.at];
        self.at += 1;
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let plain = digits.iter().all(u8::is_ascii_digit)
            && (digits == b"0" && text == b"0" || digits.first().is_some_and(|&d| d != b'0'));
        std::str::from_utf8(text)
            .ok()
            .filter(|_| plain)
            .and_then(|text| text.parse().ok())
            .ok_or(Error::Number(start))
    }

    fn peek(&self) -> Result<u8, Error> {
        let byte = self.bytes.get(self.at).copied();
        byte.ok_or(Error::Short(self.bytes.len()))
    }

    fn unexpected(&self, expected: &'static str, got: u8) -> Error {
        Error::Unexpected {
            at: self.at,
            expected,
            got: char::from(got),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_unsorted_keys_and_a_last_newline() {
        let dict = read(b"d1:bi-7e1:ale0:d1:x3:abcee\r\n").unwrap();
        assert_eq!(dict[b"b".as_slice()], Value::Integer(-7));
        assert!(matches!(&dict[b"a".as_slice()], Value::List(list) if list.is_empty()));
        assert_eq!(dict.len(), 3);
    }

    #[test]
    fn refuses_what_is_none() {
        for (bytes, error) in [
            (&b""[..], Error::Short(0)),
            (b"d", Error::Short(1)),
            (b"d1:a", Error::Short(4)),
            (b"d1:a9:x", Error::Short(7)),
            (b"d1:a9223372036854775807:x", Error::Short(25)),
            (b"d1:ai1e1:ai2ee", Error::Repeated("a".into())),
            (b"i1e", Error::NoDictionary),
            (b"de1", Error::Trailing(2)),
            (b"d1:ai-0ee", Error::Number(5)),
            (b"d1:ai01ee", Error::Number(5)),
            (b"d1:aiee", Error::Number(5)),
            (b"d1:ai9223372036854775808ee", Error::Number(5)),
            (b"d01:ai1ee", Error::Number(1)),
            (b"d1:a99999999999999999999999:", Error::Number(4)),
            (b"llllllllleeeeeeeee", Error::Depth),
        ] {
            assert_eq!(read(bytes).unwrap_err(), error, "{}", bytes.escape_ascii());
        }
        let unexpected = read(b"di1ei1ee").unwrap_err();
        assert!(matches!(unexpected, Error::Unexpected { at: 1, .. }));
        let many = [b"d1:al".as_slice(), &b"le".repeat(limits::VALUES), b"ee"].concat();
        assert_eq!(read(&many).unwrap_err(), Error::Values);
    }

    #[test]
    fn deep_nesting_ends_before_the_stack() {
        assert_eq!(read(&b"l".repeat(1 << 20)).unwrap_err(), Error::Depth);
        assert_eq!(read(&b"d0:".repeat(1 << 20)).unwrap_err(), Error::Depth);
    }

    fn value() -> impl Strategy<Value = Value<'static>> {
        let string = || prop::collection::vec(any::<u8>(), 0..20).prop_map(Cow::Owned);
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            string().prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                prop::collection::btree_map(string(), inner, 0..6).prop_map(Value::Dict),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(inner in value()) {
            let dict = Dict::from([(Cow::Borrowed(b"v".as_slice()), inner)]);
            let bytes = write(dict.clone());
            prop_assert_eq!(read(&bytes), Ok(dict));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(
            prop_oneof![Just(b'd'), Just(b'l'), Just(b'e'), Just(b'i'), Just(b':'), Just(b'1'), any::<u8>()],
            0..60,
        )) {
            let _ = read(&bytes);
        }
    }
}
