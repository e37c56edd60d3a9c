//! What waits for more seals: statements and charters that were proposed, how
//! they are kept, carried, sealed and completed.
//!
//! ```text
//!   publish ─▶ proposal ─▶ file ─▶ endorse ─▶ file ─▶ endorse ─▶ complete
//!                (1 of 3)          (2 of 3)           (3 of 3)    the mark moves
//! ```
//!
//! Nobody need be online with anybody: a file holds the text, its seals, the
//! charters and the certificates, as the objects of a small git pack. Seals
//! are independent, so files that went different ways are joined by reading
//! both.

mod error;
mod settle;

use std::path::Path;

use gt_pack::small;
use gt_trust::charter::Delegate;
use gt_trust::offer::{Kind, Object};
use gt_trust::seal::Subject;
use gt_trust::{Charter, Identity, Keyring, Rid, Seal, Statement, Time, limits};

use crate::files;
use crate::held::Held;
use crate::signing::Sealer;
use crate::state::{self, Sealed, State};

pub use error::Error;
pub use settle::{confirmed, settle_waiting};

/// Seals that are looked at: two of each delegate there can be.
const SEALS: usize = 2 * limits::DELEGATES;

/// A text that was proposed.
#[derive(Clone, Debug)]
pub enum Text {
    /// A statement.
    Statement(Box<Statement>),
    /// A charter.
    Charter(Box<Charter>),
}

/// A text that was proposed, and what goes with it.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The text.
    pub text: Text,
    /// The seals on it that came along.
    pub seals: Vec<Vec<u8>>,
    /// Certificates that came along.
    pub keyring: Vec<u8>,
    /// The charters before, with their seals, that came along.
    pub charters: Vec<Vec<u8>>,
    /// Seals of those.
    pub charter_seals: Vec<Vec<u8>>,
}

/// How far a proposal has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Who has sealed it, of those who count.
    pub sealed_by: Vec<Delegate>,
    /// What it lacks, in words; nothing where it is complete.
    pub lacks: Vec<String>,
    /// Whether it is complete and holds now.
    pub complete: bool,
}

impl Text {
    /// Returns the exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Statement(text) => text.as_bytes(),
            Self::Charter(text) => text.as_bytes(),
        }
    }

    /// Returns the SHA-256 of the bytes.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Statement(text) => text.identity(),
            Self::Charter(text) => text.identity(),
        }
    }

    /// Reads either.
    ///
    /// # Errors
    /// [`Error`] of the grammar.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.starts_with(b"gt charter ") {
            true => Ok(Self::Charter(Charter::parse(bytes)?.into())),
            false => Ok(Self::Statement(Statement::parse(bytes)?.into())),
        }
    }

    fn subject(&self, rid: Rid) -> Subject {
        match self {
            Self::Statement(text) => Subject::of_statement(text),
            Self::Charter(text) => Subject::of_charter(rid, text),
        }
    }

    /// Names the place that a delegate seals once only.
    fn place(&self) -> String {
        match self {
            Self::Statement(text) => format!("statement {} {}", text.epoch, text.sequence),
            Self::Charter(text) => format!("charter {}", text.epoch),
        }
    }
}

impl Proposal {
    /// Returns a proposal that nobody has sealed yet.
    pub fn new(text: Text, keyring: Vec<u8>) -> Self {
        Self {
            text,
            seals: Vec::new(),
            keyring,
            charters: Vec::new(),
            charter_seals: Vec::new(),
        }
    }

    /// Reads a file that was carried here.
    ///
    /// # Errors
    /// [`Error`] where it is no proposal.
    pub fn read_file(path: &Path) -> Result<Self, Error> {
        let bytes = files::read(path, limits::OFFER_BYTES as u64)?;
        let bytes = bytes.ok_or_else(|| Error::NoFile(path.display().to_string()))?;
        Self::from_pack(&bytes)
    }

    /// Reads what such a file holds, or a peer sent.
    ///
    /// # Errors
    /// [`Error`] where it is no proposal, or more than a stranger may cost.
    pub fn from_pack(bytes: &[u8]) -> Result<Self, Error> {
        let objects = small::read(bytes, &|_| None, &small::Budget::default())
            .map_err(|e| Error::File(e.to_string()))?;
        let (mut statement, mut charters) = (None, Vec::new());
        let (mut seals, mut keyring) = (Vec::new(), Vec::new());
        for object in objects {
            let bytes = object.bytes;
            match object.kind {
                gt_pack::Kind::Tag => seals.push(bytes),
                _ if bytes.starts_with(b"gt statement ") => statement = Some(bytes),
                _ if bytes.starts_with(b"gt charter ") => charters.push(bytes),
                _ => keyring = bytes,
            }
        }
        // The text is the statement, or else the newest charter.
        let text = match statement {
            Some(bytes) => Text::Statement(Statement::parse(&bytes)?.into()),
            None => {
                let mut parsed = Vec::new();
                for bytes in &charters {
                    parsed.push(Charter::parse(bytes)?);
                }
                let newest = parsed.into_iter().max_by_key(|c| c.epoch);
                Text::Charter(newest.ok_or(Error::Empty)?.into())
            }
        };
        charters.retain(|bytes| *bytes != text.as_bytes());
        let is_own = |bytes: &Vec<u8>| {
            Seal::parse(bytes).is_ok_and(|seal| seal.subject().identity() == text.identity())
        };
        let (own, others) = seals.into_iter().partition(is_own);
        Ok(Self {
            text,
            seals: own,
            keyring,
            charters,
            charter_seals: others,
        })
    }

    /// Returns the file to carry.
    pub fn to_bytes(&self) -> Vec<u8> {
        let tags = self.seals.iter().chain(&self.charter_seals);
        let mut objects: Vec<Object> = tags
            .map(|seal| Object::new(Kind::Tag, seal.clone()))
            .collect();
        let blobs = [self.text.as_bytes().to_vec()];
        for bytes in blobs.iter().chain(&self.charters) {
            objects.push(Object::new(Kind::Blob, bytes.clone()));
        }
        if !self.keyring.is_empty() {
            objects.push(Object::new(Kind::Blob, self.keyring.clone()));
        }
        // A charter that holds already is among its own predecessors.
        let mut seen = std::collections::BTreeSet::new();
        objects.retain(|object| seen.insert(object.bytes.clone()));
        let objects: Vec<small::Object> = objects
            .into_iter()
            .map(|object| small::Object {
                kind: match object.kind {
                    Kind::Blob => gt_pack::Kind::Blob,
                    _ => gt_pack::Kind::Tag,
                },
                bytes: object.bytes,
            })
            .collect();
        small::write(&objects, &[])
    }

    /// Returns the file to carry, with the charters of a repository, so that a
    /// delegate who holds an older one can follow.
    ///
    /// # Errors
    /// [`Error`] of the state.
    pub fn for_others(&self, state: &State) -> Result<Vec<u8>, Error> {
        let mut whole = self.clone();
        for Sealed { text, seals } in state.charters()? {
            if !whole.charters.iter().any(|bytes| bytes == text.as_bytes()) {
                whole.charters.push(text.as_bytes().to_vec());
            }
            for seal in seals {
                if !whole.charter_seals.contains(&seal) {
                    whole.charter_seals.push(seal);
                }
            }
        }
        Ok(whole.to_bytes())
    }

    /// Returns what goes to a peer who follows the repository too: these seals,
    /// and none of the charters before.
    pub fn for_peers(&self, seals: Vec<Vec<u8>>) -> Vec<u8> {
        let alone = Self {
            seals,
            charters: Vec::new(),
            charter_seals: Vec::new(),
            ..self.clone()
        };
        alone.to_bytes()
    }

    /// Returns who has sealed it, each with one seal: delegates of the newest
    /// charter that is held, and of its own list where it is a charter.
    ///
    /// # Errors
    /// [`Error`] of the state.
    pub fn sealers(
        &self,
        state: &State,
        rid: Rid,
        now: Time,
    ) -> Result<Vec<(Delegate, Vec<u8>)>, Error> {
        let newest = state.charter()?;
        let own = match &self.text {
            Text::Charter(text) => Some(&text.delegates),
            Text::Statement(_) => None,
        };
        let listed: Vec<&Delegate> = newest
            .iter()
            .flat_map(|charter| &charter.text.delegates)
            .chain(own.into_iter().flatten())
            .collect();
        let keys: Vec<_> = listed.iter().filter_map(|d| d.openpgp()).collect();
        let mut keyrings = Held::read(state)?.keyrings();
        keyrings.push(self.keyring.clone());
        let mut ring = Keyring::default();
        for bytes in &keyrings {
            // What cannot be read names nobody.
            ring = ring.with(Keyring::parse(bytes, Some(&keys)).unwrap_or_default());
        }
        let subject = self.text.subject(rid);
        let mut found: Vec<(Delegate, Vec<u8>)> = Vec::new();
        for bytes in self.seals.iter().take(SEALS) {
            let seal = Seal::parse(bytes).ok().filter(|s| *s.subject() == subject);
            let Some(by) = seal.and_then(|seal| seal.verify(&ring, now).ok()) else {
                continue;
            };
            let known = found.iter().any(|(who, _)| *who == by.delegate);
            if listed.contains(&&by.delegate) && !known {
                found.push((by.delegate, bytes.clone()));
            }
        }
        Ok(found)
    }

    /// Adds what another copy of the same text has.
    pub fn join(&mut self, other: &Self) {
        for seal in &other.seals {
            if !self.seals.contains(seal) {
                self.seals.push(seal.clone());
            }
        }
        if self.keyring.is_empty() {
            self.keyring.clone_from(&other.keyring);
        }
    }

    /// Adds this person's seal. gt seals one statement of a place: a second
    /// one would be equivocation, whoever asked for it.
    ///
    /// # Errors
    /// [`Error::Sealed`] where another text of the place was sealed here.
    pub fn seal(
        &mut self,
        state: &State,
        sealer: &Sealer,
        rid: Rid,
        now: Time,
    ) -> Result<(), Error> {
        let own = Keyring::parse(sealer.certificate(), None).unwrap_or_default();
        let is_mine = |bytes: &Vec<u8>| {
            let by = Seal::parse(bytes)
                .ok()
                .and_then(|seal| seal.verify(&own, now).ok());
            by.is_some_and(|by| by.delegate == *sealer.delegate())
        };
        if self.seals.iter().any(is_mine) {
            return Ok(());
        }
        let (place, identity) = (self.text.place(), self.text.identity());
        if let Some(other) = state
            .sealed_at(&place)?
            .filter(|sealed| *sealed != identity)
        {
            return Err(Error::Sealed { place, other });
        }
        let format = match &self.text {
            Text::Statement(text) => text.object_format,
            Text::Charter(text) => text.object_format,
        };
        // Written first: a crash between the two must not free the place.
        state.keep_sealed_at(&place, &identity)?;
        let subject = self.text.subject(rid);
        let seal = sealer.seal(&subject, format, self.text.as_bytes(), now)?;
        self.seals.push(seal.as_bytes().to_vec());
        Ok(())
    }
}

/// Returns the OpenPGP keys of everybody who is or was a delegate.
///
/// # Errors
/// [`state::Error`].
pub fn openpgp_delegates(state: &State) -> Result<Vec<gt_trust::Fingerprint>, state::Error> {
    let mut keys = Vec::new();
    for charter in state.charters()? {
        for key in charter.text.delegates.iter().filter_map(Delegate::openpgp) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}
