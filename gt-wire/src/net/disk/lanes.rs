//! Which job is whose turn.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Job;
use crate::geometry::{FileIndex, PieceIndex};
use crate::net::TorrentId;
use crate::net::store::Store;

/// Jobs of one lane that are done before the others are looked at.
const TURN: usize = 64;

/// Lanes that are worth one thread: short jobs are not worth waking more.
const LANES_EACH: usize = 4;

/// Jobs that must stay in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Reading a piece for peers.
    Read(TorrentId, PieceIndex),
    /// Filling in a piece, and hashing it.
    Write(TorrentId, PieceIndex),
    /// Closing a file, which may take long.
    Close(TorrentId, FileIndex),
    /// Noting what was verified, which waits for the disk.
    Note(TorrentId),
}

impl Lane {
    fn of(torrent: TorrentId, job: &Job) -> Self {
        match job {
            Job::Read(_, block) => Self::Read(torrent, block.piece),
            Job::Write(block, _) => Self::Write(torrent, block.piece),
            Job::Hash { piece, .. } | Job::Verified(piece) => Self::Write(torrent, *piece),
            Job::Close(file) => Self::Close(torrent, *file),
            Job::Note(..) | Job::Lay(..) => Self::Note(torrent),
        }
    }

    pub(super) fn torrent(self) -> TorrentId {
        match self {
            Self::Read(torrent, _)
            | Self::Write(torrent, _)
            | Self::Close(torrent, _)
            | Self::Note(torrent) => torrent,
        }
    }

    fn is_slow(self) -> bool {
        matches!(self, Self::Close(..) | Self::Note(_))
    }
}

struct Waiting {
    store: Arc<Store>,
    jobs: VecDeque<Job>,
    /// Whether a thread works on it, which takes it up again itself.
    busy: bool,
}

/// The lanes with jobs, and the threads that work on them.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Lane, Waiting>,
    /// Lanes with jobs on which nobody works, the oldest first.
    ready: VecDeque<Lane>,
    workers: usize,
    /// Lanes being worked on, or waiting, that may take long.
    slow: usize,
}

impl Lanes {
    pub(super) fn push(&mut self, torrent: TorrentId, store: Arc<Store>, job: Job) {
        let lane = Lane::of(torrent, &job);
        let waiting = self.lanes.entry(lane).or_insert_with(|| {
            self.ready.push_back(lane);
            self.slow += usize::from(lane.is_slow());
            Waiting {
                store,
                jobs: VecDeque::new(),
                busy: false,
            }
        });
        waiting.jobs.push_back(job);
    }

    /// Tells whether no lane of short jobs is under way, which others could
    /// overtake.
    pub(super) fn is_quiet(&self) -> bool {
        self.lanes.keys().all(|lane| lane.is_slow())
    }

    /// Returns how many more threads there shall be, and counts them in.
    pub(super) fn hire(&mut self, limit: usize) -> usize {
        let quick = self.ready.iter().filter(|lane| !lane.is_slow()).count();
        let wanted = (quick.div_ceil(LANES_EACH) + self.slow).min(limit);
        let more = wanted.saturating_sub(self.workers);
        self.workers += more;
        more
    }

    /// Gives a thread its next turn, after the one `before`; none ends it.
    pub(super) fn next(&mut self, before: Option<Lane>) -> Option<(Lane, Arc<Store>, Vec<Job>)> {
        if let Some(lane) = before {
            match self.lanes.get_mut(&lane) {
                Some(waiting) if !waiting.jobs.is_empty() => {
                    waiting.busy = false;
                    self.ready.push_back(lane);
                }
                _ => {
                    self.lanes.remove(&lane);
                    self.slow -= usize::from(lane.is_slow());
                }
            }
        }
        while let Some(lane) = self.ready.pop_front() {
            if let Some(waiting) = self.lanes.get_mut(&lane)
                && !waiting.busy
            {
                waiting.busy = true;
                let turn = waiting.jobs.len().min(TURN);
                let jobs = waiting.jobs.drain(..turn).collect();
                return Some((lane, waiting.store.clone(), jobs));
            }
        }
        self.workers -= 1;
        None
    }

    /// Drops everything, for the last thread.
    pub(super) fn abandon(&mut self) {
        self.lanes.clear();
        self.ready.clear();
        self.slow = 0;
        self.workers -= 1;
    }
}
