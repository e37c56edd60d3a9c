//! The header of a git bundle (gitformat-bundle): what a pack needs and what
//! it brings.
//!
//! Version 2 is read and written for SHA-1, version 3 with the capability
//! `object-format=sha256` for SHA-256. A reel's header is the canonical form:
//! no comments, prerequisites sorted by their bytes, the tip that HEAD names
//! first, the other tips sorted by name. The pack follows the header's empty
//! line at once.

mod read;
mod write;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

/// Most bytes that a header may have: a million refs with names of usual
/// length fit four times into the 16 MiB that a statement may have, and a
/// header names no more refs than a statement.
pub const MAX_HEADER: usize = 16 << 20;

/// Most prerequisites and tips that a header may name together: each costs 40
/// bytes or more in the file and about 60 in memory.
pub const MAX_LINES: usize = 1 << 18;

/// Most bytes in one line of a header: git's own limit for a ref's path
/// (4,096) and an object id, with room for the comment of a prerequisite.
pub const MAX_LINE: usize = 8 << 10;

/// The header of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// How the bundle names its objects.
    pub format: ObjectFormat,
    /// Commits that the receiver must hold before it can use the pack.
    pub prerequisites: Vec<ObjectId>,
    /// The refs that the bundle brings: full names (`refs/heads/main`) and
    /// what they point at.
    pub tips: Vec<(Vec<u8>, ObjectId)>,
}

impl Header {
    /// Reads a header from the beginning of `bytes`; returns it and its
    /// length, which is where the pack begins. `None` asks for more bytes.
    ///
    /// Comments after prerequisites are dropped.
    ///
    /// # Errors
    /// [`Error`], as soon as the bytes at hand cannot become a header, or
    /// pass a ceiling.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        read::header(bytes)
    }

    /// Reads the header of a whole bundle; returns it and where the pack
    /// begins. No more is read at once than twice what the header has.
    ///
    /// # Errors
    /// [`FromError`].
    pub fn read_from(bundle: &dyn ReadAt) -> Result<(Self, u64), FromError> {
        let mut want = 16 << 10;
        loop {
            let have = bundle.size().min(want);
            let mut bytes = vec![0; have as usize];
            bundle.read_exact_at(0, &mut bytes)?;
            match Self::read(&bytes)? {
                Some((header, length)) => return Ok((header, length as u64)),
                None if have == bundle.size() => return Err(FromError::Ends),
                // Its own ceiling ends what grows on.
                None => want *= 2,
            }
        }
    }

    /// Returns the header's bytes, the empty line included, with the lines in
    /// the order of the fields: version 2 for SHA-1, version 3 for SHA-256.
    pub fn write(&self) -> Vec<u8> {
        write::header(self)
    }

    /// Tells whether `bytes`, from which this header was read, is the form of
    /// a reel's header: what [`write`](Self::write) makes of it, the
    /// prerequisites sorted by bytes, the tips after the first sorted by name,
    /// and none of either twice.
    pub fn is_canonical(&self, bytes: &[u8]) -> bool {
        let rest = self.tips.get(1..).unwrap_or_default();
        let first = self.tips.first().map(|(name, _)| name);
        self.prerequisites.is_sorted_by(|a, b| a < b)
            && rest.is_sorted_by(|(a, _), (b, _)| a < b)
            && rest.iter().all(|(name, _)| Some(name) != first)
            && bytes.starts_with(&self.write())
    }
}

/// Why a bundle has no header that can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromError {
    /// Its bytes are none.
    #[error(transparent)]
    Header(#[from] Error),
    /// The bundle ends before its header does.
    #[error("expected the end of the bundle header, got that of the bundle")]
    Ends,
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Why bytes are no header of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first line is another one.
    #[error("expected the first line of a git bundle (version 2 or 3), got other bytes")]
    Signature,
    /// A version 3 bundle wants something that is not known here.
    #[error("expected no bundle capability but object-format, got {0:?}")]
    Capability(String),
    /// The objects are named by a hash that is not known here.
    #[error("expected object format sha1 or sha256, got {0:?}")]
    Format(String),
    /// A line is neither a prerequisite nor a tip, or stands in the wrong
    /// place.
    #[error("expected a prerequisite or a tip in line {line} of the bundle header, got {text:?}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// How it begins.
        text: String,
    },
    /// The header is longer than a ceiling allows.
    #[error("bundle header has more than {limit} {what}")]
    TooLong {
        /// What was counted.
        what: &'static str,
        /// The ceiling.
        limit: usize,
    },
}
