//! How many turns are out at a time.
//!
//! One too few leaves the uplink idle, one too many shares it. The number
//! follows from the time between a grant and its first request, the rate of the
//! uplink and the length of a piece; and from what is seen where a grant is not
//! answered in that time.

use std::time::Duration;

use gt_vfs::content::BLOCK;

use crate::swarm::Swarm;
use crate::swarm::input::ConnId;
use crate::swarm::ramp::WINDOW;
use crate::swarm::stats::Rate;

/// Turns that are out while neither rate nor delay are known.
const FIRST: usize = 4;

/// The same on a long line, which one connection that starts up does not fill:
/// seventeen fill one of 40 Mbit/s and 50 ms (N = 100, 25 ms, v1, six seeds, with a
/// stricter order of serving that was not kept: 18: 0.9274, 14: 0.9271, 10: 0.9243;
/// ten, without it and with as many hand-outs: 20: 0.9280, 24: 0.9276).
const FIRST_LONG: usize = 20;

/// From this round trip on a line is long: it is looked at whether connections
/// wait for answers, and whether the uplink is idle. On short ones one
/// connection more would only delay the first (N = 100, 5 ms: 0.940 with it,
/// 0.948 without; 25 ms: 0.73 and 0.67).
const LONG: Duration = Duration::from_millis(20);

/// Turns for each piece that is on its way in a round trip, so that others fill
/// the line while a connection that was idle starts up (U4), which makes three
/// turns for pieces of 128 and of 256 KiB at 40 Mbit/s. The study has 8. As long as
/// each connection had three blocks waiting, two turns for pieces of 256 KiB were
/// better; since it is one block at a time, three are (N = 100, a fifth rides free,
/// four seeds: 0.945 and 0.940; four turns for 128 KiB 0.960, three 0.962. Three at
/// least, for slow uplinks too: uneven 0.967 and 0.970).
const STARTING: f64 = 3.2;

/// The same on long lines, for each round trip that a piece takes by a
/// connection that starts up, and by which power they grow with what is on its
/// way. More of them fill the line at once, but each is committed for longer
/// then, and there is less that one peer has and another does not get already
/// (N = 100, v1 and v2, three seeds. 25 ms, pieces of 128 KiB, six turns: 0.924
/// and 0.929; of 256 KiB, five: 0.881 and 0.894; 50 ms, nine: 0.875 and 0.874.
/// With 0.5 and no power 0.925, 0.928; 0.877, 0.888; 0.873, 0.885. With 0.68
/// and the root 0.924, 0.926; 0.885, 0.893; 0.850, 0.829. Before pieces were
/// promised on long lines twelve turns were worse than seven). Where less waits
/// in each connection a few more are better (six seeds, v1, 25 ms, pieces of 128
/// and 256 KiB: 0.65: 0.926 and 0.889; 0.7: 0.925 and 0.892; 0.8: 0.925
/// and 0.891).
const STARTING_LONG: f64 = 0.7;
const GROWTH_LONG: f64 = 0.75;

/// The share of a round trip that cold connections together shall fill on a
/// short line (N = 100, six seeds, and uneven uplinks, four: 0.950 and 0.916;
/// 0.5: 0.951 and 0.903; 0.6: 0.950 and 0.922).
const COLD: f64 = 0.55;

/// Both where words wait for busy lines, which seem long then (N = 100,
/// downlinks as uplinks: 0.843, 0.77 with those of short lines and 0.78 with
/// those of long ones; uneven 0.922 and 0.917).
const STARTING_BUSY: f64 = 2.5;
const COLD_BUSY: f64 = 0.6;

/// The most turns that start-up of connections asks for (U4).
pub(super) const START_MOST: usize = 24;

/// The most turns at a time.
const MOST: usize = 128;

/// The time over which the rate of a long line is taken, in seconds, from the
/// first block on. Over a longer one a crowd that is only beginning is taken
/// for all that the line holds, and gets too few turns to become more (N = 100,
/// 25 ms: 0.74 without it, 0.87 with it). On short lines more turns early would
/// only share the uplink.
const PACE: f64 = 0.5;

/// Round trips below which the rate of a long line is not told from what went
/// into buffers at first, many connections' at once. It was taken for the line's
/// own otherwise, and an origin fed four times as many as fill it.
const SETTLED: f64 = 4.0;

/// How many times as long as usual a grant may be without an answer, and how
/// much longer, before the answer is late: words wait for the uplink of who
/// says them, too.
const LATE: (u32, Duration) = (3, Duration::from_millis(10));

/// No answer is late before that: on short lines it waits for what its peer
/// sends, which is no sign of a full downlink.
const LATE_LEAST: Duration = Duration::from_millis(40);

/// The share of grants whose answers must be late.
const MOST_LATE: f64 = 0.5;

/// How long turns beyond the law last while no answer is late.
const CALM: Duration = Duration::from_millis(500);

/// So many peers wait where turns are out that the uplink does not need.
const CROWDED: usize = 4;

/// Time between two looks at rate and delay.
const MEASURE: Duration = Duration::from_millis(100);

/// Turns that are out, and what their number follows from.
#[derive(Debug)]
pub(in crate::swarm) struct Turns {
    pub(super) open: usize,
    /// Whether anybody ever asked for a block: before, rates say nothing.
    asked: bool,
    /// What goes out, since then and at all, and the most of it of late.
    blocks: Rate,
    up: Rate,
    peak: f64,
    pub(super) delay: Duration,
    /// The usual time to the answer of a handshake.
    trip: Option<Duration>,
    pub(super) depth: usize,
    /// Turns beyond the law, for the sake of those whose answers are late.
    pub(super) more: usize,
    /// When they last became more or fewer.
    changed: Duration,
    measured: Duration,
    /// When anything last went out.
    pub(in crate::swarm) flowed: Duration,
    /// No grant without an answer was given before.
    oldest: Duration,
}

impl Turns {
    pub(in crate::swarm) fn new() -> Self {
        Self {
            open: 0,
            asked: false,
            blocks: Rate::over(PACE),
            up: Rate::default(),
            peak: 0.0,
            delay: Duration::ZERO,
            trip: None,
            depth: FIRST,
            more: 0,
            changed: Duration::ZERO,
            measured: Duration::ZERO,
            flowed: Duration::ZERO,
            oldest: Duration::ZERO,
        }
    }

    /// Returns how many turns are out, and how many connections are fed, at
    /// most.
    pub(in crate::swarm) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the usual time from a grant to its answer.
    pub(in crate::swarm) fn delay(&self) -> Duration {
        self.delay
    }

    /// Returns how many turns are out.
    pub(in crate::swarm) fn open(&self) -> usize {
        self.open
    }

    /// Returns the usual time to the answer of a handshake, or of a grant as
    /// long as that is not known.
    pub(in crate::swarm) fn trip(&self) -> Duration {
        self.trip.unwrap_or(self.delay)
    }

    /// Returns the highest rate of sending of late, in bytes a second.
    pub(in crate::swarm) fn pace(&self) -> f64 {
        self.peak
    }

    /// Notes that a block is on its way out.
    pub(in crate::swarm) fn begin(&mut self) {
        self.asked = true;
    }

    /// Tells whether the line is so long that a connection that starts up
    /// leaves it idle. A line on which words wait for what was sent before is no
    /// long one: handshakes were answered before anything was.
    pub(in crate::swarm) fn is_long(&self) -> bool {
        self.delay > LONG && self.trip.is_none_or(|trip| trip > LONG)
    }

    /// Tells whether words wait so long for what was sent before that the line
    /// seems a long one.
    pub(in crate::swarm) fn is_busy(&self) -> bool {
        self.delay > LONG && !self.is_long()
    }

    /// Notes how long handshakes take to be answered: that is the delay for as
    /// long as no turn has told a better one.
    fn note_trip(&mut self, trip: Duration) {
        self.trip = Some(trip);
        if self.delay.is_zero() {
            self.delay = trip;
            if self.peak == 0.0 && self.is_long() {
                self.depth = FIRST_LONG;
            }
        }
    }

    /// Returns when it is seen that the answer to a grant of now is late, if
    /// that is known.
    pub(super) fn late_at(&self, now: Duration) -> Option<Duration> {
        (!self.delay.is_zero()).then(|| now + self.late())
    }

    /// Returns how long a grant may be without an answer before that is late.
    fn late(&self) -> Duration {
        let (times, more) = LATE;
        (times * self.delay + more).max(LATE_LEAST)
    }

    /// Returns how many pieces have to be under way to fill the line where
    /// each is asked for first, and then goes out by a connection whose window
    /// doubles from ten segments on.
    pub(in crate::swarm) fn starting(&self, piece: f64) -> usize {
        let pieces = self.delay.as_secs_f64() * self.peak / piece.max(1.0);
        2 + (trips(piece) * pieces).round() as usize
    }

    pub(in crate::swarm) fn sent(&mut self, now: Duration, bytes: usize) {
        self.up.add(now, bytes);
        if self.asked {
            self.blocks.add(now, bytes);
        }
        self.flowed = now;
    }
}

/// Returns the one in the middle.
pub(in crate::swarm) fn middle(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut times: Vec<Duration> = times.collect();
    let middle = times.len() / 2;
    let found = middle < times.len();
    found.then(|| *times.select_nth_unstable(middle).1)
}

/// Returns how many round trips a piece takes, the question for it among them,
/// by a connection whose window doubles from ten segments on.
fn trips(piece: f64) -> f64 {
    1.0 + (1.0 + piece / WINDOW).log2()
}

/// The law of U4: enough for slow start after idleness while the delay is
/// small, and one and a half times what is on its way where it is long.
fn depth(delay: Duration, is_long: bool, pace: f64, piece: f64) -> usize {
    let pieces = delay.as_secs_f64() * pace / piece.max(1.0);
    let starting = if is_long {
        2.0 + (STARTING_LONG * trips(piece) * pieces.powf(GROWTH_LONG)).round()
    } else {
        let (each, share) = match delay > LONG {
            true => (STARTING_BUSY, COLD_BUSY),
            false => (STARTING, COLD),
        };
        let cold = share * delay.as_secs_f64() * pace / WINDOW;
        (2.0 + (each * pieces).round()).max(cold.round())
    };
    let starting = starting.min(START_MOST as f64);
    let under_way = 2.0 + (1.5 * pieces).round();
    (starting.max(under_way) as usize).min(MOST)
}

impl Swarm {
    /// Gives one turn more where the uplink is idle while answers are late, and
    /// one less where none is or many wait. Behind a downlink that is full a
    /// grant and its answer wait for as long as all that was sent before; the
    /// uplinks idle meanwhile, unless others fill them (downlinks as uplinks,
    /// 5 ms: 8 peers 0.840 without it and 0.94 with it, 100 peers 0.737 and
    /// 0.83; with what the takers do, see `intake`, 0.84 to 0.87).
    ///
    /// Where blocks are given on one by one turns are late since they wait for
    /// blocks, and more of them only wait as well (v2: 100 leaving 0.929 with
    /// them and 0.947 without, uneven 0.931 and 0.941, 8 equals 0.976 and 0.980,
    /// 25 ms 0.904 and 0.907).
    pub(super) fn look_for_idleness(&mut self) {
        let (now, through) = (self.now, self.is_through());
        let turns = &self.turns;
        if turns.delay.is_zero() || through {
            return;
        }
        let waiting = self.server.waiting();
        let lasts = if waiting > CROWDED { MEASURE } else { CALM };
        if turns.more > 0 && turns.changed + lasts <= now {
            self.turns.more -= 1;
            self.turns.changed = now;
            return;
        }
        if turns.open < turns.depth + turns.more
            || turns.changed + turns.delay > now
            || !self.server.is_idle()
        {
            return;
        }
        let due = now.saturating_sub(turns.late());
        if turns.oldest >= due {
            // None is late: that is known without a look at every connection.
            return;
        }
        let (mut queued, mut out, mut late, mut oldest) = (0, 0, 0, now);
        for link in self.links.values() {
            queued += link.queued;
            out += link.turns.unanswered();
            late += link.turns.granted_before(due);
            oldest = link
                .turns
                .oldest()
                .map_or(oldest, |grant| oldest.min(grant.at));
        }
        self.turns.oldest = oldest;
        if queued < BLOCK && late > 0 && late as f64 >= MOST_LATE * out as f64 {
            self.turns.more = (self.turns.more + 1).min(START_MOST);
            self.turns.changed = now;
        }
    }

    /// Notes how long a peer's handshake took to be answered, or how long it
    /// says that its call did.
    pub(in crate::swarm) fn note_trip(&mut self, conn: ConnId, trip: Duration) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.turns.trip = Some(trip);
        }
        if self.turns.trip.is_none() {
            self.turns.note_trip(trip);
        }
    }

    /// Looks at rate and delay anew, now and then.
    pub(in crate::swarm) fn measure_turns(&mut self) {
        let now = self.now;
        if self.turns.measured + MEASURE > now {
            return;
        }
        self.turns.measured = now;
        let rate = match self.turns.is_long() {
            true => {
                let least = SETTLED * self.turns.delay.as_secs_f64();
                self.turns.blocks.value_over(now, least)
            }
            false => self.turns.up.value(now),
        };
        self.turns.peak = rate.max(self.turns.peak * 0.99);
        if let Some(trip) = middle(self.links.values().filter_map(|l| l.turns.trip)) {
            self.turns.note_trip(trip);
        }
        let Some(delay) = middle(self.links.values().filter_map(|l| l.turns.delay)) else {
            return;
        };
        self.turns.delay = delay;
        let piece = f64::from(self.turn_length());
        if self.turns.peak > 0.0 {
            let is_long = self.turns.is_long();
            let pace = self.turns.peak;
            self.turns.depth = depth(self.turns.delay, is_long, pace, piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_law() {
        let millis = Duration::from_millis;
        let u = 5e6;
        let k128 = 131_072.0;
        assert_eq!(depth(millis(0), false, u, k128), 2);
        assert_eq!(depth(millis(10), false, u, k128), 3);
        assert_eq!(depth(millis(10), false, u, 2.0 * k128), 3);
        assert_eq!(depth(millis(10), false, u / 4.0, k128), 2);
        assert_eq!(depth(millis(50), true, u, k128), 7);
        assert_eq!(depth(millis(50), true, u, 2.0 * k128), 6);
        assert_eq!(depth(millis(50), true, u, k128 / 4.0), 13);
        // Where words wait for a busy line, more of them fill it.
        assert_eq!(depth(millis(50), false, u, k128), 10);
        // A long and fat line needs what it holds.
        assert_eq!(depth(millis(200), true, 12.5e6, k128), 31);
        assert_eq!(depth(millis(900), true, 1e9, k128), MOST);
    }

    #[test]
    fn a_busy_line_is_not_a_long_one() {
        let millis = Duration::from_millis;
        let mut turns = Turns::new();
        turns.delay = millis(60);
        assert!(turns.is_long() && !turns.is_busy(), "as far as is known");
        turns.note_trip(millis(50));
        assert!(turns.is_long());
        turns.note_trip(millis(10));
        assert!(!turns.is_long() && turns.is_busy(), "words wait for it");
        assert_eq!(turns.delay, millis(60));
        turns.note_trip(millis(50));
        turns.delay = millis(10);
        assert!(!turns.is_long());
    }

    #[test]
    fn the_middle_of_some_times() {
        let millis = |times: &[u64]| middle(times.iter().copied().map(Duration::from_millis));
        assert_eq!(millis(&[]), None);
        assert_eq!(millis(&[7]), Some(Duration::from_millis(7)));
        assert_eq!(millis(&[9, 1, 5]), Some(Duration::from_millis(5)));
        assert_eq!(millis(&[90, 80, 1, 80]), Some(Duration::from_millis(80)));
    }
}
