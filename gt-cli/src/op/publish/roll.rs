//! The chain kept short: what becomes of earlier reels when one is added.

use gt_pack::chain::{self, Chain, Reel};
use gt_pack::splice::policy::{self, Due, Weight};

/// The reels that a new one will stand on.
pub(super) struct Rolled {
    /// The chain before the new reel.
    pub(super) earlier: Vec<Reel>,
    /// The number of the new reel's first publication.
    pub(super) first: u64,
    /// The number of its last one.
    pub(super) last: u64,
}

/// Splices earlier reels, or does without them where all is to be one new
/// first reel.
pub(super) fn up(chain: &mut Chain, earlier: &[Reel]) -> Result<Rolled, chain::Error> {
    let next = earlier.last().map_or(0, |reel| reel.last + 1);
    let mut weights = Vec::new();
    for (place, reel) in earlier.iter().enumerate() {
        let deepest = match place {
            0 => 0,
            _ => chain.deepest(reel)?,
        };
        weights.push(Weight {
            length: reel.length,
            deepest,
        });
    }
    let mut rolled = Rolled {
        earlier: earlier.to_vec(),
        first: next,
        last: next,
    };
    match policy::due(&weights) {
        Due::Splice(from) => {
            let splice = chain.splice(&earlier[from..])?;
            rolled.earlier.truncate(from);
            rolled.earlier.push(splice);
        }
        Due::Base => {
            rolled.earlier.clear();
            rolled.first = earlier.first().map_or(0, |reel| reel.first);
        }
        _ => {}
    }
    Ok(rolled)
}
