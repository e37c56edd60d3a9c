//! The second half: deltas resolved, objects sorted by their names.

use gt_vfs::{ObjectFormat, ReadAt};

use super::entries::Entries;
use super::pass::Pass;
use super::resolve::Resolver;
use super::table::Table;
use super::{Bases, Error, Progress, Verified, Visitor};
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
        mut worn,
    } = pass;
    // Others have nothing to do now; where there are none, memory is given back
    // before more is asked for.
    if rayon::current_num_threads() == 1 {
        worn.clear();
    }
    let ((known, table), ()) = rayon::join(
        || {
            let known = names.known(rows.len());
            let table = Table::new(source, format, length, rows, kept, &known);
            (known, table)
        },
        || drop(worn),
    );
    let spent = inflated.entries;
    let resolver = Resolver::new(
        format, limits, &table, &names, &known, visitor, progress, spent, length,
    );
    resolver.inside()?;
    let external = resolver.outside(bases)?;
    if let Some((first, count)) = resolver.left_over() {
        return Err(Error::MissingBase { first, count });
    }
    let linked = resolver.into_linked();
    let outside = table.bases_outside(&external);
    // What the passes needed is given up before the objects are sorted.
    let rows = table.into_rows();
    let mut records = names.settle();
    records.truncate(rows.len());
    let mut entries = Entries::settled(rows, records, linked, outside);
    if let Some(twice) = entries.sort() {
        return Err(Error::Duplicate(twice));
    }
    Ok(Verified {
        format,
        length,
        checksum,
        inflated: entries.inflated(),
        entries,
        external,
    })
}
