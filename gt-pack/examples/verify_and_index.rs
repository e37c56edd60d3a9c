//! Verifies a pack from standard input as it comes, and writes it with its
//! indexes into the current folder, named as git names packs:
//!
//! ```text
//! git pack-objects --all --stdout </dev/null | cargo run --release --example verify_and_index
//! ```

use std::fs::{self, OpenOptions};
use std::io;

use gt_pack::spool::Spool;
use gt_pack::verify::{self, NoBases, NoVisitor, Silent};
use gt_pack::{Limits, ObjectFormat, index};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = format!("incoming-{}.pack", std::process::id());
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&name)?;
    let spool = Spool::new(file)?;
    // Entries are inflated and hashed while later ones are still on their way.
    let outcome = verify::stream(
        &mut io::stdin().lock(),
        &mut |bytes| spool.append(bytes),
        &spool,
        None,
        ObjectFormat::Sha1,
        &Limits::default(),
        &NoBases,
        &NoVisitor,
        &Silent,
    );
    let pack = match outcome {
        Ok(pack) => pack,
        Err(refused) => {
            fs::remove_file(&name)?;
            return Err(refused.into());
        }
    };
    let good = format!("pack-{}", pack.checksum);
    fs::rename(&name, format!("{good}.pack"))?;
    fs::write(format!("{good}.rev"), index::write_rev(&pack))?;
    fs::write(format!("{good}.idx"), index::write_idx(&pack))?;
    println!("{good}: {} objects", pack.entries.len());
    Ok(())
}
