//! Checks all objects of a pack as they are seen.

use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

use crate::verify::{Seen, Visitor};
use crate::{Kind, ObjectId};

use super::id::Id;
use super::policy::Policy;
use super::report::{Finding, Report};
use super::tree::Named;
use super::{check, modules};

/// A check of many objects: a [`Visitor`], to be [finished](Self::finish)
/// when all were seen.
///
/// Findings are gathered up to a ceiling of a thousand, then the first of each
/// kind, and otherwise only counted: a pack can be made of nothing but faults.
pub struct Fsck {
    policy: Policy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    named: Named,
    found: BTreeSet<Finding>,
    ids: BTreeSet<Id>,
    refused: u64,
}

/// Findings that are kept.
const KEPT: usize = 1000;

/// An object that [`Fsck::finish`] asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// It is neither in the pack nor elsewhere.
    Missing,
    /// It is a blob that is too big to be read.
    Large,
    /// What it is, and its bytes.
    Whole(Kind, Vec<u8>),
}

impl Fsck {
    /// Returns a check that has seen nothing.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: Mutex::default(),
        }
    }

    /// Checks the blobs that trees named as `.gitmodules` and
    /// `.gitattributes`, which `find` looks up, and returns everything that
    /// was found, and how many findings refuse their object.
    ///
    /// A blob that is not there is nobody's fault while objects come in parts:
    /// like `git index-pack`, this says nothing then.
    ///
    /// # Errors
    /// Those of `find`.
    pub fn finish(
        self,
        find: &dyn Fn(&ObjectId) -> io::Result<Object>,
    ) -> io::Result<(Vec<Finding>, u64)> {
        let state = self.state.into_inner();
        let mut state = state.unwrap_or_else(|e| e.into_inner());
        let named = std::mem::take(&mut state.named);
        type Check = fn(Option<&[u8]>, &mut Report<'_>);
        let checks: [(_, Check, Id); 2] = [
            (named.modules, modules::modules, Id::GitmodulesBlob),
            (named.attributes, modules::attributes, Id::GitattributesBlob),
        ];
        for (oids, check, not_a_blob) in checks {
            for oid in oids {
                let mut found = Vec::new();
                let mut report = Report {
                    policy: &self.policy,
                    oid,
                    kind: Kind::Blob,
                    found: &mut found,
                };
                match find(&oid)? {
                    Object::Missing => {}
                    Object::Large => check(None, &mut report),
                    Object::Whole(Kind::Blob, content) => check(Some(&content), &mut report),
                    Object::Whole(kind, _) => {
                        report.kind = kind;
                        report.note(not_a_blob, "");
                    }
                }
                state.keep(found);
            }
        }
        Ok((state.found.into_iter().collect(), state.refused))
    }
}

impl State {
    fn keep(&mut self, found: Vec<Finding>) {
        for finding in found {
            self.refused += u64::from(finding.level.refuses());
            if self.ids.insert(finding.id) || self.found.len() < KEPT {
                self.found.insert(finding);
            }
        }
    }
}

impl Visitor for Fsck {
    fn object(&self, seen: &Seen<'_>) -> Result<(), String> {
        // Only blobs may be too big to be shown.
        let Some(content) = seen.content else {
            return Ok(());
        };
        let mut named = Named::default();
        let found = check(&self.policy, seen.oid, seen.kind, content, &mut named);
        if !found.is_empty() || !named.is_empty() {
            let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
            state.named.modules.append(&mut named.modules);
            state.named.attributes.append(&mut named.attributes);
            state.keep(found);
        }
        Ok(())
    }
}
