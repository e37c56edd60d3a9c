//! The entries of a pack in their order, and which deltas stand on which.

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::Error;
use super::front::RawEntry;
use super::kept::Kept;
use super::names::{Names, OUTSIDE};
use crate::entry::{EntryHeader, EntryKind, MAX_ENTRY_HEADER};
use crate::inflate::{self, Inflater};
use crate::limits::{Exceeded, Limits};

/// What is kept of every entry, in 32 bytes.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) offset: u64,
    /// Bytes of the object, deltas resolved.
    pub(super) result: u64,
    pub(super) crc32: u32,
    /// The entry of the base of an offset delta, or [`OUTSIDE`].
    base: u32,
    /// Offset deltas between it and an object that is none.
    depth: u32,
    header_length: u8,
    is_delta: bool,
}

/// The entries that have come.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    /// (base, delta) of reference deltas.
    by_name: Vec<(ObjectId, u32)>,
}

impl Rows {
    /// Adds the next entry and returns its place.
    pub(super) fn push(&mut self, entry: &RawEntry, limits: &Limits) -> Result<u32, Error> {
        let place = u32::try_from(self.rows.len()).map_err(std::io::Error::other)?;
        let (base, depth) = match entry.header.kind {
            EntryKind::Whole(_) => (OUTSIDE, 0),
            EntryKind::RefDelta(oid) => {
                self.by_name.push((oid, place));
                (OUTSIDE, 1)
            }
            EntryKind::OfsDelta(distance) => {
                let at = entry.offset.checked_sub(distance);
                let base = at.and_then(|at| self.rows.binary_search_by_key(&at, |e| e.offset).ok());
                let base = base.ok_or(Error::NoEntry {
                    offset: entry.offset,
                    distance,
                })?;
                (base as u32, self.rows[base].depth + 1)
            }
        };
        if depth > limits.depth {
            return Err(Exceeded::Depth {
                limit: limits.depth,
                got: depth,
            }
            .into());
        }
        self.rows.push(Row {
            offset: entry.offset,
            result: entry.result,
            crc32: entry.crc32,
            base,
            depth,
            header_length: entry.header_length,
            is_delta: !matches!(entry.header.kind, EntryKind::Whole(_)),
        });
        Ok(place)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the base of an offset delta.
    pub(super) fn base_before(&self, place: u32) -> Option<u32> {
        let base = self.rows.get(place as usize)?.base;
        (base != OUTSIDE).then_some(base)
    }
}

pub(super) struct Table<'a> {
    source: &'a dyn ReadAt,
    format: ObjectFormat,
    rows: Vec<Row>,
    kept: Kept,
    /// Where the trailer begins.
    end: u64,
    /// Where in `deltas` those on each entry begin; one more than entries.
    first: Vec<u32>,
    /// Offset deltas, by the place of their base.
    deltas: Vec<u32>,
    /// (base, delta), sorted.
    by_name: Vec<(ObjectId, u32)>,
    /// How many entries that have no name yet stand on each by offsets, itself
    /// counted; all of them where there are reference deltas.
    weights: Vec<u32>,
}

impl Row {
    pub(super) fn is_delta(&self) -> bool {
        self.is_delta
    }
}

impl<'a> Table<'a> {
    /// Sorts deltas by their bases.
    pub(super) fn new(
        source: &'a dyn ReadAt,
        format: ObjectFormat,
        length: u64,
        rows: Rows,
        mut kept: Kept,
        names: &Names,
    ) -> Self {
        let Rows { rows, mut by_name } = rows;
        by_name.sort_unstable();
        kept.sort();
        let mut first = vec![0_u32; rows.len() + 1];
        let mut weights: Vec<u32> = (0..rows.len() as u32)
            .map(|place| u32::from(!by_name.is_empty() || names.find(place).is_none()))
            .collect();
        // Bases stand before their deltas, so the last come first here.
        for (place, row) in rows.iter().enumerate().rev() {
            if let Some(count) = first.get_mut(row.base as usize) {
                *count += 1;
                let weight = weights[place];
                let base = &mut weights[row.base as usize];
                *base = base.saturating_add(weight);
            }
        }
        let mut sum = 0;
        for slot in &mut first {
            sum += *slot;
            *slot = sum;
        }
        let mut deltas = vec![0; sum as usize];
        for (place, row) in rows.iter().enumerate().rev() {
            if let Some(end) = first.get_mut(row.base as usize) {
                *end -= 1;
                deltas[*end as usize] = place as u32;
            }
        }
        Self {
            source,
            format,
            end: length.saturating_sub(format.raw_len() as u64),
            rows,
            kept,
            first,
            deltas,
            by_name,
            weights,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, place: u32) -> &Row {
        &self.rows[place as usize]
    }

    pub(super) fn is_delta(&self, place: u32) -> bool {
        self.rows[place as usize].is_delta
    }

    /// Gives back what a result is made of, and frees the rest.
    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Returns the names of bases that deltas give, each once, those whose
    /// first delta stands first in front, with that delta.
    pub(super) fn named_bases(&self) -> Vec<(u32, ObjectId)> {
        let mut bases: Vec<_> = self
            .by_name
            .chunk_by(|a, b| a.0 == b.0)
            .map(|deltas| (deltas[0].1, deltas[0].0))
            .collect();
        bases.sort_unstable();
        bases
    }

    /// Returns, sorted, the deltas on these objects outside, each with the
    /// place of its base among them.
    pub(super) fn bases_outside(&self, outside: &[ObjectId]) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        for (n, oid) in outside.iter().enumerate() {
            let from = self.by_name.partition_point(|(base, _)| base < oid);
            let here = self.by_name[from..].iter().take_while(|d| d.0 == *oid);
            all.extend(here.map(|d| (d.1, n as u32)));
        }
        all.sort_unstable();
        all
    }

    /// Returns the base that a reference delta names.
    pub(super) fn named_base(&self, place: u32) -> Option<ObjectId> {
        let mut all = self.by_name.iter();
        all.find(|(_, delta)| *delta == place).map(|(oid, _)| *oid)
    }

    /// Puts the deltas on an object into `out`, the one with the most entries
    /// on it first, without those on which nothing is to be done any more. `place` is `None` for an object outside of the pack.
    pub(super) fn deltas_on(&self, place: Option<u32>, oid: &ObjectId, out: &mut Vec<u32>) {
        out.clear();
        if let Some(place) = place.map(|p| p as usize) {
            let range = self.first[place] as usize..self.first[place + 1] as usize;
            let open = self.deltas[range].iter().copied();
            out.extend(open.filter(|d| self.weights[*d as usize] > 0));
        }
        if !self.by_name.is_empty() {
            let from = self.by_name.partition_point(|(base, _)| base < oid);
            let here = self.by_name[from..].iter();
            out.extend(here.take_while(|d| d.0 == *oid).map(|d| d.1));
        }
        if let Some(heaviest) = (0..out.len()).max_by_key(|n| self.weights[out[*n] as usize]) {
            out.swap(0, heaviest);
        }
    }

    /// Hands the bytes of a delta to `take`: those that were kept, or inflated
    /// once more.
    pub(super) fn delta<T>(
        &self,
        place: u32,
        inflater: &mut Inflater,
        buffer: &mut Vec<u8>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Error> {
        match self.kept.find(place) {
            Some(bytes) => Ok(take(bytes)),
            None => Ok(take(&self.inflate(place, inflater, buffer)?)),
        }
    }

    /// Inflates an entry: an object or a delta.
    pub(super) fn inflate(
        &self,
        place: u32,
        inflater: &mut Inflater,
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let entry = self.row(place);
        let next = self.rows.get(place as usize + 1);
        let length = next.map_or(self.end, |e| e.offset) - entry.offset;
        let length = usize::try_from(length).map_err(std::io::Error::other)?;
        let lent = self.source.lend(entry.offset, length);
        let bytes = match &lent {
            Some(bytes) => &bytes[..],
            None => {
                buffer.resize(length, 0);
                self.source.read_exact_at(entry.offset, buffer)?;
                &buffer[..]
            }
        };
        let offset = entry.offset;
        // The header was read before; other bytes there now are the source's.
        let head = &bytes[..bytes.len().min(MAX_ENTRY_HEADER)];
        let header = EntryHeader::read(head, self.format)
            .map_err(|source| Error::Header { offset, source })?;
        let (header, begin) = header
            .filter(|(_, begin)| *begin == usize::from(entry.header_length))
            .ok_or(Error::Truncated(offset))?;
        inflater
            .whole(&bytes[begin..], header.size)
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
