//! Hashing pieces: while the bytes are in cache, on every core.

mod sha1;

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::geometry::{Block, FileIndex, Geometry, Layer, PieceHash, PieceIndex};
use crate::swarm::Digests;
use gt_vfs::content::{self, BLOCK, Hash, TreeHasher};
use gt_vfs::{ReadAt, Vfs};

use self::sha1::Sha1;

/// Bytes that are read at a time: they stay in the nearest caches until both
/// hashes have seen them.
const READ: usize = 8 * BLOCK;

/// Bytes of pieces that one thread takes on at a time.
const RUN: u64 = 4 << 20;

/// Which hashes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The SHA-1 of the piece.
    pub(crate) sha1: bool,
    /// The SHA-256 of each block.
    pub(crate) leaves: bool,
}

/// Room for the bytes that are being hashed; one for each thread.
pub(crate) struct Scratch(Box<[u8]>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(vec![0; READ].into())
    }

    /// Returns no room, where nothing will be read.
    pub(crate) fn none() -> Self {
        Self(Box::default())
    }
}

/// The hashes of a piece as far as its bytes have come, in order.
pub(crate) struct Running {
    whole: Option<Sha1>,
    tree: Option<TreeHasher>,
    at: u32,
}

impl Running {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            whole: wanted.sha1.then(Sha1::new),
            tree: wanted.leaves.then(TreeHasher::new),
            at: 0,
        }
    }

    /// Tells whether it makes the wanted hashes and no others.
    pub(crate) fn sees(&self, wanted: Wanted) -> bool {
        self.whole.is_some() == wanted.sha1 && self.tree.is_some() == wanted.leaves
    }

    /// Returns how many bytes of the piece it has seen.
    pub(crate) fn at(&self) -> u32 {
        self.at
    }

    /// Takes bytes of a file, or as many zeros of padding.
    fn take(&mut self, bytes: &[u8], padding: bool) {
        self.at += bytes.len() as u32;
        if let Some(whole) = &mut self.whole {
            whole.update(bytes);
        }
        if let Some(tree) = self.tree.as_mut().filter(|_| !padding) {
            tree.update(bytes);
        }
    }

    /// Takes the bytes of a block that begins where the last one ended.
    /// Padding counts as zeros, whatever came in its place: it is stored
    /// nowhere.
    pub(crate) fn feed(&mut self, geometry: &Geometry, block: Block, bytes: &[u8]) {
        let mut rest = bytes;
        for span in geometry.spans(block) {
            let Some((now, later)) = rest.split_at_checked(span.length as usize) else {
                return;
            };
            rest = later;
            if geometry.file(span.file).is_some_and(|f| f.padding) {
                for zeros in now.chunks(ZEROS.len()) {
                    self.take(&ZEROS[..zeros.len()], true);
                }
            } else {
                self.take(now, false);
            }
        }
    }

    /// Reads what is missing up to the end of the piece.
    pub(crate) fn finish(
        mut self,
        geometry: &Geometry,
        piece: PieceIndex,
        scratch: &mut Scratch,
        mut read: impl FnMut(FileIndex, u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<Digests> {
        let whole = geometry.whole(piece);
        let rest = Block {
            offset: self.at,
            length: whole.length - self.at.min(whole.length),
            ..whole
        };
        for span in geometry.spans(rest) {
            let padding = geometry.file(span.file).is_some_and(|f| f.padding);
            if padding && self.whole.is_none() {
                continue;
            }
            let mut done = 0;
            while done < span.length {
                let length = (span.length - done).min(scratch.0.len() as u64) as usize;
                let chunk = &mut scratch.0[..length];
                if padding {
                    chunk.fill(0);
                } else {
                    read(span.file, span.offset + done, chunk)?;
                }
                self.take(chunk, padding);
                done += length as u64;
            }
        }
        Ok(Digests {
            sha1: self.whole.map(Sha1::finish),
            leaves: self
                .tree
                .map_or_else(Vec::new, |tree| tree.finish().leaves().to_vec()),
        })
    }
}

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Hashes a piece whose bytes `read` gives, padding left out.
pub(crate) fn piece(
    geometry: &Geometry,
    piece: PieceIndex,
    wanted: Wanted,
    scratch: &mut Scratch,
    read: impl FnMut(FileIndex, u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Digests> {
    Running::new(wanted).finish(geometry, piece, scratch, read)
}

/// Returns the node of the tree above a piece.
pub(crate) fn node(geometry: &Geometry, piece: PieceIndex, leaves: &[Hash]) -> Hash {
    content::merkle(leaves, geometry.tree_width(piece), [0; 32])
}

/// What a piece is checked against, and the hashes that takes; `None` where
/// it is not known yet.
pub(crate) struct Expected {
    sha1: Option<[u8; 20]>,
    layer: Option<Hash>,
}

impl Expected {
    pub(crate) fn of(geometry: &Geometry, piece: PieceIndex) -> Option<Self> {
        let (sha1, layer) = match geometry.piece_hash(piece)? {
            PieceHash::V1(sha1) => (Some(sha1), None),
            PieceHash::V2(Layer::Known(layer)) => (None, Some(layer)),
            PieceHash::V2(Layer::Unknown) => return None,
            PieceHash::Hybrid { sha1, layer } => match layer {
                Layer::Known(layer) => (Some(sha1), Some(layer)),
                Layer::Unknown => (Some(sha1), None),
            },
        };
        Some(Self { sha1, layer })
    }

    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            sha1: self.sha1.is_some(),
            leaves: self.layer.is_some(),
        }
    }

    /// Tells whether a piece is what was expected.
    pub(crate) fn fits(&self, geometry: &Geometry, piece: PieceIndex, digests: &Digests) -> bool {
        let node = |layer| node(geometry, piece, &digests.leaves) == layer;
        self.sha1 == digests.sha1 && self.layer.is_none_or(node)
    }
}

/// Whole files as one thread reads them: the last one stays open.
pub(crate) struct Reader<'a> {
    vfs: &'a dyn Vfs,
    geometry: &'a Geometry,
    open: Option<(FileIndex, Box<dyn ReadAt>)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(vfs: &'a dyn Vfs, geometry: &'a Geometry) -> Self {
        Self {
            vfs,
            geometry,
            open: None,
        }
    }

    pub(crate) fn read(&mut self, file: FileIndex, at: u64, buf: &mut [u8]) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            let entry = self.geometry.file(file).ok_or(io::ErrorKind::NotFound)?;
            self.open = Some((file, self.vfs.open(&entry.path)?));
        }
        match &self.open {
            Some((_, reader)) => reader.read_exact_at(at, buf),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Returns how many threads are of use here.
pub(crate) fn cores() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .clamp(1, 32)
}

/// Does some work for each of `pieces`, on `threads` threads that each have
/// what `begin` makes; `tell` hears how many are done. The results come in
/// the order of the pieces; the first error in time ends it.
pub(crate) fn each<S, T: Send, E: Send>(
    geometry: &Geometry,
    pieces: &[u32],
    threads: usize,
    begin: impl Fn() -> S + Sync,
    work: impl Fn(PieceIndex, &mut S) -> Result<T, E> + Sync,
    tell: &mut dyn FnMut(usize),
) -> Result<Vec<T>, E> {
    let run = (RUN / geometry.piece_length().max(1)).clamp(1, 256) as usize;
    let runs = pieces.len().div_ceil(run);
    let threads = threads.clamp(1, runs.max(1));
    let (next, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let (send, results) = mpsc::sync_channel(2 * threads);
    let labour = |send: mpsc::SyncSender<_>| {
        let mut own = begin();
        while !over.load(Ordering::Relaxed) {
            let n = next.fetch_add(1, Ordering::Relaxed) as usize;
            let Some(some) = pieces.chunks(run).nth(n) else {
                return;
            };
            let mut done = Vec::with_capacity(some.len());
            let mut failed = None;
            for piece in some {
                match work(PieceIndex(*piece), &mut own) {
                    Ok(result) => done.push(result),
                    Err(e) => {
                        failed = Some(e);
                        over.store(true, Ordering::Relaxed);
                        break;
                    }
                }
            }
            let result = failed.map_or(Ok((n, done)), Err);
            if send.send(result).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            let send = send.clone();
            scope.spawn(|| labour(send));
        }
        // Only the workers hold on to it: if they all end, so does the wait.
        drop(send);
        let mut parts: Vec<Option<Vec<T>>> = (0..runs).map(|_| None).collect();
        let mut done = 0;
        for _ in 0..runs {
            match results.recv() {
                Ok(Ok((n, part))) => {
                    done += part.len();
                    tell(done);
                    parts[n] = Some(part);
                }
                Ok(Err(e)) => {
                    // Nobody may wait for room in the channel.
                    drop(results);
                    return Err(e);
                }
                // A worker panicked; the scope passes it on.
                Err(_) => break,
            }
        }
        Ok(parts.into_iter().flatten().flatten().collect())
    })
}
