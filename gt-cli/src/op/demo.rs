//! The whole line on one machine: a tracker, a publisher and three other
//! peers, each a process with a folder of its own.

mod stage;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::stage::{Stage, Who, millis, now_ms};
use crate::git::{self, Git};
use crate::op::sample;

/// How many peers clone.
pub const PEERS: usize = 3;
/// How soon it is noticed that somebody wants it to end.
const BLINK: Duration = Duration::from_millis(100);
/// The sequence of a repository's first statement.
const FIRST: u64 = 1;
/// From how many pieces on the peers must give to each other, and the publisher
/// send little more than once.
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

/// Holds the outcome against what was promised. Of few pieces nothing is:
/// everybody has asked for them before anybody else has one.
fn judge(outcome: &mut Outcome) {
    if outcome.pieces < MANY_PIECES {
        return;
    }
    if outcome.origin_uploaded * 2 > outcome.reel * 3 {
        outcome.faults.push(format!(
            "the publisher sent {} bytes, more than 1.5 times the reel's {}",
            outcome.origin_uploaded, outcome.reel
        ));
    }
    // Who is connected to first may have everything from the publisher before
    // the others come: of all together more is promised than of each.
    if outcome.peers.iter().all(|peer| peer.gave == 0) {
        outcome
            .faults
            .push("no peer gave anything to another".to_owned());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(origin_uploaded: u64, gave: [u64; PEERS]) -> Vec<String> {
        let peer = |gave| PeerOutcome {
            gave,
            ..PeerOutcome::default()
        };
        let mut outcome = Outcome {
            reel: 1000,
            pieces: MANY_PIECES,
            origin_uploaded,
            peers: gave.map(peer).into(),
            ..Outcome::default()
        };
        judge(&mut outcome);
        outcome.faults
    }

    #[test]
    fn what_was_promised_is_of_all_together() {
        // One was there first, and had everything before the others came.
        assert_eq!(outcome(1000, [2000, 0, 0]), [""; 0]);
        assert_eq!(outcome(1500, [500, 500, 500]), [""; 0]);
        assert_eq!(outcome(3000, [0, 0, 0]).len(), 2);
        assert_eq!(outcome(1501, [500, 500, 499]).len(), 1);
    }
}
