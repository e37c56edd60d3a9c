//! An HTTP source (BEP 19): somebody who has everything, knows nobody, and
//! gives each who asks one block after the other.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Matter, Nature};
use crate::geometry::Block;
use crate::swarm::Failure;

/// After so much silence a driver gives up a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A simulated HTTP source.
#[derive(Debug)]
pub struct Source {
    /// Its uplink, in bytes a second.
    pub capacity: f64,
    /// How it behaves: honest, corrupt, empty (it has no such file) or silent.
    pub nature: Nature,
    /// Bytes of content that left it.
    pub sent: u64,
    /// Who waits for what, the first first.
    waits: VecDeque<(u32, Block)>,
    busy: bool,
    answers: u64,
}

impl Source {
    /// Returns a source that has answered nobody.
    pub fn new(capacity: f64, nature: Nature) -> Self {
        Self {
            capacity,
            nature,
            sent: 0,
            waits: VecDeque::new(),
            busy: false,
            answers: 0,
        }
    }

    /// Takes a request; tells whether it was idle, and is to go on now.
    pub(super) fn ask(&mut self, node: u32, block: Block) -> bool {
        self.waits.push_back((node, block));
        !std::mem::replace(&mut self.busy, true)
    }

    /// Forgets a request that is not needed any more.
    pub(super) fn unask(&mut self, node: u32, block: Block) {
        self.waits.retain(|wait| *wait != (node, block));
    }

    /// Answers the next request: who asked, for what, what he gets, and how
    /// long it takes to send.
    pub(super) fn answer(&mut self, matter: &Matter) -> Option<Answer> {
        let Some((node, block)) = self.waits.pop_front() else {
            self.busy = false;
            return None;
        };
        self.answers += 1;
        let result = match self.nature {
            Nature::Empty => Err(Failure::lasting("404 Not Found")),
            Nature::Silent => Err(Failure::passing("nothing came")),
            Nature::Corrupt(n) if self.answers.is_multiple_of(n) => {
                let mut data = BytesMut::from(&matter.read(block)[..]);
                data[0] ^= 0xff;
                Ok(data.freeze())
            }
            _ => Ok(matter.read(block)),
        };
        let bytes = result.as_ref().map_or(0, Bytes::len);
        self.sent += bytes as u64;
        let (takes, waits) = match self.nature {
            // Others are not kept waiting by one whom it does not answer.
            Nature::Silent => (Duration::ZERO, PATIENCE),
            _ => (
                Duration::from_secs_f64(bytes as f64 / self.capacity),
                Duration::ZERO,
            ),
        };
        Some(Answer {
            node,
            block,
            result,
            takes,
            waits,
        })
    }
}

/// What becomes of a request.
pub(super) struct Answer {
    pub(super) node: u32,
    pub(super) block: Block,
    pub(super) result: Result<Bytes, Failure>,
    /// For how long the uplink is taken.
    pub(super) takes: Duration,
    /// How long the asker waits besides.
    pub(super) waits: Duration,
}
