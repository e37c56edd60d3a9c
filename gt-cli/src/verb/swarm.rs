//! `gt swarm simulate`: a crowd on virtual time, and what became of it.

use std::io::Write as _;
use std::time::Duration;

use gt_wire::simulator::{Outcome, Plan};
use serde_json::json;

use super::{Failure, broken, refused};
use crate::Env;
use crate::args::{Simulate, Swarm};
use crate::meter::Meter;

/// More peers than this have [`SPARSE`] connections each where nothing is said.
/// They are done as fast (10,000 peers, 16 MiB: 0.876 of the bound, with 40
/// connections 0.879), in less time and memory (412 s of CPU and 1.6 GB, 565 s and
/// 2.8 GB).
const MANY: u32 = 5000;
const SPARSE: usize = 24;

/// Bytes a second in a Mbit/s.
const MBIT: f64 = 125_000.0;

/// Does what is asked for about swarms.
///
/// # Errors
/// Where the numbers make no crowd, or not everybody was done.
pub fn run(env: &mut Env, words: &Swarm) -> Result<(), Failure> {
    match words {
        Swarm::Simulate(words) => simulate(env, words),
    }
}

fn simulate(env: &mut Env, words: &Simulate) -> Result<(), Failure> {
    let plan = plan(words)?;
    let terminal = env.terminal;
    let mut meter = terminal.then(|| Meter::new("Receiving pieces", terminal));
    let outcome = plan.run_telling(|have, all| {
        if let Some(meter) = &mut meter {
            // A line that cannot be shown is no reason to fail.
            let _ = meter.show(&mut env.stderr, have, all, None);
        }
    });
    if let Some(meter) = &mut meter {
        let _ = meter.wipe(&mut env.stderr);
    }
    if words.json {
        writeln!(env.stdout, "{}", as_json(words, &outcome)).map_err(broken)?;
    } else {
        in_words(env, words, &outcome).map_err(broken)?;
    }
    if outcome.unfinished > 0 {
        return Err(refused(format!(
            "{} of {} peers were not done after {} s of the simulated time",
            outcome.unfinished,
            outcome.unfinished + outcome.times.len(),
            plan.limit.as_secs()
        )));
    }
    Ok(())
}

fn plan(words: &Simulate) -> Result<Plan, Failure> {
    let wrong = |what: String| Err(Failure::Broken(what));
    let shares = [words.free_riders, words.stock, words.liars];
    if shares.iter().any(|share| !(0.0..=100.0).contains(share))
        || shares.iter().sum::<f64>() > 100.0
    {
        return wrong("expected shares between 0 and 100 that are 100 together at most".to_owned());
    }
    let rates = [words.up, words.seedup];
    if rates.iter().any(|rate| !(0.001..=1e6).contains(rate)) {
        return wrong("expected uplinks between 0.001 and 1000000 Mbit/s".to_owned());
    }
    if !(0.0..=10_000.0).contains(&words.latency) {
        return wrong(format!(
            "expected a latency of up to 10000 ms, got {}",
            words.latency
        ));
    }
    let size = (words.size as usize) << 20;
    let piece = match words.piece {
        Some(kib) if kib.is_power_of_two() && (16..=262_144).contains(&kib) => (kib as usize) << 10,
        Some(kib) => return wrong(format!("expected a power of two from 16 KiB on, got {kib}")),
        // As snapshots are cut: what cutting finer gains goes into HAVEs.
        None => (prev_power(size / 512)).clamp(16 << 10, 1 << 20),
    };
    let mut plan = Plan::new(words.peers as usize, words.seed);
    plan.size = size;
    plan.piece = piece;
    plan.v2 = words.v2;
    if let Some(degree) = words.degree {
        plan.degree = degree as usize;
    } else if words.peers > MANY {
        plan.degree = SPARSE;
    }
    plan.up = words.up * MBIT;
    plan.seed_up = words.seedup * MBIT;
    plan.latency = Duration::from_secs_f64(words.latency / 1000.0);
    plan.free_riders = words.free_riders / 100.0;
    plan.stock = words.stock / 100.0;
    plan.liars = words.liars / 100.0;
    plan.leave = words.leave;
    let longest = 20.0 * size as f64 / plan.up.min(plan.seed_up);
    plan.limit = Duration::from_secs_f64(longest.max(600.0));
    Ok(plan)
}

/// Returns the largest power of two that is no larger.
fn prev_power(n: usize) -> usize {
    match n {
        0 => 1,
        n => 1 << n.ilog2(),
    }
}

fn at(times: &[Duration], share: f64) -> Option<f64> {
    let last = times.len().checked_sub(1)?;
    Some(times[(last as f64 * share) as usize].as_secs_f64())
}

fn as_json(words: &Simulate, outcome: &Outcome) -> serde_json::Value {
    let times: Vec<f64> = outcome.times.iter().map(Duration::as_secs_f64).collect();
    json!({
        "peers": words.peers,
        "seed": words.seed,
        "bound_s": outcome.bound.as_secs_f64(),
        "times_s": times,
        "unfinished": outcome.unfinished,
        "share_of_bound": outcome.score,
        "origin_over_f": outcome.origin,
        "wasted": outcome.waste,
        "liars": outcome.liars,
        "liars_banned": outcome.caught,
        "honest_banned": outcome.wronged,
        "events": outcome.events,
    })
}

fn in_words(env: &mut Env, words: &Simulate, outcome: &Outcome) -> std::io::Result<()> {
    let out = &mut env.stdout;
    let seconds = |share| at(&outcome.times, share).unwrap_or(f64::NAN);
    writeln!(
        out,
        "{} peers, seed {}: bound {:.2} s",
        words.peers,
        words.seed,
        outcome.bound.as_secs_f64()
    )?;
    writeln!(
        out,
        "done      first {:.2} s, median {:.2} s, nine in ten {:.2} s, last {:.2} s",
        seconds(0.0),
        seconds(0.5),
        seconds(0.9),
        seconds(1.0)
    )?;
    writeln!(out, "of bound  {:.3}", outcome.score)?;
    writeln!(out, "origin    {:.3} of the content sent", outcome.origin)?;
    writeln!(out, "wasted    {:.4} of what was received", outcome.waste)?;
    if outcome.liars > 0 {
        writeln!(
            out,
            "liars     {} of {} banned, and {} honest peers",
            outcome.caught, outcome.liars, outcome.wronged
        )?;
    }
    out.flush()
}
