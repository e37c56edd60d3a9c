//! Memory of objects that are done with, used again for the next.
//!
//! Objects are many times as large as the pack: were the memory of each given
//! back to the system, a tenth of all time would go into getting it again, and
//! what is in the processor's cache would be lost.

use crate::delta::apply::TRUSTED;

/// Empty vectors with room, kept by the powers of two that they have room for.
#[derive(Default)]
pub(super) struct Spare {
    classes: [Vec<Vec<u8>>; CLASSES],
    held: usize,
}

/// Up to the largest object that is trusted to come as promised.
const CLASSES: usize = TRUSTED.ilog2() as usize + 1;
/// Bytes that are kept.
const MOST: usize = 4 << 20;

impl Spare {
    /// Returns an empty vector for an object of `length` bytes: with room for
    /// all of them, unless they are more than a promise is worth.
    pub(super) fn take(&mut self, length: u64) -> Vec<u8> {
        if length == 0 || length > TRUSTED {
            return Vec::new();
        }
        let room = length.next_power_of_two();
        let class = &mut self.classes[room.ilog2() as usize];
        match class.pop() {
            Some(found) => {
                self.held -= found.capacity();
                found
            }
            None => Vec::with_capacity(room as usize),
        }
    }

    /// Takes a vector that is no longer needed.
    pub(super) fn give(&mut self, mut done: Vec<u8>) {
        let room = done.capacity();
        // Half of what it has room for would never be used again.
        if !room.is_power_of_two() || room as u64 > TRUSTED || self.held + room > MOST {
            return;
        }
        done.clear();
        self.held += room;
        self.classes[room.ilog2() as usize].push(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_taken() {
        let mut spare = Spare::default();
        let (mut small, large) = (spare.take(1), spare.take(TRUSTED));
        assert_eq!((small.capacity(), large.capacity()), (1, 1 << 20));
        assert_eq!(spare.take(TRUSTED + 1).capacity(), 0);
        assert_eq!(spare.take(0).capacity(), 0);
        small.push(7);
        let at = small.as_ptr();
        spare.give(small);
        let again = spare.take(1);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn no_more_is_kept_than_that() {
        let mut spare = Spare::default();
        (0..10).for_each(|_| spare.give(Vec::with_capacity(1 << 20)));
        spare.give(Vec::with_capacity(2 << 20));
        spare.give(Vec::with_capacity(3000));
        assert_eq!(spare.held, MOST);
        assert!(spare.classes.iter().flatten().count() == MOST >> 20);
    }
}
