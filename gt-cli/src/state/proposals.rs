//! What waits for more seals, and what was sealed here.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use gt_trust::Identity;

use super::{Error, State, names, read_seals, write_seals};
use crate::files;
use crate::op::proposal::Proposal;

/// When each of the folders was written to last; see [`State::stamp`].
pub type Stamp = [Option<SystemTime>; 4];

impl State {
    /// Returns what was sealed here at a place.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file cannot be read.
    pub fn sealed_at(&self, place: &str) -> Result<Option<Identity>, Error> {
        let path = self.dir.join("sealed");
        let Some(bytes) = files::read(&path, 64 << 20)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|e| Error::damaged(&path, e))?;
        let found = text
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .find(|(of, _)| *of == place);
        found
            .map(|(_, identity)| identity.parse())
            .transpose()
            .map_err(|e: gt_trust::rid::ParseError| Error::damaged(&path, e))
    }

    /// Remembers what was sealed here at a place, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_sealed_at(&self, place: &str, identity: &Identity) -> Result<(), Error> {
        if self.sealed_at(place)?.is_some() {
            return Ok(());
        }
        let path = self.dir.join("sealed");
        let mut bytes = files::read(&path, 64 << 20)?.unwrap_or_default();
        bytes.extend_from_slice(format!("{place} {identity}\n").as_bytes());
        Ok(files::write(&path, &bytes)?)
    }

    /// Returns the highest sequence of an epoch that was sealed here.
    ///
    /// # Errors
    /// As [`sealed_at`](Self::sealed_at).
    pub fn highest_sealed(&self, epoch: u64) -> Result<Option<u64>, Error> {
        let path = self.dir.join("sealed");
        let bytes = files::read(&path, 64 << 20)?.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|e| Error::damaged(&path, e))?;
        let prefix = format!("statement {epoch} ");
        Ok(text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix)?.split(' ').next()?.parse().ok())
            .max())
    }

    /// Keeps a proposal, joined with what is kept of it already.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_proposal(&self, proposal: &Proposal) -> Result<(), Error> {
        let folder = self.dir.join("proposals");
        let mut whole = proposal.clone();
        if let Some(kept) = self.proposal(&proposal.text.identity())? {
            whole.join(&kept);
        }
        let path = folder.join(proposal.text.identity().to_string());
        Ok(files::write(&path, &whole.to_bytes())?)
    }

    /// Returns a proposal that is kept.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is none.
    pub fn proposal(&self, identity: &Identity) -> Result<Option<Proposal>, Error> {
        let path = self.dir.join("proposals").join(identity.to_string());
        if !path.exists() {
            return Ok(None);
        }
        Proposal::read_file(&path)
            .map(Some)
            .map_err(|e| Error::damaged(&path, e))
    }

    /// Returns all proposals that are kept.
    ///
    /// # Errors
    /// As [`proposal`](Self::proposal).
    pub fn proposals(&self) -> Result<Vec<Proposal>, Error> {
        let folder = self.dir.join("proposals");
        let mut all = Vec::new();
        for name in names(&folder)?.into_iter().filter(|n| n.len() == 64) {
            if let Ok(identity) = name.parse() {
                all.extend(self.proposal(&identity)?);
            }
        }
        Ok(all)
    }

    /// Returns what changes when proposals, charters, evidence or the seals of
    /// a statement do: when each folder was written to last. `None` where one of
    /// them is written to right now, by the clock `now`, and may be again
    /// within the same moment.
    ///
    /// # Errors
    /// What the disk says.
    pub fn stamp(&self, now: u64) -> Result<Option<Stamp>, Error> {
        let mut stamp = [None; 4];
        let folders = ["proposals", "charters", "evidence", "statements"];
        for (place, folder) in stamp.iter_mut().zip(folders) {
            *place = match fs::metadata(self.dir.join(folder)) {
                Ok(met) => Some(met.modified()?),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(e.into()),
            };
        }
        let settled = |at: &SystemTime| {
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_secs() + 1 < now
        };
        Ok(Some(stamp).filter(|stamp| stamp.iter().flatten().all(settled)))
    }

    /// Adds seals to a statement that is kept.
    ///
    /// # Errors
    /// What the disk says.
    pub fn add_seals(&self, identity: &Identity, late: &[Vec<u8>]) -> Result<(), Error> {
        // Two gts at it would write to one place.
        let _lock = self.lock_file("mark.lock")?;
        let path = self.dir.join("statements").join(identity.to_string());
        if late.is_empty() || !path.exists() {
            return Ok(());
        }
        let mut seals = read_seals(&path)?;
        for seal in late {
            if !seals.contains(seal) {
                seals.push(seal.clone());
            }
        }
        write_seals(&path, &seals)
    }

    /// Lets go of a proposal.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget_proposal(&self, identity: &Identity) -> Result<(), Error> {
        let path = self.dir.join("proposals").join(identity.to_string());
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }
}
