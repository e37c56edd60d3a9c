//! Rates and sums.

use std::time::Duration;

use super::input::ConnId;
use crate::PeerId;

/// The time over which a rate forgets.
const MEMORY: f64 = 2.0;

/// Bytes a second, the recent ones weighing most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    amount: f64,
    at: Duration,
}

impl Rate {
    pub(super) fn add(&mut self, now: Duration, bytes: usize) {
        self.amount = self.faded(now) + bytes as f64;
        self.at = now;
    }

    /// Returns bytes a second.
    pub(super) fn value(&self, now: Duration) -> f64 {
        self.faded(now) / MEMORY
    }

    fn faded(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.amount * (-passed / MEMORY).exp()
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
    /// Pieces that it says it has.
    pub pieces: u32,
    /// Requests that it has not answered.
    pub outstanding: usize,
}
