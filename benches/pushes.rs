//! The last first-parent steps of a repository as reels of one push each,
//! against thin packs of exactly the same objects by git.
//!
//! `GT_BENCH_REPO=/path/to/repository cargo bench --bench pushes`; without the
//! variable there is nothing to measure. `GT_BENCH_PUSHES` says how many (200).
//! Git's list for a push is `rev-list --objects-edge B ^A` without what earlier
//! reels hold; its lines with a minus, which name what deltas may stand on, are
//! kept. Processor time is that of encoding alone for us, of `rev-list` and
//! `pack-objects` for git.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gt_pack::ObjectId;
use gt_pack::bundle::Header;
use gt_pack::encode::{self, Moment, Options, Reel};
use gt_pack::published::{Known, Published};
use gt_pack::repository::{GitRepository, Repository};

fn main() {
    let Some(path) = std::env::var_os("GT_BENCH_REPO").map(PathBuf::from) else {
        println!("GT_BENCH_REPO names no repository: nothing measured");
        return;
    };
    let pushes = std::env::var("GT_BENCH_PUSHES").map_or(200, |n| n.parse().expect("a number"));
    let repository = GitRepository::open(&path).expect("a repository");
    let head = repository.refs().expect("its refs").head;
    let head = head.expect("a HEAD that names a branch");
    let walk = git(&path, &["rev-list", "--first-parent", "HEAD"], b"");
    let walk = String::from_utf8(walk).expect("names of objects");
    let mut steps: Vec<ObjectId> = walk
        .lines()
        .take(pushes + 1)
        .map(|line| line.parse().expect("the name of a commit"))
        .collect();
    steps.reverse();

    let mut known = Known::default();
    let first = reel(&repository, &known, &head, None, &steps[0]).0;
    println!(
        "first reel: {} objects, {}",
        first.objects.len(),
        first.length
    );
    known.extend(first.objects.iter());
    let (mut ours, mut gits, mut our_ticks, mut git_ticks) = (0, 0, 0.0, 0.0);
    for two in steps.windows(2) {
        let start = spent();
        let (made, bytes) = reel(&repository, &known, &head, Some(&two[0]), &two[1]);
        let between = spent();
        gits += exact_thin(&path, &made, &two[0], &two[1]);
        git_ticks += spent() - between;
        our_ticks += between - start;
        ours += bytes;
        known.extend(made.objects.iter());
    }
    println!(
        "{} pushes: {ours} bytes, git {gits}: {:.3}",
        steps.len() - 1,
        ours as f64 / gits as f64
    );
    println!(
        "processor time in ticks: {our_ticks}, git {git_ticks}: {:.3}",
        our_ticks / git_ticks
    );
}

/// Encodes the step from one commit to another; returns the reel, and the
/// length of its pack.
fn reel(
    repository: &dyn Repository,
    known: &dyn Published,
    head: &[u8],
    before: Option<&ObjectId>,
    now: &ObjectId,
) -> (Reel, usize) {
    let tip = |id: &ObjectId| vec![(head.to_vec(), *id)];
    let moment = Moment::new(&tip(now), &before.map(tip).unwrap_or_default(), Some(head));
    let mut out = Vec::new();
    let mut options = Options::default();
    options.threads = 1;
    let reel = encode::reel(repository, known, &moment, &options, &mut out);
    let reel = reel.expect("a reel").expect("something new");
    let (_, header) = Header::read(&out).expect("a bundle").expect("all of it");
    (reel, out.len() - header)
}

/// Returns the length of git's thin pack of a reel's objects.
fn exact_thin(path: &Path, reel: &Reel, before: &ObjectId, now: &ObjectId) -> usize {
    let (before, now) = (format!("^{before}"), now.to_string());
    let listed = git(path, &["rev-list", "--objects-edge", &now, &before], b"");
    let listed = String::from_utf8_lossy(&listed);
    let new: BTreeSet<String> = reel.objects.iter().map(|o| o.id.to_string()).collect();
    let is_new = |line: &str| line.split(' ').next().is_some_and(|id| new.contains(id));
    let kept: String = listed
        .lines()
        .filter(|line| line.starts_with('-') || is_new(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let words = ["pack-objects", "-q", "--stdout", "--delta-base-offset"];
    git(path, &words, kept.as_bytes()).len()
}

fn git(path: &Path, words: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(path)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output().expect("what git says");
        assert!(output.status.success());
        output.stdout
    })
}

/// Returns the processor time of this process and of its children so far, in
/// clock ticks (proc(5), fields 14 to 17); 0 where there is no such file.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
