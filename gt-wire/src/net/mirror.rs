//! HTTP sources at work: what a swarm wants of a mirror is joined to long
//! ranges, fetched, and cut into blocks again.

mod stream;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::TorrentId;
use super::driver::News;
use crate::geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
use crate::mirror::Mirror;
use crate::swarm::{Failure, MirrorId};

use stream::Stream;

/// Requests that one mirror answers at a time, so that the next one is on its
/// way while the last one's bytes come.
const AT_ONCE: usize = 2;

/// Bytes of one request.
const RUN: u64 = 4 << 20;

/// What a request may take, and how slow its bytes may come; a server that
/// drips holds nothing up for ever.
const RUN_TIME: Duration = Duration::from_secs(30);
const RUN_PACE: u64 = 16 << 10;

/// One mirror of one torrent: a queue and those who work on it.
pub(super) struct Door {
    site: Arc<Site>,
    workers: Vec<AbortHandle>,
}

/// What the workers share.
struct Site {
    mirror: Mirror,
    geometry: Arc<Geometry>,
    queue: Mutex<Queue>,
    woken: Notify,
    /// The server gives files from their beginning only.
    no_ranges: AtomicBool,
    /// Bytes that may still be read and thrown away for lack of ranges.
    skips: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: BTreeSet<Block>,
    under_way: BTreeSet<Block>,
}

/// Where answers go.
#[derive(Clone)]
struct Desk {
    torrent: TorrentId,
    mirror: MirrorId,
    news: mpsc::Sender<News>,
}

impl Door {
    pub(super) fn open(
        mirror: Mirror,
        geometry: Arc<Geometry>,
        torrent: TorrentId,
        id: MirrorId,
        news: mpsc::Sender<News>,
    ) -> Self {
        let skips = 2 * geometry.content_length() + RUN;
        let site = Arc::new(Site {
            mirror,
            geometry,
            queue: Mutex::default(),
            woken: Notify::new(),
            no_ranges: AtomicBool::new(false),
            skips: AtomicU64::new(skips),
        });
        let desk = Desk {
            torrent,
            mirror: id,
            news,
        };
        let workers = (0..AT_ONCE)
            .map(|n| tokio::spawn(work(site.clone(), desk.clone(), n == 0)).abort_handle())
            .collect();
        Self { site, workers }
    }

    pub(super) fn fetch(&self, block: Block) {
        self.site.queue().waiting.insert(block);
        self.site.woken.notify_waiters();
    }

    pub(super) fn unfetch(&self, block: Block) {
        let mut queue = self.site.queue();
        queue.waiting.remove(&block);
        queue.under_way.remove(&block);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.workers.iter().for_each(AbortHandle::abort);
    }
}

impl Site {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Two sets; nothing that holds the lock panics.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first blocks that lie side by side.
    fn take(&self) -> Vec<Block> {
        let mut queue = self.queue();
        let mut run: Vec<Block> = Vec::new();
        let mut bytes = 0;
        while bytes < RUN
            && let Some(block) = queue.waiting.first().copied()
            && run.last().is_none_or(|last| self.follows(*last, block))
        {
            queue.waiting.remove(&block);
            queue.under_way.insert(block);
            bytes += u64::from(block.length);
            run.push(block);
        }
        run
    }

    fn follows(&self, last: Block, next: Block) -> bool {
        let end = last.offset + last.length;
        if last.piece == next.piece {
            return end == next.offset;
        }
        next.offset == 0
            && PieceIndex(last.piece.0 + 1) == next.piece
            && end == self.geometry.piece_len(last.piece)
    }

    /// Takes blocks that will not come back out, and tells which of them are
    /// still wanted.
    fn settle(&self, run: &[Block]) -> Vec<Block> {
        let mut queue = self.queue();
        let wanted = |block: &&Block| queue.under_way.remove(*block);
        run.iter().filter(wanted).copied().collect()
    }

    fn is_wanted(&self, run: &VecDeque<Block>) -> bool {
        let queue = self.queue();
        run.iter().any(|block| queue.under_way.contains(block))
    }

    /// Pays for bytes that are read for nothing.
    fn skip(&self, bytes: u64) -> Result<(), Failure> {
        let pay = |left: u64| left.checked_sub(bytes);
        self.skips
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay)
            .map(|_| ())
            .map_err(|_| Failure::lasting("the server gives no ranges, and files only whole"))
    }

    /// Returns the parts of files under a run, those that go on joined.
    fn spans(&self, run: &[Block]) -> Vec<FileSpan> {
        let mut spans: Vec<FileSpan> = Vec::new();
        for span in run.iter().flat_map(|block| self.geometry.spans(*block)) {
            match spans.last_mut() {
                Some(last)
                    if last.file == span.file && last.offset + last.length == span.offset =>
                {
                    last.length += span.length;
                }
                _ => spans.push(span),
            }
        }
        spans
    }

    fn is_padding(&self, file: FileIndex) -> bool {
        self.geometry.file(file).is_some_and(|f| f.padding)
    }
}

async fn work(site: Arc<Site>, desk: Desk, first: bool) {
    let mut stream = Stream::new(site.clone());
    loop {
        let woken = site.woken.notified();
        let idle = !first && site.no_ranges.load(Ordering::Relaxed);
        let run = match idle {
            true => Vec::new(),
            false => site.take(),
        };
        if run.is_empty() {
            woken.await;
            continue;
        }
        let bytes: u64 = run.iter().map(|block| u64::from(block.length)).sum();
        let most = RUN_TIME + Duration::from_secs(bytes / RUN_PACE);
        let fetched = timeout(most, fetch(&site, &desk, &mut stream, &run)).await;
        let fetched = fetched.unwrap_or_else(|_| {
            Err(Failure::passing(format!(
                "{bytes} bytes not within {most:?}"
            )))
        });
        if let Err(failure) = &fetched {
            stream.close();
            // One is enough to tell that all went wrong.
            if let Some(block) = site.settle(&run).first() {
                desk.tell(*block, Err(failure.clone())).await;
            }
        }
    }
}

/// Fetches blocks that lie side by side, and tells of each as it is there.
async fn fetch(
    site: &Site,
    desk: &Desk,
    stream: &mut Stream,
    run: &[Block],
) -> Result<(), Failure> {
    let mut left: VecDeque<Block> = run.iter().copied().collect();
    let mut joined = BytesMut::new();
    for span in site.spans(run) {
        let mut due = span.length;
        if !site.is_padding(span.file) {
            stream.seek(span).await?;
        }
        while due > 0 {
            let bytes = if site.is_padding(span.file) {
                Bytes::from(vec![0; due.min(1 << 14) as usize])
            } else {
                stream.next(due).await?
            };
            due -= bytes.len() as u64;
            joined.extend_from_slice(&bytes);
            while let Some(block) = left.front().copied()
                && joined.len() >= block.length as usize
            {
                left.pop_front();
                let bytes = joined.split_to(block.length as usize).freeze();
                if !site.settle(&[block]).is_empty() {
                    desk.tell(block, Ok(bytes)).await;
                }
            }
            if !left.is_empty() && !site.is_wanted(&left) {
                stream.close();
                return Ok(());
            }
        }
        stream.finish();
    }
    Ok(())
}

impl Desk {
    async fn tell(&self, block: Block, result: Result<Bytes, Failure>) {
        let fetched = News::Fetched {
            torrent: self.torrent,
            mirror: self.mirror,
            block,
            result,
        };
        let _ = self.news.send(fetched).await;
    }
}
