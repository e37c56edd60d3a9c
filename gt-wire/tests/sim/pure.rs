//! The core knows no clock, no chance of its own, no socket, file, thread or
//! task, and no order that a hash gives: its sources are searched for them.

use std::fs;
use std::path::{Path, PathBuf};

const CORE: [&str; 10] = [
    "bitfield.rs",
    "extended.rs",
    "geometry.rs",
    "handshake.rs",
    "hashes.rs",
    "message.rs",
    "metadata.rs",
    "peer.rs",
    "swarm.rs",
    "turn.rs",
];

const FORBIDDEN: [&str; 14] = [
    "Instant",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::fs",
    "std::thread",
    "std::env",
    "tokio",
    "HashMap",
    "HashSet",
    "getrandom",
    "async ",
    "println!",
];

#[test]
fn the_core_is_pure() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for name in CORE {
        let door = source.join(name);
        assert!(door.is_file(), "{name} has moved");
        let room = door.with_extension("");
        files.push(door);
        walk(&room, &mut files);
    }
    assert!(files.len() > 25, "only {} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{} says {word}", file.display());
        }
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}
