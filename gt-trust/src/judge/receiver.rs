//! What a receiver holds of a repository.

use crate::charter::{self, Charter};
use crate::mark::Watermark;
use crate::number::{Epoch, Time};
use crate::rid::{Identity, Rid};

/// What a receiver holds of a repository when an offer comes.
#[derive(Clone, Debug)]
pub struct Receiver<'a> {
    pub(super) rid: Rid,
    pub(super) charter: Charter,
    pub(super) watermark: Option<Watermark>,
    pub(super) seals: &'a [Vec<u8>],
    pub(super) keyring: &'a [u8],
    pub(super) remembered: &'a [Vec<u8>],
    pub(super) allow_stale: bool,
}

impl<'a> Receiver<'a> {
    /// Begins with the charters held, or those of the first offer: the one
    /// that the rid names must be among them.
    ///
    /// # Errors
    /// [`ReceiverError`] where it is missing, or there is something in them
    /// that could not be enforced.
    pub fn new(rid: Rid, charters: &[Vec<u8>]) -> Result<Self, ReceiverError> {
        let mut first = None;
        for bytes in charters {
            if Rid::of_charter(bytes) == rid {
                first = Some(Charter::parse(bytes)?);
                continue;
            }
            // A charter that is not the founder's is a later one, or of
            // another repository; neither can be judged yet.
            let other = Charter::parse(bytes)?;
            if other.epoch == Epoch(0) {
                return Err(ReceiverError::Graft);
            }
            return Err(ReceiverError::UnsupportedEpoch(other.epoch));
        }
        let charter = first.ok_or(ReceiverError::NoCharter(rid))?;
        if charter.epoch != Epoch(0) {
            return Err(ReceiverError::NoCharter(rid));
        }
        // What would not be enforced must not look as if it held.
        if !charter.rules.is_empty() {
            return Err(ReceiverError::UnsupportedRules);
        }
        Ok(Self {
            rid,
            charter,
            watermark: None,
            seals: &[],
            keyring: &[],
            remembered: &[],
            allow_stale: false,
        })
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

    /// Checks a charter that the address pins.
    ///
    /// # Errors
    /// [`ReceiverError::Pin`] where it is not the one held.
    pub fn pin(self, pin: Option<Identity>) -> Result<Self, ReceiverError> {
        match pin {
            Some(pin) if pin != self.charter.identity() => Err(ReceiverError::Pin(pin)),
            _ => Ok(self),
        }
    }

    /// Returns the charter by which is judged.
    pub fn charter(&self) -> &Charter {
        &self.charter
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
    /// One of them is a later one.
    #[error("expected epoch 0, got {0}: later charters are not supported yet")]
    UnsupportedEpoch(Epoch),
    /// There are rules for some refs.
    #[error("expected a charter without rules, which are not supported yet")]
    UnsupportedRules,
    /// The pin names a charter that is not in the chain, as far as it can be
    /// followed.
    #[error(
        "expected the pinned charter {0} in the chain, which is not supported past epoch 0 yet"
    )]
    Pin(Identity),
}
