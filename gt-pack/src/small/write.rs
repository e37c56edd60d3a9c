//! Writing a message's pack.

use gt_vfs::ObjectId;

use super::{FORMAT, Object};
use crate::Kind;
use crate::encode::{Deflater, Differ};
use crate::entry::{EntryHeader, EntryKind};
use crate::hash::{FileHasher, object_id};

pub(super) fn pack(objects: &[Object], bases: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"PACK".to_vec();
    out.extend_from_slice(&2_u32.to_be_bytes());
    out.extend_from_slice(&(objects.len() as u32).to_be_bytes());
    // A blob that looks like a collision has no id here and is no base.
    let bases: Vec<(ObjectId, &[u8])> = bases
        .iter()
        .filter_map(|base| Some((object_id(FORMAT, Kind::Blob, base).ok()?, base.as_slice())))
        .collect();
    let mut deflater = Deflater::new();
    let mut differ = Differ::default();
    for object in objects {
        let mut best = entry(EntryKind::Whole(object.kind), &object.bytes, &mut deflater);
        let bases = bases.iter().filter(|_| object.kind == Kind::Blob);
        for (id, base) in bases {
            let limit = object.bytes.len();
            let Some(delta) = differ.delta(base, &object.bytes, limit) else {
                continue;
            };
            let delta = entry(EntryKind::RefDelta(*id), &delta, &mut deflater);
            if delta.len() < best.len() {
                best = delta;
            }
        }
        out.extend_from_slice(&best);
    }
    let mut sum = FileHasher::new(FORMAT);
    sum.update(&out);
    out.extend_from_slice(sum.finish().as_bytes());
    out
}

fn entry(kind: EntryKind, bytes: &[u8], deflater: &mut Deflater) -> Vec<u8> {
    let mut out = Vec::new();
    let size = bytes.len() as u64;
    EntryHeader { kind, size }.write(&mut out);
    out.extend_from_slice(&deflater.deflate(bytes));
    out
}
