//! What the fuzz targets do with bytes: one function for each parser. They
//! may refuse, and must neither panic nor take much memory.

use std::sync::Arc;

use gt_pack::bundle::Header;
use gt_pack::delta::apply;
use gt_pack::fsck::{self, Policy};
use gt_pack::hash::{FileHasher, object_id};
use gt_pack::index::{Index, Layers, Multi, Reverse};
use gt_pack::verify::{self, Incoming, NoBases, NoVisitor, Silent};
use gt_pack::{Kind, Limits, ObjectFormat};
use gt_vfs::{Memory, ReadAt, VPath, Vfs};

fn file(bytes: &[u8]) -> Option<Arc<dyn ReadAt>> {
    let memory = Memory::new();
    let path = VPath::parse(b"file").ok()?;
    memory.insert(path.clone(), bytes.to_vec());
    memory.open(&path).ok().map(Arc::from)
}

const FORMATS: [ObjectFormat; 2] = [ObjectFormat::Sha1, ObjectFormat::Sha256];

/// A pack whole, and the same in pieces: the verdict is one. The trailer is
/// made right, so that not every altered byte ends there.
pub(crate) fn pack(bytes: &[u8]) {
    let limits = Limits::default();
    for format in FORMATS {
        let mut bytes = bytes.to_vec();
        if let Some(end) = bytes.len().checked_sub(format.raw_len()) {
            let mut sum = FileHasher::new(format);
            sum.update(&bytes[..end]);
            bytes[end..].copy_from_slice(sum.finish().as_bytes());
        }
        let Some(source) = file(&bytes) else {
            return;
        };
        let whole = verify::pack(&*source, format, &limits, &NoBases, &NoVisitor, &Silent);
        let mut incoming = Incoming::new(format, &limits, None, &NoVisitor);
        for piece in bytes.chunks(97) {
            if !incoming.push(piece) {
                break;
            }
        }
        let pieces = incoming.finish(&*source, &NoBases, &Silent);
        assert_eq!(whole.is_ok(), pieces.is_ok(), "{whole:?} {pieces:?}");
        if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
            assert_eq!(whole, pieces);
            for entry in whole.entries.iter().take(50) {
                assert!(matches!(whole.object(&*source, &entry.oid), Ok(Some(_))));
            }
        }
    }
}

/// An index: no offset leads out of the pack.
pub(crate) fn idx(bytes: &[u8]) {
    const LENGTH: u64 = 1 << 20;
    for format in FORMATS {
        let index = file(bytes).and_then(|f| Index::open(f, format, LENGTH).ok());
        let Some(index) = index else {
            continue;
        };
        let whole = index.check_whole();
        for place in (0..index.len().min(1000)).chain([index.len(), u32::MAX]) {
            if let Ok(offset) = index.offset_at(place) {
                assert!((12..LENGTH).contains(&offset));
            }
            if let Ok(oid) = index.oid_at(place) {
                let found = index.find(&oid);
                assert!(whole.is_err() || matches!(found, Ok(Some(p)) if p == place));
            }
        }
    }
}

/// A reverse index.
pub(crate) fn rev(bytes: &[u8]) {
    for format in FORMATS {
        let count = (bytes.len() as u64).saturating_sub(12 + 2 * format.raw_len() as u64) / 4;
        let reverse = file(bytes).and_then(|f| Reverse::open(f, format, count as u32).ok());
        if let Some(reverse) = reverse {
            let _ = reverse.check_whole();
            for nth in 0..=reverse.len() {
                if let Ok(place) = reverse.place_at(nth) {
                    assert!(place < reverse.len());
                }
            }
        }
    }
}

/// An index over many packs.
pub(crate) fn midx(bytes: &[u8]) {
    for format in FORMATS {
        let Some(multi) = file(bytes).and_then(|f| Multi::open(f, format).ok()) else {
            continue;
        };
        let _ = multi.check_whole();
        for place in (0..multi.len().min(1000)).chain([multi.len(), u32::MAX]) {
            if let Ok((pack, offset)) = multi.offset_at(place) {
                assert!((pack as usize) < multi.packs().len() && offset >= 12);
            }
            if let Ok(oid) = multi.oid_at(place) {
                let _ = multi.find(&oid);
            }
        }
    }
}

/// A chain of multi-pack-indexes: its length in the first byte, then the layer
/// that lies under each name.
pub(crate) fn layers(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (chain, layer) = rest.split_at(rest.len().min(usize::from(*length)));
    for format in FORMATS {
        let Some(chain) = file(chain) else {
            continue;
        };
        let mut open = |name: &str| {
            assert!(name.starts_with("multi-pack-index-") && !name.contains('/'));
            Ok(file(layer))
        };
        let Ok(layers) = Layers::open(&*chain, format, &mut open) else {
            continue;
        };
        let _ = layers.check_whole();
        let packs = layers.packs().count();
        for place in (0..layers.len().min(1000)).chain([layers.len(), u32::MAX]) {
            if let Ok((pack, offset)) = layers.offset_at(place) {
                assert!((pack as usize) < packs && offset >= 12);
            }
            if let Ok(oid) = layers.oid_at(place) {
                let _ = layers.find(&oid);
            }
        }
    }
}

/// A bundle's header.
pub(crate) fn bundle(bytes: &[u8]) {
    let _ = Header::read(bytes);
}

/// A base and a delta, with the base's length in the first byte.
pub(crate) fn delta(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (base, delta) = rest.split_at(rest.len().min(usize::from(*length)));
    if let Ok(result) = apply::apply(base, delta, 1 << 20) {
        assert!(result.len() <= 1 << 20);
    }
}

/// An object of any kind.
pub(crate) fn object(bytes: &[u8]) {
    for kind in Kind::ALL {
        for format in FORMATS {
            if let Ok(oid) = object_id(format, kind, bytes) {
                let _ = fsck::object(&Policy::strict(), &oid, kind, bytes);
            }
        }
    }
}
