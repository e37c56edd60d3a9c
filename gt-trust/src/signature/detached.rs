//! A signature as git finds it in a commit or tag: read as GnuPG reads it,
//! which is less strictly than a seal.
//!
//! Git hands everything from the first line of armour on to `gpg --verify`.
//! What gpg lets pass there (text after the armour, signatures in text mode,
//! of version 3, with digests that are out of use) is let pass here too, and
//! told, so that the caller can decide what it is worth.

use data_encoding::BASE64;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{self, SignatureType};

use super::{Fault, Signature, has_unknown_critical, is_strong, read};
use crate::limits;
use crate::number::Time;
use crate::packets::{self, Packets};

/// One OpenPGP signature found in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    signature: Signature,
    weak: Option<String>,
    trailing: usize,
}

/// First lines that git takes for an OpenPGP signature (gpg-interface.c).
pub(crate) const BEGINS: [&str; 2] = [
    "-----BEGIN PGP SIGNATURE-----",
    "-----BEGIN PGP MESSAGE-----",
];

impl Detached {
    /// Reads what stands in an object from the first line of armour on.
    ///
    /// # Errors
    /// Why there is not exactly one signature that could be verified.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        if text.len() > limits::OBJECT_SIGNATURE {
            return Err(Fault::TooLong(text.len()));
        }
        let label = BEGINS
            .iter()
            .find(|begin| text.starts_with(begin.as_bytes()))
            .ok_or(Fault::NotOne)?;
        let (bytes, rest) = dearmor(text, label)?;
        // Gpg would read the second one too, and git then believes neither.
        if rest
            .split(|b| *b == b'\n')
            .any(|line| line.starts_with(b"-----BEGIN PGP "))
        {
            return Err(Fault::NotOne);
        }
        let mut found = None;
        for packet in Packets::new(&bytes) {
            match packet {
                Ok(packet) if packet.tag == packets::MARKER => {}
                Ok(packet) if packet.tag == packets::SIGNATURE && found.is_none() => {
                    found = Some(packet.body);
                }
                Ok(_) => return Err(Fault::NotOne),
                Err(_) => return Err(Fault::Malformed),
            }
        }
        let packet = read(found.ok_or(Fault::NotOne)?).ok_or(Fault::Malformed)?;
        let (created, weak) = check_form(&packet)?;
        Ok(Self {
            signature: Signature { packet, created },
            weak,
            trailing: rest.len(),
        })
    }

    /// Returns the signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Returns the name of its digest, if that is one for which collisions
    /// are known or near.
    pub fn weak_digest(&self) -> Option<&str> {
        self.weak.as_deref()
    }

    /// Returns how many bytes follow on the armour; nobody has signed them.
    pub fn trailing(&self) -> usize {
        self.trailing
    }

    /// Returns the key ids and fingerprints, upper part last, by which the
    /// signature names its maker: 8, 20 or 32 bytes each.
    pub(crate) fn issuers(&self) -> Vec<Vec<u8>> {
        let packet = &self.signature.packet;
        let mut all: Vec<Vec<u8>> = packet
            .issuer_fingerprint()
            .into_iter()
            .map(|print| print.as_bytes().to_vec())
            .collect();
        // As in `names_issuer`: a fingerprint is the better word.
        if all.is_empty() {
            all.extend(
                packet
                    .issuer_key_id()
                    .into_iter()
                    .map(|id| id.as_ref().to_vec()),
            );
        }
        all
    }
}

fn check_form(packet: &packet::Signature) -> Result<(Time, Option<String>), Fault> {
    let config = packet.config().ok_or(Fault::Malformed)?;
    match config.version() {
        packet::SignatureVersion::V3
        | packet::SignatureVersion::V4
        | packet::SignatureVersion::V6 => {}
        _ => return Err(Fault::Version),
    }
    match config.typ() {
        SignatureType::Binary | SignatureType::Text => {}
        other => return Err(Fault::Type(other.into())),
    }
    if has_unknown_critical(packet) {
        return Err(Fault::Critical);
    }
    let hash = config.hash_alg;
    // SHA-224 has no collisions yet; it is as old as SHA-256.
    let fine = is_strong(hash) || hash == HashAlgorithm::Sha224;
    let weak = (!fine).then(|| hash.to_string());
    let created = config.created().ok_or(Fault::NoDate)?;
    Ok((Time(created.as_secs().into()), weak))
}

/// Reads one block of armour from the beginning of a text, with the latitude
/// that GnuPG gives: carriage returns and blanks at line ends, any header, no
/// checksum. Returns the bytes and what follows on the last line.
pub(crate) fn dearmor<'a>(text: &'a [u8], begin: &str) -> Result<(Vec<u8>, &'a [u8]), Fault> {
    use crate::armor::Error;
    let end = begin.replacen("BEGIN", "END", 1);
    let mut rest = text;
    if next(&mut rest) != Some(begin.as_bytes()) {
        return Err(Error::Begin(begin.to_owned()).into());
    }
    loop {
        match next(&mut rest) {
            None => return Err(Error::End(end).into()),
            Some(b"") => break,
            Some(line) if line.contains(&b':') && !line.starts_with(b"-") => {}
            Some(_) => return Err(Error::Header.into()),
        }
    }
    let mut base64 = Vec::new();
    let mut checksum = None;
    loop {
        let before = rest;
        let line = next(&mut rest);
        match line {
            Some(line) if line == end.as_bytes() => break,
            Some(b"") if checksum.is_some() => {}
            // The checksum ends the block for gpg, whatever the last line is.
            _ if checksum.is_some() => {
                rest = before;
                break;
            }
            None => return Err(Error::End(end).into()),
            Some([b'=', sum @ ..]) if sum.len() == 4 => checksum = Some(sum),
            Some(line) => base64.extend(line.iter().filter(|b| !b.is_ascii_whitespace())),
        }
    }
    let bytes = BASE64.decode(&base64).map_err(|_| Error::Base64)?;
    let sum = BASE64.encode(&crate::armor::crc24(&bytes));
    if checksum.is_some_and(|given| given != sum.as_bytes()) {
        return Err(Error::Checksum.into());
    }
    Ok((bytes, rest))
}

/// Cuts off the next line, without what blanks are at its end.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = *rest;
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|b| *b == b'\n');
    *rest = &text[end.map_or(text.len(), |at| at + 1)..];
    Some(text[..end.unwrap_or(text.len())].trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_gpg_reads_armour() {
        let text = crate::armor::encode(b"some bytes", "SIGNATURE");
        let sum = text.lines().find(|l| l.starts_with('=')).unwrap();
        for good in [
            text.clone(),
            text.replace('\n', "\r\n"),
            text.replace('\n', " \t\n"),
            text.replacen("\n\n", "\nVersion: x\nComment:\n\n", 1),
            text.replace(&format!("{sum}\n"), ""),
            text.trim_end().to_owned(),
        ] {
            let (bytes, rest) = dearmor(good.as_bytes(), BEGINS[0]).unwrap();
            assert_eq!((&bytes[..], rest), (&b"some bytes"[..], &b""[..]), "{good}");
        }
        let longer = format!("{text}more");
        let (_, rest) = dearmor(longer.as_bytes(), BEGINS[0]).unwrap();
        assert_eq!(rest, b"more");
        for bad in [
            format!("\n{text}"),
            text.replace("-----END", "-----BEGIN").replace(sum, ""),
            text.replace("\n=", "\n=A"),
            text.replacen("c29", "c28", 1),
            text.replacen("c29", "c!9", 1),
            text.replace("\n\n", "\n"),
        ] {
            assert!(dearmor(bad.as_bytes(), BEGINS[0]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_total(bytes: Vec<u8>) {
            let _ = Detached::parse(&bytes);
            let _ = Detached::parse(&[BEGINS[0].as_bytes(), b"\n\n", &bytes].concat());
        }
    }
}
