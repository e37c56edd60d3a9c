//! Readers that may give nothing for only so long.
//!
//! No clock is kept here: whoever reads hands one in.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use crate::limits::{Exceeded, Limits};

/// A reader that ends with [`Exceeded::Idle`] when nothing has come for as
/// long as [`Limits::idle`].
///
/// The reader under it must come back: when it says [`ErrorKind::WouldBlock`]
/// or [`ErrorKind::TimedOut`], as a socket with a time to read does, the clock
/// is asked, and the reader again. Each byte that comes begins the time anew;
/// what the caller does between two reads is not counted.
pub struct Patient<R, C> {
    reader: R,
    clock: C,
    limit: Duration,
    came: u64,
}

impl<R: Read, C: FnMut() -> Duration> Patient<R, C> {
    /// Watches `reader`. `clock` tells the time since some moment, and must
    /// not go back.
    pub fn new(reader: R, limits: &Limits, clock: C) -> Self {
        Self {
            reader,
            clock,
            limit: limits.idle,
            came: 0,
        }
    }
}

impl<R: Read, C: FnMut() -> Duration> Read for Patient<R, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut began = None;
        loop {
            let since = match began {
                Some(began) => began,
                None => *began.insert((self.clock)()),
            };
            match self.reader.read(buffer) {
                Ok(read) => {
                    self.came += read as u64;
                    return Ok(read);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let waited = (self.clock)().saturating_sub(since);
                    if waited >= self.limit {
                        return Err(io::Error::other(Exceeded::Idle {
                            limit: self.limit,
                            got: waited,
                            after: self.came,
                        }));
                    }
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

    #[test]
    fn other_faults_are_passed_on() {
        let refused = read(3, ErrorKind::ConnectionReset).0.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionReset);
    }
}
