//! Takes a reel into a repository: judged whole in quarantine, then moved in.

mod arrival;
mod connect;
mod fsck;
mod links;
mod quarantine;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use gt_vfs::content::TreeHasher;
use gt_vfs::{ObjectFormat, ObjectId, ReadAt, Root, Verdict};

pub use self::arrival::Arrival;
use self::arrival::of_pack;
use self::links::Links;
pub(crate) use self::quarantine::{Quarantine, lock};
use crate::bundle::{self, Header};
use crate::chain::{self, Chain, Layout, Range, Reel};
use crate::fsck::{Fsck, Id, Level, Policy};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::span::Span;
use crate::verify::{self, Begun, Progress, Seen, Verified, Visitor};

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
    /// The reels of the statement before it, all of which must be held: bases
    /// and links may lead there, and nowhere else.
    pub earlier: Vec<Reel>,
    /// The refs of the statement that brought this reel; `None` where that is
    /// not the statement at hand, as for all but the newest reel, and for the
    /// newest one when refs have moved since without a reel.
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
    /// The names of its packs in `objects/pack`, without extension.
    pub packs: Vec<String>,
    /// It was in before; nothing was done.
    pub already: bool,
    /// Faults of its objects that only this repository's configuration let
    /// pass as warnings: others refuse the reel unless theirs does too.
    pub relaxed: Vec<Id>,
}

/// Judges the bundle and, when it is good, moves its pack into
/// `objects/pack` and adds it to the chain.
///
/// Everything before the move happens in a folder that git does not look into,
/// and that the next import removes where it was left behind. A crash at any point leaves the repository as it
/// was, or with the whole pack and the import to be repeated.
///
/// # Errors
/// [`Error::Reject`] where the publisher is at fault; [`Error::Broken`] where
/// nobody is: nothing was lost, and it can be tried again.
pub fn reel(
    chain: &mut Chain,
    bundle: &dyn ReadAt,
    expected: &Expected,
    gate: &mut dyn Gate,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Imported, Error> {
    check_root(bundle, &expected.reel, progress)?;
    let (header, length) = read_header(bundle)?;
    let pack = Span::behind(bundle, length);
    let begin = |chain: &Chain| {
        let (format, common_dir) = (chain.format(), chain.common_dir());
        begin(&pack, format, common_dir, limits, progress)
    };
    settle(
        chain, &pack, header, length, expected, gate, progress, begin,
    )
}

/// Does as [`reel`], with a bundle that was read already while it came in, of
/// which the bytes are not read for that again.
///
/// # Errors
/// As of [`reel`].
pub fn arrived(
    chain: &mut Chain,
    bundle: &dyn ReadAt,
    arrival: Arrival,
    expected: &Expected,
    gate: &mut dyn Gate,
    progress: &dyn Progress,
) -> Result<Imported, Error> {
    arrival.check(&expected.reel)?;
    let Arrival {
        header,
        length,
        begun,
        checks,
        ..
    } = arrival;
    let pack = Span::behind(bundle, length);
    let begin = |_: &Chain| Ok((begun, checks));
    settle(
        chain, &pack, header, length, expected, gate, progress, begin,
    )
}

/// Reads a pack and looks at its objects, as far as that goes without others.
fn begin(
    pack: &dyn ReadAt,
    format: ObjectFormat,
    common_dir: &Path,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<(Begun, Checks), Error> {
    let checks = Checks::new(format, common_dir)?;
    let begun = verify::begin(pack, format, limits, &checks, progress).map_err(of_pack)?;
    Ok((begun, checks))
}

/// Ends an import of a bundle whose bytes are the statement's.
#[allow(clippy::too_many_arguments, reason = "two callers, each with all")]
fn settle(
    chain: &mut Chain,
    pack: &dyn ReadAt,
    header: Header,
    length: u64,
    expected: &Expected,
    gate: &mut dyn Gate,
    progress: &dyn Progress,
    begin: impl FnOnce(&Chain) -> Result<(Begun, Checks), Error>,
) -> Result<Imported, Error> {
    check_header(&header, chain, expected)?;
    // One import at a time: the next one sees what this one brought.
    let lock = lock(chain.common_dir()).map_err(broken)?;
    quarantine::sweep(&chain.objects()).map_err(broken)?;
    chain.refresh().map_err(Broken::from)?;
    if chain.holds(&expected.reel.root) {
        return imported(chain, &expected.reel, header.tips, None);
    }
    let earlier = chain.select(&expected.earlier).map_err(Broken::from)?;
    let (begun, checks) = begin(chain)?;
    let verified = begun
        .finish(pack, &earlier, &checks, progress)
        .map_err(of_pack)?;
    let Checks { links, fsck } = checks;
    connect::check(&verified, links, &header, &earlier, progress)?;
    let quarantine = Quarantine::new(&chain.objects()).map_err(broken)?;
    let (name, version) = quarantine.fill(pack, &verified, &earlier).map_err(broken)?;
    let relaxed = match fsck {
        Some(fsck) => fsck::judge(fsck, &quarantine, &name, chain.format(), &earlier)?,
        None => Vec::new(),
    };
    let verdict = gate
        .admit(&ReelFacts {
            reel: &expected.reel,
            prerequisites: &header.prerequisites,
            tips: &header.tips,
            objects: verified.entries.len() as u64,
            quarantine: quarantine.path(),
        })
        .map_err(broken)?;
    if let Verdict::Reject { why } = verdict {
        return Err(Error::Reject(Reason::Gate(why)));
    }
    let Reel {
        first, last, root, ..
    } = expected.reel;
    quarantine
        .release(&name, &format!("reel {first}-{last} {root}"))
        .map_err(broken)?;
    let layout = layout(expected, &header, length, &verified, &name, version);
    chain.add(&layout).map_err(Broken::from)?;
    let imported = imported(chain, &expected.reel, header.tips, Some(relaxed));
    drop(lock);
    imported
}

/// What a person lets pass of what git's checks find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leniency(Option<Policy>);

impl Leniency {
    /// Reads it out of git's configuration, as [`reel`] does: `fetch.fsck.<id>`,
    /// `fetch.fsck.skipList`, `fetch.fsckObjects`, `transfer.fsckObjects`. Where
    /// it has changed, a reel that was refused as [`Reason::Fsck`] may be
    /// accepted.
    ///
    /// # Errors
    /// Where git cannot be asked, and what it says cannot be followed.
    pub fn of(common_dir: &Path) -> Result<Self, Broken> {
        fsck::policy(common_dir).map(Self)
    }
}

/// Ends an import whose reel is in; `relaxed` is none where it was before.
fn imported(
    chain: &mut Chain,
    reel: &Reel,
    tips: Vec<(Vec<u8>, ObjectId)>,
    relaxed: Option<Vec<Id>>,
) -> Result<Imported, Error> {
    // That packs cannot be joined now, on a full disk for one, is nothing
    // that the import could be tried again for: the next one does it.
    if chain.tidy().is_err() {
        chain.refresh().map_err(Broken::from)?;
    }
    let layout = chain.layout(&reel.root);
    let ranges = layout.map_or(&[][..], |layout| &layout.ranges);
    Ok(Imported {
        objects: layout.map_or(0, |layout| u64::from(layout.entries)),
        tips,
        packs: ranges.iter().map(|r| r.pack.clone()).collect(),
        already: relaxed.is_none(),
        relaxed: relaxed.unwrap_or_default(),
    })
}

/// What looks at each object while it is verified.
struct Checks {
    links: Links,
    /// None where the person wants none.
    fsck: Option<Fsck>,
}

impl Checks {
    fn new(format: ObjectFormat, common_dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            links: Links::new(format),
            fsck: fsck::policy(common_dir)?.map(Fsck::new),
        })
    }
}

impl Visitor for Checks {
    fn object(&self, seen: &Seen<'_>) -> Result<(), String> {
        self.links.object(seen)?;
        match &self.fsck {
            Some(fsck) => fsck.object(seen),
            None => Ok(()),
        }
    }
}

fn check_root(bundle: &dyn ReadAt, reel: &Reel, progress: &dyn Progress) -> Result<(), Error> {
    let size = bundle.size();
    if size != reel.length {
        return Err(Error::Reject(Reason::Length {
            expected: reel.length,
            got: size,
        }));
    }
    let mut hasher = TreeHasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < size {
        let want = buffer.len().min((size - at) as usize);
        let read = &mut buffer[..want];
        bundle.read_exact_at(at, read).map_err(broken)?;
        hasher.update(read);
        at += want as u64;
        if progress.at(verify::Stage::Comparing, at, size).is_break() {
            return Err(Error::Broken(Broken::Stopped));
        }
    }
    let got = hasher.finish().root();
    if got != reel.root {
        return Err(Error::Reject(Reason::Root {
            expected: reel.root,
            got,
        }));
    }
    Ok(())
}

/// Reads the bundle header and compares it with its one written form.
fn read_header(bundle: &dyn ReadAt) -> Result<(Header, u64), Error> {
    let reject = |why: String| Error::Reject(Reason::Header(why));
    let (header, length) = Header::read_from(bundle).map_err(|e| match e {
        bundle::FromError::Io(e) => broken(e),
        fault => reject(fault.to_string()),
    })?;
    let mut bytes = vec![0; length as usize];
    bundle.read_exact_at(0, &mut bytes).map_err(broken)?;
    if length != header.write().len() as u64 || !header.is_canonical(&bytes) {
        return Err(reject("expected its one form, got another".into()));
    }
    Ok((header, length))
}

fn check_header(header: &Header, chain: &Chain, expected: &Expected) -> Result<(), Error> {
    let reject = |why: String| Err(Error::Reject(Reason::Header(why)));
    if header.format != chain.format() {
        let (want, got) = (chain.format(), header.format);
        return reject(format!("expected object format {want}, got {got}"));
    }
    if header.tips.is_empty() {
        return reject("expected a tip, got none".into());
    }
    let Some(refs) = &expected.refs else {
        return Ok(());
    };
    // The tip that HEAD names comes first, and then they are sorted.
    let head = expected.head.as_ref();
    let rest = match header.tips.split_first() {
        Some((first, rest)) if Some(&first.0) == head => rest,
        _ => &header.tips[..],
    };
    let has_head = rest.iter().any(|(name, _)| Some(name) == head);
    if has_head || !rest.is_sorted_by(|a, b| a.0 < b.0) {
        return reject("expected the tip of HEAD first and the others sorted".into());
    }
    if expected.reel.is_splice() {
        return Ok(());
    }
    for (name, oid) in &header.tips {
        if refs.get(name) != Some(oid) {
            return Err(Error::Reject(Reason::TipNotInStatement {
                name: name.clone(),
                oid: *oid,
            }));
        }
    }
    Ok(())
}

fn layout(
    expected: &Expected,
    header: &Header,
    length: u64,
    verified: &Verified,
    name: &str,
    version: u32,
) -> Layout {
    let trailer = verified.format.raw_len() as u64;
    Layout {
        reel: expected.reel.clone(),
        format: verified.format,
        entries: verified.entries.len() as u32,
        version,
        ranges: vec![Range {
            pack: name.into(),
            begin: 12,
            length: expected.reel.length - length - 12 - trailer,
        }],
        trailer: verified.checksum,
        header: header.write(),
    }
}

fn broken(e: io::Error) -> Error {
    Error::Broken(Broken::Io(e))
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
    Broken(#[from] Broken),
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
    /// A prerequisite is no parent outside the reel of a commit inside.
    #[error("expected only parents outside the reel as prerequisites, got {0}")]
    NoParent(ObjectId),
    /// A parent outside the reel is no prerequisite.
    #[error("expected parent {0} among the prerequisites, got none")]
    NoPrerequisite(ObjectId),
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
        /// An object with the link.
        from: ObjectId,
        /// What it names.
        to: ObjectId,
    },
    /// A link leads to an object of another kind.
    #[error("expected {to} to be what {from} says, got a {got}")]
    LinkKind {
        /// An object with the link.
        from: ObjectId,
        /// What it names.
        to: ObjectId,
        /// What that is.
        got: Kind,
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
    /// An object is one that git refuses where `transfer.fsckObjects` is set.
    #[error("fsck: {first}{}{}", more(*.count), relaxed_by(.ids))]
    Fsck {
        /// The first finding, in git's words.
        first: String,
        /// How many there are.
        count: u64,
        /// What is wrong, each once.
        ids: Vec<Id>,
    },
    /// The gate said no.
    #[error("gate: {0}")]
    Gate(String),
}

fn more(count: u64) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    }
}

/// Says what lets such objects pass.
fn relaxed_by(ids: &[Id]) -> String {
    if ids.iter().any(|id| id.level() == Level::Fatal) {
        return "; nothing lets that pass".into();
    }
    let lines = ids.iter();
    let lines: Vec<String> = lines
        .map(|id| format!("git config --global fetch.fsck.{id} warn"))
        .collect();
    format!("; to let it pass: {}", lines.join(" && "))
}

/// What broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The work was stopped.
    #[error("expected to go on, got a request to stop")]
    Stopped,
    /// A reel before this one is not held, or the chain cannot be read.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// Git's configuration of the checks (`fetch.fsck.<id>`) cannot be read.
    #[error("configuration: {0}")]
    Configuration(#[from] crate::fsck::Error),
    /// The disk or the source.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<chain::Error> for Error {
    fn from(e: chain::Error) -> Self {
        Self::Broken(e.into())
    }
}
