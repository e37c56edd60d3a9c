//! Some reels of a chain, and the objects in them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId};

use super::packs::Pack;
use super::{Error, Layout};
use crate::delta;
use crate::entry::EntryKind;
use crate::hash;
use crate::inflate::Inflater;
use crate::kind::Kind;
use crate::verify::{Base, Bases};

/// The objects of some reels: no other object of their packs, and none of the
/// repository.
#[derive(Clone)]
pub struct Selection {
    format: ObjectFormat,
    packs: Vec<Chosen>,
}

/// A pack, and which of its entries count.
#[derive(Clone)]
struct Chosen {
    pack: Arc<Pack>,
    /// Begin and end, sorted.
    ranges: Vec<(u64, u64)>,
}

impl Chosen {
    fn counts(&self, offset: u64) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= offset);
        after > 0 && offset < self.ranges[after - 1].1
    }

    /// Returns where the base of an offset delta begins.
    fn before(&self, offset: u64, distance: u64) -> Result<u64, Error> {
        offset
            .checked_sub(distance)
            .filter(|base| distance > 0 && self.counts(*base))
            .ok_or_else(|| self.pack.damaged(offset))
    }
}

/// More deltas than any limit lets in: an index that was changed leads round.
const ENDLESS: u32 = 10_000_000;

impl Selection {
    pub(super) fn new(
        format: ObjectFormat,
        layouts: &[&Layout],
        packs: &BTreeMap<String, Arc<Pack>>,
    ) -> Self {
        let mut chosen: Vec<Chosen> = Vec::new();
        for range in layouts.iter().flat_map(|l| &l.ranges) {
            let span = (range.begin, range.begin.saturating_add(range.length));
            if let Some(known) = chosen.iter_mut().find(|c| c.pack.name == range.pack) {
                known.ranges.push(span);
            } else if let Some(pack) = packs.get(&range.pack) {
                chosen.push(Chosen {
                    pack: Arc::clone(pack),
                    ranges: vec![span],
                });
            }
        }
        for known in &mut chosen {
            known.ranges.sort_unstable();
        }
        Self {
            format,
            packs: chosen,
        }
    }

    /// Takes every entry of these packs.
    pub(crate) fn whole(format: ObjectFormat, packs: &BTreeMap<String, Arc<Pack>>) -> Self {
        let all = |pack: &Arc<Pack>| Chosen {
            pack: Arc::clone(pack),
            ranges: vec![(0, u64::MAX)],
        };
        Self {
            format,
            packs: packs.values().map(all).collect(),
        }
    }

    /// Tells whether no reel was selected.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Tells whether one of the reels has this object.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn contains(&self, oid: &ObjectId) -> Result<bool, Error> {
        Ok(self.locate(oid)?.is_some())
    }

    /// Returns the number of deltas between an object and a whole one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn depth(&self, oid: &ObjectId) -> Result<Option<u32>, Error> {
        let walked = self.walk(oid, |_, _, _| {})?;
        Ok(walked.map(|walked| walked.deltas))
    }

    /// Returns what an object is.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn kind(&self, oid: &ObjectId) -> Result<Option<Kind>, Error> {
        let walked = self.walk(oid, |_, _, _| {})?;
        Ok(walked.map(|walked| walked.kind))
    }

    /// Returns an object; `None` where it, or what it is built on, is in none
    /// of the reels.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(&self, oid: &ObjectId) -> Result<Option<(Kind, Vec<u8>)>, Error> {
        Ok(self.base(oid)?.map(|base| (base.kind, base.content)))
    }

    /// Returns the names of all objects, in no order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn oids(&self) -> Result<Vec<ObjectId>, Error> {
        let mut oids = Vec::new();
        for chosen in &self.packs {
            let index = &chosen.pack.index;
            for place in 0..index.len() {
                if chosen.counts(index.offset_at(place)?) {
                    oids.push(index.oid_at(place)?);
                }
            }
        }
        Ok(oids)
    }

    fn locate(&self, oid: &ObjectId) -> Result<Option<(&Chosen, u64)>, Error> {
        // The newest packs are asked first: bases are mostly recent.
        for chosen in self.packs.iter().rev() {
            if let Some(offset) = chosen.pack.offset_of(oid)?
                && chosen.counts(offset)
            {
                return Ok(Some((chosen, offset)));
            }
        }
        Ok(None)
    }

    /// Goes from an object to the whole one that it is built on, and shows
    /// each entry on the way: its pack, where its stream begins, its size.
    fn walk<'a>(
        &'a self,
        oid: &ObjectId,
        mut step: impl FnMut(&'a Pack, u64, u64),
    ) -> Result<Option<Walked>, Error> {
        let Some((mut chosen, mut offset)) = self.locate(oid)? else {
            return Ok(None);
        };
        for deltas in 0..ENDLESS {
            let (header, begin) = chosen.pack.header_at(offset, self.format)?;
            step(&chosen.pack, begin, header.size);
            match header.kind {
                EntryKind::Whole(kind) => return Ok(Some(Walked { kind, deltas })),
                EntryKind::OfsDelta(distance) => {
                    offset = chosen.before(offset, distance)?;
                }
                EntryKind::RefDelta(base) => {
                    // Reels without those before them: the object counts as
                    // one that is not there.
                    let Some(found) = self.locate(&base)? else {
                        return Ok(None);
                    };
                    (chosen, offset) = found;
                }
            }
        }
        Err(chosen.pack.damaged(offset))
    }

    /// Returns the first object that the deltas from an object on name, and do
    /// not lead to by a distance: reels name what they do not hold.
    pub(super) fn named_base(&self, oid: &ObjectId) -> Result<Option<ObjectId>, Error> {
        let Some((chosen, mut offset)) = self.locate(oid)? else {
            return Ok(None);
        };
        for _ in 0..ENDLESS {
            match chosen.pack.header_at(offset, self.format)?.0.kind {
                EntryKind::Whole(_) => return Ok(None),
                EntryKind::RefDelta(base) => return Ok(Some(base)),
                EntryKind::OfsDelta(distance) => {
                    offset = chosen.before(offset, distance)?;
                }
            }
        }
        Err(chosen.pack.damaged(offset))
    }

    fn base(&self, oid: &ObjectId) -> Result<Option<Base>, Error> {
        let mut steps = Vec::new();
        let walked = self.walk(oid, |pack, begin, size| steps.push((pack, begin, size)))?;
        let Some(Walked { kind, deltas }) = walked else {
            return Ok(None);
        };
        let mut inflater = Inflater::new();
        let mut content: Option<Vec<u8>> = None;
        for (pack, begin, size) in steps.into_iter().rev() {
            let bytes = pack.inflate(begin, size, &mut inflater)?;
            content = Some(match content {
                None => bytes,
                Some(base) => {
                    delta::apply::apply(&base, &bytes, u64::MAX).map_err(|_| pack.damaged(begin))?
                }
            });
        }
        let content = content.unwrap_or_default();
        // The disk is not trusted more than a peer: a wrong base would make
        // somebody else's good reel look bad.
        if hash::object_id(self.format, kind, &content) != Ok(*oid) {
            return Err(Error::Damaged {
                pack: format!("object {oid}"),
                offset: 0,
            });
        }
        Ok(Some(Base::new(kind, content, deltas)))
    }
}

struct Walked {
    kind: Kind,
    deltas: u32,
}

impl Bases for Selection {
    fn find(&self, oid: &ObjectId) -> io::Result<Option<Base>> {
        Ok(self.base(oid)?)
    }
}
