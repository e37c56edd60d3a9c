//! The messages of `gt_references`, as bytes.

use bytes::Bytes;

use super::{Follow, Misbehaviour};
use crate::bencode::{Document, Limits, Node, Value};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Values that the sender shows.
    Follow(Vec<Follow>),
    /// Something about one repository, by the sender's value for it.
    About(Follow, Kind),
}

/// What is said about a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Have(Bytes),
    Want(Bytes),
    Part(Part),
}

/// A stretch of a pack with the reel behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where the stretch begins, counted over pack and reel.
    pub(super) offset: u64,
    /// Bytes of the whole pack.
    pub(super) pack_size: u64,
    /// Bytes of the whole reel, if one rides along.
    pub(super) reel_size: Option<u64>,
    /// The stretch's share of the pack, then of the reel.
    pub(super) pack: Bytes,
    pub(super) reel: Bytes,
}

impl Message {
    pub(super) fn encode(&self) -> Bytes {
        let entries = match self {
            Self::Follow(values) => {
                let values: Vec<u8> = values.iter().flat_map(|v| v.0).collect();
                vec![
                    ("type", Value::bytes("follow")),
                    ("values", Value::Bytes(values)),
                ]
            }
            Self::About(follow, kind) => {
                let mut entries = match kind {
                    Kind::Have(bytes) => {
                        vec![
                            ("type", Value::bytes("have")),
                            ("bytes", Value::bytes(bytes)),
                        ]
                    }
                    Kind::Want(bytes) => {
                        vec![
                            ("type", Value::bytes("want")),
                            ("bytes", Value::bytes(bytes)),
                        ]
                    }
                    Kind::Part(part) => part.entries(),
                };
                entries.push(("follow", Value::bytes(follow.0)));
                entries
            }
        };
        Value::dict(entries).encode().into()
    }

    /// Reads a message; byte strings are cut out of the payload.
    pub(super) fn read(payload: &Bytes) -> Result<Self, Misbehaviour> {
        let document = Document::parse(payload, Limits::MESSAGE)
            .map_err(|_| Misbehaviour::Malformed("bytes that are not bencoded"))?;
        let root = document.root();
        let bytes = |key: &str| -> Option<Bytes> {
            Some(payload.slice_ref(root.get(key.as_bytes())?.as_bytes()?))
        };
        let named = |key| bytes(key).ok_or(Misbehaviour::Malformed("a message without a field"));
        match root.get(b"type").and_then(|n| n.as_bytes()) {
            Some(b"follow") => {
                let values = named("values")?;
                match values.as_chunks::<16>() {
                    (values, []) => Ok(Self::Follow(values.iter().copied().map(Follow).collect())),
                    _ => Err(Misbehaviour::Malformed("a broken list of values")),
                }
            }
            Some(kind) => {
                let follow = named("follow")?;
                let follow = follow[..].try_into().map(Follow);
                let follow =
                    follow.map_err(|_| Misbehaviour::Malformed("a value of another length"))?;
                let kind = match kind {
                    b"have" => Kind::Have(named("bytes")?),
                    b"want" => Kind::Want(named("bytes")?),
                    b"pack" => Kind::Part(Part {
                        offset: number(root, "offset")?,
                        pack_size: number(root, "pack_size")?,
                        reel_size: match root.get(b"reel_size") {
                            Some(_) => Some(number(root, "reel_size")?),
                            None => None,
                        },
                        pack: named("pack")?,
                        reel: bytes("reel").unwrap_or_default(),
                    }),
                    _ => return Err(Misbehaviour::Malformed("a message of unknown type")),
                };
                Ok(Self::About(follow, kind))
            }
            None => Err(Misbehaviour::Malformed("a message without a type")),
        }
    }
}

fn number(root: Node<'_>, key: &str) -> Result<u64, Misbehaviour> {
    let value = root.get(key.as_bytes()).and_then(|n| n.as_u64());
    value.ok_or(Misbehaviour::Malformed("a pack without its sizes"))
}

impl Part {
    fn entries(&self) -> Vec<(&'static str, Value)> {
        let mut entries = vec![
            ("type", Value::bytes("pack")),
            ("offset", Value::number(self.offset)),
            ("pack", Value::bytes(&self.pack)),
            ("pack_size", Value::number(self.pack_size)),
        ];
        if let Some(size) = self.reel_size {
            entries.push(("reel_size", Value::number(size)));
            entries.push(("reel", Value::bytes(&self.reel)));
        }
        entries
    }

    /// Cuts a pack and its reel into stretches of at most `length` bytes.
    pub(super) fn cut(
        pack: &Bytes,
        reel: Option<&Bytes>,
        length: usize,
    ) -> impl Iterator<Item = Self> {
        let pack = pack.clone();
        let reel_size = reel.map(|reel| reel.len() as u64);
        let reel = reel.cloned().unwrap_or_default();
        let total = pack.len() + reel.len();
        // An empty pack is one empty stretch.
        let count = total.div_ceil(length).max(1);
        (0..count).map(move |n| {
            let from = n * length;
            let to = (from + length).min(total);
            let middle = pack.len();
            Self {
                offset: from as u64,
                pack_size: middle as u64,
                reel_size,
                pack: pack.slice(from.min(middle)..to.min(middle)),
                reel: reel.slice(from.max(middle) - middle..to.max(middle) - middle),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    proptest! {
        #[test]
        fn round_trip(
            values in proptest::collection::vec(any::<[u8; 16]>(), 0..5),
            value: [u8; 16],
            text in bytes(),
            pack in bytes(),
            reel in proptest::option::of(bytes()),
            length in 1_usize..50,
        ) {
            let values = values.into_iter().map(Follow).collect();
            let mut messages = vec![
                Message::Follow(values),
                Message::About(Follow(value), Kind::Have(text.clone())),
                Message::About(Follow(value), Kind::Want(text)),
            ];
            let parts: Vec<Part> = Part::cut(&pack, reel.as_ref(), length).collect();
            let whole: Vec<u8> = parts.iter().flat_map(|p| p.pack.to_vec()).collect();
            prop_assert_eq!(whole, pack.to_vec());
            let whole: Vec<u8> = parts.iter().flat_map(|p| p.reel.to_vec()).collect();
            prop_assert_eq!(whole, reel.unwrap_or_default().to_vec());
            prop_assert!(parts.iter().all(|p| p.pack.len() + p.reel.len() <= length));
            messages.extend(parts.into_iter().map(|p| Message::About(Follow(value), Kind::Part(p))));
            for message in messages {
                prop_assert_eq!(Message::read(&message.encode()).unwrap(), message);
            }
        }

        #[test]
        fn junk_never_panics(junk in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::read(&junk.into());
        }
    }
}
