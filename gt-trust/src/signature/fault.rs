//! Why a signature does not count.

use crate::armor;
use crate::charter::Delegate;
use crate::limits;
use crate::number::Seconds;
use crate::ssh;

/// Why a signature does not count. Each reason is its own, because people do
/// different things about them: fetch a key, renew it, worry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Too long to be one signature.
    #[error("expected a signature of at most {limit} bytes, got {0}", limit = limits::SEAL)]
    TooLong(usize),
    /// The armour.
    #[error(transparent)]
    Armor(#[from] armor::Error),
    /// None, several, or something else as well.
    #[error("expected exactly one signature")]
    NotOne,
    /// A packet that cannot be read.
    #[error("expected a well-formed signature packet")]
    Malformed,
    /// Too old or too new.
    #[error("expected a signature of version 4 or 6")]
    Version,
    /// Made over text whose line ends and blanks may differ.
    #[error("expected a signature over bytes, got one in text mode")]
    TextMode,
    /// A certification, a timestamp, …
    #[error("expected a signature of type 0x00, got type {0:#04x}")]
    Type(u8),
    /// Collisions are known or near.
    #[error("expected SHA-256 or stronger, got {0}")]
    WeakDigest(String),
    /// It demands to be understood and is not.
    #[error("expected no critical subpacket of an unknown kind")]
    Critical,
    /// It does not say when it was made.
    #[error("expected a date in the signed part")]
    NoDate,
    /// Made in time to come.
    #[error("expected a signature made at most one day ahead, got one {0} seconds ahead")]
    Future(Seconds),
    /// It ended by its own word.
    #[error("expected a signature that is still valid, got an expired one")]
    SignatureExpired,
    /// None of the certificates holds the key.
    #[error("expected a certificate of the key that made it, got none")]
    NoSuchKey,
    /// Good, but not by one who counts.
    #[error("expected a signature by a delegate, got one by {0}")]
    NotADelegate(Delegate),
    /// Good, by one who has not sealed the charter that names it.
    #[error("expected a delegate that has sealed its charter, got {0}, which has not")]
    NotConfirmed(Delegate),
    /// Good, by one who has sealed two statements of one place.
    #[error("expected a delegate that has not equivocated, got {0}")]
    Equivocated(Delegate),
    /// Good, by one whom the receiver does not believe.
    #[error("expected a delegate that is believed here, got {0}: {1}")]
    NotBelieved(Delegate, String),
    /// Several primary keys claim the key that made it.
    #[error("expected a signing key of one certificate, got one that several claim")]
    Adopted,
    /// The primary key is not bound to anything: no self-signature verifies.
    #[error("expected a certificate with a valid self-signature")]
    Unbound,
    /// The subkey has no valid binding by the primary key.
    #[error("expected a subkey bound by its primary key")]
    UnboundSubkey,
    /// The subkey has not signed that it belongs to the primary key.
    #[error("expected a subkey that confirms its primary key by a back-signature")]
    NoBackSignature,
    /// The key may not sign.
    #[error("expected a key with the signing flag")]
    NotForSigning,
    /// The key did not exist then.
    #[error("expected a signature made after its key")]
    BeforeKey,
    /// The key, or its primary key, has expired.
    #[error("expected a key that is valid, got an expired one")]
    KeyExpired,
    /// The key, or its primary key, was revoked.
    #[error("expected a key that is valid, got a revoked one")]
    KeyRevoked,
    /// The key was retired or replaced by its holder, and what it signed before
    /// that still counts.
    #[error("expected a key that is in use, got one that was retired or replaced")]
    KeyRetired,
    /// The signature is one by an SSH key.
    #[error(transparent)]
    Ssh(#[from] ssh::Fault),
    /// The library cannot tell.
    #[error("expected an algorithm that can be checked here")]
    UnsupportedAlgorithm,
    /// The numbers do not fit the bytes.
    #[error("expected a signature that fits the bytes, got a bad one")]
    Bad,
    /// The certificate holds more forged signatures than are worth checking.
    #[error(
        "expected a certificate that needs at most {} checks",
        limits::CERTIFICATE_CHECKS
    )]
    TooManyChecks,
}
