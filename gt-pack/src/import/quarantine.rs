//! Where a pack waits until it may be seen.
//!
//! The folder lies in `objects/`, so that the pack moves out of it by a rename.
//! It is not named as git names its own (`tmp_objdir-…`): `git gc --prune=now`
//! would remove it while it is being filled. What a crash left behind is
//! removed by the next import.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use gt_vfs::ReadAt;

use crate::chain::{KEPT_BY, sync_folder};
use crate::index;
use crate::thin;
use crate::verify::{Bases, Verified};

const PREFIX: &str = "gt-quarantine-";

pub(crate) struct Quarantine {
    folder: tempfile::TempDir,
    target: PathBuf,
}

/// Holds the right to import into a repository until it is dropped.
pub(crate) struct Lock(#[expect(dead_code, reason = "closing it unlocks")] File);

/// Waits for the right to import. A process that dies gives it back.
pub(crate) fn lock(common_dir: &Path) -> io::Result<Lock> {
    let folder = common_dir.join("gt");
    fs::create_dir_all(&folder)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("import.lock"))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(Lock(file))
}

/// Removes what imports that were killed left behind; only for who holds the
/// lock.
pub(super) fn sweep(objects: &Path) -> io::Result<()> {
    for entry in fs::read_dir(objects)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

impl Quarantine {
    pub(crate) fn new(objects: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(objects)?;
        fs::create_dir(folder.path().join("pack"))?;
        Ok(Self {
            folder,
            target: objects.join("pack"),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the pack, completed, with its indexes. Returns its name and the
    /// version that it says.
    pub(super) fn fill(
        &self,
        pack: &dyn ReadAt,
        verified: &Verified,
        bases: &dyn Bases,
    ) -> io::Result<(String, u32)> {
        let mut out = BufWriter::with_capacity(1 << 18, self.begin()?);
        let whole = thin::complete(pack, verified, bases, &mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let name = self.finish(file, &whole)?;
        let mut version = [0; 4];
        pack.read_exact_at(4, &mut version)?;
        Ok((name, u32::from_be_bytes(version)))
    }

    /// Returns the file for the bytes of a pack.
    pub(crate) fn begin(&self) -> io::Result<File> {
        File::create_new(self.unnamed())
    }

    fn unnamed(&self) -> PathBuf {
        self.folder.path().join("pack").join("tmp_pack")
    }

    /// Gives the written pack its name and its indexes.
    pub(crate) fn finish(&self, file: File, whole: &Verified) -> io::Result<String> {
        let folder = self.folder.path().join("pack");
        finish(file)?;
        let name = format!("pack-{}", whole.checksum);
        let path = folder.join(&name);
        let mut rev = File::create_new(path.with_extension("rev"))?;
        index::write_rev_to(whole, &mut rev)?;
        finish(rev)?;
        let mut idx = File::create_new(path.with_extension("idx"))?;
        index::write_idx_to(whole, &mut idx)?;
        finish(idx)?;
        fs::rename(self.unnamed(), folder.join(&name).with_extension("pack"))?;
        sync_folder(&folder)?;
        Ok(name)
    }

    /// Moves the pack to where git sees it: what keeps it from being repacked
    /// first, the index, by which git finds a pack, last. A pack of the same
    /// name has the same bytes, and is replaced by itself.
    pub(crate) fn release(self, name: &str, what: &str) -> io::Result<()> {
        fs::create_dir_all(&self.target)?;
        let keep = self.target.join(name).with_extension("keep");
        match File::create_new(&keep) {
            Ok(mut file) => {
                file.write_all(KEPT_BY)?;
                writeln!(file, "{what}")?;
                file.sync_all()?;
            }
            // Somebody keeps it already.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
        sync_folder(&self.target)?;
        let from = self.folder.path().join("pack").join(name);
        for extension in ["pack", "rev", "idx"] {
            fs::rename(
                from.with_extension(extension),
                self.target.join(name).with_extension(extension),
            )?;
        }
        sync_folder(&self.target)
    }
}

/// Packs never change: git, too, takes away the right to write.
fn finish(file: File) -> io::Result<()> {
    file.sync_all()?;
    let mut rights = file.metadata()?.permissions();
    rights.set_readonly(true);
    file.set_permissions(rights)
}
