//! Reel lines, and the piece length that follows from them.

use std::fmt;

use data_encoding::HEXLOWER;

use super::Error;
use crate::grammar::number;
use crate::limits;

/// One reel: the objects of the publications `first` to `last`, as one file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReelLine {
    /// The number of its first publication.
    pub first: u64,
    /// The number of its last one.
    pub last: u64,
    /// Bytes of the file.
    pub length: u64,
    /// The BEP 52 root of the file.
    pub root: [u8; 32],
    /// How to make the file from the objects, if it can be made.
    pub recipe: Option<Recipe>,
}

impl ReelLine {
    /// Returns a reel that cannot be made from the objects.
    pub fn new(first: u64, last: u64, length: u64, root: [u8; 32]) -> Self {
        Self {
            first,
            last,
            length,
            root,
            recipe: None,
        }
    }

    /// Returns the reel with a recipe.
    #[must_use]
    pub fn with_recipe(mut self, recipe: Recipe) -> Self {
        self.recipe = Some(recipe);
        self
    }

    pub(super) fn from_line(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let line = Self {
            first: number(words.next()?)?,
            last: number(words.next()?)?,
            length: number(words.next()?)?,
            root: HEXLOWER
                .decode(words.next()?.as_bytes())
                .ok()?
                .try_into()
                .ok()?,
            recipe: match words.next()? {
                "-" => None,
                name => Some(Recipe::new(name)?),
            },
        };
        words.next().is_none().then_some(line)
    }
}

impl fmt::Display for ReelLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            last,
            length,
            ..
        } = self;
        let recipe = self.recipe.as_ref().map_or("-", Recipe::as_str);
        let root = HEXLOWER.encode(&self.root);
        write!(f, "{first} {last} {length} {root} {recipe}")
    }
}

/// The name of a recipe: lower-case letters, digits, `.` and `-`, beginning
/// with a letter or digit.
///
/// Any name is well-formed: a receiver that does not know it downloads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipe(String);

impl Recipe {
    /// Returns the name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let is_name = name.len() <= limits::RECIPE_NAME
            && name.bytes().next().is_some_and(plain)
            && name.bytes().all(|b| plain(b) || matches!(b, b'.' | b'-'));
        is_name.then(|| Self(name.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the piece length of a snapshot whose reels have so many bytes
/// together: the largest power of two that is at most a 512th of them, but
/// never less than 16 KiB (a block) nor more than 1 MiB.
pub fn piece_length(total: u64) -> u64 {
    const LEAST: u64 = 16 << 10;
    const MOST: u64 = 1 << 20;
    match (total / 512).checked_ilog2() {
        Some(power) => (1 << power).clamp(LEAST, MOST),
        None => LEAST,
    }
}

/// Returns the bytes of all reels together; none if the sum has no number.
pub fn total_length(reels: &[ReelLine]) -> Option<u64> {
    reels
        .iter()
        .try_fold(0u64, |sum, reel| sum.checked_add(reel.length))
}

/// Checks that the numbers follow on each other. The first need not be 0: a
/// chain that was begun anew goes on counting.
pub(super) fn check(reels: &[ReelLine]) -> Result<(), Error> {
    let mut next = None;
    for reel in reels {
        let fits = reel.first <= reel.last
            && reel.last < u64::MAX
            && reel.length > 0
            && reel.length < u64::MAX
            && next.is_none_or(|next| next == reel.first);
        if !fits {
            return Err(Error::Reels(reel.to_string()));
        }
        next = reel.last.checked_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piece_length_at_its_edges() {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        for (total, expected) in [
            (0, 16 * KIB),
            (1, 16 * KIB),
            (8 * MIB, 16 * KIB),
            (16 * MIB - 1, 16 * KIB),
            (16 * MIB, 32 * KIB),
            (512 * MIB - 1, 512 * KIB),
            (512 * MIB, MIB),
            (u64::MAX, MIB),
        ] {
            assert_eq!(piece_length(total), expected, "{total}");
        }
    }

    #[test]
    fn names_of_recipes() {
        assert!(Recipe::new("path-1").is_some());
        for bad in ["", "-", ".a", "A", "a b", "a\n", &"a".repeat(33)] {
            assert!(Recipe::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn reels_follow_on_each_other() {
        let reel = |first, last| ReelLine::new(first, last, 1, [0; 32]);
        assert!(check(&[reel(3, 5), reel(6, 6), reel(7, 9)]).is_ok());
        assert!(check(&[]).is_ok());
        for bad in [
            vec![reel(1, 0)],
            vec![reel(0, 1), reel(1, 2)],
            vec![reel(0, 1), reel(3, 4)],
            vec![reel(1, 1), reel(0, 0)],
            vec![ReelLine::new(0, 0, 0, [0; 32])],
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }
}
