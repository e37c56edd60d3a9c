//! What the fuzz targets do with their bytes: read them, and hold what was
//! read against what must be true of anything that is read.

use bytes::Bytes;
use gt_vfs::Root;
use gt_wire::bencode::{Document, Keys, Limits, Node};
use gt_wire::extended::Extensions;
use gt_wire::handshake::Handshake;
use gt_wire::hashes::{HashSpan, LayerFetch, Tree};
use gt_wire::message::Decoder;
use gt_wire::metainfo::{Info, Metainfo};
use gt_wire::{Magnet, PieceIndex, metadata, turn};

/// Every reader takes at most what a stricter one takes; values lie inside.
pub(crate) fn bencode(bytes: &[u8]) {
    let read = |keys| Document::parse(bytes, Limits::MESSAGE.with_keys(keys)).is_ok();
    let (any, unique, sorted) = (read(Keys::Any), read(Keys::Unique), read(Keys::Sorted));
    assert!((!sorted || unique) && (!unique || any));
    if let Ok((document, rest)) = Document::parse_prefix(bytes, Limits::MESSAGE) {
        let root = document.root();
        assert_eq!(root.raw().len() + rest.len(), bytes.len());
        walk(root, 0);
    }
}

fn walk(node: Node<'_>, depth: usize) {
    assert!(depth <= Limits::MESSAGE.depth);
    for item in node.items() {
        walk(item, depth + 1);
    }
    for (key, value) in node.entries() {
        assert!(node.get(key).is_some());
        walk(value, depth + 1);
    }
}

/// What is read keeps its names when it is written, and no file leaves its
/// folder.
pub(crate) fn metainfo(bytes: &[u8]) {
    let _ = Info::read(bytes);
    let Ok(read) = Metainfo::read(bytes) else {
        return;
    };
    let geometry = read.info.geometry();
    let mut covered = 0;
    for n in 0..geometry.pieces().min(64) {
        let piece = PieceIndex(n);
        let spans = geometry.spans(geometry.whole(piece));
        let length: u64 = spans.iter().map(|span| span.length).sum();
        assert_eq!(length, u64::from(geometry.piece_len(piece)));
        covered += length;
    }
    assert!(covered > 0);
    for file in geometry.files() {
        let path = file.path.to_string();
        assert!(!path.starts_with('/') && path.split('/').all(|c| c != ".." && !c.is_empty()));
    }
    let again = Metainfo::read(&read.write()).expect("what was written is read");
    assert_eq!(again.info, read.info);
    assert_eq!(again.trackers, read.trackers);
}

/// A link that is read is the same when it was written.
pub(crate) fn magnet(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(magnet) = text.parse::<Magnet>()
    {
        assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }
}

/// A stream gives the same messages however it is cut.
pub(crate) fn messages(bytes: &[u8]) {
    let _ = Handshake::info_hash_in(bytes);
    let at = bytes
        .first()
        .map_or(0, |b| usize::from(*b) * bytes.len() / 256);
    let whole = drain(&[bytes]);
    let cut = drain(&[&bytes[..at], &bytes[at..]]);
    assert_eq!(whole, cut);
}

fn drain(parts: &[&[u8]]) -> Vec<String> {
    let mut decoder = Decoder::new(1000);
    let mut seen = Vec::new();
    for part in parts {
        decoder.push(Bytes::copy_from_slice(part));
        loop {
            match decoder.next() {
                Ok(Some(message)) => seen.push(format!("{message:?}")),
                Ok(None) => break,
                Err(e) => {
                    seen.push(e.to_string());
                    return seen;
                }
            }
        }
    }
    seen
}

/// Extension handshakes, parts of the info dictionary, and turns.
pub(crate) fn metadata(bytes: &[u8]) {
    let _ = Extensions::read(bytes);
    let payload = Bytes::copy_from_slice(bytes);
    if let Some(message) = turn::Message::read(&payload) {
        assert_eq!(message.write(), payload);
    }
    if let Ok(message) = metadata::Message::read(&payload)
        && message != metadata::Message::Unknown
    {
        let again = metadata::Message::read(&message.write());
        assert_eq!(again.ok().as_ref(), Some(&message));
    }
}

/// Answers to hash requests: whatever comes, only what leads to the root is
/// taken.
pub(crate) fn hashes(bytes: &[u8]) {
    let Some((head, answer)) = bytes.split_at_checked(18) else {
        return;
    };
    let number =
        |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let span = HashSpan {
        root: Root([head[0]; 32]),
        base: number(1) % 40,
        index: number(5),
        length: number(9) % 1024,
        proofs: number(13) % 40,
    };
    let height = u32::from(head[17]) % 40;
    // A root of one repeated byte has no known tree below it.
    assert!(span.check(height, answer).is_err());
    let tree = Tree {
        root: span.root,
        blocks: 2 + u64::from(number(5)) % 100_000,
        piece_row: u32::from(head[17]) % 8,
    };
    let mut fetch = LayerFetch::new(tree);
    for span in fetch.missing().take(4).collect::<Vec<_>>() {
        assert!(fetch.take(&span, answer).is_err());
    }
}
