//! The contents of `have` and `want`: fixed forms, one byte of version first.
//!
//! ```text
//! have   1 ‖ rid (32) ‖ mark (48)
//! want   1 ‖ rid (32) ‖ 0                nothing held
//!        1 ‖ rid (32) ‖ 1 ‖ mark (48)    this statement held
//! mark   epoch (8) ‖ sequence (8) ‖ identity (32), numbers big-endian
//! ```
//!
//! Fixed and not a dictionary: there is nothing in it that could be left out,
//! repeated or put in another order, so there is nothing to check.

use crate::mark::{Mark, Watermark};
use crate::number::{Epoch, Sequence};
use crate::rid::{Identity, Rid};

const VERSION: u8 = 1;
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
        let (rid, rest) = open(bytes)?;
        let mark = read_mark(rest).ok_or(HeadError::Length(bytes.len()))?;
        Ok(Self { rid, mark })
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
}

impl Want {
    /// Returns the message.
    pub fn new(rid: Rid, held: Option<Mark>) -> Self {
        Self { rid, held }
    }

    /// Writes it: 34 or 82 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
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
        let (rid, rest) = open(bytes)?;
        let held = match rest.split_first() {
            Some((0, [])) => None,
            Some((1, mark)) => Some(read_mark(mark).ok_or(wrong)?),
            _ => return Err(wrong),
        };
        Ok(Self { rid, held })
    }
}

fn open(bytes: &[u8]) -> Result<(Rid, &[u8]), HeadError> {
    let wrong = HeadError::Length(bytes.len());
    let (version, rest) = bytes.split_first().ok_or(wrong.clone())?;
    if *version != VERSION {
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
        }

        #[test]
        fn parsing_is_total(bytes: Vec<u8>) {
            if let Ok(want) = Want::parse(&bytes) {
                prop_assert_eq!(want.to_bytes(), bytes.clone());
            }
            if let Ok(have) = Have::parse(&bytes) {
                prop_assert_eq!(have.to_bytes(), bytes);
            }
        }
    }
}
