//! Reads a whole pack once: every entry inflated, every delta resolved, every
//! object named, the trailer compared.

mod ahead;
mod arriving;
mod batch;
mod columns;
mod early;
mod entries;
mod finish;
mod front;
mod incoming;
mod inflated;
mod kept;
mod names;
mod object;
mod pass;
mod pieces;
mod raw;
mod refs;
mod resolve;
mod spare;
mod table;

pub use arriving::Arriving;
pub use entries::Entries;
pub use incoming::{Begun, Incoming, arrive, begin, stream};

use std::ops::ControlFlow;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use crate::entry;
use crate::hash::Collision;
use crate::kind::Kind;
use crate::limits::{Exceeded, Limits};

/// What a pack turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The hash that names its objects.
    pub format: ObjectFormat,
    /// Its length in bytes, trailer included.
    pub length: u64,
    /// Its trailer, which is the sum of all bytes before it.
    pub checksum: ObjectId,
    /// Its objects, sorted by name, each once.
    pub entries: Entries,
    /// Bases that are not in the pack, in the order in which the first delta
    /// on each stands in it: empty for a pack that stands alone.
    pub external: Vec<ObjectId>,
    /// Inflated bytes of all objects.
    pub inflated: u64,
}

impl Verified {
    /// Tells whether the pack itself holds an object.
    pub fn holds(&self, oid: &ObjectId) -> bool {
        self.entries.find(oid).is_some()
    }

    /// Returns the name of the base of a delta.
    pub fn base(&self, entry: &Entry) -> Option<ObjectId> {
        match entry.base? {
            Link::Inside(place) => self.entries.at(place).map(|e| e.oid),
            Link::Outside(place) => self.external.get(place as usize).copied(),
        }
    }

    /// Returns an object of the pack.
    pub fn entry(&self, oid: &ObjectId) -> Option<Entry> {
        self.entries.get(self.entries.find(oid)?)
    }
}

/// One object of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub oid: ObjectId,
    /// Where its entry begins, in bytes from the start of the pack.
    pub offset: u64,
    /// The CRC-32 of the entry as it lies in the pack.
    pub crc32: u32,
    /// What it is, deltas resolved.
    pub kind: Kind,
    /// Its length in bytes, deltas resolved.
    pub size: u64,
    /// What its entry is a delta on.
    pub base: Option<Link>,
    /// Deltas between it and a whole object; those before an external base
    /// are counted.
    pub depth: u32,
}

/// Where the base of a delta is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// In the pack: a place in its order, for [`Entries::at`].
    Inside(u32),
    /// Elsewhere: a place in [`Verified::external`].
    Outside(u32),
}

/// An object of which the content is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Deltas between it and a whole object, where it lies.
    pub depth: u32,
}

impl Base {
    /// Returns a base that lies at the end of `depth` deltas.
    pub fn new(kind: Kind, content: Vec<u8>, depth: u32) -> Self {
        Self {
            kind,
            content,
            depth,
        }
    }
}

/// Where a thin pack finds the bases that it does not hold.
pub trait Bases: Sync {
    /// Returns the object of this name, or `None`.
    ///
    /// # Errors
    /// What broke while it was looked up.
    fn find(&self, oid: &ObjectId) -> std::io::Result<Option<Base>>;
}

/// No bases: a pack must stand alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBases;

impl Bases for NoBases {
    fn find(&self, _: &ObjectId) -> std::io::Result<Option<Base>> {
        Ok(None)
    }
}

/// An object as a [`Visitor`] sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// Its name.
    pub oid: &'a ObjectId,
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes; `None` for a blob that was too big to be held at once
    /// ([`STREAMED`]).
    pub content: Option<&'a [u8]>,
}

/// A whole blob longer than this is hashed as it is inflated and never lies
/// in memory.
pub const STREAMED: u64 = 16 << 20;

/// Is shown every object of a pack, once, in no order, by several threads.
pub trait Visitor: Sync {
    /// Looks at an object.
    ///
    /// # Errors
    /// Why the whole pack is refused: what was expected of this object and
    /// what it is.
    fn object(&self, seen: &Seen<'_>) -> Result<(), String>;
}

/// Looks at nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVisitor;

impl Visitor for NoVisitor {
    fn object(&self, _: &Seen<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The bytes are compared with what was promised of them.
    Comparing,
    /// Bytes of the pack are read, in order.
    Reading,
    /// Deltas are resolved; counted in objects.
    Resolving,
    /// Links are checked; counted in objects.
    Connecting,
    /// Bytes are written.
    Writing,
}

/// Is told how far a long work is, by several threads.
pub trait Progress: Sync {
    /// Takes note of `done` out of `total`; [`ControlFlow::Break`] stops the
    /// work.
    fn at(&self, stage: Stage, done: u64, total: u64) -> ControlFlow<()>;
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn at(&self, _: Stage, _: u64, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Verifies a pack of version 2 or 3, from its first byte to its last.
///
/// One thread reads and inflates in order, the others (of rayon's pool) name
/// objects; then all resolve deltas. `bases` is asked only for what the pack
/// does not hold.
///
/// # Errors
/// See [`Error`].
pub fn pack(
    source: &dyn ReadAt,
    format: ObjectFormat,
    limits: &Limits,
    bases: &dyn Bases,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    let pass = incoming::read(source, format, limits, visitor, progress)?;
    finish::finish(pass, source, format, limits, bases, visitor, progress)
}

/// Why a pack is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first four bytes are others.
    #[error("expected a pack to begin with PACK, got {0:02x?}")]
    Signature([u8; 4]),
    /// The version is not known.
    #[error("expected a pack of version 2 or 3, got {0}")]
    Version(u32),
    /// The pack ends before it is over.
    #[error("expected more bytes, got the end of the pack at offset {0}")]
    Truncated(u64),
    /// Bytes follow the trailer.
    #[error("expected the pack to end at its trailer, got {0} bytes more")]
    Trailing(u64),
    /// The trailer is not the sum of the bytes before it.
    #[error("expected trailer {expected}, got {got}")]
    Checksum {
        /// The sum of the bytes.
        expected: ObjectId,
        /// What the trailer says.
        got: ObjectId,
    },
    /// An entry's header cannot be read.
    #[error("entry at offset {offset}: {source}")]
    Header {
        /// Where the entry begins.
        offset: u64,
        /// What is wrong with it.
        source: entry::Error,
    },
    /// An entry's bytes are no deflate stream, or need a preset dictionary.
    #[error("entry at offset {offset}: expected a zlib stream, got {what}")]
    Deflate {
        /// Where the entry begins.
        offset: u64,
        /// What came.
        what: String,
    },
    /// An entry inflates to another size than its header says.
    #[error("entry at offset {offset}: expected {expected} inflated bytes, got {got}")]
    Size {
        /// Where the entry begins.
        offset: u64,
        /// What the header says.
        expected: u64,
        /// Where counting stopped.
        got: u64,
    },
    /// A distance leads to no entry.
    #[error("entry at offset {offset}: expected a base entry {distance} bytes before, got none")]
    NoEntry {
        /// Where the delta begins.
        offset: u64,
        /// How far back it points.
        distance: u64,
    },
    /// A delta cannot be applied.
    #[error("delta at offset {offset}: {source}")]
    Delta {
        /// Where the delta begins.
        offset: u64,
        /// What is wrong with it.
        source: crate::delta::apply::Error,
    },
    /// Bases are neither in the pack nor outside, or deltas go round.
    #[error("expected the bases of all deltas, got {count} without, the first of them on {first}")]
    MissingBase {
        /// The base of the first delta.
        first: ObjectId,
        /// How many deltas have none.
        count: u64,
    },
    /// One object stands twice.
    #[error("expected each object once, got {0} twice")]
    Duplicate(ObjectId),
    /// Bytes were made to share their name.
    #[error(transparent)]
    Collision(#[from] Collision),
    /// A ceiling was met.
    #[error(transparent)]
    Limit(#[from] Exceeded),
    /// The visitor refused an object.
    #[error("object {oid}: {why}")]
    Refused {
        /// Its name.
        oid: ObjectId,
        /// What the visitor said.
        why: String,
    },
    /// The progress said stop.
    #[error("expected to go on, got a request to stop")]
    Stopped,
    /// The source or the bases broke: not the pack's fault.
    #[error(transparent)]
    Io(std::io::Error),
}

impl From<std::io::Error> for Error {
    /// A ceiling that a reader met ([`Patient`](crate::idle::Patient)) is the
    /// pack's fault.
    fn from(e: std::io::Error) -> Self {
        let exceeded = e.get_ref().and_then(|inner| inner.downcast_ref());
        match exceeded {
            Some(exceeded) => Self::Limit(*exceeded),
            None => Self::Io(e),
        }
    }
}
