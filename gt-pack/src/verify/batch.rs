//! Neighbours in a pack, named together by one task.
//!
//! Git writes a delta near its base, so most deltas can be resolved right here
//! while the rest of the pack is still being read.

use super::names::{Named, Names};
use super::resolve::show;
use super::{Error, Visitor};
use crate::delta::apply;
use crate::hash::Namer;
use crate::kind::Kind;

/// Entries to be named together, in the order of the pack.
#[derive(Default)]
pub(super) struct Batch {
    items: Vec<Item>,
    /// Bytes of all deltas, one after the other.
    deltas: Vec<u8>,
    bytes: usize,
}

struct Item {
    place: u32,
    what: What,
}

enum What {
    Whole(Kind, Vec<u8>),
    Delta(Waiting),
}

/// A delta whose base stands before it.
struct Waiting {
    offset: u64,
    base: u32,
    /// Bytes that it makes.
    result: u64,
    begin: usize,
    end: usize,
}

/// Bytes, and objects, of one batch.
const BYTES: usize = 1 << 20;
const OBJECTS: usize = 1024;
/// Entries from the first of a batch to its last.
const SPAN: u32 = 16 * 1024;
/// Bytes that the objects of a batch may take while it is worked on, and the
/// largest object that deltas make here.
const HELD: u64 = 8 << 20;
const LARGEST: u64 = 1 << 20;

impl Batch {
    pub(super) fn whole(&mut self, place: u32, kind: Kind, content: Vec<u8>) {
        self.bytes += content.len();
        let what = What::Whole(kind, content);
        self.items.push(Item { place, what });
    }

    /// Takes a delta that may be resolved here, and tells whether it did.
    pub(super) fn delta(
        &mut self,
        place: u32,
        offset: u64,
        base: u32,
        result: u64,
        bytes: &[u8],
    ) -> bool {
        // What its base is not part of is resolved later.
        let first = self.items.first().map(|i| i.place);
        if first.is_none_or(|first| base < first) || result > LARGEST {
            return false;
        }
        let begin = self.deltas.len();
        self.deltas.extend_from_slice(bytes);
        self.bytes += bytes.len();
        let what = What::Delta(Waiting {
            offset,
            base,
            result,
            begin,
            end: self.deltas.len(),
        });
        self.items.push(Item { place, what });
        true
    }

    /// Tells whether the batch ends with the entry at `place`, whether it took
    /// that or not.
    pub(super) fn is_full(&self, place: u32) -> bool {
        let first = self.items.first();
        self.bytes >= BYTES
            || self.items.len() >= OBJECTS
            || first.is_some_and(|first| place - first.place >= SPAN)
    }

    /// Names all that can be named, with at most `waiting` bytes of bases, and
    /// hands the deltas that cannot to `left`.
    pub(super) fn name(
        self,
        namer: &mut Namer,
        names: &Names,
        visitor: &dyn Visitor,
        waiting: u64,
        left: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), Error> {
        let Self { items, deltas, .. } = self;
        // By place: a batch is a run of the pack with few gaps.
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return Ok(());
        };
        let (first, count) = (first.place, (last.place - first.place) as usize + 1);
        // Only what somebody here stands on is worth keeping.
        let mut is_base = vec![false; count];
        for item in &items {
            if let What::Delta(delta) = &item.what {
                is_base[(delta.base - first) as usize] = true;
            }
        }
        let mut known: Vec<Option<(Kind, u32, Vec<u8>)>> = vec![None; count];
        let (mut held, most) = (0, HELD.min(waiting));
        for Item { place, what } in items {
            let (kind, depth, content) = match what {
                What::Whole(kind, content) => (kind, 0, content),
                What::Delta(delta) => {
                    let bytes = &deltas[delta.begin..delta.end];
                    let base = known[(delta.base - first) as usize].as_ref();
                    let Some((kind, depth, base)) = base.filter(|_| held + delta.result <= most)
                    else {
                        left(place, bytes);
                        continue;
                    };
                    let content =
                        apply::apply(base, bytes, LARGEST).map_err(|source| Error::Delta {
                            offset: delta.offset,
                            source,
                        })?;
                    (*kind, *depth + 1, content)
                }
            };
            let oid = namer.name(kind, &content)?;
            let size = content.len() as u64;
            show(visitor, &oid, kind, size, Some(&content))?;
            names.put(place, &Named { oid, kind, depth });
            let at = (place - first) as usize;
            if is_base[at] {
                held += size;
                known[at] = Some((kind, depth, content));
            }
        }
        Ok(())
    }
}
