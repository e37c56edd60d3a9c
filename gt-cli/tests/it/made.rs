//! Reels that are made where the objects are, and not fetched.

use std::collections::BTreeMap;

use gt_cli::believed::Believed;
use gt_cli::convert;
use gt_cli::git::Git;
use gt_cli::op::proposal::{Proposal, Text};
use gt_cli::signing::Sealer;
use gt_cli::state::State;
use gt_pack::chain::{Chain, Reel};
use gt_pack::encode::{self, Moment};
use gt_pack::import::{self, Expected};
use gt_pack::repository::GitRepository;
use gt_pack::verify::Silent;
use gt_pack::{Limits, ObjectId};
use gt_trust::statement::Move;
use gt_trust::{RefName, Time};
use gt_vfs::{Memory, VPath, Vfs as _};

use crate::world::{Running, World, with_peer};

/// Payload that a seeder received until it has all of a statement, and the
/// reels that it made.
fn until_complete(seed: &Running, sequence: u64) -> (u64, Vec<String>) {
    let (mut downloaded, mut made) = (0, Vec::new());
    seed.wait_until(|event| {
        if event["event"] == "traffic" {
            downloaded = downloaded.max(event["downloaded"].as_u64().unwrap());
        }
        if event["event"] == "progress" {
            downloaded = downloaded.max(event["bytes"].as_u64().unwrap());
        }
        if event["event"] == "made" {
            made.push(event["name"].as_str().unwrap().to_owned());
        }
        event["event"] == "complete" && event["sequence"] == sequence
    });
    (downloaded, made)
}

#[test]
fn a_clone_by_plain_git_becomes_a_seed_with_nothing_fetched() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.commit("work", "more.txt", "pushed\n");
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);

    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    let before = world.refs("plain");
    let (plain, second) = world.seed("plain", &["--from", &from]);
    let (downloaded, made) = until_complete(&plain, 2);
    assert_eq!(made, ["reels/0-0.bundle", "reels/1-1.bundle"]);
    assert_eq!(downloaded, 0);
    assert_eq!(world.refs("plain"), before, "no ref of the clone has moved");
    world.fsck("plain");

    // It serves others, with the first seed gone.
    seed.kill();
    world.git(&[
        "clone",
        "-q",
        "--mirror",
        &with_peer(&address, &second),
        "again.git",
    ]);
    assert_eq!(world.refs("again.git"), world.refs("work"));

    // Another repository's address is none of this one's.
    world.repository("other");
    let other = world.publish("other", &[]);
    plain.kill();
    let (code, words) = world.gt_fails(&["seed", "-C", "plain", "--from", &other]);
    assert_eq!(code, 1);
    assert!(
        words.contains("expected the address of this repository"),
        "{words}"
    );
}

/// An address is kept when somebody has answered to it, and not before.
#[test]
fn an_address_that_nobody_knows_is_not_kept() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    world.repository("other");
    let wrong = world.publish("other", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    let from = with_peer(&wrong, &place);
    let (asked, _) = world.seed("plain", &["--from", &from]);
    asked.kill();
    let (code, said) = world.gt_fails(&["seed", "-C", "plain"]);
    assert!(
        code == 1 && said.contains("neither published nor cloned"),
        "{said}"
    );
    assert!(!world.path("plain/.git/gt/address").exists());

    let remote = with_peer(&address, &place);
    let (plain, _) = world.seed("plain", &["--from", &remote]);
    until_complete(&plain, 1);
    let kept = std::fs::read_to_string(world.path("plain/.git/gt/address"));
    assert_eq!(kept.unwrap().trim_end(), remote);
}

/// What the clone lacks is fetched: that reel, and not those before it.
#[test]
fn recipe_mismatch_downloads() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    // A branch that the clone has never seen, gone again from the refs.
    world.git(&["-C", "work", "checkout", "-q", "-b", "gone"]);
    world.commit("work", "gone.txt", "dropped\n");
    world.publish("work", &[]);
    world.git(&["-C", "work", "checkout", "-q", "main"]);
    world.git(&["-C", "work", "branch", "-q", "-D", "gone"]);
    let address = world.publish("work", &["--prune"]);
    let (_seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);
    let (plain, _) = world.seed("plain", &["--from", &from]);
    let (downloaded, made) = until_complete(&plain, 3);
    assert_eq!(made, ["reels/0-0.bundle"]);
    let status = world.gt(&["status", "-C", "plain"]);
    assert!(!status.contains("missing"), "{status}");
    assert!(downloaded > 0, "the second reel was fetched");
}

/// Publishes `main` as a publisher does whose encoder is another: the reel's
/// line names the recipe, and its bytes are not what the recipe makes.
fn publish_otherwise(world: &World, repository: &str) {
    let git = Git::at(&world.env(), world.path(repository));
    let common_dir = git.common_dir().unwrap();
    let state = State::of(&common_dir);
    let accepted = state.accepted().unwrap().unwrap().text;
    let now = Time(accepted.created.0 + 1);
    let earlier = convert::reels(&accepted);
    let before = convert::refs(&accepted);
    let head = b"refs/heads/main";
    let tip = git.ask(["rev-parse", "main"]).unwrap();
    let tip: ObjectId = tip.parse().unwrap();
    let mut after = before.clone();
    after.insert(head.to_vec(), tip);
    let list =
        |refs: &BTreeMap<_, _>| -> Vec<(Vec<u8>, ObjectId)> { refs.clone().into_iter().collect() };

    let mut chain = Chain::open(&common_dir).unwrap();
    let published = chain.select(&earlier).unwrap();
    let moment = Moment::new(&list(&after), &list(&before), Some(head));
    let mut options = encode::Options::default();
    options.depth = 0;
    let source = GitRepository::open(&common_dir).unwrap();
    let mut bytes = Vec::new();
    let encoded = encode::reel(&source, &published, &moment, &options, &mut bytes);
    let encoded = encoded.unwrap().unwrap();
    assert_eq!((encoded.deltas, encoded.recipe), (0, None));
    let number = earlier.last().unwrap().last + 1;
    let reel = Reel {
        first: number,
        last: number,
        length: encoded.length,
        root: encoded.root,
        recipe: Some(encode::RECIPE.to_owned()),
    };
    let files = Memory::new();
    let name = VPath::parse(b"reel").unwrap();
    files.insert(name.clone(), bytes);
    let expected = Expected {
        reel: reel.clone(),
        earlier: earlier.clone(),
        refs: Some(after),
        head: Some(head.to_vec()),
    };
    let (bundle, limits) = (files.open(&name).unwrap(), Limits::default());
    let gate = &mut import::Open;
    import::reel(&mut chain, &*bundle, &expected, gate, &limits, &Silent).unwrap();

    let mut draft = accepted.next(now);
    let name = RefName::new(head).unwrap();
    draft.set(name, convert::oid(&tip).unwrap(), Move::FastForward);
    let reels = earlier.iter().chain([&reel]);
    draft.reels(reels.map(|r| convert::reel_line(r).unwrap()).collect());
    let text = Text::Statement(draft.finish().unwrap().into());
    let keyring = state.keyring().unwrap().unwrap();
    let keys = world.path("home/data/gittorrent/keys");
    let sealer = Sealer::find(&git, Some(&keys), now).unwrap();
    let mut proposal = Proposal::new(text, keyring);
    let rid = accepted.repository;
    proposal.seal(&state, &sealer, rid, now).unwrap();
    let settled = proposal.settle(&state, rid, &Believed::default(), now);
    assert!(settled.unwrap().complete);
}

/// A reel whose bytes are not what its recipe makes is made, dropped, fetched.
#[test]
fn recipe_mismatch_of_bytes_downloads() {
    let world = World::new();
    world.repository("work");
    world.text("work", 4000, 1);
    let address = world.publish("work", &[]);
    world.text("work", 4000, 2);
    publish_otherwise(&world, "work");
    let statement = world.statement("work");
    let line = statement.lines().find(|l| l.starts_with("Reel: 1 1 "));
    let length: u64 = line.unwrap().split(' ').nth(3).unwrap().parse().unwrap();
    assert!(length > 64 << 10, "it would ride along: {length}");
    let (_seed, place) = world.seed("work", &[]);
    // All objects are here, and the headers come.
    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    let from = with_peer(&address, &place);
    let (plain, _) = world.seed("plain", &["--from", &from]);
    let (downloaded, made) = until_complete(&plain, 2);
    assert_eq!(made, ["reels/0-0.bundle"]);
    assert!(
        (length..length + (32 << 10)).contains(&downloaded),
        "{downloaded} bytes came of {length}"
    );
    let status = world.gt(&["status", "-C", "plain"]);
    assert!(!status.contains("missing"), "{status}");
    world.fsck("plain");
    // From here on the publisher's next reel stands on the one that came.
    world.text("work", 4000, 3);
    world.publish("work", &[]);
    let (_, made) = until_complete(&plain, 3);
    assert_eq!(made, [""; 0], "the clone has not these objects");
    world.fsck("plain");
}

/// With many refs the headers are longer than what rides along.
#[test]
fn many_refs_and_still_nothing_is_fetched() {
    let world = World::new();
    world.repository("work");
    let tip = world.git(&["-C", "work", "rev-parse", "main"]);
    let list: String = (0..1500)
        .map(|n| format!("{} refs/heads/many/branch-{n:05}\n", tip.trim()))
        .collect();
    let packed = world.path("work/.git/packed-refs");
    std::fs::write(packed, format!("# pack-refs with: sorted \n{list}")).unwrap();
    world.publish("work", &[]);
    world.commit("work", "more.txt", "pushed\n");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.git(&["clone", "-q", "--no-local", "work", "plain"]);
    let from = with_peer(&address, &place);
    let (plain, _) = world.seed("plain", &["--from", &from]);
    let (downloaded, made) = until_complete(&plain, 2);
    assert_eq!(made, ["reels/0-0.bundle", "reels/1-1.bundle"]);
    assert_eq!(downloaded, 0);
}

/// When later reels weigh too much, all becomes one new first reel: who follows
/// makes it out of what is here, others fetch it, and all go on from there.
#[test]
fn a_new_base_reaches_everybody() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &from, "mirror.git"]);
    world.git(&["clone", "-q", &from, "tree"]);
    world.git(&["clone", "-q", &from, "late"]);
    let (mirror, second) = world.seed("mirror.git", &["--peer", &place]);
    let reels = || -> Vec<String> {
        let statement = world.statement("work");
        let lines = statement.lines().filter_map(|l| l.strip_prefix("Reel: "));
        lines
            .map(|l| l.split(' ').take(2).collect::<Vec<_>>().join("-"))
            .collect()
    };

    world.noise("work", 1_300_000);
    world.publish("work", &[]);
    until_complete(&mirror, 2);
    world.git(&["-C", "tree", "pull", "-q"]);
    assert_eq!(reels(), ["0-0", "1-1"]);

    world.commit("work", "more.txt", "one more\n");
    world.publish("work", &[]);
    assert_eq!(reels(), ["0-2"]);
    until_complete(&mirror, 3);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    world.fsck("mirror.git");
    for clone in ["tree", "late"] {
        world.git(&["-C", clone, "pull", "-q"]);
        world.fsck(clone);
        let status = world.gt(&["status", "-C", clone]);
        assert_eq!(status.matches("Reel ").count(), 1, "{status}");
        assert!(!status.contains("missing"), "{status}");
    }

    world.commit("work", "more.txt", "and one more\n");
    world.publish("work", &[]);
    assert_eq!(reels(), ["0-2", "3-3"]);
    mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == 4);
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    let fresh = with_peer(&address, &second);
    world.gt(&["clone", "--mirror", &fresh, "fresh.git"]);
    assert_eq!(world.refs("fresh.git"), world.refs("work"));
    world.fsck("fresh.git");
    // Objects of the reels before are not kept twice by those who clean up.
    world.git(&["-C", "late", "gc", "-q", "--prune=now"]);
    world.git(&["-C", "late", "pull", "-q"]);
    world.fsck("late");
}

/// Many pushes make few reels; a mirror that holds the parts of a splice
/// fetches only what is new.
#[test]
fn many_publications_make_few_reels() {
    let world = World::new();
    world.repository("work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.gt(&[
        "clone",
        "--mirror",
        &with_peer(&address, &place),
        "mirror.git",
    ]);
    let (mirror, _) = world.seed("mirror.git", &["--peer", &place]);
    const PUSHES: u64 = 9;
    for n in 0..PUSHES {
        world.commit("work", "pushed.txt", &format!("push {n}\n"));
        world.publish("work", &[]);
        mirror.wait_until(|v| v["event"] == "refs" && v["sequence"] == n + 2);
    }
    assert_eq!(world.refs("mirror.git"), world.refs("work"));
    world.fsck("mirror.git");
    let fresh = world.path("fresh.git");
    world.gt(&[
        "clone",
        "--mirror",
        &with_peer(&address, &place),
        fresh.to_str().unwrap(),
    ]);
    let reels = std::fs::read_dir(world.path("fresh.git/gt/reels")).unwrap();
    let count = reels.count() as u64;
    assert!(count < PUSHES / 2 + 2, "{count} reels");
    assert_eq!(world.refs("fresh.git"), world.refs("work"));
    world.fsck("fresh.git");
}
