//! A statement whose data nobody has: what was served before goes on being
//! served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gt_cli::convert;
use gt_cli::git::Git;
use gt_cli::state::State;
use gt_trust::Statement;
use gt_vfs::Memory;
use gt_wire::Info;
use gt_wire::net::{Event, Node, Options, Torrent};

use crate::brought::packs;
use crate::world::{World, with_peer};

/// How long somebody may take to get a few kilobytes over loopback.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches the snapshot of a statement from one peer, as somebody does who
/// knows of no other statement; tells whether it came.
fn comes(statement: &Statement, peer: SocketAddr) -> bool {
    let reels = convert::reels(statement);
    let files = reels
        .iter()
        .map(|reel| (convert::reel_path(reel).unwrap(), reel.length, reel.root));
    let name = data_encoding::HEXLOWER.encode(&statement.repository.topic());
    let info = Info::from_roots(name.as_bytes(), statement.piece_length, files).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let came = runtime.block_on(async {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let node = Node::start(Options::new([7; 32]).listen(here)).unwrap();
        let mut events = node.events();
        let torrent = Torrent::new(&info, Arc::new(Memory::new()));
        let id = node.add(torrent).await.unwrap();
        node.add_peers(id, &[peer]);
        let done = async {
            while let Some(event) = events.recv().await {
                if matches!(event, Event::Complete { torrent } if torrent == id) {
                    return true;
                }
            }
            false
        };
        let came = tokio::time::timeout(PATIENCE, done).await;
        node.shutdown().await;
        came.unwrap_or(false)
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    came
}

#[test]
fn withheld_snapshot_keeps_old_one_served() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let address = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &address, "mirror.git"]);
    let old = world.refs("mirror.git");
    seed.kill();

    // A new statement whose reel nobody has: its pack is taken away, and it is
    // too large to ride along.
    let before = packs(&world, "work");
    world.noise("work", 200_000);
    world.publish("work", &[]);
    for name in packs(&world, "work").iter().filter(|p| !before.contains(p)) {
        let path = world.path("work/.git/objects/pack").join(name);
        std::fs::rename(&path, world.path(&format!("hidden-{name}"))).unwrap();
    }
    let (seed, place) = world.seed("work", &[]);
    let (mirror, served) = world.seed("mirror.git", &["--peer", &place]);
    mirror.wait_until(|v| v["event"] == "statement" && v["sequence"] == 2);
    assert_eq!(world.refs("mirror.git"), old, "refs wait for their data");
    let status = world.gt(&["status", "-C", "mirror.git"]);
    assert!(status.contains("Statement   2 of epoch 0"), "{status}");
    assert!(status.contains("missing"), "{status}");

    // Who knows of the old one only gets it from the mirror.
    let git = Git::at(&world.env(), world.path("mirror.git"));
    let state = State::of(&git.common_dir().unwrap());
    let newest = state.accepted().unwrap().unwrap().text;
    let first = state.statement(&newest.previous.unwrap().identity);
    let first = first.unwrap().unwrap().text;
    assert_eq!((first.sequence.0, first.reels.len()), (1, 1));
    assert!(comes(&first, served.parse().unwrap()), "while it runs");

    // And after the mirror was started again, with nobody else there.
    seed.kill();
    mirror.kill();
    let (_mirror, served) = world.seed("mirror.git", &[]);
    assert!(comes(&first, served.parse().unwrap()), "started again");
}
