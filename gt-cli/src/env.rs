//! Everything that comes from outside: words, streams, folders, clock.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a command may know of the world round it.
///
/// Nothing else in this crate reads the environment, the clock or the standard
/// streams, so that a test can give a command another world.
pub struct Env {
    /// The words of the command line, the program's name first.
    pub args: Vec<OsString>,
    /// The folder the command runs in.
    pub cwd: PathBuf,
    /// Environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// Where answers and protocol lines are read from.
    pub stdin: Box<dyn BufRead + Send>,
    /// Where results go.
    pub stdout: Box<dyn Write + Send>,
    /// Where progress and errors go.
    pub stderr: Box<dyn Write + Send>,
    /// Whether a person watches the standard error stream.
    pub terminal: bool,
    /// The clock: Unix seconds.
    pub now: fn() -> u64,
    /// Tells whether the other end of a standard input that is a pipe has gone.
    pub abandoned: fn() -> bool,
}

impl Env {
    /// Returns the world of this process.
    pub fn of_process() -> Self {
        Self {
            args: std::env::args_os().collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            vars: std::env::vars_os().collect(),
            stdin: Box::new(io::BufReader::new(io::stdin())),
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            terminal: io::stderr().is_terminal(),
            now: unix_now,
            abandoned: hung_up,
        }
    }

    /// Returns a variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&OsString> {
        self.vars
            .get(std::ffi::OsStr::new(name))
            .filter(|v| !v.is_empty())
    }

    /// Returns the person's home folder.
    fn home(&self) -> Option<PathBuf> {
        self.var("HOME").map(PathBuf::from)
    }

    /// Returns the folder for keys that gt makes (XDG base directories).
    pub fn data_folder(&self) -> Option<PathBuf> {
        self.folder("XDG_DATA_HOME", ".local/share")
    }

    /// Returns the folder for clones that are not finished yet.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        self.folder("XDG_CACHE_HOME", ".cache")
    }

    fn folder(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.var(variable)
            .map(PathBuf::from)
            // The specification says that a relative path is to be ignored.
            .filter(|p| p.is_absolute())
            .or_else(|| self.home().map(|home| home.join(below_home)))
            .map(|base| base.join("gittorrent"))
    }
}

fn hung_up() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let mut ends = [PollFd::new(&stdin, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // A file and a terminal do not hang up.
    poll(&mut ends, Some(&at_once)).is_ok() && ends[0].revents().contains(PollFlags::HUP)
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
