//! `gt clone`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gt_trust::Address;
use gt_vfs::ObjectFormat;

use super::show::{self, Shower};
use super::{Failure, broken, end, refused, runtime, seed};
use crate::Env;
use crate::args::CloneWords;
use crate::args::ways::Ways;
use crate::git::{self, Git};
use crate::op::bring;
use crate::op::follow::{self, Follow, Places};
use crate::state::State;

/// Clones: a bare mirror by itself, a work tree through git.
///
/// # Errors
/// What stood in the way; what has come is kept for the next time.
pub fn run(env: &mut Env, words: &CloneWords) -> Result<(), Failure> {
    let address: Address = words
        .address
        .parse()
        .map_err(|e| Failure::Refused(format!("{}: {e}", words.address)))?;
    if words.mirror {
        mirror(env, words, &address)
    } else {
        work_tree(env, words, address)
    }
}

fn mirror(env: &mut Env, words: &CloneWords, address: &Address) -> Result<(), Failure> {
    let runtime = runtime()?;
    let git = Git::at(env, &env.cwd);
    let result = runtime.block_on(async {
        let folder = match &words.folder {
            Some(folder) => env.cwd.join(folder),
            None => {
                let name = name_of(env, words, address, &git).await?;
                env.cwd.join(format!("{name}.git"))
            }
        };
        let believe = words.believe.as_deref();
        let state = prepare_mirror(&git, &folder, address, &words.address)?;
        let options = follow::Options {
            git: git.elsewhere(&folder),
            rid: address.rid,
            state,
            places: Places::of(address, &words.net.trackers, &words.net.peers).map_err(refused)?,
            listen: words.net.listen.clone(),
            cache: None,
            believed: super::trust::narrows(env, &git, believe).map_err(broken)?,
            allow_stale: words.allow_stale,
            only_learn: false,
            // Only the statement tells how objects are named.
            prepare: Some(Box::new({
                let (git, typed) = (git.elsewhere(&folder), words.address.clone());
                let mut keys = super::ways::as_config(&words.net.ways);
                keys.extend(words.believe.clone().map(|word| ("gt.believe", word)));
                move |format| init_mirror(&git, &typed, &keys, format)
            })),
            ways: super::ways::with_config(&git, &words.net.ways).map_err(broken)?,
            adopt: None,
            now: env.now,
        };
        let mut follow = Follow::start(options).await.map_err(broken)?;
        let brought = {
            let out = &mut env.stdout;
            let mut shower = Shower::new(&mut *env.stderr, env.terminal);
            if !words.json {
                shower.say(&format!("Cloning into {}", folder.display()));
            }
            let mut tell = |told: &crate::told::Told| {
                if words.json {
                    show::json(&mut **out, told);
                } else {
                    shower.show(told);
                }
            };
            let patience = Duration::from_secs(words.wait);
            match bring::learn(&mut follow, patience, &mut tell).await {
                Ok(()) => bring::complete(&mut follow, &mut tell).await,
                Err(e) => Err(e),
            }
        };
        if let Err(e) = brought {
            follow.stop().await;
            return Err(refused(e));
        }
        if words.seed {
            return seed::serve(env, &mut follow, words.json).await;
        }
        follow.stop().await;
        Ok(())
    });
    end(runtime);
    result
}

/// Makes the folder of a mirror, or finds the one that an interrupted clone of
/// the same address left.
fn prepare_mirror(
    git: &Git,
    folder: &Path,
    address: &Address,
    typed: &str,
) -> Result<State, Failure> {
    let state = State::of(folder);
    if folder.exists() {
        let before = state.address().ok().flatten();
        let same = match before.and_then(|text| text.parse::<Address>().ok()) {
            Some(before) => before.rid == address.rid,
            // Killed before even that was written.
            None => has_only_state(folder),
        };
        let empty = folder
            .read_dir()
            .map_err(|e| Failure::Broken(format!("{}: {e}", folder.display())))?
            .next()
            .is_none();
        let begun = same && (state.is_mirror() || has_only_state(folder));
        if begun && is_prepared(&git.elsewhere(folder)) {
            return Ok(state);
        }
        if !empty && !begun {
            return Err(Failure::Refused(format!(
                "{} already exists and is not an empty directory",
                folder.display()
            )));
        }
    }
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::Broken(format!("{}: {e}", folder.display())))?;
    // First of all, so that a kill leaves what the next run knows again.
    state.keep_address(typed).map_err(broken)?;
    state.make_mirror().map_err(broken)?;
    for lock in ["config.lock", "HEAD.lock"] {
        // Left by a git that was killed while it made this repository.
        let _ = std::fs::remove_file(folder.join(lock));
    }
    Ok(state)
}

/// Makes the bare repository in the folder that `git` stands in, unless that
/// was done already.
fn init_mirror(
    git: &Git,
    typed: &str,
    keys: &[(&str, String)],
    format: ObjectFormat,
) -> Result<(), git::Error> {
    if is_prepared(git) {
        return Ok(());
    }
    // The person's configuration may choose another format for new ones.
    let format = format!("--object-format={format}");
    git.ask(["init", "-q", "--bare", &format, "."])?;
    for (key, value) in keys {
        // Nothing is left of a run that was killed: of a key there may be many.
        if git.config_all(key)?.iter().all(|there| there != value) {
            git.ask(["config", "--add", key, value])?;
        }
    }
    for (key, value) in [
        ("remote.origin.url", typed),
        ("remote.origin.fetch", "+refs/*:refs/*"),
        ("remote.origin.mirror", "true"),
    ] {
        git.ask(["config", key, value])?;
    }
    Ok(())
}

/// Tells whether the bare repository was made to its end: the last thing that
/// is written into its configuration is there.
fn is_prepared(git: &Git) -> bool {
    let last = ["--git-dir=.", "config", "--get", "remote.origin.mirror"];
    git.ask(last).is_ok_and(|value| value == "true")
}

/// Tells whether nothing but the first words of a clone lies in a folder.
fn has_only_state(folder: &Path) -> bool {
    let names = |folder: &Path| -> Vec<OsString> {
        let entries = folder.read_dir().into_iter().flatten();
        entries.flatten().map(|e| e.file_name()).collect()
    };
    names(folder).iter().all(|name| name == "gt")
        && names(&folder.join("gt")).iter().all(|name| {
            let name = name.as_encoded_bytes();
            name.starts_with(b"address") || name.starts_with(b"mirror")
        })
}

/// Lets git clone, with the remote helper that lies beside this program.
fn work_tree(env: &mut Env, words: &CloneWords, mut address: Address) -> Result<(), Failure> {
    address.trackers.extend(words.net.trackers.iter().cloned());
    address
        .peers
        .extend(words.net.peers.iter().map(ToString::to_string));
    let git = Git::at(env, &env.cwd);
    let folder = match &words.folder {
        Some(folder) => folder.clone(),
        None => {
            let runtime = runtime()?;
            let name = runtime.block_on(name_of(env, words, &address, &git));
            end(runtime);
            PathBuf::from(name?)
        }
    };
    let mut args: Vec<OsString> = vec!["clone".into()];
    args.push("-c".into());
    args.push(format!("gt.wait={}", words.wait).into());
    if words.allow_stale {
        args.push("-c".into());
        args.push("gt.allowStale=true".into());
    }
    if let Some(word) = &words.believe {
        args.push("-c".into());
        args.push(format!("gt.believe={word}").into());
    }
    for (key, value) in super::ways::as_config(&words.net.ways) {
        args.push("-c".into());
        args.push(format!("{key}={value}").into());
    }
    args.extend(["--".into(), address.to_string().into(), folder.into()]);
    run_git(&helper_beside(git), &args)
}

/// Returns git with this program's folder in front of its search path, so
/// that it finds git-remote-gt.
pub(super) fn helper_beside(git: Git) -> Git {
    let Some(folder) = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_path_buf))
    else {
        return git;
    };
    let mut path = folder.into_os_string();
    if let Some(before) = git.variable("PATH") {
        path.push(":");
        path.push(before);
    }
    git.with("PATH", path)
}

/// Runs git on the person's own streams.
pub(super) fn run_git(git: &Git, args: &[OsString]) -> Result<(), Failure> {
    let status = git
        .command(args)
        .stdin(std::process::Stdio::inherit())
        .status()
        .map_err(|e| Failure::Broken(format!("git cannot be run: {e}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Refused(format!(
            "git {} ended with {status}",
            args.first()
                .map(|a| a.to_string_lossy())
                .unwrap_or_default()
        )))
    }
}

/// Learns what the repository is called, for a folder of that name.
async fn name_of(
    env: &Env,
    words: &CloneWords,
    address: &Address,
    git: &Git,
) -> Result<String, Failure> {
    let place = tempfile::tempdir().map_err(broken)?;
    let state = State::of(place.path());
    let options = follow::Options {
        git: git.clone(),
        rid: address.rid,
        state: state.clone(),
        places: Places::of(address, &words.net.trackers, &words.net.peers).map_err(refused)?,
        listen: Vec::new(),
        cache: Some(place.path().join("cache")),
        believed: super::trust::narrows(env, git, words.believe.as_deref()).map_err(broken)?,
        allow_stale: words.allow_stale,
        only_learn: true,
        prepare: None,
        ways: Ways {
            // This node lives for a moment.
            map_port: false,
            ..super::ways::with_config(git, &words.net.ways).map_err(broken)?
        },
        adopt: None,
        now: env.now,
    };
    let mut follow = Follow::start(options).await.map_err(broken)?;
    let learnt = bring::learn(&mut follow, Duration::from_secs(words.wait), &mut |_| {}).await;
    follow.stop().await;
    learnt.map_err(refused)?;
    let charter = state.charter().map_err(broken)?;
    Ok(charter
        .map(|c| folder_name(&c.text.name))
        .unwrap_or_else(|| address.rid.to_string()))
}

/// Returns a name that is safe as a folder's, whatever the publisher called
/// the repository.
fn folder_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| match c {
            c if c.is_alphanumeric() => c,
            '-' | '_' | '.' | '+' => c,
            _ => '-',
        })
        .take(100)
        .collect();
    match safe.trim_matches(['.', '-']) {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_does_not_choose_the_path() {
        assert_eq!(folder_name("ripgrep"), "ripgrep");
        assert_eq!(folder_name("../../etc/passwd"), "etc-passwd");
        assert_eq!(folder_name("--upload-pack=x"), "upload-pack-x");
        assert_eq!(folder_name("..."), "repository");
        assert_eq!(folder_name(".git"), "git");
    }
}
