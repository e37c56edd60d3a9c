//! What peers of a repository tell each other: `have`, `want` and the objects
//! of a `pack` (PROTOCOL.md section 7), as bytes. How they travel is not known
//! here, nor how a git pack is made.

mod head;

use crate::charter;
use crate::limits;
use crate::seal::Seal;
use crate::statement;

pub use head::{Gathered, Have, HeadError, Want};

/// A statement with everything that is needed to judge it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// Charters, by their bytes; in epoch 0 the one that founds.
    pub charters: Vec<Vec<u8>>,
    /// The statement.
    pub statement: Vec<u8>,
    /// Its seals: tag objects.
    pub seals: Vec<Vec<u8>>,
    /// Certificates, or nothing.
    pub keyring: Vec<u8>,
}

/// The kind of a git object in an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A statement, charter or keyring.
    Blob,
    /// A seal.
    Tag,
}

/// One git object: what a pack of an offer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its bytes, inflated, without git's header.
    pub bytes: Vec<u8>,
}

impl Object {
    /// Returns an object.
    pub fn new(kind: Kind, bytes: Vec<u8>) -> Self {
        Self { kind, bytes }
    }
}

impl Offer {
    /// Returns an offer.
    pub fn new(
        charters: Vec<Vec<u8>>,
        statement: Vec<u8>,
        seals: Vec<Vec<u8>>,
        keyring: Vec<u8>,
    ) -> Self {
        Self {
            charters,
            statement,
            seals,
            keyring,
        }
    }

    /// Returns the objects in the order in which a receiver wants them:
    /// seals, statement (if there is one), charters, keyring.
    pub fn objects(&self) -> Vec<Object> {
        let blob = |bytes: &Vec<u8>| Object::new(Kind::Blob, bytes.clone());
        let seals = self
            .seals
            .iter()
            .map(|seal| Object::new(Kind::Tag, seal.clone()));
        seals
            .chain(Some(blob(&self.statement)).filter(|object| !object.bytes.is_empty()))
            .chain(self.charters.iter().map(blob))
            .chain(Some(blob(&self.keyring)).filter(|object| !object.bytes.is_empty()))
            .collect()
    }

    /// Sorts objects by what they begin with: exactly one statement, charters,
    /// at most one keyring, seals. Nothing is judged.
    ///
    /// # Errors
    /// [`OfferError`] where a ceiling is hit, or something has no place here.
    pub fn from_objects(objects: Vec<Object>) -> Result<Self, OfferError> {
        let offer = Self::part_from_objects(objects)?;
        if offer.statement.is_empty() {
            return Err(OfferError::NoStatement);
        }
        Ok(offer)
    }

    /// Does the same where a line of charters is too long for one offer and
    /// comes in parts: all but the last one are without a statement.
    ///
    /// # Errors
    /// As [`from_objects`](Self::from_objects); [`OfferError::NoStatement`] where
    /// there is no charter either.
    pub fn part_from_objects(objects: Vec<Object>) -> Result<Self, OfferError> {
        check_limits(&objects)?;
        let mut offer = Self::default();
        for Object { kind, bytes } in objects {
            match kind {
                Kind::Tag => {
                    Seal::parse(&bytes)?;
                    offer.seals.push(bytes);
                }
                Kind::Blob if begins(&bytes, statement::MAGIC) => {
                    set(&mut offer.statement, bytes, "statement")?;
                }
                Kind::Blob if begins(&bytes, charter::MAGIC) => {
                    if bytes.len() > limits::CHARTER {
                        return Err(OfferError::Ceiling("bytes of a charter", limits::CHARTER));
                    }
                    offer.charters.push(bytes);
                }
                Kind::Blob if looks_like_keyring(&bytes) => {
                    if bytes.len() > limits::CERTIFICATES {
                        return Err(OfferError::Ceiling(
                            "bytes of certificates",
                            limits::CERTIFICATES,
                        ));
                    }
                    set(&mut offer.keyring, bytes, "keyring")?;
                }
                Kind::Blob => return Err(OfferError::Stranger),
            }
        }
        if offer.statement.is_empty() && offer.charters.is_empty() {
            return Err(OfferError::NoStatement);
        }
        Ok(offer)
    }

    /// Tells whether it is within the ceilings of one pack.
    pub fn fits(&self) -> bool {
        check_limits(&self.objects()).is_ok()
    }
}

fn check_limits(objects: &[Object]) -> Result<(), OfferError> {
    if objects.len() > limits::OFFER_OBJECTS {
        return Err(OfferError::Ceiling("objects", limits::OFFER_OBJECTS));
    }
    let sizes = objects.iter().map(|object| object.bytes.len());
    let total = sizes.fold(0usize, usize::saturating_add);
    if total > limits::OFFER_BYTES {
        return Err(OfferError::Ceiling("inflated bytes", limits::OFFER_BYTES));
    }
    Ok(())
}

fn begins(bytes: &[u8], magic: &str) -> bool {
    bytes
        .strip_prefix(magic.as_bytes())
        .is_some_and(|rest| rest.starts_with(b"\n"))
}

/// A packet header has its top bit set (RFC 9580 section 4.2); text has not.
fn looks_like_keyring(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0x80 != 0)
        || bytes.starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
}

fn set(place: &mut Vec<u8>, bytes: Vec<u8>, what: &'static str) -> Result<(), OfferError> {
    if !place.is_empty() {
        return Err(OfferError::Second(what));
    }
    *place = bytes;
    Ok(())
}

/// Why objects are no offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// Too much of something, by its name.
    #[error("expected at most {1} {0}")]
    Ceiling(&'static str, usize),
    /// No statement among them.
    #[error("expected a statement, got none")]
    NoStatement,
    /// Two of what there may be one of.
    #[error("expected one {0}, got a second")]
    Second(&'static str),
    /// A blob that is nothing of this.
    #[error("expected a statement, charter or keyring, got another blob")]
    Stranger,
    /// A tag that is no seal.
    #[error(transparent)]
    Seal(#[from] crate::seal::Error),
}
