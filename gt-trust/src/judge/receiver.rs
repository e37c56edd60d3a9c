//! What a receiver holds of a repository.

use std::fmt;

use super::Evidence;
use crate::belief::Believes;
use crate::charter::{self, Charter, Delegate};
use crate::fingerprint::Fingerprint;
use crate::key::{self, Keyring};
use crate::mark::Watermark;
use crate::number::{Epoch, Time};
use crate::rid::{Identity, Rid};
use crate::statement::Statement;

/// What a receiver holds of a repository when an offer comes.
#[derive(Clone)]
pub struct Receiver<'a> {
    pub(super) rid: Rid,
    /// The charters that are believed, from the first on.
    pub(super) trunk: Vec<Charter>,
    /// Others that were given, which seals must carry.
    pub(super) others: Vec<Charter>,
    pub(super) pinned: Option<Epoch>,
    pub(super) charter_seals: &'a [Vec<u8>],
    pub(super) watermark: Option<Watermark>,
    pub(super) held: Option<&'a Statement>,
    pub(super) before: Option<&'a Statement>,
    pub(super) seals: &'a [Vec<u8>],
    pub(super) keyring: &'a [u8],
    pub(super) remembered: &'a [Vec<u8>],
    pub(super) evidence: &'a [Evidence],
    pub(super) believes: Option<&'a dyn Believes>,
    pub(super) allow_stale: bool,
}

impl fmt::Debug for Receiver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("rid", &self.rid)
            .field("epoch", &self.charter().epoch)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<'a> Receiver<'a> {
    /// Begins with the charters held, or those of the first offer: the one
    /// that the rid names must be among them. It is believed for its hash;
    /// later ones are not yet, see [`believes_charter`](Self::believes_charter)
    /// and [`pin`](Self::pin).
    ///
    /// # Errors
    /// [`ReceiverError`] where it is missing, or there is one among them that
    /// founds another repository.
    pub fn new(rid: Rid, charters: &[Vec<u8>]) -> Result<Self, ReceiverError> {
        let mut first = None;
        let mut others = Vec::new();
        for bytes in charters {
            let charter = Charter::parse(bytes)?;
            if charter.rid() == Some(rid) {
                first = Some(charter);
            } else if charter.epoch == Epoch(0) {
                return Err(ReceiverError::Graft);
            } else if !others.contains(&charter) {
                others.push(charter);
            }
        }
        Ok(Self {
            rid,
            trunk: vec![first.ok_or(ReceiverError::NoCharter(rid))?],
            others,
            pinned: None,
            charter_seals: &[],
            watermark: None,
            held: None,
            before: None,
            seals: &[],
            keyring: &[],
            remembered: &[],
            evidence: &[],
            believes: None,
            allow_stale: false,
        })
    }

    /// Says which of the charters was the newest when a statement was accepted
    /// before: it and those before it, by `Previous`, need no seals any more,
    /// so that a key that was revoked since takes nothing back.
    ///
    /// # Errors
    /// [`ReceiverError::Pin`] where they do not lead back to the first.
    pub fn believes_charter(mut self, newest: Option<Identity>) -> Result<Self, ReceiverError> {
        if let Some(newest) = newest {
            self.walk_back(newest)?;
        }
        Ok(self)
    }

    /// Checks the charter that the person pins, in the address for one: it
    /// holds, whatever other charters of its epoch say, and so do those before
    /// it.
    ///
    /// # Errors
    /// [`ReceiverError::Pin`] where it does not lead back to the first charter,
    /// or is not the one that was believed before.
    pub fn pin(mut self, pin: Option<Identity>) -> Result<Self, ReceiverError> {
        if let Some(pin) = pin {
            self.pinned = Some(self.walk_back(pin)?);
        }
        Ok(self)
    }

    /// Follows `Previous` down to the charters that are believed already.
    fn walk_back(&mut self, newest: Identity) -> Result<Epoch, ReceiverError> {
        if let Some(known) = self.trunk.iter().find(|c| c.identity() == newest) {
            return Ok(known.epoch);
        }
        let unknown = ReceiverError::Pin(newest);
        let tip = self.charter().identity();
        let mut branch: Vec<Charter> = Vec::new();
        let mut wanted = newest;
        while wanted != tip {
            let at = self.others.iter().position(|c| c.identity() == wanted);
            let charter = self.others.remove(at.ok_or(unknown.clone())?);
            wanted = charter.previous.ok_or(unknown.clone())?;
            branch.push(charter);
        }
        branch.reverse();
        let mut epoch = self.charter().epoch;
        for charter in &branch {
            epoch = Epoch(epoch.0 + 1);
            if charter.epoch != epoch || charter.object_format != self.charter().object_format {
                return Err(unknown);
            }
        }
        self.trunk.extend(branch);
        Ok(self.charter().epoch)
    }

    /// Says which seals of charters are kept.
    #[must_use]
    pub fn charter_seals(mut self, seals: &'a [Vec<u8>]) -> Self {
        self.charter_seals = seals;
        self
    }

    /// Says what the accepted statement was: against it the rules for refs are
    /// held.
    #[must_use]
    pub fn held(mut self, statement: Option<&'a Statement>) -> Self {
        self.held = statement;
        self
    }

    /// Says what was accepted before that, for races: the winner of a place
    /// never stood on the loser.
    #[must_use]
    pub fn before(mut self, statement: Option<&'a Statement>) -> Self {
        self.before = statement;
        self
    }

    /// Says which delegates were found to have equivocated.
    #[must_use]
    pub fn evidence(mut self, evidence: &'a [Evidence]) -> Self {
        self.evidence = evidence;
        self
    }

    /// Lets only those delegates count that are believed: a web of trust may
    /// narrow a charter's list, and never widens it.
    #[must_use]
    pub fn believes(mut self, believes: Option<&'a dyn Believes>) -> Self {
        self.believes = believes;
        self
    }

    /// Says what was accepted before.
    #[must_use]
    pub fn watermark(mut self, watermark: Option<Watermark>) -> Self {
        self.watermark = watermark;
        self
    }

    /// Says which seals of the accepted statement are kept; with them a
    /// delegate that seals two statements of one place is found out.
    #[must_use]
    pub fn seals(mut self, seals: &'a [Vec<u8>]) -> Self {
        self.seals = seals;
        self
    }

    /// Says which certificates were held before.
    #[must_use]
    pub fn keyring(mut self, keyring: &'a [u8]) -> Self {
        self.keyring = keyring;
        self
    }

    /// Says which keyrings were held even before, because they revoke what the
    /// one held now does not; see [`Keyring::forgets`](crate::Keyring::forgets).
    #[must_use]
    pub fn remembered(mut self, keyrings: &'a [Vec<u8>]) -> Self {
        self.remembered = keyrings;
        self
    }

    /// Lets a stale statement begin a clone; the person asked for it.
    #[must_use]
    pub fn allow_stale(mut self, allow: bool) -> Self {
        self.allow_stale = allow;
        self
    }

    /// Returns the delegates that these certificates revoke, each by its own
    /// key, and whom nothing held revokes. Such certificates are to be kept,
    /// whoever they came from (PROTOCOL.md section 3, rule 5).
    ///
    /// # Errors
    /// [`key::Error`] where they cannot be read.
    pub fn revocations(&self, certificates: &[u8]) -> Result<Vec<Fingerprint>, key::Error> {
        let delegates: Vec<Fingerprint> = self
            .trunk
            .iter()
            .flat_map(|charter| &charter.delegates)
            .filter_map(Delegate::openpgp)
            .collect();
        let news = Keyring::parse(certificates, Some(&delegates))?;
        let mut held = Keyring::parse(self.keyring, Some(&delegates))?;
        for keyring in self.remembered {
            held = held.with(Keyring::parse(keyring, Some(&delegates))?);
        }
        let mut revoked = news.fingerprints();
        revoked.retain(|key| news.is_revoked(key) && !held.is_revoked(key));
        Ok(revoked)
    }

    /// Returns the newest charter that is believed before any offer.
    pub fn charter(&self) -> &Charter {
        // There is always the first one.
        &self.trunk[self.trunk.len() - 1]
    }

    /// Returns the time by which is judged: a clock that was set back does
    /// not freshen what is stale.
    pub fn clock(&self, now: Time) -> Time {
        self.watermark.map_or(now, |held| held.clock.max(now))
    }
}

/// Why nothing can be judged for a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiverError {
    /// The founder's charter is not among them.
    #[error("expected the charter that {0} names, got none")]
    NoCharter(Rid),
    /// One of them cannot be read.
    #[error("expected a charter: {0}")]
    Charter(#[from] charter::Error),
    /// One of them founds another repository.
    #[error("expected charters of one repository, got one that founds another")]
    Graft,
    /// The pin names a charter that does not lead back to the first.
    #[error("expected the pinned charter {0} in the line of charters from the first one")]
    Pin(Identity),
}
