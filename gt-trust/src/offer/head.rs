//! The contents of `have` and `want`: fixed forms, one byte of version first.
//!
//! ```text
//! have   1 ‖ rid (32) ‖ mark (48)
//!        2 ‖ rid (32) ‖ mark (48) ‖ who (16)    seals gathered on a text
//! want   1 ‖ rid (32) ‖ 0                nothing held
//!        1 ‖ rid (32) ‖ 1 ‖ mark (48)    this statement held
//!        2 ‖ rid (32) ‖ mark (48)        this text, with all its seals
//! mark   epoch (8) ‖ sequence (8) ‖ identity (32), numbers big-endian
//! who    the first octets of the SHA-256 of who sealed it, see [`Gathered`]
//! ```
//!
//! A charter has no sequence: its mark has 0, which no statement has. In a want
//! it says that the charters up to this one are held, and no statement of its
//! epoch.
//!
//! Fixed and not a dictionary: there is nothing in it that could be left out,
//! repeated or put in another order, so there is nothing to check.

use sha2::{Digest as _, Sha256};

use crate::charter::Delegate;
use crate::mark::{Mark, Watermark};
use crate::number::{Epoch, Sequence};
use crate::rid::{Identity, Rid};

const VERSION: u8 = 1;
/// Of what is said of one text.
const OF_TEXT: u8 = 2;
const WHO: usize = 16;
const MARK: usize = 48;

/// "This is the highest statement that I hold."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Have {
    /// Of this repository.
    pub rid: Rid,
    /// Its place.
    pub mark: Mark,
}

impl Have {
    /// Returns the message.
    pub fn new(rid: Rid, mark: Mark) -> Self {
        Self { rid, mark }
    }

    /// Tells whether it is worth asking for: only what stands higher is.
    pub fn is_news(&self, held: Option<&Watermark>) -> bool {
        held.is_none_or(|held| self.mark > held.mark)
    }

    /// Writes it: 81 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.rid.as_bytes());
        write_mark(&self.mark, &mut bytes);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`HeadError`] for another version or length.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        let (rid, rest) = open(bytes, VERSION)?;
        let mark = read_mark(rest).ok_or(HeadError::Length(bytes.len()))?;
        Ok(Self { rid, mark })
    }
}

/// "These have sealed this text, as far as I know": a proposal that waits for
/// more seals, a charter, or the statement that holds.
///
/// Whoever knows of others asks for it, and both end with the seals of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gathered {
    /// Of this repository.
    pub rid: Rid,
    /// Place and identity of the text.
    pub mark: Mark,
    /// Stands for who sealed it: equal where the same people did.
    pub who: [u8; WHO],
}

impl Gathered {
    /// Returns the message. `besides` names what else goes with the text, such
    /// as evidence.
    pub fn new(rid: Rid, mark: Mark, sealed_by: &[Delegate], besides: &[String]) -> Self {
        let lines = |mut names: Vec<String>| {
            names.sort();
            names.dedup();
            names.join("\n")
        };
        let people = lines(sealed_by.iter().map(ToString::to_string).collect());
        let text = format!("{people}\n\n{}", lines(besides.to_vec()));
        let digest = Sha256::digest(text);
        let mut who = [0; WHO];
        who.copy_from_slice(&digest[..WHO]);
        Self { rid, mark, who }
    }

    /// Tells whether bytes are such a message, by their version.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.first() == Some(&OF_TEXT)
    }

    /// Writes it: 97 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![OF_TEXT];
        bytes.extend_from_slice(self.rid.as_bytes());
        write_mark(&self.mark, &mut bytes);
        bytes.extend_from_slice(&self.who);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`HeadError`] for another version or length.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        let wrong = HeadError::Length(bytes.len());
        let (rid, rest) = open(bytes, OF_TEXT)?;
        let (mark, who) = rest.split_last_chunk().ok_or(wrong.clone())?;
        let mark = read_mark(mark).ok_or(wrong)?;
        let who = *who;
        Ok(Self { rid, mark, who })
    }
}

/// "Send me your highest statement; this is the one that I hold."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Want {
    /// Of this repository.
    pub rid: Rid,
    /// What is held, so that the answer may be a delta against it.
    pub held: Option<Mark>,
    /// Not the highest statement, but this text, with all its seals.
    pub text: Option<Mark>,
}

impl Want {
    /// Returns the message.
    pub fn new(rid: Rid, held: Option<Mark>) -> Self {
        Self {
            rid,
            held,
            text: None,
        }
    }

    /// Asks for a text of which [`Gathered`] told.
    pub fn of_text(rid: Rid, text: Mark) -> Self {
        Self {
            rid,
            held: None,
            text: Some(text),
        }
    }

    /// Writes it: 34, 81 or 82 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Some(text) = &self.text {
            let mut bytes = vec![OF_TEXT];
            bytes.extend_from_slice(self.rid.as_bytes());
            write_mark(text, &mut bytes);
            return bytes;
        }
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.rid.as_bytes());
        bytes.push(self.held.is_some().into());
        if let Some(mark) = &self.held {
            write_mark(mark, &mut bytes);
        }
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`HeadError`] for another version or length.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        let wrong = HeadError::Length(bytes.len());
        if bytes.first() == Some(&OF_TEXT) {
            let (rid, rest) = open(bytes, OF_TEXT)?;
            return Ok(Self::of_text(rid, read_mark(rest).ok_or(wrong)?));
        }
        let (rid, rest) = open(bytes, VERSION)?;
        let held = match rest.split_first() {
            Some((0, [])) => None,
            Some((1, mark)) => Some(read_mark(mark).ok_or(wrong)?),
            _ => return Err(wrong),
        };
        Ok(Self::new(rid, held))
    }
}

fn open(bytes: &[u8], expected: u8) -> Result<(Rid, &[u8]), HeadError> {
    let wrong = HeadError::Length(bytes.len());
    let (version, rest) = bytes.split_first().ok_or(wrong.clone())?;
    if *version != expected {
        return Err(HeadError::Version(*version));
    }
    let (rid, rest) = rest.split_first_chunk().ok_or(wrong)?;
    Ok((Rid::from_bytes(*rid), rest))
}

fn write_mark(mark: &Mark, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&mark.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&mark.sequence.0.to_be_bytes());
    bytes.extend_from_slice(mark.identity.as_bytes());
}

fn read_mark(bytes: &[u8]) -> Option<Mark> {
    if bytes.len() != MARK {
        return None;
    }
    let (epoch, rest) = bytes.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    Some(Mark::new(
        Epoch(u64::from_be_bytes(*epoch)),
        Sequence(u64::from_be_bytes(*sequence)),
        Identity::from_bytes(rest.try_into().ok()?),
    ))
}

/// Why bytes are no `have` or `want`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// A later form.
    #[error("expected version {VERSION}, got {0}")]
    Version(u8),
    /// Too short, too long, or a flag that is none.
    #[error("expected a head of the one length, got {0} bytes")]
    Length(usize),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::number::Time;

    fn mark(sequence: u64, id: u8) -> Mark {
        Mark::new(Epoch(0), Sequence(sequence), Identity::from_bytes([id; 32]))
    }

    #[test]
    fn known_bytes() {
        let rid = Rid::from_bytes([0xaa; 32]);
        let have = Have::new(rid, mark(7, 0xbb)).to_bytes();
        let expected = [
            &[1][..],
            &[0xaa; 32],
            &[0; 8],
            &[0, 0, 0, 0, 0, 0, 0, 7],
            &[0xbb; 32],
        ]
        .concat();
        assert_eq!(have, expected);
        let want = Want::new(rid, None).to_bytes();
        assert_eq!(want, [&[1][..], &[0xaa; 32], &[0]].concat());
    }

    /// Who sealed it, in whatever order and however often it was said.
    #[test]
    fn the_same_people_are_the_same_words() {
        let rid = Rid::from_bytes([0xaa; 32]);
        let who = |names: &[&str], besides: &[&str]| {
            let people: Vec<Delegate> = names.iter().map(|n| n.parse().unwrap()).collect();
            let besides: Vec<String> = besides.iter().map(|s| s.to_string()).collect();
            Gathered::new(rid, mark(7, 1), &people, &besides).who
        };
        let (ann, bob) = (
            format!("openpgp:{}", "a".repeat(40)),
            format!("openpgp:{}", "b".repeat(40)),
        );
        let (ann, bob) = (ann.as_str(), bob.as_str());
        assert_eq!(who(&[ann, bob], &[]), who(&[bob, ann, bob], &[]));
        assert_ne!(who(&[ann, bob], &[]), who(&[ann], &[]));
        assert_ne!(who(&[ann], &["x"]), who(&[ann], &[]));
        let said = Gathered::new(rid, mark(7, 0xbb), &[], &[]).to_bytes();
        assert_eq!((said[0], said.len()), (2, 97));
        assert!(Gathered::is_one(&said) && Have::parse(&said).is_err());
        assert_eq!(Want::of_text(rid, mark(7, 0xbb)).to_bytes(), said[..81]);
    }

    #[test]
    fn only_what_is_higher_is_news() {
        let held = Watermark::new(mark(7, 5), Time(0));
        let news = |mark| Have::new(Rid::from_bytes([1; 32]), mark).is_news(Some(&held));
        assert!(news(mark(8, 9)));
        assert!(news(mark(7, 4)));
        assert!(!news(mark(7, 5)));
        assert!(!news(mark(7, 6)));
        assert!(!news(mark(6, 0)));
    }

    proptest! {
        #[test]
        fn round_trips(rid: [u8; 32], epoch: u64, sequence: u64, id: [u8; 32], held: bool) {
            let rid = Rid::from_bytes(rid);
            let mark = Mark::new(Epoch(epoch), Sequence(sequence), Identity::from_bytes(id));
            let have = Have::new(rid, mark);
            prop_assert_eq!(Have::parse(&have.to_bytes()), Ok(have));
            let want = Want::new(rid, held.then_some(mark));
            prop_assert_eq!(Want::parse(&want.to_bytes()), Ok(want));
            let of_text = Want::of_text(rid, mark);
            prop_assert_eq!(Want::parse(&of_text.to_bytes()), Ok(of_text));
            let gathered = Gathered::new(rid, mark, &[], &[]);
            prop_assert_eq!(Gathered::parse(&gathered.to_bytes()), Ok(gathered));
        }

        #[test]
        fn parsing_is_total(bytes: Vec<u8>) {
            if let Ok(want) = Want::parse(&bytes) {
                prop_assert_eq!(want.to_bytes(), bytes.clone());
            }
            if let Ok(gathered) = Gathered::parse(&bytes) {
                prop_assert_eq!(gathered.to_bytes(), bytes.clone());
            }
            if let Ok(have) = Have::parse(&bytes) {
                prop_assert_eq!(have.to_bytes(), bytes);
            }
        }
    }
}
