//! `git-remote-gt`: git's remote helper over a node.

use std::path::PathBuf;
use std::time::Duration;

use gt_trust::Address;
use gt_vfs::ObjectId;
use tokio::runtime::Runtime;

use super::show::Shower;
use super::{Failure, broken, cache_for, end, refused, runtime};
use crate::args::ways::Ways;
use crate::believed::Believed;
use crate::git::Git;
use crate::op::bring;
use crate::op::follow::{self, Follow, Places};
use crate::remote::{self, Choice, Listing, Remote};
use crate::state::State;
use crate::{Env, convert};

/// How long somebody is looked for who has the repository, in seconds, where
/// `gt.wait` does not say.
const WAIT: u64 = 30;

/// Answers git until it has no more to ask.
///
/// # Errors
/// What stood in the way; what has come is kept for the next time.
pub fn run(env: &mut Env) -> Result<(), Failure> {
    let (_, typed) = remote::arguments(&env.args).map_err(broken)?;
    let address: Address = typed
        .parse()
        .map_err(|e| Failure::Refused(format!("{typed}: {e}")))?;
    let git = Git::at(env, &env.cwd);
    let mut place = None;
    let common_dir = match git.common_dir() {
        Ok(dir) => dir,
        // `git ls-remote` outside of any repository: the state is for once.
        Err(_) if env.var("GIT_DIR").is_none() => place
            .insert(tempfile::tempdir().map_err(broken)?)
            .path()
            .to_path_buf(),
        Err(e) => return Err(refused(e)),
    };
    let wait = git.config("gt.wait").map_err(broken)?;
    let allow_stale = git.config("gt.allowStale").map_err(broken)?;
    let believed = super::trust::narrows(env, &git, None).map_err(broken)?;
    let ways = Ways {
        // No router is asked for a node that lives as long as a fetch.
        map_port: false,
        ..super::ways::with_config(&git, &Ways::default()).map_err(broken)?
    };
    let cache = match &place {
        Some(place) => Some(place.path().join("cache")),
        None => cache_for_first(env, &common_dir, &address)?,
    };
    let mut shower = Shower::new(&mut *env.stderr, env.terminal);
    shower.progress = env.terminal;
    shower.terse = true;
    let mut session = Session {
        runtime: Some(runtime()?),
        follow: None,
        cache,
        typed,
        address,
        common_dir,
        git,
        patience: Duration::from_secs(wait.and_then(|w| w.parse().ok()).unwrap_or(WAIT)),
        believed,
        ways,
        allow_stale: allow_stale.as_deref() == Some("true"),
        now: env.now,
        shower,
        part: false,
        abandoned: env.abandoned,
    };
    let served = remote::serve(&mut *env.stdin, &mut *env.stdout, &mut session);
    session.stop();
    drop(place);
    served.map_err(refused)
}

/// Returns where the reels of a first clone wait; `None` where the repository
/// has a statement already and will not be removed when this ends early.
fn cache_for_first(
    env: &Env,
    common_dir: &std::path::Path,
    address: &Address,
) -> Result<Option<PathBuf>, Failure> {
    let state = State::of(common_dir);
    Ok(match state.watermark().map_err(broken)? {
        Some(_) => None,
        None => cache_for(env, &address.rid),
    })
}

struct Session<'a> {
    runtime: Option<Runtime>,
    follow: Option<Follow>,
    typed: String,
    address: Address,
    common_dir: PathBuf,
    cache: Option<PathBuf>,
    git: Git,
    patience: Duration,
    believed: Believed,
    ways: Ways,
    allow_stale: bool,
    now: fn() -> u64,
    shower: Shower<'a>,
    /// Whether the person was told that no part can be had.
    part: bool,
    abandoned: fn() -> bool,
}

impl Session<'_> {
    async fn learn(&mut self) -> Result<Follow, String> {
        let state = State::of(&self.common_dir);
        if let Some(rid) = state.rid().map_err(|e| e.to_string())?
            && rid != self.address.rid
        {
            return Err(format!(
                "this repository follows gt://{rid}; another one needs a clone of its own"
            ));
        }
        let mut places = Places::of(&self.address, &[], &[]).map_err(|e| e.to_string())?;
        if let Some(before) = state.accepted().map_err(|e| e.to_string())? {
            places.add_published(&before.text);
        }
        let options = follow::Options {
            git: self.git.clone(),
            state,
            rid: self.address.rid,
            places,
            listen: Vec::new(),
            cache: self.cache.clone(),
            believed: self.believed.clone(),
            allow_stale: self.allow_stale,
            only_learn: true,
            prepare: None,
            ways: self.ways.clone(),
            adopt: None,
            now: self.now,
        };
        let mut follow = Follow::start(options).await.map_err(|e| e.to_string())?;
        let shower = &mut self.shower;
        let mut tell = |told: &crate::told::Told| shower.show(told);
        match bring::learn(&mut follow, self.patience, &mut tell).await {
            Ok(()) => Ok(follow),
            Err(e) => {
                follow.stop().await;
                Err(e.to_string())
            }
        }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            if let Some(follow) = &mut self.follow {
                runtime.block_on(follow.stop());
            }
            end(runtime);
        }
    }
}

/// Ends work for a git that is gone: it was killed, and may have removed the
/// repository that this would go on filling.
async fn unless_abandoned<T>(
    abandoned: fn() -> bool,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let gone = async {
        while !abandoned() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = gone => Err("git has ended; what has come is kept".into()),
    }
}

impl Remote for Session<'_> {
    fn list(&mut self) -> Result<Listing, String> {
        let runtime = self.runtime.take().ok_or("the helper has ended")?;
        let abandoned = self.abandoned;
        let learnt = runtime.block_on(unless_abandoned(abandoned, self.learn()));
        self.runtime = Some(runtime);
        let follow = self.follow.insert(learnt?);
        let statement = follow.statement().ok_or("no statement was learnt")?;
        Ok(Listing {
            format: convert::object_format(statement.object_format),
            refs: convert::refs(statement).into_iter().collect(),
            head: convert::head(statement),
        })
    }

    fn fetch(&mut self, wanted: &[ObjectId]) -> Result<(), String> {
        let runtime = self.runtime.as_ref().ok_or("the helper has ended")?;
        let follow = self
            .follow
            .as_mut()
            .ok_or("expected list before fetch, got fetch")?;
        let statement = follow.statement().ok_or("no statement was learnt")?;
        let named = convert::refs(statement);
        if let Some(other) = wanted.iter().find(|w| !named.values().any(|n| n == *w)) {
            return Err(format!("expected objects that refs name, got {other}"));
        }
        let shower = &mut self.shower;
        let mut tell = |told: &crate::told::Told| shower.show(told);
        runtime.block_on(unless_abandoned(self.abandoned, async {
            follow.bring().await.map_err(|e| e.to_string())?;
            bring::complete(follow, &mut tell)
                .await
                .map_err(|e| e.to_string())
        }))?;
        let state = State::of(&self.common_dir);
        if state.address().map_err(|e| e.to_string())?.is_none() {
            // So that `gt seed` in this clone knows where to look.
            state.keep_address(&self.typed).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn option(&mut self, option: Choice) {
        match option {
            Choice::Progress(on) => self.shower.progress = on,
            Choice::Verbosity(level) => {
                self.shower.loud = level > 0;
                self.shower.terse = level < 2;
            }
            Choice::Part if !self.part => {
                self.part = true;
                self.shower.say(
                    "warning: gt:// brings the whole history with all objects: \
                     a depth or a filter has no effect",
                );
            }
            Choice::Part => {}
        }
    }
}
