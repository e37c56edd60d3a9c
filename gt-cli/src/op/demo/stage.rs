//! What runs in a demonstration: the processes, and what they tell.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{BLINK, Error, FIRST, Outcome, PEERS, Setting, Step};
use crate::git::{self, Git};
use crate::op::sample;

/// How long any step may take before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a process may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Peer,
    Publisher,
}

/// A process that tells what happens to it.
struct Actor {
    child: Child,
    who: Who,
    /// The newest `traffic` of the first snapshot.
    traffic: Option<Value>,
    id: Option<String>,
    pieces: u64,
    ended: Option<String>,
}

/// Everything that runs.
pub(super) struct Stage {
    gt: PathBuf,
    stop: Arc<AtomicBool>,
    pub(super) git: Git,
    folder: PathBuf,
    tracker: Option<Child>,
    actors: Vec<Actor>,
    events: mpsc::Receiver<(usize, Option<Value>)>,
    teller: mpsc::Sender<(usize, Option<Value>)>,
}

impl Stage {
    pub(super) fn new(git: &Git, setting: &Setting) -> Result<Self, Error> {
        std::fs::create_dir_all(&setting.folder)?;
        let (teller, events) = mpsc::channel();
        Ok(Self {
            gt: setting.gt.clone(),
            stop: Arc::clone(&setting.stop),
            git: git
                .elsewhere(&setting.folder)
                // Neither the person's keys nor their configuration take part.
                .with("GIT_CONFIG_GLOBAL", "/dev/null")
                .with("GIT_CONFIG_NOSYSTEM", "1")
                .with("XDG_DATA_HOME", setting.folder.join("data"))
                .with("XDG_CACHE_HOME", setting.folder.join("cache")),
            folder: setting.folder.clone(),
            tracker: None,
            actors: Vec::new(),
            events,
            teller,
        })
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the publisher's bare repository and returns what it is compared
    /// with.
    pub(super) fn source(
        &self,
        setting: &Setting,
        publisher: &Path,
        tell: &mut dyn FnMut(Step),
    ) -> Result<PathBuf, Error> {
        let Some(source) = &setting.source else {
            tell(Step::Said(
                "No repository here: making one with a history of its own".into(),
            ));
            sample::make(&self.git, publisher)?;
            return Ok(publisher.to_path_buf());
        };
        tell(Step::Said(format!("Taking {}", source.display())));
        let there = self.git.elsewhere(source);
        let format = there.ask(["rev-parse", "--show-object-format"])?;
        self.git.ask([
            "init".as_ref(),
            "-q".as_ref(),
            "--bare".as_ref(),
            // The person's configuration may choose another format for new ones.
            format!("--object-format={format}").as_ref(),
            publisher.as_os_str(),
        ])?;
        // A clone would bring other refs than branches and tags as well.
        self.git.elsewhere(publisher).ask([
            "fetch".as_ref(),
            "-q".as_ref(),
            "--no-auto-gc".as_ref(),
            source.as_os_str(),
            "+refs/heads/*:refs/heads/*".as_ref(),
            "+refs/tags/*:refs/tags/*".as_ref(),
        ])?;
        let head = match there.ask(["symbolic-ref", "-q", "HEAD"]) {
            Ok(head) => Some(head),
            // A detached HEAD: any branch will do for the pushed commit.
            Err(git::Error::Failed { .. }) => self
                .git
                .elsewhere(publisher)
                .ask([
                    "for-each-ref",
                    "--count=1",
                    "--format=%(refname)",
                    "refs/heads",
                ])
                .ok(),
            Err(e) => return Err(e.into()),
        };
        match head.filter(|h| !h.is_empty()) {
            Some(head) => self
                .git
                .elsewhere(publisher)
                .ask(["symbolic-ref", "HEAD", &head])?,
            None => return Err(Error::NoBranch(source.clone())),
        };
        Ok(source.clone())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.git.program(&self.gt);
        command.args(words);
        command
    }

    pub(super) fn tracker(&mut self) -> Result<String, Error> {
        let mut child = self
            .command(&["tracker", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out.take(4096)).read_line(&mut line)?;
        }
        self.tracker = Some(child);
        match line.split_whitespace().find(|w| w.starts_with("http://")) {
            Some(url) => Ok(url.to_owned()),
            None => Err(Error::Ended("the tracker".into(), line)),
        }
    }

    pub(super) fn publish(&self, repository: &Path, more: &[&str]) -> Result<String, Error> {
        let mut command = self.command(&["publish", "--prune"]);
        command.arg("-C").arg(repository).args(more);
        let output = self.output(command)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Ended("gt publish".into(), words));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub(super) fn start_peer(
        &mut self,
        n: usize,
        address: &str,
        folder: &Path,
    ) -> Result<(), Error> {
        let mut command = self.command(&[
            "clone",
            "--mirror",
            "--seed",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--wait",
            "120",
        ]);
        command.arg(address).arg(folder);
        self.start(command, Who::Peer, &format!("peer-{}.log", n + 1))
    }

    pub(super) fn start_publisher(&mut self, repository: &Path) -> Result<(), Error> {
        let mut command = self.command(&["seed", "--json", "--listen", "127.0.0.1:0"]);
        command.arg("-C").arg(repository);
        self.start(command, Who::Publisher, "publisher.log")
    }

    fn start(&mut self, mut command: Command, who: Who, log: &str) -> Result<(), Error> {
        let log = std::fs::File::create(self.folder.join(log))?;
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let n = self.actors.len();
        let teller = self.teller.clone();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Ok(event) = serde_json::from_str(&line) {
                        let _ = teller.send((n, Some(event)));
                    }
                }
                let _ = teller.send((n, None));
            });
        }
        self.actors.push(Actor {
            child,
            who,
            traffic: None,
            id: None,
            pieces: 0,
            ended: None,
        });
        Ok(())
    }

    /// Takes in one event of any actor; `None` where none came in time.
    fn next(&mut self, until: Instant, tell: &mut dyn FnMut(Step)) -> Option<(usize, Value)> {
        let (n, event) = loop {
            let left = until.checked_duration_since(Instant::now())?;
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            match self.events.recv_timeout(left.min(BLINK)) {
                Ok(event) => break event,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            }
        };
        let actor = &mut self.actors[n];
        let Some(event) = event else {
            actor.ended = Some("its process ended".into());
            return Some((n, Value::Null));
        };
        match event["event"].as_str().unwrap_or_default() {
            "traffic" if event["sequence"] == FIRST => actor.traffic = Some(event.clone()),
            "listening" => {
                actor.id = event["id"].as_str().map(str::to_owned);
            }
            "progress" => {
                let total = event["total"].as_u64().unwrap_or(0);
                // A later, smaller snapshot must not hide the first.
                actor.pieces = actor.pieces.max(total);
                if actor.who == Who::Peer {
                    tell(Step::Progress {
                        peer: n,
                        have: event["have"].as_u64().unwrap_or(0),
                        total,
                    });
                }
            }
            "failed" => {
                actor.ended = Some(event["why"].as_str().unwrap_or("failed").to_owned());
            }
            _ => {}
        }
        Some((n, event))
    }

    /// Waits until each peer has told something; returns when, in Unix
    /// milliseconds.
    pub(super) fn wait_for_each(
        &mut self,
        what: &str,
        tell: &mut dyn FnMut(Step),
        is_it: impl Fn(Who, &Value) -> bool,
    ) -> Result<Vec<u64>, Error> {
        let until = Instant::now() + PATIENCE;
        let mut seen: BTreeMap<usize, u64> = BTreeMap::new();
        while seen.len() < PEERS {
            let Some((n, event)) = self.next(until, tell) else {
                self.go_on()?;
                return Err(Error::Slow(what.to_owned()));
            };
            if let Some(why) = &self.actors[n].ended {
                return Err(Error::Ended(self.name(n), why.clone()));
            }
            if is_it(self.actors[n].who, &event) {
                seen.insert(n, event["at"].as_u64().unwrap_or(0));
            }
        }
        Ok(seen.into_values().collect())
    }

    /// Takes in events until the figures of traffic have come from everybody.
    pub(super) fn settle(&mut self, tell: &mut dyn FnMut(Step)) {
        let until = Instant::now() + Duration::from_millis(1500);
        while self.next(until, tell).is_some() {}
    }

    fn name(&self, n: usize) -> String {
        match self.actors[n].who {
            Who::Publisher => "the publisher".to_owned(),
            Who::Peer => format!("peer {}", n + 1),
        }
    }

    /// Fills in who gave whom how much of the first snapshot.
    pub(super) fn traffic(&self, outcome: &mut Outcome) {
        let reel = |actor: &Actor| {
            let traffic = actor.traffic.as_ref()?;
            traffic["downloaded"].as_u64()
        };
        outcome.pieces = self.actors.iter().map(|a| a.pieces).max().unwrap_or(0);
        // Actors are the peers in order, then the publisher.
        let by_id = |wanted: &str| {
            self.actors
                .iter()
                .position(|a| a.id.as_deref() == Some(wanted))
        };
        for n in 0..PEERS {
            let mut received = vec![0; PEERS + 1];
            let actor = &self.actors[n];
            if let Some(traffic) = &actor.traffic {
                for peer in traffic["peers"].as_array().into_iter().flatten() {
                    let giver = by_id(peer["id"].as_str().unwrap_or_default());
                    let gave = peer["gave"].as_u64().unwrap_or(0);
                    match giver {
                        Some(PEERS) => received[0] += gave,
                        Some(other) => received[other + 1] += gave,
                        None => {}
                    }
                }
                outcome.peers[n].gave = traffic["uploaded"].as_u64().unwrap_or(0);
            }
            outcome.peers[n].received = received;
        }
        outcome.origin_uploaded = self.actors[PEERS]
            .traffic
            .as_ref()
            .and_then(|t| t["uploaded"].as_u64())
            .unwrap_or(0);
        outcome.reel = self
            .reel_length()
            .unwrap_or_else(|| self.actors.iter().filter_map(reel).max().unwrap_or(0));
    }

    /// Returns the length of the first reel as the publisher's chain has it.
    fn reel_length(&self) -> Option<u64> {
        let chain = gt_pack::chain::Chain::open(&self.folder("publisher.git")).ok()?;
        chain.reels().next().map(|r| r.length)
    }

    /// Returns an error where somebody wants it to end.
    fn go_on(&self) -> Result<(), Error> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    /// Runs a command to its end, or kills it when this is to end early.
    fn output(&self, mut command: Command) -> Result<Output, Error> {
        self.go_on()?;
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (tell, done) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait_with_output()));
        loop {
            match done.recv_timeout(BLINK) {
                Ok(output) => {
                    self.go_on()?;
                    return Ok(output?);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(e) => return Err(io::Error::other(e).into()),
            }
            if let (Err(e), Some(pid)) = (self.go_on(), pid) {
                let _ = kill_process(pid, Signal::TERM);
                // It may still be writing into the folder that will be removed.
                let _ = done.recv_timeout(END);
                return Err(e);
            }
        }
    }

    /// Returns what fsck says of a repository, and how it ends.
    pub(super) fn judge_repository(&self, path: &Path, is_mirror: bool) -> Result<String, Error> {
        let mut command =
            self.git
                .elsewhere(path)
                .command(["fsck", "--full", "--strict", "--no-progress"]);
        // What no ref reaches is not published, and a mirror must not have it.
        if !is_mirror {
            command.arg("--no-dangling");
        }
        let output = self.output(command)?;
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .chain(String::from_utf8_lossy(&output.stderr).lines())
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines.push(output.status.to_string());
        Ok(lines.join("\n"))
    }

    pub(super) fn refs(&self, path: &Path) -> Result<String, Error> {
        Ok(self
            .git
            .elsewhere(path)
            .ask(["for-each-ref", "refs/heads", "refs/tags"])?)
    }

    pub(super) fn compare(
        &self,
        fsck: &str,
        refs: &str,
        outcome: &mut Outcome,
        when: &str,
    ) -> Result<(), Error> {
        for n in 0..PEERS {
            let mirror = self.folder(&format!("peer-{}.git", n + 1));
            let says = self.judge_repository(&mirror, true)?;
            if says != fsck {
                outcome.faults.push(format!(
                    "{when}, git fsck of peer {} says {says:?}, of the source {fsck:?}",
                    n + 1
                ));
            }
            if self.refs(&mirror)? != refs {
                outcome
                    .faults
                    .push(format!("{when}, the refs of peer {} differ", n + 1));
            }
        }
        Ok(())
    }

    /// Asks every process to end and waits for it.
    pub(super) fn end(&mut self) {
        let tracker = self.tracker.iter_mut();
        for child in self.actors.iter_mut().map(|a| &mut a.child).chain(tracker) {
            end(child);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end();
    }
}

fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + END;
        while Instant::now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
