//! Encoding reels: the bytes that follow from objects and a recipe.
//!
//! A reel holds exactly the objects that a moment's tips reach and the chain
//! before it does not hold. Its bytes depend on these objects, on the commits
//! that bring them, and on nothing else: not on how the repository is packed,
//! not on the number of threads, not on the machine. That is what the recipe's
//! name stands for; the recipe itself is written down in the private modules
//! `plan` (which objects, in which order, with which candidates for a base),
//! `pack` (which candidate is taken), `delta` and `deflate`.

mod alike;
mod bases;
mod commits;
mod contents;
mod deflate;
mod delta;
mod history;
mod links;
mod listed;
mod names;
mod pack;
mod plan;
mod recipe;
mod remake;
mod renames;
mod store;
mod walk;

use std::io::{self, Write};

use gt_vfs::{ObjectId, Root};

use crate::Kind;
use crate::bundle::Header;
use crate::published::{self, Published};
use crate::repository::{self, Repository};

pub use contents::Contents;
pub(crate) use deflate::Deflater;
pub(crate) use delta::Differ;
pub use recipe::{MAX_DELTA_OBJECT, MAX_DEPTH, RECIPE};
pub use remake::{Wanted, remake};

/// One moment of a repository, as a publication sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    tips: Vec<(Vec<u8>, ObjectId)>,
    named: Vec<(Vec<u8>, ObjectId)>,
}

impl Moment {
    /// Returns the moment with these published refs; `before` are those of
    /// the moment before (none for the first one), and `head` is the ref that
    /// HEAD names.
    ///
    /// The reel's header will name the refs that `before` has not got or has
    /// elsewhere: HEAD's first, the others sorted.
    pub fn new(
        refs: &[(Vec<u8>, ObjectId)],
        before: &[(Vec<u8>, ObjectId)],
        head: Option<&[u8]>,
    ) -> Self {
        let mut tips = refs.to_vec();
        tips.sort();
        tips.dedup();
        let mut old = before.to_vec();
        old.sort();
        let mut named: Vec<_> = tips
            .iter()
            .filter(|tip| old.binary_search(tip).is_err())
            .cloned()
            .collect();
        named.sort_by_key(|(name, _)| Some(name.as_slice()) != head);
        Self { tips, named }
    }

    /// Returns all published refs, sorted.
    pub fn tips(&self) -> &[(Vec<u8>, ObjectId)] {
        &self.tips
    }

    /// Returns the refs that the reel's header names, in its order.
    pub fn named(&self) -> &[(Vec<u8>, ObjectId)] {
        &self.named
    }
}

/// How to encode; all but [`depth`](Self::depth) is without influence on what
/// comes out.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Options<'a> {
    /// Threads to encode with; 0 takes the pool that the caller runs in.
    pub threads: usize,
    /// Most bytes of objects to keep at hand, apart from those being worked
    /// on: less means more reading.
    pub cache: usize,
    /// Most deltas that a reader applies to get one object. The recipe is at
    /// [`MAX_DEPTH`]; a reel with another limit has no recipe.
    pub depth: u32,
    /// Hears how far the work is.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            threads: 0,
            cache: 48 << 20,
            depth: MAX_DEPTH,
            progress: None,
        }
    }
}

/// How far an encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It looks for the objects of the reel.
    Listing {
        /// Found so far.
        objects: u64,
    },
    /// It writes them.
    Writing {
        /// Objects written.
        done: u64,
        /// Objects in the reel.
        total: u64,
    },
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reel {
    /// The bundle's header.
    pub header: Header,
    /// Length of the bundle in bytes.
    pub length: u64,
    /// Its v2 root.
    pub root: Root,
    /// How many entries are deltas.
    pub deltas: u64,
    /// The longest chain of deltas, earlier reels included.
    pub deepest: u32,
    /// The recipe's name; `None` where the compressor of this build does not
    /// give the bytes that the recipe wants, so that others cannot repeat it.
    pub recipe: Option<&'static str>,
    /// The objects in the order of the pack.
    pub objects: Contents,
}

/// Writes the reel that leads from `published` to `moment` into `out`: a whole
/// bundle. Returns `None`, and writes nothing, where there is nothing that the
/// chain does not hold yet.
///
/// # Errors
/// [`Error`]. What was written until then is worthless.
pub fn reel(
    repository: &dyn Repository,
    published: &dyn Published,
    moment: &Moment,
    options: &Options<'_>,
    out: &mut (dyn Write + Send),
) -> Result<Option<Reel>, Error> {
    if options.threads == 0 {
        return encode(repository, published, moment, options, out);
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|e| Error::Write(io::Error::other(e)))?
        .install(|| encode(repository, published, moment, options, out))
}

fn encode(
    repository: &dyn Repository,
    published: &dyn Published,
    moment: &Moment,
    options: &Options<'_>,
    out: &mut (dyn Write + Send),
) -> Result<Option<Reel>, Error> {
    // All in the pool: what one thread gives back to the allocator is not
    // there for another.
    rayon::scope(|_| encode_here(repository, published, moment, options, out))
}

fn encode_here(
    repository: &dyn Repository,
    published: &dyn Published,
    moment: &Moment,
    options: &Options<'_>,
    out: &mut (dyn Write + Send),
) -> Result<Option<Reel>, Error> {
    let plan = plan::plan(repository, published, moment, options)?;
    if plan.objects.is_empty() {
        return Ok(None);
    }
    if moment.named.is_empty() {
        return Err(Error::NoTips(plan.objects.len() as u64));
    }
    let header = Header {
        format: repository.format(),
        prerequisites: plan.prerequisites.clone(),
        tips: moment.named.clone(),
    };
    pack::write(repository, plan, header, options, out).map(Some)
}

/// Why a reel cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository does not give an object.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// The chain does not tell what it holds.
    #[error(transparent)]
    Published(#[from] published::Error),
    /// An object is named as another kind than it is.
    #[error("expected object {id} to be a {expected}, got a {got}")]
    Kind {
        /// The object.
        id: ObjectId,
        /// What the object that names it says.
        expected: Kind,
        /// What it is.
        got: Kind,
    },
    /// An object's text is none of its kind.
    #[error("expected a well-formed {kind}, got other bytes in {id}")]
    Malformed {
        /// The object.
        id: ObjectId,
        /// Its kind.
        kind: Kind,
    },
    /// There are objects to publish, and no ref that changed.
    #[error("expected a ref that brings the {0} new objects, got none that changed")]
    NoTips(u64),
    /// There are more objects than a pack of version 2 counts, with room for
    /// those outside it.
    #[error("expected fewer than {limit} objects in a reel, got more")]
    TooMany {
        /// The ceiling.
        limit: u32,
    },
    /// The output cannot be written.
    #[error("cannot write the reel: {0}")]
    Write(#[from] io::Error),
}
