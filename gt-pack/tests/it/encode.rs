//! Reels of a made-up repository: what is in them, and their very bytes.

use std::collections::BTreeSet;

use gt_pack::bundle::Header;
use gt_pack::encode::{self, Error, Moment, Options, Reel};
use gt_pack::published::{Known, Nothing, Published, published_refs};
use gt_pack::repository::{self, GitRepository, Repository};
use gt_pack::{Chain, Kind, ObjectId};

use crate::git::{Git, text};
use crate::reel::Made;

pub(crate) type Refs = Vec<(Vec<u8>, ObjectId)>;

/// A stream for `git fast-import`, in which everything is fixed.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    clock: u64,
}

impl Stream {
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        self.line(&format!("data {}", bytes.len()));
        self.bytes.extend_from_slice(bytes);
        self.line("");
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
    }

    pub(crate) fn commit(&mut self, branch: &str, mark: u32, parents: &[u32]) {
        self.clock += 60;
        let who = format!(
            "A U Thor <author@example.org> {} +0100",
            1_700_000_000 + self.clock
        );
        self.line(&format!("reset refs/heads/{branch}"));
        self.line(&format!("commit refs/heads/{branch}\nmark :{mark}"));
        self.line(&format!("author {who}\ncommitter {who}"));
        self.data(format!("commit {mark}\n\nwith a body\n").as_bytes());
        for (n, parent) in parents.iter().enumerate() {
            let word = if n == 0 { "from" } else { "merge" };
            self.line(&format!("{word} :{parent}"));
        }
    }

    pub(crate) fn file(&mut self, mode: &str, path: &str, content: &[u8]) {
        self.line(&format!("M {mode} inline {path}"));
        self.data(content);
    }

    pub(crate) fn text(&mut self, path: &str, text: &str) {
        self.file("100644", path, text.as_bytes());
    }
}

/// A history with all that a tree can hold and a commit can do, and a file of
/// so many bytes.
fn history(huge: usize) -> Vec<u8> {
    let mut s = Stream::default();
    let lib = text(1, 300);
    let big: String = text(2, 30_000);
    s.commit("main", 1, &[]);
    s.text("README", &text(3, 40));
    s.text("src/lib.rs", &lib);
    s.text("src/deep/er/mod.rs", &text(4, 100));
    s.file("100755", "run.sh", text(5, 20).as_bytes());
    s.file("120000", "link", b"src/lib.rs");
    s.line(&format!("M 160000 {} sub", "5".repeat(40)));
    s.text("empty", "");
    s.text("data/big", &big);
    for n in 2..12 {
        s.commit("main", n, &[n - 1]);
        let changed = lib.replace(&format!("line {} of", n * 7), &format!("changed {n}"));
        s.text("src/lib.rs", &changed);
        s.text(&format!("src/new{n}.rs"), &changed[..2000]);
    }
    s.commit("side", 20, &[4]);
    s.text("README", &format!("{}side\n", text(3, 40)));
    s.text("data/big", &big.replacen("line 20000 of", "other", 1));
    s.commit("main", 21, &[11, 20]);
    s.text("README", &format!("{}merged\n", text(3, 40)));
    s.commit("main", 22, &[21]);
    s.line("R src/deep/er moved");
    s.line("D src/new2.rs");
    s.text("moved/old2.rs", &format!("{}more\n", &lib[..2000]));
    s.commit("root", 30, &[]);
    s.line("deleteall");
    s.commit("main", 31, &[22, 20, 30]);
    s.text(
        "huge",
        &"a line of a file above every ceiling\n".repeat(huge / 37),
    );
    s.commit("main", 32, &[31]);
    s.line("D huge");
    s.text("src/lib.rs", &lib);
    s.bytes
}

fn tag(git: &Git, name: &str, kind: &str, object: &ObjectId) -> ObjectId {
    let text = format!(
        "object {object}\ntype {kind}\ntag {name}\ntagger A U Thor <author@example.org> 1700009000 +0000\n\n{name}\n"
    );
    let out = git.with(["mktag"], text.as_bytes());
    let id = String::from_utf8(out).unwrap().trim().to_owned();
    git.run(["update-ref", &format!("refs/tags/{name}"), &id]);
    id.parse().unwrap()
}

fn made_up() -> Git {
    made_up_with(1 << 10)
}

fn made_up_with(huge: usize) -> Git {
    let git = Git::bare();
    git.with(
        [
            "-c",
            "fastimport.unpackLimit=100000",
            "fast-import",
            "--quiet",
        ],
        &history(huge),
    );
    let v1 = tag(&git, "v1", "commit", &git.oid("main~8"));
    tag(&git, "v1-again", "tag", &v1);
    let readme = git.oid("main:README");
    tag(&git, "of-blob", "blob", &readme);
    tag(&git, "of-tree", "tree", &git.oid("main~3:src"));
    let alone = git.object("blob", b"a blob that no tree holds\n");
    tag(&git, "of-lone-blob", "blob", &alone);
    git.run([
        "update-ref",
        "refs/tags/light",
        &git.object("blob", b"light\n").to_string(),
    ]);
    git
}

pub(crate) fn encoded(
    git: &Git,
    published: &dyn Published,
    moment: &Moment,
    threads: usize,
) -> Option<(Reel, Vec<u8>)> {
    let repository = GitRepository::open(git.path()).unwrap();
    let mut options = Options::default();
    options.threads = threads;
    // So small that most objects are read more than once.
    options.cache = 64 << 10;
    let mut out = Vec::new();
    let reel = encode::reel(&repository, published, moment, &options, &mut out).unwrap()?;
    assert_eq!(reel.length, out.len() as u64);
    assert_eq!(reel.root, gt_vfs::Root::of(&out));
    Some((reel, out))
}

fn refs(git: &Git) -> Refs {
    let refs = GitRepository::open(git.path()).unwrap().refs().unwrap();
    published_refs(&refs.list, &[])
        .into_iter()
        .cloned()
        .collect()
}

pub(crate) fn at(git: &Git, names: &[(&str, &str)]) -> Refs {
    names
        .iter()
        .map(|(name, rev)| (name.as_bytes().to_vec(), git.oid(rev)))
        .collect()
}

pub(crate) const HEAD: Option<&[u8]> = Some(b"refs/heads/main");

/// The moments of one chain: a beginning, a push with a merge, a push that
/// moves files, and the rest with all tags.
fn moments(git: &Git) -> Vec<Moment> {
    let (main, side) = ("refs/heads/main", "refs/heads/side");
    let mut states = vec![
        at(git, &[(main, "main~8"), ("refs/tags/v1", "refs/tags/v1")]),
        at(git, &[(main, "main~3"), (side, "side")]),
        at(git, &[(main, "main~2")]),
    ];
    states.push(refs(git));
    let before = std::iter::once(Refs::new()).chain(states.clone());
    states
        .iter()
        .zip(before)
        .map(|(now, before)| Moment::new(now, &before, HEAD))
        .collect()
}

fn chain(git: &Git, threads: usize) -> Vec<(Reel, Vec<u8>)> {
    let mut known = Known::default();
    let mut reels = Vec::new();
    for moment in moments(git) {
        let (reel, bytes) = encoded(git, &known, &moment, threads).unwrap();
        known.extend(reel.objects.iter());
        reels.push((reel, bytes));
    }
    reels
}

fn pack_of(bundle: &[u8]) -> &[u8] {
    let (_, length) = Header::read(bundle).unwrap().unwrap();
    &bundle[length..]
}

/// All that `revs` reach, by git.
fn reachable(git: &Git, revs: &[String]) -> BTreeSet<ObjectId> {
    let args = ["rev-list", "--objects", "--no-object-names"];
    let args = args
        .into_iter()
        .map(str::to_owned)
        .chain(revs.iter().cloned());
    git.run(args)
        .lines()
        .map(|line| line.parse().unwrap())
        .collect()
}

fn ids(reel: &Reel) -> BTreeSet<ObjectId> {
    let ids: BTreeSet<_> = reel.objects.iter().map(|object| object.id).collect();
    assert_eq!(ids.len(), reel.objects.len(), "an object comes twice");
    ids
}

/// A chain of one-commit pushes that change a large file, with a line of
/// golden for the last ones.
fn large_files() -> String {
    const PUSHES: u32 = 12;
    let mut s = Stream::default();
    let mut large = text(8, 2_000);
    s.commit("main", 1, &[]);
    s.text("large", &large);
    for n in 2..=PUSHES {
        s.commit("main", n, &[n - 1]);
        large = large.replacen(&format!("line {} of", n * 97), &format!("new {n}"), 1);
        s.text("large", &large);
    }
    let git = Git::bare();
    git.with(["fast-import", "--quiet"], &s.bytes);
    let mut known = Known::default();
    let mut before = Vec::new();
    let mut lines = String::new();
    for n in 1..=PUSHES {
        let now = at(
            &git,
            &[("refs/heads/main", &format!("main~{}", PUSHES - n))],
        );
        let (reel, _) = encoded(&git, &known, &Moment::new(&now, &before, HEAD), 1).unwrap();
        if n > 8 {
            lines += &format!("large-{n} {} {}\n", reel.length, reel.root);
        }
        known.extend(reel.objects.iter());
        before = now;
    }
    lines
}

/// The bytes of the recipe, the same however the objects are stored and on
/// however many threads.
#[test]
fn golden_reels() {
    let loose = made_up_with(17 << 20);
    let mut lines = String::new();
    let fresh = Moment::new(&refs(&loose), &[], HEAD);
    let whole = |git: &Git, threads| encoded(git, &Nothing, &fresh, threads).unwrap();
    let (first, _) = whole(&loose, 1);
    assert_eq!(first.recipe, Some(encode::RECIPE));
    lines += &format!("first {} {}\n", first.length, first.root);
    let reels = chain(&loose, 1);
    for (n, (reel, _)) in reels.iter().enumerate() {
        lines += &format!("chain-{n} {} {}\n", reel.length, reel.root);
    }
    lines += &large_files();
    assert_eq!(lines, include_str!("../golden/gt4.golden"));

    let packed = Git::bare();
    let source = loose.path().to_str().unwrap();
    packed.run(["fetch", "-q", source, "+refs/*:refs/*"]);
    packed.run(["repack", "-q", "-adf", "--depth=50", "--window=50"]);
    let rounds = Git::bare();
    rounds.run([
        "fetch",
        "-q",
        source,
        "side:side",
        "refs/tags/v1:refs/tags/v1",
    ]);
    rounds.run(["fetch", "-q", source, "+refs/*:refs/*"]);
    rounds.object("blob", b"not of this history");
    for (git, threads) in [(&packed, 2), (&rounds, 3)] {
        assert_eq!(whole(git, threads).0, first, "{threads}");
        assert!(chain(git, threads) == reels, "{threads}");
    }
}

/// Where a chain of deltas has its longest length, the next one stands on the
/// object at its beginning; that it is tried in parallel does not show.
#[test]
fn long_chains_go_on_at_their_beginning() {
    let git = Git::bare();
    let mut script = String::new();
    let mut lines: Vec<String> = (0..400)
        .map(|n| format!("line {n} {}\n", n * 7919))
        .collect();
    for n in 0..215 {
        lines[n % 400] = format!("version {n} {}\n", n * n * 31);
        let text = lines.concat();
        script += &format!(
            "commit refs/heads/main\ncommitter a <a@b> {} +0000\ndata 1\nx\nM 644 inline f\ndata {}\n{text}\n",
            1_000_000_000 + n,
            text.len()
        );
    }
    let limit = ["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet"];
    git.with(limit, script.as_bytes());
    let moment = Moment::new(&refs(&git), &[], HEAD);
    let (reel, bytes) = encoded(&git, &Nothing, &moment, 1).unwrap();
    assert_eq!(reel.deepest, encode::MAX_DEPTH);
    std::fs::write(git.path().join("x.pack"), pack_of(&bytes)).unwrap();
    git.run(["index-pack", "x.pack"]);
    let listed = git.run(["verify-pack", "-v", "x.pack"]);
    let whole = |line: &&str| line.contains(" blob ") && line.split_whitespace().count() == 5;
    assert_eq!(listed.lines().filter(whole).count(), 1);
    for threads in [2, 4] {
        assert!(encoded(&git, &Nothing, &moment, threads).unwrap().1 == bytes);
    }
}

#[test]
fn sha256_reels_are_read_by_git() {
    let git = Git::empty();
    git.run(["init", "-q", "-b", "main", "--object-format=sha256"]);
    for n in 0..5 {
        let text = format!("{}{n}\n", "a text of many lines\n".repeat(40));
        git.commit(&[("a", &text), ("b/c", &text[300..])]);
    }
    let moment = Moment::new(&refs(&git), &[], HEAD);
    let (reel, bytes) = encoded(&git, &Nothing, &moment, 2).unwrap();
    std::fs::write(git.path().join("first.bundle"), &bytes).unwrap();
    git.run(["clone", "-q", "--mirror", "first.bundle", "copy.git"]);
    git.run(["-C", "copy.git", "fsck", "--full", "--strict"]);
    assert_eq!(ids(&reel), reachable(&git, &["--all".into()]));
    git.commit(&[("a", "changed\n")]);
    let known: Known = reel.objects.iter().collect();
    let next = Moment::new(&refs(&git), moment.tips(), HEAD);
    let (_, bytes) = encoded(&git, &known, &next, 1).unwrap();
    git.with(
        ["index-pack", "--strict", "--fix-thin", "--stdin"],
        pack_of(&bytes),
    );
}

#[test]
fn a_chain_holds_every_object_once() {
    let git = made_up();
    let copy = Git::bare();
    let mut all = BTreeSet::new();
    for ((reel, bytes), moment) in chain(&git, 2).iter().zip(moments(&git)) {
        let (header, length) = Header::read(bytes).unwrap().unwrap();
        assert!(header.is_canonical(&bytes[..length]));
        assert_eq!(header, reel.header);
        std::fs::write(copy.path().join("reel.bundle"), bytes).unwrap();
        copy.run(["bundle", "verify", "-q", "reel.bundle"]);
        copy.with(
            ["index-pack", "--strict", "--fix-thin", "--stdin"],
            pack_of(bytes),
        );
        for (name, id) in moment.tips() {
            let name = std::str::from_utf8(name).unwrap();
            copy.run(["update-ref", name, &id.to_string()]);
        }
        let tips: Vec<_> = moment.tips().iter().map(|(_, id)| id.to_string()).collect();
        let wanted = reachable(&git, &tips);
        let new = ids(reel);
        assert!(all.is_disjoint(&new));
        all.extend(new);
        assert!(all.is_superset(&wanted));
        let parents: BTreeSet<_> = reel.header.prerequisites.iter().collect();
        assert!(parents.iter().all(|id| all.contains(id)));
    }
    assert_eq!(all, reachable(&git, &["--all".into()]));
    copy.run(["fsck", "--full", "--strict"]);
}

/// What was imported serves as the chain for the next reel, which comes out
/// as the publisher's.
#[test]
fn imported_reels_are_the_chain() {
    let git = made_up();
    let mirror = Git::bare();
    let mut earlier: Vec<Made> = Vec::new();
    for ((reel, bytes), moment) in chain(&git, 2).into_iter().zip(moments(&git)) {
        let held = Chain::open(mirror.path()).unwrap().all();
        let (again, same) = encoded(&git, &held, &moment, 1).unwrap();
        assert!(same == bytes);
        assert_eq!(again, reel);
        let refs = moment.tips().iter().cloned().collect();
        let made = Made::of(earlier.len() as u64, bytes, refs);
        let others: Vec<&Made> = earlier.iter().collect();
        made.import(&mirror, &others).unwrap();
        earlier.push(made);
    }
    let held = Chain::open(mirror.path()).unwrap().all();
    let last = moments(&git).pop().unwrap();
    assert_eq!(encoded(&git, &held, &last, 1), None);
}

#[test]
fn unpublished_blob_never_leaves() {
    let git = made_up();
    let secret = git.object("blob", b"a secret\n");
    let tree = git.with(
        ["mktree"],
        format!("100644 blob {secret}\tsecret\n").as_bytes(),
    );
    let tree = String::from_utf8(tree).unwrap().trim().to_owned();
    let commit = git.run(["commit-tree", "-m", "private", "-p", "main", &tree]);
    for name in [
        "refs/stash",
        "refs/private/x",
        "refs/remotes/origin/x",
        "refs/notes/x",
    ] {
        git.run(["update-ref", name, &commit]);
    }
    let (reel, _) = encoded(&git, &Nothing, &Moment::new(&refs(&git), &[], HEAD), 0).unwrap();
    let wanted = reachable(&git, &["--branches".into(), "--tags".into()]);
    assert_eq!(ids(&reel), wanted);
    assert!(!wanted.contains(&secret));
}

#[test]
fn nothing_new_is_no_reel() {
    let git = made_up();
    let now = refs(&git);
    let (reel, _) = encoded(&git, &Nothing, &Moment::new(&now, &[], HEAD), 0).unwrap();
    let known: Known = reel.objects.iter().collect();
    let mut moved = now.clone();
    moved[0].1 = git.oid("main~1");
    moved.push((b"refs/heads/zz".to_vec(), git.oid("main~2")));
    for next in [&now, &moved] {
        assert_eq!(
            encoded(&git, &known, &Moment::new(next, &now, HEAD), 0),
            None
        );
    }
    assert_eq!(
        encoded(&git, &Nothing, &Moment::new(&[], &[], HEAD), 0),
        None
    );
}

#[test]
fn the_header_names_what_changed_head_first() {
    let git = made_up();
    let before = at(
        &git,
        &[
            ("refs/heads/a", "main"),
            ("refs/heads/b", "main"),
            ("refs/heads/gone", "main"),
        ],
    );
    let now = at(
        &git,
        &[
            ("refs/heads/c", "side"),
            ("refs/heads/main", "main"),
            ("refs/heads/b", "main~1"),
            ("refs/heads/a", "main"),
        ],
    );
    let names = |moment: &Moment| -> Vec<String> {
        let name = |(name, _): &(Vec<u8>, _)| String::from_utf8_lossy(name)[11..].to_owned();
        moment.named().iter().map(name).collect()
    };
    assert_eq!(names(&Moment::new(&now, &before, HEAD)), ["main", "b", "c"]);
    assert_eq!(names(&Moment::new(&now, &before, None)), ["b", "c", "main"]);
}

#[test]
fn a_missing_object_is_an_error() {
    let git = made_up();
    let moment = Moment::new(&refs(&git), &[], HEAD);
    for (rev, kind) in [
        ("main:src/lib.rs", Kind::Blob),
        ("main~3:src", Kind::Tree),
        ("main~5", Kind::Commit),
    ] {
        let id = git.oid(rev);
        let hex = id.to_string();
        let path = git.path().join("objects").join(&hex[..2]).join(&hex[2..]);
        let aside = git.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        let repository = GitRepository::open(git.path()).unwrap();
        let error = encode::reel(
            &repository,
            &Nothing,
            &moment,
            &Options::default(),
            &mut Vec::new(),
        );
        assert!(
            matches!(&error, Err(Error::Repository(repository::Error::Missing(missing))) if *missing == id),
            "{kind}: {error:?}"
        );
        std::fs::rename(&aside, &path).unwrap();
    }
}

#[test]
fn a_tree_that_names_another_kind_is_an_error() {
    let git = Git::bare();
    let blob = git.object("blob", b"text\n");
    let mut entry = b"40000 folder\0".to_vec();
    entry.extend_from_slice(blob.as_bytes());
    let tree = git.object("tree", &entry);
    let moment = Moment::new(&[(b"refs/tags/t".to_vec(), tree)], &[], None);
    let repository = GitRepository::open(git.path()).unwrap();
    let error = encode::reel(
        &repository,
        &Nothing,
        &moment,
        &Options::default(),
        &mut Vec::new(),
    );
    let (expected, got) = (Kind::Tree, Kind::Blob);
    assert!(
        matches!(error, Err(Error::Kind { id, expected: e, got: g }) if id == blob && (e, g) == (expected, got)),
        "{error:?}"
    );
}

#[test]
fn a_full_disk_is_an_error() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_sub(bytes.len());
            match self.0 {
                0 => Err(std::io::ErrorKind::StorageFull.into()),
                _ => Ok(bytes.len()),
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let git = made_up();
    let repository = GitRepository::open(git.path()).unwrap();
    let moment = Moment::new(&refs(&git), &[], HEAD);
    for room in [1, 10_000] {
        let error = encode::reel(
            &repository,
            &Nothing,
            &moment,
            &Options::default(),
            &mut Full(room),
        );
        assert!(
            matches!(&error, Err(Error::Write(e)) if e.kind() == std::io::ErrorKind::StorageFull),
            "{error:?}"
        );
    }
}
