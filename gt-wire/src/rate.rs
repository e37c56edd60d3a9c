//! How many bytes may go now: a token bucket that is told the time.

use std::time::Duration;

/// The least that a bucket holds: one block, so that slow rates go in whole
/// blocks and not byte by byte.
const LEAST: u64 = 16 * 1024;

/// Tokens for `rate` bytes a second, of which an eighth of a second's worth
/// may be saved up.
///
/// Over any stretch of time no more goes than the rate times that stretch and
/// what was saved up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    rate: u64,
    /// Bytes that may go, in billionths.
    tokens: u128,
    at: Duration,
}

const UNIT: u128 = 1_000_000_000;

impl Bucket {
    /// Returns a full bucket for `rate` bytes a second, at least one.
    pub fn new(rate: u64, now: Duration) -> Self {
        let rate = rate.max(1);
        let mut bucket = Self {
            rate,
            tokens: 0,
            at: now,
        };
        bucket.tokens = u128::from(bucket.burst()) * UNIT;
        bucket
    }

    /// Returns the rate in bytes a second.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Changes the rate; what was saved up stays, as far as it fits.
    pub fn set_rate(&mut self, rate: u64, now: Duration) {
        self.fill(now);
        self.rate = rate.max(1);
        self.tokens = self.tokens.min(u128::from(self.burst()) * UNIT);
    }

    /// Returns the most that may go at once, in bytes.
    pub fn burst(&self) -> u64 {
        (self.rate / 8).max(LEAST)
    }

    /// Returns how many bytes may go now.
    pub fn available(&mut self, now: Duration) -> u64 {
        self.fill(now);
        u64::try_from(self.tokens / UNIT).unwrap_or(u64::MAX)
    }

    /// Takes tokens for bytes that go; none is ever owed.
    pub fn take(&mut self, now: Duration, bytes: u64) {
        self.fill(now);
        self.tokens = self.tokens.saturating_sub(u128::from(bytes) * UNIT);
    }

    /// Gives back tokens of bytes that did not go after all.
    pub fn give_back(&mut self, bytes: u64) {
        let most = u128::from(self.burst()) * UNIT;
        self.tokens = (self.tokens + u128::from(bytes) * UNIT).min(most);
    }

    /// Returns how long it takes until `bytes` may go, or as many as may ever
    /// go at once.
    pub fn wait(&mut self, now: Duration, bytes: u64) -> Duration {
        self.fill(now);
        let wanted = u128::from(bytes.min(self.burst())) * UNIT;
        let lacks = wanted.saturating_sub(self.tokens);
        let nanos = lacks.div_ceil(u128::from(self.rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Adds what time has brought; a time before the last one brings nothing.
    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_nanos();
        self.at = self.at.max(now);
        let most = u128::from(self.burst()) * UNIT;
        let more = passed.saturating_mul(u128::from(self.rate));
        self.tokens = self.tokens.saturating_add(more).min(most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_second_gives_a_seconds_worth() {
        let mut bucket = Bucket::new(100_000, Duration::ZERO);
        assert_eq!(bucket.available(Duration::ZERO), 16_384);
        bucket.take(Duration::ZERO, 16_384);
        assert_eq!(bucket.available(Duration::ZERO), 0);
        assert_eq!(bucket.wait(Duration::ZERO, 10_000), SECOND / 10);
        assert_eq!(bucket.available(SECOND / 10), 10_000);
        // Nothing is saved up for longer than the bucket is deep.
        assert_eq!(bucket.available(SECOND * 60), 16_384);
        // A clock that goes back gives nothing twice.
        bucket.take(SECOND * 60, 16_384);
        assert_eq!(bucket.available(SECOND), 0);
        bucket.set_rate(8 << 20, SECOND * 60);
        assert_eq!(bucket.available(SECOND * 61), 1 << 20);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_never_stuck(
            rate in 1_u64..10_000_000,
            steps in proptest::collection::vec((0_u64..500_000_000, 1_u64..200_000), 1..60),
        ) {
            let mut bucket = Bucket::new(rate, Duration::ZERO);
            let (mut now, mut gone) = (Duration::ZERO, 0);
            for (nanos, want) in steps {
                now += Duration::from_nanos(nanos);
                let take = bucket.available(now).min(want);
                bucket.take(now, take);
                gone += take;
                let most = now.as_secs_f64() * rate as f64 + bucket.burst() as f64 + 1.0;
                prop_assert!(gone as f64 <= most, "{} of {}", gone, most);
                // Who waits as long as told gets what was asked for.
                let wait = bucket.wait(now, want);
                let later = bucket.clone().available(now + wait);
                prop_assert!(later >= want.min(bucket.burst()));
            }
        }
    }
}
