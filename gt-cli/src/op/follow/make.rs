//! Reels made here by their recipe, where the objects are here already: a
//! clone that plain git made becomes a seed with nothing brought but the
//! reels' headers.
//!
//! The headers come from whoever told of the statement. Nothing vouches for
//! them, and nothing has to: a wrong one makes a wrong root, and then the reel
//! is fetched.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use gt_pack::bundle::Header;
use gt_pack::chain::{Chain, Reel};
use gt_pack::encode::{self, Wanted};
use gt_pack::repository::GitRepository;
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

/// Returns the headers of reels, one after the other, up to `most` bytes.
pub(super) fn headers_of(vfs: &dyn Vfs, reels: &[Reel], most: u64) -> Option<Bytes> {
    let mut bytes = Vec::new();
    for reel in reels {
        let file = vfs.open(&convert::reel_path(reel).ok()?).ok()?;
        let (header, _) = Header::read_from(&*file).ok()?;
        bytes.extend_from_slice(&header.write());
        if bytes.len() as u64 > most {
            return None;
        }
    }
    Some(bytes.into())
}

/// Makes those reels that are not held, as far as it goes, and puts them in
/// through the door through which all come. Returns their names.
pub(super) fn make(
    common_dir: &Path,
    partial: &Path,
    vfs: &dyn Vfs,
    reels: &[Reel],
    bytes: &Bytes,
) -> io::Result<Vec<String>> {
    let mut made = Vec::new();
    // One that came whole is no list of headers.
    let whole = reels
        .last()
        .is_some_and(|last| last.root == Root::of(bytes));
    let Some(headers) = headers(bytes, reels).filter(|_| !whole) else {
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
    fn headers_are_read_as_many_as_there_are_reels() {
        let header = Header {
            format: gt_vfs::ObjectFormat::Sha1,
            prerequisites: Vec::new(),
            tips: vec![(b"refs/heads/a".to_vec(), gt_vfs::ObjectId::Sha1([1; 20]))],
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
