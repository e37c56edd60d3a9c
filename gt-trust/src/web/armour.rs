//! Armoured keyrings: any number of blocks, with anything round them.
//!
//! A seal is one block and nothing else, because what it says depends on what
//! is read. A keyring says nothing by itself: each signature in it is
//! verified, so it is read as people pass it on, with mail headers before it
//! and the line ends of any system.

use data_encoding::{BASE64, BASE64_NOPAD};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Tells whether bytes look like armour: no packet begins with such an octet.
pub(super) fn is_armoured(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|b| b & 0x80 == 0)
}

/// Returns the bytes of every block whose base64 can be read, and how many
/// blocks could not.
pub(super) fn decode(text: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut blocks = Vec::new();
    let mut unreadable = 0;
    let mut lines = text.split(|b| *b == b'\n').map(trim);
    while lines.by_ref().any(|line| line == BEGIN.as_bytes()) {
        match block(&mut lines) {
            Some(bytes) => blocks.push(bytes),
            None => unreadable += 1,
        }
    }
    (blocks, unreadable)
}

fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

fn block<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut base64 = Vec::new();
    let mut sum: Option<&[u8]> = None;
    let mut in_headers = true;
    let mut whole = false;
    for line in lines {
        if line == END.as_bytes() {
            whole = true;
            break;
        }
        if in_headers {
            // Headers hold a colon, which base64 does not; some writers leave
            // out the empty line.
            in_headers = !line.is_empty() && line.contains(&b':');
            if in_headers || line.is_empty() {
                continue;
            }
        }
        match line.strip_prefix(b"=") {
            Some(found) if found.len() == 4 => sum = Some(found),
            _ => base64.extend_from_slice(line),
        }
    }
    if !whole {
        return None;
    }
    let bytes = BASE64.decode(&base64).ok()?;
    match sum {
        Some(sum) if BASE64_NOPAD.encode(&crate::armor::crc24(&bytes)).as_bytes() != sum => None,
        _ => Some(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::armor;

    const LABEL: &str = "PUBLIC KEY BLOCK";

    #[test]
    fn blocks_are_found_among_other_text() {
        let one = armor::encode(b"one", LABEL);
        let two = armor::encode(b"another", LABEL).replacen("\n\n", "\nComment: x\n\n", 1);
        let text = format!("From: me\n\n{one}\nand\n{two}bye").replace('\n', "\r\n");
        let (blocks, unreadable) = decode(text.as_bytes());
        assert_eq!(blocks, [b"one".to_vec(), b"another".to_vec()]);
        assert_eq!(unreadable, 0);
    }

    #[test]
    fn a_broken_block_costs_itself() {
        let bad = armor::encode(b"one", LABEL).replacen("b25l", "b25m", 1);
        let text = bad.clone() + &armor::encode(b"two", LABEL);
        assert_eq!(decode(text.as_bytes()), (vec![b"two".to_vec()], 1));
        let cut = armor::encode(b"one", LABEL).replace("-----END", "-----");
        assert_eq!(decode(cut.as_bytes()), (vec![], 1));
    }

    proptest! {
        #[test]
        fn decoding_is_total(bytes: Vec<u8>, block: Vec<u8>) {
            let _ = decode(&bytes);
            let text = armor::encode(&block, LABEL);
            prop_assert_eq!(decode(text.as_bytes()), (vec![block], 0));
        }
    }
}
