//! What was verified before a stop or a kill is not fetched again.

use std::io;
use std::sync::{Condvar, Mutex};

use bytes::Bytes;
use gt_vfs::{ContentId, Entry, ReadAt, VPath, Verdict, WriteAt};
use gt_wire::net::AddError;

use super::*;

/// Starts to fetch, and cuts the seed off after some pieces.
async fn begin(info: &Info, leech: &mut Peer, store: Arc<dyn Vfs>, pieces: u32) -> TorrentId {
    let seed = Peer::start(options(0));
    seed.add(info, Arc::new(original())).await;
    let torrent = leech.add(info, store).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech
        .until(|event| match event {
            Event::Progress { have, .. } if *have >= pieces => Some(()),
            _ => None,
        })
        .await;
    drop(seed);
    torrent
}

async fn finish(info: &Info, options: Options, store: Arc<dyn Vfs>) -> (u32, u64) {
    let seed = Peer::start(super::options(8));
    seed.add(info, Arc::new(original())).await;
    let mut leech = Peer::start(options);
    let torrent = leech.add(info, store).await;
    let before = leech.node.stats(torrent).await.unwrap();
    leech.node.add_peers(torrent, &[seed.addr]);
    if !before.complete {
        leech.complete().await;
    }
    let after = leech.node.stats(torrent).await.unwrap();
    assert!(after.complete);
    (before.have, after.totals.downloaded)
}

/// Stops in the middle and goes on; `flush` stops in good order, otherwise
/// the node is dropped as a kill would.
async fn stop_and_go_on(version: Version, flush: bool, notes: bool) {
    let info = plan(version);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = |n| {
        let options = options(n);
        match notes {
            true => options.resume(folder.path().join("notes")),
            false => options,
        }
    };
    let store = || Arc::new(Folder::open(&data).unwrap());
    let mut leech = Peer::start(start(1));
    let torrent = begin(&info, &mut leech, store(), 9).await;
    let had = leech.node.stats(torrent).await.unwrap().have;
    if flush {
        leech.node.shutdown().await;
    }
    drop(leech);
    // The dropped node's last writes may still be under way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (have, fetched) = finish(&info, start(2), store()).await;
    let total: usize = LENGTHS.iter().sum();
    let piece = info.geometry().piece_length();
    assert!(have >= had.min(9), "{have} of {had} pieces are left");
    // The last piece of a file is short; none is fetched twice.
    let most = total as u64 - u64::from(have.saturating_sub(5)) * piece;
    assert!(fetched <= most, "fetched {fetched}, at most {most}");
    assert!(contents(&*store()) == contents(&original()));
    let (have, fetched) = finish(&info, start(3), store()).await;
    assert_eq!((have, fetched), (info.geometry().pieces(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_with_notes() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        stop_and_go_on(version, true, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_and_without_notes() {
    for version in [Version::V1, Version::V2] {
        stop_and_go_on(version, false, true).await;
        stop_and_go_on(version, false, false).await;
    }
}

/// Notes of pieces that are gone from the disk count for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_without_files_claim_nothing() {
    let info = plan(Version::V1);
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let data = folder.path().join("data");
    let mut leech = Peer::start(options(1).resume(&notes));
    let store = Arc::new(Folder::open(&data).unwrap());
    begin(&info, &mut leech, store, 9).await;
    leech.node.shutdown().await;
    assert_eq!(std::fs::read_dir(&notes).unwrap().count(), 1);
    std::fs::remove_dir_all(&data).unwrap();
    let store = || Arc::new(Folder::open(&data).unwrap());
    let (have, _) = finish(&info, options(2).resume(&notes), store()).await;
    assert_eq!(have, 0);
    assert!(contents(&*store()) == contents(&original()));
}

/// A clone's files count wherever they came from; a file of other content
/// that lies in the way is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_lie_there() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let info = plan(version);
        let node = Node::start(options(1)).unwrap();
        let there = original();
        let torrent = node.add(Torrent::new(&info, Arc::new(there.clone()))).await;
        assert!(node.stats(torrent.unwrap()).await.unwrap().complete);
        let again = node.add(Torrent::new(&info, Arc::new(there.clone()))).await;
        assert!(matches!(again, Err(AddError::Twice)));
        let mut other = sample(0, LENGTHS[0]);
        other[400_000] ^= 1;
        for bytes in [other, vec![1; 10]] {
            there.insert(vpath("dir0/0.bin"), bytes.clone());
            let node = Node::start(options(2)).unwrap();
            let refused = node.add(Torrent::new(&info, Arc::new(there.clone()))).await;
            assert!(
                matches!(refused, Err(AddError::Occupied { .. })),
                "{refused:?}"
            );
            let kept = contents(&there);
            assert!(kept.iter().any(|(_, kept)| *kept == bytes));
        }
    }
}

/// A copy of the folder at any moment of a download, notes and all, is as
/// good as a kill at that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_at_any_moment_goes_on() {
    let info = plan(Version::V2);
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let mut leech = Peer::start(options(1).resume(live.join("notes")));
    let store = Arc::new(Folder::open(live.join("data")).unwrap());
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let torrent = leech.add(&info, store).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    let mut copies = vec![];
    for have in [1, 8, 20] {
        leech
            .until(|event| match event {
                Event::Progress { have: now, .. } if *now >= have => Some(()),
                Event::Complete { .. } => Some(()),
                _ => None,
            })
            .await;
        let to = folder.path().join(format!("copy{have}"));
        // The notes of a moment never speak of later files.
        copy(&live.join("notes"), &to.join("notes"));
        copy(&live.join("data"), &to.join("data"));
        copies.push(to);
    }
    drop(leech);
    for (n, to) in copies.into_iter().enumerate() {
        let store = Arc::new(Folder::open(to.join("data")).unwrap());
        let options = options(20 + n as u8).resume(to.join("notes"));
        finish(&info, options, store.clone()).await;
        assert!(contents(&*store) == contents(&original()));
    }
}

/// Notes of whole files hold only while the files are as they were noted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_changed_behind_our_back_is_noticed() {
    let info = plan(Version::V1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let notes = folder.path().join("notes");
    let store = || Arc::new(Folder::open(&data).unwrap());
    {
        let mut leech = Peer::start(options(1).resume(&notes));
        let torrent = begin(&info, &mut leech, store(), 1).await;
        let seed = Peer::start(options(5));
        seed.add(&info, Arc::new(original())).await;
        leech.node.add_peers(torrent, &[seed.addr]);
        if !leech.node.stats(torrent).await.unwrap().complete {
            leech.complete().await;
        }
        leech.node.shutdown().await;
    }
    // Untouched, it is believed; the same bytes written again are hashed.
    let path = data.join("dir0/0.bin");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let (have, fetched) = finish(&info, options(2).resume(&notes), store()).await;
    assert_eq!((have, fetched), (info.geometry().pieces(), 0));
    // Other bytes of the same length are no longer the torrent's.
    let mut other = bytes;
    other[500_000] ^= 1;
    std::fs::write(&path, &other).unwrap();
    let node = Node::start(options(3).resume(&notes)).unwrap();
    let refused = node.add(Torrent::new(&info, store())).await;
    assert!(
        matches!(refused, Err(AddError::Occupied { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), other);
}

/// Notes of pieces of a file that is not whole hold only while nobody writes to
/// it, be it one byte of one piece.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partial_file_changed_behind_our_back_is_noticed() {
    let info = plan(Version::V1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let notes = folder.path().join("notes");
    let store = || Arc::new(Folder::open(&data).unwrap());
    // Slow enough not to be done before it is stopped.
    let mut slow = options(1).resume(&notes);
    slow.limits.down = Some(1 << 20);
    let mut leech = Peer::start(slow);
    begin(&info, &mut leech, store(), 9).await;
    leech.node.shutdown().await;
    drop(leech);
    let path = data.join(".gt-partial/dir0/0.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    let second = info.geometry().piece_length() as usize + 10_000;
    assert!(
        bytes[second..second + 8] != [0; 8],
        "the second piece is here"
    );
    bytes[second] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (have, _) = finish(&info, options(2).resume(&notes), store()).await;
    assert!(have >= 8, "{have} pieces are still right");
    assert!(
        contents(&*store()) == contents(&original()),
        "what somebody wrote was taken for what had come"
    );
}

/// A disk on which syncing waits until it is let.
struct Stuck {
    folder: Folder,
    free: Arc<(Mutex<bool>, Condvar)>,
}

struct StuckFile {
    file: Box<dyn WriteAt>,
    free: Arc<(Mutex<bool>, Condvar)>,
}

impl Vfs for Stuck {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.folder.list()
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        self.folder.open(path)
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        Ok(Box::new(StuckFile {
            file: self.folder.create(path, size)?,
            free: self.free.clone(),
        }))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        self.folder.remove(path)
    }
}

impl ReadAt for StuckFile {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }

    fn lend(&self, offset: u64, length: usize) -> Option<Bytes> {
        self.file.lend(offset, length)
    }

    fn id(&self) -> Option<ContentId> {
        self.file.id()
    }
}

impl WriteAt for StuckFile {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)
    }

    fn verified(&self, offset: u64, length: u64) {
        self.file.verified(offset, length);
    }

    fn reader(&self) -> io::Result<Box<dyn ReadAt>> {
        self.file.reader()
    }

    fn sync(&self) -> io::Result<()> {
        let (free, told) = &*self.free;
        let free = free.lock().unwrap();
        drop(
            told.wait_timeout_while(free, PATIENCE, |free| !*free)
                .unwrap(),
        );
        self.file.sync()
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        self.file.close()
    }
}

/// Layers that peers told of are there after a kill however long the disk
/// takes to sync: without them what has come could not be checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_do_not_wait_for_a_slow_disk() {
    let info = Info::read(plan(Version::V2).raw()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let notes = folder.path().join("notes");
    let free = Arc::new((Mutex::new(false), Condvar::new()));
    let store = Stuck {
        folder: Folder::open(&data).unwrap(),
        free: free.clone(),
    };
    let mut leech = Peer::start(options(1).resume(&notes));
    begin(&info, &mut leech, Arc::new(store), 20).await;
    // Layers that come one after the other share a note.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // As a kill would leave it.
    let copied = folder.path().join("copy");
    copy(&notes, &copied.join("notes"));
    copy(&data, &copied.join("data"));
    *free.0.lock().unwrap() = true;
    free.1.notify_all();
    drop(leech);
    let again = Peer::start(options(2).resume(copied.join("notes")));
    let store = Arc::new(Folder::open(copied.join("data")).unwrap());
    let torrent = again.add(&info, store).await;
    let have = again.node.stats(torrent).await.unwrap().have;
    assert!(have >= 20, "{have} of 20 pieces are left");
}
