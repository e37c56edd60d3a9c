//! How many strangers are heard out.

use std::time::Duration;

/// Strangers that are heard out a second. Each costs a task and memory until
/// he has said what he wants, and may ask for an encrypted handshake.
const HEARD: u32 = 200;

/// How many there may be at once, after a silence: a swarm that has just
/// learnt of us.
const RUSH: u32 = 400;

/// The time that pays for one.
const EACH: Duration = Duration::from_nanos(1_000_000_000 / HEARD as u64);

/// Tells whether one more stranger is heard out now.
#[derive(Debug)]
pub(super) struct Pace {
    /// When everything that was given will have been paid for.
    paid: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            paid: Duration::ZERO,
        }
    }

    /// Takes one turn, if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let paid = self.paid.max(now) + EACH;
        let may = paid <= now + EACH * RUSH;
        if may {
            self.paid = paid;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two thousand ask each second for ten: the first rush, then the rate.
    #[test]
    fn a_flood_is_heard_at_the_rate() {
        let mut pace = Pace::new();
        let asked = (0..20_000).map(|n| Duration::from_micros(500) * n);
        let heard = asked.filter(|now| pace.take(*now)).count() as u32;
        let most = RUSH + 10 * HEARD;
        assert!((most - 1..=most).contains(&heard), "{heard}");
    }

    #[test]
    fn who_comes_now_and_then_is_heard_always() {
        let mut pace = Pace::new();
        let asked = (0..5_000).map(|n| Duration::from_millis(6) * n);
        assert!(asked.into_iter().all(|now| pace.take(now)));
    }

    /// Long silence saves up no more than one rush.
    #[test]
    fn silence_is_not_saved_up() {
        let mut pace = Pace::new();
        assert!(pace.take(Duration::ZERO));
        let late = Duration::from_secs(3600);
        let rush = (0..2 * RUSH).filter(|_| pace.take(late)).count() as u32;
        assert_eq!(rush, RUSH);
    }
}
