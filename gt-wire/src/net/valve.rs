//! Rate limits of sockets: one valve for the node, one for each torrent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::rate::Bucket;

/// A limit that may change, and that costs nothing while there is none.
#[derive(Debug)]
pub(super) struct Valve {
    /// Bytes a second; 0 for no limit.
    rate: AtomicU64,
    bucket: Mutex<Bucket>,
    started: Instant,
}

impl Valve {
    pub(super) fn new(rate: Option<u64>, started: Instant) -> Arc<Self> {
        let now = started.elapsed();
        Arc::new(Self {
            rate: AtomicU64::new(rate.map_or(0, |rate| rate.max(1))),
            bucket: Mutex::new(Bucket::new(rate.unwrap_or(1), now)),
            started,
        })
    }

    /// Changes the limit.
    pub(super) fn set(&self, rate: Option<u64>) {
        let rate = rate.map_or(0, |rate| rate.max(1));
        if rate > 0 {
            let now = self.started.elapsed();
            self.with(|bucket| bucket.set_rate(rate, now));
        }
        self.rate.store(rate, Ordering::Relaxed);
    }

    fn is_open(&self) -> bool {
        self.rate.load(Ordering::Relaxed) == 0
    }

    fn with<T>(&self, work: impl FnOnce(&mut Bucket) -> T) -> T {
        // A bucket is whole after every call.
        work(&mut self.bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The valves that bytes of one connection pass in one direction.
#[derive(Clone, Debug)]
pub(super) struct Valves(pub(super) [Arc<Valve>; 2]);

/// What goes at once through a valve, so that connections take turns.
const TURN: u64 = 16 * 1024;

impl Valves {
    /// Waits until bytes may go; returns how many of `want`.
    pub(super) async fn pass(&self, want: usize) -> usize {
        loop {
            match self.grant(want as u64) {
                Ok(granted) => return granted as usize,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Waits until all of `bytes` may go, or may have come.
    pub(super) async fn spend(&self, mut bytes: usize) {
        while bytes > 0 {
            bytes -= self.pass(bytes).await;
        }
    }

    /// Gives back what was granted and did not go.
    pub(super) fn unused(&self, granted: usize, used: usize) {
        let back = granted.saturating_sub(used) as u64;
        for valve in self.0.iter().filter(|v| back > 0 && !v.is_open()) {
            valve.with(|bucket| bucket.give_back(back));
        }
    }

    /// Takes from every valve, or tells how long to wait for a turn.
    fn grant(&self, want: u64) -> Result<u64, Duration> {
        if self.0.iter().all(|valve| valve.is_open()) {
            return Ok(want);
        }
        let (mut granted, mut wait) = (want, Duration::ZERO);
        for valve in self.0.iter().filter(|valve| !valve.is_open()) {
            let now = valve.started.elapsed();
            let turn = want.min(TURN);
            valve.with(|bucket| {
                granted = granted.min(bucket.available(now));
                wait = wait.max(bucket.wait(now, turn));
            });
        }
        if granted == 0 || !wait.is_zero() {
            // A timer that is too short would spin.
            return Err(wait.max(Duration::from_millis(1)));
        }
        for valve in self.0.iter().filter(|valve| !valve.is_open()) {
            let now = valve.started.elapsed();
            valve.with(|bucket| bucket.take(now, granted));
        }
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_narrower_valve_counts() {
        let started = Instant::now();
        let narrow = Valve::new(Some(512 * 1024), started);
        let valves = Valves([Valve::new(Some(8 << 20), started), narrow.clone()]);
        let mut gone = 0;
        while gone < 192 * 1024 {
            let granted = valves.pass(64 * 1024).await;
            // What did not go can go later.
            valves.unused(granted, granted / 2);
            gone += granted / 2;
        }
        // 64 KiB were saved up.
        let took = started.elapsed().as_secs_f64();
        assert!((0.24..2.0).contains(&took), "{took}");
        narrow.set(None);
        assert!(valves.pass(1 << 30).await > 64 * 1024);
        valves.0[0].set(None);
        assert_eq!(valves.pass(1 << 30).await, 1 << 30);
    }
}
