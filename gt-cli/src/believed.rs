//! What narrows the list of a charter for this receiver, if the person asked
//! for it.

use std::fmt;
use std::sync::Arc;

use gt_trust::belief::Believes;

/// Whom the person believes of those whom a charter lists; by default all.
#[derive(Clone, Default)]
pub struct Believed(Option<Arc<dyn Believes + Send + Sync>>);

impl Believed {
    /// Believes whom this one does.
    pub fn by(who: Arc<dyn Believes + Send + Sync>) -> Self {
        Self(Some(who))
    }

    /// Returns what is asked about each delegate; `None` where nobody is
    /// taken away.
    pub fn narrows(&self) -> Option<&dyn Believes> {
        self.0.as_deref().map(|who| who as &dyn Believes)
    }
}

impl fmt::Debug for Believed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Believed(some)",
            None => "Believed(all)",
        })
    }
}
