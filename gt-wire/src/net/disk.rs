//! Disk work, off the loop: lanes of jobs and a few threads that empty them.
//!
//! What is about one piece stays in order in one lane, which one thread at a
//! time works on: blocks are hashed as they are written, files are not fought
//! over, and what has piled up meanwhile is done and told of at once.
//!
//! Where there are too few cores for that to be faster, and as long as the
//! files answer out of memory, the loop does the short jobs itself: the bytes
//! are still in its cache, and nobody has to be woken.

mod lanes;
mod pace;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::TorrentId;
use super::driver::News;
use super::store::Store;
use crate::geometry::{Block, FileIndex, PieceIndex};
use crate::resume::Resume;
use crate::swarm::{Input, ReadId};

use lanes::{Lane, Lanes};
use pace::Pace;

/// Something to do with files.
pub(super) enum Job {
    Read(ReadId, Block),
    Write(Block, Bytes),
    Hash {
        piece: PieceIndex,
        sha1: bool,
        leaves: bool,
    },
    /// A piece is what it should be.
    Verified(PieceIndex),
    Close(FileIndex),
    /// Sync, then put this resume data in place.
    Note(PathBuf, Box<Resume>),
    /// Put resume data in place that claims nothing, at once: syncing may take
    /// long, and without its layers nothing that came can be checked after a
    /// kill.
    Lay(PathBuf, Box<Resume>),
}

/// What came of it.
pub(super) enum Done {
    Input(Input),
    Noted(io::Result<()>),
}

/// The queue. Threads come when there is work and go when there is none.
pub(super) struct Disk {
    shared: Arc<Mutex<Lanes>>,
    limit: usize,
    news: mpsc::Sender<News>,
    /// Jobs that came since the last flush.
    fresh: Vec<(TorrentId, Arc<Store>, Job)>,
    pace: Pace,
}

/// What the loop itself has done.
pub(super) type DoneNow = Vec<(TorrentId, Vec<Done>)>;

impl Disk {
    pub(super) fn new(limit: usize, news: mpsc::Sender<News>) -> Self {
        Self {
            shared: Arc::default(),
            limit: limit.max(1),
            news,
            fresh: Vec::new(),
            pace: Pace::new(),
        }
    }

    /// Takes a job, which begins with the next [`flush`](Self::flush); its
    /// outcome comes as news.
    pub(super) fn push(&mut self, torrent: TorrentId, store: &Arc<Store>, job: Job) {
        self.fresh.push((torrent, store.clone(), job));
    }

    /// Does the jobs that are short, and hands the others to the threads.
    pub(super) fn flush(&mut self) -> DoneNow {
        let mut now = Vec::new();
        if self.fresh.is_empty() {
            return now;
        }
        let mut lanes = lock(&self.shared);
        let here = self.pace.is_quick() && lanes.is_quiet();
        let mut short: Vec<(TorrentId, Arc<Store>, Vec<Job>)> = Vec::new();
        for (torrent, store, job) in self.fresh.drain(..) {
            if !here || job.is_slow() {
                lanes.push(torrent, store, job);
                continue;
            }
            match short.last_mut() {
                Some((last, _, jobs)) if *last == torrent => jobs.push(job),
                _ => short.push((torrent, store, vec![job])),
            }
        }
        for _ in 0..lanes.hire(self.limit) {
            let shared = self.shared.clone();
            let news = self.news.clone();
            tokio::task::spawn_blocking(move || work(&shared, &news));
        }
        drop(lanes);
        for (torrent, store, jobs) in short {
            let done = self.pace.time(|| run(&store, jobs));
            now.push((torrent, done));
        }
        now
    }
}

impl Job {
    /// Tells whether it waits for the disk by its nature.
    fn is_slow(&self) -> bool {
        matches!(self, Self::Close(_) | Self::Note(..))
    }
}

fn lock(shared: &Mutex<Lanes>) -> MutexGuard<'_, Lanes> {
    // The queue is whole after every statement, so a panic breaks nothing.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Mutex<Lanes>, news: &mpsc::Sender<News>) {
    let mut before: Option<Lane> = None;
    loop {
        let next = lock(shared).next(before.take());
        let Some((lane, store, jobs)) = next else {
            return;
        };
        let torrent = lane.torrent();
        let done = run(&store, jobs);
        before = Some(lane);
        if news.blocking_send(News::Disk { torrent, done }).is_err() {
            // The node is gone; what is queued may be dropped, since the
            // resume data does not speak of it.
            lock(shared).abandon();
            return;
        }
    }
}

/// Does the jobs of one lane in order; reads that follow each other are one.
fn run(store: &Arc<Store>, jobs: Vec<Job>) -> Vec<Done> {
    let mut done = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter().peekable();
    while let Some(job) = jobs.next() {
        let input = match job {
            Job::Read(id, block) => {
                let mut run = vec![(id, block)];
                let mut whole = block;
                while let Some(Job::Read(id, next)) = jobs.peek()
                    && let Some(both) = store.join(whole, *next)
                {
                    whole = both;
                    run.push((*id, *next));
                    jobs.next();
                }
                let read = store.read(whole);
                done.extend(run.into_iter().map(|(id, block)| {
                    let from = (block.offset - whole.offset) as usize;
                    let part = |bytes: &Bytes| bytes.slice(from..from + block.length as usize);
                    let result = read.as_ref().map(part).map_err(Clone::clone);
                    Done::Input(Input::BlockRead { id, result })
                }));
                continue;
            }
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
            Job::Verified(piece) => {
                store.verified(piece);
                continue;
            }
            Job::Close(file) => Input::FileClosed {
                file,
                result: store.close(file),
            },
            Job::Note(path, mut resume) => {
                let noted = store.sync().and_then(|()| {
                    resume.modified = store.modified(&resume.closed)?;
                    put(&path, &resume.write())
                });
                done.push(Done::Noted(noted));
                continue;
            }
            Job::Lay(path, resume) => {
                done.push(Done::Noted(lay(&path, &resume.write())));
                continue;
            }
        };
        done.push(Done::Input(input));
    }
    done
}

/// Puts a file in place whole or not at all, also when the power goes.
fn put(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let file = write_beside(path, bytes)?;
    file.sync_all()?;
    move_in(path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Puts a file in place whole or not at all, but for a loss of power.
fn lay(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, bytes)?;
    move_in(path)
}

fn write_beside(path: &std::path::Path, bytes: &[u8]) -> io::Result<std::fs::File> {
    let mut file = std::fs::File::create(path.with_extension("new"))?;
    file.write_all(bytes)?;
    Ok(file)
}

fn move_in(path: &std::path::Path) -> io::Result<()> {
    std::fs::rename(path.with_extension("new"), path)
}
