//! `gt trust`: whose keys you believe, and why.
//!
//! Keyring and ownertrust lie in the person's data folder, because whom one
//! trusts does not depend on the repository; every verb can be pointed at
//! other files.

mod change;
mod home;
mod list;
mod narrow;
mod why;

use gt_trust::Fingerprint;
use gt_trust::web::{Cache, Keyring, Model, Ownertrust, Settings, Web};

use crate::Env;
use crate::args::{Trust, TrustVerb, WebWords};
use crate::verb::Failure;
use crate::when;
use home::Home;

pub(super) use narrow::narrows;

/// Does what the words ask for.
///
/// # Errors
/// Exit codes of the table in the README: 2 for a key that is not trusted, 64
/// for words and files that are wrong.
pub fn run(env: &mut Env, words: &Trust) -> Result<(), Failure> {
    match &words.verb {
        TrustVerb::Import(words) => change::import(env, words),
        TrustVerb::List(words) => list::run(env, words),
        TrustVerb::AddRoot(words) => change::add_root(env, words),
        TrustVerb::Set(words) => change::set(env, words),
        TrustVerb::Path(words) => why::path(env, words),
        TrustVerb::Why(words) => why::run(env, words),
    }
}

/// What the web is computed from.
pub(super) struct Sources {
    ring: Keyring,
    owners: Ownertrust,
    settings: Settings,
    cache: Option<Cache>,
    home: Option<Home>,
}

impl Sources {
    /// Reads the files that the words name, and the person's own where they
    /// name none.
    fn read(env: &mut Env, words: &WebWords) -> Result<Self, Failure> {
        let settings = settings(env, words)?;
        let home = Home::of(env);
        let mut ring = Keyring::new();
        if words.keyrings.is_empty() {
            let home = home.as_ref().ok_or_else(no_home)?;
            home.read_keyring(&mut ring)?;
        }
        for path in &words.keyrings {
            let bytes = home::read_keyring(env, path)?;
            let added = ring.add(&bytes).map_err(usage)?;
            change::tell_skipped(env, path, &added);
        }
        let owners = match (&words.ownertrust, &home) {
            (Some(path), _) => home::read_ownertrust(env, path)?,
            (None, Some(home)) => home.ownertrust()?,
            (None, None) => return Err(no_home()),
        };
        // Files that are named are read without a home of one's own.
        let is_own = words.keyrings.is_empty() && words.ownertrust.is_none();
        let home = home.filter(|_| is_own);
        let cache = home.as_ref().map(Home::cache).transpose()?;
        Ok(Self {
            ring,
            owners,
            settings,
            cache,
            home,
        })
    }

    /// Keeps what was computed for the next time.
    fn remember(&self) -> Result<(), Failure> {
        match (&self.home, &self.cache) {
            (Some(home), Some(cache)) => home.keep_cache(cache),
            _ => Ok(()),
        }
    }
}

fn settings(env: &Env, words: &WebWords) -> Result<Settings, Failure> {
    let at = match &words.at {
        Some(text) => when::read(text)
            .ok_or_else(|| usage(format!("--at: expected a moment, got {text:?}")))?,
        None => gt_trust::Time((env.now)()),
    };
    let mut settings = Settings::at(at);
    settings.model = match words.model.as_str() {
        "pgp" => Model::Pgp,
        "classic" => Model::Classic,
        "strict" => Model::Strict,
        other => {
            return Err(usage(format!(
                "expected pgp, classic or strict, got {other:?}"
            )));
        }
    };
    settings.completes_needed = words.completes_needed;
    settings.marginals_needed = words.marginals_needed;
    settings.max_cert_depth = words.max_cert_depth;
    settings.min_cert_level = words.min_cert_level;
    settings.check().map_err(usage)?;
    Ok(settings)
}

/// Reads a fingerprint as people write it: capitals, blanks, `0x`.
fn fingerprint(text: &str) -> Result<Fingerprint, Failure> {
    let plain: String = text
        .trim_start_matches("0x")
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    plain.parse().map_err(usage)
}

fn shown(key: &Fingerprint) -> String {
    key.to_string().to_uppercase()
}

/// Used wrongly, or the machine failed.
pub(super) fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Verdict(super::Code::Usage, error.to_string())
}

fn no_home() -> Failure {
    usage("no data folder: set HOME, or name --keyring and --ownertrust")
}

/// Returns a name that a stranger chose, on one line and without what would
/// steer a terminal.
fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}")
}

/// Adds the person's own keyring to some files that are searched for keys, and
/// returns the primary keys that the web of trust believes.
pub(super) fn believed(
    env: &Env,
    rings: &mut gt_trust::object::Rings,
) -> Result<Vec<Fingerprint>, Failure> {
    let Some(home) = Home::of(env) else {
        return Ok(Vec::new());
    };
    let mut ring = Keyring::new();
    home.read_keyring(&mut ring)?;
    if ring.certificates().is_empty() {
        return Ok(Vec::new());
    }
    for certificate in ring.certificates() {
        // One that is flooded must not hide the others.
        rings.add(&certificate.to_bytes()).map_err(usage)?;
    }
    let owners = home.ownertrust()?;
    let settings = Settings::at(gt_trust::Time((env.now)()));
    let cache = home.cache()?;
    let web = Web::compute(&ring, &owners, settings, Some(&cache));
    let keys = ring.certificates().iter().map(|c| c.fingerprint());
    let trusted = keys.filter(|key| web.trusts(key)).collect();
    home.keep_cache(&cache)?;
    Ok(trusted)
}
