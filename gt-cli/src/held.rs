//! What a repository holds when something is to be judged, read from its
//! state at once.

use gt_trust::belief::Believes;
use gt_trust::judge::{Evidence, Receiver, ReceiverError};
use gt_trust::{Identity, Mark, Rid, Statement, Watermark};

use crate::state::{Error, Sealed, State};

/// Everything that a receiver holds of a repository.
#[derive(Clone, Debug)]
pub struct Held {
    charters: Vec<Vec<u8>>,
    newest: Option<Identity>,
    charter_seals: Vec<Vec<u8>>,
    keyring: Vec<u8>,
    remembered: Vec<Vec<u8>>,
    evidence: Vec<Evidence>,
    watermark: Option<Watermark>,
    statement: Option<Sealed<Statement>>,
    before: Option<Sealed<Statement>>,
    pin: Option<Identity>,
}

impl Held {
    /// Reads the state of a repository.
    ///
    /// # Errors
    /// What the disk says, or a file that is damaged.
    pub fn read(state: &State) -> Result<Self, Error> {
        let line = state.charters()?;
        let newest = line.last().map(|c| c.text.identity());
        let rivals = state.rivals()?;
        let all = line.iter().chain(&rivals);
        let statement = state.accepted()?;
        let before = match statement.as_ref().and_then(|s| s.text.previous) {
            Some(mark) => state.statement(&mark.identity)?,
            None => None,
        };
        Ok(Self {
            charters: all.clone().map(|c| c.text.as_bytes().to_vec()).collect(),
            newest,
            charter_seals: all.flat_map(|c| c.seals.clone()).collect(),
            keyring: state.keyring()?.unwrap_or_default(),
            remembered: state.remembered_keyrings()?,
            evidence: state.read_evidence()?,
            watermark: state.watermark()?,
            statement,
            before,
            pin: state.pin()?,
        })
    }

    /// Returns the receiver that judges. Where nothing is held yet, the
    /// charters are those that `offered` brings.
    ///
    /// `pin` is the charter that an address names; one that the person pinned
    /// here comes before it.
    ///
    /// # Errors
    /// [`ReceiverError`].
    pub fn receiver<'a>(
        &'a self,
        rid: Rid,
        offered: &[Vec<u8>],
        pin: Option<Identity>,
        believes: Option<&'a dyn Believes>,
    ) -> Result<Receiver<'a>, ReceiverError> {
        let charters = match self.charters.is_empty() {
            true => offered,
            false => &self.charters,
        };
        Ok(Receiver::new(rid, charters)?
            .believes_charter(self.newest)?
            .pin(self.pin.or(pin))?
            .charter_seals(&self.charter_seals)
            .watermark(self.watermark)
            .held(self.statement.as_ref().map(|s| &s.text))
            .before(self.before.as_ref().map(|s| &s.text))
            .seals(self.statement.as_ref().map_or(&[], |s| &s.seals))
            .keyring(&self.keyring)
            .remembered(&self.remembered)
            .evidence(&self.evidence)
            .believes(believes))
    }

    /// Returns the place of the statement that holds.
    pub fn mark(&self) -> Option<Mark> {
        self.watermark.map(|held| held.mark)
    }

    /// Returns the seals of the statement that holds.
    pub fn seals(&self) -> Vec<Vec<u8>> {
        self.statement
            .as_ref()
            .map_or_else(Vec::new, |s| s.seals.clone())
    }

    /// Returns the certificates that are held, newest first.
    pub fn keyrings(&self) -> Vec<Vec<u8>> {
        let mut all = vec![self.keyring.clone()];
        all.extend(self.remembered.iter().cloned());
        all.retain(|keyring| !keyring.is_empty());
        all
    }
}
