//! The first reel of a repository, against git's own packer in the same run.
//!
//! `GT_BENCH_REPO=/path/to/repository cargo bench --bench reel`; without the
//! variable there is nothing to measure. One thread each; the ratios after
//! criterion's figures are of processor time, the median of five runs in turn;
//! the last line is our own wall time with two threads against git's with one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::Criterion;
use gt_pack::encode::{self, Moment, Options};
use gt_pack::published::{Nothing, published_refs};
use gt_pack::repository::{GitRepository, Repository};

fn main() {
    let Some(path) = std::env::var_os("GT_BENCH_REPO").map(PathBuf::from) else {
        println!("GT_BENCH_REPO names no repository: nothing measured");
        return;
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .measurement_time(Duration::from_secs(20))
        .configure_from_args();
    let mut group = criterion.benchmark_group("first reel");
    group.bench_function("gt", |b| b.iter(|| gt(&path, 1)));
    group.bench_function("git pack-objects", |b| b.iter(|| git(&path)));
    group.finish();

    let mut ratios = Vec::new();
    let (mut reel, mut pack) = (0, 0);
    for _ in 0..5 {
        let start = spent();
        reel = gt(&path, 1);
        let between = spent();
        pack = git(&path);
        let end = spent();
        let (ours, gits) = (between - start, end - between);
        ratios.push((ours / gits, ours, gits));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, ours, gits) = ratios[2];
    println!("processor time in ticks: {ours}, git {gits}: {ratio:.3}");
    println!(
        "bytes: {reel}, git {pack}: {:.3}",
        reel as f64 / pack as f64
    );
    let mut ratios: Vec<f64> = (0..5)
        .map(|_| {
            let begin = Instant::now();
            gt(&path, 2);
            let ours = begin.elapsed();
            git(&path);
            let gits = begin.elapsed() - ours;
            ours.as_secs_f64() / gits.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("wall time, two threads against git's one: {:.3}", ratios[2]);
}

/// Encodes branches and tags; returns the bundle's length.
fn gt(path: &Path, threads: usize) -> u64 {
    let repository = GitRepository::open(path).expect("a repository");
    let refs = repository.refs().expect("its refs");
    let published: Vec<_> = published_refs(&refs.list, &[])
        .into_iter()
        .cloned()
        .collect();
    let moment = Moment::new(&published, &[], refs.head.as_deref());
    let mut options = Options::default();
    options.threads = threads;
    let reel = encode::reel(
        &repository,
        &Nothing,
        &moment,
        &options,
        &mut std::io::sink(),
    );
    reel.expect("a reel").map_or(0, |reel| reel.length)
}

/// Packs all refs with git; returns the pack's length.
fn git(path: &Path) -> u64 {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(path)
        .args(["pack-objects", "-q", "--all", "--revs"])
        .args([
            "--delta-base-offset",
            "--no-reuse-delta",
            "--no-reuse-object",
        ])
        .args(["--threads=1", "--window=10", "--stdout"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    let mut pack = child.stdout.take().expect("a pipe");
    let length = std::io::copy(&mut pack, &mut std::io::sink()).expect("a pack");
    assert!(child.wait().expect("git").success());
    length
}

/// Returns the processor time of this process and of its children so far, in
/// clock ticks (proc(5), fields 14 to 17); 0 where there is no such file.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
