//! The second half: deltas resolved, objects sorted by their names.

use gt_vfs::{ObjectFormat, ReadAt};
use rayon::prelude::*;

use super::names::{OUTSIDE, Settled};
use super::pass::Pass;
use super::resolve::Resolver;
use super::table::{Row, Table};
use super::{Bases, Entry, Error, Link, Progress, Verified, Visitor};
use crate::ObjectId;
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
    let asked = resolver.outside(bases)?;
    if let Some((first, count)) = resolver.left_over() {
        return Err(Error::MissingBase { first, count });
    }
    drop(resolver);
    let outside = table.bases_outside(&asked);
    let (entries, external) = sorted(&table.into_rows(), &names.settle(), asked, &outside);
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
fn sorted(
    rows: &[Row],
    names: &Settled,
    external: Vec<ObjectId>,
    outside: &[(u32, u32)],
) -> (Vec<Entry>, Vec<ObjectId>) {
    // Eight bytes of a name nearly always say all.
    let mut order: Vec<(u64, u32)> = (0..rows.len() as u32)
        .map(|place| {
            let mut prefix = [0; 8];
            prefix.copy_from_slice(&names.oid(place)[..8]);
            (u64::from_be_bytes(prefix), place)
        })
        .collect();
    order.par_sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| names.oid(a.1).cmp(names.oid(b.1)))
    });
    let mut sorted_at = vec![0_u32; rows.len()];
    for (at, (_, place)) in order.iter().enumerate() {
        sorted_at[*place as usize] = at as u32;
    }
    let mut entries = Vec::with_capacity(rows.len());
    entries.extend(order.iter().filter_map(|(_, place)| {
        let (row, named) = (&rows[*place as usize], names.find(*place)?);
        let base = match named.base {
            _ if !row.is_delta() => None,
            OUTSIDE => {
                let n = outside.binary_search_by_key(place, |o| o.0).ok()?;
                Some(Link::Outside(outside[n].1))
            }
            base => Some(Link::Inside(sorted_at[base as usize])),
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
    }));
    (entries, external)
}
