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
/// Bytes of one certificate in a person's keyring. The largest of the Debian
/// keyring has 0.4 MB; certificates flooded on key servers have up to 20 MB.
pub const ONE_CERTIFICATE: usize = 4 << 20;
/// Signatures under one user id, key or subkey of a person's keyring: the most
/// in the Debian keyring are 192.
pub const SIGNATURES: usize = 8192;
/// User ids, and subkeys, of one certificate.
pub const COMPONENTS: usize = 1024;
/// Signatures in one certificate that may prove forged before it is given up:
/// each costs up to a millisecond.
pub const FORGED: usize = 256;
/// Bytes of all keyrings that are read together: ten times the Debian keyring.
pub const KEYRINGS: usize = 320 << 20;
/// Certificates in all keyrings that are read together.
pub const CERTIFICATES_READ: usize = 1 << 17;
/// Bytes of a list of ownertrust: some 20,000 keys.
pub const OWNERTRUST: usize = 1 << 20;
/// Bytes of a pattern on a trust signature, and of a name that one is held
/// against: matching takes their product.
pub const PATTERN: usize = 1024;
/// Paths to one key that are written out; there may be exponentially many.
pub const PATHS: usize = 1000;
/// Results that the cache of verified signatures may hold.
pub const CACHED: usize = 1 << 20;
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
/// Bytes of the signature in a commit or tag, with whatever follows on it: an
/// RSA 16384 in armour several times over.
pub const OBJECT_SIGNATURE: usize = 64 << 10;
/// Bytes of a commit or tag that is verified: messages of megabytes exist, and
/// every signature costs a digest of all of it.
pub const OBJECT: usize = 64 << 20;
/// Merged tags that one commit may bring along: an octopus has a few arms.
pub const MERGE_TAGS: usize = 64;
/// Bytes of all keyring files together that are searched for a key: ten times
/// the keyring of Debian.
pub const RINGS: usize = 512 << 20;
/// Certificates that may be read to verify one signature: those that hold the
/// key it names. More of them than one is a collision or an attack.
pub const CANDIDATES: usize = 16;
/// Bytes of a file of allowed signers, or of revoked SSH keys.
pub const SIGNERS: usize = 16 << 20;
/// Bytes of one SSH signature: an RSA key of 16384 bits and as much signature.
pub const SSH_SIGNATURE: usize = 32 << 10;
/// Charters from the first to the newest: a new one every week for twenty
/// years.
pub const EPOCHS: usize = 1024;
/// Pieces of evidence on one epoch that are weighed: one for every delegate.
pub const EVIDENCE: usize = DELEGATES;
/// Pairs of seals in one offer that may be looked at as evidence.
pub const GOSSIP: usize = 8;
