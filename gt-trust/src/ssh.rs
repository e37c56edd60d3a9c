//! SSH signatures (OpenSSH's PROTOCOL.sshsig), who may make them (the allowed
//! signers of ssh-keygen(1)), and which keys were revoked.
//!
//! Answers equal those of `ssh-keygen -Y verify`, with two exceptions: keys
//! certified by an authority and RSA keys below 2048 bits are unsupported, by
//! name.

mod allowed;
mod pattern;
mod revoked;
mod wire;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use crate::charter::SshKey;
use crate::limits;
use wire::Wire;

pub use allowed::{AllowedSigners, Standing};
pub use revoked::{RevokedError, RevokedKeys};

/// How the armour of a signature begins.
pub(crate) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &[u8] = b"\n-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
/// The name space in which git signs commits and tags, and gt its seals.
pub const NAMESPACE: &str = "git";

/// A public key, as the bytes that go over the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Returns the key with these bytes (RFC 4253 section 6.6).
    pub fn from_blob(blob: Vec<u8>) -> Self {
        Self(blob)
    }

    /// Reads `<type> <base64>`, and whatever follows.
    pub fn from_words(text: &str) -> Option<Self> {
        let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
        let kind = words.next()?;
        let blob = BASE64.decode(words.next()?.as_bytes()).ok()?;
        let key = Self(blob);
        (key.kind()? == kind).then_some(key)
    }

    /// Returns the bytes.
    pub fn as_blob(&self) -> &[u8] {
        &self.0
    }

    /// Returns the fingerprint, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> SshKey {
        SshKey::from_bytes(Sha256::digest(&self.0).into())
    }

    /// Returns the name of the kind of key.
    pub fn kind(&self) -> Option<&str> {
        std::str::from_utf8(Wire::new(&self.0).string()?).ok()
    }
}

/// A signature that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: PublicKey,
    namespace: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
    trailing: usize,
}

impl Signature {
    /// Reads a signature in armour, with the latitude of ssh-keygen: whatever
    /// follows on the last line is not looked at.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let body = text.strip_prefix(BEGIN.as_bytes()).ok_or(Fault::Armor)?;
        // Carriage returns and blanks may stand anywhere but here.
        if !body.starts_with(b"\n") {
            return Err(Fault::Armor);
        }
        let at = body
            .windows(END.len())
            .position(|window| window == END)
            .ok_or(Fault::Armor)?;
        if at > limits::SSH_SIGNATURE {
            return Err(Fault::TooLong(at));
        }
        let base64: Vec<u8> = body[..at]
            .iter()
            .copied()
            .filter(|b| !b.is_ascii_whitespace())
            .collect();
        let blob = BASE64.decode(&base64).map_err(|_| Fault::Armor)?;
        let rest = &body[at + END.len()..];
        let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        let trailing = rest.strip_prefix(b"\n").unwrap_or(rest).len();
        Ok(Self {
            trailing,
            ..Self::from_blob(&blob)?
        })
    }

    /// Reads a signature in armour that a seal may bear: the one form that
    /// ssh-keygen writes, and nothing after it.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn parse_strict(text: &[u8]) -> Result<Self, Fault> {
        let read = Self::parse(text)?;
        if armored(&read.to_blob()).as_bytes() != text {
            return Err(Fault::Armor);
        }
        Ok(read)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, Fault> {
        let rest = blob.strip_prefix(MAGIC).ok_or(Fault::Malformed)?;
        let mut wire = Wire::new(rest);
        match wire.number() {
            Some(1) => {}
            Some(version) => return Err(Fault::Unsupported(format!("version {version}"))),
            None => return Err(Fault::Malformed),
        }
        let mut string = || wire.string().map(<[u8]>::to_vec).ok_or(Fault::Malformed);
        let key = PublicKey(string()?);
        let namespace = string()?;
        let _reserved = string()?;
        let (hash, signature) = (string()?, string()?);
        if !wire.is_empty() || namespace.is_empty() {
            return Err(Fault::Malformed);
        }
        Ok(Self {
            key,
            namespace,
            hash,
            signature,
            trailing: 0,
        })
    }

    fn to_blob(&self) -> Vec<u8> {
        let mut blob = [MAGIC, &1u32.to_be_bytes()[..]].concat();
        for part in [
            &self.key.0,
            &self.namespace,
            &Vec::new(),
            &self.hash,
            &self.signature,
        ] {
            wire::push(part, &mut blob);
        }
        blob
    }

    /// Returns the key that it says it was made with.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns how many bytes follow on the armour; nobody has signed them.
    pub fn trailing(&self) -> usize {
        self.trailing
    }

    /// Says whether the key in it made it on these bytes for this name space,
    /// and returns the key. Whose key that is, others know.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn verify(&self, namespace: &str, payload: &[u8]) -> Result<PublicKey, Fault> {
        if self.namespace != namespace.as_bytes() {
            let shown = self.namespace[..self.namespace.len().min(80)].escape_ascii();
            return Err(Fault::Namespace(shown.to_string()));
        }
        let kind = self.key.kind().ok_or(Fault::Malformed)?;
        if kind.contains("-cert-v01@") {
            return Err(Fault::Unsupported(format!("certified keys ({kind})")));
        }
        let hash = match &self.hash[..] {
            b"sha256" => ssh_key::HashAlg::Sha256,
            b"sha512" => ssh_key::HashAlg::Sha512,
            _ => return Err(Fault::Malformed),
        };
        let unsupported = |_| Fault::Unsupported(kind.chars().take(80).collect());
        let key = ssh_key::PublicKey::from_bytes(&self.key.0).map_err(|error| match error {
            ssh_key::Error::Encoding(_) | ssh_key::Error::FormatEncoding => Fault::Malformed,
            other => unsupported(other),
        })?;
        self.check_kind(kind, key.key_data())?;
        let signature =
            ssh_key::Signature::try_from(&self.signature[..]).map_err(|_| Fault::Malformed)?;
        let whole = ssh_key::SshSig::new(key.key_data().clone(), namespace, hash, signature)
            .map_err(|_| Fault::Malformed)?;
        key.verify(namespace, payload, &whole)
            .map_err(|_| Fault::Bad)?;
        Ok(self.key.clone())
    }

    /// Refuses what the library would call bad and is only not to be had:
    /// kinds it does not know, RSA keys below its floor, RSA with SHA-1.
    fn check_kind(&self, kind: &str, key: &ssh_key::public::KeyData) -> Result<(), Fault> {
        use ssh_key::public::KeyData;
        match key {
            KeyData::Dsa(_) | KeyData::Other(_) => Err(Fault::Unsupported(kind.to_owned())),
            KeyData::Rsa(rsa) => {
                let bits = rsa.n.as_positive_bytes().map_or(0, |n| n.len() * 8);
                if bits < MIN_RSA {
                    return Err(Fault::Unsupported(format!("an RSA key of {bits} bits")));
                }
                match Wire::new(&self.signature).string() {
                    Some(b"ssh-rsa") => Err(Fault::WeakDigest("SHA-1")),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Bits of an RSA key that the library takes at least.
const MIN_RSA: usize = 2048;

/// Writes armour as ssh-keygen does: lines of 70 characters.
pub(crate) fn armored(blob: &[u8]) -> String {
    let mut text = format!("{BEGIN}\n");
    for line in BASE64.encode(blob).as_bytes().chunks(70) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    text + "-----END SSH SIGNATURE-----\n"
}

/// Why an SSH signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Longer than [`limits::SSH_SIGNATURE`].
    #[error("expected an SSH signature of at most {limit} bytes, got {0}", limit = limits::SSH_SIGNATURE)]
    TooLong(usize),
    /// No armour, or none of the one form.
    #[error("expected an SSH signature in armour")]
    Armor,
    /// The bytes inside of the armour.
    #[error("expected a well-formed SSH signature")]
    Malformed,
    /// Made for another purpose.
    #[error("expected an SSH signature for the name space git, got one for {0:?}")]
    Namespace(String),
    /// Cannot be verified here.
    #[error("expected an SSH key that can be checked here, got {0}")]
    Unsupported(String),
    /// Collisions are known.
    #[error("expected an SSH signature with SHA-256 or stronger, got {0}")]
    WeakDigest(&'static str),
    /// The numbers do not fit the bytes.
    #[error("expected an SSH signature that fits the bytes, got a bad one")]
    Bad,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signed(namespace: &str) -> Signature {
        Signature {
            key: PublicKey::from_words(ED25519).unwrap(),
            namespace: namespace.into(),
            hash: b"sha512".to_vec(),
            signature: [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 64], &[7; 64]].concat(),
            trailing: 0,
        }
    }

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn one_form_in_a_seal_and_latitude_in_objects() {
        let text = armored(&signed("git").to_blob());
        assert_eq!(Signature::parse_strict(text.as_bytes()), Ok(signed("git")));
        for other in [
            format!("{text}more"),
            text.replace('\n', "\r\n").replacen("-\r\n", "-\n", 1),
            text.trim_end().to_owned(),
            text.replacen('\n', "\n\n", 1),
        ] {
            assert!(Signature::parse(other.as_bytes()).is_ok(), "{other}");
            assert_eq!(Signature::parse_strict(other.as_bytes()), Err(Fault::Armor));
        }
        let more = Signature::parse(format!("{text}more").as_bytes()).unwrap();
        assert_eq!(more.trailing(), 4);
        let blob = signed("git").to_blob();
        for end in 0..blob.len() {
            assert!(Signature::from_blob(&blob[..end]).is_err());
        }
        assert!(Signature::from_blob(&[&blob[..], b"x"].concat()).is_err());
    }

    #[test]
    fn other_name_spaces_and_kinds_by_name() {
        let fault = signed("file").verify(NAMESPACE, b"x").unwrap_err();
        assert_eq!(fault, Fault::Namespace("file".to_owned()));
        assert_eq!(signed("git").verify(NAMESPACE, b"x"), Err(Fault::Bad));
        for kind in ["ssh-dss", "ssh-ed448", "ssh-ed25519-cert-v01@openssh.com"] {
            let mut other = signed("git");
            other.key.0.clear();
            wire::push(kind.as_bytes(), &mut other.key.0);
            wire::push(&[1; 32], &mut other.key.0);
            let fault = other.verify(NAMESPACE, b"x").unwrap_err();
            let is_named = matches!(&fault, Fault::Unsupported(what) if what.contains(kind));
            assert!(is_named || fault == Fault::Malformed, "{kind}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_total(bytes: Vec<u8>) {
            let _ = Signature::parse(&bytes);
            let _ = Signature::from_blob(&bytes);
            if let Ok(read) = Signature::parse(armored(&[MAGIC, &[0, 0, 0, 1], &bytes].concat()).as_bytes()) {
                let _ = read.verify(NAMESPACE, &bytes);
            }
        }

        #[test]
        fn keys_of_strangers_are_total(kind in 0..6usize, bytes: Vec<u8>) {
            let names = ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-dss",
                "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"];
            let mut other = signed("git");
            other.key.0.clear();
            wire::push(names[kind].as_bytes(), &mut other.key.0);
            other.key.0.extend(&bytes);
            prop_assert!(other.verify(NAMESPACE, b"x").is_err());
        }
    }
}
