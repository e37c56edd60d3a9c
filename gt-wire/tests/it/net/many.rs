//! Ten thousand torrents in one node: how soon they stand, and what each costs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use bytes::Bytes;
use gt_vfs::{ContentId, Entry, ReadAt, WriteAt};
use gt_wire::bencode::Value;
use gt_wire::bitfield::Bitfield;
use gt_wire::resume::Resume;
use gt_wire::{FileIndex, Info};
use sha1::{Digest, Sha1};

use super::*;

const TORRENTS: usize = 10_000;
const PIECE: usize = 16 << 10;
const PIECES: usize = 32;

/// A store with one file of zeros.
struct Zeros(VPath);

struct File;

impl ReadAt for File {
    fn size(&self) -> u64 {
        (PIECE * PIECES) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.size().saturating_sub(offset) as usize;
        let some = left.min(buf.len());
        buf[..some].fill(0);
        Ok(some)
    }

    fn lend(&self, _: u64, _: usize) -> Option<Bytes> {
        None
    }

    fn id(&self) -> Option<ContentId> {
        None
    }
}

impl Vfs for Zeros {
    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(vec![Entry::new(self.0.clone(), File.size())])
    }

    fn open(&self, _: &VPath) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(File))
    }

    fn create(&self, path: &VPath, _: u64) -> io::Result<Box<dyn WriteAt>> {
        let why = format!("{path} is whole already");
        Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
    }

    fn remove(&self, _: &VPath) -> io::Result<()> {
        Ok(())
    }
}

fn info(n: usize) -> Info {
    let hash: [u8; 20] = Sha1::digest([0; PIECE]).into();
    let info = Value::dict([
        ("length", Value::Integer((PIECE * PIECES) as i64)),
        ("name", Value::bytes(format!("zeros-{n}"))),
        ("piece length", Value::Integer(PIECE as i64)),
        ("pieces", Value::Bytes(hash.repeat(PIECES))),
    ]);
    Info::read(&info.encode()).unwrap()
}

/// Bytes of memory that belong to this process alone.
pub(super) fn anonymous() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() << 10
}

#[test]
fn ten_thousand_seeded_torrents_start_from_notes() {
    let tests = std::env::current_exe().unwrap();
    let words = ["--ignored", "--exact", "net::many::ten_thousand_inside"];
    let output = std::process::Command::new(tests)
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by ten_thousand_seeded_torrents_start_from_notes, in a process of its own"]
async fn ten_thousand_inside() {
    let notes = tempfile::tempdir().unwrap();
    for n in 0..TORRENTS {
        let info_hash = info(n).info_hashes()[0];
        let resume = Resume {
            info_hash,
            pieces: Bitfield::full(PIECES as u32),
            closed: BTreeSet::from([FileIndex(0)]),
            modified: BTreeMap::new(),
            layers: BTreeMap::new(),
        };
        let path = notes.path().join(format!("{info_hash}.resume"));
        std::fs::write(path, resume.write()).unwrap();
    }
    let node = Node::start(options(1).resume(notes.path())).unwrap();
    // Where all tests run together, the memory is not this one's.
    let alone = std::env::args().any(|word| word == "--exact");
    let (before, began) = (anonymous(), Instant::now());
    let mut last = None;
    for n in 0..TORRENTS {
        let path = vpath(&format!("zeros-{n}"));
        let torrent = Torrent::new(&info(n), Arc::new(Zeros(path)));
        last = Some(node.add(torrent).await.unwrap());
    }
    let took = began.elapsed();
    let stats = node.stats(last.unwrap()).await.unwrap();
    assert!(stats.complete);
    let each = anonymous().saturating_sub(before) / TORRENTS;
    println!("{TORRENTS} torrents in {took:?}, {each} bytes each");
    assert!(!alone || each <= 8 << 10, "{each} bytes each");
}
