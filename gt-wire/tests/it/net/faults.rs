//! Peers that lie, publishers who do, disks that refuse.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use gt_vfs::{ContentId, Entry, ReadAt, WriteAt};
use gt_wire::bitfield::Bitfield;
use gt_wire::resume::Resume;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Files of which every read has one wrong bit.
struct Lying(Memory);

struct LyingFile(Box<dyn ReadAt>);

impl Vfs for Lying {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.0.list()
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(LyingFile(self.0.open(path)?)))
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        self.0.create(path, size)
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        self.0.remove(path)
    }
}

impl ReadAt for LyingFile {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(offset, buf)?;
        if let Some(first) = buf.first_mut().filter(|_| read > 0) {
            *first ^= 0x10;
        }
        Ok(read)
    }

    fn lend(&self, _offset: u64, _length: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

/// Starts a seed that believes its own notes and serves wrong bytes.
async fn liar(info: &Info, folder: &Path) -> Peer {
    sure(info, folder, Arc::new(Lying(original()))).await
}

/// Starts a seed that believes its own notes, whatever its files hold.
async fn sure(info: &Info, folder: &Path, vfs: Arc<dyn Vfs>) -> Peer {
    let geometry = info.geometry();
    let files = (0..geometry.files().len() as u32).map(gt_wire::FileIndex);
    let layers: BTreeMap<_, _> = files
        .clone()
        .filter_map(|f| Some((f, geometry.layer(f)?.to_vec())))
        .collect();
    let info_hash = info.info_hashes()[0];
    let resume = Resume {
        info_hash,
        pieces: Bitfield::full(geometry.pieces()),
        modified: Default::default(),
        closed: files.collect(),
        layers,
    };
    std::fs::write(folder.join(format!("{info_hash}.resume")), resume.write()).unwrap();
    let peer = Peer::start(options(66).resume(folder));
    peer.add(info, vfs).await;
    peer
}

/// A hybrid whose v1 half promises other bytes than its v2 half: peers of the
/// one and of the other would fight for ever over who lies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v1_v2_divergent_torrent_condemned() {
    let mut bytes = Metainfo::new(plan(Version::Hybrid)).write();
    let key = b"6:pieces";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let colon = at + bytes[at..].iter().position(|b| *b == b':').unwrap();
    // The first hash of the v1 half.
    bytes[colon + 1] ^= 1;
    let divergent = Metainfo::read(&bytes).unwrap().info;
    let folder = tempfile::tempdir().unwrap();
    // It serves the bytes of the v2 half, unchecked.
    let seed = sure(&divergent, folder.path(), Arc::new(original())).await;
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(&divergent, Arc::new(Memory::new())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    let why = leech
        .until(|event| match event {
            Event::Failed { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(why.contains("fits one half of the hybrid torrent"), "{why}");
    // The peer sent what it was asked for: the torrent is at fault.
    let stats = leech.node.stats(torrent).await.unwrap();
    assert!(stats.banned.is_empty() && !stats.complete);
}

async fn a_liar_is_banned(version: Version) {
    let info = plan(version);
    let folder = tempfile::tempdir().unwrap();
    let liar = liar(&info, folder.path()).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(&info, Arc::new(store.clone())).await;
    leech.node.add_peers(torrent, &[liar.addr]);
    let banned = leech
        .until(|event| match event {
            Event::Banned { addr, .. } => Some(*addr),
            _ => None,
        })
        .await;
    assert_eq!(banned, liar.addr);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
    let stats = leech.node.stats(torrent).await.unwrap();
    assert_eq!(stats.banned, [liar.addr]);
    assert!(stats.totals.wasted > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_banned_and_the_rest_complete() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        a_liar_is_banned(version).await;
    }
}

/// Files that refuse what they are told to refuse.
struct Judge {
    store: Memory,
    refuses: &'static str,
}

struct Judged {
    file: Box<dyn WriteAt>,
    refuse: bool,
}

impl Vfs for Judge {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.store.list()
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        self.store.open(path)
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        Ok(Box::new(Judged {
            file: self.store.create(path, size)?,
            refuse: *path == vpath(self.refuses),
        }))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        self.store.remove(path)
    }
}

impl ReadAt for Judged {
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

impl WriteAt for Judged {
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
        self.file.sync()
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        match self.refuse {
            true => Ok(Verdict::reject("expected a pack, got noise")),
            false => self.file.close(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_file_is_the_publishers_fault() {
    let info = plan(Version::V2);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    let judge = Judge {
        store: Memory::new(),
        refuses: "dir1/3.bin",
    };
    let mut leech = Peer::start(options(1));
    let torrent = leech.add(&info, Arc::new(judge)).await;
    leech.node.add_peers(torrent, &[seed.addr]);
    let mut rejected = None;
    let why = leech
        .until(|event| {
            if let Event::FileClosed { path, verdict, .. } = event
                && !verdict.is_accept()
            {
                rejected = Some(path.clone());
            }
            match event {
                Event::Failed { why, .. } => Some(why.clone()),
                _ => None,
            }
        })
        .await;
    assert_eq!(rejected, Some(vpath("dir1/3.bin")));
    assert!(why.contains("expected a pack, got noise"), "{why}");
    assert_eq!(leech.node.stats(torrent).await.unwrap().banned, []);
}

/// What a stranger at the door hears.
async fn knock(addr: SocketAddr, words: &[u8]) -> usize {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(words).await;
    let mut heard = vec![];
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard))
        .await
        .unwrap();
    heard.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_door_hear_nothing() {
    let info = plan(Version::V1);
    let seed = Peer::start(options(0));
    seed.add(&info, Arc::new(original())).await;
    assert_eq!(knock(seed.addr, b"GET / HTTP/1.1\r\n\r\n").await, 0);
    let shake = |hash: [u8; 20]| {
        [
            &b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0"[..],
            &hash,
            &[b'x'; 20],
        ]
        .concat()
    };
    assert_eq!(knock(seed.addr, &shake([1; 20])).await, 0);
    // One who knows the torrent is greeted; what breaks the protocol ends it.
    let mut words = shake(info.info_hashes()[0].0);
    words.extend([0xff; 64]);
    assert!(knock(seed.addr, &words).await >= 68);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named() {
    let first = Peer::start(options(0));
    let error = Node::start(Options::new([1; 32]).listen(first.addr)).unwrap_err();
    assert!(
        error.to_string().contains(&first.addr.to_string()),
        "{error}"
    );
    first.node.shutdown().await;
    let late = first
        .node
        .add(Torrent::topic(gt_wire::InfoHash([1; 20])))
        .await;
    assert!(late.is_err());
}

/// A seed whose file somebody edits in place refuses what it had verified
/// before, and is no liar.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_file_is_not_given() {
    for version in [Version::V1, Version::V2] {
        let info = plan(version);
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in contents(&original()) {
            let at = folder.path().join(path.to_string());
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(&at, bytes).unwrap();
            let long_ago = std::time::SystemTime::now() - Duration::from_secs(60);
            let file = std::fs::File::options().write(true).open(&at).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        let mut edited = Peer::start(options(0));
        let store = Arc::new(Folder::open(folder.path()).unwrap());
        edited.add(&info, store).await;
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join("dir0/0.bin"))
            .unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"edited", 100_000).unwrap();

        let mut leech = Peer::start(options(1));
        let store = Memory::new();
        let torrent = leech.add(&info, Arc::new(store.clone())).await;
        leech.node.add_peers(torrent, &[edited.addr]);
        let why = edited
            .until(|event| match event {
                Event::Stalled { why, .. } => Some(why.clone()),
                _ => None,
            })
            .await;
        assert!(why.contains("written to"), "{why}");
        // What others have of it is all that is missing.
        let seed = Peer::start(options(2));
        seed.add(&info, Arc::new(original())).await;
        leech.node.add_peers(torrent, &[seed.addr]);
        leech
            .until(|event| match event {
                Event::Banned { addr, why, .. } => panic!("{addr} was banned: {why}"),
                Event::Complete { .. } => Some(()),
                _ => None,
            })
            .await;
        assert!(contents(&store) == contents(&original()));
    }
}
