//! Certificates, the revocations among them, and evidence.

use std::path::Path;

use gt_trust::judge::Evidence;
use gt_trust::{Fingerprint, Identity, Keyring, Statement, limits};

use super::{Error, State, names};
use crate::files;

/// How many earlier keyrings are kept: each is there for a revocation that the
/// newest lacks, so that even one is rare. The first ones stay.
const KEYRINGS: usize = 32;
/// How many proofs of equivocation are kept that nobody's name is noted with:
/// a delegate can make them without end. The first ones stay.
const EVIDENCE: usize = 256;
/// Octets of the name of a proof that say whose it is.
const ATTRIBUTION: usize = 16;

impl State {
    /// Makes a keyring the newest, and keeps the one before it where it
    /// revokes what no other does: a revocation is never forgotten.
    pub(super) fn replace_keyring(&self, keyring: &[u8]) -> Result<(), Error> {
        if let Some(old) = self.keyring()?.filter(|old| old != keyring) {
            let mut others = self.remembered_keyrings()?;
            let room = others.len() < KEYRINGS;
            others.push(keyring.to_vec());
            if room && Keyring::forgets(&old, &others, &self.delegates()?) {
                let name = Identity::of(&old).to_string();
                files::write(&self.dir.join("keyrings").join(name), &old)?;
            }
        }
        self.keep_keyring(keyring)
    }

    fn delegates(&self) -> Result<Vec<Fingerprint>, Error> {
        let charters = self.charters()?;
        let delegates = charters.iter().flat_map(|c| &c.text.delegates);
        Ok(delegates.filter_map(|d| d.openpgp()).collect())
    }

    /// Returns the keyrings of earlier statements that revoke what the newest
    /// does not.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remembered_keyrings(&self) -> Result<Vec<Vec<u8>>, Error> {
        let folder = self.dir.join("keyrings");
        let mut keyrings = Vec::new();
        for name in names(&folder)?.into_iter().filter(|n| n.len() == 64) {
            keyrings.extend(files::read(
                &folder.join(name),
                limits::CERTIFICATES as u64,
            )?);
        }
        Ok(keyrings)
    }

    /// Returns the keyring that a statement names, byte for byte, where it is
    /// the one that is held.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keyring_of(&self, statement: &Statement) -> Result<Option<Vec<u8>>, Error> {
        let held = self.keyring()?;
        Ok(held.filter(|held| statement.keyring == Some(Identity::of(held))))
    }

    /// Returns the certificates of all delegates, each once, as they go with a
    /// charter.
    ///
    /// # Errors
    /// What the disk says, or a file that is damaged.
    pub fn certificates(&self) -> Result<Vec<u8>, Error> {
        let mut keyrings: Vec<Vec<u8>> = self.keyring()?.into_iter().collect();
        keyrings.extend(self.remembered_keyrings()?);
        let keys = crate::op::proposal::openpgp_delegates(self)?;
        Ok(Keyring::joined(&keyrings, &keys))
    }

    /// Keeps certificates that revoke a delegate's key, whoever they came
    /// from. Returns whether there was room for them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remember_keyring(&self, keyring: &[u8]) -> Result<bool, Error> {
        let folder = self.dir.join("keyrings");
        if names(&folder)?.len() >= KEYRINGS {
            return Ok(false);
        }
        let name = Identity::of(keyring).to_string();
        files::write(&folder.join(name), keyring)?;
        Ok(true)
    }

    /// Returns the certificates of the delegates.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keyring(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(files::read(
            &self.dir.join("keyring"),
            limits::CERTIFICATES as u64,
        )?)
    }

    /// Keeps the certificates of the delegates.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_keyring(&self, keyring: &[u8]) -> Result<(), Error> {
        Ok(files::write(&self.dir.join("keyring"), keyring)?)
    }

    /// Keeps proofs that delegates sealed two statements of one sequence.
    ///
    /// Of each delegate and epoch the one for the earliest place is kept, which
    /// voids most, so that nobody's many proofs take the room of another's one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_evidence(&self, news: &[Evidence]) -> Result<(), Error> {
        let folder = self.dir.join("evidence");
        for evidence in news {
            let [one, other] = evidence.marks();
            let pair = format!("{}-{}", one.identity, other.identity);
            let kept = self.evidence()?;
            let Some(by) = evidence.by() else {
                // Nobody verified it: there is room for a number of these.
                let others = kept.iter().filter(|name| !is_attributed(name));
                if others.count() < EVIDENCE && !kept.iter().any(|name| name.ends_with(&pair)) {
                    files::write(&folder.join(&pair), &evidence.to_bytes())?;
                }
                continue;
            };
            // Kept already, perhaps by a gt that noted nobody.
            if kept.contains(&pair) {
                continue;
            }
            let who = Identity::of(by.to_string().as_bytes()).to_string();
            let who = format!("{}-", &who[..ATTRIBUTION]);
            let mut later = Vec::new();
            let mut is_known = false;
            for name in kept.iter().filter(|name| name.starts_with(&who)) {
                let Some(mark) = self.read_one(&folder.join(name))?.map(|e| e.marks()[0]) else {
                    continue;
                };
                match mark.epoch == one.epoch {
                    true if mark.sequence <= one.sequence => is_known = true,
                    true => later.push(name),
                    false => {}
                }
            }
            if !is_known {
                let name = format!("{who}{pair}");
                files::write(&folder.join(name), &evidence.to_bytes())?;
                for name in later {
                    std::fs::remove_file(folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    fn read_one(&self, path: &Path) -> Result<Option<Evidence>, Error> {
        let bytes = files::read(path, 4 * limits::SEAL as u64)?;
        Ok(bytes.and_then(|bytes| Evidence::parse(&bytes).ok()))
    }

    /// Lists the evidence that is kept, by file name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn evidence(&self) -> Result<Vec<String>, Error> {
        names(&self.dir.join("evidence"))
    }

    /// Returns the evidence that is kept, that with somebody's name first, for
    /// so many are weighed and no more; a file that is none is passed over.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_evidence(&self) -> Result<Vec<Evidence>, Error> {
        let folder = self.dir.join("evidence");
        let mut kept = names(&folder)?;
        kept.sort_by_key(|name| !is_attributed(name));
        let mut all = Vec::new();
        for name in kept {
            all.extend(self.read_one(&folder.join(name))?);
        }
        Ok(all)
    }
}

/// Tells whether the name of a proof says whose it is.
fn is_attributed(name: &str) -> bool {
    name.as_bytes().get(ATTRIBUTION) == Some(&b'-')
}
