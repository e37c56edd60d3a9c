//! Ceilings for bytes from strangers, on unless somebody lifts them.

use std::time::Duration;

/// What one pack may cost. [`Limits::default`] holds for packs from anybody;
/// [`Limits::lifted`] for packs of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Objects in one pack. An entry in the table costs some forty bytes, so
    /// this is also a ceiling of memory: the largest public repositories
    /// hold some twenty million objects.
    pub objects: u32,
    /// Inflated bytes of one object, a delta counted as an object too. A base
    /// and its result lie in memory together; larger files are rare, and hosts
    /// refuse files of a tenth of it.
    pub object: u64,
    /// Inflated bytes of all objects together for each byte of the pack.
    /// Honest packs with long delta chains stay below 200; deflate alone
    /// reaches 1,032, and deltas of deltas have no bound at all.
    pub ratio: u64,
    /// Inflated bytes in all that are let through whatever the ratio says:
    /// a push of one line to a large file is a tiny pack.
    pub ratio_floor: u64,
    /// Deltas between an object and the whole object that it is built from.
    /// Git's own packs stop at 50 to 250 (4,095 at most); nothing here
    /// recurses, so the ceiling only bounds the time that one read may take.
    pub depth: u32,
    /// Inflated bytes of bases that wait for the rest of their deltas while
    /// a pack is resolved. Deltas by offset hold a few objects at a time; only
    /// a pack that was made for it comes near.
    pub waiting: u64,
    /// How long nothing may come of a pack that is on its way, where a
    /// [`Patient`](crate::idle::Patient) reader watches. `git pack-objects`
    /// searches for deltas before it writes the first byte, for minutes in a
    /// large repository; who is silent for longer holds a file and a thread.
    pub idle: Duration,
    /// Bytes a second that a pack on its way comes with at least, over any
    /// stretch of twice [`idle`](Self::idle), where a
    /// [`Patient`](crate::idle::Patient) reader watches; else a byte now and
    /// then holds a file and a thread for ever. 500 is what Apache's
    /// `mod_reqtimeout` asks of a request's body; a modem of 1990 gives more.
    pub pace: u64,
}

impl Limits {
    /// Returns limits that refuse nothing but what cannot be represented.
    pub fn lifted() -> Self {
        Self {
            objects: u32::MAX,
            object: u64::MAX,
            ratio: u64::MAX,
            ratio_floor: u64::MAX,
            depth: u32::MAX,
            waiting: u64::MAX,
            idle: Duration::MAX,
            pace: 0,
        }
    }

    /// Returns how many inflated bytes deltas on one base outside of the pack
    /// may make, beside [`inflated`](Self::inflated): the base was paid for
    /// when it came, and one line in a file of 100 MiB is a tiny pack.
    pub fn on_base(size: u64) -> u64 {
        size.saturating_mul(32)
    }

    /// Returns how many inflated bytes a pack of `length` bytes may have.
    pub fn inflated(&self, length: u64) -> u64 {
        self.ratio_floor.max(self.ratio.saturating_mul(length))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            objects: 50_000_000,
            object: 2 << 30,
            ratio: 512,
            ratio_floor: 64 << 20,
            depth: 200_000,
            waiting: 2 << 30,
            idle: Duration::from_secs(600),
            pace: 500,
        }
    }
}

/// A ceiling that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exceeded {
    /// See [`Limits::objects`].
    #[error("expected at most {limit} objects, got {got}")]
    Objects {
        /// The ceiling.
        limit: u32,
        /// What the pack says.
        got: u32,
    },
    /// See [`Limits::object`].
    #[error("expected objects of at most {limit} bytes, got one of {got} at offset {offset}")]
    Object {
        /// The ceiling.
        limit: u64,
        /// What the entry says.
        got: u64,
        /// Where the entry begins in the pack.
        offset: u64,
    },
    /// See [`Limits::ratio`] and [`Limits::ratio_floor`].
    #[error("expected at most {limit} inflated bytes for the length of the pack, got {got}")]
    Inflated {
        /// The ceiling.
        limit: u64,
        /// Where counting stopped.
        got: u64,
    },
    /// See [`Limits::depth`].
    #[error("expected delta chains of at most {limit}, got {got}")]
    Depth {
        /// The ceiling.
        limit: u32,
        /// Where counting stopped.
        got: u32,
    },
    /// See [`Limits::waiting`].
    #[error("expected at most {limit} bytes of waiting bases, got {got}")]
    Waiting {
        /// The ceiling.
        limit: u64,
        /// Where counting stopped.
        got: u64,
    },
    /// See [`Limits::idle`].
    #[error(
        "expected more bytes within {} seconds, got none for {} seconds after byte {after}",
        limit.as_secs(),
        got.as_secs()
    )]
    Idle {
        /// The ceiling.
        limit: Duration,
        /// How long nothing came.
        got: Duration,
        /// How many bytes had come before.
        after: u64,
    },
    /// See [`Limits::pace`].
    #[error(
        "expected at least {limit} bytes a second, got {got} bytes in {} seconds after byte {after}",
        within.as_secs()
    )]
    Pace {
        /// The floor, in bytes a second.
        limit: u64,
        /// How many bytes came.
        got: u64,
        /// In which time.
        within: Duration,
        /// How many bytes had come before.
        after: u64,
    },
}
