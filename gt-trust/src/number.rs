//! Numbers that have a meaning, so that no two of them are mixed up.

use std::fmt;
use std::ops::{Add, Sub};

/// Which charter a statement stands on: 0 for the one that founds the
/// repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Where in its epoch a statement stands; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Returns the number after this one; none after the greatest that the
    /// grammar can write.
    pub fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) if next < u64::MAX => Some(Self(next)),
            _ => None,
        }
    }
}

/// A moment: seconds since 1970-01-01 00:00 UTC, leap seconds left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A span of time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u64);

impl Seconds {
    /// Returns so many days.
    pub const fn days(days: u64) -> Self {
        Self(days.saturating_mul(86_400))
    }
}

impl Add<Seconds> for Time {
    type Output = Self;

    fn add(self, span: Seconds) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Seconds;

    fn sub(self, earlier: Self) -> Seconds {
        Seconds(self.0.saturating_sub(earlier.0))
    }
}

macro_rules! shown_as_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

shown_as_number!(Epoch, Sequence, Time, Seconds);
