//! Objects out of packs that were verified before.

use std::path::Path;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::Error;
use super::on_disk::OnDisk;
use crate::entry::{EntryHeader, MAX_ENTRY_HEADER};
use crate::index::{self, Index};
use crate::inflate::{Inflater, make_room};

/// A pack of `objects/pack` with its index.
pub(crate) struct Pack {
    pub(crate) name: String,
    pub(crate) file: Arc<OnDisk>,
    pub(crate) index: Index,
    index_file: Arc<OnDisk>,
}

impl Pack {
    /// Opens a pack; `None` where it, or a usable index of it, is not there.
    pub(crate) fn open(
        objects: &Path,
        name: &str,
        format: ObjectFormat,
    ) -> Result<Option<Self>, Error> {
        let path = objects.join("pack").join(name);
        let open = |extension| match OnDisk::open(&path.with_extension(extension)) {
            Ok(file) => Ok(Some(Arc::new(file))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        let (Some(file), Some(index_file)) = (open("pack")?, open("idx")?) else {
            return Ok(None);
        };
        let source: Arc<dyn ReadAt> = index_file.clone();
        let index = match Index::open(source, format, file.size()) {
            Ok(index) => index,
            Err(index::Error::Io(e)) => return Err(e.into()),
            // A damaged index is as good as none: the reel comes again.
            Err(_) => return Ok(None),
        };
        Ok(Some(Self {
            name: name.into(),
            file,
            index,
            index_file,
        }))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.file.is_there() && self.index_file.is_there()
    }

    pub(crate) fn offset_of(&self, oid: &ObjectId) -> Result<Option<u64>, Error> {
        match self.index.find(oid)? {
            Some(place) => Ok(Some(self.index.offset_at(place)?)),
            None => Ok(None),
        }
    }

    /// Returns the header of an entry, and where its stream begins.
    pub(crate) fn header_at(
        &self,
        offset: u64,
        format: ObjectFormat,
    ) -> Result<(EntryHeader, u64), Error> {
        let mut raw = [0; MAX_ENTRY_HEADER];
        let mut have = 0;
        while have < raw.len() {
            match self.file.read_at(offset + have as u64, &mut raw[have..])? {
                0 => break,
                n => have += n,
            }
        }
        match EntryHeader::read(&raw[..have], format) {
            Ok(Some((header, length))) => Ok((header, offset + length as u64)),
            _ => Err(self.damaged(offset)),
        }
    }

    /// Inflates the stream that begins at `begin`.
    pub(crate) fn inflate(
        &self,
        begin: u64,
        size: u64,
        inflater: &mut Inflater,
    ) -> Result<Vec<u8>, Error> {
        inflater.reset();
        let mut out = Vec::new();
        let first = usize::try_from(size).map_or(STEP, |size| size.clamp(512, STEP));
        let mut buffer = vec![0; first];
        let mut at = begin;
        loop {
            let read = self.file.read_at(at, &mut buffer)?;
            if read == 0 {
                return Err(self.damaged(begin));
            }
            at += read as u64;
            let mut rest = &buffer[..read];
            // What is left to give when the input is used up comes with the
            // next bytes: at least the trailer follows.
            while !rest.is_empty() {
                make_room(&mut out, size);
                let (used, ended) = inflater
                    .step(rest, &mut out)
                    .map_err(|_| self.damaged(begin))?;
                rest = &rest[used..];
                if out.len() as u64 > size || ended && out.len() as u64 != size {
                    return Err(self.damaged(begin));
                }
                if ended {
                    return Ok(out);
                }
            }
        }
    }

    pub(crate) fn damaged(&self, offset: u64) -> Error {
        Error::Damaged {
            pack: self.name.clone(),
            offset,
        }
    }
}

const STEP: usize = 64 << 10;
