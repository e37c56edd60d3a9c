//! The info dictionary from peers (BEP 9, `ut_metadata`): the messages, and
//! the two machines that fetch and serve.

mod gather;

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use crate::extended::scan::{Item, Scan};
use crate::extended::{Error, int, text};

pub use gather::Gather;

/// The name of the extension.
pub const NAME: &str = "ut_metadata";

/// The largest info dictionary that is fetched: as large as the largest that
/// [`crate::limits`] lets a torrent file be would cost strangers nothing to
/// promise, so this is the size of a torrent with two million pieces.
pub const MAX_SIZE: u32 = 40 << 20;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for a part of 16 KiB.
    Request(u32),
    /// A part.
    Data {
        /// Which.
        part: u32,
        /// Bytes of the whole, as the sender says.
        total: u32,
        /// The bytes.
        data: Bytes,
    },
    /// A request that will not be answered.
    Reject(u32),
    /// A kind this crate does not know.
    Unknown,
}

impl Message {
    /// Reads a payload.
    ///
    /// # Errors
    /// Where it is no dictionary, or lacks what its kind needs.
    pub fn read(payload: &Bytes) -> Result<Self, Error> {
        let (mut kind, mut part, mut total) = (None, None, None);
        let end = Scan::new(payload).dictionary(|key, value| match (key, value) {
            (b"msg_type", Item::Int(n)) => kind = Some(n),
            (b"piece", Item::Int(n)) => part = u32::try_from(n).ok(),
            (b"total_size", Item::Int(n)) => total = u32::try_from(n).ok(),
            _ => {}
        })?;
        let part = part.ok_or(Error::Key { key: "piece" });
        Ok(match kind.ok_or(Error::Key { key: "msg_type" })? {
            0 => Self::Request(part?),
            1 => Self::Data {
                part: part?,
                total: total.ok_or(Error::Key { key: "total_size" })?,
                data: payload.slice(end..),
            },
            2 => Self::Reject(part?),
            _ => Self::Unknown,
        })
    }

    /// Writes the payload; an unknown kind is nothing to say.
    pub fn write(&self) -> Bytes {
        let mut out = b"d".to_vec();
        let (kind, part) = match self {
            Self::Request(part) => (0, *part),
            Self::Data { part, .. } => (1, *part),
            Self::Reject(part) => (2, *part),
            Self::Unknown => return Bytes::new(),
        };
        text(&mut out, b"msg_type");
        int(&mut out, kind);
        text(&mut out, b"piece");
        int(&mut out, u64::from(part));
        if let Self::Data { total, data, .. } = self {
            text(&mut out, b"total_size");
            int(&mut out, u64::from(*total));
            out.push(b'e');
            out.extend_from_slice(data);
        } else {
            out.push(b'e');
        }
        out.into()
    }
}

/// Answers requests out of an info dictionary.
#[derive(Clone, Debug)]
pub struct Serve(Bytes);

impl Serve {
    /// Returns a server of `info`, the raw dictionary.
    pub fn new(info: Bytes) -> Self {
        Self(info)
    }

    /// Returns the size that the extension handshake tells.
    pub fn size(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Returns the answer to a request for a part.
    pub fn answer(&self, part: u32) -> Message {
        let start = part as usize * BLOCK;
        if start >= self.0.len() {
            return Message::Reject(part);
        }
        Message::Data {
            part,
            total: self.size(),
            data: self.0.slice(start..self.0.len().min(start + BLOCK)),
        }
    }
}

/// Collects an info dictionary from **one** peer.
///
/// One fetch per peer, so that a whole that fails its hash names its liar.
/// Memory is paid for by bytes that came: nothing is reserved on a promise.
#[derive(Clone, Debug)]
pub struct Fetch {
    total: u32,
    /// Parts up to here are in `bytes`.
    got: u32,
    asked: bool,
    bytes: Vec<u8>,
}

impl Fetch {
    /// Begins, given the size that the peer promised; `None` where that is
    /// nothing or too much.
    pub fn new(total: u32) -> Option<Self> {
        (1..=MAX_SIZE).contains(&total).then_some(Self {
            total,
            got: 0,
            asked: false,
            bytes: Vec::new(),
        })
    }

    /// Returns the next request to send, one at a time.
    pub fn request(&mut self) -> Option<Message> {
        if self.asked || self.is_whole() {
            return None;
        }
        self.asked = true;
        Some(Message::Request(self.got))
    }

    /// Takes a part; `false` where it is not the one that was asked for, or
    /// not of its length.
    pub fn take(&mut self, part: u32, total: u32, data: &[u8]) -> bool {
        let left = self.total as usize - self.bytes.len();
        let good =
            self.asked && part == self.got && total == self.total && data.len() == left.min(BLOCK);
        if good {
            self.bytes.extend_from_slice(data);
            self.got += 1;
            self.asked = false;
        }
        good
    }

    /// Tells whether every part is there; whether it is the right dictionary
    /// is for its hash to say.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() == self.total as usize
    }

    /// Returns the whole.
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dictionary_crosses_part_by_part() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let info = Bytes::from((0..length).map(|n| n as u8).collect::<Vec<_>>());
            let serve = Serve::new(info.clone());
            let mut fetch = Fetch::new(serve.size()).unwrap();
            while let Some(request) = fetch.request() {
                assert_eq!(fetch.request(), None);
                let Message::Request(part) = Message::read(&request.write()).unwrap() else {
                    panic!("{request:?}");
                };
                let Message::Data { part, total, data } =
                    Message::read(&serve.answer(part).write()).unwrap()
                else {
                    panic!("part {part}");
                };
                assert!(fetch.take(part, total, &data));
            }
            assert_eq!(fetch.finish(), info);
            assert!(matches!(serve.answer(99), Message::Reject(99)));
            assert!(matches!(serve.answer(u32::MAX), Message::Reject(_)));
        }
    }

    #[test]
    fn promises_and_wrong_parts() {
        assert!(Fetch::new(0).is_none());
        assert!(Fetch::new(u32::MAX).is_none());
        let mut fetch = Fetch::new(BLOCK as u32 + 1).unwrap();
        assert!(!fetch.take(0, BLOCK as u32 + 1, &[0; BLOCK]));
        fetch.request();
        assert!(!fetch.take(1, BLOCK as u32 + 1, &[0]));
        assert!(!fetch.take(0, BLOCK as u32 + 1, &[0; BLOCK - 1]));
        assert!(!fetch.take(0, 7, &[0; BLOCK]));
        assert!(fetch.take(0, BLOCK as u32 + 1, &[0; BLOCK]));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::read(&raw.into());
        }

        #[test]
        fn round_trip(part: u32, total: u32, data in prop::collection::vec(any::<u8>(), 0..99)) {
            for message in [
                Message::Request(part),
                Message::Reject(part),
                Message::Data { part, total, data: data.clone().into() },
            ] {
                prop_assert_eq!(Message::read(&message.write()).unwrap(), message);
            }
        }
    }
}
