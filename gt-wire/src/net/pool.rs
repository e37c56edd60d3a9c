//! Buffers that are used again: memory that the kernel has to hand out and
//! clear anew for every block costs more than the block.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

/// Buffers of one length, and how many are in use.
#[derive(Debug)]
pub(super) struct Pool {
    length: usize,
    /// Buffers that are kept while nobody uses them.
    keep: usize,
    /// Buffers in use from which on takers are asked to wait.
    most: usize,
    free: Mutex<Vec<Box<[u8]>>>,
    out: AtomicUsize,
    back: Notify,
}

/// A buffer until it is dropped, by whoever holds the last of its bytes.
pub(super) struct Lease {
    buffer: Box<[u8]>,
    filled: usize,
    pool: Arc<Pool>,
}

/// How long somebody waits for a buffer to come back before taking one more:
/// bytes that a caller keeps for itself must not stop a node.
const PATIENCE: Duration = Duration::from_millis(50);

impl Pool {
    pub(super) fn new(length: usize, keep: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            length,
            keep,
            most,
            free: Mutex::default(),
            out: AtomicUsize::new(0),
            back: Notify::new(),
        })
    }

    /// Returns a buffer, whose bytes mean nothing.
    pub(super) fn take(self: &Arc<Self>) -> Lease {
        self.out.fetch_add(1, Ordering::Relaxed);
        // A panic cannot leave half a buffer in the list.
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Lease {
            buffer: free.unwrap_or_else(|| vec![0; self.length].into()),
            filled: 0,
            pool: self.clone(),
        }
    }

    /// Waits while too many buffers are in use.
    pub(super) async fn room(&self) {
        while self.out.load(Ordering::Relaxed) >= self.most {
            let back = self.back.notified();
            if self.out.load(Ordering::Relaxed) < self.most
                || tokio::time::timeout(PATIENCE, back).await.is_err()
            {
                return;
            }
        }
    }
}

impl Lease {
    /// Returns all of the buffer, to be filled from the front.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Returns what was filled, to be lent in slices.
    pub(super) fn freeze(mut self, filled: usize) -> Bytes {
        self.filled = filled.min(self.buffer.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let before = self.pool.out.fetch_sub(1, Ordering::Relaxed);
        let buffer = std::mem::take(&mut self.buffer);
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.pool.keep {
            free.push(buffer);
        }
        drop(free);
        if before >= self.pool.most {
            self.pool.back.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_last_slice() {
        let pool = Pool::new(100, 1, 10);
        let mut lease = pool.take();
        lease.room()[..3].copy_from_slice(b"abc");
        let whole = lease.freeze(3);
        let slice = whole.slice(1..);
        drop(whole);
        assert_eq!(
            (&slice[..], pool.out.load(Ordering::Relaxed)),
            (&b"bc"[..], 1)
        );
        drop((slice, pool.take()));
        assert_eq!(pool.out.load(Ordering::Relaxed), 0);
        assert_eq!(pool.free.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn takers_wait_but_not_for_ever() {
        let pool = Pool::new(100, 1, 1);
        let lease = pool.take();
        let waits = tokio::spawn({
            let pool = pool.clone();
            async move { pool.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(lease);
        waits.await.unwrap();
        let _kept = pool.take();
        pool.room().await;
    }
}
