//! The entries of a pack in their order, and which deltas stand on which.

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::Error;
use super::front::RawEntry;
use crate::entry::EntryKind;
use crate::inflate::{self, Inflater};
use crate::limits::{Exceeded, Limits};

pub(super) struct Table<'a> {
    source: &'a dyn ReadAt,
    entries: Vec<RawEntry>,
    /// Where the trailer begins.
    end: u64,
    /// (base, delta) by place, sorted.
    by_offset: Vec<(u32, u32)>,
    /// (base, delta), sorted.
    by_name: Vec<(ObjectId, u32)>,
    /// How many entries stand on each by offsets, itself counted.
    weights: Vec<u32>,
}

impl<'a> Table<'a> {
    /// Finds the base of every offset delta.
    pub(super) fn new(
        source: &'a dyn ReadAt,
        format: ObjectFormat,
        entries: Vec<RawEntry>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut by_offset = Vec::new();
        let mut by_name = Vec::new();
        let mut depths = vec![0_u32; entries.len()];
        for (n, entry) in entries.iter().enumerate() {
            match entry.header.kind {
                EntryKind::Whole(_) => {}
                EntryKind::RefDelta(oid) => {
                    by_name.push((oid, n as u32));
                    depths[n] = 1;
                }
                EntryKind::OfsDelta(distance) => {
                    let base = entry
                        .offset
                        .checked_sub(distance)
                        .and_then(|at| entries[..n].binary_search_by_key(&at, |e| e.offset).ok())
                        .ok_or(Error::NoEntry {
                            offset: entry.offset,
                            distance,
                        })?;
                    by_offset.push((base as u32, n as u32));
                    depths[n] = depths[base] + 1;
                }
            }
            if depths[n] > limits.depth {
                return Err(Exceeded::Depth {
                    limit: limits.depth,
                    got: depths[n],
                }
                .into());
            }
        }
        let mut weights = vec![1_u32; entries.len()];
        // Bases stand before their deltas, so the last come first here.
        for (base, delta) in by_offset.iter().rev() {
            weights[*base as usize] =
                weights[*base as usize].saturating_add(weights[*delta as usize]);
        }
        by_offset.sort_unstable();
        by_name.sort_unstable();
        Ok(Self {
            source,
            end: source.size().saturating_sub(format.raw_len() as u64),
            entries,
            by_offset,
            by_name,
            weights,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, place: u32) -> &RawEntry {
        &self.entries[place as usize]
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

    /// Returns the deltas on an object, the one with the most entries on it
    /// first. `place` is `None` for an object outside of the pack.
    pub(super) fn deltas_on(&self, place: Option<u32>, oid: &ObjectId) -> Vec<u32> {
        let mut deltas: Vec<u32> = Vec::new();
        if let Some(place) = place {
            let from = self.by_offset.partition_point(|(base, _)| *base < place);
            let here = self.by_offset[from..].iter();
            deltas.extend(here.take_while(|d| d.0 == place).map(|d| d.1));
        }
        let from = self.by_name.partition_point(|(base, _)| base < oid);
        let here = self.by_name[from..].iter();
        deltas.extend(here.take_while(|d| d.0 == *oid).map(|d| d.1));
        if let Some(heaviest) = (0..deltas.len()).max_by_key(|n| self.weights[deltas[*n] as usize])
        {
            deltas.swap(0, heaviest);
        }
        deltas
    }

    /// Inflates an entry: an object or a delta.
    pub(super) fn inflate(
        &self,
        place: u32,
        inflater: &mut Inflater,
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let entry = self.entry(place);
        let begin = entry.offset + u64::from(entry.header_length);
        let next = self.entries.get(place as usize + 1);
        let length = next.map_or(self.end, |e| e.offset) - begin;
        let length = usize::try_from(length).map_err(std::io::Error::other)?;
        let lent = self.source.lend(begin, length);
        let bytes = match &lent {
            Some(bytes) => &bytes[..],
            None => {
                buffer.resize(length, 0);
                self.source.read_exact_at(begin, buffer)?;
                &buffer[..]
            }
        };
        let offset = entry.offset;
        inflater
            .whole(bytes, entry.header.size)
            .map_err(|e| match e {
                inflate::Error::Stream(what) => Error::Deflate { offset, what },
                inflate::Error::Size(got) => Error::Size {
                    offset,
                    expected: entry.header.size,
                    got,
                },
            })
    }
}
