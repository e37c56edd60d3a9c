//! The indexes of several packs that git may have written, which may name
//! packs that go.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gt_vfs::ObjectFormat;

use super::{remove, sync_folder};
use crate::index::{CHAIN, FOLDER, Layers, Multi};
use crate::spool::Spool;

const NAME: &str = "multi-pack-index";

/// Removes the multi-pack-index of a folder of packs, or the chain of them,
/// that names packs which are gone, or are `going`: git does not find their
/// objects elsewhere as long as it is there. Git does the same when it removes
/// packs; one that it was about to write meanwhile is removed by the next
/// import.
pub(super) fn drop_stale(folder: &Path, format: ObjectFormat, going: &[&str]) -> io::Result<()> {
    drop_single(folder, format, going)?;
    drop_layers(folder, format, going)
}

fn drop_single(folder: &Path, format: ObjectFormat, going: &[&str]) -> io::Result<()> {
    let path = folder.join(NAME);
    let file = match Spool::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let stale = match Multi::open(Arc::new(file), format) {
        Ok(multi) => names_any(multi.packs().iter().map(|name| &name[..]), folder, going),
        // Git makes another; this one may name what goes.
        Err(_) => !going.is_empty(),
    };
    if !stale {
        return Ok(());
    }
    remove(&path)?;
    // Its bitmap and its order of packs.
    remove_all(folder, "multi-pack-index-")
}

fn drop_layers(folder: &Path, format: ObjectFormat, going: &[&str]) -> io::Result<()> {
    let Some(layers) = Layers::in_folder(folder, format)? else {
        return Ok(());
    };
    // Git does not use what follows a fault; it may once that is mended.
    let stale =
        names_any(layers.packs(), folder, going) || layers.fault().is_some() && !going.is_empty();
    if !stale {
        return Ok(());
    }
    let layers = folder.join(FOLDER);
    // Without the chain no layer counts.
    remove(&layers.join(CHAIN))?;
    sync_folder(&layers)?;
    remove_all(&layers, "multi-pack-index-")
}

/// Tells whether one of these packs is gone or going.
fn names_any<'a>(mut packs: impl Iterator<Item = &'a str>, folder: &Path, going: &[&str]) -> bool {
    packs.any(|name| {
        let name = name.trim_end_matches(".idx");
        going.contains(&name) || !folder.join(name).with_extension("pack").exists()
    })
}

/// Removes the files whose names begin so.
fn remove_all(folder: &Path, begin: &str) -> io::Result<()> {
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(begin.as_bytes()) {
            remove(&path)?;
        }
    }
    sync_folder(folder)
}
