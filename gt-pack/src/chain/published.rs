//! What the writing side asks of a chain.

use gt_vfs::ObjectId;

use super::Selection;
use crate::published::{Error, Published};

impl Published for Selection {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    fn contains(&self, id: &ObjectId) -> Result<bool, Error> {
        Self::contains(self, id).map_err(boxed)
    }

    fn depth(&self, id: &ObjectId) -> Result<Option<u32>, Error> {
        Self::depth(self, id).map_err(boxed)
    }

    fn base(&self, id: &ObjectId) -> Result<Option<ObjectId>, Error> {
        self.named_base(id).map_err(boxed)
    }
}

fn boxed(e: super::Error) -> Error {
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(e);
    boxed.into()
}
