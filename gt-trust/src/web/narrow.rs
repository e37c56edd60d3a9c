//! The web as what narrows a charter: it takes delegates away and adds none.

use crate::belief::{Belief, Believes};
use crate::fingerprint::Fingerprint;
use crate::number::Time;

use super::{Standing, Web};

/// Believes those whom the web trusts, at the moment that it was computed for.
impl Believes for Web<'_> {
    fn belief(&self, primary: &Fingerprint, _: Time) -> Belief {
        if self.trusts(primary) {
            return Belief::Trusted;
        }
        match self.standing(primary) {
            Standing::Trusted { .. } => Belief::Trusted,
            Standing::Unknown { lacks, .. } => Belief::Unknown(lacks.to_string()),
            Standing::Refused(why) => Belief::Refused(why.to_string()),
        }
    }
}
