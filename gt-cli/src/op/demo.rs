//! The whole line on one machine: a tracker, a publisher and three other
//! peers, each a process with a folder of its own.

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

use crate::git::{self, Git};
use crate::op::sample;

/// How many peers clone.
pub const PEERS: usize = 3;
/// How long any step may take before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(300);
/// How soon it is noticed that somebody wants it to end.
const BLINK: Duration = Duration::from_millis(100);
/// How long a process may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);
/// The sequence of a repository's first statement.
const FIRST: u64 = 1;
/// From how many pieces on every peer must give and get.
const MANY_PIECES: u64 = 64;

/// What the demonstration is made with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program `gt` itself.
    pub gt: PathBuf,
    /// The repository; `None` makes a sample.
    pub source: Option<PathBuf>,
    /// An empty folder for everything.
    pub folder: PathBuf,
    /// Set by whoever wants it to end before its time.
    pub stop: Arc<AtomicBool>,
}

/// Something to show while it runs.
#[derive(Clone, Debug)]
pub enum Step {
    /// A sentence.
    Said(String),
    /// How far a peer is.
    Progress {
        /// Which peer, from 0.
        peer: usize,
        /// Pieces it has.
        have: u64,
        /// Pieces in all.
        total: u64,
    },
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Bytes of the first reel.
    pub reel: u64,
    /// Pieces of the first reel.
    pub pieces: u64,
    /// Milliseconds for `gt publish`.
    pub publish_ms: u64,
    /// Each peer.
    pub peers: Vec<PeerOutcome>,
    /// Bytes the publisher sent for the first snapshot.
    pub origin_uploaded: u64,
    /// Milliseconds from the push to the sealed statement.
    pub seal_ms: u64,
    /// What differs from what was promised; empty is good.
    pub faults: Vec<String>,
}

/// What came of one peer.
#[derive(Clone, Debug, Default)]
pub struct PeerOutcome {
    /// Milliseconds from the publisher's start to the whole clone.
    pub clone_ms: u64,
    /// Bytes it received, by giver: the publisher first, then the peers.
    pub received: Vec<u64>,
    /// Bytes it gave.
    pub gave: u64,
    /// Milliseconds from the push to its refs.
    pub push_ms: u64,
}

/// Runs the demonstration and tells each step.
///
/// # Errors
/// Where a part does not start, ends early or takes too long. What differs
/// at the end is no error but [`Outcome::faults`].
pub fn run(git: &Git, setting: &Setting, tell: &mut dyn FnMut(Step)) -> Result<Outcome, Error> {
    play(git, setting, tell).map_err(|e| {
        // The keyboard stops the programs at work here too, and one that ended
        // so is not what the person wants to read of.
        thread::sleep(BLINK);
        match setting.stop.load(Ordering::Relaxed) {
            true => Error::Interrupted,
            false => e,
        }
    })
}

fn play(git: &Git, setting: &Setting, tell: &mut dyn FnMut(Step)) -> Result<Outcome, Error> {
    let mut stage = Stage::new(git, setting)?;
    let publisher = stage.folder("publisher.git");
    let source = stage.source(setting, &publisher, tell)?;
    let expected = stage.judge_repository(&publisher, false)?;
    let refs = stage.refs(&source)?;

    let tracker = stage.tracker()?;
    tell(Step::Said(format!("Tracker at {tracker}")));

    let began = Instant::now();
    let printed = stage.publish(&publisher, &["--tracker", &tracker])?;
    let mut outcome = Outcome {
        publish_ms: millis(began.elapsed()),
        ..Outcome::default()
    };
    let address = printed.lines().last().unwrap_or_default().to_owned();
    tell(Step::Said(format!("Published as {address}")));

    for n in 0..PEERS {
        let folder = stage.folder(&format!("peer-{}.git", n + 1));
        stage.start_peer(n, &address, &folder)?;
    }
    stage.wait_for_each("listening", tell, |seen, event| {
        seen == Who::Peer && event["event"] == "listening"
    })?;
    let began = now_ms();
    stage.start_publisher(&publisher)?;
    tell(Step::Said(format!(
        "{PEERS} peers and the publisher run, each a process with a folder of its own"
    )));
    let cloned = stage.wait_for_each("a whole clone", tell, |seen, event| {
        seen == Who::Peer && event["event"] == "refs" && event["sequence"] == FIRST
    })?;
    stage.settle(tell);
    outcome.peers = (0..PEERS)
        .map(|n| PeerOutcome {
            clone_ms: cloned[n].saturating_sub(began),
            ..PeerOutcome::default()
        })
        .collect();
    stage.traffic(&mut outcome);
    stage.compare(&expected, &refs, &mut outcome, "after the clone")?;

    tell(Step::Said("Pushing a commit at the publisher".into()));
    let pusher = stage.folder("work.git");
    stage.git.ask([
        "clone".as_ref(),
        "-q".as_ref(),
        "--bare".as_ref(),
        "--shared".as_ref(),
        publisher.as_os_str(),
        pusher.as_os_str(),
    ])?;
    sample::add_commit(&stage.git, &pusher, "one more commit, pushed\n")?;
    let head = stage.git.elsewhere(&pusher).ask(["symbolic-ref", "HEAD"])?;
    let pushed = now_ms();
    stage
        .git
        .elsewhere(&pusher)
        .ask(["push", "-q", "origin", &head])?;
    stage.publish(&publisher, &[])?;
    outcome.seal_ms = now_ms().saturating_sub(pushed);
    let arrived = stage.wait_for_each("the pushed commit", tell, |seen, event| {
        seen == Who::Peer && event["event"] == "refs" && event["sequence"] == FIRST + 1
    })?;
    for (peer, at) in outcome.peers.iter_mut().zip(arrived) {
        peer.push_ms = at.saturating_sub(pushed);
    }
    let expected = stage.judge_repository(&publisher, false)?;
    let refs = stage.refs(&publisher)?;
    stage.compare(&expected, &refs, &mut outcome, "after the push")?;
    judge(&mut outcome);
    stage.end();
    Ok(outcome)
}

/// Holds the outcome against what was promised.
fn judge(outcome: &mut Outcome) {
    if outcome.origin_uploaded * 2 > outcome.reel * 3 {
        outcome.faults.push(format!(
            "the publisher sent {} bytes, more than 1.5 times the reel's {}",
            outcome.origin_uploaded, outcome.reel
        ));
    }
    if outcome.pieces < MANY_PIECES {
        return;
    }
    for (n, peer) in outcome.peers.iter().enumerate() {
        if peer.received.iter().skip(1).all(|b| *b == 0) {
            outcome
                .faults
                .push(format!("peer {} got nothing from other peers", n + 1));
        }
        if peer.gave == 0 {
            outcome.faults.push(format!("peer {} gave nothing", n + 1));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
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
struct Stage {
    gt: PathBuf,
    stop: Arc<AtomicBool>,
    git: Git,
    folder: PathBuf,
    tracker: Option<Child>,
    actors: Vec<Actor>,
    events: mpsc::Receiver<(usize, Option<Value>)>,
    teller: mpsc::Sender<(usize, Option<Value>)>,
}

impl Stage {
    fn new(git: &Git, setting: &Setting) -> Result<Self, Error> {
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

    fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the publisher's bare repository and returns what it is compared
    /// with.
    fn source(
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
        self.git.ask([
            "init".as_ref(),
            "-q".as_ref(),
            "--bare".as_ref(),
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
        let there = self.git.elsewhere(source);
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

    fn tracker(&mut self) -> Result<String, Error> {
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

    fn publish(&self, repository: &Path, more: &[&str]) -> Result<String, Error> {
        let mut command = self.command(&["publish", "--prune"]);
        command.arg("-C").arg(repository).args(more);
        let output = self.output(command)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Ended("gt publish".into(), words));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn start_peer(&mut self, n: usize, address: &str, folder: &Path) -> Result<(), Error> {
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

    fn start_publisher(&mut self, repository: &Path) -> Result<(), Error> {
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
    fn wait_for_each(
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
    fn settle(&mut self, tell: &mut dyn FnMut(Step)) {
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
    fn traffic(&self, outcome: &mut Outcome) {
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
    fn judge_repository(&self, path: &Path, is_mirror: bool) -> Result<String, Error> {
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

    fn refs(&self, path: &Path) -> Result<String, Error> {
        Ok(self
            .git
            .elsewhere(path)
            .ask(["for-each-ref", "refs/heads", "refs/tags"])?)
    }

    fn compare(
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
    fn end(&mut self) {
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

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Git.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The disk, or a process that cannot be started.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A part ended before its time.
    #[error("{0} ended early: {1}")]
    Ended(String, String),
    /// Somebody wanted it to end.
    #[error("interrupted; every process has ended")]
    Interrupted,
    /// A part took too long.
    #[error("expected {0} within 300 s, got none")]
    Slow(String),
    /// Nothing to publish.
    #[error("expected a repository with a branch, got none in {}", .0.display())]
    NoBranch(PathBuf),
}
