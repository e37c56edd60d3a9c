//! Packs of neighbouring reels joined into one, so that a base which many
//! small reels stand on lies on the disk once and not once for each.
//!
//! Entries are copied as they are: an offset delta points into its own reel,
//! a reference delta to a name, and both hold wherever the reel lies. The
//! bases with which the packs were completed come last, as far as no reel of
//! the new pack brings them. What the indexes of the parts say decides what
//! is copied, but it is not believed: the new pack is verified, and its index
//! made of what its objects turned out to be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use gt_vfs::{ObjectId, ReadAt};

use super::packs::Pack;
use super::{Chain, Error, KEPT_BY, Layout, multi, remove, sync_folder};
use crate::entry::EntryKind;
use crate::hash::FileHasher;
use crate::import::Quarantine;
use crate::limits::Limits;
use crate::spool::Spool;
use crate::verify::{self, NoBases, NoVisitor, Silent};

/// A pack is joined with those after it when it is not this many times as
/// long as all of them: their number stays below the logarithm of the chain's
/// length, and each byte is copied about as often.
const FACTOR: u64 = 2;

/// How files of the state are named until they are whole.
const NEW: &str = ".new-";

/// An entry of a pack, where it lies.
#[derive(Clone, Copy)]
struct Place {
    oid: ObjectId,
    begin: u64,
    end: u64,
}

/// Where ranges begin in the new pack, by their pack and where they began.
type Moved = BTreeMap<(String, u64), u64>;

/// One of the packs to be joined.
struct Source {
    pack: Arc<Pack>,
    /// Entries of reels, by range in the order of the pack.
    ranges: BTreeMap<(u64, u64), Vec<Place>>,
    /// Bases that completed it.
    bases: Vec<Place>,
}

impl Chain {
    /// Joins the last packs where the rule says so, and gives up what earlier
    /// attempts have left behind. Only for who holds the right to import.
    pub(crate) fn tidy(&mut self) -> Result<(), Error> {
        self.release_unnamed()?;
        self.sweep()?;
        multi::drop_stale(&self.objects().join("pack"), self.format, &[])?;
        let names = self.to_join()?;
        if names.len() < 2 {
            return Ok(());
        }
        let mut sources = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names.iter().rev() {
            let Some(source) = self.source(name)? else {
                // There is more in it than reels need: somebody may.
                return Ok(());
            };
            // A new first reel brings again what the reels have that it
            // replaces: a pack holds an object once.
            let mut places = source.ranges.values().flatten();
            if !places.all(|place| seen.insert(place.oid)) {
                break;
            }
            sources.push(source);
        }
        if sources.len() < 2 {
            return Ok(());
        }
        sources.reverse();
        self.join(&sources)
    }

    /// Removes files of the state that a killed process was about to write.
    fn sweep(&self) -> io::Result<()> {
        let folder = match std::fs::read_dir(self.state()) {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        for file in folder {
            let file = file?;
            if file
                .file_name()
                .as_encoded_bytes()
                .starts_with(NEW.as_bytes())
            {
                remove(&file.path())?;
            }
        }
        Ok(())
    }

    /// Returns the names of the last packs that are to become one, in the
    /// order of their reels.
    fn to_join(&self) -> Result<Vec<String>, Error> {
        let mut packs: Vec<String> = Vec::new();
        for range in self.reels.iter().flat_map(|l| &l.ranges) {
            if !packs.contains(&range.pack) {
                packs.push(range.pack.clone());
            }
        }
        let mut taken = Vec::new();
        let mut sum = 0;
        for name in packs.into_iter().rev() {
            let Some(pack) = self.packs.get(&name).filter(|pack| pack.is_there()) else {
                break;
            };
            let length = pack.file.size();
            if !taken.is_empty() && length >= FACTOR * sum || !self.keeps(&name)? {
                break;
            }
            sum += length;
            taken.push(name);
        }
        taken.reverse();
        Ok(taken)
    }

    /// Tells whether gt, and nobody else, keeps a pack.
    fn keeps(&self, name: &str) -> io::Result<bool> {
        let keep = self.pack_path(name).with_extension("keep");
        match std::fs::read(keep) {
            Ok(text) => Ok(text.starts_with(KEPT_BY)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn pack_path(&self, name: &str) -> std::path::PathBuf {
        self.objects().join("pack").join(name)
    }

    /// Finds the entries of a pack; `None` where one outside of all reels is
    /// a delta, so that it cannot be a base that completed the pack, and no
    /// reel has its object elsewhere, as after a joining that was killed.
    fn source(&self, name: &str) -> Result<Option<Source>, Error> {
        let Some(pack) = self.packs.get(name) else {
            return Ok(None);
        };
        let mut places = Vec::new();
        for n in 0..pack.index.len() {
            places.push(Place {
                oid: pack.index.oid_at(n)?,
                begin: pack.index.offset_at(n)?,
                end: 0,
            });
        }
        places.sort_unstable_by_key(|place| place.begin);
        let mut next = pack.file.size() - self.format.raw_len() as u64;
        for place in places.iter_mut().rev() {
            place.end = next;
            next = place.begin;
        }
        let mut ranges = BTreeMap::new();
        for range in self.reels.iter().flat_map(|l| &l.ranges) {
            if range.pack == name {
                let end = range.begin.saturating_add(range.length);
                ranges.entry((range.begin, end)).or_insert_with(Vec::new);
            }
        }
        let all = self.all();
        let mut bases = Vec::new();
        for place in places {
            let inside = ranges.range_mut(..=(place.begin, u64::MAX)).next_back();
            match inside.filter(|((_, end), _)| place.begin < *end) {
                Some((_, entries)) => entries.push(place),
                None => {
                    let (header, _) = pack.header_at(place.begin, self.format)?;
                    if matches!(header.kind, EntryKind::Whole(_)) {
                        bases.push(place);
                    } else if !all.contains(&place.oid)? {
                        return Ok(None);
                    }
                }
            }
        }
        // Each range has to be exactly its entries.
        let fits = ranges.iter().all(|((begin, end), entries)| {
            entries.first().is_some_and(|first| first.begin == *begin)
                && entries.last().is_some_and(|last| last.end == *end)
        });
        Ok(fits.then(|| Source {
            pack: Arc::clone(pack),
            ranges,
            bases,
        }))
    }

    fn join(&mut self, sources: &[Source]) -> Result<(), Error> {
        let quarantine = Quarantine::new(&self.objects())?;
        let (name, moved) = self.write_joined(sources, &quarantine)?;
        quarantine.release(&name, &self.said(sources))?;
        let mut layouts = Vec::new();
        for layout in &self.reels {
            let mut new = layout.clone();
            for range in &mut new.ranges {
                if let Some(begin) = moved.get(&(range.pack.clone(), range.begin)) {
                    range.pack = name.clone();
                    range.begin = *begin;
                }
            }
            if new != *layout {
                layouts.push(new);
            }
        }
        self.write_all(&layouts)?;
        let going: Vec<&str> = sources.iter().map(|s| &s.pack.name[..]).collect();
        multi::drop_stale(&self.objects().join("pack"), self.format, &going)?;
        // Whoever still has the old packs open goes on reading them.
        for source in sources.iter().filter(|s| s.pack.name != name) {
            let path = self.pack_path(&source.pack.name);
            for extension in ["idx", "rev", "pack", "keep"] {
                remove(&path.with_extension(extension))?;
            }
        }
        self.refresh()
    }

    /// Returns what the `.keep` file of a joined pack says.
    fn said(&self, sources: &[Source]) -> String {
        let inside = |layout: &&Layout| {
            let mut ranges = layout.ranges.iter();
            ranges.any(|r| sources.iter().any(|s| s.pack.name == r.pack))
        };
        let reels = || self.reels.iter().filter(inside).map(|l| &l.reel);
        let first = reels().map(|reel| reel.first).min().unwrap_or(0);
        let last = reels().map(|reel| reel.last).max().unwrap_or(0);
        format!("reels {first}-{last}, joined")
    }

    /// Writes the new pack and its indexes into the quarantine; returns its
    /// name, and where the ranges begin now.
    fn write_joined(
        &self,
        sources: &[Source],
        quarantine: &Quarantine,
    ) -> Result<(String, Moved), Error> {
        let ranges = || sources.iter().flat_map(|s| s.ranges.values().flatten());
        let own: BTreeSet<ObjectId> = ranges().map(|place| place.oid).collect();
        let mut seen = BTreeSet::new();
        let mut bases = Vec::new();
        for source in sources {
            for place in &source.bases {
                if !own.contains(&place.oid) && seen.insert(place.oid) {
                    bases.push((source, *place));
                }
            }
        }
        let count = u32::try_from(ranges().count() + bases.len()).map_err(io::Error::other)?;
        let mut out = Joined {
            out: BufWriter::with_capacity(1 << 18, quarantine.begin()?),
            sum: FileHasher::new(self.format),
            length: 0,
        };
        let mut head = *b"PACK\0\0\0\x02\0\0\0\0";
        head[8..].copy_from_slice(&count.to_be_bytes());
        out.write(&head)?;
        let mut moved = BTreeMap::new();
        for source in sources {
            for (begin, end) in source.ranges.keys() {
                moved.insert((source.pack.name.clone(), *begin), out.length);
                out.copy(&source.pack, *begin..*end)?;
            }
        }
        for (source, place) in bases {
            out.copy(&source.pack, place.begin..place.end)?;
        }
        let checksum = out.sum.clone().finish();
        out.write(checksum.as_bytes())?;
        let file = out
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        // Each part was within the limits when it came, whatever these were.
        let limits = Limits::lifted();
        let spool = Spool::new(file.try_clone()?)?;
        let verified = verify::pack(&spool, self.format, &limits, &NoBases, &NoVisitor, &Silent);
        let verified = verified.map_err(io::Error::other)?;
        Ok((quarantine.finish(file, &verified)?, moved))
    }

    /// Lets git clean up packs that gt keeps and no reel names: left behind
    /// when an import or a joining was killed.
    fn release_unnamed(&self) -> Result<(), Error> {
        let folder = self.objects().join("pack");
        let files = match std::fs::read_dir(&folder) {
            Ok(files) => files,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        for file in files {
            let path = file?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            let (Some(name), true) = (name, path.extension().is_some_and(|e| e == "keep")) else {
                continue;
            };
            let mut ranges = self.reels.iter().flat_map(|l| &l.ranges);
            if ranges.all(|range| range.pack != name) && self.keeps(name)? {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Writes several layouts: all are on the disk before the first takes its
    /// name, and each holds for itself.
    pub(super) fn write_all(&self, layouts: &[Layout]) -> Result<(), Error> {
        let state = self.state();
        std::fs::create_dir_all(&state)?;
        let mut files = Vec::new();
        for layout in layouts {
            let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(&state)?;
            file.write_all(&layout.write())?;
            files.push((file, layout.reel.root));
        }
        for (file, _) in &files {
            file.as_file().sync_all()?;
        }
        for (file, root) in files {
            file.persist(state.join(root.to_string()))
                .map_err(|e| e.error)?;
        }
        Ok(sync_folder(&state)?)
    }
}

/// The joined pack on its way out.
struct Joined {
    out: BufWriter<File>,
    sum: FileHasher,
    length: u64,
}

impl Joined {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Copies a range of a pack.
    fn copy(&mut self, pack: &Pack, range: std::ops::Range<u64>) -> io::Result<()> {
        let file: &dyn ReadAt = &*pack.file;
        let mut buffer = vec![0; 1 << 18];
        let mut at = range.start;
        while at < range.end {
            let want = buffer.len().min((range.end - at) as usize);
            file.read_exact_at(at, &mut buffer[..want])?;
            self.write(&buffer[..want])?;
            at += want as u64;
        }
        Ok(())
    }
}
