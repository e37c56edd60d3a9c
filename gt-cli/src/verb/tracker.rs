//! `gt tracker`.

use std::io::Write as _;

use gt_tracker::{Server, server};

use super::{Failure, asked_to_end, broken, end, runtime};
use crate::Env;
use crate::args::Tracker;

/// Runs a tracker until it is asked to end.
///
/// # Errors
/// Where it cannot listen.
pub fn run(env: &mut Env, words: &Tracker) -> Result<(), Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let server = Server::bind(words.listen, server::Options::default())
            .await
            .map_err(|e| Failure::Broken(format!("{}: {e}", words.listen)))?;
        writeln!(
            env.stdout,
            "Tracker at http://{}/announce",
            server.local_addr()
        )
        .and_then(|()| env.stdout.flush())
        .map_err(broken)?;
        server.run(asked_to_end()).await;
        Ok(())
    });
    end(runtime);
    result
}
