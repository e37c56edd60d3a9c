//! Publishing: the refs as they are now, the reel since the last statement,
//! the statement, its seal.

mod roll;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use gt_pack::chain::{Chain, Reel};
use gt_pack::{encode, import, published, refs};
use gt_trust::number::Seconds;
use gt_trust::seal::Subject;
use gt_trust::statement::{Draft, Move};
use gt_trust::{Address, Charter, Identity, Keyring, RefName, Rid, Sequence, Statement, Time};
use gt_vfs::{Folder, ObjectId, VPath, Vfs as _};

use crate::believed::Believed;
use crate::convert;
use crate::git::{self, Git};
use crate::held::Held;
use crate::history::Ancestry;
use crate::op::proposal::{Proposal, Text, openpgp_delegates};
use crate::signing::{self, Sealer};
use crate::state::{self, Sealed, State};

/// How the name of a reel that is being made begins.
const ENCODE: &str = "encode-";

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

/// A reel that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// As the statement names it.
    pub reel: Reel,
    /// How many objects it has.
    pub objects: u64,
}

/// Publishes the repository that `git` stands in.
///
/// # Errors
/// See [`Error`]; what was published before still holds then.
pub fn publish(
    git: &Git,
    wish: &Wish,
    progress: &dyn gt_pack::verify::Progress,
) -> Result<Published, Error> {
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
    let made = make_reel(
        git,
        &state,
        &mut chain,
        &earlier,
        &plan,
        head.as_ref(),
        progress,
    )?;
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
    let progress = proposal.settle(&state, rid, &wish.believed, now)?;
    if progress.complete {
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
        lacks: progress.lacks,
    })
}

/// Founds the repository: writes, seals and keeps its first charter.
fn found(
    git: &Git,
    state: &State,
    wish: &Wish,
    sealer: &Sealer,
    now: Time,
) -> Result<Sealed<Charter>, Error> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
    let format = match git.ask(["rev-parse", "--show-object-format"])?.as_str() {
        "sha1" => gt_trust::ObjectFormat::Sha1,
        other => return Err(Error::ObjectFormat(other.to_owned())),
    };
    let name = match &wish.name {
        Some(name) => name.clone(),
        None => name_of(git, state.common_dir())?,
    };
    let text = Charter::found(&name, nonce, format, sealer.delegate().clone())
        .map_err(|e| Error::Text(e.to_string()))?;
    let rid = Rid::of_charter(text.as_bytes());
    let subject = Subject::of_charter(rid, &text);
    let seal = sealer.seal(&subject, format, text.as_bytes(), now)?;
    let seals = vec![seal.as_bytes().to_vec()];
    if !sealer.certificate().is_empty() {
        state.keep_keyring(sealer.certificate())?;
    }
    state.keep_charter(&text, &seals)?;
    Ok(Sealed { text, seals })
}

/// Returns a name for people: that of the folder which holds the work tree,
/// or of the bare repository.
fn name_of(git: &Git, common_dir: &Path) -> Result<String, Error> {
    let bare = git.ask(["rev-parse", "--is-bare-repository"])? == "true";
    let folder = if bare {
        common_dir
    } else {
        common_dir.parent().unwrap_or(common_dir)
    };
    let name = folder
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name: String = name
        .trim_end_matches(".git")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    Ok(match name.trim() {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    })
}

/// Lets go of reels that no statement names: left behind by a publication
/// that was interrupted before its statement was sealed, or spliced since.
/// Those of the statement before are still being served.
fn forget_others(
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

/// The published set as it is in this repository, by name.
fn published_here(
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
struct Plan {
    set: Vec<(RefName, gt_trust::Oid, Move)>,
    delete: Vec<RefName>,
    absent: Vec<String>,
    behind: Vec<String>,
    /// All refs before.
    before: BTreeMap<RefName, ObjectId>,
    /// All refs afterwards.
    after: BTreeMap<RefName, ObjectId>,
}

fn plan(
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
fn head_after(
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

/// Makes the reel of a publication and takes it in through the door through
/// which everybody will. Returns it with the chain before it, which may have
/// become shorter.
fn make_reel(
    git: &Git,
    state: &State,
    chain: &mut Chain,
    earlier: &[Reel],
    plan: &Plan,
    head: Option<&RefName>,
    progress: &dyn gt_pack::verify::Progress,
) -> Result<Option<(Made, Vec<Reel>)>, Error> {
    let head = head.map(|h| h.as_bytes().to_vec());
    if plan.set.is_empty() {
        return Ok(None);
    }
    let repository = gt_pack::repository::GitRepository::open(git.dir())?;
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
        let encoded = encode::reel(
            &repository,
            &published,
            &moment,
            &encode::Options::default(),
            &mut out,
        )?;
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
    import::reel(
        chain,
        &*bundle,
        &expected,
        &mut import::Open,
        &gt_pack::limits::Limits::default(),
        progress,
    )?;
    let objects = encoded.objects.len() as u64;
    Ok(Some((Made { reel, objects }, rolled.earlier)))
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

/// Returns refs as gt-pack takes them.
fn plain(refs: &BTreeMap<RefName, ObjectId>) -> Vec<(Vec<u8>, ObjectId)> {
    refs.iter()
        .map(|(name, oid)| (name.as_bytes().to_vec(), *oid))
        .collect()
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
    #[error("expected a repository of object format sha1, got {0}")]
    ObjectFormat(String),
    /// Another key was named by the charter.
    #[error("expected to seal with a delegate of the charter, got key {0}, which is none")]
    NotDelegate(String),
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
