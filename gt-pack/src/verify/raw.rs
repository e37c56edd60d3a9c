//! An entry as the front hands it on.

use super::Error;
use super::pieces::Bytes;
use crate::ObjectId;
use crate::entry::{EntryHeader, EntryKind};
use crate::kind::Kind;

/// An entry that has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawEntry {
    pub(super) offset: u64,
    /// Where the next begins.
    pub(super) end: u64,
    pub(super) header: EntryHeader,
    pub(super) crc32: u32,
    /// Bytes of the object, which for a delta is what its head promises.
    pub(super) result: u64,
    /// Bytes of its base, as its head says; 0 for what is no delta.
    pub(super) base: u64,
}

impl RawEntry {
    pub(super) fn is_delta(&self) -> bool {
        !matches!(self.header.kind, EntryKind::Whole(_))
    }
}

/// What is known of the content of an entry when it has been read.
pub(super) enum Content<'a> {
    /// A delta; its bytes, if they are few.
    Delta(Option<Bytes<'a>>),
    /// The bytes of an object.
    Whole(Kind, Bytes<'a>),
    /// An object that was hashed as it came.
    Streamed(Kind, ObjectId),
}

/// Where the entries go.
pub(super) type Sink<'a> = dyn FnMut(RawEntry, Content<'_>) -> Result<(), Error> + 'a;
