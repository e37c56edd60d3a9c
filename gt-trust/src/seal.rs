//! Seals: one signature on a statement or charter, as a signed git tag.
//!
//! Stock `git verify-tag` accepts a seal, as a courtesy to people; what it
//! lets pass besides (text after the signature, text mode, SHA-1, dates to
//! come, strangers' keys) is refused here.

mod subject;
mod tagger;

use crate::charter::Delegate;
use crate::fingerprint::Fingerprint;
use crate::grammar;
use crate::key::{Checks, Keyring};
use crate::limits;
use crate::number::Time;
use crate::oid::{ObjectFormat, Oid};
use crate::signature::{self, Fault};
use crate::ssh;

pub use subject::Subject;
pub use tagger::{Tagger, TaggerError};

/// A seal that is well-formed: what it names, and one signature whose form is
/// acceptable. Whose it is, [`verify`](Self::verify) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    bytes: Vec<u8>,
    unsigned: Unsigned,
    signature: Signature,
}

/// The signature of a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signature {
    /// By an OpenPGP key.
    OpenPgp(signature::Signature),
    /// By an SSH key.
    Ssh(ssh::Signature),
}

/// Whose seal it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedBy {
    /// The one whom a charter may name.
    pub delegate: Delegate,
    /// The OpenPGP key that signed: the primary or one of its subkeys.
    pub key: Option<Fingerprint>,
    /// When, by the signature's own word, or else the tag's.
    pub created: Time,
}

/// A seal before its signature: the bytes that get signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    subject: Subject,
    blob: Oid,
    tagger: Tagger,
    payload: Vec<u8>,
}

/// Returns git's name for the blob of a statement or charter.
pub fn blob_oid(format: ObjectFormat, text: &[u8]) -> Oid {
    Oid::of_object(format, "blob", text)
}

impl Unsigned {
    /// Writes the tag object up to where its signature begins.
    ///
    /// `blob` is for git and people; the SHA-256 in the subject decides.
    pub fn new(subject: Subject, blob: Oid, tagger: Tagger) -> Self {
        let header = format!(
            "object {blob}\ntype blob\ntag {}\ntagger {tagger}\n\n",
            subject.tag_name()
        );
        let payload = [header.into_bytes(), subject.message()].concat();
        Self {
            subject,
            blob,
            tagger,
            payload,
        }
    }

    /// Returns the bytes to be signed, to the last line feed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Adds the signature, as the signing program wrote it.
    ///
    /// # Errors
    /// [`Error`] where it is not one acceptable signature in armour.
    pub fn with_signature(self, armored: &[u8]) -> Result<Seal, Error> {
        Seal::parse(&[&self.payload, armored].concat())
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let (header, message) = split_once(payload, b"\n\n").ok_or(Error::Header)?;
        let header = std::str::from_utf8(header).map_err(|_| Error::Header)?;
        let mut lines = header.split('\n');
        let mut field = |key: &str| lines.next().and_then(|line| line.strip_prefix(key));
        let blob = field("object ")
            .and_then(|hex| hex.parse().ok())
            .ok_or(Error::Header)?;
        if field("type ") != Some("blob") {
            return Err(Error::NoSeal);
        }
        let name = field("tag ").ok_or(Error::Header)?;
        if !subject::TAG_NAMES.contains(&name) {
            return Err(Error::NoSeal);
        }
        let tagger = field("tagger ")
            .and_then(Tagger::from_line)
            .ok_or(Error::Header)?;
        let subject = Subject::from_message(name, message)?;
        let unsigned = Self::new(subject, blob, tagger);
        if unsigned.payload != payload {
            return Err(Error::Header);
        }
        Ok(unsigned)
    }
}

impl Seal {
    /// Reads a tag object; only one that [`Unsigned`] would write, with exactly
    /// one signature at its end.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > limits::SEAL {
            return Err(Error::TooLong(bytes.len()));
        }
        // The first line that looks like armour ends the payload, whatever
        // kind it is of: nothing of that shape may stand in a message.
        let at = find(bytes, b"\n-----BEGIN ").ok_or(Error::Unsigned)? + 1;
        let (payload, armored) = bytes.split_at(at);
        let unsigned = Unsigned::parse(payload)?;
        if armored.starts_with(b"-----BEGIN SSH ") {
            let signature = ssh::Signature::parse_strict(armored).map_err(Fault::from)?;
            return Ok(Self {
                signature: Signature::Ssh(signature),
                unsigned,
                bytes: bytes.to_vec(),
            });
        }
        if armored.starts_with(b"-----BEGIN SIGNED ") {
            return Err(Error::Format("x509"));
        }
        Ok(Self {
            signature: Signature::OpenPgp(signature::Signature::from_armor(armored)?),
            unsigned,
            bytes: bytes.to_vec(),
        })
    }

    /// Returns the whole tag object.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns what it seals.
    pub fn subject(&self) -> &Subject {
        &self.unsigned.subject
    }

    /// Returns the name of the object that the tag points to, which decides
    /// nothing.
    pub fn blob(&self) -> Oid {
        self.unsigned.blob
    }

    /// Returns who the tag says made it, which decides nothing.
    pub fn tagger(&self) -> &Tagger {
        &self.unsigned.tagger
    }

    /// Returns the bytes that are signed.
    pub fn payload(&self) -> &[u8] {
        &self.unsigned.payload
    }

    /// Returns the signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Says who made it. An SSH key speaks for itself; an OpenPGP key must be
    /// in the keyring.
    ///
    /// # Errors
    /// Why the signature does not count.
    pub fn verify(&self, keyring: &Keyring, now: Time) -> Result<SealedBy, Fault> {
        self.verify_within(keyring, now, false, &mut Checks::new())
    }

    /// Does the same with what is left of a budget; see
    /// [`Keyring::verify_within`].
    pub(crate) fn verify_within(
        &self,
        keyring: &Keyring,
        now: Time,
        forgive: bool,
        checks: &mut Checks,
    ) -> Result<SealedBy, Fault> {
        match &self.signature {
            Signature::OpenPgp(signature) => {
                let signer =
                    keyring.verify_within(signature, self.payload(), now, forgive, checks)?;
                Ok(SealedBy {
                    delegate: Delegate::OpenPgp(signer.primary),
                    key: Some(signer.key),
                    created: signer.created,
                })
            }
            Signature::Ssh(signature) => {
                // It bears no date of its own; the tag's is among what it signs.
                let created = self.tagger().time();
                if created > now + limits::FUTURE {
                    return Err(Fault::Future(created - now));
                }
                checks.spend()?;
                let key = signature.verify(ssh::NAMESPACE, self.payload())?;
                Ok(SealedBy {
                    delegate: Delegate::Ssh(key.fingerprint()),
                    key: None,
                    created,
                })
            }
        }
    }

    /// Returns the tag's own name in a repository of this format.
    pub fn oid(&self, format: ObjectFormat) -> Oid {
        Oid::of_object(format, "tag", &self.bytes)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn split_once<'a>(bytes: &'a [u8], what: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(bytes, what)?;
    Some((&bytes[..at], &bytes[at + what.len()..]))
}

/// Why bytes are no seal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`limits::SEAL`].
    #[error("expected a seal of at most {limit} bytes, got {0}", limit = limits::SEAL)]
    TooLong(usize),
    /// A tag of another kind, a release for one.
    #[error("expected a tag gt-references or gt-charter on a blob")]
    NoSeal,
    /// The lines before the message.
    #[error("expected the lines object, type, tag and tagger in their one form")]
    Header,
    /// The message.
    #[error("in the message, {0}")]
    Message(#[from] grammar::Error),
    /// No signature at all.
    #[error("expected a signature, got none")]
    Unsigned,
    /// A signature that git knows and gt does not take yet.
    #[error("expected a signature of format openpgp or ssh, got {0}, which is not supported")]
    Format(&'static str),
    /// The signature.
    #[error(transparent)]
    Signature(#[from] Fault),
}
