//! Whether files answer out of memory.

use std::time::{Duration, Instant};

use crate::digest;

/// Cores from which on other threads are faster than the loop itself.
const CORES: usize = 4;

/// What a turn of short jobs takes at most where the bytes are in memory,
/// somebody else's turn on the core among it.
const QUICK: Duration = Duration::from_millis(8);

/// How late turns are counted: a late one weighs as much as so many others.
const WEIGHT: u32 = 4;

/// The weight from which on the disk is slow.
const SLOW: u32 = 3 * WEIGHT;

/// For how long the threads do everything then.
const PAUSE: Duration = Duration::from_secs(20);

/// Remembers how long jobs took that the loop did itself.
pub(super) struct Pace {
    few_cores: bool,
    weight: u32,
    slow_until: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            few_cores: digest::cores() < CORES,
            weight: 0,
            slow_until: None,
        }
    }

    /// Tells whether the loop may do short jobs.
    pub(super) fn is_quick(&mut self) -> bool {
        if let Some(until) = self.slow_until {
            if Instant::now() < until {
                return false;
            }
            self.slow_until = None;
        }
        self.few_cores
    }

    /// Does some work and remembers how long it took.
    pub(super) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.took(began.elapsed());
        done
    }

    fn took(&mut self, time: Duration) {
        // A turn that lasted for very long counts for many.
        let late = u32::try_from(time.as_nanos() / QUICK.as_nanos()).unwrap_or(u32::MAX);
        self.weight = match late {
            0 => self.weight.saturating_sub(1),
            late => self.weight.saturating_add(late.min(SLOW) * WEIGHT),
        };
        if self.weight > SLOW {
            self.weight = 0;
            self.slow_until = Some(Instant::now() + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace {
            few_cores: true,
            ..Pace::new()
        }
    }

    #[test]
    fn one_late_turn_is_chance_and_many_are_a_disk() {
        let mut pace = pace();
        for _ in 0..100 {
            pace.took(QUICK);
            (0..WEIGHT).for_each(|_| pace.took(Duration::ZERO));
        }
        assert!(pace.is_quick());
        (0..4).for_each(|_| pace.took(QUICK));
        assert!(!pace.is_quick());
    }

    #[test]
    fn one_very_late_turn_is_enough() {
        let mut pace = pace();
        pace.took(QUICK * 20);
        assert!(!pace.is_quick());
    }
}
