//! What the downlink takes. Givers do not know of each other; the taker alone
//! sees all that it asked for, and passes turns while that is more than comes
//! in before long. So its givers turn to others at once, and neither blocks nor
//! words wait in a long queue before it.
//!
//! How much the downlink takes is how fast blocks came in at best. Where they
//! never came as fast as they could, too much is asked for at worst.

use std::time::Duration;

use gt_vfs::content::BLOCK;

use super::Swarm;
use super::link::Link;
use super::pieces::Partial;
use super::stats::Rate;

/// The time over which rates are taken, in seconds.
const MEMORY: f64 = 0.1;

/// For how long what was asked for may come in, beside round trips (downlinks
/// as uplinks, 5 ms, two seeds, 100 peers: 0.803; 0.779 with 0.15 s, 0.815 with
/// 0.1 s; 8 peers: 0.938, 0.938 and 0.921). It needs more turns at the givers:
/// without them a bound of 0.05 s makes it 0.71, and 8 peers 0.69.
const AHEAD: f64 = 0.12;

/// How many round trips that are.
const TRIPS: f64 = 3.0;

/// So many turns are taken however little comes in.
const TURNS: u64 = 4;

/// A rate that grows is not the best one yet.
const GROWTH: f64 = 1.05;

/// How long after it grew it is.
const STEADY: Duration = Duration::from_secs(1);

/// The share of the best rate from which on the downlink is busy. Where less
/// comes in, the givers are slow.
const BUSY: f64 = 0.6;

/// What a best rate loses in a second: lines change.
const FADING: f64 = 0.98;

/// How fast blocks come in.
#[derive(Debug)]
pub(super) struct Intake {
    rate: Rate,
    best: f64,
    /// When the first block came.
    began: Option<Duration>,
    grew: Duration,
    faded: Duration,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            rate: Rate::over(MEMORY),
            best: 0.0,
            began: None,
            grew: Duration::ZERO,
            faded: Duration::ZERO,
        }
    }
}

impl Intake {
    /// Notes bytes of a block that came.
    pub(super) fn add(&mut self, now: Duration, bytes: usize) {
        self.rate.add(now, bytes);
        let began = *self.began.get_or_insert(now);
        if now < began + STEADY {
            // The first blocks seem to be a burst.
            self.grew = now;
        }
        if now.saturating_sub(began).as_secs_f64() < MEMORY {
            return;
        }
        let seconds = now.saturating_sub(self.faded).as_secs();
        self.faded += Duration::from_secs(seconds);
        self.best *= FADING.powi(seconds.min(1000) as i32);
        let rate = self.rate.value(now);
        if rate > GROWTH * self.best {
            self.grew = now;
        }
        self.best = self.best.max(rate);
    }

    /// Returns how many bytes come in within a time, where the downlink is busy
    /// and it is known how much it takes.
    fn within(&self, now: Duration, seconds: f64) -> Option<f64> {
        let known = self.grew + STEADY <= now && self.rate.value(now) >= BUSY * self.best;
        known.then_some(self.best * seconds)
    }
}

impl Link {
    /// Returns how many blocks were asked of it that it has: others come when
    /// they have come to it.
    fn owes(&self) -> usize {
        if self.soon.is_empty() {
            return self.asks.len();
        }
        let here = |piece| !self.soon.contains(piece) || self.peer.have().has(piece.0);
        self.asks.keys().filter(|block| here(&block.piece)).count()
    }
}

impl Swarm {
    /// Tells whether as much was asked for as the downlink takes.
    pub(super) fn is_sated(&self) -> bool {
        let trips = TRIPS * self.turns.delay().as_secs_f64();
        let Some(room) = self.intake.within(self.now, AHEAD + trips) else {
            return false;
        };
        let least = TURNS * u64::from(self.turn_length());
        let room = room.max(least as f64);
        // Two are asked for one block at most, but for a moment after a piece came
        // out wrong. Mostly that is little, and known without a look at every
        // connection.
        let lacking = |partial: &Partial| partial.missing().saturating_sub(partial.free()) as usize;
        let torrent = self.torrent.as_ref();
        let lacking: usize = torrent.map_or(0, |t| t.partials.values().map(lacking).sum());
        if ((2 * BLOCK * lacking) as f64) < room {
            return false;
        }
        let asked = BLOCK * self.links.values().map(Link::owes).sum::<usize>();
        asked as f64 >= room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(4);

    /// Lets blocks come in for some seconds, so many every 4 ms.
    fn flow(intake: &mut Intake, now: &mut Duration, seconds: u32, blocks: usize) {
        for _ in 0..seconds * 250 {
            *now += TICK;
            intake.add(*now, blocks * BLOCK);
        }
    }

    #[test]
    fn a_downlink_is_full_once_it_gives_no_more() {
        let (mut intake, mut now) = (Intake::default(), Duration::from_secs(9));
        let pace = BLOCK as f64 / TICK.as_secs_f64();
        intake.add(now, BLOCK);
        assert_eq!(intake.within(now, 1.0), None, "it may give more");
        flow(&mut intake, &mut now, 1, 2);
        assert_eq!(intake.within(now, 1.0), None, "it still may");
        flow(&mut intake, &mut now, 4, 2);
        let room = intake.within(now, 1.0).expect("it gives no more");
        assert!((1.9 * pace..2.6 * pace).contains(&room), "{room}");
        flow(&mut intake, &mut now, 1, 1);
        assert_eq!(intake.within(now, 1.0), None, "the givers are slow");
        flow(&mut intake, &mut now, 1, 5);
        assert_eq!(intake.within(now, 1.0), None, "it gives more");
        flow(&mut intake, &mut now, 2, 5);
        assert!(intake.within(now, 1.0).is_some());
        // A line that became narrower is known for that after a while.
        flow(&mut intake, &mut now, 60, 2);
        let room = intake.within(now, 1.0).expect("it gives no more");
        assert!(room < 3.0 * pace, "{room}");
    }
}
