//! `gt demo`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, asked_to_end, broken, end, runtime};
use crate::Env;
use crate::args::Demo;
use crate::git::Git;
use crate::meter::size;
use crate::op::demo::{self, Outcome, PEERS, Setting, Step};

/// Shows the whole line at work and prints a table.
///
/// # Errors
/// Where a part fails, and where anything differs from what was promised.
pub fn run(env: &mut Env, words: &Demo) -> Result<(), Failure> {
    let git = Git::at(env, &env.cwd);
    let source = match &words.repository {
        Some(path) => {
            let path = env.cwd.join(path);
            let there = git.elsewhere(&path);
            Some(
                there
                    .common_dir()
                    .map_err(|e| Failure::Refused(e.to_string()))?,
            )
        }
        None => git.common_dir().ok(),
    };
    let temporary;
    let folder = match &words.keep {
        Some(folder) => {
            let folder = env.cwd.join(folder);
            if folder.exists() {
                return Err(Failure::Refused(format!(
                    "{} already exists",
                    folder.display()
                )));
            }
            folder
        }
        None => {
            temporary = tempfile::Builder::new()
                .prefix("gt-demo-")
                .tempdir()
                .map_err(broken)?;
            temporary.path().to_path_buf()
        }
    };
    let setting = Setting {
        gt: std::env::current_exe().map_err(broken)?,
        source,
        folder,
        stop: Arc::new(AtomicBool::new(false)),
    };
    // Ctrl-C and a polite kill end every process and remove the folder.
    let runtime = runtime()?;
    let stop = Arc::clone(&setting.stop);
    runtime.spawn(async move {
        asked_to_end().await;
        stop.store(true, Ordering::Relaxed);
    });
    let outcome = {
        let mut shown = Shown::new(&mut *env.stderr, env.terminal);
        let outcome = demo::run(&git, &setting, &mut |step| shown.show(step));
        shown.end();
        end(runtime);
        outcome.map_err(|e| Failure::Refused(e.to_string()))?
    };
    table(&mut *env.stdout, &outcome).map_err(broken)?;
    if outcome.faults.is_empty() {
        writeln!(
            env.stdout,
            "Every mirror says what the source says: git fsck --full --strict and all refs."
        )
        .map_err(broken)
    } else {
        Err(Failure::Refused(outcome.faults.join("\n")))
    }
}

fn table(out: &mut dyn Write, outcome: &Outcome) -> std::io::Result<()> {
    let times = |bytes: u64| bytes as f64 / outcome.reel.max(1) as f64;
    writeln!(
        out,
        "\nFirst reel   {} in {} pieces, published in {} ms",
        size(outcome.reel),
        outcome.pieces,
        outcome.publish_ms
    )?;
    writeln!(
        out,
        "Publisher    sent {}: {:.2} times the repository",
        size(outcome.origin_uploaded),
        times(outcome.origin_uploaded)
    )?;
    write!(out, "\n{:<8}{:>10}{:>14}", "", "clone", "from origin")?;
    for n in 1..=PEERS {
        write!(out, "{:>14}", format!("from peer {n}"))?;
    }
    writeln!(out, "{:>14}{:>14}", "gave", "push to here")?;
    for (n, peer) in outcome.peers.iter().enumerate() {
        write!(
            out,
            "{:<8}{:>10}",
            format!("peer {}", n + 1),
            format!("{} ms", peer.clone_ms)
        )?;
        for (from, bytes) in peer.received.iter().enumerate() {
            let cell = if from == n + 1 {
                "-".to_owned()
            } else {
                size(*bytes)
            };
            write!(out, "{cell:>14}")?;
        }
        writeln!(
            out,
            "{:>14}{:>14}",
            size(peer.gave),
            format!("{} ms", peer.push_ms)
        )?;
    }
    writeln!(
        out,
        "\nThe push was sealed after {} ms (git push and gt publish).",
        outcome.seal_ms
    )
}

/// Bars on a terminal, lines elsewhere.
struct Shown<'a> {
    out: &'a mut (dyn Write + Send),
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    quarters: [u64; PEERS],
}

impl<'a> Shown<'a> {
    fn new(out: &'a mut (dyn Write + Send), terminal: bool) -> Self {
        Self {
            out,
            bars: terminal.then(|| {
                let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
                (all, Vec::new())
            }),
            quarters: [0; PEERS],
        }
    }

    fn show(&mut self, step: Step) {
        match (step, &mut self.bars) {
            (Step::Said(words), Some((all, _))) => {
                let _ = all.println(words);
            }
            (Step::Said(words), None) => {
                let _ = writeln!(self.out, "{words}");
            }
            (Step::Progress { peer, have, total }, Some((all, bars))) => {
                while bars.len() < PEERS {
                    let style =
                        ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} pieces")
                            .unwrap_or_else(|_| ProgressStyle::default_bar());
                    let bar = ProgressBar::new(total).with_style(style);
                    bars.push(all.add(bar).with_prefix(format!("peer {}", bars.len() + 1)));
                }
                bars[peer].set_length(total);
                bars[peer].set_position(have);
            }
            (Step::Progress { peer, have, total }, None) => {
                // Four lines a peer are enough for a log.
                let quarter = (have * 4).checked_div(total).unwrap_or(0);
                if quarter > self.quarters[peer] {
                    self.quarters[peer] = quarter;
                    let _ = writeln!(self.out, "peer {} has {have} of {total} pieces", peer + 1);
                }
            }
        }
    }

    fn end(&mut self) {
        if let Some((_, bars)) = &self.bars {
            for bar in bars {
                bar.abandon();
            }
        }
    }
}
