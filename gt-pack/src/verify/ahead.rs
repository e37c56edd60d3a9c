//! Parts of a pack that were read from its file, and what others find in them
//! while the front is not there yet.

use std::sync::{Condvar, Mutex};

use gt_vfs::ObjectFormat;

use super::early::{Early, Scout};
use super::names::lock;
use super::pieces::Memory;
use crate::limits::Limits;

/// A part of a pack.
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    state: Mutex<State>,
    ready: Condvar,
}

enum State {
    /// Nobody has begun with it.
    Waiting,
    /// Somebody looks for entries.
    Looking,
    Found(Early),
    /// The front has it.
    Taken,
}

impl Part {
    pub(super) fn new(offset: u64, bytes: Vec<u8>) -> Self {
        Self {
            offset,
            bytes,
            state: Mutex::new(State::Waiting),
            ready: Condvar::new(),
        }
    }

    /// Begins to look for entries, unless somebody else has begun with this
    /// part.
    fn begin(&self) -> Option<Looking<'_>> {
        let mut state = lock(&self.state);
        let is_first = matches!(*state, State::Waiting);
        is_first.then(|| {
            *state = State::Looking;
            Looking(self)
        })
    }

    /// Takes this part for the front, with what was found in it. Who looks is
    /// waited for, and other work done meanwhile.
    pub(super) fn take(&self) -> Option<Early> {
        loop {
            let mut state = lock(&self.state);
            match std::mem::replace(&mut *state, State::Taken) {
                State::Waiting | State::Taken => return None,
                State::Found(early) => return Some(early),
                State::Looking => *state = State::Looking,
            }
            drop(state);
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                let mut state = lock(&self.state);
                while matches!(*state, State::Looking) {
                    state = self.ready.wait(state).unwrap_or_else(|e| e.into_inner());
                }
            }
        }
    }
}

/// Part of which somebody takes a look. Whatever ends that, the front does not
/// wait for ever.
struct Looking<'a>(&'a Part);

impl Looking<'_> {
    fn end(&self, state: State) {
        *lock(&self.0.state) = state;
        self.0.ready.notify_all();
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end(State::Waiting);
        }
    }
}

/// Those who look, and the memory that they need.
pub(super) struct Scouts {
    format: ObjectFormat,
    limits: Limits,
    idle: Mutex<Vec<Scout>>,
    memory: Memory,
}

impl Scouts {
    pub(super) fn new(format: ObjectFormat, limits: &Limits) -> Self {
        Self {
            format,
            limits: limits.clone(),
            idle: Mutex::default(),
            memory: Memory::default(),
        }
    }

    /// Looks for entries in a part, unless somebody else has begun with it.
    pub(super) fn look(&self, part: &Part) {
        let Some(looking) = part.begin() else {
            return;
        };
        let scout = lock(&self.idle).pop();
        let mut scout = scout.unwrap_or_else(|| Scout::new(self.format, &self.limits));
        let early = scout.look(&part.bytes, part.offset, &self.memory);
        lock(&self.idle).push(scout);
        looking.end(State::Found(early));
    }
}
