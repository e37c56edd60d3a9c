//! Rates and sums.

use std::time::Duration;

use super::input::ConnId;
use crate::PeerId;

/// The time over which a rate forgets, in seconds.
const MEMORY: f64 = 2.0;

/// Below this age a rate is not told from a burst, in seconds.
const YOUNGEST: f64 = 0.005;

/// Bytes a second, the recent ones weighing most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    memory: f64,
    amount: f64,
    at: Duration,
    /// When the first bytes came: a young rate has less to forget.
    since: Option<Duration>,
}

impl Default for Rate {
    fn default() -> Self {
        Self::over(MEMORY)
    }
}

impl Rate {
    /// Returns a rate that forgets within so many seconds.
    pub(super) fn over(memory: f64) -> Self {
        Self {
            memory,
            amount: 0.0,
            at: Duration::ZERO,
            since: None,
        }
    }

    pub(super) fn add(&mut self, now: Duration, bytes: usize) {
        self.amount = self.faded(now) + bytes as f64;
        self.at = now;
        self.since.get_or_insert(now);
    }

    /// Returns bytes a second.
    pub(super) fn value(&self, now: Duration) -> f64 {
        self.value_over(now, YOUNGEST)
    }

    /// Returns bytes a second, of at least so many seconds: what went into
    /// buffers at first is no rate.
    pub(super) fn value_over(&self, now: Duration, least: f64) -> f64 {
        let age = now.saturating_sub(self.since.unwrap_or(now)).as_secs_f64();
        self.faded(now) / (self.memory * (1.0 - (-age.max(least) / self.memory).exp()))
    }

    fn faded(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.amount * (-passed / self.memory).exp()
    }
}

/// Figures of one connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Its name.
    pub conn: ConnId,
    /// The other end.
    pub addr: std::net::SocketAddr,
    /// The peer, once it has said.
    pub peer_id: Option<PeerId>,
    /// Its client's name.
    pub client: Option<String>,
    /// Bytes of blocks sent to it.
    pub uploaded: u64,
    /// Bytes of blocks received from it.
    pub downloaded: u64,
    /// Bytes a second received from it of late.
    pub down_rate: f64,
    /// Bytes a second sent to it of late.
    pub up_rate: f64,
    /// Whether we called it.
    pub outgoing: bool,
    /// Whether it goes over UDP (BEP 29).
    pub datagrams: bool,
    /// Whether we want something of it, and it of us.
    pub interested: (bool, bool),
    /// Pieces that it says it has.
    pub pieces: u32,
    /// Requests that it has not answered.
    pub outstanding: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_seen_early_and_forgotten() {
        let mut rate = Rate::default();
        let step = Duration::from_millis(1);
        let mut now = Duration::from_secs(9);
        for n in 0..5000 {
            now += step;
            rate.add(now, 1000);
            if n > 20 {
                let seen = rate.value(now);
                assert!((0.9e6..1.1e6).contains(&seen), "{n}: {seen}");
            }
        }
        assert!(rate.value(now + Duration::from_secs(20)) < 1000.0);
    }
}
