//! Objects out of bundles that were verified before.

use std::io;

use gt_vfs::ObjectId;

use super::Part;
use crate::delta;
use crate::entry::{EntryHeader, MAX_ENTRY_HEADER};
use crate::inflate::{Inflater, make_room};
use crate::verify::{Base, Bases, Entry};

/// The parts before one, and what lies outside of all.
pub(super) struct Earlier<'a, 'b> {
    pub(super) earlier: &'a [Part<'b>],
    pub(super) outside: &'a dyn Bases,
}

impl Bases for Earlier<'_, '_> {
    fn find(&self, oid: &ObjectId) -> io::Result<Option<Base>> {
        let mut steps = Vec::new();
        let mut next = Some(*oid);
        let mut content = None;
        while let Some(id) = next {
            let found = self
                .earlier
                .iter()
                .find_map(|part| Some((part, part.pack.entry(&id)?)));
            let Some((part, entry)) = found else {
                let Some(base) = self.outside.find(&id)? else {
                    return Ok(None);
                };
                content = Some(base);
                break;
            };
            steps.push((part, entry));
            next = part.pack.base(&entry);
        }
        let mut inflater = Inflater::new();
        for (part, entry) in steps.into_iter().rev() {
            let bytes = inflated(part, &entry, &mut inflater)?;
            content = Some(match content {
                None => Base::new(entry.kind, bytes, 0),
                Some(base) => {
                    let result = delta::apply::apply(&base.content, &bytes, u64::MAX);
                    let result = result.map_err(io::Error::other)?;
                    Base::new(base.kind, result, base.depth + 1)
                }
            });
        }
        Ok(content)
    }
}

/// Inflates an entry of a part.
fn inflated(part: &Part<'_>, entry: &Entry, inflater: &mut Inflater) -> io::Result<Vec<u8>> {
    let bad = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "a bundle changed while it was read",
        )
    };
    let begin = part.begin + entry.offset;
    let mut raw = [0; MAX_ENTRY_HEADER];
    // The trailer follows the last entry: there are always that many bytes or
    // the header is shorter.
    let have = (part.bundle.size() - begin).min(raw.len() as u64) as usize;
    part.bundle.read_exact_at(begin, &mut raw[..have])?;
    let header = EntryHeader::read(&raw[..have], part.pack.format);
    let Ok(Some((header, length))) = header else {
        return Err(bad());
    };
    inflater.reset();
    let mut out = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    let mut at = begin + length as u64;
    loop {
        let read = part.bundle.read_at(at, &mut buffer)?;
        if read == 0 {
            return Err(bad());
        }
        make_room(&mut out, header.size);
        let (used, ended) = inflater
            .step(&buffer[..read], &mut out)
            .map_err(|_| bad())?;
        at += used as u64;
        if out.len() as u64 > header.size {
            return Err(bad());
        }
        if ended {
            return Ok(out);
        }
    }
}
