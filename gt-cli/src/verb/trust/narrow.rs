//! `gt.believe`: the person's web of trust narrows whom a charter lists.
//!
//! Off unless the person asks for it: a charter's list is enough for most, and
//! a web that knows nobody would refuse everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gt_trust::belief::{Belief, Believes};
use gt_trust::charter::SshKey;
use gt_trust::limits;
use gt_trust::ssh::{AllowedSigners, RevokedKeys, Standing};
use gt_trust::web::{Keyring, Settings, Web};
use gt_trust::{Fingerprint, Time};

use super::home::{Home, Stamp};
use super::shown;
use crate::believed::Believed;
use crate::git::Git;
use crate::verb::Failure;
use crate::zone::Zone;
use crate::{Env, files, signing};

/// The switch in git's configuration.
const SWITCH: &str = "gt.believe";
/// What is found holds for so long, in seconds: keys expire meanwhile.
const FRESH: u64 = 600;
/// Where git's configuration has the list of those whose SSH signatures count,
/// and of keys that do not any more.
const ALLOWED: &str = "gpg.ssh.allowedSignersFile";
const REVOKED: &str = "gpg.ssh.revocationFile";
/// What seals are signed for, as git's signatures are.
const NAMESPACE: &str = "git";
/// Keys whose reasons are remembered.
const REASONS: usize = 1024;

/// Returns what narrows a charter's list here: nothing, unless `gt.believe` is
/// `web`, or the person `said` so.
///
/// # Errors
/// Words, for another word and where nobody says where the person's keys are.
pub(in crate::verb) fn narrows(
    env: &Env,
    git: &Git,
    said: Option<&str>,
) -> Result<Believed, String> {
    let word = match said {
        Some(word) => Some(word.to_owned()),
        None => git.config(SWITCH).map_err(|e| e.to_string())?,
    };
    match word.as_deref() {
        None | Some("charter") => return Ok(Believed::default()),
        Some("web") => {}
        Some(other) => {
            return Err(format!("{SWITCH}: expected charter or web, got {other:?}"));
        }
    }
    let home = Home::of(env).ok_or("no data folder: set HOME")?;
    let keys = env.data_folder().map(|folder| folder.join("keys"));
    let own = match keys {
        Some(keys) => signing::own_certificate(&keys).map_err(|e| e.to_string())?,
        None => None,
    };
    Ok(Believed::by(Arc::new(Narrow {
        home,
        own: own.map(|(_, key)| key),
        allowed: git.config_path(ALLOWED).map_err(|e| e.to_string())?,
        revoked: git.config_path(REVOKED).map_err(|e| e.to_string())?,
        zone: Zone::of(env),
        found: Mutex::default(),
    })))
}

/// The web of trust in the person's own folder, computed when it is asked, and
/// again when a file of it has changed.
struct Narrow {
    home: Home,
    /// The key that gt made for the person.
    own: Option<Fingerprint>,
    /// The files with the SSH keys that count, and that do not any more.
    allowed: Option<PathBuf>,
    revoked: Option<PathBuf>,
    /// In which the dates of those files are.
    zone: Zone,
    found: Mutex<Option<Found>>,
}

struct Found {
    stamp: Stamp,
    at: Time,
    trusted: BTreeSet<Fingerprint>,
    reasons: BTreeMap<Fingerprint, Belief>,
}

impl Narrow {
    fn look(&self, key: &Fingerprint, now: Time) -> Result<Belief, Failure> {
        let mut held = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.home.stamp();
        let fresh =
            |found: &Found| found.stamp == stamp && now >= found.at && now.0 - found.at.0 < FRESH;
        if let Some(found) = held.as_ref().filter(|found| fresh(found)) {
            if found.trusted.contains(key) {
                return Ok(Belief::Trusted);
            }
            if let Some(belief) = found.reasons.get(key) {
                return Ok(belief.clone());
            }
        }
        let mut ring = Keyring::new();
        self.home.read_keyring(&mut ring)?;
        let owners = self.home.ownertrust()?;
        let cache = self.home.cache()?;
        let web = Web::compute(&ring, &owners, Settings::at(now), Some(&cache));
        let belief = said(web.belief(key, now), key);
        let mut found = match held.take().filter(|found| fresh(found)) {
            Some(found) => found,
            None => {
                let keys = ring.certificates().iter().map(|c| c.fingerprint());
                Found {
                    stamp,
                    at: now,
                    trusted: keys.filter(|key| web.trusts(key)).collect(),
                    reasons: BTreeMap::new(),
                }
            }
        };
        if belief != Belief::Trusted && found.reasons.len() < REASONS {
            found.reasons.insert(*key, belief.clone());
        }
        *held = Some(found);
        self.home.keep_cache(&cache)?;
        Ok(belief)
    }

    /// Looks for an SSH key in the person's list of allowed signers. Nobody
    /// certifies SSH keys, so that no web knows them; the list is what the
    /// person says of them, to git too.
    fn look_for_ssh(&self, key: &SshKey, now: Time) -> Result<Belief, String> {
        let Some(path) = &self.allowed else {
            let why = format!("nobody certifies SSH keys, and {ALLOWED} names no file");
            return Ok(Belief::Unknown(why));
        };
        let to_utc = |local| self.zone.to_utc(local);
        let allowed = AllowedSigners::parse_in(&read(path)?, &to_utc)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        let shown = path.display();
        let Some(whole) = allowed.key(key) else {
            return Ok(Belief::Unknown(format!("{shown} does not name it")));
        };
        if let Some(path) = &self.revoked {
            let revoked =
                RevokedKeys::parse(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
            if revoked.holds(whole) {
                return Ok(Belief::Refused(format!("{} revokes it", path.display())));
            }
        }
        Ok(match allowed.find(whole, NAMESPACE, now) {
            Standing::Allowed(_) => Belief::Trusted,
            Standing::OtherNamespace => Belief::Unknown(format!(
                "{shown} names it for other purposes than {NAMESPACE}"
            )),
            Standing::OutOfTime => Belief::Unknown(format!("{shown} names it for other times")),
            _ => Belief::Unknown(format!("{shown} does not name it as a signer")),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let bytes = files::read(path, limits::SIGNERS as u64).map_err(|e| format!("{shown}: {e}"))?;
    bytes.ok_or_else(|| format!("{shown}: no such file"))
}

impl Believes for Narrow {
    fn belief(&self, primary: &Fingerprint, now: Time) -> Belief {
        if self.own.as_ref() == Some(primary) {
            return Belief::Trusted;
        }
        match self.look(primary, now) {
            Ok(belief) => belief,
            Err(why) => Belief::Unknown(format!("your keyring cannot be asked: {}", why.words())),
        }
    }

    fn ssh_belief(&self, key: &SshKey, now: Time) -> Belief {
        let how = format!("({SWITCH} is web)");
        match self.look_for_ssh(key, now) {
            Ok(Belief::Trusted) => Belief::Trusted,
            Ok(Belief::Refused(why)) => Belief::Refused(format!("{why} {how}")),
            Ok(Belief::Unknown(why)) | Err(why) => Belief::Unknown(format!("{why} {how}")),
            Ok(other) => other,
        }
    }
}

/// Says how to see why, and what switched it on.
fn said(belief: Belief, key: &Fingerprint) -> Belief {
    let how = format!("(gt trust why {}; {SWITCH} is web)", shown(key));
    match belief {
        Belief::Unknown(why) => Belief::Unknown(format!("{why} {how}")),
        Belief::Refused(why) => Belief::Refused(format!("{why} {how}")),
        other => other,
    }
}
