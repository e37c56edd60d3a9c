//! The reel of a publication: made, taken in, and those let go that it
//! replaces.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use gt_pack::chain::{Chain, Reel};
use gt_pack::verify::{Progress, Stage};
use gt_pack::{encode, import};
use gt_trust::{RefName, Statement};
use gt_vfs::{Folder, ObjectId, VPath, Vfs as _};

use super::plan::Plan;
use super::{Error, roll};
use crate::convert;
use crate::op::proposal::Text;
use crate::state::State;

/// A reel that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// As the statement names it.
    pub reel: Reel,
    /// How many objects it has.
    pub objects: u64,
    /// Faults of its objects that this repository's configuration lets pass,
    /// and that of others may not.
    pub relaxed: Vec<gt_pack::fsck::Id>,
}

/// How the name of a reel that is being made begins.
const ENCODE: &str = "encode-";

/// Makes the reel of a publication and takes it in through the door through
/// which everybody will. Returns it with the chain before it, which may have
/// become shorter.
pub(super) fn make_reel(
    state: &State,
    chain: &mut Chain,
    earlier: &[Reel],
    plan: &Plan,
    head: Option<&RefName>,
    progress: &dyn Progress,
) -> Result<Option<(Made, Vec<Reel>)>, Error> {
    let head = head.map(|h| h.as_bytes().to_vec());
    if plan.set.is_empty() {
        return Ok(None);
    }
    let repository = gt_pack::repository::GitRepository::open(state.common_dir())?;
    let rolled = roll::up(chain, earlier)?;
    let published = chain.select(&rolled.earlier)?;
    let folder = state.partial();
    std::fs::create_dir_all(&folder)?;
    remove_left_over(&folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(ENCODE)
        .tempfile_in(&folder)?;
    // The first reel of a chain brings every ref.
    let before = match rolled.earlier[..] {
        [] => Vec::new(),
        _ => plain(&plan.before),
    };
    let moment = encode::Moment::new(&plain(&plan.after), &before, head.as_deref());
    let encoded = {
        let mut out = BufWriter::with_capacity(1 << 18, file.as_file_mut());
        let mut options = encode::Options::default();
        let tell = |at| {
            if let encode::Progress::Writing { done, total } = at {
                // The encoder cannot be stopped.
                let _ = progress.at(Stage::Writing, done, total);
            }
        };
        options.progress = Some(&tell);
        let encoded = encode::reel(&repository, &published, &moment, &options, &mut out)?;
        out.flush()?;
        encoded
    };
    let Some(encoded) = encoded else {
        return Ok(None);
    };
    let reel = Reel {
        first: rolled.first,
        last: rolled.last,
        length: encoded.length,
        root: encoded.root,
        recipe: encoded.recipe.map(str::to_owned),
    };
    let name = file.path().file_name().unwrap_or_default();
    let name = VPath::parse(name.as_encoded_bytes()).map_err(io::Error::other)?;
    let bundle = Folder::open(&folder)?.open(&name)?;
    let expected = import::Expected {
        reel: reel.clone(),
        earlier: rolled.earlier.clone(),
        refs: Some(plain(&plan.after).into_iter().collect()),
        head,
    };
    let imported = import::reel(
        chain,
        &*bundle,
        &expected,
        &mut import::Open,
        &gt_pack::limits::Limits::default(),
        progress,
    )?;
    let made = Made {
        reel,
        objects: encoded.objects.len() as u64,
        relaxed: imported.relaxed,
    };
    Ok(Some((made, rolled.earlier)))
}

/// Removes the reel that a killed publication was about to make. Nobody else
/// makes one: the lock is held.
fn remove_left_over(folder: &Path) -> Result<(), io::Error> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(ENCODE.as_bytes())
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Lets go of reels that no statement names: left behind by a publication
/// that was interrupted before its statement was sealed, or spliced since.
/// Those of the statement before are still being served.
pub(super) fn forget_others(
    chain: &mut Chain,
    state: &State,
    statement: &Statement,
    before: &[Reel],
) -> Result<(), Error> {
    let mut stated = convert::reels(statement);
    stated.extend_from_slice(before);
    // What was proposed may yet hold.
    for proposal in state.proposals()? {
        if let Text::Statement(text) = &proposal.text {
            stated.extend(convert::reels(text));
        }
    }
    let others: Vec<_> = chain
        .reels()
        .map(|reel| reel.root)
        .filter(|root| !stated.iter().any(|reel| reel.root == *root))
        .collect();
    for root in others {
        chain.forget(&root)?;
    }
    Ok(())
}

/// Returns refs as gt-pack takes them.
fn plain(refs: &BTreeMap<RefName, ObjectId>) -> Vec<(Vec<u8>, ObjectId)> {
    refs.iter()
        .map(|(name, oid)| (name.as_bytes().to_vec(), *oid))
        .collect()
}
