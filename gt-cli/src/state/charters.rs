//! The charters of a repository, and which of them the person has said holds.

use std::fs;
use std::io;
use std::path::Path;

use gt_trust::{Charter, Identity, Rid, limits};

use super::{Error, Sealed, State, names, read_seals, write_seals};
use crate::files;

/// How many charters that contradict the one held are kept to be shown.
const RIVALS: usize = 8;

impl State {
    /// Returns the newest charter; `None` where the repository was neither
    /// published nor cloned with gt.
    ///
    /// # Errors
    /// [`Error::Damaged`] where a file is no charter any more.
    pub fn charter(&self) -> Result<Option<Sealed<Charter>>, Error> {
        Ok(self.charters()?.pop())
    }

    /// Returns the charters, from the first to the newest.
    ///
    /// # Errors
    /// As [`charter`](Self::charter).
    pub fn charters(&self) -> Result<Vec<Sealed<Charter>>, Error> {
        let mut line = Vec::new();
        while line.len() <= limits::EPOCHS {
            let path = self.dir.join("charters").join(line.len().to_string());
            match read_charter(&path)? {
                Some(sealed) => line.push(sealed),
                None => break,
            }
        }
        Ok(line)
    }

    /// Returns charters of epochs that have another one, as valid: the person
    /// must say which one holds.
    ///
    /// # Errors
    /// As [`charter`](Self::charter).
    pub fn rivals(&self) -> Result<Vec<Sealed<Charter>>, Error> {
        let folder = self.dir.join("rivals");
        let mut rivals = Vec::new();
        for name in names(&folder)?.into_iter().filter(|n| n.len() == 64) {
            rivals.extend(read_charter(&folder.join(name))?);
        }
        Ok(rivals)
    }

    /// Keeps a charter that is as valid as the one held.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_rival(&self, charter: &Charter, seals: &[Vec<u8>]) -> Result<(), Error> {
        let path = self.dir.join("rivals").join(charter.identity().to_string());
        if names(&self.dir.join("rivals"))?.len() > RIVALS {
            return Ok(());
        }
        write_seals(&path, seals)?;
        Ok(files::write(&path, charter.as_bytes())?)
    }

    /// Returns the charter that the person has said holds.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file holds no identity.
    pub fn pin(&self) -> Result<Option<Identity>, Error> {
        match self.line("pin")? {
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|e| Error::damaged(&self.dir.join("pin"), e)),
            None => Ok(None),
        }
    }

    /// Keeps which charter the person has said holds.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_pin(&self, pin: &Identity) -> Result<(), Error> {
        Ok(files::write(
            &self.dir.join("pin"),
            format!("{pin}\n").as_bytes(),
        )?)
    }

    /// Returns what the repository is called, if it was published or cloned
    /// with gt.
    ///
    /// # Errors
    /// As [`charter`](Self::charter).
    pub fn rid(&self) -> Result<Option<Rid>, Error> {
        let first = read_charter(&self.dir.join("charters/0"))?;
        Ok(first.and_then(|charter| charter.text.rid()))
    }

    /// Keeps a charter and its seals, in the place of its epoch. Seals of it
    /// that are there stay: a seed and a person at the keyboard may both have
    /// got one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_charter(&self, charter: &Charter, seals: &[Vec<u8>]) -> Result<(), Error> {
        let _lock = self.lock_file("charters.lock")?;
        let path = self.dir.join("charters").join(charter.epoch.to_string());
        let there = match read_charter(&path) {
            Err(Error::Damaged { .. }) => None,
            there => there?.filter(|there| there.text == *charter),
        };
        let mut all = there.map_or_else(Vec::new, |there| there.seals);
        for seal in seals {
            if !all.contains(seal) {
                all.push(seal.clone());
            }
        }
        write_seals(&path, &all)?;
        Ok(files::write(&path, charter.as_bytes())?)
    }

    /// Makes a charter the one of its epoch, and forgets what followed on the
    /// one that was; that one is kept as its rival.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replace_charter(&self, charter: &Charter, seals: &[Vec<u8>]) -> Result<(), Error> {
        for old in self.charters()? {
            if old.text.epoch == charter.epoch {
                self.keep_rival(&old.text, &old.seals)?;
            }
            if old.text.epoch > charter.epoch {
                fs::remove_file(self.dir.join("charters").join(old.text.epoch.to_string()))?;
            }
        }
        self.keep_charter(charter, seals)?;
        let rival = self.dir.join("rivals").join(charter.identity().to_string());
        match fs::remove_file(rival) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }
}

fn read_charter(path: &Path) -> Result<Option<Sealed<Charter>>, Error> {
    let Some(bytes) = files::read(path, limits::CHARTER as u64)? else {
        return Ok(None);
    };
    let text = Charter::parse(&bytes).map_err(|e| Error::damaged(path, e))?;
    let seals = read_seals(path)?;
    Ok(Some(Sealed { text, seals }))
}
