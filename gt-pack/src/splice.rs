//! Splicing: several neighbouring reels as one, without compressing anew.
//!
//! The entries of the parts stand one after the other as they are; only the
//! header, the count and the trailer are new. What comes out follows from the
//! parts, so that whoever holds them makes the same bytes and downloads
//! nothing.
//!
//! The header of a splice has every prerequisite of a part that no part
//! holds, the tips of the last part, and each tip of an earlier part that no
//! later one has as a tip or a prerequisite: what a dropped or rewound branch
//! has left. Where such a tip has lost its name to another, it stands as
//! `refs/dropped/<id>`.

mod parts;
pub mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use gt_vfs::content::TreeHasher;
use gt_vfs::{ObjectFormat, ObjectId, ReadAt, Root};

use crate::bundle::{self, Header};
use crate::hash::FileHasher;
use crate::limits::Limits;
use crate::span::Span;
use crate::verify::{self, Bases, Entries, Link, NoVisitor, Progress, Verified};

/// A bundle that was read and verified.
pub struct Part<'a> {
    bundle: &'a dyn ReadAt,
    header: Header,
    begin: u64,
    pack: Verified,
}

impl<'a> Part<'a> {
    /// Reads and verifies a bundle. Bases of its deltas are looked for in the
    /// parts before it, then outside.
    ///
    /// # Errors
    /// [`Error::Bundle`] and [`Error::Pack`] where it is not good.
    pub fn read(
        bundle: &'a dyn ReadAt,
        earlier: &[Self],
        outside: &dyn Bases,
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let (header, begin) = Header::read_from(bundle)?;
        let bases = parts::Earlier { earlier, outside };
        let span = Span::behind(bundle, begin);
        let pack = verify::pack(&span, header.format, limits, &bases, &NoVisitor, progress)?;
        Ok(Self {
            bundle,
            header,
            begin,
            pack,
        })
    }

    /// Returns the bundle's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what its pack holds.
    pub fn pack(&self) -> &Verified {
        &self.pack
    }
}

/// What a splice came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spliced {
    /// The bundle's header.
    pub header: Header,
    /// Length of the bundle in bytes.
    pub length: u64,
    /// Its v2 root.
    pub root: Root,
    /// What its pack holds, merged out of the parts': an index follows from it.
    pub pack: Verified,
}

/// Writes the splice of `parts`, which follow on each other, into `out`: a
/// whole bundle.
///
/// # Errors
/// [`Error`]. What was written until then is worthless.
pub fn write(parts: &[Part<'_>], out: &mut dyn Write) -> Result<Spliced, Error> {
    let headers: Vec<&Header> = parts.iter().map(|part| &part.header).collect();
    let holds = |id: &ObjectId| Ok(parts.iter().any(|part| part.pack.holds(id)));
    let header = header(&headers, &holds)?;
    let mut merged = merge(parts)?;
    let mut sink = Sink::new(out, header.format);
    sink.write(&header.write())?;
    let count = u32::try_from(merged.entries.len()).map_err(|_| Error::TooMany)?;
    sink.pack(b"PACK\0\0\0\x02")?;
    sink.pack(&count.to_be_bytes())?;
    let mut buffer = vec![0; 1 << 18];
    for part in parts {
        let mut at = part.begin + HEAD;
        let end = part.begin + part.pack.length - header.format.raw_len() as u64;
        while at < end {
            let want = buffer.len().min((end - at) as usize);
            part.bundle.read_exact_at(at, &mut buffer[..want])?;
            sink.pack(&buffer[..want])?;
            at += want as u64;
        }
    }
    let (checksum, length, root) = sink.end()?;
    merged.checksum = checksum;
    Ok(Spliced {
        header,
        length,
        root,
        pack: merged,
    })
}

/// Bytes before the first entry of a pack.
const HEAD: u64 = 12;

/// Merges what the parts hold; each object's place moves with its part.
fn merge(parts: &[Part<'_>]) -> Result<Verified, Error> {
    let Some(first) = parts.first() else {
        return Err(Error::Empty);
    };
    let format = first.pack.format;
    let ends = HEAD + format.raw_len() as u64;
    let mut merged = Verified {
        format,
        length: ends,
        checksum: first.pack.checksum,
        entries: Entries::new(format),
        external: Vec::new(),
        inflated: 0,
    };
    let mut outside = BTreeMap::new();
    let mut names = Vec::new();
    let mut begin = 0;
    for Part { pack, .. } in parts {
        let before = merged.length - ends;
        let count = u32::try_from(pack.entries.len()).map_err(|_| Error::TooMany)?;
        let next = u32::checked_add(begin, count).ok_or(Error::TooMany)?;
        for mut entry in pack.entries.in_pack() {
            entry.offset += before;
            entry.base = match entry.base {
                Some(Link::Inside(place)) => Some(Link::Inside(begin + place)),
                // Numbered as they come; some are inside of another part.
                Some(Link::Outside(_)) => pack.base(&entry).map(|name| {
                    let new = names.len() as u32;
                    let place = *outside.entry(name).or_insert(new);
                    if place == new {
                        names.push(name);
                    }
                    Link::Outside(place)
                }),
                None => None,
            };
            merged.entries.push(&entry);
        }
        begin = next;
        merged.length += pack.length - ends;
        merged.inflated += pack.inflated;
    }
    if let Some(twice) = merged.entries.sort() {
        return Err(Error::Repeated(twice));
    }
    let mut seen = BTreeSet::new();
    for id in parts.iter().flat_map(|part| &part.pack.external) {
        if !merged.holds(id) && seen.insert(*id) {
            merged.external.push(*id);
        }
    }
    let external: BTreeMap<_, _> = merged.external.iter().zip(0_u32..).collect();
    let bases: Vec<Option<Link>> = names
        .iter()
        .map(|name| match merged.entries.place(name) {
            Some(place) => Some(Link::Inside(place)),
            None => external.get(name).map(|place| Link::Outside(*place)),
        })
        .collect();
    merged.entries.relink(|n| bases[n as usize]);
    Ok(merged)
}

/// Returns the header of the splice of parts with these headers; `holds` tells
/// whether one of the parts has an object.
///
/// # Errors
/// [`Error::Empty`], [`Error::Format`], and what `holds` meets.
pub fn header(
    parts: &[&Header],
    holds: &dyn Fn(&ObjectId) -> io::Result<bool>,
) -> Result<Header, Error> {
    let Some((last, before)) = parts.split_last() else {
        return Err(Error::Empty);
    };
    if let Some(other) = before.iter().find(|part| part.format != last.format) {
        return Err(Error::Format {
            expected: last.format,
            got: other.format,
        });
    }
    let mut prerequisites = Vec::new();
    for id in parts.iter().flat_map(|part| &part.prerequisites) {
        if !holds(id)? {
            prerequisites.push(*id);
        }
    }
    prerequisites.sort();
    prerequisites.dedup();
    let mut tips = last.tips.clone();
    let mut needed: Vec<ObjectId> = last.tips.iter().map(|(_, id)| *id).collect();
    needed.extend(&last.prerequisites);
    for part in before.iter().rev() {
        for (name, id) in &part.tips {
            if needed.contains(id) {
                continue;
            }
            if tips.iter().any(|(other, _)| other == name) {
                tips.push((format!("refs/dropped/{id}").into_bytes(), *id));
            } else {
                tips.push((name.clone(), *id));
            }
        }
        needed.extend(part.tips.iter().map(|(_, id)| *id));
        needed.extend(&part.prerequisites);
    }
    if let Some(rest) = tips.get_mut(1..) {
        rest.sort();
    }
    tips.dedup();
    Ok(Header {
        format: last.format,
        prerequisites,
        tips,
    })
}

/// Where a bundle goes: every byte is hashed on its way.
pub(crate) struct Sink<'a, W: ?Sized> {
    out: &'a mut W,
    sum: FileHasher,
    tree: TreeHasher,
    length: u64,
}

impl<'a, W: Write + ?Sized> Sink<'a, W> {
    pub(crate) fn new(out: &'a mut W, format: ObjectFormat) -> Self {
        Self {
            out,
            sum: FileHasher::new(format),
            tree: TreeHasher::new(),
            length: 0,
        }
    }

    pub(crate) fn pack(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.write(bytes)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tree.update(bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Writes the trailer; returns it with the length and the root of all.
    pub(crate) fn end(mut self) -> io::Result<(ObjectId, u64, Root)> {
        let trailer = self.sum.clone().finish();
        self.write(trailer.as_bytes())?;
        self.out.flush()?;
        Ok((trailer, self.length, self.tree.finish().root()))
    }
}

/// Why reels cannot be spliced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none.
    #[error("expected reels to splice, got none")]
    Empty,
    /// They do not follow on each other.
    #[error("expected reels that follow on each other, got a gap")]
    Gap,
    /// They name objects by different hashes.
    #[error("expected parts of one object format, {expected}, got {got}")]
    Format {
        /// The last part's.
        expected: ObjectFormat,
        /// Another part's.
        got: ObjectFormat,
    },
    /// An object stands in two parts: strict readers would refuse the splice.
    #[error("expected no object in two parts, got {0} twice")]
    Repeated(ObjectId),
    /// More objects than a pack counts.
    #[error("expected fewer than 2^32 objects together, got more")]
    TooMany,
    /// A part is no bundle.
    #[error(transparent)]
    Bundle(#[from] bundle::FromError),
    /// A part's pack is refused.
    #[error("pack: {0}")]
    Pack(#[from] verify::Error),
    /// A part cannot be read, or the splice not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
