//! The remote helper that git runs for `gt://` addresses.

use std::process::ExitCode;

fn main() -> ExitCode {
    gt_cli::git_remote_gt(&mut gt_cli::Env::of_process())
}
