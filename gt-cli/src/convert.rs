//! The same things as two rooms write them: gt-trust keeps the textual forms
//! of a statement to itself and knows neither git nor torrents.

use std::collections::BTreeMap;

use gt_trust::statement::{Recipe, ReelLine};
use gt_trust::{Oid, Statement};
use gt_vfs::{ObjectFormat, ObjectId, Root, VPath};

/// Returns an object id as gt-pack writes it.
pub fn object_id(oid: &Oid) -> Option<ObjectId> {
    ObjectId::from_bytes(oid.as_bytes())
}

/// Returns an object id as a statement writes it.
pub fn oid(id: &ObjectId) -> Option<Oid> {
    Oid::from_bytes(id.as_bytes()).ok()
}

/// Returns the object format as gt-pack writes it.
pub fn object_format(format: gt_trust::ObjectFormat) -> ObjectFormat {
    match format {
        gt_trust::ObjectFormat::Sha1 => ObjectFormat::Sha1,
        _ => ObjectFormat::Sha256,
    }
}

/// Returns a reel as gt-pack writes it.
pub fn reel(line: &ReelLine) -> gt_pack::chain::Reel {
    gt_pack::chain::Reel {
        first: line.first,
        last: line.last,
        length: line.length,
        root: Root(line.root),
        recipe: line.recipe.as_ref().map(ToString::to_string),
    }
}

/// Returns a reel as a statement writes it; `None` where the recipe's name
/// cannot be written.
pub fn reel_line(reel: &gt_pack::chain::Reel) -> Option<ReelLine> {
    let recipe = match &reel.recipe {
        Some(name) => Some(Recipe::new(name)?),
        None => None,
    };
    let line = ReelLine::new(reel.first, reel.last, reel.length, reel.root.0);
    Some(match recipe {
        Some(recipe) => line.with_recipe(recipe),
        None => line,
    })
}

/// Returns the reels of a statement, in order.
pub fn reels(statement: &Statement) -> Vec<gt_pack::chain::Reel> {
    statement.reels.iter().map(reel).collect()
}

/// Returns the refs of a statement by name.
pub fn refs(statement: &Statement) -> BTreeMap<Vec<u8>, ObjectId> {
    statement
        .refs
        .iter()
        .filter_map(|line| Some((line.name.as_bytes().to_vec(), object_id(&line.oid)?)))
        .collect()
}

/// Returns the ref that HEAD names in a statement.
pub fn head(statement: &Statement) -> Option<Vec<u8>> {
    statement.head.as_ref().map(|h| h.as_bytes().to_vec())
}

/// Returns the name of a reel in a torrent.
///
/// # Errors
/// Never for numbers; the path's own rules are asked all the same.
pub fn reel_path(reel: &gt_pack::chain::Reel) -> Result<VPath, gt_vfs::vpath::Error> {
    VPath::parse(reel.file_name().as_bytes())
}
