//! `gt trust import`, `add-root` and `set`.

use std::io::Write as _;
use std::path::Path;

use gt_trust::Fingerprint;
use gt_trust::web::{Added, Keyring, Level};
use serde_json::json;

use super::home::{self, Home};
use super::{fingerprint, no_home, shown, usage};
use crate::Env;
use crate::args::{TrustAddRoot, TrustImport, TrustSet};
use crate::verb::Failure;

/// Joins certificates with the person's own keyring, and ownertrust with the
/// person's own list.
///
/// Nothing is ever dropped from the keyring, so that a revocation that was
/// seen once sticks, whatever copies are imported later.
pub(super) fn import(env: &mut Env, words: &TrustImport) -> Result<(), Failure> {
    let home = Home::of(env).ok_or_else(no_home)?;
    let _lock = home.lock()?;
    let mut ring = Keyring::new();
    home.read_keyring(&mut ring)?;
    let before = ring.certificates().len();
    let mut read = 0;
    let mut skipped = 0;
    for path in &words.files {
        let bytes = home::read_keyring(env, path)?;
        let added = ring.add(&bytes).map_err(usage)?;
        read += added.certificates;
        skipped += added.skipped.len();
        tell_skipped(env, path, &added);
    }
    if !words.files.is_empty() {
        home.write_keyring(&ring)?;
    }
    let mut levels = 0;
    if let Some(path) = &words.ownertrust {
        let theirs = home::read_ownertrust(env, path)?;
        let mut owners = home.ownertrust()?;
        for (key, level) in theirs.iter() {
            owners.set(*key, level);
            levels += 1;
        }
        home.write_ownertrust(&owners)?;
    }
    let new = ring.certificates().len() - before;
    let line = if words.json {
        json!({"read": read, "new": new, "skipped": skipped, "ownertrust": levels}).to_string()
    } else {
        format!("{read} certificates read, {new} of them new; ownertrust of {levels} keys")
    };
    writeln!(env.stdout, "{line}").map_err(usage)
}

/// Says on standard error what of a keyring was passed over.
pub(super) fn tell_skipped(env: &mut Env, path: &Path, added: &Added) {
    let name = path.display();
    // A stream that is gone is no reason to stop.
    for why in &added.skipped {
        let _ = writeln!(
            env.stderr,
            "warning: {name}: a certificate is passed over: {why}"
        );
    }
    if added.broken {
        let _ = writeln!(
            env.stderr,
            "warning: {name}: it breaks off inside of a packet"
        );
    }
}

/// Makes a key a root.
pub(super) fn add_root(env: &mut Env, words: &TrustAddRoot) -> Result<(), Failure> {
    let key = fingerprint(&words.key)?;
    put(env, key, Level::Ultimate, words.json)
}

/// Says how far an owner is trusted.
pub(super) fn set(env: &mut Env, words: &TrustSet) -> Result<(), Failure> {
    let key = fingerprint(&words.key)?;
    let level = words.level.parse().map_err(usage)?;
    put(env, key, level, words.json)
}

fn put(env: &mut Env, key: Fingerprint, level: Level, as_json: bool) -> Result<(), Failure> {
    let home = Home::of(env).ok_or_else(no_home)?;
    let _lock = home.lock()?;
    let mut ring = Keyring::new();
    home.read_keyring(&mut ring)?;
    if ring.find(&key).is_none() {
        let _ = writeln!(
            env.stderr,
            "warning: no certificate of {} is in your keyring yet",
            shown(&key)
        );
    }
    let mut owners = home.ownertrust()?;
    owners.set(key, level);
    home.write_ownertrust(&owners)?;
    let line = if as_json {
        json!({"key": shown(&key), "ownertrust": level.to_string()}).to_string()
    } else {
        format!("{} {level}", shown(&key))
    };
    writeln!(env.stdout, "{line}").map_err(usage)
}
