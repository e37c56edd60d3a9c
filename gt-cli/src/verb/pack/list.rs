//! `gt pack list`.

use std::io::{self, ErrorKind, Write};

use gt_pack::verify::{NoVisitor, Verified};
use serde_json::json;

use super::{Failure, broken, read, told};
use crate::Env;
use crate::args::pack::List;

/// Verifies a pack and lists its objects in the order in which they lie: name,
/// kind, size, size in the pack, offset; for deltas depth and base.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(env: &mut Env, words: &List) -> Result<(), Failure> {
    let outcome = read(env, &words.file, &words.reading, &NoVisitor);
    let (_, verified) = told(env, &words.reading, outcome)?;
    let mut out = io::BufWriter::new(&mut env.stdout);
    match tell(&verified, words.reading.json, &mut out) {
        // Who reads it has seen enough.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(broken),
    }
}

fn tell(verified: &Verified, as_json: bool, out: &mut dyn Write) -> io::Result<()> {
    let end = verified.length - verified.format.raw_len() as u64;
    let entries = verified.entries.in_pack();
    let ends = verified.entries.in_pack().skip(1).map(|e| e.offset);
    let ends = ends.chain([end]);
    for (entry, end) in entries.zip(ends) {
        let packed = end - entry.offset;
        let (oid, kind, size, offset) = (entry.oid, entry.kind, entry.size, entry.offset);
        if as_json {
            let value = json!({
                "oid": oid.to_string(), "kind": kind.name(), "size": size, "packed": packed,
                "offset": offset, "crc32": format!("{:08x}", entry.crc32), "depth": entry.depth,
                "base": verified.base(&entry).map(|b| b.to_string()),
            });
            writeln!(out, "{value}")?;
            continue;
        }
        write!(out, "{oid} {kind:<6} {size} {packed} {offset}")?;
        if let Some(base) = verified.base(&entry) {
            write!(out, " {} {base}", entry.depth)?;
        }
        writeln!(out)?;
    }
    out.flush()
}
