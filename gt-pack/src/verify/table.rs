//! The entries of a pack in their order, and which deltas stand on which.

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::Error;
use super::columns::{Bits, Offsets, Short};
use super::kept::Kept;
use super::names::Names;
use super::raw::RawEntry;
use super::refs::Refs;
use crate::entry::{EntryHeader, EntryKind, MAX_ENTRY_HEADER};
use crate::inflate::{self, Inflater};
use crate::limits::{Exceeded, Limits};

/// The entries that have come, in 12 bytes each, and deltas that name their
/// bases.
pub(super) struct Rows {
    pub(super) offsets: Offsets,
    pub(super) crc32: Vec<u32>,
    /// Bytes of the objects, deltas resolved.
    pub(super) sizes: Short,
    /// How many entries before it the base of an offset delta stands; 0 for
    /// all others.
    pub(super) back: Short,
    is_delta: Bits,
    /// Offset deltas between it and an object that is none.
    pub(super) depths: Short,
    refs: Refs,
}

impl Rows {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            offsets: Offsets::default(),
            crc32: Vec::new(),
            sizes: Short::default(),
            back: Short::default(),
            is_delta: Bits::default(),
            depths: Short::default(),
            refs: Refs::new(format),
        }
    }

    /// Adds the next entry and returns its place.
    pub(super) fn push(&mut self, entry: &RawEntry, limits: &Limits) -> Result<u32, Error> {
        let place = u32::try_from(self.len()).map_err(std::io::Error::other)?;
        let (back, depth) = match entry.header.kind {
            EntryKind::Whole(_) => (0, 0),
            EntryKind::RefDelta(oid) => {
                self.refs.push(&oid, place);
                (0, 1)
            }
            EntryKind::OfsDelta(distance) => {
                let at = entry.offset.checked_sub(distance);
                let base = at.and_then(|at| self.offsets.find(at));
                let base = base.ok_or(Error::NoEntry {
                    offset: entry.offset,
                    distance,
                })?;
                (place - base, self.depths.get(base) as u32 + 1)
            }
        };
        if depth > limits.depth {
            return Err(Exceeded::Depth {
                limit: limits.depth,
                got: depth,
            }
            .into());
        }
        self.offsets.push(entry.offset);
        self.crc32.push(entry.crc32);
        self.sizes.push(entry.result);
        self.back.push(back.into());
        self.depths.push(depth.into());
        self.is_delta.grow(place);
        if entry.is_delta() {
            self.is_delta.put(place);
        }
        Ok(place)
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Returns the base of an offset delta.
    pub(super) fn base_before(&self, place: u32) -> Option<u32> {
        match self.back.get(place) as u32 {
            0 => None,
            back => place.checked_sub(back),
        }
    }
}

pub(super) struct Table<'a> {
    source: &'a dyn ReadAt,
    format: ObjectFormat,
    rows: Rows,
    kept: Kept,
    /// Where the trailer begins.
    end: u64,
    /// Entries on which open deltas stand by offsets.
    is_base: Bits,
    /// Open deltas, those on which something is still to be done, by their
    /// bases; with each, how many entries without a name stand on it by
    /// offsets, itself counted. Those that name their base ([`NO_BASE`]) are
    /// here only where others stand on them.
    open: Vec<Open>,
}

/// An open delta; where they are sorted, nothing else is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    /// Its base, or [`NO_BASE`].
    base: u32,
    place: u32,
    weight: u32,
}

/// What deltas that name their bases are sorted by.
const NO_BASE: u32 = u32::MAX;

impl<'a> Table<'a> {
    /// Sorts deltas by their bases.
    pub(super) fn new(
        source: &'a dyn ReadAt,
        format: ObjectFormat,
        length: u64,
        mut rows: Rows,
        mut kept: Kept,
        known: &Bits,
    ) -> Self {
        rows.depths = Short::default();
        rows.refs.sort();
        kept.sort();
        let count = rows.len() as u32;
        // What is a delta on an object that is not known yet may stand on any.
        let is_open = |place| !rows.refs.is_empty() || !known.get(place);
        let mut is_base = Bits::new(rows.len());
        let mut open = Vec::new();
        // Bases stand before their deltas, so the last come first here.
        for place in (0..count).rev().filter(|place| rows.is_delta.get(*place)) {
            let weight = u32::from(is_open(place));
            let base = rows.base_before(place);
            if is_base.get(place) || weight > 0 && base.is_some() {
                open.push(Open {
                    base: base.unwrap_or(NO_BASE),
                    place,
                    weight,
                });
                if let Some(base) = base {
                    is_base.put(base);
                }
            }
        }
        open.reverse();
        for n in (0..open.len()).rev() {
            let Open { base, weight, .. } = open[n];
            // None has no base as its place.
            if let Ok(base) = open[..n].binary_search_by_key(&base, |o| o.place) {
                open[base].weight = open[base].weight.saturating_add(weight);
            }
        }
        open.sort_unstable();
        Self {
            source,
            format,
            end: length.saturating_sub(format.raw_len() as u64),
            rows,
            kept,
            is_base,
            open,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns where an entry begins.
    pub(super) fn offset(&self, place: u32) -> u64 {
        self.rows.offsets.get(place)
    }

    /// Returns the bytes of an object, deltas resolved.
    pub(super) fn size(&self, place: u32) -> u64 {
        self.rows.sizes.get(place)
    }

    pub(super) fn is_delta(&self, place: u32) -> bool {
        self.rows.is_delta.get(place)
    }

    /// Tells whether a delta names its base.
    pub(super) fn is_by_name(&self, place: u32) -> bool {
        self.is_delta(place) && self.rows.base_before(place).is_none()
    }

    /// Gives back what a result is made of, and frees the rest.
    pub(super) fn into_rows(mut self) -> Rows {
        self.rows.refs = Refs::new(self.format);
        self.rows
    }

    /// Returns the names of bases of which `is_wanted` says so of a delta that
    /// names it, each once, those whose first delta stands first in front,
    /// with that delta.
    pub(super) fn named_bases(&self, is_wanted: impl Fn(u32) -> bool) -> Vec<(u32, ObjectId)> {
        self.rows.refs.bases(is_wanted)
    }

    /// Returns, sorted, the deltas on these objects outside, each with the
    /// place of its base among them.
    pub(super) fn bases_outside(&self, outside: &[ObjectId]) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        for (oid, n) in outside.iter().zip(0..) {
            all.extend(self.rows.refs.on(oid).map(|delta| (delta, n)));
        }
        all.sort_unstable();
        all
    }

    /// Returns the base that a reference delta names.
    pub(super) fn named_base(&self, place: u32) -> Option<ObjectId> {
        self.rows.refs.base_of(place)
    }

    /// Puts the open deltas on an object into `out`, the one with the most
    /// entries on it first. `place` is `None` for an object outside of the pack.
    pub(super) fn deltas_on(&self, place: Option<u32>, oid: &ObjectId, out: &mut Vec<u32>) {
        out.clear();
        let mut heaviest = (0, 0);
        let mut add = |delta, weight| {
            if weight > heaviest.1 {
                heaviest = (out.len(), weight);
            }
            out.push(delta);
        };
        if let Some(place) = place.filter(|place| self.is_base.get(*place)) {
            let from = self.first_open((place, 0));
            let here = self.open[from..].iter();
            here.take_while(|open| open.base == place)
                .for_each(|open| add(open.place, open.weight));
        }
        if !self.rows.refs.is_empty() {
            for delta in self.rows.refs.on(oid) {
                let is_base = self.is_base.get(delta);
                let at = is_base.then(|| self.first_open((NO_BASE, delta)));
                let weight = at.and_then(|at| self.open.get(at));
                add(delta, weight.map_or(1, |o| o.weight));
            }
        }
        if !out.is_empty() {
            out.swap(0, heaviest.0);
        }
    }

    /// Returns the first open delta that is not before this base and place.
    fn first_open(&self, key: (u32, u32)) -> usize {
        self.open
            .partition_point(|open| (open.base, open.place) < key)
    }

    /// Returns the whole objects on which open deltas stand.
    pub(super) fn roots(&self, names: &Names) -> Vec<u32> {
        let mut deltas = Vec::new();
        let wholes = (0..self.len() as u32).filter(|place| !self.is_delta(*place));
        let is_root = |place: &u32| {
            if self.is_base.get(*place) || self.rows.refs.is_empty() {
                return self.is_base.get(*place);
            }
            let Some(named) = names.find(*place) else {
                return false;
            };
            self.deltas_on(Some(*place), &named.oid, &mut deltas);
            !deltas.is_empty()
        };
        wholes.filter(is_root).collect()
    }

    /// Returns the bytes of a delta: those that were kept, or inflated once
    /// more, into `out`.
    pub(super) fn delta<'b>(
        &'b self,
        place: u32,
        inflater: &mut Inflater,
        buffer: &mut Vec<u8>,
        out: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], Error> {
        match self.kept.find(place) {
            Some(bytes) => Ok(bytes),
            None => {
                self.inflate(place, inflater, buffer, out)?;
                Ok(out)
            }
        }
    }

    /// Inflates an entry, an object or a delta, into `out`.
    pub(super) fn inflate(
        &self,
        place: u32,
        inflater: &mut Inflater,
        buffer: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let offset = self.offset(place);
        let next = match place as usize + 1 {
            next if next < self.len() => self.offset(next as u32),
            _ => self.end,
        };
        let length = next - offset;
        let length = usize::try_from(length).map_err(std::io::Error::other)?;
        let lent = self.source.lend(offset, length);
        let bytes = match &lent {
            Some(bytes) => &bytes[..],
            None => {
                buffer.resize(length, 0);
                self.source.read_exact_at(offset, buffer)?;
                &buffer[..]
            }
        };
        // The header was read before; other bytes there now are the source's.
        let head = &bytes[..bytes.len().min(MAX_ENTRY_HEADER)];
        let header = EntryHeader::read(head, self.format)
            .map_err(|source| Error::Header { offset, source })?;
        let (header, begin) = header.ok_or(Error::Truncated(offset))?;
        let is_same = match header.kind {
            EntryKind::Whole(_) => !self.is_delta(place) && header.size == self.size(place),
            EntryKind::OfsDelta(_) | EntryKind::RefDelta(_) => self.is_delta(place),
        };
        if !is_same {
            return Err(changed(offset));
        }
        inflater
            .whole_to(&bytes[begin..], header.size, out)
            .map_err(|e| match e {
                inflate::Error::Stream(what) => Error::Deflate { offset, what },
                inflate::Error::Size(got) => Error::Size {
                    offset,
                    expected: header.size,
                    got,
                },
            })
    }
}

/// The source has other bytes than those that were read first.
pub(super) fn changed(offset: u64) -> Error {
    let what = format!("the entry at offset {offset} changed while the pack was read");
    Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, what))
}
