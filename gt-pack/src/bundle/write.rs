//! Writing a header.

use std::io::Write;

use gt_vfs::ObjectFormat;

use super::Header;

pub(super) fn header(header: &Header) -> Vec<u8> {
    let mut out = match header.format {
        ObjectFormat::Sha1 => b"# v2 git bundle\n".to_vec(),
        format => format!("# v3 git bundle\n@object-format={format}\n").into_bytes(),
    };
    for id in &header.prerequisites {
        // The grammar wants the space before a comment even where there is no
        // comment. Writing to a vector cannot fail.
        let _ = writeln!(out, "-{id} ");
    }
    for (name, id) in &header.tips {
        let _ = write!(out, "{id} ");
        out.extend_from_slice(name);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}
