//! What `gt trust` keeps for the person.
//!
//! ```text
//! <data>/trust/keyring        certificates, joined, revocations never dropped
//! <data>/trust/ownertrust     as gpg --export-ownertrust writes it
//! <data>/trust/key            32 octets that vouch for the cache, mode 0600
//! <cache>/trust               signatures that were verified
//! ```

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gt_trust::limits;
use gt_trust::web::{Added, Cache, Keyring, Ownertrust};
use rustix::fs::{FlockOperation, flock};

use super::usage;
use crate::verb::Failure;
use crate::{Env, files};

/// What tells that the files have changed: length and date of each.
pub(super) type Stamp = [Option<(u64, SystemTime)>; 2];

/// The folders of one person.
pub(super) struct Home {
    data: PathBuf,
    cache: PathBuf,
}

impl Home {
    /// Returns the person's; `None` where nobody says where it is.
    pub(super) fn of(env: &Env) -> Option<Self> {
        Some(Self {
            data: env.data_folder()?.join("trust"),
            cache: env.cache_folder()?.join("trust"),
        })
    }

    /// Keeps others from changing it; let go when dropped.
    pub(super) fn lock(&self) -> Result<File, Failure> {
        std::fs::create_dir_all(&self.data).map_err(usage)?;
        let path = self.data.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(usage)?;
        flock(&file, FlockOperation::LockExclusive).map_err(usage)?;
        Ok(file)
    }

    /// Returns what changes when keyring or ownertrust do.
    pub(super) fn stamp(&self) -> Stamp {
        ["keyring", "ownertrust"].map(|name| {
            let met = std::fs::metadata(self.data.join(name)).ok()?;
            Some((met.len(), met.modified().ok()?))
        })
    }

    /// Adds the person's keyring to a ring.
    pub(super) fn read_keyring(&self, ring: &mut Keyring) -> Result<Added, Failure> {
        let limit = limits::KEYRINGS as u64;
        match files::read(&self.data.join("keyring"), limit).map_err(usage)? {
            Some(bytes) => ring.add(&bytes).map_err(usage),
            None => Ok(Added::default()),
        }
    }

    /// Writes the ring as the person's keyring.
    pub(super) fn write_keyring(&self, ring: &Keyring) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for certificate in ring.certificates() {
            bytes.extend(certificate.to_bytes());
        }
        files::write(&self.data.join("keyring"), &bytes).map_err(usage)
    }

    /// Reads whom the person trusts; nobody, where nothing was said.
    pub(super) fn ownertrust(&self) -> Result<Ownertrust, Failure> {
        let path = self.data.join("ownertrust");
        match files::read(&path, limits::OWNERTRUST as u64).map_err(usage)? {
            Some(bytes) => parse(&path, &bytes),
            None => Ok(Ownertrust::new()),
        }
    }

    /// Writes whom the person trusts, for nobody else to read.
    pub(super) fn write_ownertrust(&self, owners: &Ownertrust) -> Result<(), Failure> {
        let text = owners.to_text();
        files::write_secret(&self.data.join("ownertrust"), text.as_bytes()).map_err(usage)
    }

    /// Opens the cache of verified signatures. What is wrong with its file is
    /// only forgotten.
    pub(super) fn cache(&self) -> Result<Cache, Failure> {
        let path = self.data.join("key");
        let held = files::read(&path, 32).ok().flatten();
        let key = match held.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(key) => key,
            None => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map_err(usage)?;
                files::write_secret(&path, &key).map_err(usage)?;
                key
            }
        };
        let limit = 16 * limits::CACHED as u64;
        let bytes = files::read(&self.cache, limit).ok().flatten();
        Ok(Cache::open(&key, &bytes.unwrap_or_default()))
    }

    /// Writes what the cache learnt.
    pub(super) fn keep_cache(&self, cache: &Cache) -> Result<(), Failure> {
        match cache.to_bytes() {
            Some(bytes) => files::write(&self.cache, &bytes).map_err(usage),
            None => Ok(()),
        }
    }
}

/// Reads a keyring that the person named; `-` is standard input.
pub(super) fn read_keyring(env: &mut Env, path: &Path) -> Result<Vec<u8>, Failure> {
    read_named(env, path, limits::KEYRINGS)
}

/// Reads ownertrust that the person named; `-` is standard input.
pub(super) fn read_ownertrust(env: &mut Env, path: &Path) -> Result<Ownertrust, Failure> {
    let bytes = read_named(env, path, limits::OWNERTRUST)?;
    parse(path, &bytes)
}

/// What `gpg --export` and `--export-ownertrust` print can be piped in, once.
fn read_named(env: &mut Env, path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let mut input = (&mut env.stdin).take(limit as u64 + 1);
        input.read_to_end(&mut bytes).map_err(usage)?;
        if bytes.len() > limit {
            return Err(usage(format!(
                "standard input: expected at most {limit} bytes"
            )));
        }
        return Ok(bytes);
    }
    let path = env.cwd.join(path);
    let bytes = files::read(&path, limit as u64).map_err(usage)?;
    bytes.ok_or_else(|| usage(format!("{}: no such file", path.display())))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Ownertrust, Failure> {
    let text = String::from_utf8_lossy(bytes);
    Ownertrust::parse(&text).map_err(|e| usage(format!("{}: {e}", path.display())))
}
