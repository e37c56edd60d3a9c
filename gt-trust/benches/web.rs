//! The web of trust over a large keyring, against gpg in the same run.
//!
//! `GT_BENCH_KEYRINGS=a.gpg:b.gpg GT_BENCH_OWNERTRUST=file cargo bench -p
//! gt-trust --bench web`; without the variables there is nothing to measure.
//! gpg gets a home that was prepared before: certificates and ownertrust
//! imported, which takes it minutes; `GT_BENCH_HOME` names one that is kept for
//! the next time. The ratios after criterion's figures are of processor time, the
//! median of three runs in turn; `GT_BENCH_AT` is the moment, Unix seconds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::Criterion;
use gt_trust::Time;
use gt_trust::web::{Cache, Keyring, Model, Ownertrust, Settings, Web};

fn main() {
    let variable = |name| std::env::var(name).ok();
    let (Some(paths), Some(trust)) = (
        variable("GT_BENCH_KEYRINGS"),
        variable("GT_BENCH_OWNERTRUST"),
    ) else {
        println!("GT_BENCH_KEYRINGS and GT_BENCH_OWNERTRUST name no files: nothing measured");
        return;
    };
    let paths: Vec<&str> = paths.split(':').collect();
    let files: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| std::fs::read(path).expect("a keyring"))
        .collect();
    let text = std::fs::read_to_string(&trust).expect("ownertrust");
    let owners = Ownertrust::parse(&text).expect("ownertrust");
    let at = variable("GT_BENCH_AT").and_then(|at| at.parse().ok());
    let mut settings = Settings::at(Time(at.unwrap_or(1_671_883_200)));
    settings.model = Model::Pgp;

    let read = || {
        let mut ring = Keyring::new();
        for bytes in &files {
            ring.add(bytes).expect("a keyring");
        }
        ring
    };
    let web = |cache: Option<&Cache>| {
        let ring = read();
        Web::compute(&ring, &owners, settings, cache).rows().len()
    };
    let cold = Cache::open(&[1; 32], &[]);
    web(Some(&cold));
    let known = cold.to_bytes().expect("results");
    let warm = || web(Some(&Cache::open(&[1; 32], &known)));

    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("web of trust");
    group.bench_function("parse", |b| b.iter(read));
    group.bench_function("cold", |b| b.iter(|| web(None)));
    group.bench_function("warm", |b| b.iter(warm));
    group.finish();

    let kept = variable("GT_BENCH_HOME").map(PathBuf::from);
    let home = kept
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("gt-bench-{}", std::process::id())));
    if !home.join("trustdb.gpg").exists() {
        prepare(&home, &paths, &trust);
    }
    let mut runs: Vec<[f64; 4]> = (0..3)
        .map(|_| {
            let marks = [
                spent(),
                after(|| drop(read())),
                after(|| assert!(web(None) > 0)),
                after(|| assert!(warm() > 0)),
                after(|| check(&home, settings.at)),
            ];
            std::array::from_fn(|i| marks[i + 1] - marks[i])
        })
        .collect();
    if kept.is_none() {
        let _ = std::fs::remove_dir_all(&home);
    }
    runs.sort_by(|a, b| (a[1] / a[3]).total_cmp(&(b[1] / b[3])));
    let [parse, cold, warm, gpg] = runs[1];
    println!("processor time in ticks: parse {parse}, cold {cold}, warm {warm}, gpg {gpg}");
    println!("cold to gpg --check-trustdb: {:.3}", cold / gpg);
    for [parse, cold, warm, gpg] in &runs {
        println!("each run: parse {parse}, cold {cold}, warm {warm}, gpg {gpg}");
    }
}

fn after(deed: impl FnOnce()) -> f64 {
    deed();
    spent()
}

fn gpg(home: &Path) -> Command {
    let mut gpg = Command::new("gpg");
    gpg.arg("--homedir")
        .arg(home)
        .args([
            "--batch",
            "--quiet",
            "--no-autostart",
            "--no-auto-check-trustdb",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    gpg
}

fn prepare(home: &Path, keyrings: &[&str], ownertrust: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(home).expect("a folder");
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(home, private).expect("a private folder");
    let _ = gpg(home).arg("--import").args(keyrings).status();
    let _ = gpg(home)
        .arg("--import-ownertrust")
        .arg(ownertrust)
        .status();
}

fn check(home: &Path, at: Time) {
    let moment = at.0.to_string();
    // Without --yes it does nothing where it has done it once.
    let args = ["--yes", "--faked-system-time", &moment, "--check-trustdb"];
    let status = gpg(home).args(args).status().expect("gpg");
    assert!(status.success(), "gpg --check-trustdb");
}

/// Returns the processor time of this process and of its children so far, in
/// clock ticks (proc(5), fields 14 to 17); 0 where there is no such file.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
