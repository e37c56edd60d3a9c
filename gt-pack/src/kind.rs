//! The four kinds of git objects.

use std::fmt;

/// What a git object is.
///
/// Kinds sort as a reel lays them out: commits, tags, trees, blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A moment of history.
    Commit,
    /// A name with a message, pointing at any object.
    Tag,
    /// A folder.
    Tree,
    /// The content of a file.
    Blob,
}

impl Kind {
    /// All kinds, in the order of a reel.
    pub const ALL: [Self; 4] = [Self::Commit, Self::Tag, Self::Tree, Self::Blob];

    /// Returns the word that stands in an object's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    /// Returns the kind that `name` is the word for.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }

    /// Returns the type number of a full pack entry (gitformat-pack): 1 to 4.
    pub fn pack_type(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
            Self::Tag => 4,
        }
    }

    /// Returns the kind of a full pack entry with this type number.
    pub fn from_pack_type(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.pack_type() == number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name().as_bytes()), Some(kind));
            assert_eq!(Kind::from_pack_type(kind.pack_type()), Some(kind));
        }
        assert_eq!(Kind::from_name(b"Blob"), None);
        for number in [0, 5, 6, 7] {
            assert_eq!(Kind::from_pack_type(number), None);
        }
    }
}
