//! Values of our own, written canonically by bendy.

use std::collections::BTreeMap;

use bendy::encoding::{Encoder, Error, SingleItemEncoder};

/// A value to write. Dictionaries are sorted because their map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Integer(i64),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A dictionary.
    Dict(BTreeMap<Vec<u8>, Self>),
}

impl Value {
    /// Returns a string.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bytes(bytes.as_ref().to_vec())
    }

    /// Returns a number; one past the range of the format becomes its largest,
    /// which no length reaches.
    pub fn number(n: u64) -> Self {
        Self::Integer(i64::try_from(n).unwrap_or(i64::MAX))
    }

    /// Returns a dictionary; of equal keys the last counts.
    pub fn dict<K: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries.into_iter();
        Self::Dict(entries.map(|(k, v)| (k.as_ref().to_vec(), v)).collect())
    }

    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new().with_max_depth(self.depth() + 1);
        encoder
            .emit_with(|e| self.emit(e))
            .expect("a map keeps its keys sorted and unique, and the depth was counted");
        encoder.get_output().expect("exactly one value was written")
    }

    fn depth(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Bytes(_) => 0,
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Dict(entries) => 1 + entries.values().map(Self::depth).max().unwrap_or(0),
        }
    }

    fn emit(&self, encoder: SingleItemEncoder<'_>) -> Result<(), Error> {
        match self {
            Self::Integer(n) => encoder.emit_int(*n),
            Self::Bytes(bytes) => encoder.emit_bytes(bytes),
            Self::List(items) => encoder.emit_list(|list| {
                items
                    .iter()
                    .try_for_each(|item| list.emit_with(|e| item.emit(e)))
            }),
            Self::Dict(entries) => encoder.emit_dict(|mut dict| {
                entries
                    .iter()
                    .try_for_each(|(key, value)| dict.emit_pair_with(key, |e| value.emit(e)))
            }),
        }
    }
}

/// Returns a dictionary whose values are bencoded already: so an `info` that
/// others hashed stays as it came.
pub fn dict_of_raw(entries: &BTreeMap<&[u8], Vec<u8>>) -> Vec<u8> {
    let mut out = vec![b'd'];
    for (key, raw) in entries {
        out.extend(Value::bytes(key).encode());
        out.extend(raw);
    }
    out.push(b'e');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bencode::{Document, Keys, Kind, Limits, Node};

    fn values() -> impl Strategy<Value = Value> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            bytes().prop_map(Value::Bytes)
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                proptest::collection::btree_map(bytes(), inner, 0..6).prop_map(Value::Dict),
            ]
        })
    }

    fn read(node: Node<'_>) -> Value {
        match node.kind() {
            Kind::Integer => Value::Integer(node.as_i64().unwrap()),
            Kind::Bytes => Value::bytes(node.as_bytes().unwrap()),
            Kind::List => Value::List(node.items().map(read).collect()),
            Kind::Dict => Value::dict(node.entries().map(|(k, v)| (k, read(v)))),
        }
    }

    /// bendy's own reader, which takes the canonical form only.
    fn bendy_accepts(bytes: &[u8]) -> bool {
        let decoder = bendy::decoding::Decoder::new(bytes).with_max_depth(16);
        let mut tokens = decoder.tokens();
        tokens.all(|token| token.is_ok())
    }

    proptest! {
        #[test]
        fn round_trip(value in values()) {
            let bytes = value.encode();
            let limits = Limits::MESSAGE.with_keys(Keys::Sorted);
            let document = Document::parse(&bytes, limits).unwrap();
            prop_assert_eq!(read(document.root()), value);
            prop_assert_eq!(document.root().raw(), &bytes[..]);
        }

        #[test]
        fn agrees_with_bendy_on_altered_bytes(
            value in values(),
            at in any::<proptest::sample::Index>(),
            byte in prop_oneof![any::<u8>(), proptest::sample::select(b"ilde0123456789:-".to_vec())],
        ) {
            let mut bytes = value.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let limits = Limits::MESSAGE.with_keys(Keys::Sorted);
            if let Ok((document, rest)) = Document::parse_prefix(&bytes, limits) {
                prop_assert!(bendy_accepts(&bytes[..bytes.len() - rest.len()]));
                let again = read_if_small(document.root());
                prop_assert!(again.is_none_or(|v| v.encode() == document.root().raw()));
            } else if let Ok(value) = bendy_value(&bytes) {
                prop_assert!(false, "bendy takes {value:?}");
            }
        }

        #[test]
        fn junk_never_panics(bytes in proptest::collection::vec(
            proptest::sample::select(b"iilldde0019:-a".to_vec()), 0..40)
        ) {
            for keys in [Keys::Sorted, Keys::Unique, Keys::Any] {
                let _ = Document::parse_prefix(&bytes, Limits::MESSAGE.with_keys(keys));
            }
        }
    }

    fn read_if_small(node: Node<'_>) -> Option<Value> {
        Some(match node.kind() {
            Kind::Integer => Value::Integer(node.as_i64()?),
            Kind::Bytes => Value::bytes(node.as_bytes()?),
            Kind::List => Value::List(node.items().map(read_if_small).collect::<Option<_>>()?),
            Kind::Dict => {
                let entries = node.entries().map(|(k, v)| Some((k, read_if_small(v)?)));
                Value::dict(entries.collect::<Option<Vec<_>>>()?)
            }
        })
    }

    fn bendy_value(bytes: &[u8]) -> Result<String, bendy::decoding::Error> {
        let mut decoder = bendy::decoding::Decoder::new(bytes).with_max_depth(16);
        let object = decoder.next_object()?;
        let Some(object) = object else {
            return Err(bendy::decoding::Error::missing_field("value"));
        };
        Ok(match object {
            bendy::decoding::Object::List(mut list) => {
                while list.next_object()?.is_some() {}
                "list".into()
            }
            bendy::decoding::Object::Dict(mut dict) => {
                while dict.next_pair()?.is_some() {}
                "dict".into()
            }
            bendy::decoding::Object::Integer(n) => n.into(),
            bendy::decoding::Object::Bytes(b) => b.escape_ascii().to_string(),
        })
    }
}
