//! Ceilings on what strangers may send, each with its reason.
//!
//! Until a threshold of seals has been verified nobody vouches for the bytes,
//! so every one of these is checked before the work that it bounds.

use crate::number::Seconds;

/// Bytes of a statement: a million refs of a hundred bytes would be too many
/// to judge on every push; 16 MiB holds some 200,000.
pub const STATEMENT: usize = 16 << 20;
/// Bytes of a charter: 64 delegates and their rules fit many times over.
pub const CHARTER: usize = 64 << 10;
/// Delegates of a charter.
pub const DELEGATES: usize = 64;
/// Rules of a charter: each costs a comparison for every ref.
pub const RULES: usize = 64;
/// Alternatives that a statement may name: each is a swarm to look into.
pub const ALTERNATIVES: usize = 16;
/// Trackers, and mirrors, that a statement may name: each costs the receiver
/// a connection.
pub const URLS: usize = 64;
/// Bytes of one URL or peer address.
pub const URL: usize = 2048;
/// Bytes of a name or description.
pub const TEXT: usize = 1024;
/// Bytes of a ref's name: what common file systems can hold, since git keeps
/// refs as files.
pub const REF_NAME: usize = 255;
/// Bytes of the name of a recipe.
pub const RECIPE_NAME: usize = 32;
/// Bytes of a `gt://` address: what a person can still paste.
pub const ADDRESS: usize = 8 << 10;
/// Bytes of a seal: a tag of five lines and one signature, of RSA 16384 at
/// most, in armour.
pub const SEAL: usize = 16 << 10;
/// Bytes of the certificates of listed delegates.
pub const CERTIFICATES: usize = 1 << 20;
/// Certificates in one keyring: every delegate's, and as many to spare for a
/// person's own.
pub const KEYRING: usize = 2 * DELEGATES;
/// Seals of one offer whose signature may be computed in vain; those that
/// count are free, and at most one for each delegate.
pub const SEAL_CHECKS: usize = 8;
/// Signatures computed to judge one offer, in all: 64 delegates with a dozen
/// signatures to look at each, or some tenths of a second for forged ones.
pub const OFFER_CHECKS: usize = 1024;
/// Signatures computed to read one certificate (self-signatures, bindings,
/// revocations): newest first, so that a flood of forged ones costs a few
/// milliseconds and then refuses the certificate.
pub const CERTIFICATE_CHECKS: usize = 64;
/// Objects in a pack of an offer.
pub const OFFER_OBJECTS: usize = 128;
/// Inflated bytes of a pack of an offer, in all.
pub const OFFER_BYTES: usize = 16 << 20;
/// How far ahead of the receiver's clock a signature or statement may be
/// dated: time zones set wrongly, not a date chosen.
pub const FUTURE: Seconds = Seconds::days(1);
/// How long a statement lasts if nobody says otherwise.
pub const LIFETIME: Seconds = Seconds::days(90);
/// How long a statement may last at most.
pub const LONGEST_LIFETIME: Seconds = Seconds::days(400);
