//! Both sides of the crate: what the encoder writes, an import takes.

use std::io::ErrorKind;

use gt_pack::encode::{self, Moment};
use gt_pack::published::{Placed, Published, published_refs};
use gt_pack::reel_vfs::Options;
use gt_pack::refs::{Old, RefChange};
use gt_pack::repository::{GitRepository, Repository};
use gt_pack::{Chain, Reel, ReelVfs, import, refs};
use gt_vfs::{VPath, Verdict, Vfs};

use crate::git::{Git, text};

type Refs = Vec<(Vec<u8>, gt_pack::ObjectId)>;

/// One who publishes: a repository and its chain.
struct Publisher {
    git: Git,
    reels: Vec<Reel>,
    before: Refs,
}

impl Publisher {
    fn new(git: Git) -> Self {
        Self {
            git,
            reels: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Publishes what changed, and says what was written.
    fn publish(&mut self) -> Option<(Vec<u8>, encode::Reel, Option<Vec<u8>>)> {
        let repository = GitRepository::open(self.git.dir()).unwrap();
        let all = repository.refs().unwrap();
        let now: Refs = published_refs(&all.list, &[])
            .into_iter()
            .cloned()
            .collect();
        let moment = Moment::new(&now, &self.before, all.head.as_deref());
        let chain = Chain::open(&self.git.dir()).unwrap();
        let published = chain.select(&self.reels).unwrap();
        let mut bytes = Vec::new();
        let options = encode::Options::default();
        let made = encode::reel(&repository, &published, &moment, &options, &mut bytes).unwrap();
        self.before = now;
        let made = made?;
        self.reels.push(Reel {
            first: self.reels.len() as u64,
            last: self.reels.len() as u64,
            length: made.length,
            root: made.root,
            recipe: made.recipe.map(String::from),
        });
        Some((bytes, made, all.head))
    }

    /// The reels as files, in the publisher's repository or another.
    fn reels_in(&self, git: &Git, head: Option<Vec<u8>>) -> ReelVfs {
        let refs = self.before.iter().cloned().collect();
        let partial = git.path().join("partial");
        let gate = Box::new(import::Open);
        let options = Options::new(self.reels.clone(), Some(refs), head, partial, gate);
        ReelVfs::open(&git.dir(), options).unwrap()
    }
}

fn put(vfs: &ReelVfs, reel: &Reel, bytes: &[u8]) {
    let path = VPath::parse(reel.file_name().as_bytes()).unwrap();
    let writer = vfs.create(&path, reel.length).unwrap();
    writer.write_at(0, bytes).unwrap();
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
}

/// Everything goes from a publisher to a follower, and on to a third.
fn carried(publisher: &mut Publisher, follower: &Git) -> bool {
    let Some((bytes, made, head)) = publisher.publish() else {
        return false;
    };
    let reel = publisher.reels.last().unwrap().clone();
    for git in [&publisher.git, follower] {
        let vfs = publisher.reels_in(git, head.clone());
        put(&vfs, &reel, &bytes);
        let path = VPath::parse(reel.file_name().as_bytes()).unwrap();
        let served = vfs.open(&path).unwrap();
        let mut back = vec![0; bytes.len()];
        served.read_exact_at(0, &mut back).unwrap();
        assert!(back == bytes);
        assert_eq!(
            vfs.create(&path, reel.length).err().unwrap().kind(),
            ErrorKind::AlreadyExists
        );
        // The encoder and the chain count depths alike.
        let chain = Chain::open(&git.dir()).unwrap();
        let chain = chain.all();
        for Placed {
            id, depth, base, ..
        } in made.objects.iter()
        {
            assert_eq!(chain.depth(&id).unwrap(), Some(depth), "{id}");
            assert_eq!(Published::base(&chain, &id).unwrap(), base, "{id}");
        }
    }
    let now = refs::list(&follower.dir(), &[b"refs/*"]).unwrap();
    let mut changes: Vec<RefChange> = Vec::new();
    for (name, oid) in &publisher.before {
        changes.push(RefChange {
            name: name.clone(),
            old: Old::Any,
            new: Some(*oid),
        });
    }
    for (name, oid) in &now {
        if !publisher.before.iter().any(|(other, _)| other == name) {
            changes.push(RefChange {
                name: name.clone(),
                old: Old::Is(*oid),
                new: None,
            });
        }
    }
    refs::move_all(&follower.dir(), &changes).unwrap();
    follower.run(["fsck", "--full", "--strict"]);
    assert_eq!(
        refs::list(&follower.dir(), &[b"refs/*"]).unwrap(),
        publisher.before
    );
    true
}

#[test]
fn publications_are_carried_over() {
    let git = Git::init();
    let body = |n: u32| format!("{}{}{}", text(1, 200), text(n, 4), text(2, 200));
    git.commit(&[("a", &body(10)), ("d/b", "b\n")]);
    git.commit(&[("a", &body(11))]);
    git.run(["tag", "-a", "-m", "one", "v1"]);
    let mut publisher = Publisher::new(git);
    let follower = Git::bare();
    assert!(carried(&mut publisher, &follower));
    // A side branch, merged; a branch dropped; a light tag on something old.
    let git = &publisher.git;
    git.run(["checkout", "-q", "-b", "side", "HEAD~1"]);
    git.commit(&[("side", &body(12))]);
    git.run(["checkout", "-q", "main"]);
    git.commit(&[("a", &body(13))]);
    git.run(["merge", "-q", "-m", "merge", "side"]);
    assert!(carried(&mut publisher, &follower));
    let git = &publisher.git;
    git.run(["branch", "-q", "-D", "side"]);
    git.run(["branch", "-q", "side/below"]);
    git.run(["tag", "old", "HEAD~2"]);
    git.commit(&[("d/b", "c\n")]);
    assert!(carried(&mut publisher, &follower));
    // Nothing new makes no reel.
    assert!(!carried(&mut publisher, &follower));
    assert_eq!(publisher.reels.len(), 3);
}

#[test]
#[ignore = "needs GT_DATA"]
fn gt_data_first_reels_are_carried_over() {
    let data = std::path::PathBuf::from(std::env::var_os("GT_DATA").expect("GT_DATA is set"));
    for name in ["ripgrep", "tokio"] {
        let git = Git::empty();
        let bundle = data.join(format!("repos/{name}.bundle"));
        git.run(["clone", "-q", "--mirror", bundle.to_str().unwrap(), "."]);
        assert!(carried(&mut Publisher::new(git), &Git::bare()), "{name}");
    }
}
