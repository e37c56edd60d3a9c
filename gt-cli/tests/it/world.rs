//! One machine's worth of people: a folder, a home, and processes that end
//! with the test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

/// How long a process may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    dir: tempfile::TempDir,
    home: String,
}

/// A process and all that it starts.
pub(crate) struct Group {
    child: Child,
}

/// A process that is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            home: "home".into(),
        }
    }

    /// The same machine and another person.
    pub(crate) fn person(&mut self, name: &str) -> &mut Self {
        self.home = name.into();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let home = self.path(&self.home);
        let beside = Path::new(env!("CARGO_BIN_EXE_gt")).parent().unwrap();
        let path = format!("{}:{}", beside.display(), std::env::var("PATH").unwrap());
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", &home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("GIT_CONFIG_GLOBAL", home.join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ann")
            .env("GIT_AUTHOR_EMAIL", "ann@localhost")
            .env("GIT_COMMITTER_NAME", "Ann")
            .env("GIT_COMMITTER_EMAIL", "ann@localhost")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        std::fs::create_dir_all(&home).unwrap();
        command
    }

    /// The same machine for what a test does by the library.
    pub(crate) fn env(&self) -> gt_cli::Env {
        let mut env = gt_cli::Env::of_process();
        let vars = self.command("git");
        let vars = vars.get_envs();
        env.vars = vars
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        env.cwd = self.dir.path().to_path_buf();
        env
    }

    /// The text of the newest statement that a work tree's repository holds.
    pub(crate) fn statement(&self, repository: &str) -> String {
        let gt = self.path(repository).join(".git/gt");
        let mark = std::fs::read_to_string(gt.join("mark")).unwrap();
        let mut words = mark
            .split_whitespace()
            .map(|w| w.trim_start_matches("sha256:"));
        let identity = words.find(|w| w.len() == 64).unwrap();
        std::fs::read_to_string(gt.join("statements").join(identity)).unwrap()
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().unwrap()
    }

    /// Runs `gt` and returns what it printed.
    pub(crate) fn gt(&self, args: &[&str]) -> String {
        told(self.run(env!("CARGO_BIN_EXE_gt"), args), args)
    }

    /// Runs `gt`, which must fail, and returns its exit code and its words.
    pub(crate) fn gt_fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(env!("CARGO_BIN_EXE_gt"), args);
        assert!(!output.status.success(), "gt {args:?} succeeded");
        (
            output.status.code().unwrap(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        told(self.run("git", args), args)
    }

    /// Makes a repository with a few commits, two branches and tags.
    pub(crate) fn repository(&self, name: &str) {
        self.repository_of(name, "sha1");
    }

    /// The same, of an object format.
    pub(crate) fn repository_of(&self, name: &str, format: &str) {
        let format = format!("--object-format={format}");
        self.git(&["init", "-q", "-b", "main", &format, name]);
        for n in 0..5 {
            self.commit(name, &format!("file-{}.txt", n % 3), &format!("line {n}\n"));
        }
        self.git(&["-C", name, "branch", "topic", "HEAD~2"]);
        self.git(&["-C", name, "tag", "light", "HEAD~1"]);
        self.git(&["-C", name, "tag", "-m", "one", "v1"]);
    }

    pub(crate) fn commit(&self, repository: &str, file: &str, text: &str) {
        let path = self.path(repository).join(file);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, before + text).unwrap();
        self.git(&["-C", repository, "add", file]);
        self.git(&["-C", repository, "commit", "-q", "-m", file]);
    }

    /// Publishes and returns the address.
    pub(crate) fn publish(&self, repository: &str, more: &[&str]) -> String {
        let mut args = vec!["publish", "-C", repository];
        args.extend(more);
        self.gt(&args).trim().to_owned()
    }

    /// Starts a seeder and returns it with the place where it listens.
    pub(crate) fn seed(&self, repository: &str, more: &[&str]) -> (Running, String) {
        let mut args = vec![
            "seed",
            "-C",
            repository,
            "--listen",
            "127.0.0.1:0",
            "--json",
        ];
        args.extend(more);
        let running = self.start(&args);
        let event = running.wait_for("listening");
        let place = event["address"].as_str().unwrap().to_owned();
        (running, place)
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut child = self
            .command(env!("CARGO_BIN_EXE_gt"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Running { child, lines }
    }

    /// Adds a file that does not compress.
    pub(crate) fn noise(&self, repository: &str, size: usize) {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect();
        std::fs::write(self.path(repository).join("noise"), bytes).unwrap();
        self.git(&["-C", repository, "add", "noise"]);
        self.git(&["-C", repository, "commit", "-q", "-m", "noise"]);
    }

    /// Writes a text of many lines, which has a delta and does not compress
    /// well; `line` is the number of the one that differs.
    pub(crate) fn text(&self, repository: &str, lines: u64, line: u64) {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut text = String::new();
        for n in 0..lines {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let differs = u64::from(n == line);
            text += &format!("{:016x} {:016x}\n", state ^ differs, state.reverse_bits());
        }
        std::fs::write(self.path(repository).join("text"), text).unwrap();
        self.git(&["-C", repository, "add", "text"]);
        self.git(&["-C", repository, "commit", "-q", "-m", "text"]);
    }

    /// Returns the path of test data that others made.
    pub(crate) fn data(&self, name: &str) -> String {
        let folder = std::env::var("GT_DATA").expect("GT_DATA names the folder of test data");
        format!("{folder}/{name}")
    }

    /// Starts a program as the head of a process group of its own.
    pub(crate) fn group(&self, program: &str, args: &[&str]) -> Group {
        let child = self
            .command(program)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Group { child }
    }

    /// All refs of a repository as one text.
    pub(crate) fn refs(&self, repository: &str) -> String {
        self.git(&["-C", repository, "for-each-ref", "refs/heads", "refs/tags"])
    }

    pub(crate) fn fsck(&self, repository: &str) {
        self.git(&["-C", repository, "fsck", "--full", "--strict"]);
    }
}

fn told(output: Output, args: &[&str]) -> String {
    assert!(
        output.status.success(),
        "{args:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Running {
    /// Waits for an event of `--json` and returns it.
    pub(crate) fn wait_for(&self, event: &str) -> serde_json::Value {
        self.wait_until(|value| value["event"] == event)
    }

    pub(crate) fn wait_until(
        &self,
        mut is_it: impl FnMut(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("the process did not say it; it said {seen:#?}");
            };
            if let Ok(value) = serde_json::from_str(&line)
                && is_it(&value)
            {
                return value;
            }
            seen.push(line);
        }
    }

    /// Waits for a line that is no event.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Kills it as a loss of power would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Group {
    /// Kills all of them as a loss of power would.
    pub(crate) fn kill(&mut self) {
        let head = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        let _ = kill_process_group(head, Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Asks the head alone to end; returns its exit code.
    pub(crate) fn ask_to_end(&mut self, patience: Duration) -> Option<i32> {
        let head = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(head, Signal::TERM).unwrap();
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Tells whether any process of the group is left.
    pub(crate) fn lives(&self) -> bool {
        let head = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        test_kill_process_group(head).is_ok()
    }

    /// Kills the head and leaves the others.
    pub(crate) fn kill_alone(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address that names a peer as well.
pub(crate) fn with_peer(address: &str, peer: &str) -> String {
    let mark = if address.contains('?') { '&' } else { '?' };
    format!("{address}{mark}x.pe={peer}")
}
