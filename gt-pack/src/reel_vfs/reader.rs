//! A reel put together from where its bytes lie.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use gt_vfs::{ContentId, ReadAt, Root};

use super::Inner;
use crate::chain::{Chain, OnDisk};

pub(super) struct Reader {
    inner: Arc<Inner>,
    root: Root,
    size: u64,
    /// Where each begins in the reel; sorted. Replaced when packs are joined.
    parts: RwLock<Arc<Parts>>,
}

type Parts = Vec<(u64, Part)>;

enum Part {
    Bytes(Bytes),
    Pack {
        file: Arc<OnDisk>,
        begin: u64,
        length: u64,
    },
}

impl Part {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pack { length, .. } => *length,
        }
    }
}

impl Reader {
    /// Opens a reel of the chain; `None` where it is not held.
    pub(super) fn new(inner: &Arc<Inner>, chain: &Chain, root: &Root) -> Option<Self> {
        let parts = parts(chain, root)?;
        Some(Self {
            inner: Arc::clone(inner),
            root: *root,
            size: parts
                .last()
                .map_or(0, |(begin, part)| begin + part.length()),
            parts: RwLock::new(Arc::new(parts)),
        })
    }

    fn parts(&self) -> Arc<Parts> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&parts)
    }

    /// Looks where the reel lies now.
    fn look_again(&self) -> io::Result<Arc<Parts>> {
        let mut chain = self.inner.chain();
        chain.refresh()?;
        let found = parts(&chain, &self.root).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "the pack of this reel was taken away",
            )
        })?;
        let found = Arc::new(found);
        *self.parts.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&found);
        Ok(found)
    }
}

/// Returns the parts of a reel, if it is held.
fn parts(chain: &Chain, root: &Root) -> Option<Parts> {
    if !chain.holds(root) {
        return None;
    }
    let layout = chain.layout(root)?;
    let mut head = layout.header.clone();
    head.extend_from_slice(&layout.pack_header());
    let mut parts = vec![Part::Bytes(head.into())];
    for range in &layout.ranges {
        parts.push(Part::Pack {
            file: Arc::clone(chain.pack(&range.pack)?),
            begin: range.begin,
            length: range.length,
        });
    }
    let trailer = layout.trailer.as_bytes().to_vec();
    parts.push(Part::Bytes(trailer.into()));
    let mut at = 0;
    let parts = parts.into_iter().map(|part| {
        let begin = at;
        at += part.length();
        (begin, part)
    });
    Some(parts.collect())
}

impl ReadAt for Reader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size || buf.is_empty() {
            return Ok(0);
        }
        let mut parts = self.parts();
        for again in [false, true] {
            let after = parts.partition_point(|(begin, _)| *begin <= offset);
            let (begin, part) = &parts[after - 1];
            let inside = offset - begin;
            let left = usize::try_from(part.length() - inside).unwrap_or(usize::MAX);
            let want = buf.len().min(left);
            match part {
                Part::Bytes(bytes) => {
                    // `inside` is below the length of bytes in memory.
                    let from = inside as usize;
                    buf[..want].copy_from_slice(&bytes[from..from + want]);
                    return Ok(want);
                }
                // An open file outlives its name, but not this process: what
                // will be gone tomorrow is not offered today.
                Part::Pack { file, begin, .. } if again || file.is_there() => {
                    return file.read_at(begin + inside, &mut buf[..want]);
                }
                Part::Pack { .. } => parts = self.look_again()?,
            }
        }
        Ok(0)
    }

    fn lend(&self, offset: u64, length: usize) -> Option<Bytes> {
        let parts = self.parts();
        let after = parts.partition_point(|(begin, _)| *begin <= offset);
        let (begin, part) = parts.get(after.checked_sub(1)?)?;
        let Part::Bytes(bytes) = part else {
            return None;
        };
        let from = usize::try_from(offset - begin).ok()?;
        let to = from.checked_add(length).filter(|to| *to <= bytes.len())?;
        Some(bytes.slice(from..to))
    }

    fn id(&self) -> Option<ContentId> {
        Some(ContentId::Root(self.root))
    }
}
