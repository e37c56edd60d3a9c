//! A person's keyrings, read together.

use std::collections::HashMap;

use super::armour;
use crate::certificate::{Certificate, KeyId, Skipped};
use crate::fingerprint::Fingerprint;
use crate::key;
use crate::keybox;
use crate::limits;
use crate::packets::{self, Packet, Packets};

/// Certificates from any number of keyrings, in the order in which they came.
///
/// Copies of one certificate are joined: what one of them revokes is revoked.
/// Nothing is verified when they are read.
#[derive(Debug, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    by_print: HashMap<Fingerprint, usize>,
    by_id: HashMap<KeyId, Vec<usize>>,
    bytes: usize,
}

/// What came of reading one keyring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// Certificates that were read, joined ones too.
    pub certificates: usize,
    /// Why others were passed over, in their order.
    pub skipped: Vec<Skipped>,
    /// The bytes end inside of a packet, or go on with what is none: the rest
    /// was not read.
    pub broken: bool,
}

const SECRET_KEY: u8 = 5;

impl Keyring {
    /// Returns a ring without certificates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a keyring, binary (as `gpg --export` writes it), armoured or a
    /// keybox (GnuPG's `pubring.kbx`), one certificate at a time: one that is
    /// broken, of an old version or flooded costs only itself.
    ///
    /// # Errors
    /// [`KeyringError`] where it is no keyring at all, or all of them are too
    /// much.
    pub fn add(&mut self, bytes: &[u8]) -> Result<Added, KeyringError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > limits::KEYRINGS {
            return Err(KeyringError::TooLong(self.bytes));
        }
        if keybox::is_database(bytes) {
            return Err(KeyringError::Database);
        }
        let mut added = Added::default();
        if keybox::is_keybox(bytes) {
            for blob in keybox::Blobs::new(bytes) {
                match blob {
                    Ok(packets) => self.read(packets, &mut added)?,
                    Err(why) if why.last => added.broken = true,
                    Err(_) => added.skipped.push(Skipped::Broken),
                }
            }
            return Ok(added);
        }
        if !armour::is_armoured(bytes) {
            self.read(bytes, &mut added)?;
            return Ok(added);
        }
        let (blocks, unreadable) = armour::decode(bytes);
        if blocks.is_empty() && unreadable == 0 {
            return Err(KeyringError::Nothing);
        }
        added.skipped.extend(vec![Skipped::Broken; unreadable]);
        for block in blocks {
            self.read(&block, &mut added)?;
        }
        Ok(added)
    }

    fn read(&mut self, bytes: &[u8], added: &mut Added) -> Result<(), KeyringError> {
        let mut current: Vec<Packet<'_>> = Vec::new();
        for packet in Packets::new(bytes) {
            let Ok(packet) = packet else {
                added.broken = true;
                break;
            };
            match packet.tag {
                packets::MARKER | packets::TRUST => {}
                packets::PUBLIC_KEY | SECRET_KEY => {
                    self.take(&current, added)?;
                    current.clear();
                    if packet.tag == packets::PUBLIC_KEY {
                        current.push(packet);
                    }
                }
                // What belongs to no certificate.
                _ if current.is_empty() => {}
                _ => current.push(packet),
            }
        }
        self.take(&current, added)
    }

    fn take(&mut self, packets: &[Packet<'_>], added: &mut Added) -> Result<(), KeyringError> {
        if packets.is_empty() {
            return Ok(());
        }
        let certificate = match Certificate::read(packets) {
            Ok(certificate) => certificate,
            Err(why) => {
                added.skipped.push(why);
                return Ok(());
            }
        };
        let print = certificate.fingerprint();
        if let Some(place) = self.by_print.get(&print).copied() {
            let held = self.certificates[place].to_bytes();
            let mut both: Vec<Packet<'_>> = Packets::new(&held).filter_map(Result::ok).collect();
            both.extend(packets);
            match Certificate::read(&both) {
                Ok(joined) => {
                    self.certificates[place] = joined;
                    self.index(place);
                    added.certificates += 1;
                }
                // Too much for one: what was there first stays.
                Err(why) => added.skipped.push(why),
            }
            return Ok(());
        }
        if self.certificates.len() == limits::CERTIFICATES_READ {
            return Err(KeyringError::TooMany);
        }
        added.certificates += 1;
        self.certificates.push(certificate);
        self.index(self.certificates.len() - 1);
        Ok(())
    }

    fn index(&mut self, place: usize) {
        let certificate = &self.certificates[place];
        self.by_print.insert(certificate.fingerprint(), place);
        let subkeys = certificate.subkeys.iter().map(|s| s.key.key_id);
        for id in subkeys.chain([certificate.key_id()]) {
            let places = self.by_id.entry(id).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }

    /// Returns the certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Returns the certificate of a primary key.
    pub fn find(&self, primary: &Fingerprint) -> Option<&Certificate> {
        self.place(primary).map(|place| &self.certificates[place])
    }

    /// Returns the certificates that hold a key with this short name, as
    /// primary or subkey. Nothing is verified.
    pub fn holding(&self, id: KeyId) -> impl Iterator<Item = &Certificate> {
        let places = self.by_id.get(&id).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|place| &self.certificates[*place])
    }

    /// Returns the ring that verifies signatures on bytes, with the
    /// certificates that hold one of these keys.
    ///
    /// # Errors
    /// Where those certificates are more than such a ring takes.
    pub fn narrow(&self, keys: &[KeyId]) -> Result<key::Keyring, key::Error> {
        let mut bytes = Vec::new();
        let mut taken = Vec::new();
        let named = keys.iter().flat_map(|id| self.holding(*id));
        // Those who revoke it may be revokers that it names.
        let revokers = keys.iter().flat_map(|id| self.holding(*id)).flat_map(|c| {
            let revoked = c.direct.iter().filter(|sig| sig.is_revocation());
            revoked.flat_map(|sig| self.holding(sig.issuer))
        });
        for certificate in named.chain(revokers) {
            let print = certificate.fingerprint();
            if !taken.contains(&print) {
                taken.push(print);
                bytes.extend(certificate.to_bytes());
            }
        }
        key::Keyring::parse(&bytes, None)
    }

    pub(super) fn place(&self, primary: &Fingerprint) -> Option<usize> {
        self.by_print.get(primary).copied()
    }
}

/// Why bytes are no keyring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// More than [`limits::KEYRINGS`] bytes in all.
    #[error("expected keyrings of at most {limit} bytes, got {0}", limit = limits::KEYRINGS)]
    TooLong(usize),
    /// More than [`limits::CERTIFICATES_READ`].
    #[error("expected at most {limit} certificates", limit = limits::CERTIFICATES_READ)]
    TooMany,
    /// A data base of GnuPG's keyboxd.
    #[error("expected certificates as gpg --export writes them, got a data base (pubring.db)")]
    Database,
    /// Neither packets nor armour.
    #[error("expected OpenPGP certificates, binary or armoured")]
    Nothing,
}
