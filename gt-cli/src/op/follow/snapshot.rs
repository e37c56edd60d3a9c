//! The torrent of one statement, and where its reels lie.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use gt_pack::chain::{Chain, Reel};
use gt_pack::import;
use gt_pack::reel_vfs::{self, ReelVfs};
use gt_trust::{Identity, Statement};
use gt_vfs::{ContentId, ObjectFormat, Root, Verdict, Vfs};
use gt_wire::net::{Torrent, TorrentId};
use gt_wire::{Info, PeerSource};

use super::{Options, make};
use crate::{convert, git};

/// One statement's files.
pub(super) struct Snapshot {
    pub(super) statement: Statement,
    pub(super) identity: Identity,
    pub(super) torrent: Option<TorrentId>,
    pub(super) complete: bool,
    reels: Vec<Reel>,
    vfs: Arc<dyn Vfs>,
    cache: Option<PathBuf>,
}

impl Snapshot {
    /// Opens the snapshot of `statement`; `before` is the statement that was
    /// held until now.
    pub(super) fn open(
        options: &Options,
        statement: &Statement,
        before: Option<&Statement>,
    ) -> Result<Self, Error> {
        let reels = convert::reels(statement);
        let common_dir = options.state.common_dir();
        let expected = convert::object_format(statement.object_format);
        if let Some(prepare) = &options.prepare {
            prepare(expected)?;
        }
        let partial = match &options.cache {
            Some(cache) => cache.join("reels"),
            None => options.state.partial(),
        };
        let mut how = reel_vfs::Options::new(
            reels.clone(),
            brought_newest_reel(statement, before).then(|| convert::refs(statement)),
            convert::head(statement),
            partial,
            Box::new(import::Open),
        );
        // Git removes the folder of a clone that was interrupted; what has
        // come stays in the person's cache until all is there.
        how.keep_partial = options.cache.is_some();
        let reel_vfs = ReelVfs::open(common_dir, how)?;
        let got = reel_vfs.format();
        if got != expected {
            return Err(Error::Format { expected, got });
        }
        Ok(Self {
            identity: statement.identity(),
            statement: statement.clone(),
            torrent: None,
            complete: false,
            reels,
            vfs: Arc::new(reel_vfs),
            cache: options.cache.clone(),
        })
    }

    /// Tells whether the files are the same as those of another snapshot, so
    /// that one torrent serves both.
    pub(super) fn has_files_of(&self, other: &Self) -> bool {
        self.reels == other.reels && self.statement.piece_length == other.statement.piece_length
    }

    /// Returns the first ref that names an object which no reel has: what the
    /// receiver holds outside of the chain must not make up for it.
    pub(super) fn ref_outside(&self, chain: &Chain) -> Result<Option<String>, Error> {
        let selection = chain.select(&self.reels)?;
        for line in &self.statement.refs {
            let inside = match convert::object_id(&line.oid) {
                Some(oid) => selection.contains(&oid)?,
                None => false,
            };
            if !inside {
                return Ok(Some(line.name.to_string()));
            }
        }
        Ok(None)
    }

    /// Tells whether every reel is here.
    pub(super) fn is_whole(&self) -> Result<bool, Error> {
        let held = self.vfs.list()?;
        Ok(self.reels.iter().all(|reel| {
            held.iter()
                .any(|entry| entry.id == Some(ContentId::Root(reel.root)))
        }))
    }

    /// Returns what the node is to exchange: the info dictionary follows from
    /// the statement. `None` where there is no reel at all.
    pub(super) fn torrent(
        &self,
        sources: &[Arc<dyn PeerSource>],
    ) -> Result<Option<Torrent>, Error> {
        if self.reels.is_empty() {
            return Ok(None);
        }
        let mut files = Vec::new();
        for reel in &self.reels {
            files.push((convert::reel_path(reel)?, reel.length, reel.root));
        }
        let name = data_encoding::HEXLOWER.encode(&self.statement.repository.topic());
        let info = Info::from_roots(name.as_bytes(), self.statement.piece_length, files)
            .map_err(|e| Error::Torrent(e.to_string()))?;
        let mut torrent = Torrent::new(&info, Arc::clone(&self.vfs));
        if let Some(content) = &mut torrent.content {
            // A thin reel can only be judged after those it stands on.
            content.close_in_order = true;
        }
        torrent.sources = sources.to_vec();
        Ok(Some(torrent))
    }

    /// Writes the newest reel, which came with its statement. Returns why it
    /// was rejected, if it was.
    pub(super) async fn put_last_reel(&self, bytes: Bytes) -> Result<Option<String>, Error> {
        let Some((last, before)) = self.reels.split_last() else {
            return Ok(None);
        };
        let held = self.vfs.list()?;
        let ready = before.iter().all(|reel| {
            held.iter()
                .any(|entry| entry.id == Some(ContentId::Root(reel.root)))
        });
        // What a peer sends beside a good statement may still be anything: it
        // is not the publisher's fault, and the reel comes by its pieces.
        if !ready || bytes.len() as u64 != last.length || Root::of(&bytes) != last.root {
            return Ok(None);
        }
        let path = convert::reel_path(last)?;
        let vfs = Arc::clone(&self.vfs);
        let size = last.length;
        let verdict = tokio::task::spawn_blocking(move || {
            let writer = vfs.create(&path, size)?;
            writer.write_at(0, &bytes)?;
            writer.close()
        })
        .await
        .map_err(|e| io::Error::other(e.to_string()))??;
        Ok(match verdict {
            Verdict::Accept => None,
            Verdict::Reject { why } => Some(why),
        })
    }

    /// Makes the reels that are not here out of objects that are, by the
    /// headers that came with their statement. Returns the names of those
    /// that were made.
    pub(super) async fn make(
        &self,
        common_dir: PathBuf,
        partial: PathBuf,
        headers: Bytes,
    ) -> Result<Vec<String>, Error> {
        let (vfs, reels) = (Arc::clone(&self.vfs), self.reels.clone());
        let text = self.statement.as_bytes().to_vec();
        let work = move || make::make(&common_dir, &partial, &*vfs, &reels, &text, &headers);
        let made = tokio::task::spawn_blocking(work).await;
        Ok(made.map_err(|e| io::Error::other(e.to_string()))??)
    }

    /// Returns the headers of all reels, in at most `most` bytes.
    pub(super) fn headers(&self, most: u64) -> Option<Bytes> {
        let most = usize::try_from(most).ok()?;
        make::headers_of(&*self.vfs, &self.reels, self.statement.as_bytes(), most)
    }

    /// Returns the bytes of a reel, where it is here.
    pub(super) fn read_reel(&self, n: usize) -> Option<Bytes> {
        let reel = self.reels.get(n)?;
        let file = self.vfs.open(&convert::reel_path(reel).ok()?).ok()?;
        let mut bytes = vec![0; usize::try_from(file.size()).ok()?];
        file.read_exact_at(0, &mut bytes).ok()?;
        Some(bytes.into())
    }

    /// The clone is whole: what waited for it is not needed any more.
    pub(super) fn clear_cached(&self) {
        if let Some(cache) = &self.cache {
            // Left-overs are found and removed the next time.
            let _ = std::fs::remove_dir_all(cache);
        }
    }
}

/// Tells whether a statement is the one that brought its newest reel, as far
/// as we can know: it is the first one, or the next one after what we held.
fn brought_newest_reel(statement: &Statement, before: Option<&Statement>) -> bool {
    match (statement.previous, before) {
        (None, _) => true,
        (Some(previous), Some(before)) => {
            previous == before.mark() && before.reels.len() < statement.reels.len()
        }
        (Some(_), None) => false,
    }
}

/// Why a snapshot cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The chain of reels.
    #[error(transparent)]
    Chain(#[from] gt_pack::chain::Error),
    /// A reel's name.
    #[error(transparent)]
    Path(#[from] gt_vfs::vpath::Error),
    /// The repository could not be made.
    #[error(transparent)]
    Prepare(#[from] git::Error),
    /// The repository cannot hold what the statement names.
    #[error("expected a repository of object format {expected}, as the statement says, got {got}")]
    Format {
        /// The statement's.
        expected: ObjectFormat,
        /// The repository's.
        got: ObjectFormat,
    },
    /// The statement makes no torrent.
    #[error("{0}")]
    Torrent(String),
}
