//! How often peers come.

use std::time::Duration;

/// How often peers are told to announce.
///
/// A swarm of few peers is told to come often, because each newcomer matters
/// to it and it costs the tracker little; a large one seldom. The interval of
/// a swarm is such that it sends at most [`per_swarm`](Self::per_swarm)
/// announces a second and all swarms together
/// [`in_all`](Self::in_all), within the two bounds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pace {
    /// The shortest interval.
    pub least: Duration,
    /// The longest interval.
    pub most: Duration,
    /// Announces a second that one swarm may cost.
    pub per_swarm: u32,
    /// Announces a second that all swarms may cost.
    pub in_all: u32,
    /// The least time that a peer is remembered after an announce, because
    /// many clients do not come more often than they like, whatever they are
    /// told.
    pub remember: Duration,
}

impl Default for Pace {
    /// 15 s up to 15 peers, a minute with 60, half an hour from 1,800 on;
    /// 500 announces a second in all; 10 minutes of memory.
    fn default() -> Self {
        Self {
            least: Duration::from_secs(15),
            most: Duration::from_secs(30 * 60),
            per_swarm: 1,
            in_all: 500,
            remember: Duration::from_secs(10 * 60),
        }
    }
}

impl Pace {
    /// Returns when a peer of a swarm of `size` comes again, where the
    /// registry holds `all` peers.
    pub(super) fn interval(&self, size: usize, all: usize) -> Duration {
        let seconds = |peers: usize, rate: u32| peers as u64 / u64::from(rate.max(1));
        let wanted = seconds(size, self.per_swarm).max(seconds(all, self.in_all));
        // Not `clamp`, which panics where a caller set the bounds crosswise.
        Duration::from_secs(wanted).min(self.most).max(self.least)
    }

    pub(super) fn min_interval(&self, size: usize, all: usize) -> Duration {
        (self.interval(size, all) / 2).max(self.least)
    }

    /// Two announces may be lost before a peer is forgotten.
    pub(super) fn lifetime(&self, size: usize, all: usize) -> Duration {
        (self.interval(size, all) * 3).max(self.remember)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_the_swarm_and_with_the_load() {
        let pace = Pace::default();
        let seconds = |size, all| pace.interval(size, all).as_secs();
        assert_eq!(seconds(1, 1), 15);
        assert_eq!(seconds(60, 60), 60);
        assert_eq!(seconds(100_000, 100_000), 1800);
        assert_eq!(seconds(3, 100_000), 200);
        assert_eq!(pace.min_interval(60, 60).as_secs(), 30);
        assert_eq!(pace.min_interval(1, 1), pace.least);
        assert_eq!(pace.lifetime(1, 1).as_secs(), 600);
        assert_eq!(pace.lifetime(900, 900).as_secs(), 2700);
    }
}
