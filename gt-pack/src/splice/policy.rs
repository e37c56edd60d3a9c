//! When reels are spliced, and when a new base is due.

/// What counts of a reel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Its length in bytes.
    pub length: u64,
    /// Its longest chain of deltas, earlier reels included.
    pub deepest: u32,
}

/// What is to be done with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// Nothing.
    Nothing,
    /// The reels from this place on become one; the first reel never does.
    Splice(usize),
    /// All becomes one new first reel.
    Base,
}

/// Each reel but the first is at least so many times as long as all after it: their number
/// stays below the logarithm of the chain's length.
const FACTOR: u64 = 2;

/// Later reels together may be so many percent of the first one, which is
/// encoded newest first and tighter than they are, before a new first reel
/// pays: everybody who cannot make it has to fetch it.
const WASTE: u64 = 30;

/// A chain of deltas as deep as this leaves pushes little room: the recipe
/// ends at 100.
const DEPTH: u32 = 95;

/// Below this, in bytes, a new base is not worth anybody's attention.
const SMALL: u64 = 1 << 20;

/// Returns what is due for a chain, whose first reel comes first.
pub fn due(reels: &[Weight]) -> Due {
    let Some((first, rest)) = reels.split_first() else {
        return Due::Nothing;
    };
    let later: u64 = rest.iter().map(|reel| reel.length).sum();
    let wasted = later > SMALL && later.saturating_mul(100) > first.length.saturating_mul(WASTE);
    let deep = later > SMALL && rest.iter().any(|reel| reel.deepest >= DEPTH);
    if wasted || deep {
        return Due::Base;
    }
    let mut sum = 0_u64;
    let mut from = reels.len();
    // The first reel can be made by its recipe; a splice could not.
    for (place, reel) in reels.iter().enumerate().skip(1).rev() {
        if sum > 0 && reel.length >= FACTOR.saturating_mul(sum) {
            break;
        }
        sum = sum.saturating_add(reel.length);
        from = place;
    }
    if reels.len() - from < 2 {
        return Due::Nothing;
    }
    Due::Splice(from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reel(length: u64) -> Weight {
        Weight { length, deepest: 3 }
    }

    #[test]
    fn the_first_reel_stays_until_waste_or_depth() {
        let mut reels = vec![reel(10 << 20), reel(2 << 20)];
        assert_eq!(due(&reels), Due::Nothing);
        reels.push(reel(1 << 20));
        assert_eq!(due(&reels), Due::Nothing);
        reels.push(reel(1 << 20));
        assert_eq!(due(&reels), Due::Base);
        let deep = Weight {
            length: 2 << 20,
            deepest: 99,
        };
        assert_eq!(due(&[reel(10 << 20), deep]), Due::Base);
        assert_eq!(
            due(&[reel(1000), reel(900)]),
            Due::Nothing,
            "too small for a base, and the first reel is never spliced"
        );
        assert_eq!(due(&[]), Due::Nothing);
    }

    proptest! {
        #[test]
        fn there_are_few_reels(lengths in proptest::collection::vec(1_u64..5_000, 1..300)) {
            let mut reels = vec![reel(100 << 20)];
            for length in lengths {
                reels.push(reel(length));
                if let Due::Splice(from) = due(&reels) {
                    let sum = reels.drain(from..).map(|r| r.length).sum();
                    reels.push(reel(sum));
                }
                prop_assert_eq!(due(&reels), Due::Nothing);
                prop_assert!(reels.len() <= 22);
            }
        }
    }
}
