//! The rules that tie a reel to itself and to those before it.

use gt_vfs::ObjectId;

use super::links::Links;
use super::{Broken, Error, Reason};
use crate::bundle::Header;
use crate::chain::Selection;
use crate::verify::{Progress, Stage, Verified};

/// Checks that every link leads to an object of the reel or of an earlier
/// one, that every object is named, that none stands in an earlier reel, and
/// that the header says what the reel needs and brings.
pub(super) fn check(
    pack: &Verified,
    links: Links,
    header: &Header,
    earlier: &Selection,
    progress: &dyn Progress,
) -> Result<(), Error> {
    if pack.entries.is_empty() {
        return Err(Error::Reject(Reason::Empty));
    }
    let (named, parents) = links.into_sorted();
    let total = (pack.entries.len() + named.len()) as u64;
    let mut steps = 0_u64;
    let mut step = || {
        steps += 1;
        if steps.is_multiple_of(1024) && progress.at(Stage::Connecting, steps, total).is_break() {
            return Err(Error::Broken(Broken::Stopped));
        }
        Ok(())
    };
    for entry in pack.entries.iter() {
        step()?;
        if earlier.contains(&entry.oid)? {
            return Err(Error::Reject(Reason::Repeated(entry.oid)));
        }
    }
    let mut is_named = vec![false; pack.entries.len()];
    for (to, link) in &named {
        step()?;
        let kind = match place(pack, to) {
            Some(place) => {
                is_named[place] = true;
                pack.entries.get(place).map(|e| e.kind)
            }
            None => earlier.kind(to)?,
        };
        let (from, to) = (link.from, *to);
        match kind {
            None => return Err(Error::Reject(Reason::MissingLink { from, to })),
            Some(got) if !link.is(got) => {
                return Err(Error::Reject(Reason::LinkKind { from, to, got }));
            }
            Some(_) => {}
        }
    }
    for (_, tip) in &header.tips {
        match place(pack, tip) {
            Some(place) => is_named[place] = true,
            None if earlier.contains(tip)? => {}
            None => return Err(Error::Reject(Reason::MissingTip(*tip))),
        }
    }
    let nobody = is_named.iter().position(|named| !named);
    if let Some(entry) = nobody.and_then(|nobody| pack.entries.get(nobody)) {
        return Err(Error::Reject(Reason::Unnamed(entry.oid)));
    }
    check_prerequisites(pack, &parents, &header.prerequisites)
}

/// Both lists are sorted, each name once.
fn check_prerequisites(
    pack: &Verified,
    parents: &[ObjectId],
    prerequisites: &[ObjectId],
) -> Result<(), Error> {
    let outside = |oid: &&ObjectId| !pack.holds(oid);
    if let Some(oid) = parents
        .iter()
        .filter(outside)
        .find(|oid| prerequisites.binary_search(oid).is_err())
    {
        return Err(Error::Reject(Reason::NoPrerequisite(*oid)));
    }
    let is_needed = |oid: &&ObjectId| outside(oid) && parents.binary_search(oid).is_ok();
    if let Some(oid) = prerequisites.iter().find(|oid| !is_needed(oid)) {
        return Err(Error::Reject(Reason::NoParent(*oid)));
    }
    Ok(())
}

fn place(pack: &Verified, oid: &ObjectId) -> Option<usize> {
    pack.entries.find(oid)
}
