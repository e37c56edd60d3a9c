//! Statements: what a repository is at one moment.
//!
//! A statement is the exact bytes of one git blob (PROTOCOL.md sections 1 and
//! 2). There is one written form, so that the bytes, their SHA-256 and the
//! meaning stand for each other.

mod draft;
mod error;
mod moves;
mod reel;

use std::ops::Deref;

use crate::grammar::{self, Fault, Lines, Text, is_value, number, or_none, shown_or_none};
use crate::limits;
use crate::mark::Mark;
use crate::number::{Epoch, Seconds, Sequence, Time};
use crate::oid::{ObjectFormat, Oid};
use crate::refs::{self, RefName};
use crate::rid::{Identity, Rid, check_url};

pub use draft::{Draft, Move};
pub use error::Error;
pub(crate) use moves::{Change, changes};
pub use moves::{History, MarkError, Moved, check_marks, moves};
pub use reel::{Recipe, ReelLine, piece_length, total_length};

/// A statement that is well-formed, with the bytes that say it.
///
/// Well-formed is not valid: whether it counts is [`judge`](crate::judge())'s
/// question. Its fields are read through [`Contents`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    contents: Contents,
    bytes: Vec<u8>,
    identity: Identity,
}

/// The fields of a statement, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// Which repository.
    pub repository: Rid,
    /// How it names objects.
    pub object_format: ObjectFormat,
    /// The charter by which it is to be judged.
    pub charter: Identity,
    /// That charter's epoch.
    pub epoch: Epoch,
    /// Its place in the epoch.
    pub sequence: Sequence,
    /// The statement from which it was made; lower than it.
    pub previous: Option<Mark>,
    /// When it was made, by the publisher's clock.
    pub created: Time,
    /// When it goes stale: after `created`, at most 400 days.
    pub expires: Time,
    /// The certificates that go with it.
    pub keyring: Option<Identity>,
    /// What the repository is, in words.
    pub description: Option<String>,
    /// URLs of trackers.
    pub trackers: Vec<String>,
    /// URLs of mirrors.
    pub mirrors: Vec<String>,
    /// Other repositories whose reels can serve this one too.
    pub alternatives: Vec<Rid>,
    /// The ref that HEAD names; one of `refs`.
    pub head: Option<RefName>,
    /// Bytes of a piece, by [`piece_length`].
    pub piece_length: u64,
    /// The files that hold the objects, oldest first.
    pub reels: Vec<ReelLine>,
    /// Every published ref, sorted by the bytes of its name.
    pub refs: Vec<RefLine>,
}

/// One published ref.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefLine {
    /// Where it points.
    pub oid: Oid,
    /// Whether it stands with a `+`: against the statement before, a tag that
    /// moved or a branch that did not fast-forward.
    pub moved: bool,
    /// Its name.
    pub name: RefName,
}

impl RefLine {
    /// Returns a line without the mark.
    pub fn new(oid: Oid, name: RefName) -> Self {
        Self {
            oid,
            moved: false,
            name,
        }
    }
}

/// The shortest line of a ref: 40 digits, a blank, `refs/a/b` and the line feed.
const SHORTEST_REF: usize = 50;

pub(crate) const MAGIC: &str = "gt statement 1";

impl Statement {
    /// Reads a statement; only bytes that [`new`](Self::new) would write.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > limits::STATEMENT {
            return Err(Error::TooLong(bytes.len()));
        }
        let contents = read(bytes)?;
        check(&contents)?;
        // What would be written is compared before it is hashed: it is the
        // text that came, or it is refused.
        let written = write(&contents, bytes.len());
        if written != bytes {
            return Err(Error::OtherForm);
        }
        Ok(Self::of(contents, written))
    }

    /// Makes the statement that says this.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(contents: Contents) -> Result<Self, Error> {
        check(&contents)?;
        let bytes = write(&contents, 0);
        if bytes.len() > limits::STATEMENT {
            return Err(Error::TooLong(bytes.len()));
        }
        Ok(Self::of(contents, bytes))
    }

    fn of(contents: Contents, bytes: Vec<u8>) -> Self {
        Self {
            identity: Identity::of(&bytes),
            contents,
            bytes,
        }
    }

    /// Returns the exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the SHA-256 of the bytes.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns its place in the order of statements.
    pub fn mark(&self) -> Mark {
        Mark::new(self.epoch, self.sequence, self.identity)
    }

    /// Returns the line of a ref, if it is published.
    pub fn find(&self, name: &RefName) -> Option<&RefLine> {
        let at = self.refs.binary_search_by(|line| line.name.cmp(name));
        self.refs.get(at.ok()?)
    }

    /// Returns how long ago it went stale, if it did.
    pub fn stale_at(&self, now: Time) -> Option<Seconds> {
        (now >= self.expires).then(|| now - self.expires)
    }

    /// Begins the statement that follows on this one.
    pub fn next(&self, created: Time) -> Draft {
        Draft::next(self, created)
    }
}

impl Deref for Statement {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}

fn read(bytes: &[u8]) -> Result<Contents, Error> {
    let mut lines = Lines::open(bytes, MAGIC)?;
    let url = |text: &str| Some(text.to_owned());
    let mut contents = Contents {
        repository: lines.parsed("Repository", |v| v.parse().ok())?,
        object_format: lines.parsed("Object-Format", |v| v.parse().ok())?,
        charter: lines.parsed("Charter", Identity::from_tagged)?,
        epoch: lines.parsed("Epoch", number).map(Epoch)?,
        sequence: lines.parsed("Sequence", number).map(Sequence)?,
        previous: lines.parsed("Previous", or_none(Mark::from_line))?,
        created: lines.parsed("Created", number).map(Time)?,
        expires: lines.parsed("Expires", number).map(Time)?,
        keyring: lines.parsed("Keyring", or_none(Identity::from_tagged))?,
        description: lines.optional("Description")?.map(str::to_owned),
        trackers: lines.repeated("Tracker", limits::URLS, url)?,
        mirrors: lines.repeated("Mirror", limits::URLS, url)?,
        alternatives: lines.repeated("Alternative", limits::ALTERNATIVES, |v| v.parse().ok())?,
        head: lines.parsed("Head", or_none(|v| v.parse().ok()))?,
        piece_length: lines.parsed("Piece-Length", number)?,
        reels: lines.repeated("Reel", usize::MAX, ReelLine::from_line)?,
        refs: Vec::new(),
    };
    lines.blank()?;
    // One piece of memory, no larger than what has come can fill.
    contents
        .refs
        .reserve_exact(lines.rest().len() / SHORTEST_REF);
    while let Some(line) = lines.next()? {
        contents.refs.push(read_ref(line, &lines)?);
    }
    Ok(contents)
}

fn read_ref(line: &[u8], lines: &Lines<'_>) -> Result<RefLine, Error> {
    let (moved, rest) = match line.strip_prefix(b"+") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    // A name of git's has no blank, so that it is the only one.
    let space = memchr::memchr(b' ', rest);
    let (hex, name) = space
        .map(|at| (&rest[..at], &rest[at + 1..]))
        .ok_or_else(|| lines.error(Fault::Ref))?;
    Ok(RefLine {
        oid: Oid::from_hex(hex).map_err(|_| lines.error(Fault::Ref))?,
        moved,
        name: RefName::new(name)?,
    })
}

/// Writes them; `room` is how long the text may well become.
fn write(contents: &Contents, room: usize) -> Vec<u8> {
    let mut text = Text::open(MAGIC, room);
    text.line("Repository", contents.repository);
    text.line("Object-Format", contents.object_format);
    text.line("Charter", contents.charter.tagged());
    text.line("Epoch", contents.epoch);
    text.line("Sequence", contents.sequence);
    text.line("Previous", shown_or_none(contents.previous));
    text.line("Created", contents.created);
    text.line("Expires", contents.expires);
    let keyring = contents.keyring.map(|keyring| keyring.tagged());
    text.line("Keyring", shown_or_none(keyring));
    text.lines("Description", contents.description.as_slice());
    text.lines("Tracker", &contents.trackers);
    text.lines("Mirror", &contents.mirrors);
    text.lines("Alternative", &contents.alternatives);
    match &contents.head {
        // Byte for byte: the name of a ref need not be UTF-8, though a HEAD
        // that is not cannot be written and is refused by `check`.
        Some(head) => text.raw(&[b"Head: ", head.as_bytes(), b"\n"]),
        None => text.line("Head", "none"),
    }
    text.line("Piece-Length", contents.piece_length);
    text.lines("Reel", &contents.reels);
    text.raw(&[b"\n"]);
    for line in &contents.refs {
        let plus: &[u8] = if line.moved { b"+" } else { b"" };
        let mut hex = [0; 64];
        let oid = line.oid.write_hex(&mut hex);
        text.raw(&[plus, oid, b" ", line.name.as_bytes(), b"\n"]);
    }
    text.finish()
}

/// Checks what holds of the fields together; the reader and the builder meet
/// here, so that neither lets through what the other refuses.
fn check(contents: &Contents) -> Result<(), Error> {
    check_numbers(contents)?;
    check_words(contents)?;
    reel::check(&contents.reels)?;
    let expected = piece_length(total_length(&contents.reels).ok_or(Error::ReelOverflow)?);
    if contents.piece_length != expected {
        return Err(Error::PieceLength {
            expected,
            got: contents.piece_length,
        });
    }
    refs::check_set(contents.refs.iter().map(|line| &line.name))?;
    for line in &contents.refs {
        if line.oid.format() != contents.object_format {
            return Err(Error::ObjectFormat {
                expected: contents.object_format,
                name: line.name.clone(),
            });
        }
    }
    if let Some(head) = &contents.head {
        let is_published = contents
            .refs
            .binary_search_by(|line| line.name.cmp(head))
            .is_ok();
        if !is_published {
            return Err(Error::Head(head.clone()));
        }
    }
    Ok(())
}

fn check_numbers(contents: &Contents) -> Result<(), Error> {
    let Contents {
        epoch,
        sequence,
        created,
        expires,
        ..
    } = contents;
    if [epoch.0, sequence.0, created.0, expires.0].contains(&u64::MAX) {
        return Err(Error::Number);
    }
    if let Some(previous) = contents.previous
        && (previous.epoch, previous.sequence) >= (*epoch, *sequence)
    {
        return Err(Error::Previous(previous));
    }
    if expires <= created || *expires - *created > limits::LONGEST_LIFETIME {
        return Err(Error::Expires);
    }
    Ok(())
}

fn check_words(contents: &Contents) -> Result<(), Error> {
    if let Some(description) = &contents.description
        && (!is_value(description) || description.len() > limits::TEXT)
    {
        return Err(Error::Description);
    }
    let lists: [(&[String], &[&str]); 2] = [
        (&contents.trackers, &["http://", "https://", "udp://"]),
        (&contents.mirrors, &["http://", "https://"]),
    ];
    for (urls, schemes) in lists {
        if urls.len() > limits::URLS {
            return Err(Error::TooMany("urls", limits::URLS));
        }
        for (n, url) in urls.iter().enumerate() {
            if !check_url(url, schemes) || urls[..n].contains(url) {
                return Err(Error::Url(url.chars().take(80).collect()));
            }
        }
    }
    if contents.alternatives.len() > limits::ALTERNATIVES {
        return Err(Error::TooMany("alternatives", limits::ALTERNATIVES));
    }
    for (n, rid) in contents.alternatives.iter().enumerate() {
        if *rid == contents.repository || contents.alternatives[..n].contains(rid) {
            return Err(Error::Alternative(*rid));
        }
    }
    if let Some(head) = &contents.head
        && !std::str::from_utf8(head.as_bytes()).is_ok_and(is_value)
    {
        return Err(Error::Head(head.clone()));
    }
    Ok(())
}

impl From<grammar::Error> for Error {
    fn from(error: grammar::Error) -> Self {
        Self::Grammar(error)
    }
}
