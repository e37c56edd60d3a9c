#![doc = include_str!("../README.md")]

pub mod args;
pub mod believed;
pub mod convert;
pub mod env;
pub mod files;
pub mod git;
pub mod held;
pub mod history;
pub mod meter;
pub mod op;
pub mod remote;
pub mod signing;
pub mod state;
pub mod told;
pub mod verb;
pub mod when;
mod zone;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

pub use env::Env;

use args::{Verb, Words};
use verb::Failure;

/// Runs `gt`: 0 done, 1 refused or not found, 2 usage or a broken machine; the
/// verbs about trust have codes of their own ([`verb::Code`]).
pub fn gt(env: &mut Env) -> ExitCode {
    let words = match Words::try_parse_from(&env.args) {
        Ok(words) => words,
        Err(e) => {
            let text = e.render();
            let _ = if e.use_stderr() {
                write!(env.stderr, "{text}")
            } else {
                write!(env.stdout, "{text}")
            };
            return ExitCode::from(match e.use_stderr() {
                true => usage_code(env),
                false => 0,
            });
        }
    };
    let result = match &words.verb {
        Verb::Publish(words) => verb::publish::run(env, words),
        Verb::Seed(words) => verb::seed::run(env, words),
        Verb::Clone(words) => verb::clone::run(env, words),
        Verb::Fetch(words) => verb::fetch::run(env, words),
        Verb::Status(words) => verb::status::run(env, words),
        Verb::Pack(words) => verb::pack::run(env, words),
        Verb::Swarm(words) => verb::swarm::run(env, words),
        Verb::Tracker(words) => verb::tracker::run(env, words),
        Verb::Verify(words) => verb::verify::run(env, words),
        Verb::Charter(words) => verb::charter::run(env, words),
        Verb::Endorse(words) => verb::endorse::run(env, words),
        Verb::Log(words) => verb::log::run(env, words),
        Verb::Trust(words) => verb::trust::run(env, words),
        Verb::Demo(words) => verb::demo::run(env, words),
        Verb::Torrent(words) => verb::torrent::run(env, words),
    };
    finish(env, result)
}

/// Runs `git-remote-gt`, which git starts for `gt://` addresses.
pub fn git_remote_gt(env: &mut Env) -> ExitCode {
    let result = verb::helper::run(env);
    finish(env, result)
}

/// Returns the code for words that cannot be read.
fn usage_code(env: &Env) -> u8 {
    const TRUST: [&str; 5] = ["trust", "verify", "charter", "endorse", "log"];
    match env.args.get(1).and_then(|verb| verb.to_str()) {
        Some(verb) if TRUST.contains(&verb) => verb::Code::Usage as u8,
        _ => 2,
    }
}

fn finish(env: &mut Env, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(env.stderr, "error: {}", failure.words());
            ExitCode::from(failure.code())
        }
    }
}
