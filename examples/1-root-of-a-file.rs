//! The identity of a file in BitTorrent v2, whatever its name and torrent:
//!
//! ```text
//! cargo run --example 1-root-of-a-file -- README.md
//! ```

use std::io::{self, Read as _};

use gt_vfs::content::TreeHasher;

fn main() -> io::Result<()> {
    for path in std::env::args().skip(1) {
        let mut file = std::fs::File::open(&path)?;
        let mut hasher = TreeHasher::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        let tree = hasher.finish();
        println!("{} {} {path}", tree.root(), tree.size());
    }
    Ok(())
}
