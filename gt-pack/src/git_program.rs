//! The installed git, for what only git does right in every kind of
//! repository (reftable, SHA-256, hooks, reflogs).

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use gt_vfs::ObjectFormat;

/// Variables by which a caller's git (a remote helper, a hook) would point
/// ours at another repository.
const ELSEWHERE: [&str; 10] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_CONFIG_PARAMETERS",
];

/// Runs git on a repository with an input.
pub(crate) fn run(
    common_dir: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: &[u8],
) -> io::Result<Output> {
    let mut child = command(common_dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("git cannot be started: {e}")))?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // Git may answer before it has read all; when it ends early its
        // message says why, and the broken pipe does not matter.
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input);
            }
        });
        child.wait_with_output()
    })
}

/// Returns the configuration of a repository whose names match, as `git config
/// --null --get-regexp` lists it: what stands in files, and what whoever
/// started this process set for it (`git -c`).
pub(crate) fn configured(common_dir: &Path, names: &str) -> io::Result<Vec<(String, String)>> {
    let mut command = command(common_dir);
    if let Some(set) = std::env::var_os("GIT_CONFIG_PARAMETERS") {
        command.env("GIT_CONFIG_PARAMETERS", set);
    }
    // Git says 1 where there is none.
    let listed = command
        .args(["config", "--null", "--get-regexp", names])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("git cannot be started: {e}")))?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let entries = text.split_terminator('\0').map(|entry| {
        // A name that stands alone says yes.
        let (name, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        (name.to_owned(), value.to_owned())
    });
    Ok(entries.collect())
}

fn command(common_dir: &Path) -> Command {
    let mut command = Command::new("git");
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").arg("--git-dir").arg(common_dir);
    command
}

/// Asks git at a place as a person who stands there does: its ownership rule
/// holds, and folders above are not searched.
pub(crate) fn ask_at(
    place: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> io::Result<Output> {
    let mut command = Command::new("git");
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    let place = place.canonicalize()?;
    if let Some(above) = place.parent() {
        command.env("GIT_CEILING_DIRECTORIES", above);
    }
    command
        .env("LC_ALL", "C")
        .arg("-C")
        .arg(place)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("git cannot be started: {e}")))
}

/// Returns what git said to a successful call.
pub(crate) fn ask(
    common_dir: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> io::Result<Vec<u8>> {
    let output = run(common_dir, args, b"")?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(io::Error::other(complaint(&output)))
    }
}

/// Returns what git complained about.
pub(crate) fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    if text.is_empty() {
        format!("git ended with {}", output.status)
    } else {
        text.replace('\n', "; ")
    }
}

/// Returns the hash of a repository.
pub(crate) fn object_format(common_dir: &Path) -> io::Result<ObjectFormat> {
    let said = ask(common_dir, ["rev-parse", "--show-object-format"])?;
    let said = String::from_utf8_lossy(&said);
    said.trim().parse().map_err(io::Error::other)
}
