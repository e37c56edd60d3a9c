//! A store that judges what it is given: texts only.
//!
//! A [`Vfs`] is asked for its verdict when a file has come whole and right.
//! This one keeps files in memory and turns away what is no UTF-8. The bytes
//! were those that the torrent promised, so a rejection blames its publisher
//! and ends the torrent; no peer is banned for it.
//!
//! ```text
//! $ cargo run --example 4-a-store-of-your-own
//! poem.txt: accepted
//! noise.bin: rejected: expected a text, got something else from byte 0 on
//! the torrent is refused: file 0 was rejected: …
//! ```

use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use gt_vfs::{ContentId, Entry, Memory, ReadAt, VPath, Verdict, Vfs, WriteAt};
use gt_wire::metainfo::Create;
use gt_wire::net::{Event, Node, Options, Torrent};

/// Files of a memory, looked at when they are whole.
struct Texts(Memory);

struct Draft {
    inner: Box<dyn WriteAt>,
}

impl Vfs for Texts {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.0.list()
    }

    fn open(&self, path: &VPath) -> io::Result<Box<dyn ReadAt>> {
        self.0.open(path)
    }

    fn create(&self, path: &VPath, size: u64) -> io::Result<Box<dyn WriteAt>> {
        let inner = self.0.create(path, size)?;
        Ok(Box::new(Draft { inner }))
    }

    fn remove(&self, path: &VPath) -> io::Result<()> {
        self.0.remove(path)
    }
}

impl ReadAt for Draft {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn lend(&self, offset: u64, length: usize) -> Option<Bytes> {
        self.inner.lend(offset, length)
    }

    fn id(&self) -> Option<ContentId> {
        self.inner.id()
    }
}

impl WriteAt for Draft {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, data)
    }

    fn verified(&self, offset: u64, length: u64) {
        self.inner.verified(offset, length);
    }

    fn reader(&self) -> io::Result<Box<dyn ReadAt>> {
        self.inner.reader()
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn close(self: Box<Self>) -> io::Result<Verdict> {
        let mut text = vec![0; usize::try_from(self.size()).unwrap_or(0)];
        (&*self as &dyn ReadAt).read_exact_at(0, &mut text)?;
        match std::str::from_utf8(&text) {
            Ok(_) => self.inner.close(),
            Err(e) => Ok(Verdict::reject(format!(
                "expected a text, got something else from byte {} on",
                e.valid_up_to()
            ))),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    for (name, bytes) in [
        ("poem.txt", &b"Over all the hilltops"[..]),
        ("noise.bin", b"\xff\xfe"),
    ] {
        let original = Memory::new();
        original.insert(VPath::parse(name.as_bytes())?, bytes.to_vec());
        let info = Create::new(name).hash(&original)?.info;
        let seed = Node::start(Options::new([1; 32]).listen("127.0.0.1:0".parse()?))?;
        seed.add(Torrent::new(&info, Arc::new(original))).await?;
        let node = Node::start(Options::new([2; 32]))?;
        let mut events = node.events();
        let store = Arc::new(Texts(Memory::new()));
        let torrent = node.add(Torrent::new(&info, store)).await?;
        node.add_peers(torrent, &[seed.local_addr().ok_or("it does not listen")?]);
        while let Some(event) = events.recv().await {
            match event {
                Event::FileClosed { path, verdict, .. } => println!("{path}: {verdict}"),
                Event::Complete { .. } => break,
                Event::Failed { why, .. } => {
                    println!("the torrent is refused: {why}");
                    break;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
