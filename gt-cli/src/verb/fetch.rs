//! `gt fetch`.

use std::time::Duration;

use super::clone::{helper_beside, run_git};
use super::show::Shower;
use super::{Failure, broken, end, git_at, refused, runtime, seed};
use crate::Env;
use crate::args::Fetch;
use crate::op::bring;
use crate::op::follow::Follow;
use crate::state::State;

/// Brings a mirror up to date by itself, another clone through git.
///
/// # Errors
/// What stood in the way; what has come is kept.
pub fn run(env: &mut Env, words: &Fetch) -> Result<(), Failure> {
    let git = git_at(env, words.repository.as_deref());
    let common_dir = git.common_dir().map_err(refused)?;
    let state = State::of(&common_dir);
    if !state.is_mirror() {
        let words = ["fetch", "--all"].map(Into::into);
        return run_git(&helper_beside(git), &words);
    }
    let options = seed::options(env, &git, state, &words.net, None)?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let mut follow = Follow::start(options).await.map_err(broken)?;
        let mut shower = Shower::new(&mut *env.stderr, env.terminal);
        let mut tell = |told: &crate::told::Told| shower.show(told);
        let patience = Duration::from_secs(words.wait);
        let brought = match bring::learn(&mut follow, patience, &mut tell).await {
            Ok(()) => bring::complete(&mut follow, &mut tell).await,
            Err(e) => Err(e),
        };
        follow.stop().await;
        brought.map_err(refused)
    });
    end(runtime);
    result
}
