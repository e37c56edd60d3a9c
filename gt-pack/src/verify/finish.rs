//! The second half: deltas resolved, objects sorted by their names.

use gt_vfs::{ObjectFormat, ReadAt};
use rayon::prelude::*;

use super::names::{OUTSIDE, Settled};
use super::pass::Pass;
use super::resolve::Resolver;
use super::table::{Row, Table};
use super::{Bases, Entry, Error, Link, Progress, Verified, Visitor};
use crate::limits::Limits;

/// Resolves the deltas of a pack that was read, which lies in `source`.
pub(super) fn finish(
    pass: Pass,
    source: &dyn ReadAt,
    format: ObjectFormat,
    limits: &Limits,
    bases: &dyn Bases,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    let Pass {
        rows,
        kept,
        names,
        checksum,
        inflated,
        length,
    } = pass;
    let table = Table::new(source, format, length, rows, kept, &names);
    let spent = inflated.entries;
    let resolver = Resolver::new(
        format, limits, &table, &names, visitor, progress, spent, length,
    );
    resolver.inside()?;
    let external = resolver.outside(bases)?;
    if let Some((first, count)) = resolver.left_over() {
        return Err(Error::MissingBase { first, count });
    }
    drop(resolver);
    let outside = table.bases_outside(&external);
    let entries = sorted(table.into_rows(), names.settle(), &outside);
    if let Some(twice) = entries.windows(2).find(|two| two[0].oid == two[1].oid) {
        return Err(Error::Duplicate(twice[0].oid));
    }
    Ok(Verified {
        format,
        length,
        checksum,
        inflated: entries.iter().map(|e| e.size).sum(),
        entries,
        external,
    })
}

/// Sorts the entries by their names. `outside` says, sorted by entry, which of
/// the objects outside an entry is a delta on.
///
/// This is where most memory is in use: what the passes knew of an entry is
/// given up as soon as it stands in the list.
fn sorted(mut rows: Vec<Row>, mut names: Settled, outside: &[(u32, u32)]) -> Vec<Entry> {
    const RUN: usize = 1 << 16;
    let count = rows.len();
    let mut entries = Vec::with_capacity(count);
    while let Some(row) = rows.pop() {
        let place = rows.len() as u32;
        entries.extend(entry(&row, place, &names, outside));
        if rows.len().is_multiple_of(RUN) {
            rows.shrink_to_fit();
            names.truncate(rows.len());
        }
    }
    drop((rows, names));
    entries.par_sort_unstable_by(|a, b| a.oid.cmp(&b.oid));
    // In the order of the pack, which is that of the offsets, a base has its
    // place there.
    let mut sorted_at: Vec<u32> = (0..count as u32).collect();
    sorted_at.par_sort_unstable_by_key(|at| entries[*at as usize].offset);
    for entry in &mut entries {
        if let Some(Link::Inside(base)) = &mut entry.base {
            *base = sorted_at[*base as usize];
        }
    }
    entries
}

/// Returns an entry, its base by the place in the pack.
fn entry(row: &Row, place: u32, names: &Settled, outside: &[(u32, u32)]) -> Option<Entry> {
    let named = names.find(place)?;
    let base = match named.base {
        _ if !row.is_delta() => None,
        OUTSIDE => {
            let n = outside.binary_search_by_key(&place, |o| o.0).ok()?;
            Some(Link::Outside(outside[n].1))
        }
        base => Some(Link::Inside(base)),
    };
    Some(Entry {
        oid: named.oid,
        offset: row.offset,
        crc32: row.crc32,
        kind: named.kind,
        size: row.result,
        base,
        depth: named.depth,
    })
}
