//! Reels made here by their recipe, where the objects are here already: a
//! clone that plain git made becomes a seed with nothing brought but the
//! reels' headers.
//!
//! The headers come from whoever told of the statement. Nothing vouches for
//! them, and nothing has to: a wrong one makes a wrong root, and then the reel
//! is fetched.
//!
//! They come as they are, one after the other. Where they are too long for the
//! message they come as a pack of one blob, a delta on the statement: the tips
//! of a first reel are lines of it, but for those that have moved since.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use gt_pack::bundle::Header;
use gt_pack::chain::{Chain, Reel};
use gt_pack::encode::{self, Wanted};
use gt_pack::hash::object_id;
use gt_pack::repository::GitRepository;
use gt_pack::small::{self, Budget, Object};
use gt_pack::{Kind, ObjectFormat, ObjectId};
use gt_vfs::{Root, Vfs};

use crate::convert;

/// Reads the headers of all reels out of `bytes`, one after the other; `None`
/// where they are something else.
fn headers(bytes: &Bytes, reels: &[Reel]) -> Option<Vec<Header>> {
    let mut rest = &bytes[..];
    let mut headers = Vec::new();
    for _ in reels {
        let (header, length) = Header::read(rest).ok()??;
        headers.push(header);
        rest = &rest[length..];
    }
    rest.is_empty().then_some(headers)
}

/// The longest headers that are sent or read, in bytes: some 60,000 tips.
const LONGEST: usize = 4 << 20;

/// Returns the headers of reels in at most `most` bytes, for somebody who has
/// the text of the statement.
pub(super) fn headers_of(
    vfs: &dyn Vfs,
    reels: &[Reel],
    statement: &[u8],
    most: usize,
) -> Option<Bytes> {
    let mut bytes = Vec::new();
    for reel in reels {
        let file = vfs.open(&convert::reel_path(reel).ok()?).ok()?;
        let (header, _) = Header::read_from(&*file).ok()?;
        bytes.extend_from_slice(&header.write());
        if bytes.len() > LONGEST {
            return None;
        }
    }
    if bytes.len() > most {
        bytes = small::write(&[Object::new(Kind::Blob, bytes)], &[statement.to_vec()]);
    }
    (bytes.len() <= most).then(|| bytes.into())
}

/// Returns headers as they are, however they came.
fn unpacked(bytes: &Bytes, statement: &[u8]) -> Option<Bytes> {
    if !bytes.starts_with(b"PACK") {
        return Some(bytes.clone());
    }
    let named = object_id(ObjectFormat::Sha1, Kind::Blob, statement).ok()?;
    let base = |oid: &ObjectId| (*oid == named).then(|| statement.to_vec());
    let mut budget = Budget::default();
    budget.objects = 1;
    // The delta is inflated as well.
    budget.inflated = 2 * LONGEST as u64;
    let objects = small::read(bytes, &base, &budget).ok()?;
    Some(objects.into_iter().next()?.bytes.into())
}

/// Makes those reels that are not held, as far as it goes, and puts them in
/// through the door through which all come. Returns their names.
pub(super) fn make(
    common_dir: &Path,
    partial: &Path,
    vfs: &dyn Vfs,
    reels: &[Reel],
    statement: &[u8],
    bytes: &Bytes,
) -> io::Result<Vec<String>> {
    let mut made = Vec::new();
    // One that came whole is no list of headers.
    let whole = reels
        .last()
        .is_some_and(|last| last.root == Root::of(bytes));
    if whole {
        return Ok(made);
    }
    let headers = unpacked(bytes, statement).and_then(|bytes| headers(&bytes, reels));
    let Some(headers) = headers else {
        return Ok(made);
    };
    // A clone without history cannot make them, and need not.
    let Ok(repository) = GitRepository::open(common_dir) else {
        return Ok(made);
    };
    std::fs::create_dir_all(partial)?;
    for (place, (reel, header)) in reels.iter().zip(&headers).enumerate() {
        let chain = Chain::open(common_dir)?;
        if chain.holds(&reel.root) {
            continue;
        }
        let Ok(published) = chain.select(&reels[..place]) else {
            break;
        };
        let wanted = Wanted {
            header,
            length: reel.length,
            root: reel.root,
            recipe: reel.recipe.as_deref(),
        };
        let mut file = tempfile::tempfile_in(partial)?;
        let options = encode::Options::default();
        match encode::remake(&repository, &published, &wanted, &options, &mut file) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(encode::Error::Write(e)) => return Err(e),
            // What cannot be read here can be fetched.
            Err(_) => continue,
        }
        file.flush()?;
        if !put(vfs, reel, &file)? {
            break;
        }
        made.push(reel.file_name());
    }
    Ok(made)
}

fn put(vfs: &dyn Vfs, reel: &Reel, file: &File) -> io::Result<bool> {
    let path = convert::reel_path(reel).map_err(io::Error::other)?;
    let writer = vfs.create(&path, reel.length)?;
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < reel.length {
        let want = buffer.len().min((reel.length - at) as usize);
        file.read_exact_at(&mut buffer[..want], at)?;
        writer.write_at(at, &buffer[..want])?;
        at += want as u64;
    }
    Ok(writer.close()?.is_accept())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_headers_are_deltas_on_the_statement() {
        let refs = |n: u8| -> Vec<(Vec<u8>, ObjectId)> {
            let name = |m: u32| format!("refs/heads/branch-{m:05}").into_bytes();
            let oid = |m: u32| object_id(ObjectFormat::Sha1, Kind::Blob, &m.to_be_bytes());
            let mut refs: Vec<_> = (0..3000).map(|m| (name(m), oid(m).unwrap())).collect();
            refs[5].1 = ObjectId::Sha1([n; 20]);
            refs
        };
        let header = Header {
            format: ObjectFormat::Sha1,
            prerequisites: Vec::new(),
            tips: refs(1),
        };
        let mut statement = b"gt statement 1\nRepository: x\n\n".to_vec();
        for (name, oid) in refs(2) {
            statement.extend_from_slice(format!("{oid} ").as_bytes());
            statement.extend_from_slice(&[&name[..], b"\n"].concat());
        }
        let plain = Bytes::from(header.write());
        assert!(plain.len() > 150_000);
        let sent = small::write(
            &[Object::new(Kind::Blob, plain.to_vec())],
            &[statement.clone()],
        );
        assert!(sent.len() < 1_000, "{} bytes", sent.len());
        let sent = Bytes::from(sent);
        assert_eq!(unpacked(&sent, &statement), Some(plain.clone()));
        assert_eq!(unpacked(&plain, b"any"), Some(plain));
        // Another statement, another pack, or more than is read.
        assert_eq!(unpacked(&sent, b"another"), None);
        assert_eq!(unpacked(&sent.slice(..sent.len() - 1), &statement), None);
        let zeros = Object::new(Kind::Blob, vec![0; 2 * LONGEST + 1]);
        assert_eq!(unpacked(&small::write(&[zeros], &[]).into(), b""), None);
    }

    #[test]
    fn headers_are_read_as_many_as_there_are_reels() {
        let header = Header {
            format: ObjectFormat::Sha1,
            prerequisites: Vec::new(),
            tips: vec![(b"refs/heads/a".to_vec(), ObjectId::Sha1([1; 20]))],
        };
        let reel = Reel {
            first: 0,
            last: 0,
            length: 1,
            root: Root([0; 32]),
            recipe: None,
        };
        let reels = [reel.clone(), reel];
        let one = header.write();
        let two = Bytes::from([&one[..], &one].concat());
        assert_eq!(headers(&two, &reels), Some(vec![header.clone(), header]));
        assert_eq!(headers(&two, &reels[..1]), None, "one too many");
        assert_eq!(headers(&Bytes::from(one), &reels), None, "one too few");
        assert_eq!(headers(&Bytes::from_static(b"x"), &reels), None);
    }
}
