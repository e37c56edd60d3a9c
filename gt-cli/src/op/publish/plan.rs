//! What a publication changes: the refs as they are here against those that
//! are published.

use std::collections::BTreeMap;
use std::path::Path;

use gt_pack::{published, refs};
use gt_trust::statement::Move;
use gt_trust::{RefName, Statement};
use gt_vfs::ObjectId;

use super::{Error, Wish};
use crate::convert;
use crate::git::Git;
use crate::history::Ancestry;
use crate::state::{Sealed, State};

/// The published set as it is in this repository, by name.
pub(super) fn published_here(
    common_dir: &Path,
    patterns: &[String],
) -> Result<BTreeMap<RefName, ObjectId>, Error> {
    let all = refs::list(common_dir, &[b"refs/*"])?;
    let patterns: Vec<Vec<u8>> = patterns.iter().map(|p| p.as_bytes().to_vec()).collect();
    let mut here = BTreeMap::new();
    for (name, oid) in published::published_refs(&all, &patterns) {
        let name = RefName::new(name).map_err(|e| Error::Text(e.to_string()))?;
        here.insert(name, *oid);
    }
    Ok(here)
}

/// What a publication changes.
pub(super) struct Plan {
    pub(super) set: Vec<(RefName, gt_trust::Oid, Move)>,
    pub(super) delete: Vec<RefName>,
    pub(super) absent: Vec<String>,
    pub(super) behind: Vec<String>,
    /// All refs before.
    pub(super) before: BTreeMap<RefName, ObjectId>,
    /// All refs afterwards.
    pub(super) after: BTreeMap<RefName, ObjectId>,
}

pub(super) fn plan(
    git: &Git,
    state: &State,
    wish: &Wish,
    accepted: Option<&Statement>,
    here: &BTreeMap<RefName, ObjectId>,
) -> Result<Plan, Error> {
    let ancestry = Ancestry::new(git.elsewhere(state.common_dir()));
    let mut plan = Plan {
        set: Vec::new(),
        delete: Vec::new(),
        absent: Vec::new(),
        behind: Vec::new(),
        before: BTreeMap::new(),
        after: BTreeMap::new(),
    };
    let before: BTreeMap<RefName, ObjectId> = accepted
        .map(|s| {
            s.refs
                .iter()
                .filter_map(|l| Some((l.name.clone(), convert::object_id(&l.oid)?)))
                .collect()
        })
        .unwrap_or_default();
    plan.after = before.clone();
    plan.before = before.clone();
    for (name, new) in here {
        let how = match before.get(name) {
            None => Move::FastForward,
            Some(old) if old == new => continue,
            Some(old) => {
                let forward = !name.is_tag() && ancestry.is_ancestor(old, new)?;
                if forward {
                    Move::FastForward
                } else if !name.is_tag() && ancestry.is_ancestor(new, old)? && !wish.force {
                    plan.behind.push(name.to_string());
                    continue;
                } else if wish.force {
                    Move::Forced
                } else {
                    return Err(Error::FetchFirst {
                        name: name.to_string(),
                        tag: name.is_tag(),
                    });
                }
            }
        };
        let oid = convert::oid(new).ok_or_else(|| Error::ObjectFormat(new.to_string()))?;
        plan.set.push((name.clone(), oid, how));
        plan.after.insert(name.clone(), *new);
    }
    for name in before.keys().filter(|n| !here.contains_key(*n)) {
        if wish.prune {
            plan.delete.push(name.clone());
            plan.after.remove(name);
        } else {
            plan.absent.push(name.to_string());
        }
    }
    Ok(plan)
}

/// Returns the ref that HEAD shall name, and whether that is news: always what
/// HEAD names in a bare repository, where it is the project's; in a work tree,
/// where it is whatever the person works on, only while none is published or
/// that one is gone.
pub(super) fn head_after(
    git: &Git,
    common_dir: &Path,
    accepted: Option<&Sealed<Statement>>,
    plan: &Plan,
) -> Result<(Option<RefName>, bool), Error> {
    let stated = accepted.and_then(|a| a.text.head.clone());
    let holds = stated.as_ref().is_some_and(|h| plan.after.contains_key(h));
    let bare = git.ask(["rev-parse", "--is-bare-repository"])? == "true";
    if holds && !bare {
        return Ok((stated, false));
    }
    let here = refs::head(common_dir)?
        .and_then(|name| RefName::new(&name).ok())
        .filter(|name| plan.after.contains_key(name));
    let head = here.or_else(|| stated.clone().filter(|_| holds));
    let changed = head != stated;
    Ok((head, changed))
}
