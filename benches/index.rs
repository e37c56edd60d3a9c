//! Verifying and indexing a pack, against git, libgit2's indexer (and gitoxide,
//! where `gix` is installed) in the same run.
//!
//! `GT_BENCH_PACK=/path/to/a.pack cargo bench --bench index`; without the
//! variable there is nothing to measure. One thread each; the ratios after
//! criterion's figures are of processor time, the median of five runs in turn,
//! and the last line is our own wall time with two threads against one, the
//! median of fifteen.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::Criterion;
use gt_pack::spool::Spool;
use gt_pack::verify::{self, NoBases, NoVisitor, Silent};
use gt_pack::{Limits, ObjectFormat, index};

fn main() {
    let Some(pack) = std::env::var_os("GT_BENCH_PACK").map(PathBuf::from) else {
        println!("GT_BENCH_PACK names no pack: nothing measured");
        return;
    };
    let out = std::env::temp_dir().join(format!("gt-bench-{}.idx", std::process::id()));
    let mut criterion = Criterion::default()
        .sample_size(10)
        .measurement_time(Duration::from_secs(10))
        .configure_from_args();
    let mut group = criterion.benchmark_group("verify and index");
    group.bench_function("gt", |b| b.iter(|| gt(&pack, 1)));
    group.bench_function("git index-pack", |b| b.iter(|| git(&pack, &out)));
    group.finish();

    against("git index-pack", &pack, || git(&pack, &out));
    if Command::new("gix").arg("--version").output().is_ok() {
        against("gix pack index create", &pack, || gix(&pack));
    }
    against("libgit2's indexer", &pack, || libgit2(&pack));
    let mut ratios: Vec<f64> = (0..15)
        .map(|_| {
            let begin = Instant::now();
            gt(&pack, 1);
            let one = begin.elapsed();
            gt(&pack, 2);
            let two = begin.elapsed() - one;
            two.as_secs_f64() / one.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("wall time, two threads against one: {:.3}", ratios[7]);
    // It may never have been written.
    let _ = std::fs::remove_file(&out);
}

/// Prints processor times, the median of five runs in turn.
fn against(name: &str, pack: &Path, mut peer: impl FnMut()) {
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let start = spent();
        gt(pack, 1);
        let between = spent();
        peer();
        let end = spent();
        let (ours, theirs) = (between - start, end - between);
        ratios.push((ours / theirs, ours, theirs));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, ours, theirs) = ratios[2];
    println!("processor time in ticks: {ours}, {name} {theirs}: {ratio:.3}");
}

fn gt(pack: &Path, threads: usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads").install(|| {
        let source = Spool::open(pack).expect("a pack");
        let (format, limits) = (ObjectFormat::Sha1, Limits::default());
        let verified = verify::pack(&source, format, &limits, &NoBases, &NoVisitor, &Silent);
        let verified = verified.expect("a good pack");
        // As the program does.
        let (idx, rev) = rayon::join(
            || index::write_idx_to(&verified, &mut std::io::sink()),
            || index::write_rev_to(&verified, &mut std::io::sink()),
        );
        idx.and(rev).expect("an index");
    });
}

fn git(pack: &Path, out: &Path) {
    run(Command::new("git")
        .args(["index-pack", "--threads=1", "-o"])
        .args([out, pack]));
}

fn gix(pack: &Path) {
    run(Command::new("gix")
        .args(["--threads", "1", "free", "pack", "index", "create", "-p"])
        .arg(pack));
}

/// Libgit2 writes a copy of the pack, too: it knows no other way.
fn libgit2(pack: &Path) {
    let out = std::env::temp_dir().join(format!("gt-bench-{}", std::process::id()));
    std::fs::create_dir_all(&out).expect("a folder");
    let mut indexer = git2::Indexer::new(None, &out, 0, false).expect("an indexer");
    let mut file = std::fs::File::open(pack).expect("a pack");
    std::io::copy(&mut file, &mut indexer).expect("a good pack");
    indexer.commit().expect("a good pack");
    std::fs::remove_dir_all(&out).expect("the folder");
}

fn run(command: &mut Command) {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(quiet.status().expect("a peer").success());
}

/// Returns the processor time of this process and of its children so far, in
/// clock ticks (proc(5), fields 14 to 17); 0 where there is no such file.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
