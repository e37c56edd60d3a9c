//! The command `gt`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gt_cli::gt(&mut gt_cli::Env::of_process())
}
