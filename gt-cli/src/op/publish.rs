//! Publishing: the refs as they are now, the reel since the last statement,
//! the statement, its seal.

mod found;
mod plan;
mod reel;
mod roll;

use std::io;
use std::path::PathBuf;

use gt_pack::chain::Chain;
use gt_pack::verify::Progress;
use gt_pack::{encode, import, refs};
use gt_trust::number::Seconds;
use gt_trust::statement::Draft;
use gt_trust::{Address, Identity, Keyring, Rid, Sequence, Statement, Time};

use self::found::found;
use self::plan::{head_after, plan, published_here};
pub use self::reel::Made;
use self::reel::{forget_others, make_reel};
use crate::believed::Believed;
use crate::convert;
use crate::git::{self, Git};
use crate::held::Held;
use crate::op::proposal::{Proposal, Text, confirmed, openpgp_delegates};
use crate::signing::{self, Sealer};
use crate::state::{self, State};

/// What a person wants published, and how.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The repository's name for people; used by the first publication.
    pub name: Option<String>,
    /// A line about the repository; `None` leaves it as it is.
    pub description: Option<String>,
    /// Trackers; empty leaves them as they are.
    pub trackers: Vec<String>,
    /// Patterns of refs to add to the published set.
    pub patterns: Vec<String>,
    /// Whether branches may be rewound and tags moved.
    pub force: bool,
    /// Whether published refs that are gone here are unpublished.
    pub prune: bool,
    /// Where gt keeps its own key.
    pub keys: Option<PathBuf>,
    /// Whose seals count, of the charter's delegates.
    pub believed: Believed,
    /// Now, in Unix seconds.
    pub now: u64,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The address to give to people.
    pub address: Address,
    /// The statement that holds now.
    pub statement: Statement,
    /// Whether it is a new one.
    pub fresh: bool,
    /// The reel that this publication made, if it added objects.
    pub reel: Option<Made>,
    /// Refs that are published and not here; they stay published.
    pub absent: Vec<String>,
    /// Branches that are behind what is published; they stay published.
    pub behind: Vec<String>,
    /// The delegate who sealed.
    pub delegate: String,
    /// Whether its key is one that gt made.
    pub own_key: bool,
    /// Whether this was the first publication.
    pub first: bool,
    /// What the statement lacks before it holds; nothing where it does.
    pub lacks: Vec<String>,
}

/// Publishes the repository that `git` stands in.
///
/// # Errors
/// See [`Error`]; what was published before still holds then.
pub fn publish(git: &Git, wish: &Wish, progress: &dyn Progress) -> Result<Published, Error> {
    let common_dir = git.common_dir()?;
    if git.ask(["rev-parse", "--is-shallow-repository"])? == "true" {
        return Err(Error::Shallow);
    }
    let state = State::of(&common_dir);
    let _lock = state.lock()?;
    let now = Time(wish.now);
    let sealer = Sealer::find(git, wish.keys.as_deref(), now)?;
    let (charter, first) = match state.charter()? {
        Some(sealed) => (sealed, false),
        None => (found(git, &state, wish, &sealer, now)?, true),
    };
    let rid = state
        .rid()?
        .ok_or_else(|| Error::Text("expected the first charter, got none".into()))?;
    if !charter.text.delegates.contains(sealer.delegate()) {
        return Err(Error::NotDelegate(sealer.delegate().to_string()));
    }
    if charter.text.epoch.0 > 0 && !confirmed(&state, rid, now)?.contains(sealer.delegate()) {
        return Err(Error::NotConfirmed {
            delegate: sealer.delegate().to_string(),
            charter: charter.text.identity(),
        });
    }
    let mut patterns = state.patterns()?;
    patterns.extend(wish.patterns.iter().cloned());
    patterns.sort();
    patterns.dedup();
    if !wish.patterns.is_empty() {
        state.keep_patterns(&patterns)?;
    }
    let accepted = state.accepted()?;
    let mut chain = Chain::open(&common_dir)?;

    let here = published_here(&common_dir, &patterns)?;
    let plan = plan(git, &state, wish, accepted.as_ref().map(|s| &s.text), &here)?;
    let mut draft = match &accepted {
        Some(before) => before.text.next(now),
        None => Draft::first(
            rid,
            charter.text.identity(),
            charter.text.object_format,
            now,
        ),
    };
    draft.under(&charter.text);
    if let Some(taken) = state.highest_sealed(charter.text.epoch.0)? {
        draft.skip(Sequence(taken));
    }
    let succeeds = accepted
        .as_ref()
        .is_some_and(|before| before.text.epoch != charter.text.epoch);
    let mut changed =
        accepted.is_none() || succeeds || !plan.set.is_empty() || !plan.delete.is_empty();
    for (name, oid, how) in &plan.set {
        draft.set(name.clone(), *oid, *how);
    }
    for name in &plan.delete {
        draft.delete(name);
    }
    let (head, head_changed) = head_after(git, &common_dir, accepted.as_ref(), &plan)?;
    if head_changed {
        draft.head(head.clone());
        changed = true;
    }
    if !wish.trackers.is_empty()
        && accepted.as_ref().map(|a| &a.text.trackers) != Some(&wish.trackers)
    {
        draft.trackers(wish.trackers.clone());
        changed = true;
    }
    if let Some(description) = &wish.description
        && accepted
            .as_ref()
            .is_none_or(|a| a.text.description.as_ref() != Some(description))
    {
        draft.description(Some(description.clone()));
        changed = true;
    }
    if let Some(before) = &accepted {
        // Half of its life is over: say the same again, so that clones do not
        // go stale where nothing happens.
        let life = before.text.expires - before.text.created;
        changed |= now > before.text.created + Seconds(life.0 / 2);
        if !changed {
            return Ok(Published {
                address: address(rid, &before.text),
                statement: before.text.clone(),
                fresh: false,
                reel: None,
                absent: plan.absent,
                behind: plan.behind,
                delegate: sealer.delegate().to_string(),
                own_key: sealer.is_own_key(),
                first,
                lacks: Vec::new(),
            });
        }
    }
    let mut keyrings = vec![sealer.certificate().to_vec()];
    keyrings.extend(Held::read(&state)?.keyrings());
    let keyring = Keyring::joined(&keyrings, &openpgp_delegates(&state)?);
    draft.keyring((!keyring.is_empty()).then(|| Identity::of(&keyring)));
    let earlier = accepted
        .as_ref()
        .map(|s| convert::reels(&s.text))
        .unwrap_or_default();
    let made = make_reel(&state, &mut chain, &earlier, &plan, head.as_ref(), progress)?;
    if let Some((made, before)) = &made {
        let reels = before.iter().chain([&made.reel]);
        let lines: Option<Vec<_>> = reels.map(convert::reel_line).collect();
        let lines =
            lines.ok_or_else(|| Error::Text("the recipe's name cannot be written".into()))?;
        draft.reels(lines);
    }
    let made = made.map(|(made, _)| made);
    let statement = draft.finish().map_err(|e| Error::Text(e.to_string()))?;
    let mut proposal = Proposal::new(Text::Statement(statement.clone().into()), keyring);
    proposal.seal(&state, &sealer, rid, now)?;
    let settled = proposal.settle(&state, rid, &wish.believed, now)?;
    if settled.complete {
        forget_others(&mut chain, &state, &statement, &earlier)?;
    }
    Ok(Published {
        address: address(rid, &statement),
        statement,
        fresh: true,
        reel: made,
        absent: plan.absent,
        behind: plan.behind,
        delegate: sealer.delegate().to_string(),
        own_key: sealer.is_own_key(),
        first,
        lacks: settled.lacks,
    })
}

/// Returns the address that the statement's own words make.
fn address(rid: Rid, statement: &Statement) -> Address {
    let mut address = Address::new(rid);
    address.trackers = statement.trackers.clone();
    address
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Git could not be asked.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The statement cannot hold.
    #[error(transparent)]
    Proposal(#[from] crate::op::proposal::Error),
    /// The state of gt in this repository.
    #[error(transparent)]
    State(#[from] state::Error),
    /// Nobody can seal.
    #[error(transparent)]
    Signing(#[from] signing::Error),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The chain of reels.
    #[error(transparent)]
    Chain(#[from] gt_pack::chain::Error),
    /// The refs.
    #[error(transparent)]
    Refs(#[from] refs::Error),
    /// The repository's objects.
    #[error(transparent)]
    Repository(#[from] gt_pack::repository::Error),
    /// The reel could not be made.
    #[error(transparent)]
    Encode(#[from] encode::Error),
    /// The reel would be refused.
    #[error(transparent)]
    Import(#[from] import::Error),
    /// History could not be asked.
    #[error(transparent)]
    History(#[from] crate::history::Error),
    /// A statement or charter cannot be written.
    #[error("{0}")]
    Text(String),
    /// History is cut off.
    #[error(
        "expected a repository with its whole history, got a shallow one (git fetch --unshallow)"
    )]
    Shallow,
    /// The hash has no support yet.
    #[error("expected a repository of object format sha1 or sha256, got {0}")]
    ObjectFormat(String),
    /// Another key was named by the charter.
    #[error("expected to seal with a delegate of the charter, got key {0}, which is none")]
    NotDelegate(String),
    /// A later charter lists the key, which has not sealed that charter.
    #[error(
        "expected to seal with a delegate who has confirmed the charter, got {delegate}: gt \
         charter endorse {charter} first"
    )]
    NotConfirmed {
        /// The delegate.
        delegate: String,
        /// The charter.
        charter: Identity,
    },
    /// Somebody published what is not in this repository.
    #[error("{}", fetch_first(.name, *.tag))]
    FetchFirst {
        /// The ref.
        name: String,
        /// Whether it is a tag.
        tag: bool,
    },
}

fn fetch_first(name: &str, tag: bool) -> String {
    if tag {
        format!("{name} is published as another object; --force publishes the moved tag")
    } else {
        format!(
            "fetch first: {name} is published with commits that this branch has not; \
             merge them, or --force to publish it all the same"
        )
    }
}
