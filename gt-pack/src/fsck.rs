//! What `git fsck` says of objects, by git's names (git: `fsck-msgids`), on
//! bytes alone: no repository is needed.
//!
//! ```text
//! objects of a pack ──▶ Fsck (a Visitor) ──▶ findings
//!                         │ .gitmodules and .gitattributes that trees named
//!                         ▼
//!                       finish: reads those blobs once more
//! ```
//!
//! A [`Policy`] says which findings refuse an object, in the words of git's
//! configuration: `fsck.<id>`, `fetch.fsck.<id>`, `receive.fsck.<id>`.

mod config;
mod id;
mod lines;
mod modules;
mod names;
mod policy;
mod refname;
mod report;
mod session;
mod tree;
mod url;

pub use id::{Id, Level};
pub use policy::{Error, Policy};
pub use report::Finding;
pub use session::{Fsck, Object};

use crate::{Kind, ObjectId};

use self::report::Report;
use self::tree::Named;

/// Checks one object by itself, and returns what is wrong with it.
///
/// What lies at `.gitmodules` and `.gitattributes` is checked by [`Fsck`],
/// which knows the trees.
pub fn object(policy: &Policy, oid: &ObjectId, kind: Kind, content: &[u8]) -> Vec<Finding> {
    let mut named = Named::default();
    check(policy, oid, kind, content, &mut named)
}

fn check(
    policy: &Policy,
    oid: &ObjectId,
    kind: Kind,
    content: &[u8],
    named: &mut Named,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut report = Report {
        policy,
        oid: *oid,
        kind,
        found: &mut found,
    };
    let format = oid.format();
    // Whether the check of this object ended early is all the same here.
    let _ = match kind {
        Kind::Commit => lines::commit(content, format, &mut report),
        Kind::Tag => lines::tag(content, format, &mut report),
        Kind::Tree => {
            tree::tree(content, format, named, &mut report);
            Ok(())
        }
        Kind::Blob => Ok(()),
    };
    found
}
