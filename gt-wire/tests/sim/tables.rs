//! The yardstick: crowds against the fluid bound. A short row of each kind
//! runs always; the tables of twenty seeds and thousands of peers run with
//! `GT_SIM_LONG=1`, in the release profile:
//!
//! ```text
//! GT_SIM_LONG=1 cargo test --release -p gt-wire --features simulator --test sim tables -- --nocapture
//! ```
//!
//! `GT_SIM_SEEDS` and `GT_SIM_ROW` narrow them: how many seeds, and which rows
//! by a part of their names, or one by the whole of it after a `=`.

use std::time::Duration;

use gt_wire::simulator::{Nature, Outcome, Plan};

/// A kind of crowd, what it shall reach, and what the origin may send.
struct Row {
    name: &'static str,
    plan: Plan,
    seeds: u64,
    least: f64,
    origin: f64,
}

fn row(name: &'static str, peers: usize, least: f64, origin: f64, set: impl Fn(&mut Plan)) -> Row {
    let mut plan = Plan::new(peers, 0);
    set(&mut plan);
    Row {
        name,
        plan,
        seeds: 20,
        least,
        origin,
    }
}

fn run(row: &Row, seeds: u64) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = (1..=seeds)
        .map(|seed| {
            let mut plan = row.plan.clone();
            plan.seed = seed;
            plan.run()
        })
        .collect();
    let mean =
        |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64;
    let (score, origin) = (mean(|o| o.score), mean(|o| o.origin));
    let least = outcomes.iter().map(|o| o.score).fold(1.0, f64::min);
    println!(
        "{:<28} {seeds:2} seeds: {score:.3} of the bound ({least:.3} at least), origin {origin:.3}, waste {:.4}",
        row.name,
        mean(|o| o.waste),
    );
    for (seed, outcome) in (1..).zip(&outcomes) {
        let name = row.name;
        assert_eq!(outcome.unfinished, 0, "{name}, seed {seed}");
        assert_eq!(outcome.wrong, 0, "{name}, seed {seed}");
        assert_eq!(outcome.wronged, 0, "{name}, seed {seed}");
        assert_eq!(outcome.caught, outcome.liars, "{name}, seed {seed}");
    }
    assert!(score >= row.least, "{}: {score} of the bound", row.name);
    assert!(origin <= row.origin, "{}: origin sent {origin}", row.name);
    outcomes
}

#[test]
fn small_crowds_of_every_kind() {
    let small = |plan: &mut Plan| {
        plan.size = 8 << 20;
        plan.piece = 32 << 10;
    };
    let rows = [
        row("8 equals", 8, 0.90, 1.05, small),
        row("30 equals", 30, 0.80, 1.06, small),
        row("v2", 8, 0.88, 1.06, |plan| {
            small(plan);
            plan.v2 = true;
        }),
        row("uneven uplinks", 20, 0.55, 1.15, |plan| {
            small(plan);
            plan.uplinks = vec![(0.1, 25e6), (0.6, 5e6), (0.3, 1.25e6)];
        }),
        row("a fifth ride free", 20, 0.40, 1.20, |plan| {
            small(plan);
            plan.free_riders = 0.2;
        }),
        row("a third is stock", 20, 0.45, 1.15, |plan| {
            small(plan);
            plan.stock = 0.3;
        }),
        row("leaving when done", 20, 0.60, 1.15, |plan| {
            small(plan);
            plan.leave = true;
        }),
        row("25 ms", 20, 0.40, 1.15, |plan| {
            small(plan);
            plan.latency = Duration::from_millis(25);
        }),
        row("narrow downlinks", 20, 0.55, 1.15, |plan| {
            small(plan);
            plan.down = plan.up;
        }),
        row("8 behind narrow downlinks", 8, 0.86, 1.05, |plan| {
            plan.size = 24 << 20;
            plan.down = plan.up;
        }),
        row("two HTTP sources", 20, 0.55, 1.15, |plan| {
            small(plan);
            plan.sources = vec![(5e6, Nature::Honest), (2.5e6, Nature::Honest)];
        }),
        row("25 ms, v2", 20, 0.60, 1.10, |plan| {
            small(plan);
            plan.latency = Duration::from_millis(25);
            plan.v2 = true;
        }),
        row("a fifth lies", 20, 0.40, 1.60, |plan| {
            small(plan);
            plan.liars = 0.2;
        }),
        row("a fifth lies, v2", 20, 0.60, 1.30, |plan| {
            small(plan);
            plan.liars = 0.2;
            plan.v2 = true;
        }),
        row("loss and no way in", 20, 0.30, 1.60, |plan| {
            small(plan);
            plan.loss = 2000;
            plan.nat = 0.5;
        }),
    ];
    for row in &rows {
        run(row, 2);
    }
}

#[test]
fn the_same_plan_gives_the_same_outcome() {
    let mut plan = Plan::new(9, 77);
    plan.size = 2 << 20;
    plan.piece = 32 << 10;
    plan.loss = 1000;
    assert_eq!(plan.run(), plan.run());
    let before = plan.run().trace;
    plan.seed = 78;
    assert_ne!(plan.run().trace, before);
}

#[test]
fn tables() {
    if std::env::var_os("GT_SIM_LONG").is_none() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let only = std::env::var("GT_SIM_ROW").unwrap_or_default();
    let millis = Duration::from_millis;
    let uneven = vec![(0.1, 25e6), (0.6, 5e6), (0.3, 1.25e6)];
    let mut rows = vec![
        row("8", 8, 0.97, 1.05, |_| {}),
        row("100", 100, 0.95, 1.05, |_| {}),
        row("1000", 1000, 0.92, 1.05, |_| {}),
        row("100 uneven", 100, 0.966, 1.05, |p| {
            p.uplinks = uneven.clone()
        }),
        row("100 free riders 20", 100, 0.94, 1.10, |p| {
            p.free_riders = 0.2
        }),
        row("100 stock 30", 100, 0.86, 1.05, |p| p.stock = 0.3),
        row("100 leaving", 100, 0.91, 1.05, |p| p.leave = true),
        row("100 at 25 ms", 100, 0.927, 1.05, |p| p.latency = millis(25)),
        row("100 at 25 ms, 256 KiB", 100, 0.894, 1.05, |p| {
            p.piece = 256 << 10;
            p.latency = millis(25);
        }),
        row("100 at 25 ms, v2, 256 KiB", 100, 0.894, 1.05, |p| {
            p.piece = 256 << 10;
            p.latency = millis(25);
            p.v2 = true;
        }),
        row("100 uneven, 256 KiB", 100, 0.942, 1.05, |p| {
            p.piece = 256 << 10;
            p.uplinks = uneven.clone();
        }),
        row("100 free riders 20, 256 KiB", 100, 0.945, 1.10, |p| {
            p.piece = 256 << 10;
            p.free_riders = 0.2;
        }),
        row("100 stock 30, 256 KiB", 100, 0.886, 1.05, |p| {
            p.piece = 256 << 10;
            p.stock = 0.3;
        }),
        row("100 leaving, 256 KiB", 100, 0.911, 1.05, |p| {
            p.piece = 256 << 10;
            p.leave = true;
        }),
        row("100 uneven, v2, 256 KiB", 100, 0.942, 1.05, |p| {
            p.piece = 256 << 10;
            p.uplinks = uneven.clone();
            p.v2 = true;
        }),
        row("100 free riders 20, v2, 256 KiB", 100, 0.948, 1.10, |p| {
            p.piece = 256 << 10;
            p.free_riders = 0.2;
            p.v2 = true;
        }),
        row("100 leaving, v2, 256 KiB", 100, 0.911, 1.05, |p| {
            p.piece = 256 << 10;
            p.leave = true;
            p.v2 = true;
        }),
        row("100 stock 30, v2, 256 KiB", 100, 0.886, 1.05, |p| {
            p.piece = 256 << 10;
            p.stock = 0.3;
            p.v2 = true;
        }),
        row("100 at 50 ms, 256 KiB", 100, 0.77, 1.05, |p| {
            p.piece = 256 << 10;
            p.latency = millis(50);
        }),
        row("100 at 50 ms", 100, 0.77, 1.05, |p| p.latency = millis(50)),
        row("8, v2", 8, 0.97, 1.05, |p| p.v2 = true),
        row("100, v2", 100, 0.95, 1.05, |p| p.v2 = true),
        row("1000, v2", 1000, 0.92, 1.05, |p| p.v2 = true),
        row("100 uneven, v2", 100, 0.95, 1.05, |p| {
            p.uplinks = uneven.clone();
            p.v2 = true;
        }),
        row("100 free riders 20, v2", 100, 0.94, 1.10, |p| {
            p.free_riders = 0.2;
            p.v2 = true;
        }),
        row("100 stock 30, v2", 100, 0.86, 1.05, |p| {
            p.stock = 0.3;
            p.v2 = true;
        }),
        row("100 leaving, v2", 100, 0.91, 1.05, |p| {
            p.leave = true;
            p.v2 = true;
        }),
        row("100 at 25 ms, v2", 100, 0.927, 1.05, |p| {
            p.latency = millis(25);
            p.v2 = true;
        }),
        row("100 at 25 ms, v2, layers", 100, 0.92, 1.05, |p| {
            p.v2 = true;
            p.layers = true;
            p.latency = millis(25);
        }),
        row("100 at 50 ms, v2", 100, 0.77, 1.05, |p| {
            p.latency = millis(50);
            p.v2 = true;
        }),
        row("100 liars 20", 100, 0.80, 1.50, |p| p.liars = 0.2),
        row("100 liars 20, v2", 100, 0.80, 1.50, |p| {
            p.liars = 0.2;
            p.v2 = true;
        }),
        row("100, downlinks as uplinks", 100, 0.83, 1.06, |p| {
            p.down = p.up
        }),
        row("100, downlinks of 100 Mbit/s", 100, 0.94, 1.05, |p| {
            p.down = 12.5e6;
        }),
        row("8, downlinks as uplinks", 8, 0.93, 1.05, |p| p.down = p.up),
        row("100, downlinks as uplinks, v2", 100, 0.65, 1.05, |p| {
            p.down = p.up;
            p.v2 = true;
        }),
        row("8, downlinks as uplinks, v2", 8, 0.75, 1.05, |p| {
            p.down = p.up;
            p.v2 = true;
        }),
        row("100, an HTTP source", 100, 0.90, 1.05, |p| {
            p.sources = vec![(5e6, Nature::Honest)];
        }),
        row("8, an HTTP source", 8, 0.87, 1.05, |p| {
            p.sources = vec![(5e6, Nature::Honest)];
        }),
        row("100 half unreachable", 100, 0.87, 1.05, |p| p.nat = 0.5),
        row("100 lies of every kind", 100, 0.0, 9.0, |p| {
            p.liars = 0.2;
            p.v2 = true;
            p.lies = vec![Nature::Corrupt(2)];
        }),
        row("10000, 16 MiB", 10_000, 0.5, 1.2, |p| {
            p.size = 16 << 20;
            p.piece = 32 << 10;
            p.degree = 24;
        }),
    ];
    for row in &mut rows {
        row.seeds = match row.plan.peers {
            10_000.. => 1,
            1000.. => 3,
            _ => 20,
        };
    }
    let chosen = |row: &&Row| match only.strip_prefix('=') {
        Some(name) => row.name == name,
        None => row.name.contains(&only),
    };
    for row in rows.iter().filter(chosen) {
        run(row, number("GT_SIM_SEEDS").unwrap_or(row.seeds));
    }
}
