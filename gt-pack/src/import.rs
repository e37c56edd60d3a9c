//! Takes a reel into a repository: judged whole in quarantine, then moved in.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use gt_vfs::{ObjectId, ReadAt, Root, Verdict};

use crate::chain::{Chain, Reel};
use crate::limits::Limits;
use crate::verify::{self, Progress};

/// Asked before a reel becomes visible to the repository.
pub trait Gate: Send {
    /// Judges a reel that keeps all the rules of its form.
    ///
    /// # Errors
    /// An error is no verdict: the import can be repeated.
    fn admit(&mut self, facts: &ReelFacts<'_>) -> io::Result<Verdict>;
}

/// A gate that lets everything in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Gate for Open {
    fn admit(&mut self, _: &ReelFacts<'_>) -> io::Result<Verdict> {
        Ok(Verdict::Accept)
    }
}

/// What a [`Gate`] is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReelFacts<'a> {
    /// The reel.
    pub reel: &'a Reel,
    /// Its prerequisites.
    pub prerequisites: &'a [ObjectId],
    /// Its tips: name and object.
    pub tips: &'a [(Vec<u8>, ObjectId)],
    /// How many objects it has.
    pub objects: u64,
    /// The object directory where its pack waits; with the repository's own as
    /// an alternate it is what git calls a quarantine.
    pub quarantine: &'a Path,
}

/// What a statement says of a reel.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Which reel.
    pub reel: Reel,
    /// The refs of the statement when this is its newest reel; `None` for
    /// those before.
    pub refs: Option<BTreeMap<Vec<u8>, ObjectId>>,
    /// The ref that HEAD names, for the newest reel.
    pub head: Option<Vec<u8>>,
}

/// A reel that is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// How many objects it brought.
    pub objects: u64,
    /// Its tips: name and object.
    pub tips: Vec<(Vec<u8>, ObjectId)>,
    /// The name of its pack in `objects/pack`, without extension.
    pub pack: String,
    /// It was in before; nothing was done.
    pub already: bool,
}

/// Judges the bundle and, when it is good, moves its pack into
/// `objects/pack` and adds it to the chain.
///
/// Everything before the move happens in a folder that git takes for its own
/// quarantine and cleans up. A crash at any point leaves the repository as it
/// was, or with the whole pack and the import to be repeated.
///
/// # Errors
/// [`Error::Reject`] where the publisher is at fault; [`Error::Broken`] where
/// nobody is: nothing was lost, and it can be tried again.
pub fn reel(
    common_dir: &Path,
    chain: &mut Chain,
    bundle: &dyn ReadAt,
    expected: &Expected,
    gate: &mut dyn Gate,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Imported, Error> {
    let _ = (common_dir, chain, bundle, expected, gate, limits, progress);
    unimplemented!()
}

/// Why a reel did not come in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The reel breaks a rule: the publisher is at fault.
    #[error("reel rejected: {0}")]
    Reject(#[source] Reason),
    /// Something else broke; nothing was lost.
    #[error("reel not imported: {0}")]
    Broken(#[source] Broken),
}

/// The rule that a reel breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes are others than the statement's.
    #[error("expected root {expected}, got {got}")]
    Root {
        /// What the statement says.
        expected: Root,
        /// What the bytes have.
        got: Root,
    },
    /// The length is another than the statement's.
    #[error("expected {expected} bytes, got {got}")]
    Length {
        /// What the statement says.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// The header is no bundle header, or not in its one form.
    #[error("bundle header: {0}")]
    Header(String),
    /// The header names other prerequisites than its commits have.
    #[error("expected the parents outside the reel as prerequisites, got {what} {oid}")]
    Prerequisites {
        /// `also` or `not`.
        what: &'static str,
        /// Which.
        oid: ObjectId,
    },
    /// A tip is no ref of the statement.
    #[error("expected tips that the statement has, got {oid} {}", .name.escape_ascii())]
    TipNotInStatement {
        /// The ref.
        name: Vec<u8>,
        /// Its object.
        oid: ObjectId,
    },
    /// A tip is in no reel.
    #[error("expected tip {0} in this reel or one before, got neither")]
    MissingTip(ObjectId),
    /// A link leads out of the chain.
    #[error("expected every link inside the chain, got {from} naming {to}, which no reel has")]
    MissingLink {
        /// The object with the link.
        from: ObjectId,
        /// What it names.
        to: ObjectId,
    },
    /// A link leads to an object of another kind.
    #[error("expected {to} to be what {from} says, got a {got}")]
    LinkKind {
        /// The object with the link.
        from: ObjectId,
        /// What it names.
        to: ObjectId,
        /// What that is.
        got: crate::kind::Kind,
    },
    /// Nothing names an object.
    #[error("expected every object to be named by another or a tip, got {0}, which is not")]
    Unnamed(ObjectId),
    /// An object stands in an earlier reel.
    #[error("expected no object of an earlier reel, got {0}")]
    Repeated(ObjectId),
    /// There is no object in it.
    #[error("expected a reel with objects, got none")]
    Empty,
    /// The pack is refused.
    #[error("pack: {0}")]
    Pack(#[source] verify::Error),
    /// The gate said no.
    #[error("gate: {0}")]
    Gate(String),
}

/// What broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// Reels come in order.
    #[error("expected the reel after {after:?}, got {got}")]
    Order {
        /// The last number that the chain holds.
        after: Option<u64>,
        /// The first number of the reel.
        got: u64,
    },
    /// A reel before this one was taken away.
    #[error("expected reel {0} to be held, got none of its bytes")]
    NotHeld(String),
    /// The work was stopped.
    #[error("expected to go on, got a request to stop")]
    Stopped,
    /// The chain's state cannot be read.
    #[error(transparent)]
    Chain(#[from] crate::chain::Error),
    /// The disk or the source.
    #[error(transparent)]
    Io(#[from] io::Error),
}
