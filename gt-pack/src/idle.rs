//! Readers that may give nothing, or next to nothing, for only so long.
//!
//! No clock is kept here: whoever reads hands one in.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use crate::limits::{Exceeded, Limits};

/// A reader that ends with [`Exceeded::Idle`] when nothing has come for as
/// long as [`Limits::idle`], and with [`Exceeded::Pace`] when less has come in
/// twice that time than [`Limits::pace`] asks for.
///
/// The reader under it must come back: when it says [`ErrorKind::WouldBlock`]
/// or [`ErrorKind::TimedOut`], as a socket with a time to read does, the clock
/// is asked, and the reader again. Each byte that comes begins the time of
/// silence anew; what the caller does between two reads is not counted.
pub struct Patient<R, C> {
    reader: R,
    clock: C,
    idle: Duration,
    pace: u64,
    came: u64,
    /// How long was waited in this stretch of time, and what had come before
    /// it.
    waited: Duration,
    before: u64,
}

impl<R: Read, C: FnMut() -> Duration> Patient<R, C> {
    /// Watches `reader`. `clock` tells the time since some moment, and must
    /// not go back.
    pub fn new(reader: R, limits: &Limits, clock: C) -> Self {
        Self {
            reader,
            clock,
            idle: limits.idle,
            pace: limits.pace,
            came: 0,
            waited: Duration::ZERO,
            before: 0,
        }
    }

    /// Looks at what has come when a stretch of time is over: one in which an
    /// honest sender may be silent at first, and has as long for the rest.
    fn paced(&mut self) -> io::Result<()> {
        if self.waited < self.idle.saturating_mul(2) {
            return Ok(());
        }
        let got = self.came - self.before;
        if got < self.pace.saturating_mul(self.waited.as_secs()) {
            return Err(io::Error::other(Exceeded::Pace {
                limit: self.pace,
                got,
                within: self.waited,
                after: self.before,
            }));
        }
        (self.waited, self.before) = (Duration::ZERO, self.came);
        Ok(())
    }
}

impl<R: Read, C: FnMut() -> Duration> Read for Patient<R, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut silent = Duration::ZERO;
        let mut last = (self.clock)();
        loop {
            let read = self.reader.read(buffer);
            let now = (self.clock)();
            let took = now.saturating_sub(last);
            last = now;
            silent += took;
            self.waited += took;
            match read {
                Ok(read) => {
                    self.came += read as u64;
                    if read > 0 {
                        self.paced()?;
                    }
                    return Ok(read);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if silent >= self.idle {
                        return Err(io::Error::other(Exceeded::Idle {
                            limit: self.idle,
                            got: silent,
                            after: self.came,
                        }));
                    }
                    self.paced()?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Gives its bytes one by one, and between them says `nothing` so often.
    struct Slow<'a> {
        bytes: &'a [u8],
        pause: u32,
        left: u32,
        nothing: ErrorKind,
        asked: u32,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.asked += 1;
            if self.left > 0 {
                self.left -= 1;
                return Err(self.nothing.into());
            }
            self.left = self.pause;
            (&mut self.bytes).take(1).read(buffer)
        }
    }

    /// Reads all through a clock that goes on by a second each time that it is
    /// asked.
    fn read(pause: u32, nothing: ErrorKind) -> (io::Result<Vec<u8>>, u32) {
        let limits = Limits {
            idle: Duration::from_secs(10),
            pace: 0,
            ..Limits::default()
        };
        let time = Cell::new(0);
        let mut slow = Slow {
            bytes: b"abc",
            pause,
            left: 0,
            nothing,
            asked: 0,
        };
        let mut all = Vec::new();
        let mut patient = Patient::new(&mut slow, &limits, || {
            time.set(time.get() + 1);
            Duration::from_secs(time.get())
        });
        let read = patient.read_to_end(&mut all).map(|_| all);
        (read, slow.asked)
    }

    #[test]
    fn every_byte_begins_the_time_anew() {
        for nothing in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
            assert_eq!(read(9, nothing).0.unwrap(), b"abc");
        }
        // Interrupted reads are no sign of idleness.
        assert_eq!(read(100, ErrorKind::Interrupted).0.unwrap(), b"abc");
    }

    #[test]
    fn what_gives_nothing_is_left_in_the_end() {
        for nothing in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
            let (refused, asked) = read(u32::MAX, nothing);
            let refused = refused.unwrap_err();
            assert_eq!(
                refused.to_string(),
                "expected more bytes within 10 seconds, got none for 10 seconds after byte 1"
            );
            assert_eq!(asked, 1 + 10);
        }
    }

    /// Gives pieces, each after some seconds of silence; the clock stands
    /// beside it.
    struct Sender<'a> {
        time: &'a Cell<u64>,
        pieces: Vec<(u64, usize)>,
    }

    impl Read for Sender<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((silence, length)) = self.pieces.first_mut() else {
                return Ok(0);
            };
            if *silence > 0 {
                *silence -= 1;
                self.time.set(self.time.get() + 1);
                return Err(ErrorKind::WouldBlock.into());
            }
            let length = *length;
            self.pieces.remove(0);
            Ok(length.min(buffer.len()))
        }
    }

    fn paced(pieces: Vec<(u64, usize)>) -> io::Result<u64> {
        let limits = Limits {
            idle: Duration::from_secs(10),
            pace: 500,
            ..Limits::default()
        };
        let time = Cell::new(0);
        let mut patient = Patient::new(
            Sender {
                time: &time,
                pieces,
            },
            &limits,
            || Duration::from_secs(time.get()),
        );
        let mut buffer = vec![0; 1 << 20];
        let mut all = 0;
        loop {
            match patient.read(&mut buffer)? {
                0 => return Ok(all),
                read => all += read as u64,
            }
        }
    }

    #[test]
    fn who_gives_a_byte_now_and_then_is_left() {
        let refused = paced(vec![(9, 1); 1000]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "expected at least 500 bytes a second, got 2 bytes in 20 seconds after byte 0"
        );
        // A good beginning does not pay for what follows.
        let refused = paced([vec![(0, 1 << 20)], vec![(1, 499); 100]].concat()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "expected at least 500 bytes a second, got 9980 bytes in 20 seconds after byte 1058057"
        );
    }

    #[test]
    fn who_is_slow_or_silent_for_a_while_is_not() {
        assert_eq!(paced(vec![(1, 600); 1000]).unwrap(), 600_000);
        // Silence up to the limit, again and again, and fast between.
        assert_eq!(paced(vec![(9, 10_000); 50]).unwrap(), 500_000);
        // The end may come late.
        assert_eq!(paced(vec![(0, 1), (9, 1), (9, 1)]).unwrap(), 3);
    }

    #[test]
    fn other_faults_are_passed_on() {
        let refused = read(3, ErrorKind::ConnectionReset).0.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionReset);
    }
}
