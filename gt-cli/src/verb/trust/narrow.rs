//! `gt.believe`: the person's web of trust narrows whom a charter lists.
//!
//! Off unless the person asks for it: a charter's list is enough for most, and
//! a web that knows nobody would refuse everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use gt_trust::belief::{Belief, Believes};
use gt_trust::web::{Keyring, Settings, Web};
use gt_trust::{Fingerprint, Time};

use super::home::{Home, Stamp};
use super::shown;
use crate::believed::Believed;
use crate::git::Git;
use crate::verb::Failure;
use crate::{Env, signing};

/// The switch in git's configuration.
const SWITCH: &str = "gt.believe";
/// What is found holds for so long, in seconds: keys expire meanwhile.
const FRESH: u64 = 600;
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
        found: Mutex::default(),
    })))
}

/// The web of trust in the person's own folder, computed when it is asked, and
/// again when a file of it has changed.
struct Narrow {
    home: Home,
    /// The key that gt made for the person.
    own: Option<Fingerprint>,
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
