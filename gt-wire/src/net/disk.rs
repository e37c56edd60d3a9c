//! Disk work, off the loop: a queue and a few threads that empty it.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::TorrentId;
use super::driver::News;
use super::store::Store;
use crate::geometry::{Block, FileIndex, PieceIndex};
use crate::swarm::{Input, ReadId};

/// Something to do with files.
pub(super) enum Job {
    Read(ReadId, Block),
    Write(Block, Bytes),
    Hash {
        piece: PieceIndex,
        sha1: bool,
        leaves: bool,
    },
    Close(FileIndex),
    /// Sync, then put these bytes of resume data in place.
    Note(PathBuf, Vec<u8>),
}

/// What came of it.
pub(super) enum Done {
    Input(Input),
    Noted(io::Result<()>),
}

/// The queue. Threads come when there is work and go when there is none.
pub(super) struct Disk {
    shared: Arc<Mutex<Queue>>,
    limit: usize,
    news: mpsc::Sender<News>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(TorrentId, Arc<Store>, Job)>,
    workers: usize,
}

impl Disk {
    pub(super) fn new(limit: usize, news: mpsc::Sender<News>) -> Self {
        Self {
            shared: Arc::default(),
            limit: limit.max(1),
            news,
        }
    }

    /// Queues a job; its outcome comes as news.
    pub(super) fn push(&self, torrent: TorrentId, store: &Arc<Store>, job: Job) {
        let mut queue = lock(&self.shared);
        queue.jobs.push_back((torrent, store.clone(), job));
        // One thread per few jobs: short ones are not worth waking more.
        if queue.workers < self.limit && queue.workers * 4 < queue.jobs.len() {
            queue.workers += 1;
            let shared = self.shared.clone();
            let news = self.news.clone();
            tokio::task::spawn_blocking(move || work(&shared, &news));
        }
    }
}

fn lock(shared: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // The queue is whole after every statement, so a panic breaks nothing.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Mutex<Queue>, news: &mpsc::Sender<News>) {
    loop {
        let next = {
            let mut queue = lock(shared);
            let next = queue.jobs.pop_front();
            if next.is_none() {
                queue.workers -= 1;
            }
            next
        };
        let Some((torrent, store, job)) = next else {
            return;
        };
        let done = run(&store, job);
        if news.blocking_send(News::Disk { torrent, done }).is_err() {
            // The node is gone; what is queued may be dropped, since the
            // resume data does not speak of it.
            let mut queue = lock(shared);
            queue.jobs.clear();
            queue.workers -= 1;
            return;
        }
    }
}

fn run(store: &Arc<Store>, job: Job) -> Done {
    Done::Input(match job {
        Job::Read(id, block) => Input::BlockRead {
            id,
            result: store.read(block),
        },
        Job::Write(block, bytes) => Input::Written {
            block,
            result: store.write(block, &bytes),
        },
        Job::Hash {
            piece,
            sha1,
            leaves,
        } => Input::PieceHashed {
            piece,
            result: store.hash(piece, sha1, leaves),
        },
        Job::Close(file) => Input::FileClosed {
            file,
            result: store.close(file),
        },
        Job::Note(path, bytes) => {
            return Done::Noted(store.sync().and_then(|()| put(&path, &bytes)));
        }
    })
}

/// Puts a file in place whole or not at all, also when the power goes.
fn put(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
