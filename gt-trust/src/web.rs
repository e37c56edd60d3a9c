#![doc = include_str!("../WEB.md")]

mod armour;
mod attribute;
mod cache;
mod ground;
mod keyring;
mod listing;
mod narrow;
mod ownertrust;
mod path;
mod pattern;
mod settings;
mod standing;
mod validity;
mod walk;

pub use crate::certificate::{Certificate, KeyId, Revocation, RevokedBy, Skipped, UserKind};
pub use cache::Cache;
pub use ground::Ground;
pub use keyring::{Added, Keyring, KeyringError};
pub use listing::Row;
pub use ownertrust::{Level, Ownertrust, OwnertrustError};
pub use path::{Hop, Path};
pub use settings::{Model, Settings, SettingsError};
pub use standing::{Lack, Refused, Standing, Verdict};
pub use validity::Validity;
pub use walk::Web;

/// Reads bytes as a keyring and computes a web over what is in it, with every
/// key a root and every key asked about. It must end, and not panic: what fuzz
/// targets and property tests call.
#[doc(hidden)]
pub fn fuzz_keyring(bytes: &[u8]) {
    let mut ring = Keyring::new();
    if ring.add(bytes).is_err() {
        return;
    }
    let mut owners = Ownertrust::new();
    for certificate in ring.certificates() {
        owners.set(certificate.fingerprint(), Level::Ultimate);
    }
    let settings = Settings::at(crate::number::Time(1_700_000_000));
    for owners in [&owners, &Ownertrust::new()] {
        let web = Web::compute(&ring, owners, settings, None);
        let _ = web.rows();
        for certificate in ring.certificates() {
            let _ = web.standing(&certificate.fingerprint());
        }
    }
    // What is written is read the same.
    for certificate in ring.certificates() {
        let mut again = Keyring::new();
        let read = again.add(&certificate.to_bytes()).is_ok();
        assert!(read && again.find(&certificate.fingerprint()).is_some());
    }
}
