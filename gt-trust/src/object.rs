//! Signatures on git objects: commits, tags, and the tags that a merge brings
//! along.
//!
//! Input is the object's bytes as `git cat-file commit X` prints them; no
//! repository is known here. What is signed and what is the signature is told
//! apart exactly as git does it (commit.c, gpg-interface.c), because a reader
//! that cuts elsewhere can be shown another text than the signer saw:
//!
//! * A commit's signature is the value of `gpgsig` (of `gpgsig-sha256` where
//!   object names are SHA-256), unfolded; the payload is the object without
//!   that header and without any other header whose name begins with `gpgsig`.
//! * A tag's signature begins at the last line that begins armour; the payload
//!   is all before it, without `gpgsig-sha256` headers.
//! * Each `mergetag` header of a commit, unfolded, is a tag of its own.

mod check;
mod cut;
mod ring;
mod verdict;

use crate::limits;
use crate::number::Time;
use crate::oid::ObjectFormat;

pub use check::{Checker, Finding, Place};
pub use ring::{RingError, Rings};
pub use verdict::{Grade, Maker, Verdict};

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

/// A commit or tag whose bytes have been told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    kind: Kind,
    format: ObjectFormat,
    signed: Option<Signed>,
    merged: Vec<Vec<u8>>,
}

/// A signature and what it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signed {
    /// The bytes that were signed.
    pub payload: Vec<u8>,
    /// The signature, armour and all.
    pub signature: Vec<u8>,
    /// By its own word, when the commit or tag was made: the date of the
    /// committer or tagger. Git judges the validity of SSH keys by it.
    pub dated: Option<Time>,
}

impl Signed {
    fn new(payload: Vec<u8>, signature: Vec<u8>, key: &[u8]) -> Result<Self, Error> {
        let person = cut::person(&payload, key).ok_or(Error::Person)?;
        Ok(Self {
            dated: cut::date(person),
            payload,
            signature,
        })
    }
}

impl Object {
    /// Tells the parts of an object apart. Without `kind` it is what its first
    /// line says.
    ///
    /// # Errors
    /// [`Error`] where git would not take it for such an object.
    pub fn parse(bytes: &[u8], kind: Option<Kind>) -> Result<Self, Error> {
        if bytes.len() > limits::OBJECT {
            return Err(Error::TooLong(bytes.len()));
        }
        let kind = match kind {
            Some(kind) => kind,
            None if bytes.starts_with(b"tree ") => Kind::Commit,
            None if bytes.starts_with(b"object ") => Kind::Tag,
            None => return Err(Error::Kind),
        };
        match kind {
            Kind::Commit => Self::commit(bytes),
            Kind::Tag => Self::tag(bytes),
        }
    }

    fn commit(bytes: &[u8]) -> Result<Self, Error> {
        let format = cut::commit_format(bytes).ok_or(Error::Commit)?;
        let header = match format {
            ObjectFormat::Sha1 => "gpgsig",
            ObjectFormat::Sha256 => "gpgsig-sha256",
        };
        let (payload, signature) = cut::commit(bytes, header);
        let merged = cut::headers(bytes, b"mergetag");
        if merged.len() > limits::MERGE_TAGS {
            return Err(Error::MergeTags(merged.len()));
        }
        Ok(Self {
            kind: Kind::Commit,
            format,
            signed: signature
                .map(|signature| Signed::new(payload, signature, b"committer "))
                .transpose()?,
            merged,
        })
    }

    fn tag(bytes: &[u8]) -> Result<Self, Error> {
        let format = cut::tag_format(bytes).ok_or(Error::Tag)?;
        Ok(Self {
            kind: Kind::Tag,
            format,
            signed: cut::tag(bytes)
                .map(|(payload, signature)| Signed::new(payload, signature, b"tagger "))
                .transpose()?,
            merged: Vec::new(),
        })
    }

    /// Returns its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns how it names other objects.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns its signature, if it has one.
    pub fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }

    /// Returns the tags that a merge brought along, as bytes of tag objects.
    pub fn merged(&self) -> &[Vec<u8>] {
        &self.merged
    }
}

/// Why bytes are no object whose signature could be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`limits::OBJECT`].
    #[error("expected an object of at most {limit} bytes, got {0}", limit = limits::OBJECT)]
    TooLong(usize),
    /// Neither a commit nor a tag.
    #[error("expected a commit or a tag, got neither")]
    Kind,
    /// No commit that git would read.
    #[error("expected a commit that begins with its tree and parents")]
    Commit,
    /// No tag.
    #[error("expected a tag that begins with the object it names")]
    Tag,
    /// Signed, but by its own word made by nobody: git (from 2.34 on) verifies
    /// no such thing.
    #[error("expected a signed object to say whose it is: a committer or tagger with an address")]
    Person,
    /// More than anybody merges.
    #[error("expected at most {limit} merged tags, got {0}", limit = limits::MERGE_TAGS)]
    MergeTags(usize),
}
