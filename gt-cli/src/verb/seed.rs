//! `gt seed`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gt_trust::Address;

use super::show::{self, Shower};
use super::{Failure, asked_to_end, broken, end, git_at, refused, runtime};
use crate::Env;
use crate::args::{Net, Seed};
use crate::git::Git;
use crate::op::follow::{self, Follow, Places};
use crate::state::State;
use crate::told::{Told, Traffic};

/// How often a person is told what was sent.
const REPORT: Duration = Duration::from_secs(60);

/// Serves a repository and follows it, until it is asked to end.
///
/// # Errors
/// Where there is nothing to serve, or the node cannot start.
pub fn run(env: &mut Env, words: &Seed) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let common_dir = git.common_dir().map_err(refused)?;
    let state = State::of(&common_dir);
    let mut adopted = None;
    if let Some(from) = &words.from {
        adopted = adopt(&state, from)?;
    } else if state.rid().map_err(broken)?.is_none() {
        return Err(Failure::Refused(format!(
            "{} is neither published nor cloned with gt: run gt publish first",
            common_dir.display()
        )));
    }
    let options = options(env, &git, state, &words.net, adopted)?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let mut follow = Follow::start(options).await.map_err(failed)?;
        serve(env, &mut follow, words.json).await
    });
    end(runtime);
    result
}

/// Takes a repository for a clone of what an address names. Returns the address
/// where it is to be kept once somebody has answered to it.
fn adopt(state: &State, typed: &str) -> Result<Option<String>, Failure> {
    let said = |e: &dyn std::fmt::Display| Failure::Refused(format!("{typed}: {e}"));
    let address: Address = typed.parse().map_err(|e| said(&e))?;
    match state.rid().map_err(broken)? {
        Some(rid) if rid != address.rid => {
            return Err(said(&format!(
                "expected the address of this repository, gt://{rid}, got another's"
            )));
        }
        Some(_) if state.address().map_err(broken)?.is_none() => return Ok(None),
        None => return Ok(Some(typed.to_owned())),
        Some(_) => {}
    }
    state.keep_address(typed).map_err(broken)?;
    Ok(None)
}

/// Returns how a repository with state is followed: by its published trackers
/// and the address it was cloned from, or the one by which it is `adopted`.
pub(super) fn options(
    env: &Env,
    git: &Git,
    state: State,
    net: &Net,
    adopted: Option<String>,
) -> Result<follow::Options, Failure> {
    let rid = state.rid().map_err(broken)?;
    let typed = match &adopted {
        Some(typed) => Some(typed.clone()),
        None => state.address().map_err(broken)?,
    };
    let address = match typed {
        Some(text) => Some(text.parse::<Address>().map_err(refused)?),
        None => None,
    };
    let address = match (address, rid) {
        (Some(address), _) => address,
        (None, Some(rid)) => Address::new(rid),
        (None, None) => return Err(Failure::Refused("expected a repository of gt's".into())),
    };
    let mut places = Places::of(&address, &net.trackers, &net.peers).map_err(refused)?;
    if let Some(statement) = state.accepted().map_err(broken)? {
        // Whoever publishes here has named them; of a clone they are hints.
        if state.address().map_err(broken)?.is_none() {
            places
                .trackers
                .extend(statement.text.trackers.iter().cloned());
        } else {
            places.add_published(&statement.text);
        }
    }
    Ok(follow::Options {
        git: git.clone(),
        rid: address.rid,
        state,
        places,
        listen: net.listen.clone(),
        cache: None,
        believed: super::trust::narrows(env, git, None).map_err(broken)?,
        allow_stale: false,
        only_learn: false,
        prepare: None,
        ways: super::ways::with_config(git, &net.ways).map_err(broken)?,
        adopt: adopted,
        now: env.now,
    })
}

fn failed(e: follow::Error) -> Failure {
    if e.is_refusal() {
        refused(e)
    } else {
        broken(e)
    }
}

/// Tells what happens until it is asked to end.
pub(super) async fn serve(
    env: &mut Env,
    follow: &mut Follow,
    as_json: bool,
) -> Result<(), Failure> {
    // The follower must not be cancelled in the midst of its work: whoever
    // asks us to end is heard between two of its steps.
    let ended = Arc::new(AtomicBool::new(false));
    let asked = tokio::spawn({
        let ended = Arc::clone(&ended);
        async move {
            asked_to_end().await;
            ended.store(true, Ordering::Relaxed);
        }
    });
    let mut reported = Instant::now();
    let mut newest = Traffic::default();
    let mut told_before = 0;
    let mut shower = Shower::new(&mut *env.stderr, env.terminal);
    let ended = loop {
        if ended.load(Ordering::Relaxed) {
            break Ok(());
        }
        if reported.elapsed() > REPORT {
            reported = Instant::now();
            let sum = newest.uploaded + newest.downloaded;
            if sum != told_before && !as_json {
                told_before = sum;
                let peers = newest.peers.len();
                shower.say(&show::traffic(newest.uploaded, newest.downloaded, peers));
            }
        }
        let told = match follow.next().await {
            Ok(Some(told)) => told,
            Ok(None) => continue,
            Err(e) => break Err(failed(e)),
        };
        if let Told::Traffic(traffic) = &told {
            newest = traffic.clone();
        }
        if as_json {
            if !show::json(&mut *env.stdout, &told) {
                break Ok(());
            }
        } else {
            shower.show(&told);
        }
    };
    asked.abort();
    follow.stop().await;
    let _ = env.stdout.flush();
    ended
}
