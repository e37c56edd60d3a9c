//! Many small reels in one repository: how they lie on the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use gt_pack::encode::{self, Moment};
use gt_pack::published::{Known, Published};
use gt_pack::reel_vfs::Options;
use gt_pack::repository::GitRepository;
use gt_pack::{Chain, ObjectId, ReelVfs, import};
use gt_vfs::{VPath, Vfs};

use crate::garbled::swap_in;
use crate::git::{Git, text};
use crate::reel::Made;

/// Encodes one reel for each of these commits, as pushes of one branch, and
/// imports each into `mirror`.
fn pushed(source: &Git, steps: &[ObjectId], mirror: &Git) -> Vec<Made> {
    pushed_and(source, steps, mirror, &mut |_| {})
}

/// Does so, and something `between` two of them, which is told how many came.
fn pushed_and(
    source: &Git,
    steps: &[ObjectId],
    mirror: &Git,
    between: &mut dyn FnMut(usize),
) -> Vec<Made> {
    let repository = GitRepository::open(source.path()).unwrap();
    let main = b"refs/heads/main".to_vec();
    let mut made: Vec<Made> = Vec::new();
    let mut before = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let now = vec![(main.clone(), *step)];
        let moment = Moment::new(&now, &before, Some(&main));
        let held = Chain::open(&mirror.dir()).unwrap().all();
        let mut bytes = Vec::new();
        let options = encode::Options::default();
        let reel = encode::reel(&repository, &held, &moment, &options, &mut bytes).unwrap();
        assert!(reel.is_some());
        let new = Made::of(n as u64, bytes, now.iter().cloned().collect());
        let earlier: Vec<&Made> = made.iter().collect();
        let imported = new.import(mirror, &earlier).unwrap();
        assert_eq!(imported.packs.len(), 1);
        made.push(new);
        before = now;
        between(made.len());
    }
    made
}

fn commits(git: &Git, count: u32) -> Vec<ObjectId> {
    let body = |n: u32| format!("{}{}{}", text(1, 300), text(n + 2, 3), text(99, 300));
    (0..count)
        .map(|n| git.commit(&[("a.txt", &body(n)), ("d/b", &text(n, 40))]))
        .collect()
}

/// A large file that many pushes change is not built from every version of
/// it, while each push stays small; and the chain on the disk and one in memory
/// lead to the same bytes.
#[test]
fn a_large_file_skips_versions() {
    const PUSHES: usize = 40;
    let source = Git::init();
    let mut lines = text(7, 5_000);
    let steps: Vec<_> = (0..=PUSHES)
        .map(|n| {
            lines = lines.replacen(&format!("line {} of", n * 97), &format!("new {n}"), 1);
            source.commit(&[("large", &lines), ("small", &text(n as u32, 3))])
        })
        .collect();
    let mirror = Git::bare();
    let made = pushed(&source, &steps, &mirror);

    let repository = GitRepository::open(source.path()).unwrap();
    let main = b"refs/heads/main".to_vec();
    let mut known = Known::default();
    let mut before = Vec::new();
    let (mut deepest, mut longest) = (0, 0);
    for (n, step) in steps.iter().enumerate() {
        let now = vec![(main.clone(), *step)];
        let moment = Moment::new(&now, &before, Some(&main));
        let mut bytes = Vec::new();
        let options = encode::Options::default();
        let reel = encode::reel(&repository, &known, &moment, &options, &mut bytes);
        let reel = reel.unwrap().unwrap();
        assert_eq!(reel.root, made[n].reel.root, "push {n}");
        known.extend(reel.objects.iter());
        let large = source.oid(&format!("{step}:large"));
        deepest = known.depth(&large).unwrap().unwrap().max(deepest);
        if n > 0 {
            longest = bytes.len().max(longest);
        }
        before = now;
    }
    assert!(deepest <= 10, "{deepest} deltas");
    assert!(longest < 2_000, "a push of {longest} bytes");
}

fn packs(git: &Git) -> Vec<PathBuf> {
    let folder = git.dir().join("objects/pack");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "pack"))
        .collect()
}

fn kept(git: &Git) -> usize {
    let folder = git.dir().join("objects/pack");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "keep"))
        .count()
}

fn open(git: &Git, made: &[Made]) -> ReelVfs {
    let reels = made.iter().map(|made| made.reel.clone()).collect();
    let partial = git.path().join("partial");
    let options = Options::new(reels, None, None, partial, Box::new(import::Open));
    ReelVfs::open(&git.dir(), options).unwrap()
}

fn path(made: &Made) -> VPath {
    VPath::parse(made.reel.file_name().as_bytes()).unwrap()
}

fn assert_served(vfs: &ReelVfs, made: &[Made]) {
    assert_eq!(vfs.list().unwrap().len(), made.len());
    for one in made {
        let file = vfs.open(&path(one)).unwrap();
        let mut bytes = vec![0; file.size() as usize];
        file.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes == one.bytes, "{}", one.reel.file_name());
    }
}

/// Git reads the repository, its own way of cleaning up included.
fn assert_sound(mirror: &Git, tip: ObjectId) {
    mirror.run(["update-ref", "refs/heads/main", &tip.to_string()]);
    mirror.run(["fsck", "--full", "--strict"]);
    for path in packs(mirror) {
        mirror.run(["index-pack", "--strict", path.to_str().unwrap()]);
        mirror.run(["verify-pack", path.to_str().unwrap()]);
    }
}

#[test]
fn small_reels_share_few_packs() {
    let source = Git::init();
    let steps = commits(&source, 34);
    let mirror = Git::bare();
    let made = pushed(&source, &steps, &mirror);
    assert!(packs(&mirror).len() <= 7, "{:?}", packs(&mirror));
    assert_served(&open(&mirror, &made), &made);
    assert_sound(&mirror, steps[33]);
    mirror.run(["gc", "-q", "--prune=now"]);
    mirror.run(["repack", "-q", "-a", "-d"]);
    assert_served(&open(&mirror, &made), &made);
    mirror.run(["fsck", "--full", "--strict"]);
    let all = Chain::open(&mirror.dir()).unwrap().all().oids().unwrap();
    let unique: BTreeSet<_> = all.iter().collect();
    assert_eq!(unique.len(), all.len());
}

/// Whoever has exchanged an index does not get its names into that of a joined
/// pack, after which the bytes under the right ones would be gone.
#[test]
fn a_joined_pack_is_named_by_its_objects() {
    let source = Git::init();
    let side = [("x/1", text(50, 30)), ("x/2", text(60, 35))];
    let steps: Vec<_> = (0..5)
        .map(|n| {
            let main = ("a.txt", text(1, 300) + &text(n, 3));
            let files = [&[main][..], if n == 1 { &side } else { &[] }].concat();
            let files: Vec<_> = files
                .iter()
                .map(|(path, text)| (*path, &text[..]))
                .collect();
            source.commit(&files)
        })
        .collect();
    let ids = ["x/1", "x/2"].map(|path| source.oid(&format!("{}:{path}", steps[1])));
    let mirror = Git::bare();
    let holder = |mirror: &Git| {
        let mut paths = packs(mirror)
            .into_iter()
            .map(|path| path.with_extension("idx"));
        let holds = |path: &PathBuf| {
            let said = mirror.run(["verify-pack", "-v", path.to_str().unwrap()]);
            said.contains(&ids[0].to_string())
        };
        paths.find(holds).unwrap()
    };
    let mut swapped = None;
    let made = pushed_and(&source, &steps, &mirror, &mut |count| {
        if count == 2 {
            let path = holder(&mirror);
            swap_in(&path, ids[0], ids[1]);
            swapped = Some(path);
        }
    });
    assert!(!swapped.unwrap().exists(), "nothing was joined");
    for path in packs(&mirror) {
        let git = mirror.path().join("git.idx");
        source.run([
            "index-pack",
            "-o",
            git.to_str().unwrap(),
            path.to_str().unwrap(),
        ]);
        let same =
            std::fs::read(&git).unwrap() == std::fs::read(path.with_extension("idx")).unwrap();
        assert!(same, "another index than git's of {}", path.display());
        std::fs::remove_file(git).unwrap();
    }
    assert_served(&open(&mirror, &made), &made);
    assert_sound(&mirror, steps[4]);
}

/// Who serves a reel goes on while its pack becomes part of another.
#[test]
fn an_open_reel_follows_its_pack() {
    let source = Git::init();
    let steps = commits(&source, 12);
    let mirror = Git::bare();
    let all = pushed(&source, &steps, &mirror);
    let other = Git::bare();
    let mut vfs = None;
    for (n, one) in all.iter().enumerate() {
        let earlier: Vec<&Made> = all[..n].iter().collect();
        one.import(&other, &earlier).unwrap();
        if n == 2 {
            let opened = open(&other, &all[..3]);
            let files: Vec<_> = all[..3]
                .iter()
                .map(|m| opened.open(&path(m)).unwrap())
                .collect();
            vfs = Some((opened, files, packs(&other)));
        }
    }
    let (vfs, files, before) = vfs.unwrap();
    let now = packs(&other);
    assert!(
        before.iter().any(|pack| !now.contains(pack)),
        "nothing was joined"
    );
    for (file, one) in files.iter().zip(&all) {
        let mut bytes = vec![0; file.size() as usize];
        file.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes == one.bytes);
    }
    assert_served(&vfs, &all[..3]);
}

/// Copies a repository as a kill would leave it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Joining is killed at each of its steps: everything is still served, and
/// the next import goes on as if nothing had been.
#[test]
fn a_killed_joining_is_repeated() {
    let source = Git::init();
    let steps = commits(&source, 10);
    let mirror = Git::bare();
    let made = pushed(&source, &steps[..9], &mirror);
    let before = Git::empty();
    copy(&mirror.dir(), &before.path().join("x"));
    let more = pushed(&source, &steps, &Git::bare());
    let last = more.last().unwrap();
    let earlier: Vec<&Made> = made.iter().collect();
    last.import(&mirror, &earlier).unwrap();
    let state = |root: &Path| {
        let mut files = Vec::new();
        for folder in ["objects/pack", "gt/reels"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                files.push(PathBuf::from(folder).join(entry.unwrap().file_name()));
            }
        }
        files.sort();
        files
    };
    let old = before.path().join("x");
    let new_files: Vec<_> = state(&mirror.dir());
    // What was written, in the order in which it is: first the new pack, then
    // the layouts one by one, then the old packs go one by one.
    let order = |path: &PathBuf| {
        let kind = path.extension().map(|e| e.to_string_lossy().into_owned());
        let rank = ["keep", "pack", "rev", "idx"];
        let place = rank.iter().position(|r| kind.as_deref() == Some(r));
        place.unwrap_or(rank.len())
    };
    let mut added = new_files.clone();
    added.sort_by_key(order);
    for stop in 0..=added.len() {
        let killed = Git::empty();
        copy(&old, &killed.path().join(".git"));
        for file in &added[..stop] {
            std::fs::copy(mirror.dir().join(file), killed.dir().join(file)).unwrap();
        }
        assert_served(&open(&killed, &made), &made);
        last.import(&killed, &earlier).unwrap();
        let mut all = made.clone();
        all.push(last.clone());
        assert_served(&open(&killed, &all), &all);
        assert_eq!(
            kept(&killed),
            kept(&mirror),
            "the rest is git's to clean up"
        );
    }
}

/// The figure that counts: two hundred pushes take no more room than git's
/// tight pack of all of it, and a tenth.
fn room(name: &str) {
    let data = PathBuf::from(std::env::var_os("GT_DATA").unwrap());
    let bundle = data.join("repos").join(format!("{name}.bundle"));
    let source = Git::empty();
    source.run(["clone", "-q", "--mirror", bundle.to_str().unwrap(), "."]);
    let listed = source.run(["rev-list", "--first-parent", "--reverse", "HEAD"]);
    let steps: Vec<ObjectId> = listed.lines().map(|line| line.parse().unwrap()).collect();
    let steps = &steps[steps.len() - 201..];
    let mirror = Git::bare();
    let made = pushed(&source, steps, &mirror);
    // Left for whoever wants to measure reading.
    if let Some(folder) = std::env::var_os("GT_KEEP") {
        let copy = PathBuf::from(folder).join(format!("{name}-joined.git"));
        let main = steps[200].to_string();
        mirror.run(["update-ref", "refs/heads/main", &main]);
        mirror.run(["symbolic-ref", "HEAD", "refs/heads/main"]);
        std::fs::create_dir(&copy).unwrap();
        let mut cp = Command::new("cp");
        let cp = cp.arg("-r").arg(mirror.dir().join(".")).arg(copy);
        assert!(cp.status().unwrap().success());
    }
    let bytes = |git: &Git, folder: &str| -> u64 {
        let files = std::fs::read_dir(git.dir().join(folder)).unwrap();
        files.map(|e| e.unwrap().metadata().unwrap().len()).sum()
    };
    let ours = bytes(&mirror, "objects/pack") + bytes(&mirror, "gt/reels");
    let count = packs(&mirror).len();
    assert_served(&open(&mirror, &made), &made);
    assert_sound(&mirror, steps[200]);
    let tight = Git::bare();
    let at = format!("{}:refs/heads/main", steps[200]);
    tight.run(["fetch", "-q", source.path().to_str().unwrap(), &at]);
    tight.run(["repack", "-q", "-adf"]);
    let theirs = bytes(&tight, "objects/pack");
    let pushes: u64 = made[1..].iter().map(|made| made.reel.length).sum();
    println!(
        "{name}: {ours} bytes in {count} packs, {pushes} of pushes; git's tight pack {theirs}"
    );
    assert!(ours * 10 <= theirs * 11);
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_room_of_ripgrep() {
    room("ripgrep");
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_room_of_tokio() {
    room("tokio");
}
