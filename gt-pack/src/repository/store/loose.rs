//! Objects in files of their own: `<kind> <size>`, a zero byte, the content,
//! all of it one zlib stream. Nothing else guards such a file, so it is hashed
//! when it is read.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use gt_vfs::ObjectId;

use crate::Kind;
use crate::hash::{self, ObjectHasher};
use crate::repository::Out;

/// The longest header: `commit` and twenty digits.
const LONGEST: usize = 32;

pub(super) fn read(path: &Path, id: &ObjectId) -> io::Result<(Kind, Bytes)> {
    let (kind, size, mut rest, mut content) = open(path)?;
    // One byte more would show that the size lies.
    rest.by_ref()
        .take((size + 1).saturating_sub(content.len() as u64))
        .read_to_end(&mut content)?;
    if content.len() as u64 != size {
        return Err(bad("expected as many bytes as its header says, got others"));
    }
    match hash::object_id(id.format(), kind, &content) {
        Ok(got) if got == *id => Ok((kind, content.into())),
        Ok(got) => Err(bad(&format!("expected its own bytes, got those of {got}"))),
        Err(collision) => Err(bad(&collision.to_string())),
    }
}

/// Hands out an object in pieces; its name is compared at the end.
pub(super) fn stream(path: &Path, id: &ObjectId, out: &mut Out<'_>) -> io::Result<(Kind, u64)> {
    let (kind, size, mut rest, begin) = open(path)?;
    let mut hasher = ObjectHasher::new(id.format(), kind, size);
    let mut done = 0;
    let mut take = |bytes: &[u8]| {
        done += bytes.len() as u64;
        if done > size {
            return Err(bad("expected as many bytes as its header says, got more"));
        }
        hasher.update(bytes);
        out(bytes)
    };
    take(&begin)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => take(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    match hasher.finish() {
        Ok(got) if got == *id => Ok((kind, size)),
        Ok(got) => Err(bad(&format!("expected its own bytes, got those of {got}"))),
        Err(collision) => Err(bad(&collision.to_string())),
    }
}

pub(super) fn header(path: &Path) -> io::Result<(Kind, u64)> {
    open(path).map(|(kind, size, ..)| (kind, size))
}

type Opened = (Kind, u64, ZlibDecoder<std::fs::File>, Vec<u8>);

/// Returns what the header says, and what was read behind it.
fn open(path: &Path) -> io::Result<Opened> {
    let mut stream = ZlibDecoder::new(std::fs::File::open(path)?);
    let mut head = Vec::new();
    stream
        .by_ref()
        .take(LONGEST as u64)
        .read_to_end(&mut head)?;
    let end = head.iter().position(|b| *b == 0);
    let end = end.ok_or_else(|| bad("expected its header, got other bytes"))?;
    let parsed = head[..end].split(|b| *b == b' ').collect::<Vec<_>>();
    let [name, size] = parsed[..] else {
        return Err(bad("expected a kind and a size, got other words"));
    };
    let kind = Kind::from_name(name).ok_or_else(|| bad("expected a kind, got another word"))?;
    let size = std::str::from_utf8(size).ok().and_then(|s| s.parse().ok());
    let size = size.ok_or_else(|| bad("expected a size, got another word"))?;
    Ok((kind, size, stream, head.split_off(end + 1)))
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("loose object: {why}"))
}
