//! ASCII armour (RFC 9580 section 6), exactly one block and nothing round it.
//!
//! Readers that search for a block take the one that pleases the attacker;
//! this one takes the whole text or refuses it.

use data_encoding::{BASE64, BASE64_NOPAD};

/// Reads a text that is one armoured block with this label.
///
/// Header lines are skipped, the checksum is checked where it stands.
pub(crate) fn decode(text: &[u8], label: &str) -> Result<Vec<u8>, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::Text)?;
    if text.contains('\r') || !text.ends_with('\n') {
        return Err(Error::LineEnd);
    }
    let mut lines = text.lines();
    if lines.next() != Some(&begin(label)) {
        return Err(Error::Begin(begin(label)));
    }
    for header in lines.by_ref() {
        if header.is_empty() {
            break;
        }
        if !header.contains(": ") || header.starts_with('-') {
            return Err(Error::Header);
        }
    }
    let mut base64 = String::new();
    let mut checksum = None;
    let end = end(label);
    loop {
        let line = lines.next().ok_or_else(|| Error::End(end.clone()))?;
        if line == end {
            break;
        }
        if checksum.is_some() {
            return Err(Error::Base64);
        }
        match line.strip_prefix('=') {
            Some(sum) => checksum = Some(sum),
            None if (1..=76).contains(&line.len()) => base64.push_str(line),
            None => return Err(Error::Base64),
        }
    }
    if lines.next().is_some() {
        return Err(Error::Trailing);
    }
    let bytes = BASE64
        .decode(base64.as_bytes())
        .map_err(|_| Error::Base64)?;
    match checksum {
        Some(sum) if BASE64_NOPAD.encode(&crc24(&bytes)) != sum => Err(Error::Checksum),
        _ => Ok(bytes),
    }
}

/// Writes an armoured block, with its checksum, which old readers want.
pub(crate) fn encode(bytes: &[u8], label: &str) -> String {
    let mut text = format!("{}\n\n", begin(label));
    for line in BASE64.encode(bytes).as_bytes().chunks(64) {
        text.extend(line.iter().map(|b| *b as char));
        text.push('\n');
    }
    let sum = BASE64_NOPAD.encode(&crc24(bytes));
    text.push_str(&format!("={sum}\n{}\n", end(label)));
    text
}

/// Returns the first line of a block.
pub(crate) fn begin(label: &str) -> String {
    format!("-----BEGIN PGP {label}-----")
}

fn end(label: &str) -> String {
    format!("-----END PGP {label}-----")
}

/// RFC 9580 section 6.1.1.
pub(crate) fn crc24(bytes: &[u8]) -> [u8; 3] {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    let [_, a, b, c] = crc.to_be_bytes();
    [a, b, c]
}

/// Why a text is not one armoured block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not text.
    #[error("expected armour in UTF-8")]
    Text,
    /// CR, or no LF at the end.
    #[error("expected armour whose lines end with one line feed")]
    LineEnd,
    /// Another first line.
    #[error("expected armour that begins with {0:?}")]
    Begin(String),
    /// A line before the empty one that is no header.
    #[error("expected header lines of the form \"Key: value\" and an empty line")]
    Header,
    /// The body.
    #[error("expected base64 in lines of 1 to 76 characters")]
    Base64,
    /// The checksum differs.
    #[error("expected the checksum of the bytes")]
    Checksum,
    /// No last line.
    #[error("expected armour that ends with {0:?}")]
    End(String),
    /// Something after the last line.
    #[error("expected nothing after the armour")]
    Trailing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LABEL: &str = "SIGNATURE";

    #[test]
    fn headers_and_checksum_may_be_there_or_not() {
        let text = encode(b"some bytes", LABEL);
        let commented = text.replacen("\n\n", "\nVersion: x\nComment: a: b\n\n", 1);
        let sum = text.lines().find(|l| l.starts_with('=')).unwrap();
        let bare = text.replace(&format!("{sum}\n"), "");
        for good in [&text, &commented, &bare] {
            assert_eq!(
                decode(good.as_bytes(), LABEL).as_deref(),
                Ok(&b"some bytes"[..])
            );
        }
    }

    #[test]
    fn malformed_is_refused() {
        let text = encode(b"some bytes", LABEL);
        for bad in [
            format!("\n{text}"),
            format!("{text}\n"),
            format!("{text}{text}"),
            format!("{text}more\n"),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            text.replace("\n\n", "\n"),
            text.replace("\n\n", "\nno header\n\n"),
            text.replace("\n=", "\n=A"),
            text.replace("SIGNATURE", "MESSAGE"),
            text.replace("-----END", "-----BEGIN"),
            text.replacen("c29", "c28", 1),
            text.replacen("c29", "c2 9", 1),
        ] {
            assert!(decode(bad.as_bytes(), LABEL).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(bytes: Vec<u8>) {
            prop_assert_eq!(decode(encode(&bytes, LABEL).as_bytes(), LABEL), Ok(bytes));
        }

        #[test]
        fn decoding_is_total(bytes: Vec<u8>) {
            let _ = decode(&bytes, LABEL);
        }
    }
}
