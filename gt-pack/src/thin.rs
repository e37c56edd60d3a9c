//! Completes a thin pack: the bases that it leaves out are put behind its
//! entries, as `git index-pack --fix-thin` does.

use std::io::{self, Write};

use gt_vfs::ReadAt;

use crate::verify::{Bases, Verified};

/// Writes the completed form of `pack`, which `verified` describes, to `out`:
/// header with the new count, its entries byte for byte, the missing bases as
/// whole objects, a new trailer. Returns what the completed pack holds.
///
/// # Errors
/// What the source, the bases or `out` meet; [`io::ErrorKind::NotFound`]
/// where a base has gone since.
pub fn complete(
    pack: &dyn ReadAt,
    verified: &Verified,
    bases: &dyn Bases,
    out: &mut dyn Write,
) -> io::Result<Verified> {
    let _ = (pack, verified, bases, out);
    unimplemented!()
}
