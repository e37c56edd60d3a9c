//! Neighbours in a pack, named together by one task.
//!
//! Git writes a delta near its base, so most deltas can be resolved right here
//! while the rest of the pack is still being read.

use gt_vfs::ObjectFormat;

use super::names::{Named, Names};
use super::pieces::{Bytes, Piece, Pieces};
use super::resolve::show;
use super::spare::Spare;
use super::{Error, Visitor};
use crate::delta::apply;
use crate::hash::Namer;
use crate::inflate::SCRATCH;
use crate::kind::Kind;

/// Entries to be named together, in the order of the pack.
pub(super) struct Batch {
    items: Vec<Item>,
    /// Bytes of small objects and of all deltas.
    pieces: Pieces,
    /// Bytes of all others.
    large: usize,
    /// Bytes that are hashed for it, about.
    work: u64,
}

struct Item {
    place: u32,
    /// Deltas on it in this batch.
    users: u32,
    what: What,
}

enum What {
    Whole(Kind, Piece),
    Large(Kind, Vec<u8>),
    Delta(Waiting),
}

/// A delta whose base stands before it.
struct Waiting {
    offset: u64,
    /// Which item it stands on.
    base: usize,
    /// Bytes that it makes.
    result: u64,
    bytes: Piece,
}

/// Bytes, and objects, of one batch.
const BYTES: usize = 1 << 20;
const OBJECTS: usize = 1024;
/// The bytes and the last object that is no large one.
const ROOM: usize = BYTES + SCRATCH;
/// How many times the work of one batch the deltas on one object may be: those
/// that are left wait for the end, and their bases are built once more.
const FAMILY: u64 = 32;
/// Entries from the first of a batch to its last.
const SPAN: u32 = 16 * 1024;
/// What an object costs beside its bytes, as if it had so many more.
const EACH: u64 = 512;
/// Bytes that the objects of a batch may take while it is worked on, and the
/// largest object that deltas make here.
const HELD: u64 = 8 << 20;
const LARGEST: u64 = 1 << 20;

impl Default for Batch {
    /// Returns a batch with nothing in it, and room for what one has as a rule.
    fn default() -> Self {
        Self {
            items: Vec::with_capacity(OBJECTS),
            pieces: Pieces::with_room(ROOM),
            large: 0,
            work: 0,
        }
    }
}

impl Batch {
    /// Takes a whole object.
    pub(super) fn whole(&mut self, place: u32, kind: Kind, content: Bytes<'_>) {
        self.work += content.len() as u64;
        let what = match content {
            Bytes::Own(content) => {
                self.large += content.len();
                What::Large(kind, content)
            }
            content => What::Whole(kind, self.pieces.keep(&content)),
        };
        self.add(place, what);
    }

    /// Takes a delta that may be resolved here, and tells whether it did.
    pub(super) fn delta(
        &mut self,
        place: u32,
        offset: u64,
        base: u32,
        result: u64,
        bytes: &Bytes<'_>,
    ) -> bool {
        // What its base is not part of is resolved later.
        let base = self.items.binary_search_by_key(&base, |item| item.place);
        let Some(base) = base.ok().filter(|_| result <= LARGEST) else {
            return false;
        };
        self.items[base].users += 1;
        self.work += result;
        let bytes = self.pieces.keep(bytes);
        let what = What::Delta(Waiting {
            offset,
            base,
            result,
            bytes,
        });
        self.add(place, what);
        true
    }

    fn add(&mut self, place: u32, what: What) {
        let users = 0;
        self.work += EACH;
        self.items.push(Item { place, users, what });
    }

    /// Returns about how much work it is, in bytes.
    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// Tells whether the batch ends before the next whole object, because it is
    /// as much work as `most` or nearly full: deltas follow their base, and
    /// those that another batch gets wait until it is built once more.
    pub(super) fn is_due(&self, most: u64) -> bool {
        self.work >= most
            || self.pieces.length() + self.large >= BYTES / 4 * 3
            || self.items.len() >= OBJECTS / 4 * 3
    }

    /// Tells whether the batch ends with the entry at `place`, whether it took
    /// that or not, or because it is much more work than `most`.
    pub(super) fn is_full(&self, place: u32, most: u64) -> bool {
        let first = self.items.first();
        self.work >= most.saturating_mul(FAMILY)
            || self.pieces.length() + self.large >= BYTES
            || self.items.len() >= OBJECTS
            || first.is_some_and(|first| place - first.place >= SPAN)
    }

    fn clear(&mut self) {
        self.items.clear();
        self.pieces.clear();
        self.large = 0;
        self.work = 0;
    }
}

/// What one task names with, kept from one batch to the next.
pub(super) struct Hands {
    namer: Namer,
    spare: Spare,
    known: Vec<Option<Known>>,
    named: Vec<(u32, Named)>,
}

/// An object on which deltas of the batch stand.
struct Known {
    kind: Kind,
    depth: u32,
    content: Content,
}

enum Content {
    /// Part of the batch's bytes.
    Here(Piece),
    Own(Vec<u8>),
}

impl Hands {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            namer: Namer::new(format),
            spare: Spare::default(),
            known: Vec::new(),
            named: Vec::new(),
        }
    }

    /// Names all of a batch that can be named, with at most `waiting` bytes of
    /// bases, hands the deltas that cannot to `left`, and leaves the batch
    /// empty.
    pub(super) fn name(
        &mut self,
        batch: &mut Batch,
        names: &Names,
        visitor: &dyn Visitor,
        waiting: u64,
        left: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), Error> {
        self.named.clear();
        self.known.clear();
        self.known.resize_with(batch.items.len(), || None);
        let done = self.go_through(batch, visitor, HELD.min(waiting), left);
        batch.clear();
        done?;
        names.put_all(&self.named);
        Ok(())
    }

    fn go_through(
        &mut self,
        batch: &mut Batch,
        visitor: &dyn Visitor,
        most: u64,
        left: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), Error> {
        let Batch { items, pieces, .. } = batch;
        let mut held = 0;
        for at in 0..items.len() {
            let (before, rest) = items.split_at_mut(at);
            let Some(item) = rest.first_mut() else {
                break;
            };
            let place = item.place;
            let (kind, depth, content) = match &mut item.what {
                What::Whole(kind, piece) => (*kind, 0, Content::Here(*piece)),
                What::Large(kind, content) => (*kind, 0, Content::Own(std::mem::take(content))),
                What::Delta(delta) => {
                    let known = &mut self.known[delta.base];
                    let delta_bytes = pieces.get(delta.bytes);
                    let users = &mut before[delta.base].users;
                    *users -= 1;
                    let made = match known {
                        Some(base) if held + delta.result <= most => {
                            let mut made = self.spare.take(delta.result);
                            let content = base.content.bytes(pieces);
                            apply::apply_to(content, delta_bytes, LARGEST, &mut made).map_err(
                                |source| Error::Delta {
                                    offset: delta.offset,
                                    source,
                                },
                            )?;
                            Some((base.kind, base.depth + 1, Content::Own(made)))
                        }
                        _ => None,
                    };
                    // The last that needed it gives its memory to the next.
                    if *users == 0
                        && let Some(done) = known.take()
                    {
                        held -= done.content.bytes(pieces).len() as u64;
                        done.content.give(&mut self.spare);
                    }
                    let Some(made) = made else {
                        left(place, delta_bytes);
                        continue;
                    };
                    made
                }
            };
            let bytes = content.bytes(pieces);
            let oid = self.namer.name(kind, bytes)?;
            let size = bytes.len() as u64;
            show(visitor, &oid, kind, size, Some(bytes))?;
            self.named.push((place, Named { oid, kind, depth }));
            if item.users > 0 {
                held += size;
                self.known[at] = Some(Known {
                    kind,
                    depth,
                    content,
                });
            } else {
                content.give(&mut self.spare);
            }
        }
        Ok(())
    }
}

impl Content {
    fn bytes<'a>(&'a self, pieces: &'a Pieces) -> &'a [u8] {
        match self {
            Self::Here(piece) => pieces.get(*piece),
            Self::Own(content) => content,
        }
    }

    fn give(self, spare: &mut Spare) {
        if let Self::Own(content) = self {
            spare.give(content);
        }
    }
}
