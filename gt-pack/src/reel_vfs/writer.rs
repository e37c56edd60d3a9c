//! A reel on its way in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use gt_vfs::{ContentId, ReadAt, Verdict, WriteAt};

use super::Inner;
use crate::chain::{read_inside, sync_folder};
use crate::import::{self, Broken, Expected, Reason};
use crate::spool::Spool;

pub(super) struct Writer {
    inner: Arc<Inner>,
    place: usize,
    file: File,
    size: u64,
}

impl Writer {
    pub(super) fn open(inner: Arc<Inner>, place: usize) -> io::Result<Self> {
        let reel = &inner.reels[place];
        std::fs::create_dir_all(&inner.partial)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(inner.partial(reel))?;
        let size = reel.length;
        if file.metadata()?.len() != size {
            file.set_len(size)?;
        }
        sync_folder(&inner.partial)?;
        Ok(Self {
            inner,
            place,
            file,
            size,
        })
    }
}

impl ReadAt for Writer {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_inside(&self.file, self.size, offset, buf)
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl WriteAt for Writer {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match offset.checked_add(data.len() as u64) {
            Some(end) if end <= self.size => self.file.write_all_at(data, offset).map_err(|e| {
                let path = self.inner.partial(&self.inner.reels[self.place]);
                io::Error::new(e.kind(), format!("{}: {e}", path.display()))
            }),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "expected a write inside of {} bytes, got {} at {offset}",
                    self.size,
                    data.len()
                ),
            )),
        }
    }

    fn verified(&self, offset: u64, length: u64) {
        let (arrivals, place) = (&self.inner.arrivals, self.place);
        arrivals.verified(place, &self.file, self.size, offset, length);
    }

    fn reader(&self) -> io::Result<Box<dyn ReadAt>> {
        // An open file outlives its name, which the import takes away.
        Ok(Box::new(Spool::new(self.file.try_clone()?)?))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        let inner = &self.inner;
        let newest = self.place + 1 == inner.reels.len();
        let expected = Expected {
            reel: inner.reels[self.place].clone(),
            earlier: inner.reels[..self.place].to_vec(),
            refs: inner.refs.clone().filter(|_| newest),
            head: inner.head.clone().filter(|_| newest),
        };
        let arrival = inner.arrivals.whole(self.place);
        let outcome = {
            // One import after the other, each on a view of its own: others go
            // on reading and writing reels meanwhile.
            let mut gate = inner.gate.lock().unwrap_or_else(|e| e.into_inner());
            let mut chain = inner.chain().clone();
            let (gate, progress) = (&mut **gate, &*inner.progress);
            match arrival {
                Some(arrival) => {
                    import::arrived(&mut chain, &*self, arrival, &expected, gate, progress)
                }
                None => import::reel(&mut chain, &*self, &expected, gate, &inner.limits, progress),
            }
        };
        let verdict = match outcome {
            Ok(_) => {
                inner.chain().refresh()?;
                Verdict::Accept
            }
            // The bytes are the statement's; it is the person who may yet
            // want them.
            Err(import::Error::Reject(reason @ Reason::Fsck { .. })) => {
                return Ok(Verdict::reject(reason.to_string()));
            }
            Err(import::Error::Reject(reason)) => Verdict::reject(reason.to_string()),
            Err(import::Error::Broken(Broken::Io(e))) => return Err(e),
            Err(import::Error::Broken(Broken::Chain(e))) => return Err(e.into()),
            Err(e) => return Err(io::Error::other(e)),
        };
        if inner.keep_partial && verdict.is_accept() {
            return Ok(verdict);
        }
        match std::fs::remove_file(inner.partial(&expected.reel)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(verdict),
        }
    }
}
