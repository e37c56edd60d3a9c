//! What a store learns of a file before it is closed, and what peers get of it
//! while it is.

use std::io;
use std::sync::{Condvar, Mutex};

use bytes::Bytes;
use gt_vfs::{ContentId, Entry, ReadAt, WriteAt};
use gt_wire::net::Limits;

use super::*;

/// A store whose files take as long to close as the test says, and which writes
/// down what it is told.
#[derive(Clone)]
struct Watched {
    store: Memory,
    free: Arc<(Mutex<bool>, Condvar)>,
    told: Arc<Mutex<Vec<Told>>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Created(String),
    Verified(String, u64, u64),
    Closed(String),
}

impl Watched {
    fn new(free: bool) -> Self {
        Self {
            store: Memory::new(),
            free: Arc::new((Mutex::new(free), Condvar::new())),
            told: Arc::default(),
        }
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Which bytes of a file it was told of, in which order the first time.
    fn parts(&self, name: &str) -> Vec<(u64, u64)> {
        let told = self.told().into_iter();
        let mut parts = vec![];
        for told in told {
            if let Told::Verified(path, offset, length) = told
                && path == name
                && !parts.contains(&(offset, length))
            {
                parts.push((offset, length));
            }
        }
        parts
    }
}

struct WatchedFile {
    file: Box<dyn WriteAt>,
    name: String,
    watched: Watched,
}

impl Vfs for Watched {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.store.list()
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        self.store.open(path)
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        let name = path.to_string();
        self.told.lock().unwrap().push(Told::Created(name.clone()));
        Ok(Box::new(WatchedFile {
            file: self.store.create(path, size)?,
            name,
            watched: self.clone(),
        }))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        self.store.remove(path)
    }
}

impl ReadAt for WatchedFile {
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

impl WriteAt for WatchedFile {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)
    }

    fn verified(&self, offset: u64, length: u64) {
        let told = Told::Verified(self.name.clone(), offset, length);
        self.watched.told.lock().unwrap().push(told);
    }

    fn reader(&self) -> io::Result<Box<dyn ReadAt>> {
        self.file.reader()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        let (free, told) = &*self.watched.free;
        let free = free.lock().unwrap();
        drop(
            told.wait_timeout_while(free, PATIENCE, |free| !*free)
                .unwrap(),
        );
        let told = Told::Closed(self.name.clone());
        self.watched.told.lock().unwrap().push(told);
        self.file.close()
    }
}

/// An import may take many seconds; nobody waits for it who only wants the
/// bytes, neither peers nor other torrents of the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_being_closed_is_served() {
    for version in [Version::V1, Version::V2] {
        let info = plan(version);
        let seed = Peer::start(options(0));
        seed.add(&info, Arc::new(original())).await;
        let slow = Watched::new(false);
        let middle = Peer::start(options(1));
        let torrent = middle.add(&info, Arc::new(slow.clone())).await;
        let mut last = Peer::start(options(2));
        let store = Memory::new();
        let behind = last.add(&info, Arc::new(store.clone())).await;
        // It knows nobody but the one that never ends closing.
        last.node.add_peers(behind, &[middle.addr]);
        middle.node.add_peers(torrent, &[seed.addr]);
        last.complete().await;
        assert!(contents(&store) == contents(&original()));
        // The loop of the node did not stand still either.
        let stats = timeout(PATIENCE, middle.node.stats(torrent)).await;
        let stats = stats.unwrap().unwrap();
        assert!(stats.have == stats.pieces && !stats.complete);
        let closed = |told: &Told| matches!(told, Told::Closed(_));
        assert!(!slow.told().iter().any(closed), "closed before its time");
        *slow.free.0.lock().unwrap() = true;
        slow.free.1.notify_all();
    }
}

/// Of seeds alone, a file comes from its beginning to its end, and its store
/// is told of each part before it is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_told_what_is_verified_in_order() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let info = plan(version);
        let seed = Peer::start(options(0));
        seed.add(&info, Arc::new(original())).await;
        let store = Watched::new(true);
        let mut leech = Peer::start(options(1));
        let torrent = leech.add(&info, Arc::new(store.clone())).await;
        leech.node.add_peers(torrent, &[seed.addr]);
        leech.complete().await;
        for entry in store.list().unwrap() {
            let name = entry.path.to_string();
            let parts = store.parts(&name);
            let mut sorted = parts.clone();
            sorted.sort_unstable();
            let mut end = 0;
            for (offset, length) in &sorted {
                assert_eq!(*offset, end, "{name}: {sorted:?}");
                end += length;
            }
            // What is told when the file is closed already says nothing new.
            assert!(end <= entry.size && end >= entry.size / 2 || entry.size < 400_000);
            // Pieces of one window may overtake each other.
            let far = parts.iter().zip(&sorted);
            let far = far.filter(|(a, b)| a.0.abs_diff(b.0) > 12 * (32 << 10));
            assert_eq!(far.count(), 0, "{name}: {parts:?}");
        }
        let told = store.told();
        for (n, event) in told.iter().enumerate() {
            if let Told::Verified(name, ..) = event {
                let closed = Told::Closed(name.clone());
                assert!(!told[..n].contains(&closed), "{name}: told too late");
            }
        }
    }
}

/// A writer that comes after a stop is told of what was there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_told_again_after_a_stop() {
    let info = plan(Version::V2);
    let store = Watched::new(true);
    {
        let seed = Peer::start(options(0));
        seed.add(&info, Arc::new(original())).await;
        // Slow enough that the first file is not whole when it stops.
        seed.node.limit(Limits {
            up: Some(600_000),
            ..Limits::default()
        });
        let mut leech = Peer::start(options(1));
        let torrent = leech.add(&info, Arc::new(store.clone())).await;
        leech.node.add_peers(torrent, &[seed.addr]);
        leech
            .until(|event| match event {
                Event::Progress { have, .. } if *have >= 5 => Some(()),
                _ => None,
            })
            .await;
        leech.node.shutdown().await;
    }
    let first = "dir0/0.bin";
    let known = store.parts(first);
    assert!(!known.is_empty());
    assert!(!store.told().contains(&Told::Closed(first.into())));
    store.told.lock().unwrap().clear();
    let seed = Peer::start(options(2));
    seed.add(&info, Arc::new(original())).await;
    let mut leech = Peer::start(options(3));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    let parts = store.parts(first);
    assert!(
        known.iter().all(|part| parts.contains(part)),
        "{known:?} {parts:?}"
    );
}
