//! What a connection lets out: as much as its congestion window in a round
//! trip, which doubles from ten segments on and shrinks in silence (RFC 5681,
//! RFC 6928, and what Linux does by default).
//!
//! The core sees no windows, but it sees bytes being taken and knows the round
//! trip. On long lines that is enough to tell a connection that waits for
//! answers from one that fills the uplink, and to feed another meanwhile.

use std::time::Duration;

/// Bytes that go out before the first answer: ten segments.
pub(super) const WINDOW: f64 = 14_480.0;

/// Silence after which the window is halved.
const QUIET: Duration = Duration::from_millis(200);

/// The share of a window that must have been used for it to grow.
const USED: f64 = 0.9;

/// A model of one connection's window.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    window: f64,
    /// Bytes that went out in this round trip.
    used: f64,
    /// Bytes that were taken and wait for the next.
    held: f64,
    /// When the round trip ends.
    round: Duration,
    last: Duration,
}

impl Ramp {
    /// Notes that the driver got rid of bytes, on a line of this round trip.
    pub(super) fn sent(&mut self, now: Duration, bytes: usize, trip: Duration) {
        if trip.is_zero() {
            return;
        }
        let mut silence = now.saturating_sub(self.last.max(self.round));
        while silence > QUIET && self.window > WINDOW {
            self.window /= 2.0;
            silence -= QUIET;
        }
        self.window = self.window.max(WINDOW);
        if now >= self.round {
            if self.used >= USED * self.window {
                self.window *= 2.0;
            }
            if now >= self.round + trip {
                // What waited went out while nobody looked.
                self.held = 0.0;
            }
            self.used = 0.0;
            self.round = now + trip;
        }
        self.last = now;
        let all = self.held + bytes as f64;
        let out = all.min(self.window - self.used).max(0.0);
        self.used += out;
        self.held = all - out;
    }

    /// Tells whether the window has grown and was not lost to silence since.
    pub(super) fn is_warm(&self, now: Duration) -> bool {
        let silence = now.saturating_sub(self.last.max(self.round));
        let halved = (silence.as_millis() / QUIET.as_millis()).min(64) as i32;
        self.window * 0.5_f64.powi(halved) >= 2.0 * WINDOW
    }

    /// Returns how many bytes were taken that wait for answers to others.
    pub(super) fn held(&self, now: Duration) -> usize {
        match now < self.round {
            true => self.held as usize,
            false => 0,
        }
    }

    /// Tells whether the connection waits for answers.
    pub(super) fn is_spent(&self, now: Duration) -> bool {
        now < self.round && self.held > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Duration = Duration::from_millis(50);

    #[test]
    fn a_cold_connection_waits_after_ten_segments_and_a_warm_one_does_not() {
        let mut ramp = Ramp::default();
        let mut now = Duration::from_secs(3);
        ramp.sent(now, 14_000, TRIP);
        assert!(!ramp.is_spent(now));
        let mut rounds = 0;
        ramp.sent(now, 20_000, TRIP);
        while ramp.is_spent(now) {
            now += TRIP;
            assert!(!ramp.is_spent(now), "the answers have come");
            ramp.sent(now, 60_000, TRIP);
            rounds += 1;
        }
        assert!((3..8).contains(&rounds), "{rounds} rounds");
        assert!(ramp.is_warm(now));
        now += 20 * QUIET;
        assert!(!ramp.is_warm(now), "it went cold");
        ramp.sent(now, 60_000, TRIP);
        assert!(ramp.is_spent(now));
    }

    #[test]
    fn without_a_round_trip_nothing_is_known() {
        let mut ramp = Ramp::default();
        ramp.sent(TRIP, 1 << 20, Duration::ZERO);
        assert!(!ramp.is_spent(TRIP));
    }
}
