//! How the web is computed.

use crate::number::Time;

/// Which rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Model {
    /// As GnuPG's `--trust-model pgp`: ownertrust and trust signatures.
    Pgp,
    /// As GnuPG's `--trust-model classic`: ownertrust alone.
    Classic,
    /// As `Pgp`, but a root that has expired or was revoked is none, and what
    /// is dated after the moment asked about does not count yet.
    #[default]
    Strict,
}

/// How much it takes to be believed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Which rules hold.
    pub model: Model,
    /// How many fully trusted owners it takes: 1 and more.
    pub completes_needed: u32,
    /// How many marginally trusted owners it takes: 2 and more.
    pub marginals_needed: u32,
    /// How many certifications a path may have: 1 to 255.
    pub max_cert_depth: u32,
    /// How careful a certification must say that it was, 1 to 3; one that says
    /// nothing (type 0x10) always counts.
    pub min_cert_level: u8,
    /// The moment that is asked about.
    pub at: Time,
}

impl Settings {
    /// Returns GnuPG's defaults: one full or three marginal, depth 5, level 2;
    /// and the strict model.
    pub fn at(at: Time) -> Self {
        Self {
            model: Model::default(),
            completes_needed: 1,
            marginals_needed: 3,
            max_cert_depth: 5,
            min_cert_level: 2,
            at,
        }
    }

    /// Checks the numbers against GnuPG's bounds.
    ///
    /// # Errors
    /// Says which number is out of bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.completes_needed < 1 {
            return Err(SettingsError::Completes);
        }
        if self.marginals_needed < 2 {
            return Err(SettingsError::Marginals);
        }
        if !(1..=255).contains(&self.max_cert_depth) {
            return Err(SettingsError::Depth(self.max_cert_depth));
        }
        if !(1..=3).contains(&self.min_cert_level) {
            return Err(SettingsError::Level(self.min_cert_level));
        }
        Ok(())
    }

    /// Returns the moment as OpenPGP writes it.
    pub(crate) fn moment(&self) -> u32 {
        u32::try_from(self.at.0).unwrap_or(u32::MAX)
    }
}

/// Which number is out of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Of full certifications.
    #[error("expected completes-needed to be 1 or more")]
    Completes,
    /// Of marginal certifications.
    #[error("expected marginals-needed to be 2 or more")]
    Marginals,
    /// Of certifications in a path.
    #[error("expected max-cert-depth from 1 to 255, got {0}")]
    Depth(u32),
    /// Of care.
    #[error("expected min-cert-level from 1 to 3, got {0}")]
    Level(u8),
}
