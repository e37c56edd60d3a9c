//! A source of peers that is a text file: one address a line.
//!
//! Whatever knows peers is a [`PeerSource`]: trackers are, and so may be a
//! list that an administrator keeps. It is asked again after the interval that
//! it gives, so a line that is added is found.
//!
//! ```text
//! $ cargo run --example 5-a-peer-source-of-your-own
//! peers.txt was asked: Some(Started)
//! hello.txt came
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gt_vfs::{Memory, VPath};
use gt_wire::PeerSource;
use gt_wire::metainfo::Create;
use gt_wire::net::{Event, Node, Options, Torrent};
use gt_wire::source::{Announce, Announced, Announcing, SourceError};

/// A file with addresses.
struct List(PathBuf);

impl List {
    fn read(&self) -> Result<Announced, SourceError> {
        let text = std::fs::read_to_string(&self.0).map_err(|e| SourceError::Unreachable {
            source_name: self.name(),
            why: e.to_string(),
        })?;
        // A line that is no address is somebody's remark.
        let peers = text.lines().filter_map(|line| line.trim().parse().ok());
        Ok(Announced {
            interval: Duration::from_secs(60),
            peers: peers.collect(),
            ..Announced::default()
        })
    }
}

impl PeerSource for List {
    fn announce(&self, announce: Announce) -> Announcing<'_> {
        println!("{} was asked: {:?}", self.name(), announce.event);
        Box::pin(async { self.read() })
    }

    fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let original = Memory::new();
    original.insert(VPath::parse(b"hello.txt")?, b"hello".to_vec());
    let info = Create::new("hello.txt").hash(&original)?.info;
    let seed = Node::start(Options::new([1; 32]).listen("127.0.0.1:0".parse()?))?;
    seed.add(Torrent::new(&info, Arc::new(original))).await?;

    let address = seed.local_addr().ok_or("it does not listen")?;
    let folder = std::env::temp_dir().join(format!("gt-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let list = folder.join("peers.txt");
    std::fs::write(&list, format!("# the office\n{address}\n"))?;

    let node = Node::start(Options::new([2; 32]))?;
    let mut events = node.events();
    let wanted = Torrent::new(&info, Arc::new(Memory::new())).source(Arc::new(List(list)));
    node.add(wanted).await?;
    while let Some(event) = events.recv().await {
        match event {
            Event::FileClosed { path, .. } => println!("{path} came"),
            Event::Complete { .. } => break,
            _ => {}
        }
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
